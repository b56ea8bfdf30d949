/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pthread_once and call_once.  When the function is left by cancellation or by an exception, the
 * next caller runs it again.  Two things notice that: this file is built with -fexceptions, and for
 * functions that the unwinder cannot pass there is a cleanup handler of the old form, which is run
 * without it.
 */
#include "interpose/pobj.h"
#include "interpose/thread.h"

struct once_frame {
    _Atomic uint32_t *ctl;
    bool done, left;
    struct _pthread_cleanup_buffer handler;
};

static void once_over(struct once_frame *f)
{
    struct gt_g *g = gt_sync_enter();
    f->left = true;
    gt_once_end(f->ctl, f->done);
    gt_sync_leave(g);
}

static void once_cancelled(void *f)
{
    once_over(f);
}

static void once_leave(struct once_frame *f)
{
    if (f->left) /* the handler was first */
        return;
    gt_cleanup_pop(&f->handler);
    once_over(f);
}

static GT_NOINLINE void once_slow(_Atomic uint32_t *ctl, void (*fn)(void))
{
    struct gt_g *g = gt_sync_enter();
    bool run = gt_once_begin(ctl);
    gt_sync_leave(g);
    if (!run)
        return;
    struct once_frame f __attribute__((cleanup(once_leave))) = {.ctl = ctl};
    gt_cleanup_push(&f.handler, once_cancelled, &f);
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
