/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Semaphores, in the C library's layout: value and number of waiters in one 64-bit word, then 0
 * (private) or 128 (shared, as all that sem_open makes).  init, open, getvalue and destroy are the
 * C library's.  Shared ones follow its protocol with our own futex calls, so that they are
 * interruptible like the private ones.
 */
#include "interpose/pobj.h"

struct sem_words {
    _Atomic uint64_t data;
    int shared;
};
_Static_assert(offsetof(struct sem_words, shared) == 8, "shared is at its place");

static inline struct sem_words *words_of(sem_t *sem)
{
    return (struct sem_words *)sem;
}

/* 0 or an error number. */
static GT_NOINLINE int wait_slow(sem_t *sem, int64_t when)
{
    struct sem_words *s = words_of(sem);
    struct gt_g *g = gt_sync_enter();
    int r;
    do { /* a wait with a time limit is never restarted */
        r = gt_sem_wait(&s->data, s->shared != 0, when);
    } while (r == -EINTR && g && !gt_intr(g, when < 0));
    gt_sync_leave(g);
    return -r;
}

/* point: a cancellation point also where it need not wait. */
static int wait_any(sem_t *sem, int clock, const struct timespec *abs, bool point)
{
    int64_t when;
    if (gt_until(clock, abs, &when) != 0)
        return (int)gt_ret(-EINVAL);
    if (point)
        gt_cancel_point(gt_self());
    if (gt_sem_try(&words_of(sem)->data))
        return 0;
    gt_cancel_point(gt_self());
    int e = wait_slow(sem, when);
    return e == 0 ? 0 : (int)gt_ret(-e);
}

GT_EXPORT int sem_wait(sem_t *sem)
{
    return wait_any(sem, CLOCK_REALTIME, NULL, true);
}

GT_EXPORT int sem_timedwait(sem_t *sem, const struct timespec *abs)
{
    return wait_any(sem, CLOCK_REALTIME, abs, true);
}

/* libc's is a cancellation point only where it waits. */
GT_EXPORT int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *abs)
{
    return gt_clock_ok(clock) ? wait_any(sem, clock, abs, false) : (int)gt_ret(-EINVAL);
}

GT_EXPORT int sem_trywait(sem_t *sem)
{
    return gt_sem_try(&words_of(sem)->data) ? 0 : (int)gt_ret(-EAGAIN);
}

GT_EXPORT int sem_post(sem_t *sem)
{
    struct sem_words *s = words_of(sem);
    int r = gt_sem_post(&s->data, s->shared != 0);
    return likely(r == 0) ? 0 : (int)gt_ret(r);
}
