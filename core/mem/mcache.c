/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The slow half of malloc and free of an owner: when a span is used up, empty, full, or somebody
 * else's.  The states of a span are in mem.h.
 *
 * A caller has mc for itself: it is its P's and it is not preempted, or its kernel thread's, or
 * gt_mshared's lock is held.  Runs on any stack; takes CENTRAL and HEAP; never parks.
 *
 * Rejected: one free list for each class and cache, whatever span the objects are of (an object
 * freed by a consumer is then handed out there, next to the producer's: false sharing; and spans
 * never get empty); batches of foreign objects kept by who frees them (they are missing at their
 * owner's, and 1 in the wrong cache keeps a span alive).
 */
#include "core/mem/mem.h"

#include "core/os/sys.h"

/* Spans with room that an mcache keeps of a class, the rest is anybody's. */
#define PARTIAL_MAX 8

const struct gt_class gt_classes[GT_NCLASS] = {
#define C(cl, sz, bytes, n) [cl] = {.size = (sz), .span = (bytes), .count = (n)},
#include "core/mem/sizeclass.def"
};

/* Stands where an mcache has no span: never anything to take, and read only. */
struct gt_span gt_span_none = {.free = GT_LIST_END};

static struct {
    _Atomic(struct gt_mcache *) all; /* every mcache ever made: CAS */
    struct gt_lock shared_lock;      /* MSHARED: shared */
    struct gt_mcache *shared;
} C;

/* ---- lists of spans ---- */

static void list_add(struct gt_span_head *h, struct gt_span *s, enum gt_span_list which)
{
    s->list = (uint8_t)which;
    s->wake = (uint32_t)(which == GT_ON_FULL ? s->nfree + 1 : s->nmalloc);
    s->prev = NULL;
    s->next = h->first;
    if (h->first)
        h->first->prev = s;
    else
        h->last = s;
    h->first = s;
    h->n++;
}

static void list_del(struct gt_span_head *h, struct gt_span *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        h->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        h->last = s->prev;
    s->list = GT_ON_NONE;
    h->n--;
}

static bool is_full(const struct gt_span *s)
{
    return (s->free & GT_LIST_END) && s->bump >= s->limit;
}

/* ---- the current span ---- */

static void set_current(struct gt_mcache *mc, unsigned c, struct gt_span *s)
{
    mc->cur[c] = s;
    if (s != &gt_span_none) {
        s->list = GT_ON_CURRENT;
        s->wake = (uint32_t)s->nfree; /* just passed */
    }
    uint32_t size = gt_classes[c].size;
    if (size > GT_FAST_MAX)
        return;
    for (uint32_t i = (gt_classes[c - 1].size + 16) / 16; i <= size / 16; i++)
        mc->direct[i] = s;
    if (c == 1)
        mc->direct[0] = s;
}

static struct gt_span *new_span(struct gt_mcache *mc, unsigned c)
{
    const struct gt_class *k = &gt_classes[c];
    bool zero;
    size_t slots = k->span >> GT_SLOT_SHIFT;
    struct gt_span *s = gt_heap_alloc(slots, slots, &zero);
    if (!s)
        return NULL;
    s->class = (uint8_t)c;
    s->size = k->size;
    s->magic = ~0ull / k->size + 1;
    s->shift = (uint8_t)__builtin_ctz(k->span);
    s->zero = zero;
    s->bump = s->start;
    s->limit = s->start + (size_t)k->size * k->count;
    s->free = (uintptr_t)s->start | GT_LIST_END;
    s->nmalloc = s->nfree = 0;
    s->state = GT_SPAN_SMALL;
    store_rel(&s->owner, mc);
    return s;
}

/* s has lost its last object, and is on no list. */
static void give_up(struct gt_mcache *mc, struct gt_span *s)
{
    mc->nmalloc[s->class] += s->nmalloc;
    mc->nfree[s->class] += s->nfree;
    gt_heap_free(s);
}

/* ---- objects that others freed ---- */

void gt_inbox_push(struct gt_mcache *mc, struct gt_span *s)
{
    struct gt_span *old = load_rlx(&mc->inbox);
    do
        s->inbox_next = old;
    while (!cas_rel(&mc->inbox, &old, s)); /* pairs with the owner's xchg */
}

void gt_span_collect(struct gt_span *s)
{
    uintptr_t first = xchg_acq(&s->remote, 0); /* pairs with remote_free */
    uintptr_t p = first, n = 1;
    for (;;) {
        uintptr_t next = *(uintptr_t *)p ^ gt_secret.link;
        if (!next)
            break;
        if (unlikely(!gt_same_span(next, p, s->shift)))
            gt_mem_overrun(s, p);
        p = next;
        n++;
    }
    *(uintptr_t *)p = s->free ^ gt_secret.link;
    s->free = first;
    s->nfree += n;
}

static void remote_free(struct gt_span *s, uintptr_t p)
{
    uintptr_t *w = (uintptr_t *)p, old = load_rlx(&s->remote);
    w[1] = gt_secret.mark;
    do
        w[0] = old ^ gt_secret.link;
    while (!cas_rel(&s->remote, &old, p)); /* pairs with gt_span_collect */
    if (!old)
        gt_inbox_push(load_acq(&s->owner), s);
}

/* s, of mc's, has room again, or nothing else: the right list. */
static void settle(struct gt_mcache *mc, struct gt_span *s)
{
    unsigned c = s->class;
    if (s->list == GT_ON_FULL) {
        list_del(&mc->full[c], s);
        list_add(&mc->partial[c], s, GT_ON_PARTIAL);
    }
    if (s->nfree == s->nmalloc && s->list == GT_ON_PARTIAL) {
        list_del(&mc->partial[c], s);
        give_up(mc, s);
    } else if (mc->partial[c].n > PARTIAL_MAX) {
        struct gt_span *last = mc->partial[c].last;
        list_del(&mc->partial[c], last);
        gt_central_put(last, false);
    }
}

static void drain_inbox(struct gt_mcache *mc)
{
    struct gt_span *s = load_rlx(&mc->inbox) ? xchg_acq(&mc->inbox, NULL) : NULL;
    while (s) {
        struct gt_span *next = s->inbox_next;
        struct gt_mcache *owner = load_rlx(&s->owner);
        if (owner == mc) {
            gt_span_collect(s);
            settle(mc, s);
        } else { /* it has changed hands since */
            gt_inbox_push(owner, s);
        }
        s = next;
    }
}

/* ---- malloc ---- */

/* The current span of the class is used up: the next one, now current.  NULL: no memory. */
static struct gt_span *refill(struct gt_mcache *mc, unsigned c)
{
    drain_inbox(mc);
    struct gt_span *s = mc->cur[c];
    if (s != &gt_span_none) {
        if (!is_full(s))
            return s;
        list_add(&mc->full[c], s, GT_ON_FULL);
    }
    s = mc->partial[c].first;
    if (s)
        list_del(&mc->partial[c], s);
    else
        s = gt_central_get(mc, c);
    if (!s)
        s = new_span(mc, c);
    set_current(mc, c, s ? s : &gt_span_none);
    return s;
}

static void *malloc_small(struct gt_mcache *mc, unsigned c, bool *zero)
{
    bool fresh;
    struct gt_span *s = mc->cur[c];
    void *p = gt_span_take(s, s->shift, &fresh);
    if (unlikely(!p)) {
        s = refill(mc, c);
        if (!s)
            return NULL;
        p = gt_span_take(s, s->shift, &fresh);
    }
    *zero = fresh && s->zero;
    return p;
}

static void *malloc_large(size_t n, size_t align, bool *zero)
{
    if (n >= GT_HUGE_MIN || align > GT_ARENA_BYTES / 4) {
        *zero = true;
        return gt_huge_alloc(n, align);
    }
    struct gt_span *s = gt_large_alloc(n, align, zero);
    return s ? s->start : NULL;
}

void *gt_mc_malloc(struct gt_mcache *mc, size_t n, bool *zero)
{
    if (likely(n <= GT_SMALL_MAX))
        return malloc_small(mc, gt_class_of(n), zero);
    if (n > PTRDIFF_MAX - GT_ARENA_BYTES)
        return NULL;
    return malloc_large(n, 1, zero);
}

void *gt_mc_memalign(struct gt_mcache *mc, size_t align, size_t n, bool *zero)
{
    if (align <= 16)
        return gt_mc_malloc(mc, n, zero);
    if (n > PTRDIFF_MAX - GT_ARENA_BYTES || align > PTRDIFF_MAX)
        return NULL;
    if (GT_MAX(n, align) > GT_SMALL_MAX)
        return malloc_large(n, align, zero);
    unsigned c = gt_class_of(GT_MAX(n, align));
    while (gt_classes[c].size % align)
        c++; /* ends at a power of two */
    return malloc_small(mc, c, zero);
}

/* ---- free ---- */

static enum gt_free free_local(struct gt_mcache *mc, struct gt_span *s, uintptr_t p)
{
    uintptr_t *w = (uintptr_t *)p;
    w[0] = s->free ^ gt_secret.link;
    w[1] = gt_secret.mark;
    s->free = p;
    s->nfree++;
    if (s->list == GT_ON_FULL || s->nfree == s->nmalloc)
        settle(mc, s);
    return GT_FREE_OK;
}

static bool on_list(const struct gt_span *s, uintptr_t q, uintptr_t p)
{
    for (uint64_t i = 0; q && !(q & GT_LIST_END) && i <= s->nmalloc; i++) {
        if (q == p)
            return true;
        q = *(uintptr_t *)q ^ gt_secret.link;
        if (q && !gt_same_span(q, p, s->shift))
            return true; /* a broken list: something is wrong in any case */
    }
    return false;
}

/* Is it among the span's free objects?  Owner only: the marked word may be the program's data. */
static bool on_free_list(const struct gt_span *s, uintptr_t p)
{
    return on_list(s, s->free, p) || on_list(s, load_acq(&s->remote), p);
}

static enum gt_free free_small(struct gt_mcache *mc, struct gt_span *s, uintptr_t p)
{
    if ((p - (uintptr_t)s->start) * s->magic >= s->magic || p >= (uintptr_t)s->limit)
        return GT_FREE_INSIDE;
    bool marked = ((uintptr_t *)p)[1] == gt_secret.mark;
    if (load_acq(&s->owner) != mc) {
        if (unlikely(marked))
            return GT_FREE_DOUBLE; /* by chance: 2^-56 */
        remote_free(s, p);
        return GT_FREE_OK;
    }
    if (p >= (uintptr_t)s->bump)
        return s->nfree ? GT_FREE_DOUBLE : GT_FREE_NEVER;
    if (unlikely(marked && on_free_list(s, p)))
        return GT_FREE_DOUBLE;
    return free_local(mc, s, p);
}

enum gt_free gt_mc_free(struct gt_mcache *mc, void *ptr)
{
    uintptr_t p = (uintptr_t)ptr;
    unsigned kind =
        p >> GT_ARENA_SHIFT < GT_VA_ARENAS ? load_rlx(&gt_arena_kind[p >> GT_ARENA_SHIFT]) : 0;
    if (kind == GT_ARENA_HUGE)
        return gt_huge_free(ptr) ? GT_FREE_OK : GT_FREE_INSIDE;
    if (kind != GT_ARENA_SMALL)
        return GT_FREE_FOREIGN;
    struct gt_span *s = gt_span_of(p);
    if (!s)
        return GT_FREE_NEVER;
    if (s->state == GT_SPAN_SMALL)
        return free_small(mc, s, p);
    if (p != (uintptr_t)s->start)
        return GT_FREE_INSIDE;
    gt_heap_free(s);
    return GT_FREE_OK;
}

/* ---- life of an mcache ---- */

static void init(struct gt_mcache *mc)
{
    mc->direct[0] = &gt_span_none;
    for (unsigned c = 1; c < GT_NCLASS; c++)
        set_current(mc, c, &gt_span_none);
}

/* One whose kernel thread has ended becomes nobody's.  A few of them are looked at each time. */
static void bury_dead(void)
{
    static _Atomic(struct gt_mcache *) at; /* a hint: relaxed */
    struct gt_mcache *mc = load_rlx(&at);
    for (int i = 0; i < 4; i++) {
        mc = mc ? mc : load_acq(&C.all);
        if (!mc)
            return;
        if (load_acq(&mc->state) == GT_MC_OWNED && mc->tid &&
            sys_tgkill(sys_getpid(), mc->tid, 0) == -ESRCH)
            store_rel(&mc->state, GT_MC_IDLE);
        mc = mc->alllink;
    }
    store_rlx(&at, mc);
}

struct gt_mcache *gt_mc_get(int tid)
{
    bury_dead();
    for (struct gt_mcache *mc = load_acq(&C.all); mc; mc = mc->alllink) {
        uint32_t idle = GT_MC_IDLE;
        if (load_rlx(&mc->state) == GT_MC_IDLE && cas_acq(&mc->state, &idle, GT_MC_OWNED)) {
            mc->tid = tid;
            return mc;
        }
    }
    struct gt_mcache *mc = gt_persistent_alloc(sizeof(*mc));
    if (!mc)
        return NULL;
    gt_heap_init();
    init(mc);
    mc->tid = tid;
    store_rlx(&mc->state, GT_MC_OWNED);
    struct gt_mcache *old = load_rlx(&C.all);
    do
        mc->alllink = old;
    while (!cas_rel(&C.all, &old, mc));
    return mc;
}

void gt_mc_flush(struct gt_mcache *mc)
{
    drain_inbox(mc);
    for (unsigned c = 1; c < GT_NCLASS; c++) {
        struct gt_span *s = mc->cur[c];
        if (s != &gt_span_none && s->nfree == s->nmalloc) {
            set_current(mc, c, &gt_span_none);
            s->list = GT_ON_NONE;
            give_up(mc, s);
        }
    }
}

void gt_mc_put(struct gt_mcache *mc)
{
    mc->tid = 0;
    store_rel(&mc->state, GT_MC_IDLE);
}

struct gt_mcache *gt_mshared_lock(void)
{
    gt_lock(&C.shared_lock, GT_RANK_MSHARED);
    if (!C.shared)
        C.shared = gt_mc_get(0);
    if (!C.shared)
        gt_unlock(&C.shared_lock, GT_RANK_MSHARED);
    return C.shared;
}

void gt_mshared_unlock(void)
{
    gt_unlock(&C.shared_lock, GT_RANK_MSHARED);
}

struct gt_mcache *gt_mc_all(void)
{
    return load_acq(&C.all);
}

/* ---- fork ---- */

void gt_mem_fork_lock(void)
{
    gt_lock(&C.shared_lock, GT_RANK_MSHARED);
    gt_central_fork_lock();
    gt_heap_fork_lock();
}

void gt_mem_fork_unlock(void)
{
    gt_heap_fork_unlock();
    gt_central_fork_unlock();
    gt_unlock(&C.shared_lock, GT_RANK_MSHARED);
}

/* A span of a thread that is not in the child.  Its list is sound: an object is linked before it
 * is the first one, and a fork keeps the order of a thread's stores; but what was between two
 * stores is not known, nor on which list the span was. */
static void take_over(struct gt_span *s)
{
    uint64_t n = 0;
    for (uintptr_t p = s->free; !(p & GT_LIST_END) && n < s->nmalloc; n++) {
        p = *(uintptr_t *)p ^ gt_secret.link;
        if (!gt_same_span(p, (uintptr_t)s->start, s->shift))
            return; /* nobody allocates from it again */
    }
    s->nfree = s->nmalloc - (uint64_t)(s->bump - s->start) / s->size + n;
    s->list = GT_ON_NONE;
    if (load_rlx(&s->remote))
        gt_span_collect(s);
    gt_central_put(s, is_full(s));
}

static void recount(struct gt_span *s, void *own)
{
    struct gt_mcache *owner = load_rlx(&s->owner);
    if (s->state != GT_SPAN_SMALL)
        return;
    if (owner != own && owner != C.shared && owner != &gt_central)
        take_over(s);
    else if (load_rlx(&s->remote)) /* who pushed may not have come to the inbox */
        gt_inbox_push(owner, s);
}

void gt_mem_fork_child(struct gt_mcache *own, int tid)
{
    bool others = false;
    gt_mem_fork_unlock();
    if (own)
        own->tid = tid;
    for (struct gt_mcache *mc = load_rlx(&C.all); mc; mc = mc->alllink) {
        store_rlx(&mc->inbox, NULL);
        if (mc == own || mc == C.shared)
            continue;
        struct gt_mcache *link = mc->alllink;
        others = true;
        gt_memset(mc, 0, sizeof(*mc));
        init(mc);
        mc->alllink = link;
    }
    store_rlx(&gt_central.inbox, NULL);
    if (others || C.shared)
        gt_heap_each_span(recount, own);
}
