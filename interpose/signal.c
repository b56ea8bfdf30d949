/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signal calls: POSIX types to core/sched/signal.c.   Sources: POSIX sigaction(3p),
 * pthread_sigmask(3p), sigwait(3p), and signal(7) for what is interrupted.
 *
 * Before the scheduler starts these are libc's own; at the start core takes the actions over from
 * the kernel.  After that actions are virtual on every thread; masks, pending sets and alternate
 * stacks are virtual on goroutines.
 */
#include "interpose/interpose.h"

#include "core/sched/signal.h"
#include "interpose/thread.h"

static gt_sigset to_set(const sigset_t *s)
{
    gt_sigset v;
    gt_memcpy(&v, s, sizeof(v));
    return v & ~(GT_SIGBIT(32) | GT_SIGBIT(33));
}

static void from_set(sigset_t *s, gt_sigset v)
{
    gt_memset(s, 0, sizeof(*s));
    gt_memcpy(s, &v, sizeof(v));
}

/* Actions are ours from the first start on, in a fork's child too. */
static bool ours(void)
{
    return (load_acq(&gt_started) || gt_solo()) && !gt_in_vfork();
}

/* ---- actions ---- */

GT_EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    if (!ours())
        return REAL(sigaction)(sig, act, old);
    struct gt_sigact a, o;
    if (act) {
        a.handler =
            act->sa_flags & SA_SIGINFO ? (void *)act->sa_sigaction : (void *)act->sa_handler;
        a.flags = act->sa_flags;
        a.mask = to_set(&act->sa_mask);
    }
    int r = gt_sig_action(sig, act ? &a : NULL, &o);
    if (r == 0 && old) {
        gt_memset(old, 0, sizeof(*old));
        old->sa_handler = (sighandler_t)o.handler;
        old->sa_flags = o.flags;
        from_set(&old->sa_mask, o.mask);
    }
    return (int)gt_ret(r);
}

static gt_sigset interrupting; /* siginterrupt(sig, 1) */

static sighandler_t set_simple(int sig, sighandler_t h, int flags)
{
    struct sigaction a = {.sa_handler = h, .sa_flags = flags}, old = {0};
    if (h == SIG_ERR || sig < 1 || sig > 64) {
        gt_ret(-EINVAL);
        return SIG_ERR;
    }
    sigemptyset(&a.sa_mask);
    if (!(flags & SA_RESETHAND)) {
        sigaddset(&a.sa_mask, sig);
        a.sa_flags = interrupting & GT_SIGBIT(sig) ? 0 : SA_RESTART;
    }
    return sigaction(sig, &a, &old) == 0 ? old.sa_handler : SIG_ERR;
}

GT_EXPORT sighandler_t signal(int sig, sighandler_t h)
{
    return ours() ? set_simple(sig, h, 0) : REAL(signal)(sig, h);
}

extern __typeof__(signal) bsd_signal
    __attribute__((alias("signal"), copy(signal), visibility("default")));

sighandler_t sysv_signal(int sig, sighandler_t h);

GT_EXPORT sighandler_t sysv_signal(int sig, sighandler_t h)
{
    return ours() ? set_simple(sig, h, SA_RESETHAND | SA_NODEFER) : REAL(sysv_signal)(sig, h);
}

extern __typeof__(signal) __sysv_signal
    __attribute__((alias("sysv_signal"), copy(sysv_signal), visibility("default")));

GT_EXPORT int siginterrupt(int sig, int flag)
{
    struct sigaction a = {0};
    if (!ours())
        return REAL(siginterrupt)(sig, flag);
    if (sigaction(sig, NULL, &a))
        return -1;
    a.sa_flags = flag ? a.sa_flags & ~SA_RESTART : a.sa_flags | SA_RESTART;
    interrupting = flag ? interrupting | GT_SIGBIT(sig) : interrupting & ~GT_SIGBIT(sig);
    return sigaction(sig, &a, NULL);
}

/* ---- masks ---- */

static int change_mask(struct gt_g *g, int how, const sigset_t *set, sigset_t *old)
{
    gt_sigset before = g->sigmask, want = before;
    if (set) {
        gt_sigset s = to_set(set);
        switch (how) {
        case SIG_BLOCK:
            want |= s;
            break;
        case SIG_UNBLOCK:
            want &= ~s;
            break;
        case SIG_SETMASK:
            want = s;
            break;
        default:
            return EINVAL;
        }
    }
    if (old)
        from_set(old, before);
    if (want != before) {
        gt_rt_enter(g);
        gt_sig_setmask(g, want);
        gt_rt_leave(g);
    }
    return 0;
}

GT_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    struct gt_g *g = gt_self();
    return g ? change_mask(g, how, set, old) : REAL(pthread_sigmask)(how, set, old);
}

GT_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    struct gt_g *g = gt_self();
    return g ? (int)gt_ret(-change_mask(g, how, set, old)) : REAL(sigprocmask)(how, set, old);
}

GT_EXPORT int sigpending(sigset_t *set)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(sigpending)(set);
    gt_sigset k = 0;
    GT_SYS3(SYS_rt_sigpending, &k, sizeof(k), 0);
    gt_rt_enter(g);
    from_set(set, (k | gt_sig_pending(g)) & g->sigmask);
    gt_rt_leave(g);
    return 0;
}

/* A jump out of a handler sets the kernel's mask behind us: keep ours the same. */
static void note_jump(struct __jmp_buf_tag *env)
{
    struct gt_g *g = gt_self();
    if (!g)
        return;
    if (env->__mask_was_saved) {
        gt_rt_enter(g);
        gt_sig_setmask(g, to_set(&env->__saved_mask));
        gt_rt_leave(g);
    }
}

GT_EXPORT void longjmp(jmp_buf env, int v)
{
    note_jump(env);
    REAL(longjmp)(env, v);
    __builtin_unreachable();
}

GT_EXPORT void siglongjmp(sigjmp_buf env, int v)
{
    note_jump(env);
    REAL(siglongjmp)(env, v);
    __builtin_unreachable();
}

GT_EXPORT void _longjmp(jmp_buf env, int v)
{
    note_jump(env);
    REAL(_longjmp)(env, v);
    __builtin_unreachable();
}

void __longjmp_chk(jmp_buf env, int v);

/* libc's check compares stack addresses with the kernel's alternate stack, which is virtual here.
 */
GT_EXPORT void __longjmp_chk(jmp_buf env, int v)
{
    note_jump(env);
    if (gt_self())
        REAL(longjmp)(env, v);
    else
        REAL(__longjmp_chk)(env, v);
    __builtin_unreachable();
}

GT_EXPORT int sigaltstack(const stack_t *ss, stack_t *old)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(sigaltstack)(ss, old);
    uintptr_t sp = (uintptr_t)__builtin_frame_address(0), lo = (uintptr_t)g->altstack.ss_sp;
    bool on = !(g->altstack.ss_flags & SS_DISABLE) && sp > lo && sp <= lo + g->altstack.ss_size;
    stack_t was = g->altstack;
    if (ss) {
        if (on)
            return (int)gt_ret(-EPERM);
        if (ss->ss_flags & ~(SS_DISABLE | SS_ONSTACK | (int)(1u << 31)))
            return (int)gt_ret(-EINVAL);
        if (!(ss->ss_flags & SS_DISABLE) && ss->ss_size < 2048)
            return (int)gt_ret(-ENOMEM);
        g->altstack = *ss;
        g->altstack.ss_flags &= SS_DISABLE;
    }
    if (old) {
        *old = was;
        if (on)
            old->ss_flags |= SS_ONSTACK;
    }
    return 0;
}

/* ---- sending ---- */

static int send_to(struct gt_g *g, int sig, const siginfo_t *info)
{
    struct gt_g *self = gt_self();
    if (self)
        gt_rt_enter(self);
    int r = gt_sig_send(g, sig, info);
    if (self)
        gt_rt_leave(self);
    return -r;
}

/* A live goroutine, or an ended one that is still to be joined: for that a signal is lost, 0. */
static bool ended(struct gt_g *g)
{
    uint32_t st = load_acq(&g->status);
    return st == GT_G_DEAD || st == GT_G_IDLE || (g->flags & GT_GF_EXITING);
}

GT_EXPORT int pthread_kill(pthread_t t, int sig)
{
    struct gt_g *g = gt_g_of((void *)t);
    if (!g)
        return gt_thread_gone(t) ? 0 : REAL(pthread_kill)(t, sig);
    if (sig < 0 || sig > 64 || sig == 32 || sig == 33)
        return EINVAL;
    if (ended(g))
        return 0;
    siginfo_t si = {.si_signo = sig, .si_code = SI_TKILL};
    si.si_pid = sys_getpid();
    si.si_uid = getuid();
    return send_to(g, sig, &si);
}

GT_EXPORT int pthread_sigqueue(pthread_t t, int sig, const union sigval v)
{
    struct gt_g *g = gt_g_of((void *)t);
    if (!g)
        return REAL(pthread_sigqueue)(t, sig, v);
    siginfo_t si = {.si_signo = sig, .si_code = SI_QUEUE};
    si.si_pid = sys_getpid();
    si.si_uid = getuid();
    si.si_value = v;
    return ended(g) ? 0 : send_to(g, sig, &si);
}

GT_EXPORT int tgkill(pid_t pid, pid_t tid, int sig)
{
    struct gt_g *g = pid == sys_getpid() ? gt_g_by_tid(tid) : NULL;
    return g ? (int)gt_ret(-pthread_kill((pthread_t)g->tp, sig)) : REAL(tgkill)(pid, tid, sig);
}

/* To our own process, with a handler: queued before we return, as the kernel does it, so that what
 * the caller does next can't overtake the signal. */
GT_EXPORT int kill(pid_t pid, int sig)
{
    struct gt_sigact a;
    if (gt_tid_is_goroutine(pid) && gt_self() && gt_g_by_tid(pid))
        pid = sys_getpid(); /* a thread's id names its process */
    if (!gt_self() || pid != sys_getpid() || sig == 0 || gt_sig_action(sig, NULL, &a) != 0 ||
        a.handler == (void *)SIG_DFL || a.handler == (void *)SIG_IGN)
        return REAL(kill)(pid, sig);
    struct gt_g *to = gt_sig_taker(sig);
    if (!to)
        return REAL(kill)(pid, sig);
    siginfo_t si = {.si_signo = sig, .si_code = SI_USER};
    si.si_pid = pid;
    si.si_uid = getuid();
    return (int)gt_ret(-send_to(to, sig, &si));
}

GT_EXPORT int raise(int sig)
{
    struct gt_g *g = gt_self();
    return g ? (int)gt_ret(-pthread_kill((pthread_t)g->tp, sig)) : REAL(raise)(sig);
}

/* ---- waiting ---- */

/* Parks until a handler has run (under mask, when given). */
static int suspend(struct gt_g *g, const gt_sigset *mask)
{
    gt_sigset old = g->sigmask;
    uint32_t seq = g->sigseq;
    gt_testcancel(g);
    gt_rt_enter(g);
    if (mask)
        gt_sig_setmask(g, *mask);
    while (g->sigseq == seq) {
        struct gt_parker *pk = gt_parker_self();
        uint64_t t = gt_park_begin(pk);
        if (gt_park(pk, t, GT_R_SIGNAL, GT_NEVER, GT_PARK_INTR) == GT_WAKE_SIGNAL)
            gt_intr(g, false);
    }
    if (mask)
        gt_sig_setmask(g, old);
    gt_rt_leave(g);
    return (int)gt_ret(-EINTR);
}

GT_EXPORT int sigsuspend(const sigset_t *set)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(sigsuspend)(set);
    gt_sigset m = to_set(set);
    return suspend(g, &m);
}

GT_EXPORT int pause(void)
{
    struct gt_g *g = gt_self();
    return g ? suspend(g, NULL) : REAL(pause)();
}

/* The signal number, or -errno.  Process-directed ones come from the kernel, others from our queue.
 */
static int wait_set(struct gt_g *g, gt_sigset set, siginfo_t *info, int64_t when)
{
    siginfo_t si;
    int r;
    set &= ~(GT_SIGBIT(SIGKILL) | GT_SIGBIT(SIGSTOP));
    gt_testcancel(g);
    gt_rt_enter(g);
    store_seq(&g->waitset, set); /* pairs with gt_sig_send: it queues what we wait for */
    for (;;) {
        r = gt_sig_take(g, set, &si);
        if (r)
            break;
        struct timespec ts = {0};
        int64_t left = when < 0 ? 0 : when - gt_nanotime();
        if (when >= 0 && left > 0)
            ts = (struct timespec){.tv_sec = left / GT_SEC, .tv_nsec = left % GT_SEC};
        r = (int)gt_syscall_blocking(g, SYS_rt_sigtimedwait, (long)&set, (long)&si,
                                     when < 0 ? 0 : (long)&ts, sizeof(set), 0, 0);
        if (r != -EINTR)
            break;
        int got = gt_sig_take(g, set, &si);
        if (got) {
            r = got;
            break;
        }
        store_rlx(&g->waitset, 0);
        bool fail = gt_intr(g, false);
        store_seq(&g->waitset, set);
        if (fail)
            break;
    }
    store_rlx(&g->waitset, 0);
    gt_rt_leave(g);
    if (r > 0 && info)
        *info = si;
    return r;
}

GT_EXPORT int sigwait(const sigset_t *set, int *sig)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(sigwait)(set, sig);
    int r;
    do
        r = wait_set(g, to_set(set), NULL, GT_NEVER);
    while (r == -EINTR);
    if (r > 0)
        *sig = r;
    return r > 0 ? 0 : -r;
}

GT_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
    struct gt_g *g = gt_self();
    return g ? (int)gt_ret(wait_set(g, to_set(set), info, GT_NEVER)) : REAL(sigwaitinfo)(set, info);
}

GT_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *ts)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(sigtimedwait)(set, info, ts);
    if (ts && (ts->tv_nsec < 0 || ts->tv_nsec >= GT_SEC || ts->tv_sec < 0))
        return (int)gt_ret(-EINVAL);
    return (int)gt_ret(wait_set(g, to_set(set), info, gt_deadline_rel(ts)));
}
