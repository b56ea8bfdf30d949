/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Run queues and the search for work: who runs what, and who wakes whom.   Source: Go's proc.go.
 *
 * The classic bug is the lost wake-up: work is made visible while the last searcher goes to sleep.
 * Go's rule:
 *
 *     who makes work visible (goready):         who stops searching (findrunnable):
 *       1. publishes it on a queue                1. announces: nmspinning-- (seq_cst)
 *       2. full fence                             2. full fence
 *       3. if nmspinning == 0 and a P is idle:    3. looks at all queues, timers and the poller
 * again wakes one M (wakep)
 *
 * One of the two sees the other.  A spinning M that finds work wakes the next (resetspinning), so n
 * pieces of work wake n Ms in a chain and not in a herd.
 *
 * P ownership is the word of types.h.  The owner M moves RUN -> CALL -> RUN (system calls) and RUN
 * -> IDLE (nothing to do); sysmon and wakep move CALL -> IDLE -> RUN for another M; sysmon moves
 * RUN -> CLAIM -> IDLE when the M sleeps in the kernel without having said so.  An M that lost its
 * P notices at its next runtime section (gt_rt_enter) and queues for one.
 *
 * Rejected: waking an M for each readied goroutine (a futex call for each hand-over); keeping the P
 * through every system call and trusting sysmon alone (up to 10 ms of stall with one P).
 *
 * Locks: SCHED, short, never across a futex wait.  All but the entry points at the end run on g0.
 */
#include "core/sched/sched_int.h"
#include "core/kit/cfg.h"
#include "core/mem/mem.h"
#include "core/sched/cputime.h"
#include "core/sched/disk.h"
#include "core/sched/netpoll.h"
#include "core/sched/signal.h"
#include "core/sched/sigwatch.h"
#include "core/sched/wire.h"

struct gt_sched gt_sched;
_Atomic bool gt_started;

int gt_gomaxprocs(void)
{
    return gt_sched.nprocs ? gt_sched.nprocs : 1;
}

/* ---- P ownership ---- */

static uint64_t word_next(uint64_t old, uint32_t state, uint32_t mid)
{
    return GT_PW(state, mid, GT_PW_SEQ(old) + 1);
}

void gt_acquirep(struct gt_m *m, struct gt_p *p)
{
    uint64_t w = load_rlx(&p->word);
    gt_assert(GT_PW_STATE(w) == GT_P_IDLE);
    store_rel(&p->word, word_next(w, GT_P_RUN, m->id));
    m->p = p;
    store_rlx(&m->mcache, p->mcache);
}

/* The owner lets go: RUN (or CLAIM, which then fails) -> IDLE, held by the caller. */
struct gt_p *gt_releasep(struct gt_m *m)
{
    struct gt_p *p = m->p;
    uint64_t w = load_rlx(&p->word);
    store_rlx(&m->mcache, NULL);
    while (!cas_acqrel(&p->word, &w, word_next(w, GT_P_IDLE, 0)))
        ;
    m->p = NULL;
    return p;
}

bool gt_p_take(struct gt_p *p, uint64_t w)
{
    return cas_acqrel(&p->word, &w, word_next(w, GT_P_IDLE, 0));
}

void gt_sched_wakesysmon(void)
{
    if (unlikely(load_rlx(&gt_sched.sysmonwait)) && xchg_acqrel(&gt_sched.sysmonwait, 0)) {
        gt_sysmon_wake();
    }
}

void gt_pidleput_locked(struct gt_p *p)
{
    p->link = gt_sched.pidle;
    gt_sched.pidle = p;
    add_seq(&gt_sched.npidle, 1);
}

static struct gt_p *pidleget_locked(void)
{
    struct gt_p *p = gt_sched.pidle;
    if (p) {
        gt_sched.pidle = p->link;
        sub_acqrel(&gt_sched.npidle, 1);
    }
    return p;
}

struct gt_p *gt_pidleget(void)
{
    if (load_seq(&gt_sched.npidle) == 0)
        return NULL;
    gt_lock(&gt_sched.lock, GT_RANK_SCHED);
    struct gt_p *p = pidleget_locked();
    gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
    if (p)
        gt_sched_wakesysmon();
    return p;
}

/* Takes a P from an M that sits in a long system call.  NULL: none. */
static struct gt_p *take_call(void)
{
    if (load_seq(&gt_sched.ncall) == 0)
        return NULL;
    for (int i = 0; i < gt_sched.nprocs; i++) {
        struct gt_p *p = gt_sched.allp[i];
        uint64_t w = load_acq(&p->word);
        if (GT_PW_STATE(w) == GT_P_CALL && gt_p_take(p, w)) {
            gt_stat_add(p_retakes, 1);
            return p;
        }
    }
    return NULL;
}

struct gt_m *gt_m_with_p(void)
{
    struct gt_g *g = gt_tls.g;
    if (!g || !g->m)
        return NULL;
    struct gt_m *m = g->m;
    if (!m->p || (!g->is_g0 && (load_rlx(&g->in_rt) == 0 || load_rlx(&g->status) != GT_G_RUN)))
        return NULL;
    return m;
}

/* ---- local queues ---- */

/* Half of a full local queue goes to the global one, with g. */
static bool runqputslow(struct gt_p *p, struct gt_g *g, uint32_t h, uint32_t t)
{
    struct gt_g *list = NULL, **tail = &list;
    struct gt_g *batch[GT_RUNQ / 2 + 1];
    uint32_t n = (t - h) / 2;
    for (uint32_t i = 0; i < n; i++)
        batch[i] = load_rlx(&p->runq[(h + i) % GT_RUNQ]);
    if (!cas_rel(&p->head, &h, h + n))
        return false;
    batch[n++] = g;
    for (uint32_t i = 0; i < n; i++) {
        *tail = batch[i];
        tail = &batch[i]->schedlink;
    }
    *tail = NULL;
    gt_globrunqput(list, n);
    return true;
}

void gt_runqput(struct gt_p *p, struct gt_g *g, bool next)
{
    if (next) {
        g = xchg_acqrel(&p->runnext, g);
        if (!g)
            return;
    }
    for (;;) {
        uint32_t h = load_acq(&p->head); /* pairs with consumers' release */
        uint32_t t = load_rlx(&p->tail);
        if (t - h < GT_RUNQ) {
            store_rlx(&p->runq[t % GT_RUNQ], g);
            store_rel(&p->tail, t + 1);
            return;
        }
        if (runqputslow(p, g, h, t))
            return;
    }
}

/* The oldest of the ring, runnext left alone. */
static struct gt_g *ring_get(struct gt_p *p)
{
    for (;;) {
        uint32_t h = load_acq(&p->head);
        uint32_t t = load_rlx(&p->tail);
        if (t == h)
            return NULL;
        struct gt_g *g = load_rlx(&p->runq[h % GT_RUNQ]);
        if (cas_rel(&p->head, &h, h + 1))
            return g;
    }
}

struct gt_g *gt_runqget(struct gt_p *p)
{
    struct gt_g *next = load_rlx(&p->runnext);
    if (next && cas_acqrel(&p->runnext, &next, NULL))
        return next;
    return ring_get(p);
}

bool gt_runqempty(struct gt_p *p)
{
    /* head, tail, runnext must be one picture: tail is read again (Go's runqempty) */
    for (;;) {
        uint32_t h = load_acq(&p->head), t = load_acq(&p->tail);
        struct gt_g *n = load_acq(&p->runnext);
        if (t == load_acq(&p->tail))
            return h == t && !n;
    }
}

/* A goroutine readied just now will most likely run on its own P in a moment: thieves wait this
 * long before they take it from runnext, or a hand-over between two goroutines would bounce between
 * CPUs. */
static void let_runnext_run(void)
{
    for (int i = 0; i < 100; i++)
        gt_arch_relax();
}

struct gt_g *gt_runqsteal(struct gt_p *p, struct gt_p *victim, bool runnext)
{
    struct gt_g *batch[GT_RUNQ / 2];
    for (;;) {
        uint32_t h = load_acq(&victim->head), t = load_acq(&victim->tail);
        uint32_t n = t - h;
        n -= n / 2;
        if (n == 0) {
            struct gt_g *next = runnext ? load_acq(&victim->runnext) : NULL;
            if (!next)
                return NULL;
            let_runnext_run();
            return cas_acqrel(&victim->runnext, &next, NULL) ? next : NULL;
        }
        if (n > GT_RUNQ / 2) /* head and tail were not read together */
            continue;
        for (uint32_t i = 0; i < n; i++)
            batch[i] = load_rlx(&victim->runq[(h + i) % GT_RUNQ]);
        if (!cas_acqrel(&victim->head, &h, h + n))
            continue;
        for (uint32_t i = 0; i + 1 < n; i++)
            gt_runqput(p, batch[i], false);
        gt_stat_add(steals, n);
        return batch[n - 1];
    }
}

/* ---- global queue ---- */

void gt_globrunqput(struct gt_g *list, uint32_t n)
{
    struct gt_g *last = list;
    while (last->schedlink)
        last = last->schedlink;
    gt_lock(&gt_sched.lock, GT_RANK_SCHED);
    if (gt_sched.runq_tail)
        gt_sched.runq_tail->schedlink = list;
    else
        gt_sched.runq_head = list;
    gt_sched.runq_tail = last;
    add_seq(&gt_sched.runqsize, n);
    gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
}

static struct gt_g *globpop_locked(void)
{
    struct gt_g *g = gt_sched.runq_head;
    if (!g)
        return NULL;
    gt_sched.runq_head = g->schedlink;
    if (!gt_sched.runq_head)
        gt_sched.runq_tail = NULL;
    g->schedlink = NULL;
    sub_acqrel(&gt_sched.runqsize, 1);
    return g;
}

/* One to run and, up to max (0: a fair share), more for p's own queue. */
static struct gt_g *globrunqget_locked(struct gt_p *p, uint32_t max)
{
    uint32_t n = load_rlx(&gt_sched.runqsize) / (uint32_t)gt_sched.nprocs + 1;
    if (max && n > max)
        n = max;
    n = GT_MIN(n, GT_RUNQ / 2u);
    struct gt_g *g = globpop_locked();
    uint32_t room = GT_RUNQ - (load_rlx(&p->tail) - load_acq(&p->head));
    for (uint32_t i = 1; g && i < n && i < room; i++) {
        struct gt_g *more = globpop_locked();
        if (!more)
            break;
        gt_runqput(p, more, false);
    }
    return g;
}

static struct gt_g *globrunqget(struct gt_p *p, uint32_t max)
{
    if (load_seq(&gt_sched.runqsize) == 0)
        return NULL;
    gt_lock(&gt_sched.lock, GT_RANK_SCHED);
    struct gt_g *g = globrunqget_locked(p, max);
    gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
    return g;
}

void gt_injectglist(struct gt_g *list)
{
    if (!list)
        return;
    uint32_t n = 0;
    for (struct gt_g *g = list; g; g = g->schedlink) {
        store_rlx(&g->status, GT_G_READY);
        n++;
    }
    struct gt_m *m = gt_m_with_p();
    if (!m) {
        gt_globrunqput(list, n);
        fence_seq();
        for (uint32_t i = 0; i < n && load_seq(&gt_sched.npidle); i++)
            gt_wakep();
        gt_wakep();
        return;
    }
    while (list) {
        struct gt_g *g = list;
        list = g->schedlink;
        g->schedlink = NULL;
        gt_runqput(m->p, g, false);
    }
    fence_seq(); /* pairs with findrunnable: published, now look for sleepers */
    gt_wakep();
}

/* ---- waking Ms ---- */

void gt_note_wake(struct gt_m *m)
{
    store_rel(&m->note, 1);
    gt_futex_wake(&m->note, 1);
}

void gt_note_sleep(struct gt_m *m)
{
    while (!load_acq(&m->note))
        gt_futex_wait(&m->note, 0, GT_NEVER);
    store_rlx(&m->note, 0);
}

bool gt_startm(struct gt_p *p, bool spinning)
{
    gt_lock(&gt_sched.lock, GT_RANK_SCHED);
    struct gt_m *m = gt_sched.midle;
    if (m) {
        gt_sched.midle = m->link;
        gt_sched.nmidle--;
    }
    gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
    if (!m)
        return gt_newm(p, spinning);
    m->nextspin = spinning;
    m->nextp = p;
    gt_note_wake(m);
    return true;
}

void gt_wakep(void)
{
    uint32_t zero = 0;
    if (load_seq(&gt_sched.nmspinning) != 0 || !cas_seq(&gt_sched.nmspinning, &zero, 1))
        return;
    struct gt_p *p = gt_pidleget();
    if (!p)
        p = take_call();
    if (!p) {
        sub_acqrel(&gt_sched.nmspinning, 1);
        return;
    }
    gt_startm(p, true);
}

void gt_goready(struct gt_g *g, bool next)
{
    store_rel(&g->status, GT_G_READY);
    g->schedlink = NULL;
    struct gt_m *m = gt_m_with_p();
    if (m)
        gt_runqput(m->p, g, next);
    else
        gt_globrunqput(g, 1);
    fence_seq(); /* pairs with findrunnable: published, now look for sleepers */
    gt_wakep();
}

/* The caller holds an IDLE p that is on no list: finds it an M, or puts it to rest. */
void gt_handoffp(struct gt_p *p)
{
    if (!gt_runqempty(p) || load_seq(&gt_sched.runqsize)) {
        gt_startm(p, false);
        return;
    }
    uint32_t zero = 0;
    if (load_seq(&gt_sched.nmspinning) + load_seq(&gt_sched.npidle) == 0 &&
        cas_seq(&gt_sched.nmspinning, &zero, 1)) {
        gt_startm(p, true);
        return;
    }
    gt_lock(&gt_sched.lock, GT_RANK_SCHED);
    bool last = load_rlx(&gt_sched.npidle) == (uint32_t)gt_sched.nprocs - 1 &&
                load_rlx(&gt_sched.lastpoll) != 0;
    bool work = load_rlx(&gt_sched.runqsize) != 0;
    int64_t when = load_rlx(&p->when0);
    if (!work && !last)
        gt_pidleput_locked(p);
    gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
    if (work || last)
        gt_startm(p, false); /* somebody must poll the network */
    else if (when != INT64_MAX)
        gt_wake_netpoller(when);
}

/* ---- findrunnable ---- */

static struct gt_g *steal_work(struct gt_m *m, int64_t *now, int64_t *until)
{
    int n = gt_sched.nprocs;
    for (int round = 0; round < 4; round++) {
        bool last = round == 3;
        uint32_t start = (uint32_t)gt_rand(&m->rand) % (uint32_t)n;
        for (int i = 0; i < n; i++) {
            struct gt_p *v = gt_sched.allp[(start + (uint32_t)i) % (uint32_t)n];
            if (v == m->p)
                continue;
            if (last && load_rlx(&v->when0) != INT64_MAX) {
                *now = *now ? *now : gt_nanotime();
                int64_t t = gt_timer_run(v, *now);
                *until = GT_MIN(*until, t);
                struct gt_g *g = gt_runqget(m->p); /* what the timers readied */
                if (g)
                    return g;
            }
            if (GT_PW_STATE(load_rlx(&v->word)) == GT_P_IDLE)
                continue;
            struct gt_g *g = gt_runqsteal(m->p, v, last);
            if (g)
                return g;
        }
    }
    return NULL;
}

static bool any_runnable(void)
{
    if (load_seq(&gt_sched.runqsize))
        return true;
    for (int i = 0; i < gt_sched.nprocs; i++)
        if (!gt_runqempty(gt_sched.allp[i]))
            return true;
    return false;
}

bool gt_sched_idle(void)
{
    return !any_runnable();
}

static void reset_spinning(struct gt_m *m)
{
    m->spinning = false;
    sub_acqrel(&gt_sched.nmspinning, 1);
    gt_wakep(); /* the chain: whoever found work lets the next one search */
}

static void stopm(struct gt_m *m)
{
    m->cpu_idle = true;
    gt_m_setmask(m, GT_SIG_QUIET);
    gt_lock(&gt_sched.lock, GT_RANK_SCHED);
    m->link = gt_sched.midle;
    gt_sched.midle = m;
    gt_sched.nmidle++;
    gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
    if (unlikely(m->spare)) {
        m->spare = false;
        store_rel(&m->ready, 1);
        gt_futex_wake(&m->ready, 1);
    }
    gt_note_sleep(m);
    gt_acquirep(m, m->nextp);
    m->nextp = NULL;
    m->spinning = m->nextspin;
}

/* Takes an idle P and starts over; false: none. */
static bool regain(struct gt_m *m, bool spinning)
{
    struct gt_p *p = gt_pidleget();
    if (!p)
        return false;
    gt_acquirep(m, p);
    if (spinning) {
        m->spinning = true;
        add_seq(&gt_sched.nmspinning, 1);
    }
    return true;
}

/* One that waited for a descriptor which is ready, the others queued; NULL: none, or somebody waits
 * in the poller for them. */
static struct gt_g *poll_now(void)
{
    if (!gt_netpoll_inited() || !gt_netpoll_waiters() || !load_rlx(&gt_sched.lastpoll))
        return NULL;
    struct gt_g *g = gt_netpoll(0);
    if (!g)
        return NULL;
    struct gt_g *rest = g->schedlink;
    g->schedlink = NULL;
    gt_injectglist(rest);
    store_rlx(&g->status, GT_G_READY);
    return g;
}

/* The first half: everything that needs no sleep.  NULL: nothing. */
static struct gt_g *find_now(struct gt_m *m, int64_t *now, int64_t *until)
{
    struct gt_p *p = m->p;
    struct gt_g *g;
    *until = INT64_MAX;
    if (p->mcache)
        gt_mc_attend(p->mcache);
    if (load_rlx(&p->when0) != INT64_MAX) {
        *now = gt_nanotime();
        *until = gt_timer_run(p, *now);
    }
    if (load_rlx(&p->schedtick) % 61 == 0 && (g = globrunqget(p, 1)) != NULL)
        return g;
    /* those who yield to each other must not keep out who waits for a descriptor, until sysmon
     * comes by */
    if (load_rlx(&p->schedtick) % 61 == 30 && (g = poll_now()) != NULL)
        return g;
    /* two that hand over to each other through runnext must not keep the ring waiting for ever */
    if (load_rlx(&p->schedtick) % 32 == 31 && (g = ring_get(p)) != NULL)
        return g;
    if ((g = gt_runqget(p)) != NULL || (g = globrunqget(p, 0)) != NULL)
        return g;
    if ((g = poll_now()) != NULL)
        return g;
    m->cpu_idle = true;
    uint32_t busy = (uint32_t)gt_sched.nprocs - load_seq(&gt_sched.npidle);
    if (m->spinning || 2 * load_seq(&gt_sched.nmspinning) < busy) {
        if (!m->spinning) {
            m->spinning = true;
            add_seq(&gt_sched.nmspinning, 1);
        }
        return steal_work(m, now, until);
    }
    return NULL;
}

/* Blocks in the poller without a P.  True: this M has a P again (and maybe *g). */
static bool poll_blocking(struct gt_m *m, int64_t until, struct gt_g **gp)
{
    if (!gt_netpoll_inited() || (!gt_netpoll_waiters() && until == INT64_MAX) ||
        xchg_acqrel(&gt_sched.lastpoll, 0) == 0) {
        if (until != INT64_MAX && gt_netpoll_inited())
            gt_wake_netpoller(until);
        return false;
    }
    store_seq(&gt_sched.polluntil, until == INT64_MAX ? 0 : until);
    fence_seq(); /* pairs with gt_wake_netpoller: our deadline is visible, or theirs is seen here */
    int64_t first = gt_timer_first();
    until = GT_MIN(until, first);
    store_seq(&gt_sched.polluntil, until == INT64_MAX ? 0 : until);
    gt_m_setmask(m, GT_SIG_QUIET);
    int64_t delay = until == INT64_MAX ? -1 : until - gt_nanotime();
    if (until != INT64_MAX && delay < 0)
        delay = 0;
    struct gt_g *list = gt_netpoll(delay);
    store_seq(&gt_sched.polluntil, 0);
    store_seq(&gt_sched.lastpoll, gt_nanotime());
    if (!regain(m, !list)) {
        gt_injectglist(list);
        return false;
    }
    if (list) {
        struct gt_g *rest = list->schedlink;
        list->schedlink = NULL;
        store_rlx(&list->status, GT_G_READY);
        gt_injectglist(rest);
    }
    *gp = list;
    return true;
}

static struct gt_g *findrunnable(struct gt_m *m)
{
    for (;;) {
        int64_t now = 0, until;
        struct gt_g *g = find_now(m, &now, &until);
        if (g)
            return g;
        gt_lock(&gt_sched.lock, GT_RANK_SCHED);
        g = globrunqget_locked(m->p, 0);
        if (g) {
            gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
            return g;
        }
        gt_pidleput_locked(gt_releasep(m));
        gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
        if (m->spinning) {
            m->spinning = false;
            sub_acqrel(&gt_sched.nmspinning, 1);
        }
        fence_seq(); /* announced; pairs with goready's fence: now look again */
        if (any_runnable() && regain(m, true))
            continue;
        int64_t first = gt_timer_first();
        if (first <= (now ? now : gt_nanotime()) && regain(m, true))
            continue;
        if (poll_blocking(m, GT_MIN(until, first), &g)) {
            if (g)
                return g;
            continue;
        }
        stopm(m);
    }
}

/* ---- the loop of an M ---- */

void gt_m_setmask(struct gt_m *m, gt_sigset mask)
{
    if (m->kmask == mask)
        return;
    if (unlikely(m->piper && !(mask & GT_SIGBIT(SIGPIPE))))
        gt_sig_pipe_left(m);
    store_rel(&m->kblocked, m->kmask & mask);
    m->kmask = mask;
    sys_sigprocmask(SIG_SETMASK, &mask, NULL);
    /* pairs with await_ms: what was taken before has been passed on */
    store_seq(&m->kblocked, mask);
    gt_sig_mask_done();
}

/* g leaves m, whose kernel thread may keep a SIGPIPE of g's (sigpipe.c). */
static inline void note_piper(struct gt_m *m, const struct gt_g *g)
{
    if (likely(!(g->sigmask & GT_SIGBIT(SIGPIPE))))
        return;
    m->piper = (struct gt_g *)g;
    m->piper_tid = g->tid;
}

static void execute(struct gt_m *m, struct gt_g *g)
{
    if (unlikely(g && g->wiredm && g->wiredm != m)) {
        gt_wire_start(m, g);
        return;
    }
    while (g) {
        g->m = m;
        store_rel(&m->curg, g);
        store_rel(&g->status, GT_G_RUN);
        store_rlx(&m->p->schedtick, load_rlx(&m->p->schedtick) + 1);
        gt_m_setmask(m, gt_kmask_of(g->sigmask));
        if (m->cpu_idle)
            gt_cpu_resume(m);
        gt_arch_switch(&m->g0.ctx, &g->ctx);
        /* the goroutine came back through gt_mcall */
        gt_cpu_out(m, g);
        note_piper(m, g);
        store_rel(&m->curg, NULL);
        g = m->g0fn(m, m->g0arg); /* the same again: it need not sleep after all */
    }
}

void gt_schedule_loop(struct gt_m *m)
{
    if (load_rlx(&m->curg)) { /* M0's first visit: its goroutine has just come through gt_mcall */
        gt_cpu_out(m, load_rlx(&m->curg));
        note_piper(m, load_rlx(&m->curg));
        store_rel(&m->curg, NULL);
        execute(m, m->g0fn(m, m->g0arg));
    }
    for (;;) {
        while (unlikely(m->wiredg || m->spoiled))
            execute(m, gt_wire_stop(m));
        if (!m->p)
            stopm(m);
        struct gt_g *g = findrunnable(m);
        if (m->spinning)
            reset_spinning(m);
        execute(m, g);
    }
}

void gt_mcall(struct gt_g *g, struct gt_g *(*fn)(struct gt_m *, struct gt_g *))
{
    struct gt_m *m = g->m;
    m->g0fn = fn;
    m->g0arg = g;
    gt_arch_switch(&g->ctx, &m->g0.ctx);
}

void gt_woken_first(struct gt_p *p)
{
    for (uint32_t n = load_rlx(&p->tail) - load_acq(&p->head); n; n--) {
        struct gt_g *g = load_rlx(&p->runq[load_acq(&p->head) % GT_RUNQ]);
        if (!load_rlx(&g->spent) || !(g = ring_get(p)))
            return;
        gt_runqput(p, g, false);
    }
}

static struct gt_g *gosched_g0(struct gt_m *m, struct gt_g *g)
{
    g->m = NULL;
    store_rel(&g->status, GT_G_READY);
    g->schedlink = NULL;
    /* One of those who wait in the global queue runs next: they have no other way in while this one
     * is never empty, and most of them were woken by a descriptor.  g stays where the caches know
     * it. */
    struct gt_g *first = globrunqget(m->p, 1);
    if (first)
        gt_runqput(m->p, first, true);
    else if (load_rlx(&g->spent))
        gt_woken_first(m->p);
    gt_runqput(m->p, g, false);
    return NULL;
}

bool gt_gosched(struct gt_g *g)
{
    struct gt_p *p = g->m->p;
    if (gt_runqempty(p) && !load_seq(&gt_sched.runqsize) && load_rlx(&p->when0) == INT64_MAX &&
        !(gt_netpoll_waiters() && load_rlx(&gt_sched.lastpoll)))
        return false;
    gt_mcall(g, gosched_g0);
    return true;
}

/* Do only goroutines wait for this P that were taken from theirs when their turns were up? */
static bool only_spent_wait(struct gt_p *p)
{
    uint32_t h = load_acq(&p->head), t = load_rlx(&p->tail);
    if (h == t || load_rlx(&p->runnext) || load_seq(&gt_sched.runqsize) ||
        gt_timer_first() <= gt_nanotime())
        return false;
    for (; h != t; h++) /* one that a thief takes meanwhile is still a struct gt_g */
        if (!load_rlx(&load_rlx(&p->runq[h % GT_RUNQ])->spent))
            return false;
    return true;
}

bool gt_turn_goes_on(struct gt_g *g)
{
    struct gt_p *p = g->m->p;
    uint32_t tick = load_rlx(&p->schedtick);
    if (g->turn != tick)
        g->heard = 0;
    g->turn = tick;
    return ++g->heard < GT_TURNS && load_rlx(&g->spins) < 2 && only_spent_wait(p);
}

void gt_preempted(struct gt_g *g)
{
    if (gt_turn_goes_on(g))
        return;
    gt_stat_add(preemptions, 1);
    store_rlx(&g->spent, true);
    g->nivcsw += gt_gosched(g);
    store_rlx(&g->spent, false);
}

void gt_yield(struct gt_g *g)
{
    gt_mcall(g, gosched_g0);
}

/* ---- announced system calls ---- */

static void leave_p(struct gt_g *g)
{
    struct gt_m *m = g->m;
    struct gt_p *p = m->p;
    store_rlx(&g->status, GT_G_CALL);
    store_rlx(&m->mcache, NULL);
    uint64_t w = load_rlx(&p->word);
    while (!cas_acqrel(&p->word, &w, word_next(w, GT_P_CALL, m->id)))
        ;
}

/* Notes the caller's caller, for a traceback while it is in the kernel. */
#define NOTE_CALL(g)                                                                               \
    do {                                                                                           \
        uintptr_t *frame_ = __builtin_frame_address(0);                                            \
        (g)->call_pc = frame_[1];                                                                  \
        (g)->call_sp = (uintptr_t)(frame_ + 2);                                                    \
        (g)->call_bp = frame_[0];                                                                  \
    } while (0)

GT_NOINLINE void gt_entersyscall(struct gt_g *g)
{
    NOTE_CALL(g);
    gt_stat_add(announced_syscalls, 1);
    leave_p(g);
}

GT_NOINLINE void gt_entersyscallblock(struct gt_g *g)
{
    NOTE_CALL(g);
    struct gt_m *m = g->m;
    struct gt_p *p = m->p;
    gt_stat_add(announced_syscalls, 1);
    if (gt_runqempty(p) && !load_seq(&gt_sched.runqsize) && load_rlx(&p->when0) == INT64_MAX &&
        (!gt_netpoll_waiters() || !load_seq(&gt_sched.lastpoll))) {
        /* nobody wants it: keep it at hand; wakep may take it (ncall says to look) */
        add_seq(&gt_sched.ncall, 1);
        g->flags |= GT_GF_NCALL;
        leave_p(g);
        fence_seq(); /* pairs with goready's: P visible in CALL, or its work is seen here */
        if (any_runnable())
            gt_wakep();
        return;
    }
    store_rlx(&g->status, GT_G_CALL);
    gt_handoffp(gt_releasep(m));
}

/* On g0, without a P: waits for one, the goroutine queued meanwhile. */
static struct gt_g *nop_g0(struct gt_m *m, struct gt_g *g)
{
    struct gt_p *p = gt_pidleget();
    if (!p)
        p = take_call();
    if (p) {
        gt_acquirep(m, p);
        return g;
    }
    g->m = NULL;
    store_rel(&g->status, GT_G_READY);
    g->schedlink = NULL;
    gt_globrunqput(g, 1);
    fence_seq();
    gt_wakep();
    return NULL;
}

/* Gets a P for the running goroutine, whatever it takes. */
static void get_p(struct gt_g *g)
{
    struct gt_m *m = g->m;
    struct gt_p *p = gt_pidleget();
    if (!p)
        p = take_call();
    if (p)
        gt_acquirep(m, p);
    else
        gt_mcall(g, nop_g0);
}

void gt_exitsyscall(struct gt_g *g)
{
    struct gt_m *m = g->m;
    if (g->flags & GT_GF_NCALL) {
        g->flags &= ~GT_GF_NCALL;
        sub_acqrel(&gt_sched.ncall, 1);
    }
    if (load_rlx(&g->status) != GT_G_CALL)
        return; /* a runtime section inside the call has ended it already */
    struct gt_p *p = m->p;
    if (p) {
        uint64_t w = load_acq(&p->word);
        if (GT_PW_STATE(w) == GT_P_CALL && GT_PW_M(w) == m->id &&
            cas_acqrel(&p->word, &w, word_next(w, GT_P_RUN, m->id))) {
            store_rlx(&g->status, GT_G_RUN);
            store_rlx(&m->mcache, p->mcache);
            return;
        }
        m->p = NULL;
    }
    get_p(g);
    store_rlx(&g->status, GT_G_RUN);
}

void gt_rt_reacquire(struct gt_g *g)
{
    struct gt_m *m = g->m;
    if (load_rlx(&g->status) == GT_G_CALL) {
        gt_exitsyscall(g);
        return;
    }
    store_rlx(&m->mcache, NULL); /* found again when it is needed: gt_m_mcache */
    while (m->p) {
        uint64_t w = load_acq(&m->p->word);
        if (GT_PW_M(w) != m->id || GT_PW_STATE(w) == GT_P_IDLE) {
            m->p = NULL; /* sysmon has taken it */
            break;
        }
        if (GT_PW_STATE(w) == GT_P_RUN)
            return;
        /* CLAIM: sysmon asks whether we sleep.  We don't. */
        if (cas_acqrel(&m->p->word, &w, word_next(w, GT_P_RUN, m->id)))
            return;
    }
    if (!m->p)
        get_p(g);
}

struct gt_mcache *gt_m_mcache(struct gt_g *g, bool may_wait)
{
    if (load_rlx(&g->status) == GT_G_CALL)
        return NULL;
    struct gt_m *m = g->m;
    uint64_t w = m->p ? load_acq(&m->p->word) : 0;
    if (GT_PW_M(w) != m->id || GT_PW_STATE(w) != GT_P_RUN) {
        if (!may_wait)
            return NULL;
        gt_rt_reacquire(g);
        m = g->m;
    }
    struct gt_p *p = m->p;
    if (!p->mcache)
        p->mcache = gt_mc_get(0);
    store_rlx(&m->mcache, p->mcache);
    return p->mcache;
}

bool gt_random_yields;

void gt_rt_yield_now_and_then(struct gt_g *g)
{
    if (load_rlx(&g->in_rt) == 1 && load_rlx(&g->status) == GT_G_RUN &&
        gt_rand(&g->rand) % 100 < (uint64_t)gt_cfg.yield_pct)
        gt_gosched(g);
}

/* Calls that may well sleep for long: the P goes to others at once. */
static bool blocks_long(long nr)
{
    if (gt_disk_call(nr))
        return false;
    switch (nr) {
    case SYS_read:
    case SYS_write:
    case SYS_readv:
    case SYS_writev:
    case SYS_open:
    case SYS_openat:
    case SYS_sendfile:
    case SYS_copy_file_range:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
        return false;
    }
    return true;
}

long gt_syscall_blocking(struct gt_g *g, long nr, long a, long b, long c, long d, long e, long f)
{
    bool lng = blocks_long(nr);
    if (lng)
        gt_entersyscallblock(g);
    else
        gt_entersyscall(g);
    long r = gt_arch_syscall_intr(&g->attention, nr, a, b, c, d, e, f);
    gt_exitsyscall(g);
    if (lng)
        gt_sig_catch_up(g, true);
    return r;
}
