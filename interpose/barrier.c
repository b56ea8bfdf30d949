/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Barriers.  The C library's initialiser writes count and shared where struct gt_barrier has them.
 */
#include "interpose/pobj.h"

_Static_assert(sizeof(struct gt_barrier) <= sizeof(pthread_barrier_t), "our words fit");
_Static_assert(offsetof(struct gt_barrier, count) == 8 && offsetof(struct gt_barrier, shared) == 12,
               "count and shared are at their place");

static inline struct gt_barrier *barrier_of(pthread_barrier_t *pb)
{
    return (struct gt_barrier *)pb;
}

GT_EXPORT int pthread_barrier_wait(pthread_barrier_t *pb)
{
    if (unlikely(barrier_of(pb)->shared != 0))
        return GT_ANNOUNCED_OPEN(REAL(pthread_barrier_wait)(pb));
    struct gt_g *g = gt_sync_enter();
    bool serial = gt_barrier_wait(barrier_of(pb));
    gt_sync_leave(g);
    return serial ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}

GT_EXPORT int pthread_barrier_destroy(pthread_barrier_t *pb)
{
    if (unlikely(barrier_of(pb)->shared != 0))
        return GT_ANNOUNCED(REAL(pthread_barrier_destroy)(pb));
    struct gt_g *g = gt_sync_enter();
    gt_barrier_drain(barrier_of(pb));
    gt_sync_leave(g);
    return 0;
}
