/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tracebacks of all goroutines in Go's form, and schedtrace lines in Go's form.   Source: Go's
 * traceback.go (goroutineheader, printcreatedby) and proc.go (schedtrace).
 *
 *   goroutine 7 [mutex wait, 3 minutes]:
 *   worker(...)
 *           /usr/bin/server+0x1234
 *   created by goroutine 1
 *
 * Runs in a signal frame or on a goroutine; neither allocates nor locks: other goroutines may run
 * meanwhile, so what they show is a moment's picture.  Names come from the helper (gothread
 * symbolize), which gets the PCs through a pipe; without it PCs are printed with module and offset.
 */
#include "core/sched/dump.h"

#include <ucontext.h>

#include "core/kit/cfg.h"
#include "core/sched/sched_int.h"

#define MAX_FRAMES 64

int (*gt_unwind)(const void *uc, uintptr_t *pcs, int max);
int (*gt_symbolize)(const uintptr_t *pcs, int n, char *out, size_t size);

static const char *const reason_text[] = {
#define X(id, name, text) text,
    GT_REASONS(X)
#undef X
};

static const char *state_text(struct gt_g *g)
{
    switch (load_acq(&g->status)) {
    case GT_G_READY:
        return "runnable";
    case GT_G_RUN:
        return "running";
    case GT_G_CALL:
        return "syscall";
    case GT_G_PARK:
        return reason_text[load_rlx(&g->waitreason)];
    case GT_G_DEAD:
        return "dead, not joined";
    }
    return "idle";
}

static void print_frames(const uintptr_t *pcs, int n)
{
    static char text[MAX_FRAMES * 256]; /* one dump at a time: the caller holds the turn */
    if (n > 0 && gt_symbolize && gt_symbolize(pcs, n, text, sizeof(text)) > 0) {
        sys_write(2, text, gt_strlen(text));
        return;
    }
    for (int i = 0; i < n; i++)
        gt_printf("\t%p\n", (void *)pcs[i]);
}

/* The context of a goroutine that is not running, as a ucontext. */
static void parked_context(const struct gt_g *g, ucontext_t *uc)
{
    const uintptr_t *sp = g->ctx.sp;
    greg_t *r = uc->uc_mcontext.gregs;
    gt_memset(uc, 0, sizeof(*uc));
    r[REG_R15] = (greg_t)sp[GT_CTX_R15];
    r[REG_R14] = (greg_t)sp[GT_CTX_R14];
    r[REG_R13] = (greg_t)sp[GT_CTX_R13];
    r[REG_R12] = (greg_t)sp[GT_CTX_R12];
    r[REG_RBX] = (greg_t)sp[GT_CTX_RBX];
    r[REG_RBP] = (greg_t)sp[GT_CTX_RBP];
    r[REG_RIP] = (greg_t)sp[GT_CTX_RIP];
    r[REG_RSP] = (greg_t)(uintptr_t)(sp + GT_CTX_WORDS);
}

/* In a system call: where it entered; its other registers are in the kernel. */
static void call_context(const struct gt_g *g, ucontext_t *uc)
{
    greg_t *r = uc->uc_mcontext.gregs;
    gt_memset(uc, 0, sizeof(*uc));
    r[REG_RIP] = (greg_t)g->call_pc;
    r[REG_RSP] = (greg_t)g->call_sp;
    r[REG_RBP] = (greg_t)g->call_bp;
}

static int frames_of(struct gt_g *g, const void *uc, uintptr_t *pcs)
{
    ucontext_t parked;
    if (!uc) {
        uint32_t st = load_acq(&g->status);
        if (st == GT_G_CALL)
            call_context(g, &parked);
        else if (st == GT_G_PARK || st == GT_G_READY)
            parked_context(g, &parked);
        else
            return 0;
        uc = &parked;
    }
    if (gt_unwind)
        return gt_unwind(uc, pcs, MAX_FRAMES);
    pcs[0] = gt_arch_uc_pc(uc);
    return 1;
}

/* How long it sleeps: the cycle counter, at the mean rate since the start. */
static int64_t waited(const struct gt_g *g, int64_t now)
{
    uint64_t cycles = gt_arch_cycles() - gt_sched.start_cycles;
    int64_t ns = now - gt_sched.start_ns;
    return (int64_t)((double)(gt_arch_cycles() - g->waitsince) * (double)ns / (double)(cycles | 1));
}

static void print_g(struct gt_g *g, const void *uc, int64_t now)
{
    uintptr_t pcs[MAX_FRAMES];
    int64_t mins = load_acq(&g->status) == GT_G_PARK ? waited(g, now) / (60 * GT_SEC) : 0;
    char wait[32] = "", onm[32] = "", name[24] = "";
    if (mins > 0)
        gt_snprintf(wait, sizeof(wait), ", %ld minutes", (long)mins);
    struct gt_m *m = g->m;
    if (m)
        gt_snprintf(onm, sizeof(onm), ", M%u tid %d", m->id, m->ktid);
    if (g->name[0])
        gt_snprintf(name, sizeof(name), " \"%s\"", g->name);
    gt_printf("\ngoroutine %lu%s [%s%s%s]:\n", (unsigned long)g->goid, name, state_text(g), wait,
              onm);
    int n = frames_of(g, uc, pcs);
    if (n)
        print_frames(pcs, n);
    else
        gt_printf("\tgoroutine running on another kernel thread; stack unavailable\n");
    if (g->parent) {
        gt_printf("created by goroutine %lu\n", (unsigned long)g->parent);
        print_frames(&g->created_pc, 1);
    }
}

struct dump {
    struct gt_g *first;
    int64_t now;
    int count;
};

static void dump_one(struct gt_g *g, void *arg)
{
    struct dump *d = arg;
    if (g == d->first)
        return;
    if (++d->count > 1000) { /* a million goroutines: the rest is counted */
        return;
    }
    print_g(g, NULL, d->now);
}

static void dump_all(struct gt_g *first, const void *uc)
{
    struct dump d = {.first = first, .now = gt_nanotime()};
    if (gt_cfg.gotraceback == GT_TRACEBACK_NONE)
        return;
    if (first)
        print_g(first, uc, d.now);
    if (gt_cfg.gotraceback >= GT_TRACEBACK_ALL)
        gt_foreach_g(dump_one, &d);
    if (d.count > 1000)
        gt_printf("\n... and %d goroutines more\n", d.count - 1000);
    gt_printf("\n");
}

void gt_traceback_all(struct gt_g *first)
{
    ucontext_t uc;
    gt_memset(&uc, 0, sizeof(uc));
    gt_arch_getcontext(&uc);
    dump_all(first, first ? &uc : NULL);
}

void gt_traceback_pcs(const uintptr_t *pcs, int n)
{
    print_frames(pcs, n);
}

void gt_traceback_here(void)
{
    uintptr_t pcs[MAX_FRAMES];
    ucontext_t uc;
    gt_memset(&uc, 0, sizeof(uc));
    gt_arch_getcontext(&uc);
    print_frames(pcs, gt_unwind ? gt_unwind(&uc, pcs, MAX_FRAMES) : 0);
}

static const char *signal_name(int sig)
{
    static const struct {
        int sig;
        const char *name;
    } names[] = {{SIGSEGV, "SIGSEGV: segmentation violation"},
                 {SIGBUS, "SIGBUS: bus error"},
                 {SIGFPE, "SIGFPE: floating-point exception"},
                 {SIGILL, "SIGILL: illegal instruction"},
                 {SIGABRT, "SIGABRT: abort"},
                 {SIGQUIT, "SIGQUIT: quit"},
                 {SIGTRAP, "SIGTRAP: trace trap"},
                 {SIGSYS, "SIGSYS: bad system call"}};
    for (size_t i = 0; i < GT_ARRAY_LEN(names); i++)
        if (names[i].sig == sig)
            return names[i].name;
    return "signal";
}

/* The guard below a goroutine's stack was hit? */
static bool overflowed(const struct gt_g *g, uintptr_t addr)
{
    return g && g->stack_lo && g->guard && addr < (uintptr_t)g->stack_lo &&
           addr >= (uintptr_t)g->stack_lo - g->guard;
}

void gt_dump_crash(int sig, const siginfo_t *si, void *uc)
{
    static _Atomic uint32_t turn;
    struct gt_g *g = gt_tls.g && !gt_tls.g->is_g0 ? gt_tls.g : NULL;
    if (!xchg_acqrel(&turn, 1)) {
        if (sig != SIGQUIT && sig != SIGABRT && si->si_code > 0 &&
            overflowed(g, (uintptr_t)si->si_addr))
            gt_printf("gothread: goroutine %lu: stack overflow: stack of %ld bytes at %p\n",
                      (unsigned long)g->goid, (long)(g->stack_hi - g->stack_lo), g->stack_lo);
        gt_printf("%s\nPC=%p addr=%p%s\n", signal_name(sig), (void *)gt_arch_uc_pc(uc),
                  si->si_code > 0 && sig != SIGQUIT && sig != SIGABRT ? si->si_addr : NULL,
                  g ? "" : " (not on a goroutine)");
        dump_all(g, uc);
    }
    struct gt_ksigaction dfl = {.handler = (void *)SIG_DFL};
    sys_sigaction(sig, &dfl, NULL);
    if (si->si_code <= 0 || sig == SIGTRAP) { /* sent, or behind the instruction, not a fault: it
                                                 would not come again by itself */
        gt_sigset set = 1ull << (sig - 1);
        sys_tgkill(sys_getpid(), sys_gettid(), sig);
        sys_sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
}

static void trace_g(struct gt_g *g, void *arg)
{
    struct gt_m *m = g->m;
    (void)arg;
    gt_printf("  G%lu: status=%u(%s) m=%d\n", (unsigned long)g->goid, load_rlx(&g->status),
              state_text(g), m ? (int)m->id : -1);
}

void gt_schedtrace(bool detail)
{
    static int64_t start;
    int64_t now = gt_nanotime();
    start = start ? start : now;
    char line[1024];
    size_t n =
        gt_snprintf(line, sizeof(line),
                    "SCHED %ldms: gomaxprocs=%d idleprocs=%u threads=%lu "
                    "spinningthreads=%u idlethreads=%u runqueue=%u",
                    (long)((now - start) / GT_MS), gt_sched.nprocs, load_rlx(&gt_sched.npidle),
                    (unsigned long)gt_stat_get(ms_made), load_rlx(&gt_sched.nmspinning),
                    gt_sched.nmidle, load_rlx(&gt_sched.runqsize));
    for (int i = 0; i < gt_sched.nprocs && !detail && n < sizeof(line) - 16; i++) {
        struct gt_p *p = gt_sched.allp[i];
        n += gt_snprintf(line + n, sizeof(line) - n, "%s%u%s", i ? " " : " [",
                         load_rlx(&p->tail) - load_rlx(&p->head),
                         i + 1 == gt_sched.nprocs ? "]" : "");
    }
    gt_printf("%s\n", line);
    for (int i = 0; i < gt_sched.nprocs && detail; i++) {
        struct gt_p *p = gt_sched.allp[i];
        uint64_t w = load_rlx(&p->word);
        gt_printf("  P%d: status=%u schedtick=%u m=%d runqsize=%u timerslen=%u\n", i,
                  GT_PW_STATE(w), load_rlx(&p->schedtick), GT_PW_M(w) ? (int)GT_PW_M(w) : -1,
                  load_rlx(&p->tail) - load_rlx(&p->head), p->nheap);
    }
    if (!detail)
        return;
    for (struct gt_m *m = load_acq(&gt_sched.allm); m; m = m->alllink) {
        struct gt_g *g = load_rlx(&m->curg);
        gt_printf("  M%u: p=%d curg=%ld spinning=%s tid=%d\n", m->id, m->p ? (int)m->p->id : -1,
                  g ? (long)g->goid : -1l, m->spinning ? "true" : "false", m->ktid);
    }
    gt_foreach_g(trace_g, NULL);
}
