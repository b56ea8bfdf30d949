/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Central lists: spans with room that no mcache owns, a list and a lock for each class.
 * Source of the idea: Go's mcentral.go.
 *
 * Spans that are full and nobody's are on no list: the first object that comes back brings them
 * here through the inbox of gt_central, like any other owner's.
 *
 * Lock CENTRAL, one class at a time; below it only HEAP.
 */
#include "core/mem/mem.h"

struct gt_mcache gt_central;

static struct central {
    GT_CACHE_ALIGN struct gt_lock lock;
    struct gt_span *first;              /* lock */
    _Atomic uint32_t n;                 /* written under the lock; read without for a hint */
    _Atomic(struct gt_mcache *) wanted; /* who found none last; a hint: relaxed */
} C[GT_NCLASS];

static void link_locked(struct central *c, struct gt_span *s)
{
    s->list = GT_ON_CENTRAL;
    s->prev = NULL;
    s->next = c->first;
    if (c->first)
        c->first->prev = s;
    c->first = s;
    store_rlx(&c->n, load_rlx(&c->n) + 1);
}

static void unlink_locked(struct central *c, struct gt_span *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        c->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->list = GT_ON_NONE;
    store_rlx(&c->n, load_rlx(&c->n) - 1);
}

void gt_central_put(struct gt_span *s, bool full)
{
    struct central *c = &C[s->class];
    gt_lock(&c->lock, GT_RANK_CENTRAL);
    store_rel(&s->owner, &gt_central);
    if (!full)
        link_locked(c, s);
    gt_unlock(&c->lock, GT_RANK_CENTRAL);
}

/* s came through the inbox.  Its owner does not change while its class is locked, if it is us. */
static void collect_one(struct gt_span *s)
{
    struct central *c = &C[s->class];
    gt_lock(&c->lock, GT_RANK_CENTRAL);
    struct gt_mcache *owner = load_rlx(&s->owner);
    bool empty = false;
    if (owner == &gt_central) {
        gt_span_collect(s);
        empty = s->nfree == s->nmalloc;
        if (!empty && s->list != GT_ON_CENTRAL && s->nmalloc - s->nfree < s->count)
            link_locked(c, s);
        else if (empty && s->list == GT_ON_CENTRAL)
            unlink_locked(c, s);
    }
    if (empty) {
        gt_central.nmalloc[s->class] += s->nmalloc;
        gt_central.nfree[s->class] += s->nfree;
    }
    gt_unlock(&c->lock, GT_RANK_CENTRAL);
    if (owner != &gt_central)
        gt_inbox_push(owner, s);
    else if (empty)
        gt_heap_free(s);
}

void gt_central_collect(void)
{
    struct gt_span *s = load_rlx(&gt_central.inbox) ? xchg_acq(&gt_central.inbox, NULL) : NULL;
    while (s) {
        struct gt_span *next = GT_INBOX_NEXT(s);
        collect_one(s);
        s = next;
    }
}

struct gt_span *gt_central_get(struct gt_mcache *mc, unsigned class)
{
    struct central *c = &C[class];
    gt_central_collect();
    if (!load_rlx(&c->n)) {
        if (load_rlx(&c->wanted) != mc)
            store_rlx(&c->wanted, mc);
        return NULL;
    }
    gt_lock(&c->lock, GT_RANK_CENTRAL);
    struct gt_span *s = c->first;
    if (s) {
        unlink_locked(c, s);
        store_rel(&s->owner, mc);
    }
    gt_unlock(&c->lock, GT_RANK_CENTRAL);
    return s;
}

size_t gt_central_trim(void)
{
    size_t n = 0;
    gt_central_collect();
    for (unsigned c = 1; c < GT_NCLASS; c++) {
        gt_lock(&C[c].lock, GT_RANK_CENTRAL);
        for (struct gt_span *s = C[c].first; s; s = s->next)
            n += gt_span_trim(s);
        gt_unlock(&C[c].lock, GT_RANK_CENTRAL);
    }
    return n;
}

bool gt_central_wanted(struct gt_mcache *mc, unsigned class)
{
    struct gt_mcache *who = load_rlx(&C[class].wanted);
    if (!who || who == mc)
        return false;
    store_rlx(&C[class].wanted, NULL);
    return true;
}

void gt_central_fork_lock(void)
{
    for (unsigned c = 1; c < GT_NCLASS; c++)
        gt_lock(&C[c].lock, GT_RANK_NONE);
}

void gt_central_fork_unlock(void)
{
    for (unsigned c = 1; c < GT_NCLASS; c++)
        gt_unlock(&C[c].lock, GT_RANK_NONE);
}
