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
 * never get empty); foreign objects kept by who frees them, 16 of a class from 64 bytes on (rptest
 * and mstress take 15 % longer, even if a second free is not looked for: they are missing at their
 * owner's); lists linked through the free objects (a second free can only be told from a valid one
 * by a look into the object, which is cold: that load was nine tenths of the time of a free).
 */
#include "core/mem/mem.h"

#include "core/os/sys.h"

/* So many full spans of a class: the next one is filled, too, and gets its memory in one call. */
#define POPULATE_FROM 8
/* So many objects of the window are kept at once, when none are. */
#define KEEP_AHEAD 16
/* From this size on it is worth to know that memory has only zeros: the smaller are kept ahead, and
 * calloc clears them. */
#define ZERO_MIN 512
/* So many objects of a window, or of another span, are free: they come before those that never were
 * used. */
#define WINDOW_MIN 8

const struct gt_class gt_classes[GT_NCLASS] = {
#define C(cl, sz, bytes, n) [cl] = {.size = (sz), .span = (bytes), .count = (n)},
#include "core/mem/sizeclass.def"
};

#define F2(c)  c, c
#define F4(c)  F2(c), F2(c)
#define F8(a)  F2(a), F2(a + 1), F2(a + 2), F2(a + 3), F2(a + 4), F2(a + 5), F2(a + 6), F2(a + 7)
#define F16(a) F4(a), F4(a + 1), F4(a + 2), F4(a + 3), F4(a + 4), F4(a + 5), F4(a + 6), F4(a + 7)
const uint8_t gt_class_fast[GT_TABLE_MAX / 16 + 1] = {
    1,       1,  2,  3,  4,  5,  6,  7,  8, /* 0 to 128 bytes */
    9,       10, 11, 12, 13, 14, 15, 16,    /* 256 */
    F8(17),                                 /* 512 */
    F16(25),                                /* 1024 */
};

/* Stands where an mcache has no span: never anything to take, and read only. */
struct gt_span gt_span_none = {.bits = gt_span_none.inline_bits};

static struct {
    _Atomic(struct gt_mcache *) all; /* every mcache ever made: CAS */
    struct gt_lock shared_lock;      /* MSHARED: shared */
    struct gt_mcache *shared;
} C;

/* ---- lists of spans ---- */

/* At the end: by the time it is taken it has gathered more. */
static void list_add(struct gt_span_head *h, struct gt_span *s, enum gt_span_list which)
{
    s->list = (uint8_t)which;
    s->wake = which == GT_ON_FULL ? s->nfree + 1 : s->nmalloc;
    s->next = NULL;
    s->prev = h->last;
    if (h->last)
        h->last->next = s;
    else
        h->first = s;
    h->last = s;
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

/* Has it room?  nmalloc - nfree is never less than what is in use. */
static bool has_room(const struct gt_span *s)
{
    return s->nmalloc - s->nfree < s->count;
}

/* ---- the current span ---- */

static void set_current(struct gt_mcache *mc, unsigned c, struct gt_span *s)
{
    mc->of[c].cur = s;
    if (s == &gt_span_none)
        return;
    mc->nmalloc[c] += s->nfree; /* before they wrap around */
    mc->nfree[c] += s->nfree;
    s->nmalloc -= s->nfree;
    s->nfree = 0;
    s->list = GT_ON_CURRENT;
    s->wake = 0;
}

/* The lowest n bits, or all. */
static uint64_t first_bits(uint32_t n)
{
    return n >= 64 ? ~0ull : (1ull << n) - 1;
}

/* The objects of window w that were handed out before. */
static uint64_t seen_bits(const struct gt_span *s, uint32_t w)
{
    return s->seen > w * 64 ? first_bits(s->seen - w * 64) : 0;
}

static void enter_window(struct gt_span *s, uint32_t w, uint64_t word)
{
    s->win = (uint16_t)w;
    s->wstart = s->start + (size_t)w * 64 * s->units * 16;
    s->fresh = s->zero && !(word & seen_bits(s, w));
    s->word = word;
    s->bits[w].own &= ~word;
}

/* The next window that has `min` free objects which were used before.  False: none has. */
static bool used_window(struct gt_span *s, unsigned min)
{
    uint32_t last = s->seen ? (s->seen - 1u) / 64 : 0, w = s->win;
    for (uint32_t k = 0; k <= last; k++) {
        w = w < last ? w + 1 : 0;
        uint64_t word = s->bits[w].own & seen_bits(s, w);
        if (gt_popcount(word) >= min) {
            enter_window(s, w, word);
            return true;
        }
    }
    return false;
}

/* How many objects that never were used are used next: a page of them, if they have no memory. */
static uint32_t fresh_step(const struct gt_span *s)
{
    return s->sparse ? GT_MAX(1u, GT_PAGE / 16 / s->units) : 64;
}

static bool fresh_window(struct gt_span *s)
{
    uint32_t w = s->seen / 64, to = GT_MIN(s->seen + fresh_step(s), (w + 1) * 64);
    if (s->seen == s->count)
        return false;
    enter_window(s, w, s->bits[w].own & first_bits(to - w * 64));
    s->seen = (uint16_t)GT_MIN(to, (uint32_t)s->count);
    return true;
}

/* Does s, with room, have enough objects that were used before? */
static bool worth(const struct gt_span *s)
{
    return s->seen - (s->nmalloc - s->nfree) >= GT_MIN(fresh_step(s), (uint32_t)WINDOW_MIN);
}

/* All objects free, none in word. */
static void fill_bits(struct gt_span *s)
{
    uint32_t n = (s->count + 63u) / 64;
    for (uint32_t w = 0; w < n; w++) {
        s->bits[w].own = first_bits(s->count - w * 64);
        s->bits[w].live = 0;
        store_rlx(&s->bits[w].remote, 0);
    }
    s->word = 0;
    s->win = s->seen = 0;
    s->wstart = s->start;
    s->fresh = false;
}

static struct gt_span *new_span(struct gt_mcache *mc, unsigned c)
{
    const struct gt_class *k = &gt_classes[c];
    bool zero;
    size_t slots = k->span >> GT_SLOT_SHIFT;
    struct gt_span *s = gt_heap_alloc(slots, 1, &zero);
    if (!s)
        return NULL;
    bool much = mc->full[c].n > POPULATE_FROM;
    if (zero && much) /* it will be used up: spare it the page faults */
        sys_madvise(s->start, GT_SLOT_BYTES, 23 /* MADV_POPULATE_WRITE, Linux 5.14 */);
    if (!gt_heap_bits(s, k->count)) {
        gt_heap_free(s);
        return NULL;
    }
    s->class = (uint8_t)c;
    s->units = (uint16_t)(k->size / 16);
    s->count = (uint16_t)k->count;
    s->magic = ~0ull / k->size + 1;
    s->zero = zero && k->size >= ZERO_MIN;
    s->sparse = zero && !much;
    s->limit = s->start + (size_t)k->size * k->count;
    fill_bits(s);
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
        GT_INBOX_NEXT(s) = old;
    while (!cas_rel(&mc->inbox, &old, s)); /* pairs with the owner's xchg */
}

static void collect_word(struct gt_span *s, uint32_t w)
{
    uint64_t r = xchg_acq(&s->bits[w].remote, 0), twice = r & ~s->bits[w].live;
    if (unlikely(twice))
        gt_mem_error(GT_MEM_DOUBLE, gt_span_object(s, w * 64 + (unsigned)__builtin_ctzll(twice)));
    s->bits[w].live &= ~r;
    s->nfree += gt_popcount(r);
    if (w == s->win) {
        s->word |= r;
        s->fresh = false;
    } else {
        s->bits[w].own |= r;
    }
}

void gt_span_collect(struct gt_span *s)
{
    for (uint64_t words = xchg_acqrel(GT_TOLD(s), 0); words; words &= words - 1)
        collect_word(s, (uint32_t)__builtin_ctzll(words));
}

uint64_t gt_span_remote_words(const struct gt_span *s)
{
    uint64_t words = 0;
    for (uint32_t w = 0; w * 64 < s->count; w++)
        words |= (uint64_t)(load_rlx(&s->bits[w].remote) != 0) << w;
    return words;
}

bool gt_span_is_free(const struct gt_span *s, uint32_t idx)
{
    uint64_t w = load_rlx(&s->bits[idx >> 6].remote) | ~s->bits[idx >> 6].live;
    return w >> (idx & 63) & 1;
}

/* Word w of s is not 0 any more: no one else says so, its bit in told is 0. */
static GT_NOINLINE void tell(struct gt_span *s, uint32_t w)
{
    if (add_acqrel(GT_TOLD(s), 1ull << w) != 0)
        return;
    struct gt_mcache *owner = load_acq(&s->owner);
    gt_inbox_push(owner, s);
    if (owner == &gt_central)
        gt_central_collect();
}

/* The owner may write it, of other objects. */
GT_RACES static bool in_use(const struct gt_bits *b, uint64_t bit)
{
    return b->live & bit;
}

/* s is not the caller's.  False: the object is free.  It may not be added first and looked at
 * then: what is added may be taken at once, with others, and the object be free. */
static bool remote_free(struct gt_span *s, uint32_t idx)
{
    struct gt_bits *b = &s->bits[idx >> 6];
    uint64_t bit = 1ull << (idx & 63);
    if (unlikely(!in_use(b, bit)))
        return false;
    uint64_t r = add_acqrel(&b->remote, bit); /* pairs with collect_word */
    if (unlikely(r & bit)) {
        add_acqrel(&b->remote, -bit); /* where the message looks */
        return false;
    }
    if (!r)
        tell(s, idx >> 6);
    return true;
}

bool gt_mc_free_remote(struct gt_mcache *mc, void *ptr)
{
    uintptr_t p = (uintptr_t)ptr;
    uint32_t idx;
    if (unlikely(!gt_in_arena(p)))
        return false;
    struct gt_span *s = gt_slot_of(p);
    struct gt_mcache *owner = load_rlx(&s->owner);
    return owner && owner != mc && gt_span_index(s, p & (GT_SLOT_BYTES - 1), &idx) &&
           remote_free(s, idx);
}

/* s, of mc's, has room again, or nothing else: the right list. */
static void settle(struct gt_mcache *mc, struct gt_span *s)
{
    unsigned c = s->class;
    if (s->list == GT_ON_FULL) {
        list_del(&mc->full[c], s);
        if (has_room(s)) {
            list_add(&mc->partial[c], s, GT_ON_PARTIAL);
            if (unlikely(mc->partial[c].n > 1 && gt_central_wanted(mc, c)))
                mc->share = c;
        } else {
            list_add(&mc->full[c], s, GT_ON_FULL);
        }
    }
    if (s->nfree == s->nmalloc && s->list == GT_ON_PARTIAL) {
        list_del(&mc->partial[c], s);
        give_up(mc, s);
    }
}

/* ---- what the mcache keeps of a class ---- */

/* Back to its span, which is mc's. */
static void give_back(struct gt_mcache *mc, struct gt_span *s, uint32_t idx)
{
    uint64_t bit = 1ull << (idx & 63);
    if (idx >> 6 == s->win) {
        s->word |= bit;
        s->fresh = false;
    } else {
        s->bits[idx >> 6].own |= bit;
    }
    s->nfree++;
    if (s->list == GT_ON_FULL || s->nfree == s->nmalloc)
        settle(mc, s);
}

static void release_kept(struct gt_mcache *mc, unsigned c)
{
    struct gt_of_class *k = &mc->of[c];
    for (void *at; (at = k->top[-1].at) != NULL; k->top--) {
        uintptr_t p = (uintptr_t)at;
        struct gt_span *s = gt_slot_of(p);
        uint32_t idx;
        s -= s->inside;
        gt_span_index(s, p - (uintptr_t)s->start, &idx);
        give_back(mc, s, idx);
    }
}

/* Somebody else has looked for a span of the class in vain: half of those with room.  No object of
 * a span that changes hands may stay here. */
static void share_partial(struct gt_mcache *mc, unsigned c)
{
    release_kept(mc, c);
    mc->share = 0;
    for (unsigned n = mc->partial[c].n / 2; n; n--) {
        struct gt_span *s = mc->partial[c].last;
        list_del(&mc->partial[c], s);
        gt_central_put(s, false);
    }
}

/* s is mc's, p in use. */
static void free_own(struct gt_mcache *mc, struct gt_span *s, uint32_t idx, void *p)
{
    struct gt_bits *b = &s->bits[idx >> 6];
    uint64_t bit = 1ull << (idx & 63);
    if (gt_keep(&mc->of[s->class], b, bit, p))
        return;
    b->live ^= bit;
    give_back(mc, s, idx);
    if (unlikely(mc->share))
        share_partial(mc, mc->share);
}

static void drain_inbox(struct gt_mcache *mc)
{
    struct gt_span *s = load_rlx(&mc->inbox) ? xchg_acq(&mc->inbox, NULL) : NULL;
    while (s) {
        struct gt_span *next = GT_INBOX_NEXT(s);
        struct gt_mcache *owner = load_acq(&s->owner);
        if (owner == mc) {
            gt_span_collect(s);
            settle(mc, s);
        } else { /* it has changed hands since */
            gt_inbox_push(owner, s);
        }
        s = next;
    }
}

/* Goes on in s, which has nothing in word: where many of the objects that were used before are
 * free, or where none was used yet.  That takes memory: the current span leaves it to another one
 * that has such objects.  False: that, or none is free. */
static bool next_window(struct gt_mcache *mc, struct gt_span *s)
{
    const struct gt_span_head *others = &mc->partial[s->class];
    if (used_window(s, WINDOW_MIN))
        return true;
    if (s->list == GT_ON_CURRENT && s->seen < s->count) {
        if (!others->first) {
            drain_inbox(mc);
            if (s->word || used_window(s, WINDOW_MIN))
                return true;
        }
        if (others->first && worth(others->first))
            return false;
    }
    return fresh_window(s) || used_window(s, 1);
}

/* ---- malloc ---- */

/* The current span of the class is used up: the next one, now current.  NULL: no memory. */
static struct gt_span *refill(struct gt_mcache *mc, unsigned c)
{
    if (unlikely(load_rlx(&gt_heap_age_due))) {
        store_rlx(&gt_heap_age_due, false);
        gt_mc_ask(GT_DUE_AGE);
    }
    gt_mc_attend(mc);
    struct gt_span *s = mc->of[c].cur;
    if (s != &gt_span_none) {
        if (s->word || next_window(mc, s))
            return s;
        if (has_room(s)) /* and something in use: what is free was used, or is in a window */
            list_add(&mc->partial[c], s, GT_ON_PARTIAL);
        else
            list_add(&mc->full[c], s, GT_ON_FULL);
    }
    if (!mc->partial[c].first) /* no sooner: the more a span has gathered, the cheaper */
        drain_inbox(mc);
    s = mc->partial[c].first;
    if (s)
        list_del(&mc->partial[c], s);
    else if (!(s = gt_central_get(mc, c)))
        s = new_span(mc, c);
    if (s && !s->word)
        next_window(mc, s);
    set_current(mc, c, s ? s : &gt_span_none);
    return s;
}

/* Some of what s has in its window, the lowest on top: while as many come back as go, none of the
 * fast path's branches is a guess.  Not if they have only zeros: that would be forgotten; nor if
 * none came back since the last time. */
static void keep_ahead(struct gt_mcache *mc, struct gt_of_class *k, struct gt_span *s)
{
    uint64_t *at = &mc->ahead_at[s->class];
    uint64_t word = s->word, *live = &s->bits[s->win].live;
    size_t size = s->units * 16ul, room = (size_t)(k->end - k->top);
    uint32_t n = (uint32_t)GT_MIN(GT_MIN(room / 2, (size_t)KEEP_AHEAD), gt_popcount(word));
    if (s->fresh || *at == k->again)
        return;
    *at = k->again;
    for (struct gt_kept *e = k->top + n; e != k->top; word &= word - 1) {
        char *obj = s->wstart + (size_t)__builtin_ctzll(word) * size;
        __builtin_prefetch(obj, 1); /* nobody of this CPU has touched it lately */
        *--e = (struct gt_kept){obj, live, word & -word};
    }
    s->word = word;
    s->nmalloc += n; /* they count as in use, but were not handed out */
    k->again -= n;
    k->top += n;
}

static void *malloc_small(struct gt_mcache *mc, unsigned c, bool *zero)
{
    void *p = gt_kept_take(&mc->of[c]);
    if (p) {
        *zero = false;
        return p;
    }
    struct gt_span *s = mc->of[c].cur;
    if (unlikely(!s->word) && !next_window(mc, s) && !(s = refill(mc, c)))
        return NULL;
    *zero = s->fresh;
    p = gt_span_take(s);
    keep_ahead(mc, &mc->of[c], s);
    return p;
}

static void *malloc_large(struct gt_mcache *mc, size_t n, size_t align, bool *zero)
{
    if (n >= GT_HUGE_MIN || align > GT_ARENA_BYTES / 4) {
        *zero = true;
        return gt_huge_alloc(n, align);
    }
    size_t slots = gt_slots(n);
    struct gt_span *s;
    if (slots <= GT_LARGE_SLOTS && align <= GT_SLOT_BYTES && mc->nlarge[slots]) {
        s = mc->large[slots][--mc->nlarge[slots]];
        mc->large_slots -= (uint32_t)slots;
        s->limit = s->start + GT_ALIGN_UP(n, GT_PAGE);
        s->state = GT_SPAN_LARGE;
        mc->of[0].again++;
        *zero = false;
        return s->start;
    }
    s = gt_large_alloc(n, align, zero);
    return s ? s->start : NULL;
}

static void free_large(struct gt_mcache *mc, struct gt_span *s)
{
    uint32_t slots = s->nslots;
    if (mc->nlarge[slots <= GT_LARGE_SLOTS ? slots : 0] < GT_LARGE_CACHED &&
        mc->large_slots + slots <= GT_LARGE_SLOTS) {
        s->state = GT_SPAN_KEPT;
        mc->large_slots += slots;
        mc->large[slots][mc->nlarge[slots]] = s;
        GT_COMPILER_BAR(); /* a fork's child drops as many as it counts */
        mc->nlarge[slots]++;
    } else {
        gt_heap_free(s);
    }
}

void *gt_mc_malloc(struct gt_mcache *mc, size_t n, bool *zero)
{
    if (likely(n <= GT_SMALL_MAX))
        return malloc_small(mc, gt_class_of(n), zero);
    if (n > PTRDIFF_MAX - GT_ARENA_BYTES)
        return NULL;
    return malloc_large(mc, n, 1, zero);
}

void *gt_mc_memalign(struct gt_mcache *mc, size_t align, size_t n, bool *zero)
{
    if (align <= 16)
        return gt_mc_malloc(mc, n, zero);
    if (n > PTRDIFF_MAX - GT_ARENA_BYTES || align > PTRDIFF_MAX)
        return NULL;
    if (GT_MAX(n, align) > GT_SMALL_MAX)
        return malloc_large(mc, GT_MAX(n, 1ul), align, zero);
    unsigned c = gt_class_of(GT_MAX(n, align));
    while (gt_classes[c].size % align)
        c++; /* ends at a power of two */
    return malloc_small(mc, c, zero);
}

/* ---- free ---- */

static enum gt_free free_small(struct gt_mcache *mc, struct gt_span *s, uintptr_t p)
{
    uint32_t idx;
    if (!gt_span_index(s, p - (uintptr_t)s->start, &idx) || idx >= s->count)
        return GT_FREE_INSIDE;
    if (unlikely(gt_span_is_free(s, idx)))
        return GT_FREE_DOUBLE;
    if (load_acq(&s->owner) != mc)
        return remote_free(s, idx) ? GT_FREE_OK : GT_FREE_DOUBLE;
    free_own(mc, s, idx, (void *)p);
    return GT_FREE_OK;
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
    struct gt_span *s = gt_slot_of(p);
    if (likely(s->state == GT_SPAN_SMALL))
        return free_small(mc, s, p);
    s = gt_span_of(p);
    if (!s)
        return GT_FREE_NEVER;
    if (s->state == GT_SPAN_SMALL)
        return free_small(mc, s, p);
    if (p != (uintptr_t)s->start)
        return GT_FREE_INSIDE;
    if (s->state != GT_SPAN_LARGE)
        return GT_FREE_DOUBLE;
    free_large(mc, s);
    return GT_FREE_OK;
}

/* ---- life of an mcache ---- */

/* mc has only zeros.  What it keeps gets memory class by class, with the first one of each. */
static void init(struct gt_mcache *mc)
{
    struct gt_kept *at = mc->kept;
    for (unsigned c = 1; c < GT_NCLASS; c++) {
        mc->of[c].top = at + 1;
        at += GT_KEPT_MAX(gt_classes[c].size) + 1;
        mc->of[c].end = at;
        set_current(mc, c, &gt_span_none);
    }
}

static uint64_t owned_state(uint64_t old, int tid)
{
    return ((old >> 32) + 1) << 32 | (uint64_t)(uint32_t)tid << 1 | GT_MC_OWNED;
}

static uint64_t idle_state(uint64_t old)
{
    return old & ~0xfffffffful;
}

/* False: it has an owner. */
static bool take(struct gt_mcache *mc, int tid)
{
    uint64_t state = load_rlx(&mc->state);
    return !(state & GT_MC_OWNED) && cas_acq(&mc->state, &state, owned_state(state, tid));
}

/* If its kernel thread has ended it becomes nobody's; it may be another one's by then. */
static void bury(struct gt_mcache *mc)
{
    uint64_t state = load_acq(&mc->state);
    int tid = GT_MC_TID(state);
    if ((state & GT_MC_OWNED) && tid && sys_tgkill(sys_getpid(), tid, 0) == -ESRCH)
        (void)cas_rel(&mc->state, &state, idle_state(state));
}

/* n of them are looked at, the next ones each time. */
static void bury_dead(int n)
{
    static _Atomic(struct gt_mcache *) at; /* a hint: relaxed */
    struct gt_mcache *mc = load_rlx(&at);
    while (n--) {
        mc = mc ? mc : load_acq(&C.all);
        if (!mc)
            return;
        bury(mc);
        mc = mc->alllink;
    }
    store_rlx(&at, mc);
}

static struct gt_mcache *take_any(int tid)
{
    struct gt_mcache *mc = load_acq(&C.all);
    while (mc && !take(mc, tid))
        mc = mc->alllink;
    return mc;
}

struct gt_mcache *gt_mc_get(int tid)
{
    bury_dead(4);
    struct gt_mcache *mc = take_any(tid);
    if (!mc && load_rlx(&C.all)) { /* one more is dear: it gets spans of its own */
        bury_dead(32);
        mc = take_any(tid);
    }
    if (mc)
        return mc;
    mc = gt_persistent_alloc(sizeof(*mc));
    if (!mc)
        return NULL;
    init(mc);
    store_rlx(&mc->state, owned_state(0, tid));
    struct gt_mcache *old = load_rlx(&C.all);
    do
        mc->alllink = old;
    while (!cas_rel(&C.all, &old, mc));
    return mc;
}

static void drop_large(struct gt_mcache *mc)
{
    for (unsigned n = 1; n <= GT_LARGE_SLOTS; n++)
        while (mc->nlarge[n])
            gt_heap_free(mc->large[n][--mc->nlarge[n]]);
    mc->large_slots = 0;
}

size_t gt_span_trim(struct gt_span *s)
{
    size_t n = 0;
    char *from = s->start;
    for (uint32_t i = 0; i <= s->count; i++) {
        if (i < s->count && gt_span_is_free(s, i))
            continue;
        char *at = (char *)GT_ALIGN_UP((uintptr_t)from, GT_PAGE);
        char *to = (char *)GT_ALIGN_DOWN((uintptr_t)gt_span_object(s, i), GT_PAGE);
        if (to > at && sys_madvise(at, (size_t)(to - at), MADV_DONTNEED) == 0)
            n += (size_t)(to - at);
        from = gt_span_object(s, i + 1);
    }
    return n;
}

static size_t trim_list(struct gt_span_head *h)
{
    size_t n = 0;
    for (struct gt_span *s = h->first; s; s = s->next)
        n += gt_span_trim(s);
    return n;
}

/* Nothing of class c stays at hand. */
static void flush_class(struct gt_mcache *mc, unsigned c)
{
    struct gt_span *s = mc->of[c].cur;
    release_kept(mc, c);
    if (s != &gt_span_none && s->nfree == s->nmalloc) {
        set_current(mc, c, &gt_span_none);
        s->list = GT_ON_NONE;
        give_up(mc, s);
    }
}

size_t gt_mc_flush(struct gt_mcache *mc, bool trim)
{
    size_t n = 0;
    drain_inbox(mc);
    for (unsigned c = 1; c < GT_NCLASS; c++) {
        flush_class(mc, c);
        if (trim && mc->of[c].cur != &gt_span_none)
            n += gt_span_trim(mc->of[c].cur);
        if (trim)
            n += trim_list(&mc->partial[c]);
    }
    drop_large(mc);
    return n;
}

/* Changes when the class is used. */
static uint32_t age_of(const struct gt_mcache *mc, unsigned c)
{
    return (uint32_t)mc->of[c].again + mc->of[c].cur->nmalloc;
}

/* A few objects at hand, each in another span, keep those from everybody else: classes that the
 * program does not use at the time give theirs up. */
static void age(struct gt_mcache *mc)
{
    drain_inbox(mc);
    for (unsigned c = 1; c < GT_NCLASS; c++) {
        if (age_of(mc, c) == mc->aged[c])
            flush_class(mc, c);
        mc->aged[c] = age_of(mc, c);
    }
    if ((uint32_t)mc->of[0].again == mc->aged[0])
        drop_large(mc);
    mc->aged[0] = (uint32_t)mc->of[0].again;
}

void gt_mc_attend_slow(struct gt_mcache *mc)
{
    uint32_t due = xchg_acqrel(&mc->due, 0);
    if (due & (GT_DUE_FLUSH | GT_DUE_TRIM))
        gt_mc_flush(mc, due & GT_DUE_TRIM);
    else if (due)
        age(mc);
}

void gt_mc_ask(uint32_t due)
{
    for (struct gt_mcache *mc = load_acq(&C.all); mc; mc = mc->alllink)
        or_acqrel(&mc->due, due);
}

void gt_mc_flush_idle(void)
{
    for (struct gt_mcache *mc = load_acq(&C.all); mc; mc = mc->alllink) {
        bury(mc);
        if (take(mc, 0)) {
            gt_mc_attend(mc);
            gt_mc_put(mc);
        }
    }
}

void gt_mc_chown(struct gt_mcache *mc, int tid)
{
    store_rlx(&mc->state, owned_state(load_rlx(&mc->state), tid));
}

void gt_mc_put(struct gt_mcache *mc)
{
    store_rel(&mc->state, idle_state(load_rlx(&mc->state)));
}

struct gt_mcache *gt_mshared_lock(void)
{
    gt_lock(&C.shared_lock, GT_RANK_MSHARED);
    if (!C.shared && (C.shared = gt_mc_get(0)) != NULL)
        C.shared->shared = true;
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

/* A span of a thread that is not in the child.  Its live bits are sound; what follows from them may
 * be between two stores, and on which list it was is not known. */
static void take_over(struct gt_span *s)
{
    uint32_t free = 0, n = (s->count + 63u) / 64;
    gt_span_collect(s);
    for (uint32_t w = 0; w < n; w++) {
        uint64_t own = first_bits(s->count - w * 64) & ~s->bits[w].live;
        s->bits[w].own = own;
        free += gt_popcount(own);
    }
    enter_window(s, s->win, s->bits[s->win].own & seen_bits(s, s->win));
    s->nfree = s->nmalloc - (s->count - free);
    s->list = GT_ON_NONE;
    gt_central_put(s, !free);
}

static void recount(struct gt_span *s, void *own)
{
    struct gt_mcache *owner = load_rlx(&s->owner);
    if (s->state != GT_SPAN_SMALL)
        return;
    store_rlx(GT_TOLD(s), gt_span_remote_words(s)); /* who set a bit may not have come to tell */
    if (owner != own && owner != C.shared && owner != &gt_central)
        take_over(s);
    else if (load_rlx(GT_TOLD(s))) /* nor who told, to push */
        gt_inbox_push(owner, s);
}

void gt_mem_fork_child(struct gt_mcache *own, int tid)
{
    bool others = false;
    gt_mem_fork_unlock();
    if (own)
        gt_mc_chown(own, tid);
    for (struct gt_mcache *mc = load_rlx(&C.all); mc; mc = mc->alllink) {
        store_rlx(&mc->inbox, NULL);
        if (mc == own || mc == C.shared)
            continue;
        struct gt_mcache *link = mc->alllink;
        others = true;
        drop_large(mc);
        gt_memset(mc, 0, sizeof(*mc));
        init(mc);
        mc->alllink = link;
    }
    store_rlx(&gt_central.inbox, NULL);
    if (others || C.shared)
        gt_heap_each_span(recount, own);
}
