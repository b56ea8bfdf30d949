/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signals and preemption: the model, and delivery on the goroutine.
 *
 *   sigact.c    the table of actions        sigtramp.c  the trampoline, injected calls, preemption
 *   sigmask.c   who blocks what             sigtake.c   what the kernel gives, to whom it goes
 *   sigq.c      what is pending             sigroute.c  sending, waking, what nobody takes yet
 *   sigwatch.c  sysmon's sleep              sigpipe.c   SIGPIPE of a thread that blocks it
 *
 * A user's handler always runs as ordinary goroutine code (DESIGN.md, 9).  One trampoline takes
 * every handled signal, on the M's own alternate stack, with everything blocked, and leaves its
 * kernel frame at once:
 *
 *   where the signal hit                  what the trampoline does
 *   user code of a goroutine that takes   queues it there and injects a call of injected() at the
 *   it                                    interrupted instruction (gt_arch_inject): the handler
 *                                         runs there, may park, longjmp, be preempted
 *   the runtime, on such a goroutine      queues it; it acts when it leaves the runtime
 *   (g->in_rt > 0)                        (gt_rt_leave); a call not yet made ends with EINTR
 *   g0, or a goroutine that blocks it,    queues it for the one that takes it, and for sysmon,
 *   or another is to have it              which wakes that one (gt_sig_route)
 *   a foreign kernel thread, a vfork      calls the handler right there, as without us
 *   child, before the start
 *
 * Nothing here takes a lock in the trampoline: pending signals are queued by CAS (sigq.c).
 *
 * A signal that the kernel gave us to be handled at once is handled by what its action was then, if
 * it is the default by the time a goroutine has it: its timer has been stopped and its handler
 * taken away meanwhile, and the default would end the process.
 *
 * Handlers of several signals that are pending together are stacked as the kernel stacks their
 * frames: the first that is dequeued is entered last, and alone decides about SA_RESTART.
 *
 * Process-directed signals go to a goroutine in sigwait for it, else to G1 when it does not block
 * it (the kernel prefers the main thread, and programs rely on that), else to any that does not.
 * None: held until a mask changes; or, when it lies on one that has come to block it, it stays
 * there until another unblocks it or waits for it and calls for it (g->stranded).  One whose taker
 * blocks it or ends before it has run goes back to sysmon for another.  Of those that measure CPU
 * time (SIGPROF, SIGVTALRM) the taker is whoever ran.
 *
 * A goroutine that runs is told of a signal by SIGURG, except where it may be in a system call that
 * nobody announced: there by the signal itself, marked as ours, so that the kernel ends or restarts
 * the call as the program's SA_RESTART says.
 *
 * Masks: an M that runs g has g's mask (never SIGURG, 32, 33); an idle M blocks everything.  sysmon
 * takes what no running M takes.  What has a handler it blocks, and fetches (sigwatch.c); of the
 * rest it blocks exactly what all goroutines block.  A signal that everybody blocks so stays
 * pending in the kernel, for sigwait and signalfd.  When that set grows, whoever makes it grow
 * waits until sysmon has it, and until no M is left with the mask of a goroutine that it has left:
 * else a default action could kill a process that has just blocked the signal everywhere.
 *
 * Preemption is the same injection, but only where the interrupted instruction is not in our text,
 * libc's, ld.so's, libgcc_s's or the vDSO's: those hold locks that the runtime may need (PITFALLS
 * 6).  And it never writes below a stack pointer that does not lie in the goroutine's own stack:
 * that may be a coroutine's stack without room, or no stack at all (Erlang's code keeps its heap
 * there).  The yield is then injected on a stack aside; a handler that is due after it goes from
 * there to where the kernel would have run it.
 */
#include "core/sched/signal_int.h"
#include "core/sched/sigq.h"
#include "core/sched/wire.h"

void gt_arch_call_on(void *sp, void (*fn)(void *), void *arg);

struct call {
    void *handler;
    int sig;
    siginfo_t *info;
    void *uc;
};

static void call_handler(void *arg)
{
    struct call *c = arg;
    ((void (*)(int, siginfo_t *, void *))c->handler)(c->sig, c->info, c->uc);
}

bool gt_sig_on_altstack(const struct gt_g *g, uintptr_t sp)
{
    uintptr_t lo = (uintptr_t)g->altstack.ss_sp;
    return !(g->altstack.ss_flags & (SS_DISABLE | GT_SS_AUTODISARM)) && sp > lo &&
           sp <= lo + g->altstack.ss_size;
}

/* What the kernel does to the alternate stack when it sets a frame up. */
static void arm_stack(struct gt_g *g, ucontext_t *uc)
{
    uc->uc_stack = g->altstack;
    if (g->altstack.ss_flags & GT_SS_AUTODISARM)
        g->altstack = (stack_t){.ss_flags = SS_DISABLE};
}

/* And when the frame, at sp, is left: refused, as by sigaltstack, while it lies on the stack. */
static void rearm_stack(struct gt_g *g, const ucontext_t *uc, uintptr_t sp)
{
    const int known = SS_DISABLE | SS_ONSTACK | GT_SS_AUTODISARM;
    if (!(uc->uc_stack.ss_flags & ~known) && !gt_sig_on_altstack(g, sp))
        g->altstack = uc->uc_stack;
}

enum delivered { NO_HANDLER, NO_RESTART, RESTART };

/* Runs one handler with the runtime section left; those of what else is pending first, on top. */
static enum delivered deliver(struct gt_g *g, struct gt_signode *n, ucontext_t *uc)
{
    struct gt_sigact a = gt_act_read(n->sig);
    siginfo_t info = n->info;
    int sig = n->sig;
    if (n->was.handler && a.handler == (void *)SIG_DFL)
        a = n->was;
    gt_signode_put(n);
    gt_assert(sig > 0); /* kicks are sysmon's */
    if (!gt_act_is_fn(a.handler)) {
        gt_act_default(&a, sig);
        return NO_HANDLER;
    }
    if (a.flags & SA_RESETHAND) {
        struct gt_sigact dfl = {.handler = (void *)SIG_DFL, .flags = a.flags, .mask = a.mask};
        gt_sig_action(sig, &dfl, NULL);
    }
    gt_sigset old = g->sigmask;
    gt_sigmask_set(g, old | a.mask | (a.flags & SA_NODEFER ? 0 : GT_SIGBIT(sig)));
    gt_memcpy(&uc->uc_sigmask, &old, sizeof(old));
    bool alt = (a.flags & SA_ONSTACK) && !(g->altstack.ss_flags & SS_DISABLE) &&
               !gt_sig_on_altstack(g, (uintptr_t)__builtin_frame_address(0));
    char *top = (char *)g->altstack.ss_sp + g->altstack.ss_size;
    arm_stack(g, uc);
    g->sigseq++;
    gt_stat_add(signals_delivered, 1);
    if (gt_sigq_maybe(g))
        gt_run_signals_uc(g, NULL, NULL);
    struct call c = {.handler = a.handler, .sig = sig, .info = &info, .uc = uc};
    uint32_t depth = load_rlx(&g->in_rt);
    GT_COMPILER_BAR();
    store_rlx(&g->in_rt, 0);
    if (alt)
        gt_arch_call_on(top, call_handler, &c);
    else
        call_handler(&c);
    store_rlx(&g->in_rt, depth - 1);
    gt_rt_enter(g);
    rearm_stack(g, uc, alt ? (uintptr_t)top : (uintptr_t)__builtin_frame_address(0));
    gt_memcpy(&old, &uc->uc_sigmask, sizeof(old));
    gt_sigmask_set(g, old);
    return a.flags & SA_RESTART ? RESTART : NO_RESTART;
}

int gt_run_signals_uc(struct gt_g *g, void *uc, bool *norestart)
{
    ucontext_t synth;
    int ran = 0;
    struct gt_signode *n;
    and_acqrel(&g->attention, ~GT_ATT_SIGNAL);
    while ((n = gt_sigq_take(g, ~g->sigmask)) != NULL) {
        ucontext_t *u = uc;
        if (!u) {
            gt_memset(&synth, 0, sizeof(synth));
            gt_arch_getcontext(&synth);
            u = &synth;
        }
        enum delivered d = deliver(g, n, u);
        if (d != NO_HANDLER && ran++ == 0 && d == NO_RESTART && norestart)
            *norestart = true;
    }
    if (g->sigq || load_rlx(&g->stranded))
        gt_sig_give_back(g);
    return ran;
}

void gt_run_signals(struct gt_g *g)
{
    gt_run_signals_uc(g, NULL, NULL);
}

bool gt_intr(struct gt_g *g, bool restart)
{
    bool norestart = false; /* of the first handler */
    int ran = 0;
    if ((load_rlx(&g->attention) & GT_ATT_CANCEL) && gt_cancel_act)
        gt_cancel_act(g);
    and_acqrel(&g->attention, ~GT_ATT_SIGNAL); /* before the look: a later one sets it again */
    if (gt_sigq_maybe(g))
        ran = gt_run_signals_uc(g, NULL, &norestart);
    return ran && (norestart || !restart);
}

void gt_wire_attend(struct gt_g *g)
{
    and_acqrel(&g->attention, ~GT_ATT_WIRE); /* before the look: a later one sets it again */
    if (gt_wire_hook)
        gt_wire_hook(g);
}

/* The runtime has been left, and somebody wants attention: handlers, and a yield where one may be.
 */
static void attend(struct gt_g *g, bool yields)
{
    const uint32_t mine = GT_ATT_SIGNAL | (yields ? GT_ATT_PREEMPT | GT_ATT_WIRE : 0);
    while (load_rlx(&g->attention) & mine) {
        gt_rt_enter(g);
        if (yields && (and_acqrel(&g->attention, ~GT_ATT_PREEMPT) & GT_ATT_PREEMPT))
            gt_preempted(g);
        if (yields && (load_rlx(&g->attention) & GT_ATT_WIRE))
            gt_wire_attend(g);
        if (load_rlx(&g->attention) & GT_ATT_SIGNAL)
            gt_run_signals(g);
        GT_COMPILER_BAR();
        store_rlx(&g->in_rt, load_rlx(&g->in_rt) - 1);
        GT_COMPILER_BAR();
    }
}

void gt_rt_attend(struct gt_g *g)
{
    attend(g, true);
}

void gt_rt_attend_at(struct gt_g *g, uintptr_t pc)
{
    attend(g, gt_preemptible(pc));
}
