/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pthread_once and call_once.  Built with -fexceptions: when the function is left by cancellation
 * or by an exception, the next caller runs it again.
 */
#include "interpose/pobj.h"

struct once_frame {
    _Atomic uint32_t *ctl;
    bool done;
};

static void once_leave(struct once_frame *f)
{
    struct gt_g *g = gt_sync_enter();
    gt_once_end(f->ctl, f->done);
    gt_sync_leave(g);
}

static GT_NOINLINE void once_slow(_Atomic uint32_t *ctl, void (*fn)(void))
{
    struct gt_g *g = gt_sync_enter();
    bool run = gt_once_begin(ctl);
    gt_sync_leave(g);
    if (!run)
        return;
    struct once_frame f __attribute__((cleanup(once_leave))) = {.ctl = ctl};
    fn();
    f.done = true;
}

GT_EXPORT int pthread_once(pthread_once_t *once, void (*fn)(void))
{
    _Atomic uint32_t *ctl = (_Atomic uint32_t *)once;
    if (unlikely(!(load_acq(ctl) & GT_ONCE_DONE)))
        once_slow(ctl, fn);
    return 0;
}

GT_EXPORT void call_once(once_flag *once, void (*fn)(void))
{
    pthread_once(&once->__data, fn);
}

GT_ALIAS(__pthread_once, pthread_once);
