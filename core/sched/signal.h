/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signals of goroutines: the virtual handler table, masks, pending sets and delivery (signal.c has
 * the model).
 */
#ifndef GT_SIGNAL_H
#define GT_SIGNAL_H

#include "core/sched/sched.h"

#define GT_SIGBIT(sig) (1ull << ((sig)-1))
/* Those that a fault raises. */
#define GT_SIG_SYNC                                                                                \
    (GT_SIGBIT(SIGSEGV) | GT_SIGBIT(SIGBUS) | GT_SIGBIT(SIGFPE) | GT_SIGBIT(SIGILL) |              \
     GT_SIGBIT(SIGTRAP) | GT_SIGBIT(SIGSYS))

#define GT_SS_AUTODISARM ((int)(1u << 31))

/* The program's view of one signal's action. */
struct gt_sigact {
    void *handler; /* SIG_DFL, SIG_IGN or a function */
    int flags;     /* SA_* as the program gave them */
    gt_sigset mask;
};
/* True when actions are in our table: from the first start on. */
bool gt_sig_booted(void);
/* Reads / changes the program's action for sig (1..64, not 9, 19, 32, 33).  0 or -EINVAL.  Before
 * the scheduler starts the interpose layer uses the C library instead. */
int gt_sig_action(int sig, const struct gt_sigact *act, struct gt_sigact *old);

/* Changes the goroutine's mask; delivers what this unblocks before it returns.  In a runtime
 * section. */
void gt_sig_setmask(struct gt_g *g, gt_sigset mask);
/* A signal to one goroutine: queue and wake it, or the default action of the process.  0, -EINVAL,
 * -EAGAIN.  info may be NULL.  In a runtime section, or off a goroutine. */
int gt_sig_send(struct gt_g *g, int sig, const siginfo_t *info);
/* A SIGPIPE that the kernel keeps for the calling kernel thread, which blocks it, moves to g if
 * that one blocks it too; NULL: to nobody.  In a runtime section, or off a goroutine. */
void gt_sig_take_pipe(struct gt_g *g);
/* A signal to the process, that has a handler: queued before we return on the goroutine that takes
 * it.  1: done; 0: all block it, or it has no handler, so it is the kernel's; -EAGAIN. */
int gt_sig_send_process(int sig, const siginfo_t *info);
/* g's wait has ended, perhaps by what another process has done; or g itself is about to end.  What
 * that process sent before is queued on the goroutine that takes it when this returns: the kernel
 * runs handlers on the way out of a wait.  near: it may well be a process on this machine, and one
 * system call is worth it.  In a runtime section. */
void gt_sig_catch_up(struct gt_g *g, bool near);
/* sysmon: dequeues what is pending of set and no M takes, and queues it on its takers.  True: some
 * is left to an M. */
bool gt_sig_fetch(gt_sigset set);
/* sysmon: it can watch for signals (sigwatch.h) from now on, or no more and takes them by its
 * trampoline. */
void gt_signal_watch(bool on);
/* Takes the first pending signal of the goroutine that is in set; 0: none. */
int gt_sig_take(struct gt_g *g, gt_sigset set, siginfo_t *info);
/* Pending and not yet delivered: the goroutine's, and what we hold for the process. */
gt_sigset gt_sig_pending(struct gt_g *g);
/* Owner: may something be pending?  Two loads. */
static inline bool gt_sigq_maybe(struct gt_g *g)
{
    return g->sigq || load_acq(&g->siginbox);
}
/* Sets g->waitset: what is sent from now on is queued, not handled; 0: the wait is over. */
void gt_sig_wait_for(struct gt_g *g, gt_sigset set);
/* Was it made by the runtime for its own use?  (Seen by who waits in the kernel.) */
bool gt_sig_is_own(int sig, const siginfo_t *info);
/* Runs handlers for everything pending and not blocked; the runtime section is left meanwhile.
 * Returns how many ran; *norestart is set when the first of them lacks SA_RESTART: it is the one
 * that decides, as in the kernel. */
int gt_run_signals_uc(struct gt_g *g, void *uc, bool *norestart);
void gt_run_signals(struct gt_g *g);
/* SIGEV_THREAD_ID: the signals (sig) of the kernel's timer `id` are g's; g NULL: no longer.  0;
 * -EAGAIN: too many such timers. */
int gt_sig_timer(int id, int sig, const struct gt_g *g);
/* sysmon: hands signals that arrived inside the runtime to their goroutines. */
void gt_sig_route(void);
/* Text ranges where a goroutine must not be preempted; rebuilt after a dlopen. */
void gt_sig_ranges_init(void);

#endif
