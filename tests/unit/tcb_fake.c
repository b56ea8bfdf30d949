/* SPDX-License-Identifier: BSD-2-Clause */
/* A fake of core/os/tcb.h, as far as tests need it.  A block is a plain struct at the top of a
 * stack; nobody runs on it.  What runs are kernel threads, each with a gt_tls of its own. */
#include "core/os/tcb.h"

#include "core/kit/kit.h"
#include "core/sched/types.h"
#include "tests/unit/tcb_fake.h"

__thread struct gt_tls gt_tls;

void *gt_tcb_make(char *lo, char *top, int tid)
{
    struct fake_tcb *b = (struct fake_tcb *)top - 1;
    gt_assert(lo < (char *)b);
    b->tid = tid;
    b->live = FAKE_TCB_LIVE;
    return b;
}

_Atomic int fake_drops;

void gt_tcb_drop(void *tp)
{
    gt_assert(((struct fake_tcb *)tp)->live == FAKE_TCB_LIVE);
    add_acqrel(&fake_drops, 1);
}

char *gt_tcb_low(void *tp)
{
    return tp;
}
