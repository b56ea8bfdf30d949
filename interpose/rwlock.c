/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reader-writer locks.  Our word is the C library's first one; the writer's id stays in
 * __cur_writer, and __shared and __flags (the preference) stay as its initialisers wrote them.
 * Process-shared locks go to the C library, and wire their user while they are held (PITFALLS 9).
 */
#include "interpose/pobj.h"

_Static_assert(offsetof(pthread_rwlock_t, __data.__shared) == 28, "shared is at its place");
_Static_assert(offsetof(pthread_rwlock_t, __data.__flags) == 48, "flags is at its place");

enum how { LOCK, TRY };

static inline _Atomic uint32_t *word_of(pthread_rwlock_t *rw)
{
    return (_Atomic uint32_t *)&rw->__data.__readers;
}

static inline bool is_shared(const pthread_rwlock_t *rw)
{
    return rw->__data.__shared != 0;
}

static inline bool prefers_writer(const pthread_rwlock_t *rw)
{
    return rw->__data.__flags == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP;
}

static inline int writer_of(const pthread_rwlock_t *rw)
{
    return __atomic_load_n(&rw->__data.__cur_writer, __ATOMIC_RELAXED);
}

static inline void set_writer(pthread_rwlock_t *rw, int tid)
{
    __atomic_store_n(&rw->__data.__cur_writer, tid, __ATOMIC_RELAXED);
}

/* ---- process-shared ---- */

static int real_read(pthread_rwlock_t *rw, int clock, const struct timespec *abs)
{
    if (!abs)
        return GT_ANNOUNCED_OPEN(REAL(pthread_rwlock_rdlock)(rw));
    return GT_ANNOUNCED_OPEN(REAL(pthread_rwlock_clockrdlock)(rw, clock, abs));
}

static int real_write(pthread_rwlock_t *rw, int clock, const struct timespec *abs)
{
    if (!abs)
        return GT_ANNOUNCED_OPEN(REAL(pthread_rwlock_wrlock)(rw));
    return GT_ANNOUNCED_OPEN(REAL(pthread_rwlock_clockwrlock)(rw, clock, abs));
}

static int shared_lock(pthread_rwlock_t *rw, bool writer, enum how how, int clock,
                       const struct timespec *abs)
{
    GT_SHARED(call, gt_self(), GT_W_RWLOCK);
    int e = writer ? REAL(pthread_rwlock_trywrlock)(rw) : REAL(pthread_rwlock_tryrdlock)(rw);
    if (e == EBUSY && how == LOCK)
        e = writer ? real_write(rw, clock, abs) : real_read(rw, clock, abs);
    call.held = e == 0;
    return e;
}

static int shared_unlock(pthread_rwlock_t *rw)
{
    struct gt_g *g = gt_self();
    gt_shared_begin(g, GT_W_RWLOCK);
    int e = REAL(pthread_rwlock_unlock)(rw);
    gt_shared_end(g, e == 0 ? -1 : 0);
    return e;
}

/* ---- private ---- */

static GT_NOINLINE int read_any(pthread_rwlock_t *rw, enum how how, int clock,
                                const struct timespec *abs)
{
    int64_t when;
    if (gt_until(clock, abs, &when) != 0)
        return EINVAL;
    if (is_shared(rw))
        return shared_lock(rw, false, how, clock, abs);
    bool prefer = prefers_writer(rw);
    int r = gt_rwlock_tryread(word_of(rw), prefer);
    if (r != -EBUSY || how == TRY)
        return -r;
    if (writer_of(rw) == gt_owner_self())
        return EDEADLK;
    struct gt_g *g = gt_sync_enter();
    r = gt_rwlock_read_slow(word_of(rw), prefer, when);
    gt_sync_leave(g);
    return -r;
}

static GT_NOINLINE int write_any(pthread_rwlock_t *rw, enum how how, int clock,
                                 const struct timespec *abs)
{
    int64_t when;
    int r = 0, self = gt_owner_self();
    if (gt_until(clock, abs, &when) != 0)
        return EINVAL;
    if (is_shared(rw))
        return shared_lock(rw, true, how, clock, abs);
    if (gt_rwlock_trywrite(word_of(rw))) {
        set_writer(rw, self);
        return 0;
    }
    if (how == TRY)
        return EBUSY;
    if (writer_of(rw) == self)
        return EDEADLK;
    struct gt_g *g = gt_sync_enter();
    r = gt_rwlock_write_slow(word_of(rw), prefers_writer(rw), when);
    if (r == 0)
        set_writer(rw, self);
    gt_sync_leave(g);
    return -r;
}

GT_EXPORT int pthread_rwlock_rdlock(pthread_rwlock_t *rw)
{
    if (unlikely(is_shared(rw)) || gt_rwlock_tryread(word_of(rw), prefers_writer(rw)) != 0)
        return read_any(rw, LOCK, CLOCK_REALTIME, NULL);
    return 0;
}

GT_EXPORT int pthread_rwlock_wrlock(pthread_rwlock_t *rw)
{
    return write_any(rw, LOCK, CLOCK_REALTIME, NULL);
}

GT_EXPORT int pthread_rwlock_tryrdlock(pthread_rwlock_t *rw)
{
    return read_any(rw, TRY, CLOCK_REALTIME, NULL);
}

GT_EXPORT int pthread_rwlock_trywrlock(pthread_rwlock_t *rw)
{
    return write_any(rw, TRY, CLOCK_REALTIME, NULL);
}

GT_EXPORT int pthread_rwlock_timedrdlock(pthread_rwlock_t *rw, const struct timespec *abs)
{
    return read_any(rw, LOCK, CLOCK_REALTIME, abs);
}

GT_EXPORT int pthread_rwlock_timedwrlock(pthread_rwlock_t *rw, const struct timespec *abs)
{
    return write_any(rw, LOCK, CLOCK_REALTIME, abs);
}

GT_EXPORT int pthread_rwlock_clockrdlock(pthread_rwlock_t *rw, clockid_t clock,
                                         const struct timespec *abs)
{
    return gt_clock_ok(clock) ? read_any(rw, LOCK, clock, abs) : EINVAL;
}

GT_EXPORT int pthread_rwlock_clockwrlock(pthread_rwlock_t *rw, clockid_t clock,
                                         const struct timespec *abs)
{
    return gt_clock_ok(clock) ? write_any(rw, LOCK, clock, abs) : EINVAL;
}

GT_EXPORT int pthread_rwlock_unlock(pthread_rwlock_t *rw)
{
    if (unlikely(is_shared(rw)))
        return shared_unlock(rw);
    _Atomic uint32_t *word = word_of(rw);
    bool prefer = prefers_writer(rw);
    if (load_rlx(word) & GT_RW_WRITER) {
        set_writer(rw, 0);
        if (likely(gt_rwlock_tryunwrite(word)))
            return 0;
    } else if (likely(gt_rwlock_tryunread(word))) {
        return 0;
    }
    struct gt_g *g = gt_sync_enter();
    gt_rwlock_unlock_slow(word, prefer);
    gt_sync_leave(g);
    return 0;
}

GT_ALIAS(__pthread_rwlock_rdlock, pthread_rwlock_rdlock);
GT_ALIAS(__pthread_rwlock_wrlock, pthread_rwlock_wrlock);
GT_ALIAS(__pthread_rwlock_tryrdlock, pthread_rwlock_tryrdlock);
GT_ALIAS(__pthread_rwlock_trywrlock, pthread_rwlock_trywrlock);
GT_ALIAS(__pthread_rwlock_unlock, pthread_rwlock_unlock);
