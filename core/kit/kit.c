/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Locks, messages, fatal errors.  Nothing here allocates or touches errno; all may run on any stack
 * and in a signal handler, but a lock must not be taken there.
 */
#include "core/kit/kit.h"
#include "core/os/os.h"
#include "core/os/sys.h"

_Atomic uint64_t gt_stats[GT_STAT_COUNT];
void (*gt_fatal_dump)(void);

#define LOCK_SPINS 60

#ifdef GT_DEBUG
/* The ranks that this thread holds, a bit each.  Die on a wrong order, naming both. */
static __thread uint32_t held __attribute__((tls_model("initial-exec")));

static void take_rank(enum gt_rank rank)
{
    if (rank != GT_RANK_NONE && (held >> rank))
        if (!(rank == GT_RANK_SEMA && held >> rank == 1)) /* two buckets, in address order */
            gt_fatal("lock order: taken, held", rank, (long)held);
    held |= rank == GT_RANK_NONE ? 0 : 1u << rank;
}

static void drop_rank(enum gt_rank rank)
{
    held &= rank == GT_RANK_NONE ? ~0u : ~(1u << rank);
}
#else
static inline void take_rank(enum gt_rank rank)
{
    (void)rank;
}

static inline void drop_rank(enum gt_rank rank)
{
    (void)rank;
}
#endif

/* word: 0 free, 1 held, 2 held and somebody may sleep.  Source: futexes are tricky (Drepper),
 * mutex 2. */
void gt_lock(struct gt_lock *l, enum gt_rank rank)
{
    uint32_t v = 0;
    take_rank(rank);
    if (likely(cas_acq(&l->word, &v, 1)))
        return;
    for (int i = 0; i < LOCK_SPINS; i++) {
        gt_arch_relax();
        v = 0;
        if (load_rlx(&l->word) == 0 && cas_acq(&l->word, &v, 1))
            return;
    }
    while (xchg_acq(&l->word, 2) != 0)
        gt_futex_wait(&l->word, 2, GT_NEVER);
}

bool gt_trylock(struct gt_lock *l, enum gt_rank rank)
{
    uint32_t v = 0;
    if (!cas_acq(&l->word, &v, 1))
        return false;
    take_rank(rank);
    return true;
}

void gt_unlock(struct gt_lock *l, enum gt_rank rank)
{
    drop_rank(rank);
    if (unlikely(xchg_rel(&l->word, 0) == 2))
        gt_futex_wake(&l->word, 1);
}

/* One character into a bounded buffer. */
struct out {
    char *p, *end;
};

static void put(struct out *o, char c)
{
    if (o->p < o->end)
        *o->p++ = c;
}

static void put_num(struct out *o, uint64_t v, unsigned base, bool neg, int width, bool zero)
{
    char tmp[24];
    int n = 0;
    do
        tmp[n++] = "0123456789abcdef"[v % base];
    while (v /= base);
    int total = n + neg;
    if (neg && zero)
        put(o, '-');
    for (int i = total; i < width; i++)
        put(o, zero ? '0' : ' ');
    if (neg && !zero)
        put(o, '-');
    while (n)
        put(o, tmp[--n]);
}

size_t gt_vsnprintf(char *buf, size_t n, const char *fmt, va_list ap)
{
    struct out o = {buf, buf + (n ? n - 1 : 0)};
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        bool zero = *++fmt == '0';
        int width = 0, longs = 0;
        while (*fmt >= '0' && *fmt <= '9')
            width = width * 10 + (*fmt++ - '0');
        while (*fmt == 'l' || *fmt == 'z')
            longs++, fmt++;
        switch (*fmt) {
        case 'd': {
            int64_t v = longs ? va_arg(ap, long) : va_arg(ap, int);
            put_num(&o, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, width, zero);
            break;
        }
        case 'u':
            put_num(&o, longs ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), 10, false, width,
                    zero);
            break;
        case 'x':
            put_num(&o, longs ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), 16, false, width,
                    zero);
            break;
        case 'p':
            put(&o, '0');
            put(&o, 'x');
            put_num(&o, (uintptr_t)va_arg(ap, void *), 16, false, width, zero);
            break;
        case 's': {
            const char *s = va_arg(ap, const char *);
            for (s = s ? s : "(null)"; *s; s++, width--)
                put(&o, *s);
            while (width-- > 0)
                put(&o, ' ');
            break;
        }
        case 'c':
            put(&o, (char)va_arg(ap, int));
            break;
        case '\0':
            fmt--;
            break;
        default:
            put(&o, *fmt);
        }
    }
    if (n)
        *o.p = '\0';
    return (size_t)(o.p - buf);
}

size_t gt_snprintf(char *buf, size_t n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t r = gt_vsnprintf(buf, n, fmt, ap);
    va_end(ap);
    return r;
}

void gt_printf(const char *fmt, ...)
{
    char buf[1024];
    va_list ap;
    va_start(ap, fmt);
    size_t n = gt_vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    sys_write(2, buf, n);
}

void gt_warn(const char *fmt, ...)
{
    char buf[1024] = "gothread: ";
    va_list ap;
    va_start(ap, fmt);
    size_t n = gt_vsnprintf(buf + 10, sizeof(buf) - 11, fmt, ap) + 10;
    va_end(ap);
    buf[n++] = '\n';
    sys_write(2, buf, n);
}

void gt_fatal(const char *what, long a, long b)
{
    static _Atomic uint32_t once;
    gt_printf("gothread: fatal error: %s %ld %ld\n", what, a, b);
    if (!xchg_acqrel(&once, 1) && gt_fatal_dump)
        gt_fatal_dump();
    struct gt_ksigaction dfl = {0};
    gt_sigset set = 1ull << (SIGABRT - 1);
    sys_sigaction(SIGABRT, &dfl, NULL);
    sys_sigprocmask(SIG_UNBLOCK, &set, NULL);
    sys_tgkill(sys_getpid(), sys_gettid(), SIGABRT);
    for (;;)
        GT_SYS3(SYS_exit_group, 134, 0, 0);
}
