/* SPDX-License-Identifier: BSD-2-Clause */
/* A fake of core/os/tcb.h.  A block is a plain struct at the top of a stack, beside no C library's
 * thread: nobody runs on it.  What runs are kernel threads, each with a gt_tls of its own. */
#include "core/os/tcb.h"

#include "core/kit/kit.h"
#include "core/sched/types.h"
#include "tests/unit/tcb_fake.h"

__thread struct gt_tls gt_tls;

size_t gt_tcb_size(void)
{
    return sizeof(struct fake_tcb);
}

static void begin(struct fake_tcb *b, char *lo, char *top, int tid)
{
    gt_assert((char *)(b + 1) == top && lo < (char *)b);
    gt_memset(&b->tls, 0, sizeof(b->tls));
    b->tid = tid;
    b->tenancies++;
}

void *gt_tcb_make(char *lo, char *top, int tid)
{
    struct fake_tcb *b = (struct fake_tcb *)top - 1;
    b->tenancies = 0;
    begin(b, lo, top, tid);
    return b;
}

void *gt_tcb_reset(void *tp, char *lo, char *top, int tid)
{
    begin(tp, lo, top, tid);
    return tp;
}

char *gt_tcb_low(void *tp)
{
    return tp;
}

struct gt_tls *gt_tls_of(void *tp)
{
    return &((struct fake_tcb *)tp)->tls;
}
