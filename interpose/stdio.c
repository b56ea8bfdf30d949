/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading from streams.  The C library reads inside itself, where we see nothing; so before a call
 * that will have to fill the buffer from a pipe, socket or terminal, the goroutine waits for data
 * in the poller, the stream's lock not held.  Then the real function reads what is there.  One
 * that wants more than that blocks unannounced.
 *
 * Several threads may read one stream.  Whoever is about to park asks, in this order: is the
 * descriptor readable; is the stream locked (somebody is filling it: go and queue for its lock);
 * is there anything in the buffer.  Data that another reader took off the descriptor after the
 * readiness sequence was sampled is found by one of the three.  Data that comes later makes an edge
 * that the poller may not see: a reader who waits inside the C library takes all of it at once, and
 * then the descriptor is not readable.  So whoever leaves data in the buffer, and finds others in
 * calls on the descriptor, wakes one of them.  Who looked at the buffer before it was filled is in
 * such a call since before it had the stream's lock for that, so it is seen.
 *
 * Flag values are those of the C library's own libio.h, unchanged since 2.0.
 */
#include "interpose/io.h"

#undef fread_unlocked

#define F_UNBUFFERED 0x0002
#define F_NO_READS   0x0004
#define F_EOF_SEEN   0x0010
#define F_IN_BACKUP  0x0100
#define F_LINE_BUF   0x0200

/* Of libio's struct _IO_wide_data: what it opens with. */
struct wide_data {
    wchar_t *read_ptr, *read_end;
};

/* A wide stream has a second buffer, of characters; when that is empty, bytes that are left may yet
 * not make a character, and then the call waits unannounced. */
static inline bool has_data(const FILE *fp)
{
    const struct wide_data *w = (const void *)fp->_wide_data;
    return fp->_IO_read_ptr < fp->_IO_read_end || (fp->_mode > 0 && w->read_ptr < w->read_end);
}

static long try_fill(struct gt_io *io, void *arg)
{
    FILE *fp = arg;
    struct pollfd p = {.fd = io->fd, .events = POLLIN};
    if (sys_poll(&p, 1, 0) != 0 || io->announce)
        return 0; /* also on EINTR and errors: the real call will see */
    if (ftrylockfile(fp) != 0)
        return 0;
    bool data = has_data(fp);
    funlockfile(fp);
    return data ? 0 : -EAGAIN;
}

/* What the C library does before it reads from a terminal: the prompt must be seen. */
static void flush_prompt(const FILE *fp, bool tty)
{
    bool asks = fp->_flags & (F_UNBUFFERED | F_LINE_BUF) || (!fp->_IO_buf_base && tty);
    if (asks && stdout->_flags & F_LINE_BUF && stdout->_IO_write_ptr > stdout->_IO_write_base)
        fflush(stdout);
}

static GT_NOINLINE void fill_wait(struct gt_g *g, FILE *fp)
{
    int fd = fp->_fileno;
    if (fd < 0 || fp->_flags & (F_NO_READS | F_EOF_SEEN | F_IN_BACKUP) || gt_io_plain(fd))
        return;
    struct gt_io io;
    GT_CANCEL_POINT(g);
    gt_rt_enter(g);
    gt_io_begin(&io, g, fd, GT_POLL_READ);
    uint32_t kind = gt_io_kind(&io);
    gt_io_end(&io);
    gt_rt_leave(g);
    if (kind == GT_FD_FILE || kind == GT_FD_OTHER)
        return;
    flush_prompt(fp, kind == GT_FD_TTY);
    gt_rt_enter(g);
    gt_io_begin(&io, g, fd, GT_POLL_READ);
    gt_io_run(&io, try_fill, fp);
    gt_rt_leave(g);
}

/* Before a read of fp: one comparison when the buffer has something. */
static inline void before_read(FILE *fp)
{
    if (likely(has_data(fp)))
        return;
    struct gt_g *g = gt_self();
    if (g)
        fill_wait(g, fp);
}

static GT_NOINLINE void pass_on(struct gt_g *g, int fd)
{
    if (g)
        gt_rt_enter(g);
    struct gt_pollfd *pd = gt_netpoll_get(fd);
    if (pd) {
        gt_netpoll_again(pd, GT_POLL_READ);
        gt_netpoll_put(pd);
    }
    if (g)
        gt_rt_leave(g);
}

/* After a read of fp, on any thread. */
static inline void after_read(FILE *fp)
{
    if (!has_data(fp) || !gt_fd_ours())
        return;
    struct gt_pollfd *pd = gt_netpoll_peek(fp->_fileno);
    if (unlikely(pd && load_acq(&pd->refs)))
        pass_on(gt_self(), fp->_fileno);
}

#define READS(ret, name, params, args, fp)                                                         \
    ret name params;                                                                               \
    GT_EXPORT ret name params                                                                      \
    {                                                                                              \
        before_read(fp);                                                                           \
        ret r_ = REAL(name) args;                                                                  \
        after_read(fp);                                                                            \
        return r_;                                                                                 \
    }

/* clang-format off */
READS(size_t, fread, (void *p, size_t size, size_t n, FILE *fp), (p, size, n, fp), fp)
READS(size_t, fread_unlocked, (void *p, size_t size, size_t n, FILE *fp), (p, size, n, fp), fp)
READS(size_t, _IO_fread, (void *p, size_t size, size_t n, FILE *fp), (p, size, n, fp), fp)
READS(size_t, __fread_chk, (void *p, size_t room, size_t size, size_t n, FILE *fp),
      (p, room, size, n, fp), fp)
READS(size_t, __fread_unlocked_chk, (void *p, size_t room, size_t size, size_t n, FILE *fp),
      (p, room, size, n, fp), fp)
READS(char *, fgets, (char *s, int n, FILE *fp), (s, n, fp), fp)
READS(char *, fgets_unlocked, (char *s, int n, FILE *fp), (s, n, fp), fp)
READS(char *, _IO_fgets, (char *s, int n, FILE *fp), (s, n, fp), fp)
READS(char *, __fgets_chk, (char *s, size_t room, int n, FILE *fp), (s, room, n, fp), fp)
READS(char *, __fgets_unlocked_chk, (char *s, size_t room, int n, FILE *fp), (s, room, n, fp), fp)
READS(int, fgetc, (FILE *fp), (fp), fp)
READS(int, fgetc_unlocked, (FILE *fp), (fp), fp)
READS(int, getc, (FILE *fp), (fp), fp)
READS(int, getc_unlocked, (FILE *fp), (fp), fp)
READS(int, _IO_getc, (FILE *fp), (fp), fp)
READS(int, __uflow, (FILE *fp), (fp), fp)
READS(int, __underflow, (FILE *fp), (fp), fp)
READS(int, getchar, (void), (), stdin)
READS(int, getchar_unlocked, (void), (), stdin)
READS(ssize_t, getline, (char **s, size_t *n, FILE *fp), (s, n, fp), fp)
READS(ssize_t, getdelim, (char **s, size_t *n, int c, FILE *fp), (s, n, c, fp), fp)
READS(ssize_t, __getdelim, (char **s, size_t *n, int c, FILE *fp), (s, n, c, fp), fp)
READS(wint_t, fgetwc, (FILE *fp), (fp), fp)
READS(wint_t, fgetwc_unlocked, (FILE *fp), (fp), fp)
READS(wint_t, getwc, (FILE *fp), (fp), fp)
READS(wint_t, getwc_unlocked, (FILE *fp), (fp), fp)
READS(wint_t, getwchar, (void), (), stdin)
READS(wint_t, getwchar_unlocked, (void), (), stdin)
READS(wint_t, __wuflow, (FILE *fp), (fp), fp)
READS(wint_t, __wunderflow, (FILE *fp), (fp), fp)
READS(wchar_t *, fgetws, (wchar_t *s, int n, FILE *fp), (s, n, fp), fp)
READS(wchar_t *, fgetws_unlocked, (wchar_t *s, int n, FILE *fp), (s, n, fp), fp)
READS(wchar_t *, __fgetws_chk, (wchar_t *s, size_t room, int n, FILE *fp), (s, room, n, fp), fp)
READS(wchar_t *, __fgetws_unlocked_chk, (wchar_t *s, size_t room, int n, FILE *fp),
      (s, room, n, fp), fp)
READS(int, __isoc99_vfwscanf, (FILE *fp, const wchar_t *fmt, va_list ap), (fp, fmt, ap), fp)
READS(int, __isoc99_vwscanf, (const wchar_t *fmt, va_list ap), (fmt, ap), stdin)
READS(int, __isoc99_vfscanf, (FILE *fp, const char *fmt, va_list ap), (fp, fmt, ap), fp)
READS(int, __isoc99_vscanf, (const char *fmt, va_list ap), (fmt, ap), stdin)
/* clang-format on */

/* The header gives these C names the C99 functions, so the old ones are reached by label. */
int gt_old_vfscanf(FILE *fp, const char *fmt, va_list ap) __asm__("vfscanf");
int gt_old_vscanf(const char *fmt, va_list ap) __asm__("vscanf");
int gt_old_fscanf(FILE *fp, const char *fmt, ...) __asm__("fscanf");
int gt_old_scanf(const char *fmt, ...) __asm__("scanf");
int __isoc99_fscanf(FILE *fp, const char *fmt, ...);
int __isoc99_scanf(const char *fmt, ...);

GT_EXPORT int gt_old_vfscanf(FILE *fp, const char *fmt, va_list ap)
{
    before_read(fp);
    int r = REAL(vfscanf)(fp, fmt, ap);
    after_read(fp);
    return r;
}

GT_EXPORT int gt_old_vscanf(const char *fmt, va_list ap)
{
    return gt_old_vfscanf(stdin, fmt, ap);
}

#define SCANS(name, params, v, fp, last)                                                           \
    GT_EXPORT int name params                                                                      \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, last);                                                                        \
        int r = v(fp, fmt, ap);                                                                    \
        va_end(ap);                                                                                \
        return r;                                                                                  \
    }
SCANS(gt_old_fscanf, (FILE * fp, const char *fmt, ...), gt_old_vfscanf, fp, fmt)
SCANS(gt_old_scanf, (const char *fmt, ...), gt_old_vfscanf, stdin, fmt)
SCANS(__isoc99_fscanf, (FILE * fp, const char *fmt, ...), __isoc99_vfscanf, fp, fmt)
SCANS(__isoc99_scanf, (const char *fmt, ...), __isoc99_vfscanf, stdin, fmt)

int __isoc99_fwscanf(FILE *fp, const wchar_t *fmt, ...);
int __isoc99_wscanf(const wchar_t *fmt, ...);
SCANS(__isoc99_fwscanf, (FILE * fp, const wchar_t *fmt, ...), __isoc99_vfwscanf, fp, fmt)
SCANS(__isoc99_wscanf, (const wchar_t *fmt, ...), __isoc99_vfwscanf, stdin, fmt)
