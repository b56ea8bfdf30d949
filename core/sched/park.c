/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The only way to sleep and to be woken.
 *
 * The ticket, word = seq << 8 | asleep << 4 | outcome, and who may move it:
 *
 *     (seq, -, OPEN) --begin: the sleeper-------> (seq+1, -, OPEN)
 *     (s, -, OPEN)   --sleeper, on g0-----------> (s, ASLEEP, OPEN)     its stack is free to be
 * resumed (s, -, OPEN)   --any waker----------------> (s, -, outcome)       the sleeper sees it and
 * does not sleep (s, ASLEEP, OPEN) --any waker-------------> (s, ASLEEP, outcome)  the waker must
 * ready the goroutine
 *
 * A waker that holds an old ticket loses, because seq differs: so a stale timer or a stale queue
 * entry can never wake the wrong sleep.  There is no unlock hook as in Go's gopark: whatever lock
 * protected the queue is released before the switch, and the ASLEEP bit closes the window.
 *
 * Off a goroutine the sleeper waits on its note with a futex; the word decides all the same.
 */
#include "core/sched/netpoll.h"
#include "core/sched/sched_int.h"

struct gt_parker *gt_parker_self(void)
{
    struct gt_g *g = gt_self();
    if (likely(g != NULL))
        return &g->pk;
    if (!gt_tls.foreign_counted && load_rlx(&gt_started)) {
        gt_tls.foreign_counted = true;
        gt_stat_add(foreign_threads, 1);
    }
    gt_tls.pk.g = NULL;
    return &gt_tls.pk;
}

uint64_t gt_park_begin(struct gt_parker *pk)
{
    uint64_t t = (load_rlx(&pk->word) & GT_PK_SEQ) + 0x100;
    store_rel(&pk->word, t);
    return t;
}

bool gt_park_win(struct gt_parker *pk, uint64_t ticket, enum gt_wake outcome, struct gt_wakee *w)
{
    struct gt_g *g = pk->g;
    uint64_t v = load_rlx(&pk->word);
    do {
        if ((v & ~GT_PK_ASLEEP) != ticket)
            return false;
    } while (!cas_acqrel(&pk->word, &v, v | outcome));
    w->g = g && (v & GT_PK_ASLEEP) ? g : NULL;
    w->note = NULL;
    if (!g) {
        add_acqrel(&pk->note, 1); /* pairs with park_note: the futex word moves before the wake */
        w->note = &pk->note;
    }
    return true;
}

void gt_wake(const struct gt_wakee *w)
{
    if (w->g)
        gt_goready(w->g, true);
    else if (w->note)
        gt_futex_wake(w->note, 1);
}

bool gt_park_wake(struct gt_parker *pk, uint64_t ticket, enum gt_wake outcome)
{
    struct gt_wakee w;
    if (!gt_park_win(pk, ticket, outcome, &w))
        return false;
    gt_wake(&w);
    return true;
}

/* Takes back the ticket for the sleeper itself; false: a waker was first. */
static bool give_up(struct gt_parker *pk, uint64_t ticket, enum gt_wake outcome)
{
    uint64_t v = ticket;
    return cas_acqrel(&pk->word, &v, ticket | outcome);
}

static enum gt_wake park_note(struct gt_parker *pk, uint64_t ticket, int64_t when, unsigned flags)
{
    for (;;) {
        uint32_t n = load_acq(&pk->note);
        uint64_t v = load_acq(&pk->word);
        if (v & GT_PK_OUTCOME)
            return (enum gt_wake)(v & GT_PK_OUTCOME);
        int r = gt_futex_wait(&pk->note, n, when);
        if (r == -ETIMEDOUT && give_up(pk, ticket, GT_WAKE_TIMEOUT))
            return GT_WAKE_TIMEOUT;
        if (r == -EINTR && (flags & GT_PARK_INTR) && give_up(pk, ticket, GT_WAKE_SIGNAL))
            return GT_WAKE_SIGNAL;
    }
}

/* On g0: the goroutine has left its stack.  Returns it when it was woken in the meantime. */
static struct gt_g *park_g0(struct gt_m *m, struct gt_g *g)
{
    uint64_t v = load_rlx(&g->pk.word);
    g->m = NULL;
    g->waitsince = load_rlx(&m->cpu_cyc); /* as it was switched out just now */
    g->nvcsw++;
    store_rel(&g->status, GT_G_PARK);
    while (!(v & GT_PK_OUTCOME))
        if (cas_acqrel(&g->pk.word, &v, v | GT_PK_ASLEEP))
            return NULL; /* from here another M may run it */
    return g;
}

/* What may end a sleep early: locks and futexes are no cancellation points. */
static uint32_t may_interrupt(enum gt_reason why)
{
    switch (why) {
    case GT_R_MUTEX:
    case GT_R_RWLOCK:
    case GT_R_ONCE:
    case GT_R_BARRIER:
    case GT_R_FUTEX:
    case GT_R_NONE:
        return GT_ATT_SIGNAL;
    default:
        return GT_ATT_SIGNAL | GT_ATT_CANCEL;
    }
}

_Atomic uint64_t gt_park_count[GT_R_COUNT], gt_wake_count[GT_R_COUNT];

enum gt_wake gt_park(struct gt_parker *pk, uint64_t ticket, enum gt_reason why, int64_t when,
                     unsigned flags)
{
    struct gt_g *g = pk->g;
    if (unlikely(!g))
        return park_note(pk, ticket, when, flags);
    uint64_t v = load_acq(&pk->word);
    if (v & GT_PK_OUTCOME)
        return (enum gt_wake)(v & GT_PK_OUTCOME);
    if (when >= 0) {
        if (gt_deadline_ns(when) <= gt_nanotime() && give_up(pk, ticket, GT_WAKE_TIMEOUT))
            return GT_WAKE_TIMEOUT;
        if (when & GT_REALTIME)
            gt_netpoll_watch_clock();
        gt_timer_add(g, ticket, when);
    }
    store_rlx(&g->waitreason, why);
    uint32_t who = flags & GT_PARK_INTR ? may_interrupt(why) : 0;
    if (who && (why == GT_R_MUTEX || why == GT_R_FUTEX) && (load_rlx(&g->cancel) & GT_CANCEL_ASYNC))
        who |= GT_ATT_CANCEL;
    store_rlx(&g->intr_ticket, who ? ticket | who : 0);
    fence_seq(); /* pairs with gt_kick: it sets attention, then looks for intr_ticket */
    if (load_rlx(&g->attention) & who)
        give_up(pk, ticket, GT_WAKE_SIGNAL);
    add_rlx(&gt_park_count[why], 1);
    if (!(load_acq(&pk->word) & GT_PK_OUTCOME))
        gt_mcall(g, park_g0);
    store_rlx(&g->intr_ticket, 0);
    store_rlx(&g->waitreason, GT_R_NONE);
    if (when >= 0)
        gt_timer_del(g);
    if (when >= 0 && (when & GT_REALTIME))
        gt_netpoll_unwatch_clock();
    v = load_acq(&pk->word);
    if ((v & GT_PK_OUTCOME) == GT_WAKE_READY)
        add_rlx(&gt_wake_count[why], 1);
    return (enum gt_wake)(v & GT_PK_OUTCOME);
}
