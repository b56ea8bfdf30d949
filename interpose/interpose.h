/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What every interposed function needs: the table of real functions, the errno boundary.
 *
 * struct real has one slot for each row of symbols.def, resolved together by gt_real_resolve()
 * before the first use: by the constructor, or by the first call that comes earlier.
 */
#ifndef GT_INTERPOSE_H
#define GT_INTERPOSE_H

#include "core/sched/sched.h"
#include "core/sched/signal.h"
#include "interpose/types.h"

struct gt_real {
#define X(ret, name, params, version) ret(*name) params;
#include "interpose/symbols.def"
#undef X
};
extern struct gt_real gt_real;
extern bool gt_real_ready;
void gt_real_resolve(void);

/* The C library's own function. */
#define REAL(name)                                                                                 \
    (*({                                                                                           \
        if (unlikely(!gt_real_ready))                                                              \
            gt_real_resolve();                                                                     \
        &gt_real.name;                                                                             \
    }))

/* -errno -> -1 and errno; >= 0 as it is.  Not inlined: errno's address is found afresh, on the
 * goroutine's block. */
GT_NOINLINE long gt_ret(long r);

/* True in the child of a vfork: it shares our memory and must touch no table. */
bool gt_in_vfork(void);

/* A blocked call on a goroutine is a cancellation point: acts on a pending cancel before blocking.
 */
void gt_testcancel(struct gt_g *g);

/* Absolute or relative POSIX time -> deadline on its clock (base.h).  Returns false when tv_nsec is
 * out of range.  clock: CLOCK_REALTIME or CLOCK_MONOTONIC. */
bool gt_deadline(int clock, const struct timespec *abs, int64_t *when);
/* Now + relative; saturates; NULL: never. */
int64_t gt_deadline_rel(const struct timespec *rel);

/* Calls the C library with the P given away: it will wait in ways that we do not see.  No runtime
 * section is open meanwhile, so handlers run at once, as they do in any of its calls. */
#define GT_REAL_ANNOUNCED(g, lvalue, expr)                                                         \
    do {                                                                                           \
        gt_call_begin(g);                                                                          \
        (lvalue) = (expr);                                                                         \
        int gt_errno_ = errno;                                                                     \
        gt_rt_enter(g); /* takes a P, when it has none */                                          \
        gt_sig_catch_up(g, true);                                                                  \
        gt_rt_leave(g);                                                                            \
        errno = gt_errno_;                                                                         \
    } while (0)
static inline void gt_call_begin(struct gt_g *g)
{
    gt_rt_enter(g);
    gt_entersyscallblock(g);
    store_rlx(&g->in_rt, load_rlx(&g->in_rt) - 1);
    fence_seq(); /* pairs with the sender: it sets attention, then looks at in_rt */
    if (unlikely(load_rlx(&g->attention))) {
        gt_rt_enter(g);
        gt_rt_leave(g);
        if (load_rlx(&g->attention) & GT_ATT_CANCEL)
            gt_cancel_again();
    }
}

#endif
