/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Spin locks.  A goroutine that spins for one that is not running would spin for ever on one P:
 * after a few rounds it lets others run.  The word follows the C library, which differs by CPU.
 */
#include "interpose/pobj.h"

#if defined(__x86_64__)
enum { SPIN_FREE = 1, SPIN_HELD = 0 }; /* the C library also counts down below 0 */
#else
enum { SPIN_FREE = 0, SPIN_HELD = 1 };
#endif

#define SPIN_ROUNDS 10
#define SPIN_PAUSES 30

static inline _Atomic int *word_of(pthread_spinlock_t *l)
{
    return (_Atomic int *)l;
}

static inline bool try_lock(_Atomic int *l)
{
    int old = SPIN_FREE;
    return load_rlx(l) == SPIN_FREE && cas_acq(l, &old, SPIN_HELD);
}

static void let_others_run(void)
{
    struct gt_g *g = gt_sync_enter();
    bool ran = g && gt_gosched(g);
    gt_sync_leave(g);
    if (!ran)
        sys_sched_yield();
}

static GT_NOINLINE int lock_slow(_Atomic int *l)
{
    for (;;) {
        for (int i = 0; i < (gt_gomaxprocs() > 1 ? SPIN_ROUNDS : 1); i++) {
            for (int k = 0; k < SPIN_PAUSES; k++)
                gt_arch_relax();
            if (try_lock(l))
                return 0;
        }
        let_others_run();
    }
}

GT_EXPORT int pthread_spin_lock(pthread_spinlock_t *l)
{
    return likely(try_lock(word_of(l))) ? 0 : lock_slow(word_of(l));
}

GT_EXPORT int pthread_spin_trylock(pthread_spinlock_t *l)
{
    return try_lock(word_of(l)) ? 0 : EBUSY;
}

GT_EXPORT int pthread_spin_unlock(pthread_spinlock_t *l)
{
    store_rel(word_of(l), SPIN_FREE);
    return 0;
}
