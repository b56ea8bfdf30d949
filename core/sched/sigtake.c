/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the kernel gives to this process, by a trampoline's frame or out of its queue, and how it
 * comes to the goroutine that takes it (sigwatch.c has the model for sysmon's part).
 *
 * Whoever takes a signal out of the kernel's hands is counted in `taking` until it is queued:
 * gt_sig_catch_up waits for that, so that nobody comes out of a wait before a signal that was sent
 * sooner.
 */
#include "core/os/sys.h"
#include "core/sched/dump.h"
#include "core/sched/signal_int.h"
#include "core/sched/sigq.h"

static struct {
    _Atomic uint32_t taking;   /* who queue what they were given; futex */
    _Atomic uint32_t catching; /* who wait for those: gt_sig_catch_up; pairs with take_end */
} S;

/* SIGPIPE for a write of our own is its thread's, though it looks like a kill(). */
static bool thread_directed(const siginfo_t *si)
{
    return si->si_code == SI_TKILL ||
           (si->si_signo == SIGPIPE && si->si_code == SI_USER && si->si_pid == sys_getpid());
}

/* The kernel would run this handler now: what the program makes of the action before we come to it
 * must not end the process. */
static void handled_by(struct gt_signode *n, const struct gt_sigact *a)
{
    if (gt_act_is_fn(a->handler) && !(a->flags & SA_RESETHAND))
        n->was = *a;
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

/* Queues what sysmon has been given, or has dequeued, or g has; a: the action then.  Returns whom
 * it was queued on, if he is to be told: *told says that he knows of another. */
static struct gt_g *enqueue(struct gt_g *g, int sig, siginfo_t *si, const struct gt_sigact *a,
                            bool *told)
{
    struct gt_signode *n = gt_signode_get(sig, si);
    struct gt_g *to = gt_sig_timer_owner(si);
    if (!n)
        return NULL;
    n->shared = !to && !(g && thread_directed(si));
    if (n->shared)
        handled_by(n, a);
    if (!to)
        to = n->shared ? gt_sig_taker_now(sig) : g;
    if (!to) {
        gt_sig_to_sysmon(n);
        return NULL;
    }
    /* posted now: a goroutine that is about to run handles it before anything else */
    *told = gt_sig_post(to, n);
    return to == g ? NULL : to;
}

void gt_sig_sysmon_took(int sig, siginfo_t *si, void *uc)
{
    bool told;
    take_begin();
    struct gt_sigact a = gt_act_taken(sig);
    if (gt_act_is_fn(a.handler) || gt_sig_timer_owner(si)) {
        struct gt_g *to = enqueue(NULL, sig, si, &a, &told);
        if (to && !told)
            gt_kick_later(to, sig);
    } else if (a.handler == (void *)SIG_DFL && (GT_SIG_CRASH & GT_SIGBIT(sig))) {
        gt_dump_crash(sig, si, uc);
    } else {
        gt_act_default(&a, sig);
    }
    take_end();
}

/* Dequeued by sysmon, or by g, which may be NULL; a: the action when it was. */
static void fetched(struct gt_g *g, int sig, siginfo_t *si, const struct gt_sigact *a)
{
    bool told;
    if (!gt_act_is_fn(a->handler) && !gt_sig_timer_owner(si)) {
        gt_act_default(a, sig);
        return;
    }
    struct gt_g *to = enqueue(g, sig, si, a, &told);
    if (to)
        gt_kick_for(to, sig, told);
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
        struct gt_sigact a = gt_act_read(sig);
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
        struct gt_sigact a = gt_act_taken(sig);
        if (!gt_sig_is_own(sig, &si))
            fetched(g, sig, &si, &a);
    }
}

void gt_sig_catch_up(struct gt_g *g, bool near)
{
    if (near)
        take_before(gt_act_handled() & ~GT_SIG_UNWATCHED & ~g->sigmask, g);
    if (likely(!load_acq(&S.taking) && !gt_sig_routing()))
        return;
    await_takers();
    gt_sig_fetch_held(~g->sigmask);
}

/* A signal for a goroutine, here or elsewhere; its handler is the program's. */
static void took(struct gt_g *g, int sig, siginfo_t *si, void *uc, const struct gt_sigact *a)
{
    struct gt_g *owner = gt_sig_timer_owner(si);
    bool own = thread_directed(si), takes = !g->is_g0 && !(g->sigmask & GT_SIGBIT(sig));
    bool cpu_time = si->si_code == SI_KERNEL && (sig == SIGPROF || sig == SIGVTALRM);
    struct gt_signode *n = gt_signode_get(sig, si);
    if (!n)
        return;
    n->shared = !own && !owner;
    struct gt_g *to = owner                                     ? owner
                      : own && !g->is_g0                        ? g
                      : takes && (cpu_time || g == gt_sched.g1) ? g
                                                                : gt_sig_taker(sig);
    if (!to) {
        gt_sig_to_sysmon(n); /* held until somebody takes it */
        return;
    }
    bool here = to == g && takes;
    if (here || n->shared)
        handled_by(n, a);
    /* posted now, so that its handler runs before anything that it does from here on */
    bool told = gt_sig_post(to, n);
    if (here && load_rlx(&g->in_rt) == 0 && gt_sig_inject(g, uc, gt_sig_due(g)))
        return;
    if (here)
        gt_arch_syscall_abort(uc);
    else if (told)
        return; /* it knows of another, and has not looked yet */
    if (here)
        gt_kick_later(g, 0);
    else if (in_call(g))
        gt_kick_for(to, sig, false); /* before g sees, out of its call, that nothing happened */
    else
        gt_kick_later(to, sig);
}

void gt_sig_took(struct gt_g *g, int sig, siginfo_t *si, void *uc, const struct gt_sigact *a)
{
    take_begin();
    took(g, sig, si, uc, a);
    take_end();
}

void gt_sigtake_fork_child(void)
{
    store_rlx(&S.taking, 0);
    store_rlx(&S.catching, 0);
}
