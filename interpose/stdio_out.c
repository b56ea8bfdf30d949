/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing to streams as cancellation points.  libc's are where it writes the buffer out, inside
 * itself; here a call looks before it begins when it will write for sure (a stream without buffer,
 * or one that is flushed at line ends), and afterwards when it has written.  The stream's lock is
 * not held at either point, so nothing has to be undone.
 *
 * Costs a call two loads.  Flag values are those of the C library's own libio.h.
 */
#include "core/sched/sync.h"
#include "interpose/interpose.h"

#define F_UNBUFFERED 0x0002
#define F_LINE_BUF   0x0200

struct out {
    FILE *fp;
    const char *end; /* of what was in the buffer before the call */
};

/* The operations of libc's streams on descriptors, narrow and wide. */
extern const char _IO_file_jumps[], _IO_wfile_jumps[];

/* Does the stream write to a descriptor?  Its operations say so, which follow the public part;
 * _fileno is not set in a stream into memory. */
static bool has_descriptor(const FILE *fp)
{
    const char *jumps = *(const char *const *)(fp + 1);
    return jumps == _IO_file_jumps || jumps == _IO_wfile_jumps;
}

static inline bool direct(const FILE *fp)
{
    return fp->_flags & (F_UNBUFFERED | F_LINE_BUF) && has_descriptor(fp);
}

/* The buffer has been written out: what is in it now begins further down.  Streams into memory and
 * of fopencookie have no descriptor; those of popen are left to the write inside libc. */
static inline bool flushed(const struct out *o)
{
    return o->fp->_IO_write_ptr < o->end && has_descriptor(o->fp);
}

static GT_NOINLINE void cancel_here(struct gt_g *g)
{
    gt_testcancel(g);
}

static inline struct out before_write(FILE *fp)
{
    struct gt_g *g = gt_self();
    if (unlikely(g && gt_cancel_due(g)) && direct(fp))
        cancel_here(g);
    return (struct out){fp, fp->_IO_write_ptr};
}

/* libc cannot be interrupted inside (the stream's lock is held there): who prints without end gives
 * way here. */
static GT_NOINLINE void attend(struct gt_g *g, const struct out *o)
{
    gt_rt_enter(g);
    gt_rt_leave(g);
    if (gt_cancel_due(g) && (direct(o->fp) || flushed(o)))
        gt_testcancel(g);
}

static inline void after_write(const struct out *o)
{
    struct gt_g *g = gt_self();
    if (unlikely(g && load_rlx(&g->attention)))
        attend(g, o);
}

#define WRITES(ret, name, params, args, stream)                                                    \
    ret name params;                                                                               \
    GT_EXPORT ret name params                                                                      \
    {                                                                                              \
        struct out o = before_write(stream);                                                       \
        ret r = REAL(name) args;                                                                   \
        after_write(&o);                                                                           \
        return r;                                                                                  \
    }

/* clang-format off */
WRITES(int, fputc, (int c, FILE *fp), (c, fp), fp)
WRITES(int, putc, (int c, FILE *fp), (c, fp), fp)
WRITES(int, _IO_putc, (int c, FILE *fp), (c, fp), fp)
WRITES(int, putchar, (int c), (c), stdout)
WRITES(int, fputs, (const char *s, FILE *fp), (s, fp), fp)
WRITES(int, puts, (const char *s), (s), stdout)
WRITES(size_t, fwrite, (const void *p, size_t size, size_t n, FILE *fp), (p, size, n, fp), fp)
WRITES(wint_t, fputwc, (wchar_t c, FILE *fp), (c, fp), fp)
WRITES(int, fputws, (const wchar_t *s, FILE *fp), (s, fp), fp)
WRITES(int, vfprintf, (FILE *fp, const char *fmt, va_list ap), (fp, fmt, ap), fp)
WRITES(int, vprintf, (const char *fmt, va_list ap), (fmt, ap), stdout)
WRITES(int, __vfprintf_chk, (FILE *fp, int flag, const char *fmt, va_list ap),
       (fp, flag, fmt, ap), fp)
WRITES(int, __vprintf_chk, (int flag, const char *fmt, va_list ap), (flag, fmt, ap), stdout)
/* clang-format on */

#define FORMATS(name, params, call, last)                                                          \
    int name params;                                                                               \
    GT_EXPORT int name params                                                                      \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, last);                                                                        \
        int r = call;                                                                              \
        va_end(ap);                                                                                \
        return r;                                                                                  \
    }

FORMATS(fprintf, (FILE * fp, const char *fmt, ...), vfprintf(fp, fmt, ap), fmt)
FORMATS(printf, (const char *fmt, ...), vprintf(fmt, ap), fmt)
FORMATS(__fprintf_chk, (FILE * fp, int flag, const char *fmt, ...),
        __vfprintf_chk(fp, flag, fmt, ap), fmt)
FORMATS(__printf_chk, (int flag, const char *fmt, ...), __vprintf_chk(flag, fmt, ap), fmt)

GT_EXPORT void perror(const char *s)
{
    struct out o = before_write(stderr);
    REAL(perror)(s);
    after_write(&o);
}

/* All streams, or one: something is written if anything is there. */
GT_EXPORT int fflush(FILE *fp)
{
    struct gt_g *g = gt_self();
    if (unlikely(g && gt_cancel_due(g)) &&
        (!fp || (fp->_IO_write_ptr > fp->_IO_write_base && has_descriptor(fp))))
        cancel_here(g);
    return REAL(fflush)(fp);
}
