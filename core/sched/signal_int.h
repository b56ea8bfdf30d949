/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of signals share (signal.c has the model).
 */
#ifndef GT_SIGNAL_INT_H
#define GT_SIGNAL_INT_H

#include <ucontext.h>

#include "core/sched/sched_int.h"
#include "core/sched/signal.h"

struct gt_signode; /* sigq.h */

#define GT_NSIG            64
#define GT_SIG_RESERVED    (GT_SIGBIT(SIGURG) | GT_SIGBIT(32) | GT_SIGBIT(33))
#define GT_SIG_UNBLOCKABLE (GT_SIGBIT(SIGKILL) | GT_SIGBIT(SIGSTOP) | GT_SIGBIT(32) | GT_SIGBIT(33))
#define GT_SIG_CRASH                                                                               \
    (GT_SIGBIT(SIGSEGV) | GT_SIGBIT(SIGBUS) | GT_SIGBIT(SIGFPE) | GT_SIGBIT(SIGILL) |              \
     GT_SIGBIT(SIGABRT) | GT_SIGBIT(SIGQUIT) | GT_SIGBIT(SIGTRAP) | GT_SIGBIT(SIGSYS))
/* Taken by a trampoline wherever they come: what faults raise, and what we or libc use. */
#define GT_SIG_UNWATCHED (GT_SIG_SYNC | GT_SIGBIT(SIGABRT) | GT_SIG_RESERVED)

/* SIGNAL: the table of actions (writers), counts of masks. */
extern struct gt_lock gt_sig_lock;
/* The lock, taken with all signals blocked, is left; saved: the mask before. */
void gt_sig_unlock_to(gt_sigset saved);

/* ---- sigact.c; sig: 1 to GT_NSIG ---- */
static inline bool gt_act_is_fn(const void *h)
{
    return h != (void *)SIG_DFL && h != (void *)SIG_IGN;
}
struct gt_sigact gt_act_read(int sig);
/* The action for a signal that the kernel has just given us.  The default, but we have a trampoline
 * for it: it was a function until an instant ago. */
struct gt_sigact gt_act_taken(int sig);
/* What is sent is discarded, what is pending too. */
bool gt_act_ignores(const struct gt_sigact *a, int sig);
/* What has no handler does to the process what the kernel would. */
void gt_act_default(const struct gt_sigact *a, int sig);
/* SA_RESETHAND, on a foreign thread. */
void gt_act_reset(int sig);
/* Signals with a handler.  A hint: relaxed. */
gt_sigset gt_act_handled(void);
/* Whose timer (SIGEV_THREAD_ID) has sent it; NULL: nobody's. */
struct gt_g *gt_sig_timer_owner(const siginfo_t *si);
void gt_act_boot(void);
void gt_act_fork_child(void);

/* ---- sigmask.c ---- */
/* g's mask becomes this one, but for what cannot be blocked; g is the caller. */
void gt_sigmask_set(struct gt_g *g, gt_sigset mask);
/* What sysmon blocks depends on something that has changed. */
void gt_sigmask_changed(void);
void gt_sigmask_exitg(struct gt_g *g);
void gt_sigmask_fork_child(void);

/* ---- sigroute.c ---- */
void gt_sig_wake_sysmon(void);
/* For another goroutine than the one that has it, or for none yet. */
void gt_sig_to_sysmon(struct gt_signode *n);
/* Is something on the way to sysmon? */
bool gt_sig_routing(void);
/* A mask has changed: sysmon looks whether somebody takes what nobody took. */
void gt_sig_retry_held(void);
/* What has been unblocked and lies with sysmon, as nobody took it, comes here before the call that
 * unblocked it returns: POSIX, pthread_sigmask(3p). */
void gt_sig_fetch_held(gt_sigset unblocked);
/* Until sysmon, which has been woken, has come to the round `want`. */
void gt_sig_await_round(_Atomic uint32_t *round, uint32_t want);
/* The goroutine that takes a process-directed signal now; NULL: all block it. */
struct gt_g *gt_sig_taker(int sig);
/* The same, while none that came before it is on the way. */
struct gt_g *gt_sig_taker_now(int sig);
/* Queues n on g.  Was attention asked for before? */
bool gt_sig_post(struct gt_g *g, struct gt_signode *n);
/* Tells g of a signal that has been queued on it; told: g had been told of another before, and has
 * not looked yet.  Takes a lock. */
void gt_kick_for(struct gt_g *g, int sig, bool told);
/* g may sleep, or be on its way to sleep and have looked already: sysmon wakes it.  sig: what has
 * been queued on it, for a call of libc's that is to end by it; or 0.  Async-signal-safe. */
void gt_kick_later(struct gt_g *g, int sig);
/* g, the caller, has process-directed signals that it blocks by now: to others. */
void gt_sig_give_back(struct gt_g *g);
/* g has unblocked something, or waits for it: those on which such signals lie look for a taker
 * again. */
void gt_sig_call_stranded(struct gt_g *g);
void gt_sigroute_fork_child(void);

/* ---- sigtake.c: in a trampoline ---- */
/* sysmon's trampoline has been given it. */
void gt_sig_sysmon_took(int sig, siginfo_t *si, void *uc);
/* A signal for a goroutine, here (g) or elsewhere; its handler is the program's. */
void gt_sig_took(struct gt_g *g, int sig, siginfo_t *si, void *uc, const struct gt_sigact *a);
void gt_sigtake_fork_child(void);

/* ---- signal.c ---- */
/* Is sp on the alternate stack that the goroutine has set? */
bool gt_sig_on_altstack(const struct gt_g *g, uintptr_t sp);
/* Others have changed what only its kernel thread can have. */
void gt_wire_attend(struct gt_g *g);

/* ---- sigtramp.c ---- */
void gt_sig_tramp(int sig, siginfo_t *si, void *uc);
/* The signal whose handler runs next, 0: none is due.  Only when the goroutine is out of the
 * runtime: nobody else takes from its queues. */
int gt_sig_due(const struct gt_g *g);
/* Has g, interrupted at uc, make a call there first.  sig: what it is for; 0: a yield, or an
 * asynchronous cancellation.  False: there is no stack for it. */
bool gt_sig_inject(struct gt_g *g, void *uc, int sig);

#endif
