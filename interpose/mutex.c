/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Mutexes of every kind, in the C library's own object: lock word, count, owner, number of users
 * and kind keep their places and meanings, so that static initialisers, init, destroy and
 * getprioceiling of the C library are right as they are.  The lock word's low bits follow sync.h;
 * a priority ceiling lies above.
 *
 * The kind is read before any fast path: process-shared, robust, priority-inheriting and
 * priority-protected mutexes belong to the C library's protocol (the kernel lends priorities and
 * releases what the dead hold).  When the word or the type names the owner, the goroutine is wired
 * while it holds one (PITFALLS 9).  The C library marks robust mutexes as process-shared.
 */
#include <limits.h>

#include "interpose/pobj.h"

#define KIND_TYPE    3
#define KIND_ROBUST  16
#define KIND_PI      32
#define KIND_PP      64
#define KIND_SHARED  128
#define KIND_ELISION (256 | 512) /* ignored: no transactional memory */
#define KIND_ALL     (KIND_TYPE | KIND_ROBUST | KIND_PI | KIND_PP | KIND_SHARED | KIND_ELISION)

#define PTHREAD_MUTEX_INCONSISTENT INT_MAX

/* What the C library's own functions do. */
#define KIND_LIBC (KIND_SHARED | KIND_ROBUST | KIND_PI | KIND_PP)

_Static_assert(offsetof(pthread_mutex_t, __data.__kind) == 16, "kind is at its place");

enum how { LOCK, TRY };

static inline _Atomic uint32_t *word_of(pthread_mutex_t *m)
{
    return (_Atomic uint32_t *)&m->__data.__lock;
}

static inline int kind_of(const pthread_mutex_t *m)
{
    return __atomic_load_n(&m->__data.__kind, __ATOMIC_RELAXED);
}

static inline int owner_of(const pthread_mutex_t *m)
{
    return __atomic_load_n(&m->__data.__owner, __ATOMIC_RELAXED);
}

static inline void set_owner(pthread_mutex_t *m, int tid)
{
    __atomic_store_n(&m->__data.__owner, tid, __ATOMIC_RELAXED);
}

/* Normal or adaptive, and nothing else. */
static inline bool is_plain(int kind)
{
    kind &= ~KIND_ELISION;
    return kind == PTHREAD_MUTEX_TIMED_NP || kind == PTHREAD_MUTEX_ADAPTIVE_NP;
}

static inline void acquired(pthread_mutex_t *m)
{
    set_owner(m, gt_owner_self());
    m->__data.__nusers++;
}

static inline bool recursive_or_checked(int kind)
{
    int type = kind & KIND_TYPE;
    return type == PTHREAD_MUTEX_RECURSIVE_NP || type == PTHREAD_MUTEX_ERRORCHECK_NP;
}

/* ---- those of the C library ---- */

static bool wires(int kind)
{
    return recursive_or_checked(kind) || (kind & (KIND_ROBUST | KIND_PI | KIND_PP));
}

static int real_lock(pthread_mutex_t *m, int clock, const struct timespec *abs)
{
    if (!abs)
        return GT_ANNOUNCED_OPEN(REAL(pthread_mutex_lock)(m));
    if (clock == CLOCK_REALTIME)
        return GT_ANNOUNCED_OPEN(REAL(pthread_mutex_timedlock)(m, abs));
    return GT_ANNOUNCED_OPEN(REAL(pthread_mutex_clocklock)(m, clock, abs));
}

/* As the C library does when the kernel says that the owner has died. */
static int inherit_from_dead(pthread_mutex_t *m)
{
    set_owner(m, PTHREAD_MUTEX_INCONSISTENT);
    m->__data.__nusers--; /* the dead one still counts */
    return EOWNERDEAD;
}

static int shared_lock(pthread_mutex_t *m, int kind, enum how how, int clock,
                       const struct timespec *abs)
{
    GT_SHARED(call, wires(kind) ? gt_self() : NULL, GT_W_MUTEX);
    /* libc's trylock of a robust mutex that cannot be recovered keeps it locked: not as a first
     * attempt */
    int e = how == LOCK && (kind & KIND_ROBUST) ? EBUSY : REAL(pthread_mutex_trylock)(m);
    if (e == EBUSY && how == LOCK)
        e = real_lock(m, clock, abs);
    if (e == 0 && (kind & KIND_ROBUST) && (kind & KIND_PI) && gt_owner_died(word_of(m)))
        e = inherit_from_dead(m);
    call.held = e == 0 || e == EOWNERDEAD;
    return e;
}

static int shared_unlock(pthread_mutex_t *m, int kind)
{
    struct gt_g *g = wires(kind) ? gt_self() : NULL;
    gt_shared_begin(g, GT_W_MUTEX);
    int e = REAL(pthread_mutex_unlock)(m);
    gt_shared_end(g, e == 0 ? -1 : 0);
    return e;
}

/* ---- private ---- */

/* The caller holds a recursive or error-checking mutex already. */
static int lock_again(pthread_mutex_t *m, int kind, enum how how)
{
    if ((kind & KIND_TYPE) == PTHREAD_MUTEX_ERRORCHECK_NP)
        return how == TRY ? EBUSY : EDEADLK;
    if (m->__data.__count + 1 == 0)
        return EAGAIN;
    m->__data.__count++;
    return 0;
}

static GT_NOINLINE int lock_any(pthread_mutex_t *m, enum how how, int clock,
                                const struct timespec *abs)
{
    int kind = kind_of(m);
    int64_t when;
    if (kind & ~KIND_ALL)
        return EINVAL;
    if (kind & KIND_LIBC)
        return shared_lock(m, kind, how, clock, abs);
    if (recursive_or_checked(kind) && owner_of(m) == gt_owner_self())
        return lock_again(m, kind, how);
    if (!gt_mutex_try(word_of(m))) {
        if (how == TRY)
            return EBUSY;
        if (gt_until(clock, abs, &when) != 0)
            return EINVAL;
        struct gt_g *g = gt_sync_enter();
        int r = gt_mutex_lock_slow(word_of(m), when);
        if (r == 0)
            acquired(m);
        gt_sync_leave(g);
        if (r != 0)
            return -r;
    } else {
        acquired(m);
    }
    m->__data.__count = (kind & KIND_TYPE) == PTHREAD_MUTEX_RECURSIVE_NP;
    return 0;
}

/* The releasing half: after the store only the address of the word is used. */
static inline void release(pthread_mutex_t *m)
{
    _Atomic uint32_t *word = word_of(m);
    if (likely(gt_mutex_try_unlock(word))) {
        /* a loop around a lock is in our text nearly always, where it can't be preempted: so it
         * looks itself */
        struct gt_g *self = gt_tls.g;
        if (unlikely(self && (load_rlx(&self->attention) & GT_ATT_PREEMPT)))
            gt_sync_leave(gt_sync_enter());
        return;
    }
    struct gt_g *g = gt_sync_enter();
    gt_mutex_unlock_slow(word);
    gt_sync_leave(g);
}

int gt_pm_may_unlock(pthread_mutex_t *m)
{
    int kind = kind_of(m);
    if (kind & ~KIND_ALL)
        return EINVAL;
    if (kind & KIND_LIBC)
        return 0; /* the C library will say */
    return recursive_or_checked(kind) && owner_of(m) != gt_owner_self() ? EPERM : 0;
}

static GT_NOINLINE int unlock_any(pthread_mutex_t *m, unsigned users)
{
    int kind = kind_of(m), e = gt_pm_may_unlock(m);
    if (e != 0)
        return e;
    if (kind & KIND_LIBC)
        return shared_unlock(m, kind);
    if ((kind & KIND_TYPE) == PTHREAD_MUTEX_RECURSIVE_NP && --m->__data.__count != 0)
        return 0;
    set_owner(m, 0);
    m->__data.__nusers -= users;
    release(m);
    return 0;
}

_Atomic uint32_t *gt_pm_word(pthread_mutex_t *m)
{
    /* count: we may go on holding it in the wait, so we must not wait for it */
    return (kind_of(m) & KIND_LIBC) || m->__data.__count > 1 ? NULL : word_of(m);
}

/* The C library's unlock counts us out: counted in before, since after it the mutex is others'. */
int gt_pm_wait_unlock(pthread_mutex_t *m)
{
    unsigned counts = kind_of(m) & KIND_LIBC ? 1 : 0;
    m->__data.__nusers += counts;
    int e = unlock_any(m, 0);
    if (e != 0)
        m->__data.__nusers -= counts;
    return e;
}

int gt_pm_wait_lock(pthread_mutex_t *m, struct gt_g *g, bool handed)
{
    int kind = kind_of(m);
    if (kind & KIND_LIBC) {
        gt_sync_leave(g);
        int e = shared_lock(m, kind, LOCK, CLOCK_REALTIME, NULL);
        gt_sync_enter();
        if (e == 0 || e == EOWNERDEAD)
            m->__data.__nusers--; /* of the two that it counts now */
        return e;
    }
    /* A recursive mutex that was locked more than once has never been given up. */
    if (recursive_or_checked(kind) && owner_of(m) == gt_owner_self())
        return lock_again(m, kind, LOCK);
    if (!handed)
        gt_mutex_lock_queue(word_of(m), GT_NEVER);
    set_owner(m, gt_owner_self());
    m->__data.__count = (kind & KIND_TYPE) == PTHREAD_MUTEX_RECURSIVE_NP;
    return 0;
}

/* ---- entry points ---- */

GT_EXPORT int pthread_mutex_lock(pthread_mutex_t *m)
{
    if (unlikely(!is_plain(kind_of(m))) || unlikely(!gt_mutex_try(word_of(m))))
        return lock_any(m, LOCK, CLOCK_REALTIME, NULL);
    acquired(m);
    return 0;
}

GT_EXPORT int pthread_mutex_trylock(pthread_mutex_t *m)
{
    if (unlikely(!is_plain(kind_of(m))))
        return lock_any(m, TRY, CLOCK_REALTIME, NULL);
    if (!gt_mutex_try(word_of(m)))
        return EBUSY;
    acquired(m);
    return 0;
}

GT_EXPORT int pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *abs)
{
    return lock_any(m, LOCK, CLOCK_REALTIME, abs);
}

GT_EXPORT int pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock,
                                      const struct timespec *abs)
{
    return gt_clock_ok(clock) ? lock_any(m, LOCK, clock, abs) : EINVAL;
}

GT_EXPORT int pthread_mutex_unlock(pthread_mutex_t *m)
{
    if (unlikely(!is_plain(kind_of(m))))
        return unlock_any(m, 1);
    set_owner(m, 0);
    m->__data.__nusers--;
    release(m);
    return 0;
}

GT_EXPORT int pthread_mutex_consistent(pthread_mutex_t *m)
{
    struct gt_g *g = gt_self();
    gt_shared_begin(g, GT_W_MUTEX);
    int e = REAL(pthread_mutex_consistent)(m);
    gt_shared_end(g, 0);
    return e;
}

GT_EXPORT int pthread_mutex_setprioceiling(pthread_mutex_t *m, int ceiling, int *old_ceiling)
{
    struct gt_g *g = gt_self();
    gt_shared_begin(g, GT_W_MUTEX);
    int e = GT_ANNOUNCED(REAL(pthread_mutex_setprioceiling)(m, ceiling, old_ceiling));
    gt_shared_end(g, 0);
    return e;
}

GT_ALIAS(__pthread_mutex_lock, pthread_mutex_lock);
GT_ALIAS(__pthread_mutex_trylock, pthread_mutex_trylock);
GT_ALIAS(__pthread_mutex_unlock, pthread_mutex_unlock);
/* The header sends this old name elsewhere, so it needs its assembler name said. */
extern int consistent_np(pthread_mutex_t *) __asm__("pthread_mutex_consistent_np")
    __attribute__((alias("pthread_mutex_consistent"), copy(pthread_mutex_consistent),
                   visibility("default")));
