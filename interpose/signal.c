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

#define SA_RESTORER_ 0x04000000
#define MINSIGSTKSZ_ 2048 /* the kernel's; libc's name is a call */

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
    return gt_sig_booted() && !gt_in_vfork() && !gt_tls.own_actions;
}

/* ---- actions ---- */

/* What has come is handled as the action was until now. */
static void handle_pending(void)
{
    struct gt_g *g = gt_self();
    if (g && (load_rlx(&g->attention) & GT_ATT_SIGNAL)) {
        gt_rt_enter(g);
        gt_rt_leave(g);
    }
}

GT_EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    if (!ours())
        return REAL(sigaction)(sig, act, old);
    struct gt_sigact a, o;
    if (act) {
        a.handler =
            act->sa_flags & SA_SIGINFO ? (void *)act->sa_sigaction : (void *)act->sa_handler;
        a.flags = act->sa_flags | SA_RESTORER_; /* libc adds it, and shows it */
        a.mask = to_set(&act->sa_mask);
        handle_pending();
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

/* set NULL: nothing changes.  0 or EINVAL. */
static int change_set(struct gt_g *g, int how, const gt_sigset *set, gt_sigset *old)
{
    gt_sigset before = g->sigmask, want = before;
    if (set) {
        gt_sigset s = *set;
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
        *old = before;
    if (want != before) {
        gt_rt_enter(g);
        gt_sig_setmask(g, want);
        gt_rt_leave(g);
    }
    return 0;
}

static int change_mask(struct gt_g *g, int how, const sigset_t *set, sigset_t *old)
{
    gt_sigset want = set ? to_set(set) : 0, before;
    int e = change_set(g, how, set ? &want : NULL, &before);
    if (e == 0 && old)
        from_set(old, before);
    return e;
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

static gt_sigset pending_set(struct gt_g *g)
{
    gt_sigset k = sys_sigpending();
    gt_rt_enter(g);
    k = (k | gt_sig_pending(g)) & g->sigmask;
    gt_rt_leave(g);
    return k;
}

GT_EXPORT int sigpending(sigset_t *set)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(sigpending)(set);
    from_set(set, pending_set(g));
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

/* 0 or -errno, in the kernel's order (do_sigaltstack). */
static int set_altstack(struct gt_g *g, const stack_t *ss, bool on)
{
    int mode = ss->ss_flags & ~GT_SS_AUTODISARM;
    if (on)
        return -EPERM;
    if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK)
        return -EINVAL;
    if (mode == SS_DISABLE) {
        g->altstack = (stack_t){.ss_flags = ss->ss_flags};
        return 0;
    }
    if (ss->ss_size < MINSIGSTKSZ_)
        return -ENOMEM;
    g->altstack = *ss;
    g->altstack.ss_flags &= GT_SS_AUTODISARM;
    return 0;
}

/* Of the caller's frame: is it on the stack?  With SS_AUTODISARM it never counts as used. */
static bool uses_altstack(const struct gt_g *g, uintptr_t sp)
{
    uintptr_t lo = (uintptr_t)g->altstack.ss_sp;
    return !(g->altstack.ss_flags & (SS_DISABLE | GT_SS_AUTODISARM)) && sp > lo &&
           sp <= lo + g->altstack.ss_size;
}

GT_EXPORT int sigaltstack(const stack_t *ss, stack_t *old)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(sigaltstack)(ss, old);
    bool on = uses_altstack(g, (uintptr_t)__builtin_frame_address(0));
    stack_t was = g->altstack, want;
    if (ss && !gt_arch_copy_user(&want, ss, sizeof(want)))
        return (int)gt_ret(-EFAULT);
    int r = ss ? set_altstack(g, &want, on) : 0;
    if (on)
        was.ss_flags |= SS_ONSTACK;
    if (r == 0 && old && !gt_arch_copy_user(old, &was, sizeof(was)))
        r = -EFAULT;
    return (int)gt_ret(r);
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

static bool bad_signal(int sig)
{
    return sig < 0 || sig > 64 || sig == 32 || sig == 33;
}

static siginfo_t from_us(int sig, int code)
{
    siginfo_t si;
    gt_memset(&si, 0, sizeof(si));
    si.si_signo = sig;
    si.si_code = code;
    si.si_pid = sys_getpid();
    si.si_uid = getuid();
    return si;
}

GT_EXPORT int pthread_kill(pthread_t t, int sig)
{
    struct gt_g *g = gt_g_of((void *)t);
    if (!g)
        return gt_thread_gone(t) ? 0 : REAL(pthread_kill)(t, sig);
    if (bad_signal(sig))
        return EINVAL;
    siginfo_t si = from_us(sig, SI_TKILL);
    return ended(g) ? 0 : send_to(g, sig, &si);
}

GT_EXPORT int pthread_sigqueue(pthread_t t, int sig, const union sigval v)
{
    struct gt_g *g = gt_g_of((void *)t);
    if (!g)
        return REAL(pthread_sigqueue)(t, sig, v);
    if (bad_signal(sig))
        return EINVAL;
    siginfo_t si = from_us(sig, SI_QUEUE);
    si.si_value = v;
    return ended(g) ? 0 : send_to(g, sig, &si);
}

/* NULL: no goroutine's. */
static struct gt_g *g_of_tid(pid_t pid, pid_t tid)
{
    return load_acq(&gt_started) && pid == sys_getpid() ? gt_g_by_tid(tid) : NULL;
}

GT_EXPORT int tgkill(pid_t pid, pid_t tid, int sig)
{
    struct gt_g *g = g_of_tid(pid, tid);
    if (!g)
        return REAL(tgkill)(pid, tid, sig);
    if (bad_signal(sig) && sig != 32 && sig != 33)
        return (int)gt_ret(-EINVAL);
    return (int)gt_ret(ended(g) ? -ESRCH : -pthread_kill((pthread_t)g->tp, sig));
}

/* To our own process, with a handler: queued before we return, as the kernel does it, so that what
 * the caller does next can't overtake the signal.  False: it is the kernel's. */
static bool to_process(int sig, const siginfo_t *si, int *r)
{
    struct gt_g *g = gt_self();
    if (!g || sig < 1 || bad_signal(sig))
        return false;
    gt_rt_enter(g);
    int sent = gt_sig_send_process(sig, si);
    gt_rt_leave(g);
    *r = (int)gt_ret(sent < 0 ? sent : 0);
    return sent != 0;
}

GT_EXPORT int kill(pid_t pid, int sig)
{
    int r = 0;
    if (gt_tid_is_goroutine(pid) && gt_self() && gt_g_by_tid(pid))
        pid = sys_getpid(); /* a thread's id names its process */
    if (gt_self() && pid == sys_getpid()) {
        siginfo_t si = from_us(sig, SI_USER);
        if (to_process(sig, &si, &r))
            return r;
    }
    return REAL(kill)(pid, sig);
}

GT_EXPORT int sigqueue(pid_t pid, int sig, const union sigval v)
{
    int r = 0;
    if (gt_tid_is_goroutine(pid) && gt_self() && gt_g_by_tid(pid))
        pid = sys_getpid();
    if (gt_self() && pid == sys_getpid()) {
        siginfo_t si = from_us(sig, SI_QUEUE);
        si.si_value = v;
        if (to_process(sig, &si, &r))
            return r;
    }
    return REAL(sigqueue)(pid, sig, v);
}

/* Is it a descriptor of this process?  "Pid:" and a number.   Source: proc(5), /proc/PID/fdinfo. */
static bool is_own_pidfd(int fd)
{
    static const char key[] = "\nPid:\t";
    char path[40], buf[256], own[16];
    gt_snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    gt_snprintf(own, sizeof(own), "%d\n", sys_getpid());
    int info = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
    long n = info >= 0 ? sys_read(info, buf, sizeof(buf)) : 0;
    if (info >= 0)
        sys_close(info);
    const long klen = sizeof(key) - 1, olen = (long)gt_strlen(own);
    for (long i = 0; i + klen + olen <= n; i++)
        if (gt_memcmp(buf + i, key, (size_t)klen) == 0)
            return gt_memcmp(buf + i + klen, own, (size_t)olen) == 0;
    return false;
}

GT_EXPORT int pidfd_send_signal(int fd, int sig, siginfo_t *info, unsigned flags)
{
    int r = 0;
    siginfo_t si;
    if (gt_self() && !flags && sig > 0 && !bad_signal(sig) && is_own_pidfd(fd)) {
        if (!info)
            si = from_us(sig, SI_USER);
        else if (!gt_arch_copy_user(&si, info, sizeof(si)))
            return (int)gt_ret(-EFAULT);
        if (si.si_signo == sig && to_process(sig, &si, &r))
            return r;
    }
    return (int)gt_ret(GT_SYS6(SYS_pidfd_send_signal, fd, sig, info, flags, 0, 0));
}

/* A queued signal whose whole text the caller gives, as the kernel's call takes it. */
static long raw_queue(const long *a)
{
    int r = 0, sig = (int)a[1];
    siginfo_t si;
    pid_t pid = (pid_t)a[0];
    if (gt_tid_is_goroutine(pid) && gt_g_by_tid(pid))
        pid = sys_getpid();
    if (pid == sys_getpid() && gt_arch_copy_user(&si, (const void *)a[2], sizeof(si))) {
        si.si_signo = sig;
        if (to_process(sig, &si, &r))
            return r < 0 ? -errno : r;
    }
    return gt_syscall6(SYS_rt_sigqueueinfo, pid, sig, a[2], 0, 0, 0);
}

GT_EXPORT int raise(int sig)
{
    struct gt_g *g = gt_self();
    return g ? (int)gt_ret(-pthread_kill((pthread_t)g->tp, sig)) : REAL(raise)(sig);
}

/* POSIX: it is delivered also when it is blocked or ignored; libc knows only the kernel's mask. */
GT_EXPORT void abort(void)
{
    struct gt_g *g = gt_self();
    gt_sigset set = GT_SIGBIT(SIGABRT);
    if (g)
        change_set(g, SIG_UNBLOCK, &set, NULL);
    REAL(abort)();
    __builtin_unreachable();
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

/* One wait in the kernel, where process-directed ones come from. */
static int wait_kernel(struct gt_g *g, gt_sigset set, siginfo_t *si, int64_t when)
{
    struct timespec ts = {0};
    int64_t left = when < 0 ? 0 : when - gt_nanotime();
    if (when >= 0 && left > 0)
        ts = (struct timespec){.tv_sec = left / GT_SEC, .tv_nsec = left % GT_SEC};
    int r = (int)gt_syscall_blocking(g, SYS_rt_sigtimedwait, (long)&set, (long)si,
                                     when < 0 ? 0 : (long)&ts, sizeof(set), 0, 0);
    return r > 0 && gt_sig_is_own(r, si) ? -EINTR : r;
}

/* The signal number, or -errno. */
static int wait_set(struct gt_g *g, gt_sigset set, siginfo_t *info, int64_t when)
{
    siginfo_t si;
    int r;
    set &= ~(GT_SIGBIT(SIGKILL) | GT_SIGBIT(SIGSTOP));
    gt_testcancel(g);
    gt_rt_enter(g);
    gt_sig_wait_for(g, set);
    for (;;) {
        r = gt_sig_take(g, set, &si);
        if (r)
            break;
        r = wait_kernel(g, set, &si, when);
        if (r != -EINTR)
            break;
        r = gt_sig_take(g, set, &si);
        if (r)
            break;
        gt_sig_wait_for(g, 0);
        bool fail = gt_intr(g, false);
        r = -EINTR;
        if (fail)
            break;
        gt_sig_wait_for(g, set);
    }
    gt_sig_wait_for(g, 0);
    gt_rt_leave(g);
    if (r > 0 && info) {
        *info = si;
        if (si.si_code == SI_TKILL)
            info->si_code = SI_USER; /* as libc's sigtimedwait folds it */
    }
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

/* ---- the older interfaces ---- */

GT_EXPORT int sighold(int sig)
{
    sigset_t s;
    if (!gt_self())
        return REAL(sighold)(sig);
    sigemptyset(&s);
    return sigaddset(&s, sig) ? -1 : sigprocmask(SIG_BLOCK, &s, NULL);
}

GT_EXPORT int sigrelse(int sig)
{
    sigset_t s;
    if (!gt_self())
        return REAL(sigrelse)(sig);
    sigemptyset(&s);
    return sigaddset(&s, sig) ? -1 : sigprocmask(SIG_UNBLOCK, &s, NULL);
}

GT_EXPORT int sigignore(int sig)
{
    struct sigaction a = {.sa_handler = SIG_IGN};
    return ours() ? sigaction(sig, &a, NULL) : REAL(sigignore)(sig);
}

/* SIG_HOLD blocks; another disposition unblocks too. */
GT_EXPORT sighandler_t sigset(int sig, sighandler_t h)
{
    struct sigaction a = {.sa_handler = h}, old = {.sa_handler = SIG_DFL};
    sigset_t s, was;
    if (!gt_self())
        return REAL(sigset)(sig, h);
    sigemptyset(&s);
    if (h == SIG_ERR || sigaddset(&s, sig) < 0) {
        gt_ret(-EINVAL);
        return SIG_ERR;
    }
    if (h == SIG_HOLD ? sigaction(sig, NULL, &old) : sigaction(sig, &a, &old))
        return SIG_ERR;
    if (sigprocmask(h == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &s, &was))
        return SIG_ERR;
    return sigismember(&was, sig) ? SIG_HOLD : old.sa_handler;
}

/* X/Open's; BSD's takes a mask and has another name in today's headers. */
int gt_xpg_sigpause(int sig) __asm__("__xpg_sigpause");
GT_EXPORT int gt_xpg_sigpause(int sig)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(__xpg_sigpause)(sig);
    if (sig < 1 || bad_signal(sig))
        return (int)gt_ret(-EINVAL);
    gt_sigset m = g->sigmask & ~GT_SIGBIT(sig);
    return suspend(g, &m);
}

/* ---- system calls made by hand: sets of 8 bytes ---- */

struct raw_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    gt_sigset mask;
};

static long raw_sigaction(const long *a)
{
    const struct raw_action *act = (const void *)a[1];
    struct raw_action *old = (void *)a[2];
    struct gt_sigact want, was;
    if (act)
        want = (struct gt_sigact){act->handler, (int)act->flags, act->mask};
    long r = gt_sig_action((int)a[0], act ? &want : NULL, &was);
    if (r == 0 && old)
        *old = (struct raw_action){was.handler, (unsigned)was.flags, NULL, was.mask};
    return r;
}

static long raw_send(struct gt_g *g, const long *a)
{
    const siginfo_t *si = (const void *)a[3];
    struct gt_g *to = g_of_tid((pid_t)a[0], (pid_t)a[1]);
    (void)g;
    return to ? -send_to(to, (int)a[2], si)
              : gt_syscall6(SYS_rt_tgsigqueueinfo, a[0], a[1], a[2], a[3], 0, 0);
}

static long raw_timedwait(struct gt_g *g, const long *a)
{
    const struct timespec *ts = (const void *)a[2];
    if (ts && (ts->tv_nsec < 0 || ts->tv_nsec >= GT_SEC || ts->tv_sec < 0))
        return -EINVAL;
    return wait_set(g, *(const gt_sigset *)a[0], (siginfo_t *)a[1], gt_deadline_rel(ts));
}

long gt_raw_signal_call(struct gt_g *g, long nr, const long *a)
{
    switch (nr) {
    case SYS_rt_sigaction:
        return a[3] == 8 ? raw_sigaction(a) : -EINVAL;
    case SYS_rt_sigprocmask:
        return a[3] == 8 ? -change_set(g, (int)a[0], (const gt_sigset *)a[1], (gt_sigset *)a[2])
                         : -EINVAL;
    case SYS_rt_sigpending:
        *(gt_sigset *)a[0] = pending_set(g);
        return 0;
    case SYS_rt_sigsuspend:
        suspend(g, (const gt_sigset *)a[0]);
        return -EINTR;
    case SYS_rt_sigtimedwait:
        return raw_timedwait(g, a);
    case SYS_rt_sigqueueinfo:
        return raw_queue(a);
    default:
        return raw_send(g, a);
    }
}
