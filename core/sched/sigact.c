/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of actions: what the program wants done with each signal, what the kernel is told for
 * it, and which timers' signals are whose (SIGEV_THREAD_ID).
 *
 * A row is written under the SIGNAL lock, or by a trampoline of a foreign thread, and read anywhere
 * without it: seq is odd meanwhile.
 */
#include "core/os/sys.h"
#include "core/sched/signal_int.h"
#include "core/sched/sigq.h"

#define NTIMERS      256
#define SA_RESTORER_ 0x04000000ul

extern char gt_arch_restorer[];

struct gt_lock gt_sig_lock;

static struct {
    struct {
        _Atomic uint32_t seq; /* odd: being written; pairs with gt_act_read */
        struct gt_sigact a;
        struct gt_sigact fn; /* the last one that was a function */
    } act[GT_NSIG + 1];
    _Atomic bool booted;       /* act[] holds the program's actions, in fork's children too */
    _Atomic gt_sigset handled; /* act[] is a function: under the lock; sysmon reads */
    struct {
        _Atomic uint32_t id; /* 0: free, else 1 + the kernel's number; store release after g */
        const struct gt_g *g;
        int sig;
    } timer[NTIMERS];              /* SIGNAL lock to change */
    uint32_t ntimers[GT_NSIG + 1]; /* SIGNAL lock: of each signal */
} S;

struct gt_sigact gt_act_read(int sig)
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
    if (gt_act_is_fn(a->handler))
        S.act[sig].fn = *a;
    add_acqrel(&S.act[sig].seq, 1);
    /* sysmon takes this over at its next round; until then its trampoline takes what an M could */
    gt_sigset bit = GT_SIGBIT(sig);
    bool is = gt_act_is_fn(a->handler);
    gt_sigset was = is ? or_acqrel(&S.handled, bit) : and_acqrel(&S.handled, ~bit);
    if (is != !!(was & bit))
        gt_sigmask_changed();
}

bool gt_act_ignores(const struct gt_sigact *a, int sig)
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
    bool crash = a->handler == (void *)SIG_DFL && (GT_SIG_CRASH & GT_SIGBIT(sig));
    /* a timer's may be blocked by the one that it is for: the kernel must not act on it */
    bool timer = a->handler == (void *)SIG_DFL && S.ntimers[sig];
    if (gt_act_is_fn(a->handler) || crash || timer || sig == SIGURG) {
        k.handler = (void *)gt_sig_tramp;
        k.flags |= SA_SIGINFO | SA_ONSTACK;
        k.mask = ~GT_SIG_SYNC;
        if (sig == SIGURG)
            k.flags |= SA_RESTART;
    }
    sys_sigaction(sig, &k, NULL);
}

void gt_sig_unlock_to(gt_sigset saved)
{
    gt_unlock(&gt_sig_lock, GT_RANK_SIGNAL);
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
        gt_lock(&gt_sig_lock, GT_RANK_SIGNAL);
        if (!act || gt_act_is_fn(act->handler) || !gt_act_is_fn(S.act[sig].a.handler) ||
            !(sys_sigpending() & ~saved & GT_SIGBIT(sig)))
            return saved;
        gt_sig_unlock_to(saved);
    }
}

int gt_sig_action(int sig, const struct gt_sigact *act, struct gt_sigact *old)
{
    if (sig < 1 || sig > GT_NSIG || sig == 32 || sig == 33 ||
        (act && (sig == SIGKILL || sig == SIGSTOP)))
        return -EINVAL;
    gt_sigset saved = lock_for(sig, act), handled = load_rlx(&S.handled);
    if (old)
        *old = S.act[sig].a;
    if (act) {
        struct gt_sigact a = *act;
        a.mask &= ~GT_SIG_UNBLOCKABLE;
        act_write(sig, &a);
        install(sig, &a);
        if (gt_act_ignores(&a, sig))
            gt_sigq_forget(sig);
    }
    handled &= ~load_rlx(&S.handled);
    gt_sig_unlock_to(saved);
    if (handled)
        gt_sig_wake_sysmon(); /* what it need not watch any more is for the kernel to act on */
    return 0;
}

void gt_act_reset(int sig)
{
    struct gt_sigact dfl = {.handler = (void *)SIG_DFL};
    act_write(sig, &dfl);
    install(sig, &dfl);
}

gt_sigset gt_act_handled(void)
{
    return load_rlx(&S.handled);
}

/* ---- what the kernel has given us ---- */

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

void gt_act_default(const struct gt_sigact *a, int sig)
{
    if (!gt_act_ignores(a, sig))
        die_by(sig);
}

struct gt_sigact gt_act_taken(int sig)
{
    struct gt_sigact a = gt_act_read(sig);
    bool ours =
        (GT_SIG_CRASH & GT_SIGBIT(sig)) || __atomic_load_n(&S.ntimers[sig], __ATOMIC_RELAXED);
    if (a.handler == (void *)SIG_DFL && !ours && S.act[sig].fn.handler &&
        !(S.act[sig].fn.flags & SA_RESETHAND))
        return S.act[sig].fn;
    return a;
}

/* ---- timers ---- */

struct gt_g *gt_sig_timer_owner(const siginfo_t *si)
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
    gt_lock(&gt_sig_lock, GT_RANK_SIGNAL);
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
    gt_unlock(&gt_sig_lock, GT_RANK_SIGNAL);
    sys_sigprocmask(SIG_SETMASK, &saved, NULL);
    return r;
}

/* ---- boot, fork ---- */

bool gt_sig_booted(void)
{
    return load_acq(&S.booted);
}

void gt_act_boot(void)
{
    store_rel(&S.booted, true);
    for (int sig = 1; sig <= GT_NSIG; sig++) {
        struct gt_ksigaction k;
        if (sig == 32 || sig == 33 || sig == SIGKILL || sig == SIGSTOP ||
            sys_sigaction(sig, NULL, &k) || k.handler == (void *)gt_sig_tramp)
            continue;
        struct gt_sigact a = {.handler = k.handler, .mask = k.mask, .flags = (int)k.flags};
        act_write(sig, &a);
        if (gt_act_is_fn(a.handler) || sig == SIGURG ||
            (a.handler == (void *)SIG_DFL && (GT_SIG_CRASH & GT_SIGBIT(sig))))
            install(sig, &a);
    }
}

void gt_signal_fork_lock(void)
{
    gt_lock(&gt_sig_lock, GT_RANK_SIGNAL);
}

void gt_signal_fork_unlock(void)
{
    gt_unlock(&gt_sig_lock, GT_RANK_SIGNAL);
}

void gt_act_fork_child(void)
{
    for (int i = 0; i < NTIMERS; i++) /* timers are not inherited */
        store_rlx(&S.timer[i].id, 0);
    gt_memset(S.ntimers, 0, sizeof(S.ntimers));
}
