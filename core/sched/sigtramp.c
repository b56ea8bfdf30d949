/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The trampoline: every handled signal's first code, in a signal frame, on the M's alternate stack.
 * What it does with which signal, and where it may inject a call: signal.c has the model.
 */
#include <link.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "core/os/real.h"
#include "core/os/sys.h"
#include "core/os/tcb.h"
#include "core/sched/dump.h"
#include "core/sched/signal_int.h"
#include "core/sched/sigq.h"

#define SPIN_SPAN      512 /* bytes of text that a spinning loop may take */
#define SPIN_CHANGES   1 /* registers that it may change, of those that calls preserve: a counter */
#define SPIN_ALL       2 /* ... and of all: what it has read last */
#define SIGSTACK       (64ul << 10)
#define MAIN_STACK_MAX (1ul << 30)  /* of an unlimited one */
#define ASIDE          (64ul << 10) /* bytes of the stack aside: a few are touched */

static struct {
    _Atomic uint32_t unheard;    /* gt_cancel_again has been called; sysmon takes it */
    struct gt_ksigaction setxid; /* libc's handlers of 32 and 33 */
    struct gt_ksigaction sigcancel;
    struct {
        uintptr_t lo, hi;
    } text[16];
    _Atomic int ntext;
    uintptr_t main_lo, main_hi; /* where the process's own stack may lie */
} S;

/* ---- where a call may be injected ---- */

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
    if (on_own_stack(g, sp) || on_aside(g, sp) || gt_sig_on_altstack(g, sp))
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

int gt_sig_due(const struct gt_g *g)
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

static void injected(struct gt_sigframe *f);

/* sig: what it is for; 0: a yield, or an asynchronous cancellation.
 * in_rt is set from here on: a signal that comes before the first instruction of injected() would
 * be injected above it, and its handlers, a fault's too, would be shown our registers.  What it was
 * is kept in the frame. */
bool gt_sig_inject(struct gt_g *g, void *uc, int sig)
{
    siginfo_t depth = {.si_value.sival_int = (int)load_rlx(&g->in_rt)};
    uintptr_t sp = gt_arch_uc_sp(uc) - 128;
    bool can = !(g->altstack.ss_flags & SS_DISABLE) && !gt_sig_on_altstack(g, sp);
    if (sig && can && ((gt_act_read(sig).flags & SA_ONSTACK) || !fits(g, sp, uc)))
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

/* ---- what is injected ---- */

/* Would a cancellation act at any instruction: asynchronous by the program's wish, or because the
 * goroutine waits in a cancellation point inside libc? */
static bool cancels_here(const struct gt_g *g)
{
    return (load_rlx(&g->attention) & GT_ATT_CANCEL) &&
           ((load_rlx(&g->cancel) & GT_CANCEL_ASYNC) || gt_tcb_in_point(gt_arch_get_tp()));
}

/* A loop that says so spins, whatever is in its registers: one at a barrier counts its rounds, and
 * has been called anew since the last time (libgomp's). */
static void note_spin(struct gt_g *g)
{
    if (load_rlx(&g->spins) < 2 && gt_arch_spins_at(g->spin_pc))
        store_rlx(&g->spins, 2);
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
            note_spin(g);
            gt_preempted(g);
        }
        if (!depth && (load_rlx(&g->attention) & GT_ATT_WIRE))
            gt_wire_attend(g);
        int sig = on_aside(g, (uintptr_t)f) ? gt_sig_due(g) : 0;
        if (sig) {
            close_frame(g, uc);
            store_rlx(&g->in_rt, depth);
            if (gt_sig_inject(g, uc, sig))
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

/* ---- cancellation that came too early ---- */

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

/* ---- the trampoline ---- */

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
        gt_sig_inject(g, uc, gt_sig_due(g));
}

/* Off a goroutine: as without us. */
static void direct(int sig, siginfo_t *si, void *ucp)
{
    struct gt_sigact a = gt_act_read(sig);
    ucontext_t *uc = ucp;
    if (!gt_act_is_fn(a.handler)) {
        if (a.handler == (void *)SIG_DFL && (GT_SIG_CRASH & GT_SIGBIT(sig)))
            gt_dump_crash(sig, si, uc);
        return;
    }
    gt_sigset mask;
    gt_memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
    mask |= a.mask | (a.flags & SA_NODEFER ? 0 : GT_SIGBIT(sig));
    if (a.flags & SA_RESETHAND) {
        gt_act_reset(sig);
    }
    sys_sigprocmask(SIG_SETMASK, &mask, NULL);
    ((void (*)(int, siginfo_t *, void *))a.handler)(sig, si, uc);
}

static bool is_sync(int sig, const siginfo_t *si)
{
    return (GT_SIG_SYNC & GT_SIGBIT(sig)) && si->si_code > 0;
}

/* abort() of libc's: the only SIGABRT that a thread sends itself behind us. */
static bool is_abort(int sig, const siginfo_t *si)
{
    return sig == SIGABRT && si->si_code == SI_TKILL && si->si_pid == sys_getpid();
}

/* A fault of the goroutine's own code: its handler, now, whatever it was doing. */
static void fault(struct gt_g *g, int sig, siginfo_t *si, void *uc)
{
    struct gt_sigact a = gt_act_read(sig);
    struct gt_signode *n = NULL;
    uintptr_t pc = gt_arch_uc_pc(uc);
    if (sig == SIGSEGV && (uintptr_t)si->si_addr == pc && gt_stack_allow_exec(g, pc))
        return;
    if (gt_arch_copy_fault(uc))
        return;
    if (!g->is_g0 && gt_act_is_fn(a.handler) && !(g->sigmask & GT_SIGBIT(sig)))
        n = gt_signode_get(sig, si);
    if (!n) {
        gt_dump_crash(sig, si, uc);
        return;
    }
    gt_sig_post(g, n);
    if (!gt_sig_inject(g, uc, sig))
        gt_dump_crash(sig, si, uc);
}

void gt_sig_tramp(int sig, siginfo_t *si, void *uc)
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
        gt_sig_sysmon_took(sig, si, uc);
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
    struct gt_sigact a = gt_act_taken(sig);
    if (gt_act_is_fn(a.handler) || gt_sig_timer_owner(si))
        gt_sig_took(g, sig, si, uc, &a);
    else if (a.handler == (void *)SIG_DFL && (GT_SIG_CRASH & GT_SIGBIT(sig)))
        gt_dump_crash(sig, si, uc);
    else
        gt_act_default(&a, sig);
}

/* ---- 32 and 33 are libc's: they run on the block that libc's list has for this kernel thread ----
 */

static void libc_signal(int sig, siginfo_t *si, void *uc)
{
    struct gt_g *g = gt_tls.g;
    struct gt_ksigaction *k = sig == 33 ? &S.setxid : &S.sigcancel;
    void (*h)(int, siginfo_t *, void *) = (void (*)(int, siginfo_t *, void *))k->handler;
    if (!h || !gt_act_is_fn(k->handler))
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
    if (sys_sigaction(sig, NULL, &k) || k.handler == (void *)libc_signal ||
        !gt_act_is_fn(k.handler))
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
        if (ph->p_type == PT_LOAD && (uintptr_t)gt_sig_tramp >= lo &&
            (uintptr_t)gt_sig_tramp < lo + ph->p_memsz)
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

void gt_signal_boot(void)
{
    gt_act_boot();
    gt_sig_ranges_init();
    find_main_stack();
}

void gt_signal_boot_libc(void)
{
    gt_sigmask_changed(); /* sysmon takes its mask over at its first round */
    wrap_libc(32, &S.sigcancel);
    wrap_libc(33, &S.setxid);
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

void gt_signal_fork_child(struct gt_g *g)
{
    gt_act_fork_child();
    gt_sigmask_fork_child();
    gt_sigroute_fork_child();
    gt_sigtake_fork_child();
    gt_sigq_fork_child(g);
}
