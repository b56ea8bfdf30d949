/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Condition variables.  Ours lives in the first 8 bytes of the C library's 48; bits 0
 * (process-shared) and 1 (monotonic clock) of __wrefs stay as its initialiser wrote them.
 * Process-shared ones go to the C library.
 *
 * A cancelled waiter takes the mutex back before it unwinds, and only if no signal had chosen it.
 * Built with
 * -fexceptions: a signal handler that runs during the wait may leave by pthread_exit.
 */
#include "interpose/pobj.h"

_Static_assert(offsetof(pthread_cond_t, __data.__wrefs) == 36, "wrefs is at its place");
_Static_assert(sizeof(struct gt_cond) <= 36, "our words end before wrefs");

static inline struct gt_cond *cond_of(pthread_cond_t *pc)
{
    return (struct gt_cond *)pc;
}

static inline bool is_shared(const pthread_cond_t *pc)
{
    return pc->__data.__wrefs & 1;
}

static int clock_of(const pthread_cond_t *pc)
{
    return pc->__data.__wrefs & 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

struct wait_frame {
    struct gt_cond *c; /* NULL: not counted as a waiter any more */
    struct gt_cond_waiter cw;
};

static void frame_leave(struct wait_frame *f)
{
    if (!f->c)
        return;
    struct gt_g *g = gt_sync_enter();
    gt_cond_forget(f->c);
    gt_sync_leave(g);
}

/* Sleeps until signalled (0), timed out or cancelled (-ECANCELED). */
static int wait_sleep(struct gt_g *g, struct wait_frame *f, int64_t when)
{
    for (;;) {
        int r = gt_cond_sleep(f->c, &f->cw, when, GT_PARK_INTR);
        if (r != -EINTR)
            return r;
        if (g && gt_cancel_due(g)) {
            gt_cond_forget(f->c);
            return -ECANCELED;
        }
        if (g)
            gt_run_signals(g);
        if (!gt_cond_again(f->c, &f->cw))
            return 0;
    }
}

static int wait_private(pthread_cond_t *pc, pthread_mutex_t *pm, int64_t when)
{
    struct wait_frame f __attribute__((cleanup(frame_leave))) = {.c = NULL};
    struct gt_g *g = gt_self();
    int e = gt_pm_may_unlock(pm), r;
    if (e != 0)
        return e;
    gt_cancel_point(g);
    gt_sync_enter();
    gt_cond_begin(cond_of(pc), &f.cw, gt_pm_word(pm));
    f.c = cond_of(pc);
    e = gt_pm_wait_unlock(pm);
    /* a process-shared mutex that is not ours: leave the queue, as if the time had come */
    r = e == 0 ? wait_sleep(g, &f, when) : gt_cond_sleep(f.c, &f.cw, 0, 0);
    f.c = NULL;
    if (e == 0)
        e = gt_pm_wait_lock(pm, g, gt_cond_has_mutex(&f.cw));
    gt_sync_leave(g);
    if (r == -ECANCELED) {
        gt_testcancel(g);
        r = 0; /* disabled meanwhile: a wake-up without a signal */
    }
    return e != 0 ? e : -r;
}

static int wait_shared(pthread_cond_t *pc, pthread_mutex_t *pm, int clock,
                       const struct timespec *abs)
{
    struct gt_g *g = gt_self();
    gt_cancel_point(g);
    GT_SHARED(call, g, GT_W_MUTEX); /* the mutex may look at its owner */
    return abs ? GT_ANNOUNCED_OPEN(REAL(pthread_cond_clockwait)(pc, pm, clock, abs))
               : GT_ANNOUNCED_OPEN(REAL(pthread_cond_wait)(pc, pm));
}

static int wait_any(pthread_cond_t *pc, pthread_mutex_t *pm, int clock, const struct timespec *abs)
{
    int64_t when;
    if (gt_until(clock, abs, &when) != 0)
        return EINVAL;
    return unlikely(is_shared(pc)) ? wait_shared(pc, pm, clock, abs) : wait_private(pc, pm, when);
}

GT_EXPORT int pthread_cond_wait(pthread_cond_t *pc, pthread_mutex_t *pm)
{
    return wait_any(pc, pm, CLOCK_REALTIME, NULL);
}

GT_EXPORT int pthread_cond_timedwait(pthread_cond_t *pc, pthread_mutex_t *pm,
                                     const struct timespec *abs)
{
    return wait_any(pc, pm, clock_of(pc), abs);
}

GT_EXPORT int pthread_cond_clockwait(pthread_cond_t *pc, pthread_mutex_t *pm, clockid_t clock,
                                     const struct timespec *abs)
{
    return gt_clock_ok(clock) ? wait_any(pc, pm, clock, abs) : EINVAL;
}

GT_EXPORT int pthread_cond_signal(pthread_cond_t *pc)
{
    if (unlikely(is_shared(pc)))
        return REAL(pthread_cond_signal)(pc);
    if (load_rlx(&cond_of(pc)->nwait) == 0)
        return 0;
    struct gt_g *g = gt_sync_enter();
    gt_cond_signal(cond_of(pc));
    gt_sync_leave(g);
    return 0;
}

GT_EXPORT int pthread_cond_broadcast(pthread_cond_t *pc)
{
    if (unlikely(is_shared(pc)))
        return REAL(pthread_cond_broadcast)(pc);
    if (load_rlx(&cond_of(pc)->nwait) == 0)
        return 0;
    struct gt_g *g = gt_sync_enter();
    gt_cond_broadcast(cond_of(pc));
    gt_sync_leave(g);
    return 0;
}

GT_EXPORT int pthread_cond_destroy(pthread_cond_t *pc)
{
    if (unlikely(is_shared(pc)))
        return GT_ANNOUNCED(REAL(pthread_cond_destroy)(pc));
    struct gt_g *g = gt_sync_enter();
    gt_cond_drain(cond_of(pc));
    gt_sync_leave(g);
    return 0;
}
