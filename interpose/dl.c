/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dlopen and dlclose beside goroutines: a library with static TLS that is loaded late must be
 * imaged in every goroutine's block, which the dynamic linker does not know; text ranges change
 * too.   Source: PRIOR-ART.md, 2.4.
 *
 * The calls themselves are dl_stub.S; what they loaded is taken in by gt_dl_sync, at the next
 * dlopen and before a block is used again (pthread_create).
 */
#include "interpose/interpose.h"

#include "core/os/tcb.h"
#include "core/sched/signal.h"
#include "interpose/thread.h"

static _Atomic bool dirty; /* something may have been loaded since the last sync */

struct each {
    void (*f)(void *tp, void *farg);
    void *farg;
};

static void one(struct gt_g *g, void *arg)
{
    struct each *e = arg;
    if (g->tp)
        e->f(g->tp, e->farg);
}

static void each_block(void (*f)(void *tp, void *farg), void *farg)
{
    struct each e = {f, farg};
    gt_foreach_g(one, &e);
    gt_stack_foreach_free(f, farg);
}

void gt_dl_sync(void)
{
    if (likely(!load_rlx(&dirty)) || !load_acq(&gt_started))
        return;
    store_rlx(&dirty, false);
    gt_tcb_dlopen_fix(each_block);
    gt_sig_ranges_init();
    gt_go_scan();
}

void *gt_dlopen_enter(void);
void *gt_dlmopen_enter(void);

void *gt_dlopen_enter(void)
{
    gt_dl_sync();
    store_rlx(&dirty, true);
    return (void *)REAL(dlopen);
}

void *gt_dlmopen_enter(void)
{
    gt_dl_sync();
    store_rlx(&dirty, true);
    return (void *)REAL(dlmopen);
}

GT_EXPORT int dlclose(void *lib)
{
    int r = REAL(dlclose)(lib);
    store_rlx(&dirty, true);
    gt_dl_sync(); /* now: before a library can come into the place of one that has gone */
    return r;
}
