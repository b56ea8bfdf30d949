/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Clocks, and what a thread has used: clock_gettime, clock_getres, pthread_getcpuclockid,
 * getrusage.   Sources: POSIX clock_getres(3p), pthread_getcpuclockid(3p); getrusage(2).
 *
 * The CPU clock of a goroutine is cputime.c's.  Its id is built from the goroutine's tid as the
 * kernel builds those of its threads (~tid << 3 | 6), so ids of ours and the kernel's never meet:
 * our tids begin above all of the kernel's.  All other clocks are the kernel's own, through the
 * vDSO, in a tail call: every reading of the time in the process comes by here.
 */
#include "core/sched/cputime.h"
#include "interpose/pobj.h"
#include "interpose/thread.h"

#include <sys/resource.h>

#define CPU_CLOCK_BITS  6 /* per thread, by the scheduler's count: the kernel's posix-timers.h */
#define CPU_CLOCK_MASK  7
#define CPU_CLOCK_SHIFT 3

bool gt_is_own_cpu_clock(clockid_t id)
{
    return id == CLOCK_THREAD_CPUTIME_ID ||
           id == (clockid_t)(~0u << CPU_CLOCK_SHIFT | CPU_CLOCK_BITS);
}

struct gt_g *gt_cpu_clock_g(clockid_t id)
{
    if (gt_is_own_cpu_clock(id))
        return gt_self();
    if ((id & CPU_CLOCK_MASK) != CPU_CLOCK_BITS || id >= 0)
        return NULL;
    return gt_g_by_tid((int)~((unsigned)id >> CPU_CLOCK_SHIFT | 7u << 29));
}

int64_t gt_cpu_clock(struct gt_g *g)
{
    struct gt_g *self = gt_sync_enter();
    int64_t ns = gt_cpu_time(g);
    gt_sync_leave(self);
    return ns;
}

static GT_NOINLINE int gettime_slow(clockid_t id, struct timespec *ts)
{
    struct gt_g *g = id < 0 || id == CLOCK_THREAD_CPUTIME_ID ? gt_cpu_clock_g(id) : NULL;
    int64_t ns = g ? gt_cpu_clock(g) : -1;
    if (ns < 0) /* the kernel's; or of one that has ended: EINVAL from there too */
        return (int)gt_ret(GT_SYS3(SYS_clock_gettime, id, ts, 0));
    ts->tv_sec = ns / GT_SEC;
    ts->tv_nsec = ns % GT_SEC;
    return 0;
}

/* The clocks of the vDSO: one test, then its call. */
#define VDSO_CLOCKS                                                                                \
    (1u << CLOCK_REALTIME | 1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW |                    \
     1u << CLOCK_REALTIME_COARSE | 1u << CLOCK_MONOTONIC_COARSE | 1u << CLOCK_BOOTTIME |           \
     1u << CLOCK_TAI)

GT_EXPORT int clock_gettime(clockid_t id, struct timespec *ts)
{
    if (likely((unsigned)id < 32 && (VDSO_CLOCKS >> id & 1)) &&
        likely(gt_vdso_gettime(id, ts) == 0))
        return 0;
    return gettime_slow(id, ts);
}
GT_ALIAS(__clock_gettime, clock_gettime);

GT_EXPORT int clock_getres(clockid_t id, struct timespec *ts)
{
    struct gt_g *g = id < 0 ? gt_cpu_clock_g(id) : NULL;
    return (int)gt_ret(GT_SYS3(SYS_clock_getres, g ? CLOCK_THREAD_CPUTIME_ID : id, ts, 0));
}

GT_EXPORT int pthread_getcpuclockid(pthread_t t, clockid_t *id)
{
    struct gt_g *g = gt_g_of((void *)t);
    if (!g)
        return REAL(pthread_getcpuclockid)(t, id);
    if (load_acq(&g->status) == GT_G_DEAD)
        return ESRCH;
    *id = (clockid_t)(~(unsigned)g->tid << CPU_CLOCK_SHIFT | CPU_CLOCK_BITS);
    return 0;
}

/* What the kernel says of the thread that runs us, with the times and the switches of the
 * goroutine: user and system share its time as they do the kernel thread's. */
static void rusage_of(struct gt_g *g, struct rusage *ru)
{
    int64_t us = gt_cpu_clock(g) / GT_US;
    int64_t user = ru->ru_utime.tv_sec * 1000000 + ru->ru_utime.tv_usec;
    int64_t sys = ru->ru_stime.tv_sec * 1000000 + ru->ru_stime.tv_usec;
    user = user + sys > 0 ? (int64_t)((__int128)us * user / (user + sys)) : us;
    ru->ru_utime = (struct timeval){.tv_sec = user / 1000000, .tv_usec = user % 1000000};
    sys = us - user;
    ru->ru_stime = (struct timeval){.tv_sec = sys / 1000000, .tv_usec = sys % 1000000};
    ru->ru_nvcsw = (long)g->nvcsw;
    ru->ru_nivcsw = (long)g->nivcsw;
}

GT_EXPORT int getrusage(__rusage_who_t who, struct rusage *ru)
{
    struct gt_g *g = who == RUSAGE_THREAD ? gt_self() : NULL;
    long r = GT_SYS3(SYS_getrusage, who, ru, 0);
    if (g && r == 0)
        rusage_of(g, ru);
    return (int)gt_ret(r);
}
