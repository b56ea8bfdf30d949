/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signals of goroutines: the virtual handler table, masks, pending sets and delivery (signal.c has
 * the model).
 */
#ifndef GT_SIGNAL_H
#define GT_SIGNAL_H

#include "core/sched/sched.h"

#define GT_SIGBIT(sig) (1ull << ((sig)-1))

/* The program's view of one signal's action. */
struct gt_sigact {
    void *handler; /* SIG_DFL, SIG_IGN or a function */
    int flags;     /* SA_* as the program gave them */
    gt_sigset mask;
};
/* Reads / changes the program's action for sig (1..64, not 9, 19, 32, 33).  0 or -EINVAL.  Before
 * the scheduler starts the interpose layer uses the C library instead. */
int gt_sig_action(int sig, const struct gt_sigact *act, struct gt_sigact *old);

/* Changes the goroutine's mask; delivers what this unblocks before it returns.  In a runtime
 * section. */
void gt_sig_setmask(struct gt_g *g, gt_sigset mask);
/* A signal to one goroutine: queue and wake it, or the default action of the process.  0, -EINVAL,
 * -EAGAIN.  info may be NULL.  In a runtime section, or off a goroutine. */
int gt_sig_send(struct gt_g *g, int sig, const siginfo_t *info);
/* The goroutine that takes a process-directed signal now, NULL: all block it.  Lock-free. */
struct gt_g *gt_sig_taker(int sig);
/* Takes the first pending signal of the goroutine that is in set; 0: none. */
int gt_sig_take(struct gt_g *g, gt_sigset set, siginfo_t *info);
/* Pending and not yet delivered. */
gt_sigset gt_sig_pending(struct gt_g *g);
/* Runs handlers for everything pending and not blocked; the runtime section is left meanwhile.
 * Returns how many ran; *norestart is set when one of them lacks SA_RESTART. */
int gt_run_signals_uc(struct gt_g *g, void *uc, bool *norestart);
void gt_run_signals(struct gt_g *g);
/* sysmon: hands signals that arrived inside the runtime to their goroutines. */
void gt_sig_route(void);
/* Text ranges where a goroutine must not be preempted; rebuilt after a dlopen. */
void gt_sig_ranges_init(void);

#endif
