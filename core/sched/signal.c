/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signals and preemption.
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
#include "core/sched/signal.h"

#include <link.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "core/kit/cfg.h"
#include "core/os/real.h"
#include "core/os/tcb.h"
#include "core/sched/dump.h"
#include "core/sched/sched_int.h"
#include "core/sched/sigq.h"
#include "core/sched/sigwatch.h"
#include "core/sched/wire.h"

#define NSIG_          64
#define NTIMERS        256
#define SPIN_SPAN      512 /* bytes of text that a spinning loop may take */
#define SPIN_CHANGES   1 /* registers that it may change, of those that calls preserve: a counter */
#define SPIN_ALL       2 /* ... and of all: what it has read last */
#define SIGSTACK       (64ul << 10)
#define MAIN_STACK_MAX (1ul << 30)  /* of an unlimited one */
#define ASIDE          (64ul << 10) /* bytes of the stack aside: a few are touched */
#define SA_RESTORER_   0x04000000ul
#define RESERVED       (GT_SIGBIT(SIGURG) | GT_SIGBIT(32) | GT_SIGBIT(33))
#define UNBLOCKABLE    (GT_SIGBIT(SIGKILL) | GT_SIGBIT(SIGSTOP) | GT_SIGBIT(32) | GT_SIGBIT(33))
#define CRASH                                                                                      \
    (GT_SIGBIT(SIGSEGV) | GT_SIGBIT(SIGBUS) | GT_SIGBIT(SIGFPE) | GT_SIGBIT(SIGILL) |              \
     GT_SIGBIT(SIGABRT) | GT_SIGBIT(SIGQUIT) | GT_SIGBIT(SIGTRAP) | GT_SIGBIT(SIGSYS))
/* Taken by a trampoline wherever they come: what faults raise, and what we or libc use. */
#define UNWATCHED (GT_SIG_SYNC | GT_SIGBIT(SIGABRT) | RESERVED)
extern char gt_arch_restorer[];
void gt_arch_call_on(void *sp, void (*fn)(void *), void *arg);

static struct {
    struct {
        _Atomic uint32_t seq; /* odd: being written; pairs with act_read */
        struct gt_sigact a;
        struct gt_sigact fn; /* the last one that was a function */
    } act[NSIG_ + 1];
    _Atomic bool booted;       /* act[] holds the program's actions, in fork's children too */
    struct gt_lock lock;       /* SIGNAL: act writers, counts */
    _Atomic gt_sigset handled; /* act[] is a function: under the lock; sysmon reads */
    _Atomic(struct gt_signode *) route; /* for sysmon: pushed by trampolines */
    _Atomic(struct gt_signode *) kicks; /* for sysmon: whom to wake; sig: for what, or 0 */
    struct gt_signode *held;            /* sysmon only: nobody takes it yet */
    _Atomic uint32_t nheld;
    _Atomic uint32_t nstranded;  /* goroutines with `stranded` set */
    _Atomic uint32_t route_want; /* rounds of gt_sig_route that somebody waits for */
    _Atomic uint32_t route_have; /* sysmon: the last one; futex */
    _Atomic bool watching;       /* sysmon: gt_sigwatch has its descriptors */
    _Atomic uint32_t taking;     /* trampolines that queue what they were given; futex */
    _Atomic uint32_t catching;   /* who wait for those: gt_sig_catch_up; pairs with take_end */
    _Atomic uint32_t unheard;    /* gt_cancel_again has been called; sysmon takes it */
    _Atomic gt_sigset held_set;  /* sysmon stores, sigpending and sigwait read */
    struct {
        _Atomic uint32_t id; /* 0: free, else 1 + the kernel's number; store release after g */
        const struct gt_g *g;
        int sig;
    } timer[NTIMERS];            /* SIGNAL lock to change */
    uint32_t ntimers[NSIG_ + 1]; /* SIGNAL lock: of each signal */
    uint32_t nblock[NSIG_ + 1];  /* SIGNAL lock: goroutines that block it */
    _Atomic uint32_t nlive;
    _Atomic bool anymask; /* some goroutine has ever blocked something */
    _Atomic gt_sigset
        all_block; /* blocked by every goroutine: under the lock; pairs with await_ms */
    _Atomic uint32_t mask_want;  /* bumped with each change of all_block; futex */
    _Atomic uint32_t mask_have;  /* sysmon: the last one that it has taken over; futex */
    _Atomic uint32_t awaiting;   /* who are in await_ms; pairs with gt_sig_mask_done */
    _Atomic uint32_t mask_done;  /* bumped when one of them may go on; futex */
    gt_sigset sysmon_mask;       /* sysmon only */
    struct gt_ksigaction setxid; /* libc's handlers of 32 and 33 */
    struct gt_ksigaction sigcancel;
    struct {
        uintptr_t lo, hi;
    } text[16];
    _Atomic int ntext;
    uintptr_t main_lo, main_hi; /* where the process's own stack may lie */
} S;

static void tramp(int sig, siginfo_t *si, void *ucp);
static void injected(struct gt_sigframe *f);

/* ---- table of actions ---- */

static bool is_function(const void *h)
{
    return h != (void *)SIG_DFL && h != (void *)SIG_IGN;
}

static struct gt_sigact act_read(int sig)
{
    for (;;) {
        uint32_t s = load_acq(&S.act[sig].seq);
        struct gt_sigact a = S.act[sig].a;
        atomic_thread_fence(memory_order_acquire);
        if (!(s & 1) && load_rlx(&S.act[sig].seq) == s)
            return a;
    }
}

static void act_write(int sig, const struct gt_sigact *a)
{
    add_acqrel(&S.act[sig].seq, 1);
    S.act[sig].a = *a;
    if (is_function(a->handler))
        S.act[sig].fn = *a;
    add_acqrel(&S.act[sig].seq, 1);
    /* sysmon takes this over at its next round; until then its trampoline takes what an M could */
    gt_sigset bit = GT_SIGBIT(sig);
    bool is = is_function(a->handler);
    gt_sigset was = is ? or_acqrel(&S.handled, bit) : and_acqrel(&S.handled, ~bit);
    if (is != !!(was & bit))
        add_acqrel(&S.mask_want, 1);
}

/* What is sent is discarded, what is pending too. */
static bool ignores(const struct gt_sigact *a, int sig)
{
    const gt_sigset quiet =
        GT_SIGBIT(SIGCHLD) | GT_SIGBIT(SIGURG) | GT_SIGBIT(SIGWINCH) | GT_SIGBIT(SIGCONT);
    return a->handler == (void *)SIG_IGN ||
           (a->handler == (void *)SIG_DFL && (quiet & GT_SIGBIT(sig)));
}

/* Tells the kernel what the program's action means for us. */
static void install(int sig, const struct gt_sigact *a)
{
    struct gt_ksigaction k = {.handler = a->handler, .restorer = gt_arch_restorer};
    k.flags = ((unsigned long)a->flags & (SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT)) | SA_RESTORER_;
    bool crash = a->handler == (void *)SIG_DFL && (CRASH & GT_SIGBIT(sig));
    /* a timer's may be blocked by the one that it is for: the kernel must not act on it */
    bool timer = a->handler == (void *)SIG_DFL && S.ntimers[sig];
    if (is_function(a->handler) || crash || timer || sig == SIGURG) {
        k.handler = (void *)tramp;
        k.flags |= SA_SIGINFO | SA_ONSTACK;
        k.mask = ~GT_SIG_SYNC;
        if (sig == SIGURG)
            k.flags |= SA_RESTART;
    }
    sys_sigaction(sig, &k, NULL);
}

static void unlock_to(gt_sigset saved)
{
    gt_unlock(&S.lock, GT_RANK_SIGNAL);
    sys_sigprocmask(SIG_SETMASK, &saved, NULL);
}

/* Blocks all signals, as a trampoline must not find the row half-written, and locks the table.  One
 * of sig that the kernel has woken another thread for, which has not run yet, or a copy that told
 * us of one, is taken here before the handler goes away: else the default would end the process. */
static gt_sigset lock_for(int sig, const struct gt_sigact *act)
{
    gt_sigset all = ~0ull, saved;
    for (;;) {
        sys_sigprocmask(SIG_SETMASK, &all, &saved);
        gt_lock(&S.lock, GT_RANK_SIGNAL);
        if (!act || is_function(act->handler) || !is_function(S.act[sig].a.handler) ||
            !(sys_sigpending() & ~saved & GT_SIGBIT(sig)))
            return saved;
        unlock_to(saved);
    }
}

static void wake_sysmon(void)
{
    store_rlx(&gt_sched.sysmonwait, 0);
    gt_sysmon_wake();
}

int gt_sig_action(int sig, const struct gt_sigact *act, struct gt_sigact *old)
{
    if (sig < 1 || sig > NSIG_ || sig == 32 || sig == 33 ||
        (act && (sig == SIGKILL || sig == SIGSTOP)))
        return -EINVAL;
    gt_sigset saved = lock_for(sig, act), handled = load_rlx(&S.handled);
    if (old)
        *old = S.act[sig].a;
    if (act) {
        struct gt_sigact a = *act;
        a.mask &= ~UNBLOCKABLE;
        act_write(sig, &a);
        install(sig, &a);
        if (ignores(&a, sig))
            gt_sigq_forget(sig);
    }
    handled &= ~load_rlx(&S.handled);
    unlock_to(saved);
    if (handled)
        wake_sysmon(); /* what it need not watch any more is for the kernel to act on */
    return 0;
}

/* ---- what is pending ---- */

int gt_sig_take(struct gt_g *g, gt_sigset set, siginfo_t *info)
{
    struct gt_signode *n = gt_sigq_take(g, set);
    if (!n)
        return 0;
    int sig = n->sig;
    if (info)
        *info = n->info;
    gt_signode_put(n);
    return sig;
}

gt_sigset gt_sig_pending(struct gt_g *g)
{
    return gt_sigq_set(g) | load_acq(&S.held_set);
}

/* ---- masks ---- */

gt_sigset gt_kmask_of(gt_sigset mask)
{
    return mask & ~RESERVED;
}

/* sysmon, at each round: the mask that is its part. */
void gt_signal_sysmon(void)
{
    uint32_t want = load_acq(&S.mask_want);
    if (want == load_rlx(&S.mask_have))
        return;
    gt_sigset all = load_acq(&S.all_block);
    gt_sigset watched = load_acq(&S.watching) ? load_rlx(&S.handled) & ~UNWATCHED : 0;
    S.sysmon_mask = (all | watched | GT_SIGBIT(SIGURG)) & ~(GT_SIGBIT(32) | GT_SIGBIT(33));
    sys_sigprocmask(SIG_SETMASK, &S.sysmon_mask, NULL);
    gt_sigwatch_set(watched & ~all);
    store_rel(&S.mask_have, want);
    gt_futex_wake(&S.mask_have, 1 << 30);
}

/* For another goroutine than the one that has it, or for none yet. */
static void to_sysmon(struct gt_signode *n)
{
    gt_signode_push(&S.route, n);
    wake_sysmon();
}

/* g may sleep, or be on its way to sleep and have looked already: sysmon wakes it.  sig: what has
 * been queued on it, for a call of libc's that is to end by it; or 0. */
static void kick_later(struct gt_g *g, int sig)
{
    struct gt_signode *kick = gt_signode_get(0, NULL); /* no limit for those */
    if (!kick)
        return;
    kick->to = g;
    kick->sig = (uint16_t)sig;
    gt_signode_push(&S.kicks, kick);
    wake_sysmon();
}

/* Waits until the other Ms block what all goroutines block now.  One that runs a goroutine has its
 * mask; one that a goroutine has left takes another's, or rests and is quiet, in an instant.  Our
 * own M blocks it already: two who wait here would wait for each other. */
static void await_ms(gt_sigset grown)
{
    struct gt_g *g = gt_self();
    grown &= GT_SIG_QUIET & ~RESERVED; /* an M that rests blocks no fault */
    if (!grown)
        return;
    add_seq(&S.awaiting, 1);
    for (struct gt_m *m = load_acq(&gt_sched.allm); m; m = m->alllink)
        while (!g || m != g->m) {
            uint32_t done = load_acq(&S.mask_done);
            if (!(grown & load_seq(&S.all_block) & ~load_seq(&m->kblocked)))
                break;
            gt_futex_wait(&S.mask_done, done, GT_NEVER);
        }
    add_seq(&S.awaiting, -1u);
}

/* An M has taken a mask, or fewer signals are blocked by all. */
void gt_sig_mask_done(void)
{
    if (likely(!load_seq(&S.awaiting)))
        return;
    add_acqrel(&S.mask_done, 1);
    gt_futex_wake(&S.mask_done, INT32_MAX);
}

/* Until sysmon, which has been woken, has come to the round `want`. */
static void await_round(_Atomic uint32_t *round, uint32_t want)
{
    while (load_acq(&gt_started)) {
        uint32_t have = load_acq(round);
        if ((int32_t)(have - want) >= 0)
            return;
        gt_futex_wait(round, have, GT_NEVER);
    }
}

/* After a change under the lock: sysmon follows; what all block anew is waited for. */
static void tell_sysmon(uint32_t want, gt_sigset grown)
{
    if (!want)
        return;
    wake_sysmon();
    if (grown)
        await_round(&S.mask_have, want);
}

/* Counts a goroutine's change of mask; SIGNAL lock.  Returns the round to wait for, 0: nothing
 * changed for sysmon.  *grown: what all block since. */
static uint32_t count_mask(gt_sigset old, gt_sigset new, gt_sigset *grown)
{
    gt_sigset changed = old ^ new, all = 0, was = load_rlx(&S.all_block);
    for (int s = 1; s <= NSIG_; s++) {
        if (changed & GT_SIGBIT(s))
            S.nblock[s] += new &GT_SIGBIT(s) ? 1u : -1u;
        if (load_rlx(&S.nlive) && S.nblock[s] >= load_rlx(&S.nlive))
            all |= GT_SIGBIT(s);
    }
    *grown = all & ~was;
    if (all == was)
        return 0;
    store_seq(&S.all_block, all);
    gt_sig_mask_done();
    return add_acqrel(&S.mask_want, 1) + 1;
}

/* One goroutine more (+1), fewer (-1), or the same, with a new mask.  What all block since. */
static gt_sigset recount(gt_sigset old, gt_sigset new, int live)
{
    gt_sigset grown;
    gt_lock(&S.lock, GT_RANK_SIGNAL);
    add_rlx(&S.nlive, (uint32_t)live);
    uint32_t want = count_mask(old, new, &grown);
    gt_unlock(&S.lock, GT_RANK_SIGNAL);
    tell_sysmon(want, grown);
    return grown;
}

void gt_signal_newg(struct gt_g *g)
{
    if (g->sigmask)
        store_rlx(&S.anymask, true);
    if (!g->sigmask && !load_rlx(&S.all_block))
        add_rlx(&S.nlive, 1); /* nothing is blocked by all before and after: no lock */
    else
        recount(0, g->sigmask, 1);
}

/* Keeps g->stranded: process-directed ones lie on it that nobody takes now. */
static void strand(struct gt_g *g, bool is)
{
    if (load_rlx(&g->stranded) == is)
        return;
    store_seq(&g->stranded, is);
    add_seq(&S.nstranded, is ? 1 : -1u);
}

/* Of a goroutine that ends: thread-directed ones die with it. */
static void drop_or_route(struct gt_signode *n)
{
    n->to = NULL;
    if (n->shared)
        to_sysmon(n);
    else
        gt_signode_put(n);
}

/* GT_GF_EXITING is set: pairs with post. */
void gt_signal_exitg(struct gt_g *g)
{
    struct gt_signode *n;
    while ((n = gt_sigq_take(g, ~0ull)) != NULL)
        drop_or_route(n);
    strand(g, false);
    if (!g->sigmask && !load_rlx(&S.anymask))
        add_rlx(&S.nlive, -1u);
    else if (recount(g->sigmask, 0, -1))
        gt_m_setmask(g->m, GT_SIG_QUIET); /* all others block something: not to be taken here */
}

static void set_mask_here(struct gt_g *g, gt_sigset mask)
{
    g->sigmask = mask;
    gt_m_setmask(g->m, gt_kmask_of(mask));
}

static void call_one(struct gt_g *g, void *self)
{
    if (g == self || !load_acq(&g->stranded))
        return;
    if (!(or_acqrel(&g->attention, GT_ATT_SIGNAL) & GT_ATT_SIGNAL))
        kick_later(g, 0);
}

/* g has unblocked something, or waits for it: those on which such signals lie look for a taker
 * again. */
static void call_stranded(struct gt_g *g)
{
    fence_seq(); /* pairs with give_back: our mask has changed */
    if (unlikely(load_seq(&S.nstranded) > load_rlx(&g->stranded)))
        gt_foreach_g(call_one, g);
}

void gt_sig_wait_for(struct gt_g *g, gt_sigset set)
{
    store_seq(&g->waitset, set); /* pairs with gt_sig_send: it queues what we wait for */
    if (load_acq(&S.held_set) & set)
        wake_sysmon();
    if (set)
        call_stranded(g);
}

/* What is unblocked here is unblocked on this M before sysmon may take it: so this M gets all that
 * waits in the kernel, in its order.  What is blocked here sysmon blocks first, when all do. */
static void set_mask(struct gt_g *g, gt_sigset mask)
{
    gt_sigset old = g->sigmask;
    mask &= ~UNBLOCKABLE;
    if (mask == old)
        return;
    if (!load_rlx(&S.anymask))
        store_rlx(&S.anymask, true);
    if (old & ~mask) {
        set_mask_here(g, old & mask);
        call_stranded(g);
    }
    gt_sigset grown = recount(old, mask, 0);
    if (mask & ~old)
        set_mask_here(g, mask);
    await_ms(grown);
    if (load_acq(&S.nheld)) { /* perhaps this one takes what nobody took */
        wake_sysmon();
    }
}

/* What has been unblocked and lies with sysmon, as nobody took it, comes here before the call that
 * unblocked it returns: POSIX, pthread_sigmask(3p). */
static void fetch_held(gt_sigset unblocked)
{
    if (likely(!load_acq(&S.route) && !(load_acq(&S.held_set) & unblocked)))
        return;
    uint32_t want = add_acqrel(&S.route_want, 1) + 1;
    wake_sysmon();
    await_round(&S.route_have, want);
}

void gt_sig_setmask(struct gt_g *g, gt_sigset mask)
{
    gt_sigset unblocked = g->sigmask & ~mask;
    set_mask(g, mask);
    if (unblocked)
        fetch_held(unblocked);
    if (gt_sigq_maybe(g))
        gt_run_signals(g);
}

/* ---- who takes it ---- */

struct pick {
    int sig;
    struct gt_g *g;
    int best;
    bool cpu_time; /* it measures who computes, and hit the scheduler: not one that sleeps */
};

static void consider(struct gt_g *g, void *arg)
{
    struct pick *p = arg;
    gt_sigset bit = GT_SIGBIT(p->sig);
    uint32_t st = load_acq(&g->status);
    int score = 0;
    if (st == GT_G_DEAD || st == GT_G_IDLE || (g->flags & GT_GF_EXITING))
        return;
    if (load_acq(&g->waitset) & bit)
        score = 4;
    else if (g->sigmask & bit)
        return;
    else if (g == gt_sched.g1 && !p->cpu_time)
        score = 3;
    else
        score = st == GT_G_RUN || (st == GT_G_READY && p->cpu_time) ? 2 : 1;
    if (score > p->best) {
        p->best = score;
        p->g = g;
    }
}

/* The goroutine that takes a process-directed signal now; NULL: all block it. */
static struct gt_g *taker(int sig)
{
    struct pick p = {.sig = sig, .cpu_time = sig == SIGPROF || sig == SIGVTALRM};
    gt_foreach_g(consider, &p);
    return p.g;
}

/* The same, while none that came before it is on the way. */
static struct gt_g *taker_now(int sig)
{
    if (load_acq(&S.route) || (load_acq(&S.held_set) & GT_SIGBIT(sig)))
        return NULL;
    return taker(sig);
}

/* ---- delivery on the goroutine ---- */

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

static bool on_altstack(const struct gt_g *g, uintptr_t sp)
{
    uintptr_t lo = (uintptr_t)g->altstack.ss_sp;
    return !(g->altstack.ss_flags & (SS_DISABLE | GT_SS_AUTODISARM)) && sp > lo &&
           sp <= lo + g->altstack.ss_size;
}

/* Lets the default action happen to the process. */
static void die_by(int sig)
{
    struct gt_ksigaction dfl = {
        .handler = (void *)SIG_DFL, .restorer = gt_arch_restorer, .flags = SA_RESTORER_};
    gt_sigset set = GT_SIGBIT(sig);
    sys_sigaction(sig, &dfl, NULL);
    sys_sigprocmask(SIG_UNBLOCK, &set, NULL);
    sys_tgkill(sys_getpid(), sys_gettid(), sig);
}

enum delivered { NO_HANDLER, NO_RESTART, RESTART };

static enum delivered by_default(const struct gt_sigact *a, int sig)
{
    if (!ignores(a, sig))
        die_by(sig);
    return NO_HANDLER;
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
    if (!(uc->uc_stack.ss_flags & ~known) && !on_altstack(g, sp))
        g->altstack = uc->uc_stack;
}

/* Runs one handler with the runtime section left; those of what else is pending first, on top. */
static enum delivered deliver(struct gt_g *g, struct gt_signode *n, ucontext_t *uc)
{
    struct gt_sigact a = act_read(n->sig);
    siginfo_t info = n->info;
    int sig = n->sig;
    if (n->was.handler && a.handler == (void *)SIG_DFL)
        a = n->was;
    gt_signode_put(n);
    gt_assert(sig > 0); /* kicks are sysmon's */
    if (!is_function(a.handler))
        return by_default(&a, sig);
    if (a.flags & SA_RESETHAND) {
        struct gt_sigact dfl = {.handler = (void *)SIG_DFL, .flags = a.flags, .mask = a.mask};
        gt_sig_action(sig, &dfl, NULL);
    }
    gt_sigset old = g->sigmask;
    set_mask(g, old | a.mask | (a.flags & SA_NODEFER ? 0 : GT_SIGBIT(sig)));
    gt_memcpy(&uc->uc_sigmask, &old, sizeof(old));
    bool alt = (a.flags & SA_ONSTACK) && !(g->altstack.ss_flags & SS_DISABLE) &&
               !on_altstack(g, (uintptr_t)__builtin_frame_address(0));
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
    set_mask(g, old);
    return a.flags & SA_RESTART ? RESTART : NO_RESTART;
}

/* Process-directed ones that this goroutine does not take after all, and another does: one of each
 * signal.  The others, and where none takes it yet, stay, and whoever unblocks them calls for them,
 * also at the end of the handler of that one.  (It may be our own handler that blocks them, of
 * thousands: they would go to and fro with each.) */
static void give_back(struct gt_g *g)
{
    gt_sigset set = gt_sigq_shared(g) & g->sigmask & ~load_rlx(&g->waitset), left = 0;
    if (set)
        strand(g, true); /* before the look for a taker: pairs with call_stranded */
    for (int sig = 1; set; sig++, set >>= 1) {
        struct gt_signode *n;
        if (!(set & 1))
            continue;
        if (!taker(sig)) {
            left |= GT_SIGBIT(sig);
            continue;
        }
        n = gt_sigq_take_shared(g, GT_SIGBIT(sig));
        if (!n)
            continue;
        n->to = NULL; /* else sysmon would hand it to us again */
        n->was.handler = NULL;
        to_sysmon(n);
        left |= gt_sigq_shared(g) & GT_SIGBIT(sig);
    }
    if (!left)
        strand(g, false);
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
        give_back(g);
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

/* Others have changed what only its kernel thread can have. */
static void take_over(struct gt_g *g)
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
        if (yields && (and_acqrel(&g->attention, ~GT_ATT_PREEMPT) & GT_ATT_PREEMPT)) {
            gt_stat_add(preemptions, 1);
            g->nivcsw += gt_gosched(g);
        }
        if (yields && (load_rlx(&g->attention) & GT_ATT_WIRE))
            take_over(g);
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

/* ---- sending ---- */

/* Wakes g if it sleeps; the M that runs it is to be told, else. */
static struct gt_m *wake_or_find(struct gt_g *g)
{
    fence_seq(); /* pairs with gt_park: attention was set before we look for a sleeper */
    uint64_t t = load_rlx(&g->intr_ticket);
    if ((t & load_rlx(&g->attention) & 0xff) && gt_park_wake(&g->pk, t & GT_PK_SEQ, GT_WAKE_SIGNAL))
        return NULL;
    return g != gt_tls.g ? g->m : NULL;
}

void gt_kick(struct gt_g *g)
{
    struct gt_m *m = wake_or_find(g);
    if (m)
        gt_send_preempt(m);
}

void gt_send_preempt(struct gt_m *m)
{
    sys_tgkill(sys_getpid(), m->ktid, SIGURG);
}

/* Only while sig has a handler: after lock_for none comes any more. */
static bool send_copy(const struct gt_m *m, int sig)
{
    siginfo_t si;
    gt_sigset all = ~0ull, saved;
    gt_memset(&si, 0, sizeof(si));
    si.si_signo = sig;
    si.si_code = SI_QUEUE;
    si.si_pid = sys_getpid();
    si.si_value.sival_ptr = &S;
    sys_sigprocmask(SIG_SETMASK, &all, &saved);
    gt_lock(&S.lock, GT_RANK_SIGNAL);
    bool sent =
        is_function(S.act[sig].a.handler) && sys_tgsigqueueinfo(si.si_pid, m->ktid, sig, &si) == 0;
    unlock_to(saved);
    return sent;
}

/* The same for a signal that has been queued; told: g had been told of another before, and has not
 * looked yet.  A signal that g blocks (it waits for it) must not lie pending on g's kernel thread,
 * where sigpending, sigwait and a signalfd of whoever runs there next would find it. */
static void kick_for(struct gt_g *g, int sig, bool told)
{
    struct gt_m *m = wake_or_find(g);
    if (!m || told)
        return;
    uint32_t st = load_acq(&g->status);
    bool blocked = g->sigmask & GT_SIGBIT(sig);
    if (!blocked && load_acq(&g->in_rt) == 0 && (st == GT_G_RUN || st == GT_G_CALL) &&
        send_copy(m, sig))
        return;
    gt_send_preempt(m);
}

bool gt_sig_is_own(int sig, const siginfo_t *info)
{
    if (info->si_code == SI_QUEUE)
        return info->si_value.sival_ptr == &S && info->si_pid == sys_getpid();
    return sig == SIGURG && info->si_code == SI_TKILL && info->si_pid == sys_getpid();
}

/* Queues n on g.  Was attention asked for before? */
static bool post(struct gt_g *g, struct gt_signode *n)
{
    n->to = g;
    gt_sigq_add(g, n);
    bool told = or_acqrel(&g->attention, GT_ATT_SIGNAL) & GT_ATT_SIGNAL;
    fence_seq(); /* pairs with gt_signal_exitg: it has the flag set, then empties the queue */
    if (unlikely(__atomic_load_n(&g->flags, __ATOMIC_RELAXED) & GT_GF_EXITING)) {
        struct gt_signode *list = gt_signode_list(&g->siginbox), *next;
        for (; list; list = next) {
            next = list->next;
            drop_or_route(list);
        }
    }
    return told;
}

/* Nobody queues it: what its default action does to the process. */
static void act_on_process(const struct gt_g *g, const struct gt_sigact *a, int sig)
{
    if (ignores(a, sig))
        return;
    if (g == gt_self())
        sys_tgkill(sys_getpid(), sys_gettid(), sig);
    else
        sys_kill(sys_getpid(), sig);
}

int gt_sig_send(struct gt_g *g, int sig, const siginfo_t *info)
{
    if (sig < 0 || sig > NSIG_ || sig == 32 || sig == 33)
        return -EINVAL;
    if (sig == 0)
        return 0;
    struct gt_sigact a = act_read(sig);
    bool waits = (load_acq(&g->waitset) | g->sigmask) & ~UNBLOCKABLE & GT_SIGBIT(sig);
    if (!waits && !is_function(a.handler)) {
        act_on_process(g, &a, sig);
        return 0;
    }
    struct gt_signode *n = gt_signode_get(sig, info);
    if (!n)
        return -EAGAIN;
    kick_for(g, sig, post(g, n));
    return 0;
}

int gt_sig_send_process(int sig, const siginfo_t *info)
{
    struct gt_sigact a = act_read(sig);
    struct gt_g *g = is_function(a.handler) ? taker(sig) : NULL;
    if (!g)
        return 0;
    struct gt_signode *n = gt_signode_get(sig, info);
    if (!n)
        return -EAGAIN;
    n->shared = true;
    kick_for(g, sig, post(g, n));
    return 1;
}

/* ---- routing, in sysmon ---- */

/* Hands one on.  False: nobody takes it. */
static bool route_one(struct gt_signode *n)
{
    struct gt_g *to = n->to;
    int sig = n->sig;
    struct gt_sigact a = act_read(sig);
    if (!to)
        to = taker(sig);
    if (!to && !ignores(&a, sig)) {
        n->was.handler = NULL; /* it is pending, as in the kernel */
        return false;
    }
    if (!to) {
        gt_signode_put(n);
        return true;
    }
    kick_for(to, sig, post(to, n));
    return true;
}

static void kick_all(void)
{
    struct gt_signode *next;
    for (struct gt_signode *n = gt_signode_list(&S.kicks); n; n = next) {
        next = n->next;
        struct gt_g *to = n->to;
        int sig = n->sig;
        gt_signode_put(n);
        if (sig)
            kick_for(to, sig, false);
        else
            gt_kick(to);
    }
}

static void route_all(void)
{
    struct gt_signode *list[2] = {S.held, gt_signode_list(&S.route)}, **end = &S.held, *next;
    gt_sigset set = 0;
    uint32_t held = 0;
    if (!list[0] && !list[1])
        return;
    S.held = NULL;
    for (int i = 0; i < 2; i++)
        for (struct gt_signode *n = list[i]; n; n = next) {
            next = n->next;
            int sig = n->sig;
            if (route_one(n))
                continue;
            n->next = NULL;
            *end = n;
            end = &n->next;
            set |= GT_SIGBIT(sig);
            held++;
        }
    store_rel(&S.held_set, set);
    store_rel(&S.nheld, held);
}

void gt_sig_route(void)
{
    uint32_t want = load_acq(&S.route_want);
    kick_all();
    route_all();
    if (want != load_rlx(&S.route_have)) {
        store_rel(&S.route_have, want);
        gt_futex_wake(&S.route_have, 1 << 30);
    }
}

/* ---- the trampoline: in a signal frame, on the M's alternate stack ---- */

bool gt_preemptible(uintptr_t pc)
{
    int n = load_acq(&S.ntext);
    for (int i = 0; i < n; i++)
        if (pc >= S.text[i].lo && pc < S.text[i].hi)
            return false;
    return true;
}

/* Enough stack below sp for the frame and a handler? */
static bool fits(const struct gt_g *g, uintptr_t sp, const void *uc)
{
    if ((g->flags & GT_GF_MAIN) || !g->stack_lo)
        return true;
    uintptr_t lo = (uintptr_t)g->stack_lo, hi = (uintptr_t)g->stack_hi;
    return sp < lo || sp > hi || sp - lo > gt_arch_inject_size(uc) + 1024;
}

static bool on_own_stack(const struct gt_g *g, uintptr_t sp)
{
    if (g->stack_lo)
        return sp > (uintptr_t)g->stack_lo && sp <= (uintptr_t)g->stack_hi;
    return sp > S.main_lo && sp <= S.main_hi;
}

static bool on_aside(const struct gt_g *g, uintptr_t sp)
{
    return g->aside && sp > (uintptr_t)g->aside && sp <= (uintptr_t)g->aside + ASIDE;
}

/* Where a mere yield may be injected; 0: nowhere, there is no memory. */
static uintptr_t yield_sp(struct gt_g *g, uintptr_t sp)
{
    if (on_own_stack(g, sp) || on_aside(g, sp) || on_altstack(g, sp))
        return sp;
    if (!g->aside) {
        char *p = sys_mmap(NULL, ASIDE, PROT_READ | PROT_WRITE, MAP_NORESERVE);
        if (gt_sys_is_err(p))
            return 0;
        g->aside = p;
    }
    return (uintptr_t)g->aside + ASIDE;
}

void gt_signal_freeg(struct gt_g *g)
{
    if (g->aside)
        sys_munmap(g->aside, ASIDE);
    g->aside = NULL;
}

/* The signal whose handler runs next, 0: none is due.  Only when the goroutine is out of the
 * runtime: nobody else takes from its queues. */
static int due(const struct gt_g *g)
{
    int oldest = 0;
    for (const struct gt_signode *n = g->sigq; n; n = n->next)
        if (!(g->sigmask & GT_SIGBIT(n->sig)))
            return n->sig;
    for (const struct gt_signode *n = load_acq(&g->siginbox); n; n = n->next)
        if (!(g->sigmask & GT_SIGBIT(n->sig)))
            oldest = n->sig;
    return oldest;
}

/* sig: what it is for; 0: a yield, or an asynchronous cancellation.
 * in_rt is set from here on: a signal that comes before the first instruction of injected() would
 * be injected above it, and its handlers, a fault's too, would be shown our registers.  What it was
 * is kept in the frame. */
static bool inject(struct gt_g *g, void *uc, int sig)
{
    siginfo_t depth = {.si_value.sival_int = (int)load_rlx(&g->in_rt)};
    uintptr_t sp = gt_arch_uc_sp(uc) - 128;
    bool can = !(g->altstack.ss_flags & SS_DISABLE) && !on_altstack(g, sp);
    if (sig && can && ((act_read(sig).flags & SA_ONSTACK) || !fits(g, sp, uc)))
        sp = (uintptr_t)g->altstack.ss_sp + g->altstack.ss_size;
    else if (!sig && !(load_rlx(&g->attention) & GT_ATT_CANCEL))
        sp = yield_sp(g, sp);
    if (!sp || !fits(g, sp, uc))
        return false;
    gt_arch_inject(uc, &depth, sp, injected);
    store_rlx(&g->in_rt, (uint32_t)depth.si_value.sival_int + 1);
    return true;
}

/* What sigreturn takes besides the registers. */
static void close_frame(const struct gt_g *g, ucontext_t *uc)
{
    gt_sigset mask = gt_kmask_of(g->sigmask);
    gt_memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
    /* an invalid mode: it then leaves the alternate stack of whatever M we are on alone */
    uc->uc_stack.ss_flags = 0x7ffe;
}

/* Would a cancellation act at any instruction: asynchronous by the program's wish, or because the
 * goroutine waits in a cancellation point inside libc? */
static bool cancels_here(const struct gt_g *g)
{
    return (load_rlx(&g->attention) & GT_ATT_CANCEL) &&
           ((load_rlx(&g->cancel) & GT_CANCEL_ASYNC) || gt_tcb_in_point(gt_arch_get_tp()));
}

/* What the interrupted goroutine runs: handlers, a yield, an asynchronous cancellation. */
static void injected(struct gt_sigframe *f)
{
    struct gt_g *g = gt_tls.g;
    ucontext_t *uc = gt_arch_frame_uc(f);
    uint32_t depth = (uint32_t)((siginfo_t *)gt_arch_frame_si(f))->si_value.sival_int;
    gt_rt_entered(g);
    for (;;) {
        if (!depth && (and_acqrel(&g->attention, ~GT_ATT_PREEMPT) & GT_ATT_PREEMPT)) {
            gt_stat_add(preemptions, 1);
            g->nivcsw += gt_gosched(g);
        }
        if (!depth && (load_rlx(&g->attention) & GT_ATT_WIRE))
            take_over(g);
        int sig = on_aside(g, (uintptr_t)f) ? due(g) : 0;
        if (sig) {
            close_frame(g, uc);
            store_rlx(&g->in_rt, depth);
            if (inject(g, uc, sig))
                return;
            store_rlx(&g->in_rt, depth + 1);
        }
        gt_run_signals_uc(g, uc, NULL);
        if (cancels_here(g) && gt_cancel_act)
            gt_cancel_act(g);
        close_frame(g, uc);
        GT_COMPILER_BAR();
        store_rlx(&g->in_rt, depth); /* of the runtime, when its own code met the fault */
        GT_COMPILER_BAR();           /* as in gt_rt_leave */
        if (depth || !(load_rlx(&g->attention) & GT_ATT_SIGNAL))
            return;
        gt_rt_enter(g);
    }
}

/* A cancellation came while its goroutine is in a call inside libc, but not yet where libc waits:
 * it will wait soon, and knows of nothing.  sysmon tells it again when it sleeps. */
void gt_cancel_again(void)
{
    store_rlx(&S.unheard, 1);
    fence_seq(); /* pairs with deep_sleep: it says that it sleeps, then looks at this */
    gt_sched_wakesysmon();
}

bool gt_cancel_unheard(void)
{
    return load_seq(&S.unheard);
}

static void retry_one(struct gt_g *g, void *arg)
{
    (void)arg;
    struct gt_m *m = g->m;
    if (!m || !(load_rlx(&g->attention) & GT_ATT_CANCEL) || load_acq(&g->status) != GT_G_CALL ||
        load_rlx(&g->in_rt))
        return;
    char st = gt_kthread_state(m->ktid);
    if (st == 'S' || st == 'D')
        gt_send_preempt(m); /* acts on it, or calls for the next try */
    else
        store_rlx(&S.unheard, 1);
}

void gt_cancel_retry(void)
{
    if (load_rlx(&S.unheard) && xchg_acqrel(&S.unheard, 0))
        gt_foreach_g(retry_one, NULL);
}

static void on_sigurg(struct gt_g *g, void *uc)
{
    uint32_t att = load_rlx(&g->attention);
    if (g->is_g0 || !att)
        return;
    if (load_rlx(&g->in_rt)) {
        if (att & (GT_ATT_SIGNAL | GT_ATT_CANCEL))
            gt_arch_syscall_abort(uc);
        return;
    }
    if (att & GT_ATT_PREEMPT) {
        uintptr_t pc = gt_arch_uc_pc(uc);
        bool near = pc - g->spin_pc + SPIN_SPAN < 2ul * SPIN_SPAN;
        unsigned saved, all = gt_arch_uc_changed(uc, g->spin_regs, &saved);
        bool same = saved <= SPIN_CHANGES && all <= SPIN_ALL;
        store_rlx(&g->spins, near && same ? load_rlx(&g->spins) + 1 : 0);
        g->spin_pc = pc;
    }
    bool async = cancels_here(g);
    if ((att & GT_ATT_CANCEL) && !async && load_rlx(&g->status) == GT_G_CALL)
        gt_cancel_again();
    if ((att & GT_ATT_SIGNAL) || async ||
        ((att & (GT_ATT_PREEMPT | GT_ATT_WIRE)) && gt_preemptible(gt_arch_uc_pc(uc))))
        inject(g, uc, due(g));
}

/* Off a goroutine: as without us. */
static void direct(int sig, siginfo_t *si, void *ucp)
{
    struct gt_sigact a = act_read(sig);
    ucontext_t *uc = ucp;
    if (!is_function(a.handler)) {
        if (a.handler == (void *)SIG_DFL && (CRASH & GT_SIGBIT(sig)))
            gt_dump_crash(sig, si, uc);
        return;
    }
    gt_sigset mask;
    gt_memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
    mask |= a.mask | (a.flags & SA_NODEFER ? 0 : GT_SIGBIT(sig));
    if (a.flags & SA_RESETHAND) {
        struct gt_sigact dfl = {.handler = (void *)SIG_DFL};
        act_write(sig, &dfl);
        install(sig, &dfl);
    }
    sys_sigprocmask(SIG_SETMASK, &mask, NULL);
    ((void (*)(int, siginfo_t *, void *))a.handler)(sig, si, uc);
}

static bool is_sync(int sig, const siginfo_t *si)
{
    return (GT_SIG_SYNC & GT_SIGBIT(sig)) && si->si_code > 0;
}

/* SIGPIPE for a write of our own is its thread's, though it looks like a kill(). */
static bool thread_directed(const siginfo_t *si)
{
    return si->si_code == SI_TKILL ||
           (si->si_signo == SIGPIPE && si->si_code == SI_USER && si->si_pid == sys_getpid());
}

/* abort() of libc's: the only SIGABRT that a thread sends itself behind us. */
static bool is_abort(int sig, const siginfo_t *si)
{
    return sig == SIGABRT && si->si_code == SI_TKILL && si->si_pid == sys_getpid();
}

/* A fault of the goroutine's own code: its handler, now, whatever it was doing. */
static void fault(struct gt_g *g, int sig, siginfo_t *si, void *uc)
{
    struct gt_sigact a = act_read(sig);
    struct gt_signode *n = NULL;
    uintptr_t pc = gt_arch_uc_pc(uc);
    if (sig == SIGSEGV && (uintptr_t)si->si_addr == pc && gt_stack_allow_exec(g, pc))
        return;
    if (gt_arch_copy_fault(uc))
        return;
    if (!g->is_g0 && is_function(a.handler) && !(g->sigmask & GT_SIGBIT(sig)))
        n = gt_signode_get(sig, si);
    if (!n) {
        gt_dump_crash(sig, si, uc);
        return;
    }
    post(g, n);
    if (!inject(g, uc, sig))
        gt_dump_crash(sig, si, uc);
}

/* Of SIGEV_THREAD_ID; NULL: no such timer. */
static struct gt_g *timer_owner(const siginfo_t *si)
{
    if (si->si_code != SI_TIMER)
        return NULL;
    for (int i = 0; i < NTIMERS; i++)
        if (load_acq(&S.timer[i].id) == (uint32_t)si->si_timerid + 1)
            return (struct gt_g *)S.timer[i].g;
    return NULL;
}

int gt_sig_timer(int id, int sig, const struct gt_g *g)
{
    int r = g ? -EAGAIN : 0;
    uint32_t key = (uint32_t)id + 1;
    gt_sigset all = ~0ull, saved;
    sys_sigprocmask(SIG_SETMASK, &all, &saved);
    gt_lock(&S.lock, GT_RANK_SIGNAL);
    for (int i = 0; i < NTIMERS; i++) {
        if (load_rlx(&S.timer[i].id) != (g ? 0 : key))
            continue;
        sig = g ? sig : S.timer[i].sig;
        S.timer[i].g = g;
        S.timer[i].sig = sig;
        S.ntimers[sig] += g ? 1u : -1u;
        install(sig, &S.act[sig].a);
        store_rel(&S.timer[i].id, g ? key : 0);
        r = 0;
        break;
    }
    gt_unlock(&S.lock, GT_RANK_SIGNAL);
    sys_sigprocmask(SIG_SETMASK, &saved, NULL);
    return r;
}

/* Came here only because a timer uses it, and is not the timer's. */
static void by_kernel(const struct gt_sigact *a, int sig)
{
    if (!ignores(a, sig))
        die_by(sig);
}

/* The action for a signal that the kernel has just given us.  The default, but we have a trampoline
 * for it: it was a function until an instant ago. */
static struct gt_sigact act_taken(int sig)
{
    struct gt_sigact a = act_read(sig);
    bool ours = (CRASH & GT_SIGBIT(sig)) || __atomic_load_n(&S.ntimers[sig], __ATOMIC_RELAXED);
    if (a.handler == (void *)SIG_DFL && !ours && S.act[sig].fn.handler &&
        !(S.act[sig].fn.flags & SA_RESETHAND))
        return S.act[sig].fn;
    return a;
}

/* The kernel would run this handler now: what the program makes of the action before we come to it
 * must not end the process. */
static void handled_by(struct gt_signode *n, const struct gt_sigact *a)
{
    if (is_function(a->handler) && !(a->flags & SA_RESETHAND))
        n->was = *a;
}

static void sysmon_took(int sig, siginfo_t *si, void *uc)
{
    struct gt_sigact a = act_taken(sig);
    if (is_function(a.handler) || timer_owner(si)) {
        struct gt_signode *n = gt_signode_get(sig, si);
        if (!n)
            return;
        struct gt_g *to = timer_owner(si);
        n->shared = !to;
        if (!to) {
            handled_by(n, &a);
            to = taker_now(sig);
        }
        if (!to) {
            to_sysmon(n);
            return;
        }
        /* posted now: a goroutine that is about to run handles it before anything else */
        if (!post(to, n))
            kick_later(to, sig);
    } else if (a.handler == (void *)SIG_DFL && (CRASH & GT_SIGBIT(sig))) {
        gt_dump_crash(sig, si, uc);
    } else {
        by_kernel(&a, sig);
    }
}

/* Was g interrupted in an announced call, outside the runtime?  It then holds no lock of ours. */
static bool in_call(const struct gt_g *g)
{
    return !g->is_g0 && load_rlx(&g->in_rt) == 0 && load_rlx(&g->status) == GT_G_CALL;
}

/* Around what a trampoline does with a signal that it has been given. */
static void take_begin(void)
{
    add_acqrel(&S.taking, 1);
}

static void take_end(void)
{
    add_seq(&S.taking, -1u); /* pairs with await_takers: it counts itself, then looks */
    if (unlikely(load_seq(&S.catching)))
        gt_futex_wake(&S.taking, INT32_MAX);
}

/* Until what the kernel has given away is queued: a moment, as a trampoline waits for nothing. */
static void await_takers(void)
{
    if (likely(!load_acq(&S.taking)))
        return;
    add_seq(&S.catching, 1);
    for (uint32_t n; (n = load_seq(&S.taking)) != 0;)
        gt_futex_wait(&S.taking, n, GT_NEVER);
    add_seq(&S.catching, -1u);
}

/* Dequeued by sysmon, or by g, which may be NULL; a: the action when it was. */
static void fetched(struct gt_g *g, int sig, siginfo_t *si, const struct gt_sigact *a)
{
    struct gt_g *to = timer_owner(si);
    if (!is_function(a->handler) && !to) {
        by_kernel(a, sig);
        return;
    }
    struct gt_signode *n = gt_signode_get(sig, si);
    if (!n)
        return;
    n->shared = !to && !(g && thread_directed(si));
    if (n->shared)
        handled_by(n, a);
    if (!to)
        to = n->shared ? taker_now(sig) : g;
    if (!to) {
        to_sysmon(n);
        return;
    }
    bool told = post(to, n);
    if (to != g)
        kick_for(to, sig, told);
}

/* What Ms take themselves: each says what it certainly blocks. */
static gt_sigset taken_by_ms(void)
{
    gt_sigset taken = 0;
    for (struct gt_m *m = load_acq(&gt_sched.allm); m; m = m->alllink)
        taken |= ~load_seq(&m->kblocked);
    return taken;
}

bool gt_sig_fetch(gt_sigset set)
{
    gt_sigset pend = sys_sigpending() & set, left = pend & taken_by_ms();
    pend &= ~left;
    if (pend)
        take_begin(); /* before it is dequeued: it is never in nobody's hands */
    for (gt_sigset rest = pend; rest;) {
        siginfo_t si;
        int sig = __builtin_ctzll(rest) + 1;
        gt_sigset bit = GT_SIGBIT(sig);
        /* read first: who changes it takes what is pending (lock_for) */
        struct gt_sigact a = act_read(sig);
        if (sys_sigtake(&bit, &si) == sig)
            fetched(NULL, sig, &si, &a);
        else
            rest &= ~bit;
    }
    if (pend)
        take_end();
    return left != 0;
}

/* The kernel has told one M, which takes it when it runs next: that may be one which is about to
 * rest, on a CPU that others use. */
static void take_before(gt_sigset set, struct gt_g *g)
{
    siginfo_t si;
    int sig;
    while (set && (sig = sys_sigtake(&set, &si)) > 0) {
        struct gt_sigact a = act_taken(sig);
        if (!gt_sig_is_own(sig, &si))
            fetched(g, sig, &si, &a);
    }
}

void gt_sig_catch_up(struct gt_g *g, bool near)
{
    if (near)
        take_before(load_rlx(&S.handled) & ~UNWATCHED & ~g->sigmask, g);
    if (likely(!load_acq(&S.taking) && !load_acq(&S.route)))
        return;
    await_takers();
    fetch_held(~g->sigmask);
}

void gt_signal_watch(bool on)
{
    store_rel(&S.watching, on);
    add_acqrel(&S.mask_want, 1);
}

/* A signal for a goroutine, here or elsewhere; its handler is the program's. */
static void took(struct gt_g *g, int sig, siginfo_t *si, void *uc, const struct gt_sigact *a)
{
    struct gt_g *owner = timer_owner(si);
    bool own = thread_directed(si), takes = !g->is_g0 && !(g->sigmask & GT_SIGBIT(sig));
    bool cpu_time = si->si_code == SI_KERNEL && (sig == SIGPROF || sig == SIGVTALRM);
    struct gt_signode *n = gt_signode_get(sig, si);
    if (!n)
        return;
    n->shared = !own && !owner;
    struct gt_g *to = owner                                     ? owner
                      : own && !g->is_g0                        ? g
                      : takes && (cpu_time || g == gt_sched.g1) ? g
                                                                : taker(sig);
    if (!to) {
        to_sysmon(n); /* held until somebody takes it */
        return;
    }
    bool here = to == g && takes;
    if (here || n->shared)
        handled_by(n, a);
    /* posted now, so that its handler runs before anything that it does from here on */
    bool told = post(to, n);
    if (here && load_rlx(&g->in_rt) == 0 && inject(g, uc, due(g)))
        return;
    if (here)
        gt_arch_syscall_abort(uc);
    else if (told)
        return; /* it knows of another, and has not looked yet */
    if (here)
        kick_later(g, 0);
    else if (in_call(g))
        kick_for(to, sig, false); /* before g sees, out of its call, that nothing happened */
    else
        kick_later(to, sig);
}

static void tramp(int sig, siginfo_t *si, void *uc)
{
    struct gt_g *g = gt_tls.g;
    if (!g && !gt_tls.runtime) {
        direct(sig, si, uc);
        return;
    }
    if (!g) {                    /* sysmon: what no running M takes */
        if (is_abort(sig, si)) { /* libc's handler of 33 runs there too, and may abort */
            direct(sig, si, uc);
            return;
        }
        take_begin();
        sysmon_took(sig, si, uc);
        take_end();
        return;
    }
    if (gt_sig_is_own(sig, si)) {
        on_sigurg(g, uc);
        return;
    }
    if (is_sync(sig, si)) {
        fault(g, sig, si, uc);
        return;
    }
    if (is_abort(sig, si) && (g->is_g0 || load_rlx(&g->in_rt))) {
        direct(sig, si, uc); /* inside a call of libc's that cannot be left: it ends if we return */
        return;
    }
    struct gt_sigact a = act_taken(sig);
    if (is_function(a.handler) || timer_owner(si)) {
        take_begin();
        took(g, sig, si, uc, &a);
        take_end();
    } else if (a.handler == (void *)SIG_DFL && (CRASH & GT_SIGBIT(sig)))
        gt_dump_crash(sig, si, uc);
    else
        by_kernel(&a, sig);
}

/* ---- 32 and 33 are libc's: they run on the block that libc's list has for this kernel thread ----
 */

static void libc_signal(int sig, siginfo_t *si, void *uc)
{
    struct gt_g *g = gt_tls.g;
    struct gt_ksigaction *k = sig == 33 ? &S.setxid : &S.sigcancel;
    void (*h)(int, siginfo_t *, void *) = (void (*)(int, siginfo_t *, void *))k->handler;
    if (!h || !is_function(k->handler))
        return;
    if (!g || !g->m) {
        h(sig, si, uc);
        return;
    }
    void *tp = gt_arch_get_tp(), *listed = g->m->listed_tp;
    gt_arch_set_tp(listed);
    h(sig, si, uc);
    gt_arch_set_tp(tp);
}

static void wrap_libc(int sig, struct gt_ksigaction *save)
{
    struct gt_ksigaction k;
    if (sys_sigaction(sig, NULL, &k) || k.handler == (void *)libc_signal || !is_function(k.handler))
        return;
    *save = k;
    k.handler = (void *)libc_signal;
    k.flags |= SA_SIGINFO | SA_ONSTACK;
    sys_sigaction(sig, &k, NULL);
}

/* ---- boot ---- */

static int add_text(struct dl_phdr_info *in, size_t size, void *arg)
{
    int *n = arg;
    (void)size;
    bool wanted = false;
    for (int i = 0; i < in->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &in->dlpi_phdr[i];
        uintptr_t lo = in->dlpi_addr + ph->p_vaddr;
        if (ph->p_type == PT_LOAD && (uintptr_t)tramp >= lo && (uintptr_t)tramp < lo + ph->p_memsz)
            wanted = true;
    }
    const char *base = in->dlpi_name, *p = base;
    for (; *p; p++)
        if (*p == '/')
            base = p + 1;
    static const char *const names[] = {"libc.so",  "libc-2",     "ld-linux",   "ld-2",
                                        "libgcc_s", "libpthread", "linux-vdso", "libdl"};
    for (size_t i = 0; i < GT_ARRAY_LEN(names); i++)
        if (!gt_memcmp(base, names[i], GT_MIN(gt_strlen(names[i]), gt_strlen(base) + 1)))
            wanted = true;
    for (int i = 0; wanted && i < in->dlpi_phnum && *n < (int)GT_ARRAY_LEN(S.text); i++) {
        const ElfW(Phdr) *ph = &in->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
            continue;
        S.text[*n].lo = in->dlpi_addr + ph->p_vaddr;
        S.text[(*n)++].hi = in->dlpi_addr + ph->p_vaddr + ph->p_memsz;
    }
    return 0;
}

void gt_sig_ranges_init(void)
{
    int n = 0;
    gt_os_real.dl_iterate_phdr(add_text, &n);
    store_rel(&S.ntext, n);
}

/* The kernel lays the process's stack out below the file name that it puts above it; how far down
 * it may go, the limit says. */
static void find_main_stack(void)
{
    struct {
        uint64_t cur, max;
    } lim = {0, 0};
    GT_SYS6(SYS_prlimit64, 0, RLIMIT_STACK, 0, &lim, 0, 0);
    S.main_hi = gt_os_real.getauxval ? gt_os_real.getauxval(AT_EXECFN) : 0;
    S.main_lo = S.main_hi - GT_MIN(S.main_hi, GT_MIN(lim.cur, MAIN_STACK_MAX));
}

bool gt_sig_booted(void)
{
    return load_acq(&S.booted);
}

void gt_signal_boot(void)
{
    store_rel(&S.booted, true);
    gt_sig_ranges_init();
    find_main_stack();
    for (int sig = 1; sig <= NSIG_; sig++) {
        struct gt_ksigaction k;
        if (sig == 32 || sig == 33 || sig == SIGKILL || sig == SIGSTOP ||
            sys_sigaction(sig, NULL, &k) || k.handler == (void *)tramp)
            continue;
        struct gt_sigact a = {.handler = k.handler, .mask = k.mask, .flags = (int)k.flags};
        act_write(sig, &a);
        if (is_function(a.handler) || sig == SIGURG ||
            (a.handler == (void *)SIG_DFL && (CRASH & GT_SIGBIT(sig))))
            install(sig, &a);
    }
}

void gt_signal_boot_libc(void)
{
    add_acqrel(&S.mask_want, 1); /* sysmon takes its mask over at its first round */
    wrap_libc(32, &S.sigcancel);
    wrap_libc(33, &S.setxid);
}

/* What was sent to the first thread alone (raise, pthread_kill) and is blocked lies with its kernel
 * thread, whom others will run on.  The kernel dequeues a thread's own before the process's, so
 * nothing of those is taken as long as it still says that the thread has one. */
void gt_signal_adopt(struct gt_g *g1)
{
    gt_sigset own;
    if (!(sys_sigpending() & g1->sigmask))
        return;
    while ((own = gt_kthread_pending(g1->m->ktid) & g1->sigmask) != 0) {
        siginfo_t si;
        gt_memset(&si, 0, sizeof(si));
        int sig = sys_sigtake(&own, &si);
        struct gt_signode *n = sig > 0 ? gt_signode_get(sig, &si) : NULL;
        if (!n)
            return;
        gt_sigq_add(g1, n);
    }
}

/* The alternate stack of an M, before it starts.  0 or -ENOMEM. */
int gt_signal_malloc(struct gt_m *m)
{
    if (m->sigstack)
        return 0;
    char *p = sys_mmap(NULL, SIGSTACK, PROT_READ | PROT_WRITE, MAP_NORESERVE);
    if (gt_sys_is_err(p))
        return -ENOMEM;
    m->sigstack = p;
    return 0;
}

/* On the M: takes it into use; the program's own (of the first thread) becomes virtual. */
void gt_signal_minit(struct gt_m *m)
{
    struct gt_g *g = gt_self();
    stack_t old, ss = {.ss_sp = m->sigstack, .ss_size = SIGSTACK};
    if (sys_sigaltstack(&ss, &old) == 0 && g)
        g->altstack = old;
}

void gt_signal_fork_lock(void)
{
    gt_lock(&S.lock, GT_RANK_SIGNAL);
}

void gt_signal_fork_unlock(void)
{
    gt_unlock(&S.lock, GT_RANK_SIGNAL);
}

void gt_signal_fork_child(struct gt_g *g)
{
    store_rlx(&S.route, NULL);
    store_rlx(&S.kicks, NULL);
    store_rlx(&S.watching, false);
    store_rlx(&S.taking, 0);
    store_rlx(&S.catching, 0);
    S.held = NULL;
    store_rlx(&S.nheld, 0);
    store_rlx(&S.nstranded, 0);
    store_rlx(&S.held_set, 0);
    store_rlx(&S.route_have, load_rlx(&S.route_want));
    for (int i = 0; i < NTIMERS; i++) /* timers are not inherited */
        store_rlx(&S.timer[i].id, 0);
    gt_memset(S.ntimers, 0, sizeof(S.ntimers));
    gt_sigq_fork_child(g);
    gt_memset(S.nblock, 0, sizeof(S.nblock));
    store_rlx(&S.nlive, 0);
    store_rlx(&S.all_block, 0);
    store_rlx(&S.awaiting, 0);
}
