/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Life of Gs, Ms and Ps: start of the scheduler, creation, exit.   Source: Go's proc.go (newproc,
 * goexit0, newm).
 *
 * Ms are made by one kernel thread of its own, the maker, which holds no runtime lock and keeps one
 * spare M parked: making a thread takes locks of the C library, and their holder may be a goroutine
 * that waits for an M (PITFALLS 6).  Ms never exit: PDEATHSIG, io_uring and ptrace hang on the
 * kernel thread (PITFALLS 12).
 *
 *   startm: no idle M -> request {M, P} on the maker's list -> maker: pthread_create ->
 * gt_mstart(M) failure: the maker gives the P back to the idle list and says so once.
 *
 * The first thread becomes G1.  It keeps its own block and stack; M0 gets a block and a g0 stack of
 * its own, and the kernel's registrations move there (DESIGN.md, 4).
 */
#include "core/sched/sched_int.h"

#include "core/kit/cfg.h"
#include "core/mem/mem.h"
#include "core/os/real.h"
#include "core/os/tcb.h"
#include "core/sched/cputime.h"
#include "core/sched/disk.h"
#include "core/sched/netpoll.h"
#include "core/sched/sema.h"
#include "core/sched/sigwatch.h"
#include "core/sched/wire.h"

#define G0_STACK  (128ul << 10)
#define M0_STACK  (256ul << 10)
#define FIRST_TID (1 << 22) /* above every pid: pid_max is at most 2^22 */
#define LAST_TID  (1 << 28) /* below: the id of its CPU clock is negative, as a kernel's is */
#define GCHUNK    64

void *(*gt_g_main)(struct gt_g *g);
void (*gt_cancel_act)(struct gt_g *g);

static struct {
    struct gt_lock lock;        /* ALLG */
    _Atomic(struct gt_g *) all; /* every G ever made, newest first: push under the lock */
    struct gt_g *free;          /* ALLG lock: IDLE ones */
    struct gt_g *chunk;
    int nchunk;
    _Atomic uint64_t goid;
    _Atomic uint32_t tid;
} R;

/* ---- goroutine structures ---- */

static struct gt_g *g_alloc(void)
{
    gt_lock(&R.lock, GT_RANK_ALLG);
    struct gt_g *g = R.free;
    if (g) {
        R.free = g->schedlink;
    } else {
        if (!R.nchunk) {
            R.chunk = gt_persistent_alloc(sizeof(struct gt_g) * GCHUNK);
            R.nchunk = R.chunk ? GCHUNK : 0;
        }
        if (R.nchunk) {
            g = &R.chunk[--R.nchunk];
            g->alllink = load_rlx(&R.all);
            store_rel(&R.all, g);
        }
    }
    gt_unlock(&R.lock, GT_RANK_ALLG);
    return g;
}

void gt_gfree(struct gt_g *g)
{
    if (g->flags & GT_GF_MAIN)
        return;
    void *tp = g->tp;
    gt_tls_of(tp)->owner = NULL;
    if (g->stack)
        gt_stack_free(g->stack);
    g->stack = NULL;
    gt_signal_freeg(g);
    gt_lock(&R.lock, GT_RANK_ALLG);
    store_rel(&g->status, GT_G_IDLE);
    g->tp = NULL;
    g->schedlink = R.free;
    R.free = g;
    gt_unlock(&R.lock, GT_RANK_ALLG);
}

struct gt_g *gt_g_of(void *tp)
{
    if (!tp || !load_acq(&gt_started))
        return NULL;
    struct gt_g *g = gt_tls_of(tp)->owner;
    return g && g->tp == tp ? g : NULL;
}

void gt_foreach_g(void (*f)(struct gt_g *g, void *arg), void *arg)
{
    for (struct gt_g *g = load_acq(&R.all); g; g = g->alllink)
        if (load_acq(&g->status) != GT_G_IDLE)
            f(g, arg);
}

struct gt_g *gt_g_by_tid(int tid)
{
    struct gt_g *self = gt_self();
    if (self && self->tid == tid)
        return self;
    if (!load_acq(&gt_started) || (tid < FIRST_TID && tid != gt_sched.g1->tid))
        return NULL;
    for (struct gt_g *g = load_acq(&R.all); g; g = g->alllink) {
        uint32_t st = load_acq(&g->status);
        if (g->tid == tid && st != GT_G_IDLE && st != GT_G_DEAD)
            return g;
    }
    return NULL;
}

/* A fresh thread id: unique, never a kernel's, never 0 (PITFALLS 9, 10). */
static int new_tid(void)
{
    return FIRST_TID + (int)(add_rlx(&R.tid, 1) % (LAST_TID - FIRST_TID));
}

bool gt_tid_is_goroutine(int tid)
{
    return tid >= FIRST_TID && tid < LAST_TID;
}

static void g_init(struct gt_g *g, int tid)
{
    g->goid = add_rlx(&R.goid, 1) + 1;
    g->tid = tid;
    g->m = NULL;
    g->flags = 0;
    g->result = NULL;
    g->waitsince = 0;
    g->nvcsw = g->nivcsw = 0;
    store_rlx(&g->cpu_cyc, 0);
    store_rlx(&g->cpu_ns, 0);
    store_rlx(&g->cpu_seen, 0);
    g->unannounced = 0;
    g->spin_pc = 0;
    store_rlx(&g->spins, 0);
    g->cleanup = g->old_cleanup = NULL;
    g->clear_tid = 0;
    g->sigseq = 0;
    g->sigq = g->sigqlast = NULL;
    g->sigqset[0] = g->sigqset[1] = 0;
    store_rlx(&g->siginbox, NULL);
    store_rlx(&g->sigpend[0], 0);
    store_rlx(&g->sigpend[1], 0);
    store_rlx(&g->waitset, 0);
    store_rlx(&g->intr_ticket, 0);
    g->name[0] = '\0';
    g->wiredm = NULL;
    g->wires = g->wire_set = g->shared_calls = 0;
    store_rlx(&g->want, 0);
    gt_memset(&g->attrs, 0, sizeof(g->attrs));
    g->rand = ((g->goid + gt_cfg.seed) * 0x9e3779b97f4a7c15ull) | 1;
    gt_memset(&g->altstack, 0, sizeof(g->altstack));
    g->altstack.ss_flags = SS_DISABLE;
    g->pk.g = g;
    store_rlx(&g->waitreason, GT_R_NONE);
    store_rlx(&g->attention, 0);
    store_rlx(&g->cancel, 0);
    store_rlx(&g->joiner, NULL);
    store_rlx(&g->timer.p, NULL);
    store_rlx(&g->life, GT_LIFE_ALIVE);
}

/* ---- creation ---- */

static void g_entry(void)
{
    struct gt_g *g = gt_self();
    gt_tcb_begin();
    gt_rt_leave(g);
    g->result = gt_g_main(g);
    gt_goexit(g);
}

static int newm_heir(struct gt_g *self, struct gt_g *g);

static int g_stack(struct gt_g *g, const struct gt_newproc *np, int tid)
{
    char *lo, *top;
    g->guard = 0;
    if (np->user_stack) {
        lo = np->user_stack;
        top = lo + np->stack;
        if (np->stack < gt_tcb_size() + 4096)
            return -EINVAL;
        gt_memset(top - gt_tcb_size(), 0, gt_tcb_size());
        g->tp = gt_tcb_make(lo, top, tid);
        g->flags |= GT_GF_USERSTK;
    } else {
        struct gt_stack *s = gt_stack_alloc(np->stack, np->guard);
        if (!s)
            return -EAGAIN;
        lo = s->base + s->guard;
        top = s->base + s->size;
        void *tp = s->tp ? gt_tcb_reset(s->tp, lo, top, tid) : gt_tcb_make(lo, top, tid);
        if (!tp) {
            gt_stack_free(s);
            return -EAGAIN;
        }
        g->tp = s->tp = tp;
        g->stack = s;
        g->guard = s->guard;
    }
    if (!g->tp)
        return -EAGAIN;
    g->stack_lo = lo;
    g->stack_asked = GT_ALIGN_UP(np->stack, GT_PAGE);
    g->stack_top = top;
    g->stack_hi = gt_tcb_low(g->tp);
    return 0;
}

char *gt_stack_top(const struct gt_g *g)
{
    return g->stack_top;
}

int gt_newproc(const struct gt_newproc *np, void **tp)
{
    struct gt_g *self = gt_self();
    struct gt_g *g = g_alloc();
    if (!g)
        return -EAGAIN;
    int tid = new_tid();
    g_init(g, tid);
    int r = g_stack(g, np, tid);
    if (r) {
        gt_lock(&R.lock, GT_RANK_ALLG);
        g->schedlink = R.free;
        R.free = g;
        gt_unlock(&R.lock, GT_RANK_ALLG);
        return r;
    }
    g->fn = np->fn;
    g->arg = np->arg;
    g->parent = self ? self->goid : 0;
    if (self)
        gt_memcpy(g->name, self->name, sizeof(g->name));
    g->created_pc = np->pc;
    g->sigmask = np->sigmask;
    g->attrs = np->attrs;
    store_rlx(&g->want, np->want);
    store_rlx(&g->attention, np->want ? GT_ATT_WIRE : 0);
    if (np->explicit_sched)
        g->flags |= GT_GF_EXPLICIT;
    if (np->detached)
        store_rlx(&g->life, GT_LIFE_DETACHED);
    struct gt_tls *t = gt_tls_of(g->tp);
    t->g = t->owner = g;
    store_rlx(&g->in_rt, 1);
    gt_arch_ctx_init(&g->ctx, g->stack_hi, g->tp, g_entry);
    if (np->heir && newm_heir(self, g) != 0) {
        gt_gfree(g);
        return -EAGAIN;
    }
    gt_signal_newg(g);
    gt_stat_add(goroutines_created, 1);
    uint64_t live = gt_stat_add(goroutines_live, 1) + 1;
    uint64_t peak = gt_stat_get(goroutines_peak);
    while (live > peak && !cas_rel(&gt_stats[GT_STAT_goroutines_peak], &peak, live))
        ;
    *tp = g->tp;
    /* Behind all that wait: threads start in the order in which they were made, and chains of
     * threads that make the next one do not overtake who was woken meanwhile (Go's newproc, which
     * pushes out who is next, lets both happen). */
    gt_goready(g, false);
    return 0;
}

/* ---- exit ---- */

/* By the kernel's hand: at a wrong address nothing happens. */
static void clear_tid(uintptr_t at)
{
    uint32_t zero = 0;
    struct iovec from = {&zero, sizeof(zero)}, to = {(void *)at, sizeof(zero)};
    GT_SYS6(SYS_process_vm_writev, sys_getpid(), &from, 1, &to, 1, 0);
    GT_SYS3(SYS_futex, at, 1 /* FUTEX_WAKE: shared, as there */, 1);
}

static struct gt_g *goexit_g0(struct gt_m *m, struct gt_g *g)
{
    uint32_t life = GT_LIFE_ALIVE;
    (void)m;
    if (unlikely(g->clear_tid > 1))
        clear_tid(g->clear_tid); /* its stack may be gone from here on */
    g->m = NULL;
    store_rel(&g->status, GT_G_DEAD);
    add_rlx(&gt_stats[GT_STAT_goroutines_live], (uint64_t)-1);
    /* release: everything the goroutine did happens before its join; pairs with the joiner's
     * acquire */
    if (!cas_acqrel(&g->life, &life, GT_LIFE_DEAD))
        gt_gfree(g); /* detached */
    else
        gt_sema_wake(&g->life, 1 << 30); /* the address only: g may be another goroutine by now */
    return NULL;
}

void gt_goexit(struct gt_g *g)
{
    gt_rt_enter(g);
    if (g->sigmask & 1ull << (SIGPIPE - 1)) /* what is pending ends with its thread */
        gt_sig_take_pipe(NULL);
    gt_signal_exitg(g);
    gt_tcb_end();
    gt_wire_exit(g);
    gt_mcall(g, goexit_g0);
    __builtin_unreachable();
}

/* ---- Ms ---- */

static struct {
    struct gt_lock lock;      /* MAKER */
    struct gt_m *want;        /* MAKER lock: with nextp set, or a spare */
    struct gt_m *unused;      /* MAKER lock: their kernel threads could not be made */
    _Atomic uint32_t note;    /* bumped with each request */
    _Atomic bool failed_once; /* warned; no spares any more */
} K;

static struct gt_m *unused_m(void)
{
    gt_lock(&K.lock, GT_RANK_MAKER);
    struct gt_m *m = K.unused;
    if (m)
        K.unused = m->link;
    gt_unlock(&K.lock, GT_RANK_MAKER);
    return m;
}

static void put_unused_m(struct gt_m *m)
{
    gt_lock(&K.lock, GT_RANK_MAKER);
    m->link = K.unused;
    K.unused = m;
    gt_unlock(&K.lock, GT_RANK_MAKER);
}

struct gt_m *gt_m_alloc(void)
{
    struct gt_m *m = unused_m();
    if (m || !(m = gt_persistent_alloc(sizeof(*m))))
        return m;
    m->id = add_rlx(&gt_sched.mid, 1) + 1;
    m->rand = m->id * 0x2545f4914f6cdd1dull | 1;
    m->g0.is_g0 = true;
    m->g0.m = m;
    m->g0.pk.g = NULL;
    store_rlx(&m->g0.status, GT_G_RUN);
    return m;
}

static void m_publish(struct gt_m *m)
{
    struct gt_m *old = load_rlx(&gt_sched.allm);
    do
        m->alllink = old;
    while (!cas_rel(&gt_sched.allm, &old, m));
    gt_stat_add(ms_made, 1);
    gt_stat_add(ms_peak, 1);
}

static void *m_thread(void *arg)
{
    gt_mstart(arg);
    return NULL;
}

void gt_mstart(struct gt_m *m)
{
    m->ktid = sys_gettid();
    m->listed_tp = gt_arch_get_tp();
    m->g0.tp = m->g0.ctx.tp = m->listed_tp;
    m->kmask = GT_SIG_QUIET;
    store_rel(&m->kblocked, GT_SIG_QUIET);
    gt_tls.g = &m->g0;
    gt_signal_minit(m);
    gt_cpu_begin(m);
    m_publish(m);
    sub_acqrel(&gt_sched.nstarting, 1); /* pairs with gt_is_own_kthread */
    if (!m->wiredg && m->nextp) {       /* wired: it is for gt_wire_stop */
        struct gt_p *p = m->nextp;
        m->nextp = NULL;
        m->spinning = m->nextspin;
        gt_acquirep(m, p);
    }
    gt_schedule_loop(m);
}

static bool is_known_kthread(int ktid)
{
    if (ktid == load_rlx(&gt_sched.sysmon_ktid) || ktid == load_rlx(&gt_sched.maker_ktid))
        return ktid != 0;
    for (struct gt_m *m = load_acq(&gt_sched.allm); m; m = m->alllink)
        if (m->ktid == ktid)
            return m != gt_sched.m0;
    return false;
}

bool gt_is_own_kthread(int ktid)
{
    if (is_known_kthread(ktid))
        return true;
    /* it may be on its way: the kernel shows it before it has told us who it is */
    while (load_acq(&gt_sched.nstarting))
        sys_nanosleep(50 * GT_US);
    return is_known_kthread(ktid);
}

/* No M for p, which may be NULL: it rests, and is taken, or its work stolen, by an M that comes
 * back.  One may have come back, and gone to sleep, while p was with us: sysmon looks. */
static void p_without_m(struct gt_p *p, bool spinning, int err)
{
    if (!xchg_acqrel(&K.failed_once, true))
        gt_warn("cannot make another kernel thread (error %d): going on with %lu", -err,
                (unsigned long)gt_stat_get(ms_made));
    if (spinning)
        sub_acqrel(&gt_sched.nmspinning, 1);
    if (!p)
        return;
    gt_lock(&gt_sched.lock, GT_RANK_SCHED);
    gt_pidleput_locked(p);
    gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
    store_seq(&gt_sched.no_m, true);
    gt_sched_wakesysmon();
}

bool gt_newm(struct gt_p *p, bool spinning)
{
    struct gt_m *m = gt_m_alloc();
    if (!m) {
        p_without_m(p, spinning, -ENOMEM);
        return false;
    }
    m->nextp = p;
    m->nextspin = spinning;
    gt_lock(&K.lock, GT_RANK_MAKER);
    m->link = K.want;
    K.want = m;
    gt_unlock(&K.lock, GT_RANK_MAKER);
    add_acqrel(&K.note, 1); /* pairs with the maker's load before it looks at the list */
    gt_futex_wake(&K.note, 1);
    return true;
}

int gt_kthread_start(void *(*fn)(void *), void *arg, size_t stack)
{
    pthread_attr_t at;
    pthread_t t;
    gt_os_real.pthread_attr_init(&at);
    gt_os_real.pthread_attr_setstacksize(&at, stack);
    gt_os_real.pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
    int r = gt_os_real.pthread_create(&t, &at, fn, arg);
    gt_os_real.pthread_attr_destroy(&at);
    return -r;
}

/* Starts m's kernel thread.  0 or -errno. */
static int make_thread(struct gt_m *m)
{
    add_acqrel(&gt_sched.nstarting, 1);
    int r = gt_signal_malloc(m);
    if (!r)
        r = gt_cfg.maxms && (int)gt_stat_get(ms_made) >= gt_cfg.maxms
                ? -EAGAIN
                : gt_kthread_start(m_thread, m, G0_STACK);
    if (r)
        sub_acqrel(&gt_sched.nstarting, 1);
    return r;
}

/* An M for g, cloned from the calling goroutine's: it has its namespaces, credentials and filters.
 * In a runtime section, so that nothing sets the mask meanwhile, which the clone inherits.  The
 * maker's rule (no runtime lock while a thread is made) holds here too.  0 or -EAGAIN. */
static int newm_heir(struct gt_g *self, struct gt_g *g)
{
    gt_sigset old, quiet = GT_SIG_QUIET;
    struct gt_m *m = gt_m_alloc();
    if (!m)
        return -EAGAIN;
    m->nextp = NULL;
    gt_wire_heir(g, m, self);
    sys_sigprocmask(SIG_SETMASK, &quiet, &old);
    int r = make_thread(m);
    sys_sigprocmask(SIG_SETMASK, &old, NULL);
    if (!r)
        return 0;
    gt_wire_no_heir(g, m);
    put_unused_m(m);
    return -EAGAIN;
}

static void *maker(void *arg)
{
    (void)arg;
    store_rlx(&gt_sched.maker_ktid, sys_gettid());
    sub_acqrel(&gt_sched.nstarting, 1);
    for (;;) {
        uint32_t n = load_acq(&K.note);
        gt_lock(&K.lock, GT_RANK_MAKER);
        struct gt_m *m = K.want;
        if (m)
            K.want = m->link;
        gt_unlock(&K.lock, GT_RANK_MAKER);
        if (!m) {
            /* one spare, so that whoever needs an M rarely waits for us */
            gt_lock(&gt_sched.lock, GT_RANK_SCHED);
            bool spare = gt_sched.nmidle > 0;
            gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
            if (spare || load_rlx(&K.failed_once) || !(m = gt_m_alloc())) {
                gt_futex_wait(&K.note, n, GT_NEVER);
                continue;
            }
            m->nextp = NULL;
            m->spare = true;
        }
        int r = make_thread(m);
        if (r) {
            p_without_m(m->nextp, m->nextspin, r);
            m->spare = false;
            put_unused_m(m);
        } else if (m->spare) { /* wait until it is on the idle list, or we would make another */
            while (!load_acq(&m->ready))
                gt_futex_wait(&m->ready, 0, GT_NEVER);
        }
    }
    return NULL;
}

int gt_maker_start(void)
{
    return gt_kthread_start(maker, NULL, G0_STACK);
}

void gt_maker_fork_child(void)
{
    gt_memset(&K, 0, sizeof(K));
}

/* ---- start ---- */

static void m0_loop(void)
{
    gt_schedule_loop(gt_sched.m0);
}

/* The calling thread becomes G1 on M0.  In the child of a fork M0 is the M that forked: its block
 * is the one that libc and the kernel know already. */
static struct gt_m *main_m(void *tp)
{
    struct gt_m *m = gt_sched.m0;
    char *stk = m && m->g0.stack_hi
                    ? NULL
                    : sys_mmap(NULL, M0_STACK, PROT_READ | PROT_WRITE, MAP_NORESERVE | MAP_STACK);
    if (gt_sys_is_err(stk))
        return NULL;
    if (m) {
        if (stk) /* its g0 ran on the stack that libc had made for the thread */
            m->g0.stack_hi = stk + M0_STACK;
        gt_arch_ctx_init(&m->g0.ctx, m->g0.stack_hi, m->g0.tp, m0_loop);
        return m;
    }
    m = gt_m_alloc();
    void *mtp = m ? gt_tcb_make(stk, stk + M0_STACK, sys_getpid()) : NULL;
    if (!mtp)
        return NULL;
    m->g0.tp = m->listed_tp = mtp;
    m->g0.stack_hi = gt_tcb_low(mtp);
    gt_arch_ctx_init(&m->g0.ctx, m->g0.stack_hi, mtp, m0_loop);
    gt_tls_of(mtp)->g = &m->g0;
    gt_tcb_move_kernel(tp, mtp);
    gt_tcb_replace(tp, mtp);
    return m;
}

/* In the child of a fork the survivor goes on, with what is its own. */
static struct gt_g *main_g(void)
{
    struct gt_g *g = gt_sched.solo;
    if (!g) {
        g = g_alloc();
        if (g)
            g_init(g, sys_getpid());
        return g;
    }
    struct gt_g was = *g;
    g_init(g, sys_getpid());
    g->cleanup = was.cleanup;
    g->old_cleanup = was.old_cleanup;
    store_rlx(&g->cancel, load_rlx(&was.cancel));
    gt_memcpy(g->name, was.name, sizeof(g->name));
    g->attrs.slack = was.attrs.slack; /* the others are the kernel thread's: start_main */
    return g;
}

static int start_main(void)
{
    struct gt_g *g = main_g();
    struct gt_m *m = main_m(gt_arch_get_tp());
    if (!m || !g || gt_signal_malloc(m))
        return -ENOMEM;
    g->flags |= GT_GF_MAIN;
    g->attrs.policy = gt_kattr_default.policy;
    g->attrs.priority = gt_kattr_default.priority;
    g->attrs.nice = gt_kattr_default.nice;
    g->stack_lo = g->stack_hi = NULL;
    g->tp = g->ctx.tp = gt_arch_get_tp();
    store_rlx(&g->in_rt, 1);
    m->ktid = sys_gettid();
    g->m = m;
    store_rlx(&m->curg, g);
    store_rlx(&g->status, GT_G_RUN);
    sys_sigprocmask(SIG_SETMASK, NULL, &g->sigmask);
    m->kmask = g->sigmask;
    store_rel(&m->kblocked, g->sigmask);
    gt_sched.m0 = m;
    gt_sched.g1 = g;
    gt_tls.owner = gt_tls.g = g;
    gt_cpu_begin(m);
    store_rlx(&g->cpu_ns, load_rlx(&m->cpu_read)); /* what the thread has used so far is its own */
    m->link = m->alllink = NULL;
    m_publish(m);
    gt_signal_minit(m);
    if (gt_tls.mcache) { /* the thread's becomes its P's */
        gt_mc_chown(gt_tls.mcache, 0);
        gt_sched.allp[0]->mcache = gt_tls.mcache;
        gt_tls.mcache = NULL;
    }
    gt_acquirep(m, gt_sched.allp[0]);
    gt_signal_newg(g);
    gt_stat_add(goroutines_created, 1);
    gt_stat_add(goroutines_live, 1);
    return 0;
}

static int make_ps(int n)
{
    for (int i = 0; i < n; i++) {
        struct gt_p *p = gt_sched.allp[i] ? gt_sched.allp[i] : gt_persistent_alloc(sizeof(*p));
        if (!p)
            return -ENOMEM;
        struct gt_g **heap = p->heap;
        uint32_t cap = p->capheap;
        gt_memset(p, 0, sizeof(*p)); /* in a fork's child it held the parent's work */
        p->heap = heap;
        p->capheap = cap;
        p->id = (uint32_t)i;
        p->rand = (uint64_t)i + 1;
        store_rlx(&p->when0, INT64_MAX);
        gt_sched.allp[i] = p;
    }
    gt_sched.start_ns = gt_nanotime();
    gt_sched.start_cycles = gt_arch_cycles();
    gt_sched.nprocs = n;
    gt_kattr_read(&gt_kattr_default);
    for (int i = n - 1; i > 0; i--)
        gt_pidleput_locked(gt_sched.allp[i]);
    return 0;
}

static void bury(void);

int gt_sched_start(int nprocs)
{
    if (load_acq(&gt_started))
        return 0;
    int r = gt_tcb_init();
    if (r)
        return r;
    if (gt_netpoll_init() || make_ps(nprocs))
        return -ENOSYS;
    bury();
    store_rlx(&gt_sched.lastpoll, 1);
    sys_membarrier(16 /* REGISTER_PRIVATE_EXPEDITED */);
    gt_sigset all = GT_SIG_QUIET, old;
    gt_signal_boot();
    r = start_main(); /* while there is one thread: the list surgery needs that */
    if (r)
        return r;
    sys_sigprocmask(SIG_SETMASK, &all, &old);
    store_rlx(&gt_sched.nstarting, 2);
    gt_sigwatch_init();
    r = gt_kthread_start(gt_sysmon, NULL, G0_STACK);
    if (!r)
        r = gt_maker_start();
    gt_signal_boot_libc(); /* libc has installed its handlers with the first thread */
    gt_signal_adopt(gt_sched.g1);
    sys_sigprocmask(SIG_SETMASK, &old, NULL);
    if (r)
        gt_fatal("cannot make the first kernel threads: error", -r, 0);
    gt_sched.solo = NULL;
    gt_random_yields = gt_cfg.yield_pct != 0;
    store_rel(&gt_started, true);
    gt_rt_leave(gt_self());
    return 0;
}

/* ---- fork ---- */

void gt_fork_before(struct gt_g *g)
{
    (void)g;
    gt_tcb_fork_lock();
    gt_signal_fork_lock();
    gt_lock(&R.lock, GT_RANK_ALLG);
    gt_stack_fork_lock();
}

void gt_fork_parent(struct gt_g *g)
{
    (void)g;
    gt_stack_fork_unlock();
    gt_unlock(&R.lock, GT_RANK_ALLG);
    gt_signal_fork_unlock();
    gt_tcb_fork_unlock();
}

/* The goroutine that forked is the child's one thread, on this kernel thread. */
static void survive(struct gt_g *g)
{
    struct gt_m *m = g->m;
    gt_sched.m0 = m;
    store_rlx(&gt_sched.mid, m->id);
    m->p = NULL;
    store_rlx(&m->mcache, NULL);
    m->spinning = false;
    m->wiredg = NULL;
    m->robust_tp = NULL;
    store_rlx(&m->curg, NULL);
    gt_tls.g = NULL;
    gt_tid_set(g->tp, sys_getpid());
    gt_tid_set(m->listed_tp, sys_getpid());
    g->tid = sys_getpid();
    gt_tcb_register_robust(g->tp);
    gt_tcb_forget_list(g->tp);
    gt_sched.solo = g;
    store_rlx(&g->in_rt, 0);
    store_rlx(&g->attention, 0);
    sys_sigaltstack(&g->altstack, NULL);
}

/* The scheduler stands still until the child makes a thread again: until then calls go to the
 * kernel as in a program with one thread.  When a foreign thread has forked, it is to the child
 * what the first thread is to a process that has not started yet. */
void gt_fork_child(struct gt_g *g)
{
    gt_fork_parent(g);
    struct gt_p *allp[GT_MAXP];
    gt_memcpy(allp, gt_sched.allp, sizeof(allp));
    gt_memset(&gt_sched, 0, sizeof(gt_sched));
    gt_memcpy(gt_sched.allp, allp, sizeof(allp));
    gt_maker_fork_child();
    gt_signal_fork_child(g);
    gt_sema_fork_child();
    gt_disk_fork_child();
    gt_netpoll_fork_child();
    gt_sigwatch_fork_child();
    for (int i = 0; i < GT_STAT_COUNT; i++)
        store_rlx(&gt_stats[i], 0);
    if (g)
        survive(g);
    store_rel(&gt_started, false);
}

void *gt_main_tp(void)
{
    return gt_sched.g1->tp;
}

struct gt_g *gt_solo(void)
{
    return load_rlx(&gt_started) ? NULL : gt_sched.solo;
}

/* Before a start in a child: the parent's goroutines are nobody's. */
static void bury(void)
{
    for (struct gt_g *g = load_rlx(&R.all); g; g = g->alllink) {
        if (g == gt_sched.solo)
            g->stack = NULL; /* it is the process's main stack from now on */
        if (g == gt_sched.solo || load_rlx(&g->status) == GT_G_IDLE)
            continue;
        if (g->stack)
            gt_stack_free(g->stack);
        g->stack = NULL;
        g->tp = NULL;
        store_rlx(&g->status, GT_G_IDLE);
        g->schedlink = R.free;
        R.free = g;
    }
}
