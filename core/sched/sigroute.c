/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who takes a signal: sending, waking the one that takes it, and what lies with sysmon until
 * somebody does (signal.c has the model).
 *
 * A queued signal is on one of these lists:
 *
 *   route (pushed by anybody)  --sysmon, gt_sig_route-->  held: nobody takes it
 *        |                                                  |  ^
 *        | its taker                                        |  | still nobody
 *        v                                                  v  |
 *   the taker's queue  <---------- when a mask has changed, or somebody waits for it
 *        |
 *        | the taker blocks it by then, or ends: gt_sig_give_back, gt_signal_exitg
 *        v
 *   another taker's queue; or, if there is none now, route again
 */
#include "core/os/sys.h"
#include "core/os/tcb.h"
#include "core/sched/signal_int.h"
#include "core/sched/sigq.h"
#include "core/sched/sigwatch.h"

static struct {
    _Atomic(struct gt_signode *) route; /* for sysmon: pushed by trampolines */
    _Atomic(struct gt_signode *) kicks; /* for sysmon: whom to wake; sig: for what, or 0 */
    struct gt_signode *held;            /* sysmon only: nobody takes it yet */
    _Atomic uint32_t nheld;
    _Atomic gt_sigset held_set;  /* sysmon stores, sigpending and sigwait read */
    _Atomic uint32_t nstranded;  /* goroutines with `stranded` set */
    _Atomic uint32_t route_want; /* rounds of gt_sig_route that somebody waits for */
    _Atomic uint32_t route_have; /* sysmon: the last one; futex */
} S;

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

/* ---- to sysmon ---- */

void gt_sig_wake_sysmon(void)
{
    store_rlx(&gt_sched.sysmonwait, 0);
    gt_sysmon_wake();
}

void gt_sig_to_sysmon(struct gt_signode *n)
{
    gt_signode_push(&S.route, n);
    gt_sig_wake_sysmon();
}

void gt_kick_later(struct gt_g *g, int sig)
{
    struct gt_signode *kick = gt_signode_get(0, NULL); /* no limit for those */
    if (!kick)
        return;
    kick->to = g;
    kick->sig = (uint16_t)sig;
    gt_signode_push(&S.kicks, kick);
    gt_sig_wake_sysmon();
}

void gt_sig_await_round(_Atomic uint32_t *round, uint32_t want)
{
    while (load_acq(&gt_started)) {
        uint32_t have = load_acq(round);
        if ((int32_t)(have - want) >= 0)
            return;
        gt_futex_wait(round, have, GT_NEVER);
    }
}

void gt_sig_fetch_held(gt_sigset unblocked)
{
    if (likely(!load_acq(&S.route) && !(load_acq(&S.held_set) & unblocked)))
        return;
    uint32_t want = add_acqrel(&S.route_want, 1) + 1;
    gt_sig_wake_sysmon();
    gt_sig_await_round(&S.route_have, want);
}

void gt_sig_retry_held(void)
{
    if (load_acq(&S.nheld))
        gt_sig_wake_sysmon();
}

bool gt_sig_routing(void)
{
    return load_acq(&S.route) != NULL;
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

struct gt_g *gt_sig_taker(int sig)
{
    struct pick p = {.sig = sig, .cpu_time = sig == SIGPROF || sig == SIGVTALRM};
    gt_foreach_g(consider, &p);
    return p.g;
}

struct gt_g *gt_sig_taker_now(int sig)
{
    if (load_acq(&S.route) || (load_acq(&S.held_set) & GT_SIGBIT(sig)))
        return NULL;
    return gt_sig_taker(sig);
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
    gt_lock(&gt_sig_lock, GT_RANK_SIGNAL);
    bool sent = gt_act_is_fn(gt_act_read(sig).handler) &&
                sys_tgsigqueueinfo(si.si_pid, m->ktid, sig, &si) == 0;
    gt_sig_unlock_to(saved);
    return sent;
}

/* The same for a signal that has been queued; told: g had been told of another before, and has not
 * looked yet.  A signal that g blocks (it waits for it) must not lie pending on g's kernel thread,
 * where sigpending, sigwait and a signalfd of whoever runs there next would find it. */
void gt_kick_for(struct gt_g *g, int sig, bool told)
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

/* A process-directed one that its taker does not take after all: queued on another before we
 * return, so that it has its handler run before that one does anything else, its end included. */
static void pass_on(struct gt_signode *n)
{
    int sig = n->sig;
    struct gt_g *to = gt_sig_taker_now(sig);
    n->to = NULL; /* else sysmon would hand it to the old one again */
    if (!to)
        gt_sig_to_sysmon(n);
    else if (!gt_sig_post(to, n))
        gt_kick_later(to, sig);
}

/* Of a goroutine that ends: thread-directed ones die with it. */
static void drop_or_pass(struct gt_signode *n)
{
    if (n->shared)
        pass_on(n);
    else
        gt_signode_put(n);
}

bool gt_sig_post(struct gt_g *g, struct gt_signode *n)
{
    n->to = g;
    gt_sigq_add(g, n);
    bool told = or_acqrel(&g->attention, GT_ATT_SIGNAL) & GT_ATT_SIGNAL;
    fence_seq(); /* pairs with gt_signal_exitg: it has the flag set, then empties the queue */
    if (unlikely(__atomic_load_n(&g->flags, __ATOMIC_RELAXED) & GT_GF_EXITING)) {
        struct gt_signode *list = gt_signode_list(&g->siginbox), *next;
        for (; list; list = next) {
            next = list->next;
            drop_or_pass(list);
        }
    }
    return told;
}

/* Nobody queues it: what its default action does to the process. */
static void act_on_process(const struct gt_g *g, const struct gt_sigact *a, int sig)
{
    if (gt_act_ignores(a, sig))
        return;
    if (g == gt_self())
        sys_tgkill(sys_getpid(), sys_gettid(), sig);
    else
        sys_kill(sys_getpid(), sig);
}

int gt_sig_send(struct gt_g *g, int sig, const siginfo_t *info)
{
    if (sig < 0 || sig > GT_NSIG || sig == 32 || sig == 33)
        return -EINVAL;
    if (sig == 0)
        return 0;
    struct gt_sigact a = gt_act_read(sig);
    bool waits = (load_acq(&g->waitset) | g->sigmask) & ~GT_SIG_UNBLOCKABLE & GT_SIGBIT(sig);
    if (!waits && !gt_act_is_fn(a.handler)) {
        act_on_process(g, &a, sig);
        return 0;
    }
    struct gt_signode *n = gt_signode_get(sig, info);
    if (!n)
        return -EAGAIN;
    gt_kick_for(g, sig, gt_sig_post(g, n));
    return 0;
}

int gt_sig_send_process(int sig, const siginfo_t *info)
{
    struct gt_sigact a = gt_act_read(sig);
    struct gt_g *g = gt_act_is_fn(a.handler) ? gt_sig_taker(sig) : NULL;
    if (!g)
        return 0;
    struct gt_signode *n = gt_signode_get(sig, info);
    if (!n)
        return -EAGAIN;
    n->shared = true;
    gt_kick_for(g, sig, gt_sig_post(g, n));
    return 1;
}

/* ---- process-directed signals whose taker blocks them ---- */

/* Keeps g->stranded: process-directed ones lie on it that nobody takes now. */
static void strand(struct gt_g *g, bool is)
{
    if (load_rlx(&g->stranded) == is)
        return;
    store_seq(&g->stranded, is);
    add_seq(&S.nstranded, is ? 1 : -1u);
}

/* Process-directed ones that this goroutine does not take after all, and another does: one of each
 * signal.  The others, and where none takes it yet, stay, and whoever unblocks them calls for them,
 * also at the end of the handler of that one.  (It may be our own handler that blocks them, of
 * thousands: they would go to and fro with each.) */
void gt_sig_give_back(struct gt_g *g)
{
    gt_sigset set = gt_sigq_shared(g) & g->sigmask & ~load_rlx(&g->waitset), left = 0;
    if (set)
        strand(g, true); /* before the look for a taker: pairs with call_stranded */
    for (int sig = 1; set; sig++, set >>= 1) {
        struct gt_signode *n;
        if (!(set & 1))
            continue;
        if (!gt_sig_taker(sig)) {
            left |= GT_SIGBIT(sig);
            continue;
        }
        n = gt_sigq_take_shared(g, GT_SIGBIT(sig));
        if (!n)
            continue;
        n->was.handler = NULL;
        pass_on(n);
        left |= gt_sigq_shared(g) & GT_SIGBIT(sig);
    }
    if (!left)
        strand(g, false);
}

static void call_one(struct gt_g *g, void *self)
{
    if (g == self || !load_acq(&g->stranded))
        return;
    if (!(or_acqrel(&g->attention, GT_ATT_SIGNAL) & GT_ATT_SIGNAL))
        gt_kick_later(g, 0);
}

void gt_sig_call_stranded(struct gt_g *g)
{
    fence_seq(); /* pairs with give_back: our mask has changed */
    if (unlikely(load_seq(&S.nstranded) > load_rlx(&g->stranded)))
        gt_foreach_g(call_one, g);
}

void gt_sig_wait_for(struct gt_g *g, gt_sigset set)
{
    store_seq(&g->waitset, set); /* pairs with gt_sig_send: it queues what we wait for */
    if (load_acq(&S.held_set) & set)
        gt_sig_wake_sysmon();
    if (set)
        gt_sig_call_stranded(g);
}

/* GT_GF_EXITING is set: pairs with post. */
void gt_signal_exitg(struct gt_g *g)
{
    struct gt_signode *n;
    while ((n = gt_sigq_take(g, ~0ull)) != NULL)
        drop_or_pass(n);
    strand(g, false);
    gt_sigmask_exitg(g);
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

/* ---- sysmon ---- */

/* Hands one on.  False: nobody takes it. */
static bool route_one(struct gt_signode *n)
{
    struct gt_g *to = n->to;
    int sig = n->sig;
    struct gt_sigact a = gt_act_read(sig);
    if (!to)
        to = gt_sig_taker(sig);
    if (!to && !gt_act_ignores(&a, sig)) {
        n->was.handler = NULL; /* it is pending, as in the kernel */
        return false;
    }
    if (!to) {
        gt_signode_put(n);
        return true;
    }
    gt_kick_for(to, sig, gt_sig_post(to, n));
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
            gt_kick_for(to, sig, false);
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

void gt_sigroute_fork_child(void)
{
    store_rlx(&S.route, NULL);
    store_rlx(&S.kicks, NULL);
    S.held = NULL;
    store_rlx(&S.nheld, 0);
    store_rlx(&S.nstranded, 0);
    store_rlx(&S.held_set, 0);
    store_rlx(&S.route_have, load_rlx(&S.route_want));
}
