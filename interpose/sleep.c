/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sleeping on a clock, and giving way.  A goroutine that sleeps is parked with a deadline on the
 * monotonic or the realtime clock; other clocks are translated once, at the start.
 */
#include "core/sched/cputime.h"
#include "interpose/io.h"
#include "interpose/thread.h"

long gt_io_sleep(struct gt_g *g, int64_t when)
{
    if (when >= 0 && gt_deadline_ns(when) <= gt_nanotime()) {
        gt_gosched(g);
        return 0;
    }
    for (;;) {
        struct gt_parker *pk = gt_parker_self();
        uint64_t ticket = gt_park_begin(pk);
        if (gt_park(pk, ticket, GT_R_SLEEP, when, GT_PARK_INTR) != GT_WAKE_SIGNAL)
            return 0;
        if (gt_intr(g, false))
            return -EINTR;
    }
}

static bool bad_timespec(const struct timespec *ts)
{
    return ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= GT_SEC;
}

/* Relative sleep: 0, -EINTR with what is left in *rem, -EINVAL, -EFAULT. */
static long sleep_rel(struct gt_g *g, const struct timespec *req, struct timespec *rem)
{
    struct timespec ts;
    if (!gt_arch_copy_user(&ts, req, sizeof(ts)))
        return -EFAULT;
    if (bad_timespec(&ts))
        return -EINVAL;
    GT_CANCEL_POINT(g);
    gt_rt_enter(g);
    int64_t when = gt_deadline_rel(&ts);
    long r = gt_io_sleep(g, when);
    gt_rt_leave(g);
    if (r != -EINTR || !rem)
        return r;
    ts = gt_io_left(when);
    return gt_arch_copy_user(rem, &ts, sizeof(ts)) ? r : -EFAULT;
}

static int64_t clock_now(clockid_t clock)
{
    struct timespec ts = {0, 0};
    GT_SYS3(SYS_clock_gettime, clock, &ts, 0);
    return ts.tv_sec * GT_SEC + ts.tv_nsec;
}

static int64_t abs_deadline(clockid_t clock, const struct timespec *abs)
{
    int64_t when;
    if (clock == CLOCK_TAI) { /* whole seconds ahead of the realtime clock */
        int64_t off = clock_now(CLOCK_TAI) - clock_now(CLOCK_REALTIME) + GT_SEC / 2;
        struct timespec real = *abs;
        real.tv_sec = GT_MAX(real.tv_sec - off / GT_SEC, 0);
        return gt_deadline(CLOCK_REALTIME, &real, &when) ? when : 0;
    }
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) { /* as far ahead as its clock says */
        int64_t ahead = abs->tv_sec > GT_REALTIME / GT_SEC / 2
                            ? GT_REALTIME / 2
                            : abs->tv_sec * GT_SEC + abs->tv_nsec - clock_now(clock);
        return GT_MAX(gt_nanotime() + ahead, 0);
    }
    return gt_deadline(clock, abs, &when) ? GT_MAX(when, 0) : 0;
}

static long sleep_abs(struct gt_g *g, clockid_t clock, const struct timespec *abs)
{
    struct timespec ts;
    if (!gt_arch_copy_user(&ts, abs, sizeof(ts)))
        return -EFAULT;
    if (bad_timespec(&ts))
        return -EINVAL;
    GT_CANCEL_POINT(g);
    gt_rt_enter(g);
    long r = gt_io_sleep(g, abs_deadline(clock, &ts));
    gt_rt_leave(g);
    return r;
}

/* Until another goroutine has used so much CPU time: it can't use more than passes. */
static long sleep_cpu(struct gt_g *g, struct gt_g *of, int flags, const struct timespec *req,
                      struct timespec *rem)
{
    if (bad_timespec(req))
        return -EINVAL;
    int64_t until = req->tv_sec * GT_SEC + req->tv_nsec, now = gt_cpu_clock(of);
    long r = now < 0 ? -EINVAL : 0;
    until += flags & TIMER_ABSTIME ? 0 : now;
    GT_CANCEL_POINT(g);
    gt_rt_enter(g);
    while (r == 0 && now >= 0 && (now = gt_cpu_time(of)) >= 0 && now < until)
        r = gt_io_sleep(g, gt_nanotime() + GT_MAX(until - now, GT_MS));
    gt_rt_leave(g);
    if (r == -EINTR && rem && !(flags & TIMER_ABSTIME)) {
        int64_t left = GT_MAX(until - GT_MAX(now, 0), 0);
        *rem = (struct timespec){.tv_sec = left / GT_SEC, .tv_nsec = left % GT_SEC};
    }
    return r;
}

GT_EXPORT unsigned sleep(unsigned seconds)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(sleep)(seconds);
    struct timespec ts = {.tv_sec = seconds};
    return sleep_rel(g, &ts, &ts) == -EINTR ? (unsigned)ts.tv_sec : 0;
}

GT_EXPORT int usleep(useconds_t us)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(usleep)(us);
    struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    return (int)gt_io_ret(sleep_rel(g, &ts, NULL));
}

GT_EXPORT int nanosleep(const struct timespec *req, struct timespec *rem)
{
    struct gt_g *g = gt_self();
    return g ? (int)gt_io_ret(sleep_rel(g, req, rem)) : REAL(nanosleep)(req, rem);
}

int __nanosleep(const struct timespec *req, struct timespec *rem);
GT_EXPORT int __nanosleep(const struct timespec *req, struct timespec *rem)
{
    return nanosleep(req, rem);
}

/* Returns the error itself. */
GT_EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *req,
                              struct timespec *rem)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(clock_nanosleep)(clock, flags, req, rem);
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
        return (int)-(flags & TIMER_ABSTIME ? sleep_abs(g, clock, req) : sleep_rel(g, req, rem));
    default: {
        struct gt_g *of = gt_is_own_cpu_clock(clock) ? g : gt_cpu_clock_g(clock);
        if (of)
            return of == g ? EINVAL : (int)-sleep_cpu(g, of, flags, req, rem);
        /* a clock that we can't translate: the kernel waits */
        GT_CANCEL_POINT(g);
        gt_rt_enter(g);
        long r =
            gt_syscall_blocking(g, SYS_clock_nanosleep, clock, flags, (long)req, (long)rem, 0, 0);
        gt_rt_leave(g);
        return (int)-r;
    }
    }
}

GT_EXPORT int thrd_sleep(const struct timespec *req, struct timespec *rem)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(thrd_sleep)(req, rem);
    long r = sleep_rel(g, req, rem);
    return r == 0 ? 0 : r == -EINTR ? -1 : -2;
}

/* ---- giving way ---- */

static int give_way(struct gt_g *g)
{
    gt_rt_enter(g);
    bool ran = gt_gosched(g);
    gt_rt_leave(g);
    return ran ? 0 : sys_sched_yield();
}

GT_EXPORT int sched_yield(void)
{
    struct gt_g *g = gt_self();
    return g ? give_way(g) : REAL(sched_yield)();
}

int __sched_yield(void);
GT_EXPORT int __sched_yield(void)
{
    return sched_yield();
}

/* The header has it as another name of sched_yield; old programs import it. */
int gt_pthread_yield(void) __asm__("pthread_yield");
GT_EXPORT int gt_pthread_yield(void)
{
    return sched_yield();
}

GT_EXPORT void thrd_yield(void)
{
    sched_yield();
}
