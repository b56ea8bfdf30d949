/* SPDX-License-Identifier: BSD-2-Clause
 *
 * CPU time of a goroutine: what CLOCK_THREAD_CPUTIME_ID means for it.  See cputime.c.
 */
#ifndef GT_CPUTIME_H
#define GT_CPUTIME_H

#include "core/sched/types.h"

/* So many cycles may be charged by the cycle counter alone before the kernel's clock is read: about
 * 100 us, where a reading costs 0.4 us. */
#define GT_CPU_WINDOW (1ull << 18)

/* On M, whose clock it reads: charges g with what it has used since the last switch. */
void gt_cpu_sync(struct gt_m *m, struct gt_g *g);
/* M begins to run goroutines: what its kernel thread has used so far is nobody's. */
void gt_cpu_begin(struct gt_m *m);
/* On M, which has searched or slept since its last switch. */
void gt_cpu_resume(struct gt_m *m);

/* On g0: g has just been switched out.  One read of the cycle counter. */
static inline void gt_cpu_out(struct gt_m *m, struct gt_g *g)
{
    uint64_t now = gt_arch_cycles() | 1, d = now - load_rlx(&m->cpu_cyc);
    uint64_t win = load_rlx(&m->cpu_win) + d;
    if (unlikely(win >= GT_CPU_WINDOW || d >= GT_CPU_WINDOW)) {
        gt_cpu_sync(m, g);
        return;
    }
    store_rlx(&m->cpu_cyc, now); /* odd: the other fields are about to change */
    atomic_thread_fence(memory_order_release);
    store_rlx(&m->cpu_win, win);
    store_rlx(&g->cpu_cyc, load_rlx(&g->cpu_cyc) + d);
    store_rel(&m->cpu_cyc, now + 1); /* pairs with gt_cpu_time */
}

/* Nanoseconds of CPU time that g has used; never less than a call before has said.  On any thread,
 * for any g; on g itself in a runtime section: exact to the kernel's clock since g was switched in.
 * -1: g has ended. */
int64_t gt_cpu_time(struct gt_g *g);
/* By how much the clock of a wired goroutine is ahead of its kernel thread's, ns; 0 of another. */
int64_t gt_cpu_ahead(struct gt_g *g);

#endif
