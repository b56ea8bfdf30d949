/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Deadlines of sleeping goroutines: one 4-ary heap a P, keyed by absolute monotonic ns.   Source:
 * Go's time.go.
 *
 * A sleeping goroutine has at most one timer, inside its G.  It is put on the heap of the P where
 * it goes to sleep and taken off by whoever ends the sleep: the goroutine itself when it was woken
 * otherwise, or timer_run, on any M, when it is due.  Firing wins the ticket with TIMEOUT; a stale
 * timer loses and does nothing.
 *
 * A deadline on the realtime clock is on the heap by what it is in monotonic time; when that clock
 * is set, the poller hears of it and all heaps are put in order anew.
 *
 * Locks: TIMERS, one heap; ready() is called after it is released.
 */
#include "core/sched/sched_int.h"

#include "core/sched/netpoll.h"

#define ARITY 4

static void place(struct gt_p *p, uint32_t i, struct gt_g *g)
{
    p->heap[i] = g;
    g->timer.idx = i;
}

static void sift_up(struct gt_p *p, uint32_t i)
{
    struct gt_g *g = p->heap[i];
    while (i > 0) {
        uint32_t up = (i - 1) / ARITY;
        if (p->heap[up]->timer.when <= g->timer.when)
            break;
        place(p, i, p->heap[up]);
        i = up;
    }
    place(p, i, g);
}

static void sift_down(struct gt_p *p, uint32_t i)
{
    struct gt_g *g = p->heap[i];
    for (;;) {
        uint32_t first = i * ARITY + 1, best = 0;
        int64_t when = g->timer.when;
        for (uint32_t c = first; c < first + ARITY && c < p->nheap; c++)
            if (p->heap[c]->timer.when < when) {
                when = p->heap[c]->timer.when;
                best = c;
            }
        if (!best)
            break;
        place(p, i, p->heap[best]);
        i = best;
    }
    place(p, i, g);
}

static void publish_first(struct gt_p *p)
{
    store_seq(&p->when0, p->nheap ? p->heap[0]->timer.when : INT64_MAX);
}

static void grow(struct gt_p *p)
{
    size_t cap = p->capheap ? (size_t)p->capheap * 2 : GT_PAGE / sizeof(*p->heap);
    struct gt_g **h = sys_mmap(NULL, cap * sizeof(*h), PROT_READ | PROT_WRITE, 0);
    if (gt_sys_is_err(h))
        gt_fatal("no memory for timers", (long)cap, (long)(intptr_t)h);
    if (p->heap) {
        gt_memcpy(h, p->heap, p->nheap * sizeof(*h));
        sys_munmap(p->heap, p->capheap * sizeof(*h));
    }
    p->heap = h;
    p->capheap = (uint32_t)cap;
}

void gt_timer_add(struct gt_g *g, uint64_t ticket, int64_t when)
{
    struct gt_p *p = g->m->p;
    gt_lock(&p->timers_lock, GT_RANK_TIMERS);
    if (p->nheap == p->capheap)
        grow(p);
    g->timer.asked = when;
    g->timer.when = gt_deadline_ns(when); /* read here, under the lock: see gt_timer_clock_set */
    g->timer.ticket = ticket;
    store_rlx(&g->timer.p, p);
    p->heap[p->nheap] = g;
    sift_up(p, p->nheap++);
    publish_first(p);
    gt_unlock(&p->timers_lock, GT_RANK_TIMERS);
}

/* Takes slot i off the heap.  Heap lock held. */
static struct gt_g *take(struct gt_p *p, uint32_t i)
{
    struct gt_g *g = p->heap[i], *last = p->heap[--p->nheap];
    store_rel(&g->timer.p, NULL); /* pairs with gt_timer_del: we have read all we need of g */
    if (last != g) {
        place(p, i, last);
        sift_up(p, i);
        sift_down(p, last->timer.idx);
    }
    return g;
}

void gt_timer_del(struct gt_g *g)
{
    struct gt_p *p = load_acq(&g->timer.p);
    if (!p)
        return;
    gt_lock(&p->timers_lock, GT_RANK_TIMERS);
    if (load_rlx(&g->timer.p) == p) { /* else it fired meanwhile */
        take(p, g->timer.idx);
        publish_first(p);
    }
    gt_unlock(&p->timers_lock, GT_RANK_TIMERS);
}

int64_t gt_timer_run(struct gt_p *p, int64_t now)
{
    for (;;) {
        int64_t first = load_seq(&p->when0);
        if (first > now)
            return first;
        gt_lock(&p->timers_lock, GT_RANK_TIMERS);
        if (!p->nheap || p->heap[0]->timer.when > now) {
            gt_unlock(&p->timers_lock, GT_RANK_TIMERS);
            continue;
        }
        /* the ticket first: once take() has cleared timer.p, its owner may set the next timer */
        uint64_t ticket = p->heap[0]->timer.ticket;
        struct gt_g *g = take(p, 0);
        publish_first(p);
        struct gt_wakee w;
        bool won = gt_park_win(&g->pk, ticket, GT_WAKE_TIMEOUT, &w);
        gt_unlock(&p->timers_lock, GT_RANK_TIMERS);
        if (!won)
            continue;
        gt_stat_add(timers_fired, 1);
        if (w.g)
            gt_goready(w.g, false);
    }
}

/* Whoever sets a deadline on the realtime clock holds the heap's lock while it reads the clocks: so
 * it reads them as they are now, or is found on the heap here. */
void gt_timer_clock_set(void)
{
    for (int i = 0; i < gt_sched.nprocs; i++) {
        struct gt_p *p = gt_sched.allp[i];
        gt_lock(&p->timers_lock, GT_RANK_TIMERS);
        for (uint32_t k = 0; k < p->nheap; k++)
            p->heap[k]->timer.when = gt_deadline_ns(p->heap[k]->timer.asked);
        for (uint32_t k = p->nheap; k > 0; k--)
            sift_down(p, k - 1);
        publish_first(p);
        gt_unlock(&p->timers_lock, GT_RANK_TIMERS);
    }
    int64_t first = gt_timer_first();
    if (first != INT64_MAX)
        gt_wake_netpoller(first);
}

int64_t gt_timer_first(void)
{
    int64_t min = INT64_MAX;
    for (int i = 0; i < gt_sched.nprocs; i++)
        min = GT_MIN(min, load_seq(&gt_sched.allp[i]->when0));
    return min;
}

void gt_wake_netpoller(int64_t when)
{
    if (load_seq(&gt_sched.lastpoll) == 0) {
        int64_t until = load_seq(&gt_sched.polluntil);
        if (until == 0 || until > when)
            gt_netpoll_break();
    } else {
        gt_wakep(); /* nobody is in the poller: send one there */
    }
}
