/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The page heap: arenas of 64 MiB, slots of 64 KiB, and huge objects in mappings of their own.
 *
 * Each arena has two bits for a slot:
 *   used  dirty
 *    0     0     free; the kernel has no memory for it; zeros
 *    0     1     free; still has memory: taken first, given back by the scavenger
 *    1     1     part of a span
 * and the summary `maxrun`, an upper bound of its longest run of free slots: raised by a free, set
 * by a search that failed.  Addresses are taken from the bottom, so that the top gets free.
 *
 * An arena is mapped piece by piece: a limit of address space (RLIMIT_AS) is not eaten by
 * reservations.  If somebody else maps what should be its next piece, it ends there.
 *
 * All under one lock, HEAP, a leaf.  Runs on any stack.  Errors: NULL, out of memory.
 */
#include "core/mem/mem.h"

#include "core/os/os.h"
#include "core/os/sys.h"

#define MAX_ARENAS   (1u << 16)
#define MAP_STEP_MIN 16u   /* slots: 1 MiB */
#define EXTRA_MAX    512ul /* slots */
#define BREATH       (200 * GT_MS)
#define WORDS        (GT_ARENA_SLOTS / 64)
#define KEEP_MIN     16ul     /* free slots with memory that are kept in any case */
#define AGE_MIN      32ul     /* slots handed out from one gt_heap_age_due to the next */
#define PACE         1024u    /* slots that one round in the background gives back */
#define FIXED        0x100000 /* MAP_FIXED_NOREPLACE */

struct arena {
    char *base;
    uint32_t mapped; /* slots that are mapped, from the bottom */
    uint32_t maxrun;
    uint32_t nfree, ndirty; /* free slots; those of them that have memory */
    bool ended;             /* cannot grow */
    uint64_t used[WORDS], dirty[WORDS];
    uint64_t stale[WORDS]; /* given back by MADV_FREE: perhaps not zeros */
    uint64_t gone[WORDS];  /* given back, and not used since */
};

/* In the descriptor of slot 0, which is no span's. */
struct arena_head {
    struct arena *arena;
};

struct huge {
    char *base;
    size_t size, arenas; /* bytes mapped; arenas of addresses */
    struct huge *next;
};

_Atomic uint8_t gt_arena_kind[GT_VA_ARENAS];

struct gt_heap_policy gt_heap_policy = {.limit = SIZE_MAX};

_Atomic bool gt_heap_age_due;

static struct {
    struct gt_lock lock; /* HEAP: all below */
    uint32_t narenas;
    struct arena *arena[MAX_ARENAS];
    struct arena *spare;      /* a record whose arena could not be mapped */
    size_t first_va, next_va; /* arena numbers: where ours begin, and end so far */
    struct huge *huge, *huge_free;
    struct bits *bits[2];        /* free ones: for few words, for all */
    size_t used, ndirty, mapped; /* slots, of all arenas */
    size_t huge_bytes;
    uint64_t nmalloc, nfree, large_bytes; /* large and huge objects */
    size_t ngone, extra;                  /* slots: given back and not used since; to keep */
    size_t claimed;                       /* slots, since gt_heap_age_due was set */
    int64_t gave_ns;                      /* when the last one was given back */
} H;

/* ---- bits ---- */

GT_RACES static bool bit(const uint64_t *map, unsigned i)
{
    return map[i / 64] >> (i % 64) & 1;
}

static void set_bits(uint64_t *map, unsigned from, unsigned n, bool to)
{
    while (n) {
        unsigned b = from % 64, k = GT_MIN(64 - b, n);
        uint64_t m = (k == 64 ? ~0ull : (1ull << k) - 1) << b;
        map[from / 64] = to ? map[from / 64] | m : map[from / 64] & ~m;
        from += k;
        n -= k;
    }
}

static unsigned count_bits(const uint64_t *map, unsigned from, unsigned n)
{
    unsigned c = 0;
    while (n) {
        unsigned b = from % 64, k = GT_MIN(64 - b, n);
        uint64_t m = (k == 64 ? ~0ull : (1ull << k) - 1) << b;
        c += gt_popcount(map[from / 64] & m);
        from += k;
        n -= k;
    }
    return c;
}

/* The first i in [from, to) whose bit is `want`; to: none. */
static unsigned next_bit(const uint64_t *map, unsigned from, unsigned to, bool want)
{
    while (from < to) {
        uint64_t w = (want ? map[from / 64] : ~map[from / 64]) >> (from % 64);
        if (w) {
            from += (unsigned)__builtin_ctzll(w);
            return GT_MIN(from, to);
        }
        from = (from | 63) + 1;
    }
    return to;
}

/* ---- addresses ---- */

static void start_locked(void)
{
    uint64_t r;
    if (H.first_va)
        return;
    if (GT_SYS3(318 /* getrandom */, &r, sizeof(r), 1 /* GRND_NONBLOCK */) != sizeof(r))
        r = (gt_arch_cycles() ^ (uintptr_t)&r) * 0x9e3779b97f4a7c15ull >> 20;
    /* between 32 and 48 TiB: below the stack and libraries, above programs and their fixed maps */
    H.first_va = gt_heap_policy.base >> GT_ARENA_SHIFT;
    if (!H.first_va)
        H.first_va = (32ul << 40 >> GT_ARENA_SHIFT) + (r & ((1u << 18) - 1));
    H.next_va = H.first_va;
}

static bool map_at(char *at, size_t n)
{
    char *p = sys_mmap(at, n, PROT_READ | PROT_WRITE, FIXED);
    if (p == at)
        return true;
    if (!gt_sys_is_err(p)) /* an old kernel took the address for a hint */
        sys_munmap(p, n);
    return false;
}

static void set_kind(size_t va, size_t n, enum gt_arena_kind k)
{
    for (size_t i = va; i < va + n; i++)
        store_rlx(&gt_arena_kind[i], (uint8_t)k);
}

static char *va_address(size_t va)
{
    return (char *)(va << GT_ARENA_SHIFT);
}

/* n arenas of addresses, the first aligned to `align` arenas, of which `bytes` get mapped.  Refused
 * addresses are marked, and passed over from then on.  0: none. */
static size_t take_va_locked(size_t n, size_t align, size_t bytes)
{
    int refused = 0;
    start_locked();
    size_t at = GT_ALIGN_UP(H.first_va, align), i = 0;
    while (at + n <= GT_VA_ARENAS && refused < 64) {
        for (i = 0; i < n && load_rlx(&gt_arena_kind[at + i]) == GT_ARENA_NONE; i++)
            ;
        if (i < n) {
            at = GT_ALIGN_UP(at + i + 1, align);
            continue;
        }
        if (map_at(va_address(at), bytes)) {
            H.next_va = GT_MAX(H.next_va, at + n);
            return at;
        }
        /* occupied, or no memory at all: then another address does not help */
        char *p = sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, 0);
        if (gt_sys_is_err(p))
            return 0;
        sys_munmap(p, bytes);
        refused++;
        set_kind(at, 1, GT_ARENA_FOREIGN);
    }
    return 0;
}

/* ---- arenas ---- */

/* Lets the arena have `want` slots mapped, more if that is cheap.  False: it is at its end. */
static bool grow_locked(struct arena *a, uint32_t want)
{
    if (a->ended || want > GT_ARENA_SLOTS)
        return false;
    size_t step = GT_MAX(MAP_STEP_MIN, H.mapped / 8);
    uint32_t to = (uint32_t)GT_MIN(GT_MAX(want, a->mapped + step), (size_t)GT_ARENA_SLOTS);
    char *at = a->base + ((size_t)a->mapped << GT_SLOT_SHIFT);
    if (!map_at(at, (size_t)(to - a->mapped) << GT_SLOT_SHIFT)) {
        to = want;
        if (!map_at(at, (size_t)(to - a->mapped) << GT_SLOT_SHIFT))
            return false;
    }
    H.mapped += to - a->mapped;
    a->nfree += to - a->mapped;
    a->mapped = to;
    a->ended = to == GT_ARENA_SLOTS;
    a->maxrun = GT_ARENA_SLOTS;
    return true;
}

static struct arena *new_arena_locked(uint32_t want)
{
    if (H.narenas == MAX_ARENAS)
        return NULL;
    struct arena *a = H.spare ? H.spare : gt_persistent_alloc(sizeof(*a));
    H.spare = a;
    size_t step = GT_MAX(MAP_STEP_MIN, H.mapped / 8);
    uint32_t to = (uint32_t)GT_MIN(GT_MAX(want + GT_META_SLOTS, step), (size_t)GT_ARENA_SLOTS);
    size_t va = a ? take_va_locked(1, 1, (size_t)to << GT_SLOT_SHIFT) : 0;
    if (!va && a && to > want + GT_META_SLOTS) {
        to = want + GT_META_SLOTS;
        va = take_va_locked(1, 1, (size_t)to << GT_SLOT_SHIFT);
    }
    if (!va)
        return NULL;
    H.spare = NULL;
    a->base = va_address(va);
    a->mapped = to;
    a->nfree = to - GT_META_SLOTS;
    a->maxrun = GT_ARENA_SLOTS;
    a->ended = to == GT_ARENA_SLOTS;
    set_bits(a->used, 0, GT_META_SLOTS, true);
    set_bits(a->dirty, 0, GT_META_SLOTS, true);
    ((struct arena_head *)a->base)->arena = a;
    H.arena[H.narenas++] = a;
    H.mapped += to;
    H.used += GT_META_SLOTS;
    set_kind(va, 1, GT_ARENA_SMALL);
    return a;
}

static struct arena *arena_of(const struct gt_span *s)
{
    return ((struct arena_head *)((uintptr_t)s & ~(GT_ARENA_BYTES - 1)))->arena;
}

static unsigned slot_index(const char *p)
{
    return (unsigned)((uintptr_t)p >> GT_SLOT_SHIFT) & (GT_ARENA_SLOTS - 1);
}

/* The first run of n free slots that begins at a multiple of align; 0: none.  A run that reaches
 * the end of what is mapped may go on there, if grow says so. */
static unsigned find_run(struct arena *a, unsigned n, unsigned align, bool grow)
{
    unsigned i = GT_META_SLOTS, longest = 0;
    if (a->maxrun < n && !(grow && !a->ended))
        return 0;
    for (;;) {
        i = GT_ALIGN_UP(next_bit(a->used, i, a->mapped, false), align);
        if (i >= a->mapped)
            break;
        unsigned end = next_bit(a->used, i, a->mapped, true);
        if (end - i >= n)
            return i;
        longest = GT_MAX(longest, end - i);
        if (end == a->mapped) {
            if (grow && grow_locked(a, i + n))
                return i;
            break;
        }
        i = end;
    }
    if (grow && i >= a->mapped && i + n <= GT_ARENA_SLOTS && grow_locked(a, i + n))
        return i;
    if (align == 1)
        a->maxrun = longest;
    return 0;
}

/* One slot that has memory already; 0: none. */
static unsigned find_dirty(struct arena *a)
{
    for (unsigned w = 0; w < WORDS && a->ndirty; w++) {
        uint64_t m = a->dirty[w] & ~a->used[w];
        if (m)
            return w * 64 + (unsigned)__builtin_ctzll(m);
    }
    return 0;
}

/* They had been given back not long ago: the program breathes, let it keep so much more. */
static void regret_locked(struct arena *a, unsigned i, unsigned n)
{
    unsigned k = count_bits(a->gone, i, n);
    if (!k)
        return;
    set_bits(a->gone, i, n, false);
    H.ngone -= k;
    if (gt_nanotime() - H.gave_ns < BREATH)
        H.extra = GT_MIN(H.extra + k, GT_MAX(EXTRA_MAX, H.used / 2));
}

/* Marks them used; *zero: no slot had memory. */
static void claim_locked(struct arena *a, unsigned i, unsigned n, bool *zero)
{
    unsigned had = count_bits(a->dirty, i, n);
    *zero = had == 0 && count_bits(a->stale, i, n) == 0;
    set_bits(a->stale, i, n, false);
    if (H.ngone)
        regret_locked(a, i, n);
    set_bits(a->used, i, n, true);
    set_bits(a->dirty, i, n, true);
    a->nfree -= n;
    a->ndirty -= had;
    H.ndirty -= had;
    H.used += n;
    H.claimed += n;
    if (H.claimed > GT_MAX(AGE_MIN, H.used / 8)) {
        H.claimed = 0;
        store_rlx(&gt_heap_age_due, true);
    }
}

static struct gt_span *make_span(struct arena *a, unsigned i, unsigned n)
{
    struct gt_span *s = (struct gt_span *)a->base + i;
    s->start = a->base + ((size_t)i << GT_SLOT_SHIFT);
    s->nslots = n;
    s->inside = 0;
    s->list = GT_ON_NONE;
    store_rlx(&s->owner, NULL);
    store_rlx(GT_TOLD(s), 0);
    for (unsigned k = 1; k < n; k++) {
        s[k].state = GT_SPAN_INSIDE;
        s[k].inside = (uint16_t)k;
        store_rlx(&s[k].owner, NULL);
    }
    return s;
}

/* Which arena has room, and where: first those that need no new memory. */
static struct arena *find_locked(unsigned n, unsigned align, unsigned *at)
{
    for (uint32_t k = 0; k < H.narenas && n == 1 && align == 1 && H.ndirty; k++)
        if ((*at = find_dirty(H.arena[k])) != 0)
            return H.arena[k];
    for (int grow = 0; grow < 2; grow++)
        for (uint32_t k = 0; k < H.narenas; k++)
            if ((*at = find_run(H.arena[k], n, align, grow)) != 0)
                return H.arena[k];
    struct arena *a = new_arena_locked(GT_ALIGN_UP(GT_META_SLOTS, align) + n - GT_META_SLOTS);
    if (a && (*at = find_run(a, n, align, false)) != 0)
        return a;
    return NULL;
}

static struct gt_span *alloc_locked(size_t nslots, size_t align_slots, bool *zero)
{
    struct gt_span *s = NULL;
    unsigned at;
    struct arena *a = find_locked((unsigned)nslots, (unsigned)align_slots, &at);
    if (a) {
        claim_locked(a, at, (unsigned)nslots, zero);
        s = make_span(a, at, (unsigned)nslots);
    }
    return s;
}

struct gt_span *gt_heap_alloc(size_t nslots, size_t align_slots, bool *zero)
{
    gt_lock(&H.lock, GT_RANK_HEAP);
    struct gt_span *s = alloc_locked(nslots, align_slots, zero);
    gt_unlock(&H.lock, GT_RANK_HEAP);
    return s;
}

struct gt_span *gt_large_alloc(size_t n, size_t align, bool *zero)
{
    size_t slots = gt_slots(n);
    gt_lock(&H.lock, GT_RANK_HEAP);
    struct gt_span *s = alloc_locked(slots, GT_MAX(align >> GT_SLOT_SHIFT, 1ul), zero);
    if (s) {
        s->class = 0;
        s->units = 0;
        s->limit = s->start + GT_ALIGN_UP(n, GT_PAGE);
        s->state = GT_SPAN_LARGE;
        H.nmalloc++;
        H.large_bytes += n;
    }
    gt_unlock(&H.lock, GT_RANK_HEAP);
    return s;
}

/* ---- giving back ---- */

/* One run of free slots with memory, at or above `from`.  Returns its length; 0: none. */
static unsigned dirty_run(const struct arena *a, unsigned from, unsigned *at)
{
    for (unsigned i = from; i < a->mapped; i++) {
        i = next_bit(a->dirty, i, a->mapped, true);
        if (i >= a->mapped)
            return 0;
        unsigned n = 0;
        while (i + n < a->mapped && bit(a->dirty, i + n) && !bit(a->used, i + n))
            n++;
        if (n) {
            *at = i;
            return n;
        }
    }
    return 0;
}

static size_t scavenge_locked(size_t keep_slots)
{
    size_t before = H.ndirty;
    if (before > keep_slots)
        H.gave_ns = gt_nanotime();
    for (uint32_t k = H.narenas; k-- > 0 && H.ndirty > keep_slots;) {
        struct arena *a = H.arena[k];
        unsigned at = 0, n;
        while (H.ndirty > keep_slots && a->ndirty && (n = dirty_run(a, at, &at)) != 0) {
            unsigned cut = (unsigned)GT_MIN((size_t)n, H.ndirty - keep_slots);
            at += n - cut; /* the upper part: addresses are taken from the bottom */
            n = cut;
            char *p = a->base + ((size_t)at << GT_SLOT_SHIFT);
            if (sys_madvise(p, (size_t)n << GT_SLOT_SHIFT,
                            gt_heap_policy.lazy ? MADV_FREE : MADV_DONTNEED))
                return (before - H.ndirty) << GT_SLOT_SHIFT;
            set_bits(a->stale, at, n, gt_heap_policy.lazy);
            set_bits(a->dirty, at, n, false);
            H.ngone += n - count_bits(a->gone, at, n);
            set_bits(a->gone, at, n, true);
            a->ndirty -= n;
            H.ndirty -= n;
            at += n;
        }
    }
    return (before - H.ndirty) << GT_SLOT_SHIFT;
}

/* How many free slots may keep their memory.  Without a thread that looks after it, what is there
 * after the last free stays: so not more than a part of what is in use, and what had to be fetched
 * again soon after it was given back. */
static size_t keep_locked(void)
{
    size_t extra = GT_MIN(H.extra, GT_MAX(EXTRA_MAX, H.used / 2));
    size_t keep = GT_MAX((size_t)KEEP_MIN, H.used / 16) + extra;
    size_t limit = gt_heap_policy.limit >> GT_SLOT_SHIFT, huge = H.huge_bytes >> GT_SLOT_SHIFT;
    size_t room = limit > H.used + huge ? limit - H.used - huge : 0;
    return GT_MIN(keep, room);
}

void gt_heap_background(bool idle)
{
    gt_lock(&H.lock, GT_RANK_HEAP);
    H.extra /= 2;
    size_t keep = GT_MIN(GT_MAX(H.used / 16, KEEP_MIN / 4), keep_locked());
    if (H.ndirty > keep)
        scavenge_locked(idle ? keep : GT_MAX(keep, H.ndirty - GT_MIN(H.ndirty, (size_t)PACE)));
    gt_unlock(&H.lock, GT_RANK_HEAP);
}

size_t gt_heap_scavenge(size_t keep)
{
    gt_lock(&H.lock, GT_RANK_HEAP);
    size_t r = scavenge_locked(keep >> GT_SLOT_SHIFT);
    gt_unlock(&H.lock, GT_RANK_HEAP);
    return r;
}

/* What does not fit into the descriptor: a span's bits, or, as nobody needs them, the next. */
struct bits {
    struct bits *next;
};

/* Most classes have far fewer objects than that of 16 bytes. */
static bool many_bits(uint32_t count)
{
    return count > 24 * 64;
}

bool gt_heap_bits(struct gt_span *s, uint32_t count)
{
    bool many = many_bits(count);
    s->bits = s->inline_bits;
    if (count <= GT_SPAN_BITS)
        return true;
    gt_lock(&H.lock, GT_RANK_HEAP);
    struct bits *b = H.bits[many];
    if (b)
        H.bits[many] = b->next;
    else
        b = gt_persistent_alloc((many ? 64 : 24) * sizeof(struct gt_bits));
    gt_unlock(&H.lock, GT_RANK_HEAP);
    if (!b)
        return false;
    s->bits = (struct gt_bits *)b;
    return true;
}

static void drop_bits_locked(struct gt_span *s)
{
    if (s->state != GT_SPAN_SMALL || s->bits == s->inline_bits)
        return;
    struct bits *b = (struct bits *)s->bits, **at = &H.bits[many_bits(s->count)];
    b->next = *at;
    *at = b;
}

static void release_locked(struct arena *a, unsigned i, unsigned n)
{
    set_bits(a->used, i, n, false);
    a->nfree += n;
    a->ndirty += n;
    H.ndirty += n;
    H.used -= n;
    a->maxrun = GT_ARENA_SLOTS;
    size_t keep = keep_locked();
    if (H.ndirty > keep)
        scavenge_locked(keep / 2);
}

void gt_heap_free(struct gt_span *s)
{
    gt_lock(&H.lock, GT_RANK_HEAP);
    H.nfree += s->state == GT_SPAN_LARGE || s->state == GT_SPAN_KEPT;
    drop_bits_locked(s);
    s->state = GT_SPAN_FREE;
    store_rlx(&s->owner, NULL);
    release_locked(arena_of(s), slot_index(s->start), s->nslots);
    gt_unlock(&H.lock, GT_RANK_HEAP);
}

bool gt_heap_resize(struct gt_span *s, size_t nslots)
{
    struct arena *a = arena_of(s);
    unsigned i = slot_index(s->start), old = s->nslots, n = (unsigned)nslots;
    bool zero, ok = true;
    gt_lock(&H.lock, GT_RANK_HEAP);
    if (n < old) {
        for (unsigned k = n; k < old; k++)
            s[k].state = GT_SPAN_FREE;
        s->nslots = n;
        release_locked(a, i + n, old - n);
    } else if (n > old) {
        ok = i + n <= GT_ARENA_SLOTS && (i + n <= a->mapped || grow_locked(a, i + n)) &&
             count_bits(a->used, i + old, n - old) == 0;
        if (ok) {
            claim_locked(a, i + old, n - old, &zero);
            for (unsigned k = old; k < n; k++) {
                s[k].state = GT_SPAN_INSIDE;
                s[k].inside = (uint16_t)k;
                store_rlx(&s[k].owner, NULL);
            }
            s->nslots = n;
        }
    }
    gt_unlock(&H.lock, GT_RANK_HEAP);
    return ok;
}

/* ---- huge objects: arenas of their own, mapped as far as they need ---- */

static struct huge **huge_find_locked(const char *p)
{
    for (struct huge **h = &H.huge; *h; h = &(*h)->next)
        if (p >= (*h)->base && p < (*h)->base + (*h)->size)
            return h;
    return NULL;
}

static struct huge *huge_new_locked(void)
{
    struct huge *h = H.huge_free;
    if (h)
        H.huge_free = h->next;
    else
        h = gt_persistent_alloc(sizeof(*h));
    return h;
}

static size_t arenas_for(size_t n)
{
    return (n + GT_ARENA_BYTES - 1) >> GT_ARENA_SHIFT;
}

void *gt_huge_alloc(size_t n, size_t align)
{
    char *r = NULL;
    n = GT_ALIGN_UP(n, GT_PAGE);
    gt_lock(&H.lock, GT_RANK_HEAP);
    struct huge *h = huge_new_locked();
    size_t count = arenas_for(n);
    size_t va = h ? take_va_locked(count, GT_MAX(align >> GT_ARENA_SHIFT, 1ul), n) : 0;
    if (va) {
        *h = (struct huge){.base = va_address(va), .size = n, .arenas = count, .next = H.huge};
        H.huge = h;
        H.huge_bytes += n;
        set_kind(va, count, GT_ARENA_HUGE);
        H.nmalloc++;
        H.large_bytes += n;
        r = h->base;
    } else if (h) {
        h->next = H.huge_free;
        H.huge_free = h;
    }
    gt_unlock(&H.lock, GT_RANK_HEAP);
    return r;
}

bool gt_huge_free(void *p)
{
    gt_lock(&H.lock, GT_RANK_HEAP);
    struct huge **at = huge_find_locked(p), *h = at ? *at : NULL;
    bool ok = h && h->base == p;
    if (ok) {
        *at = h->next;
        sys_munmap(h->base, h->size);
        set_kind((uintptr_t)h->base >> GT_ARENA_SHIFT, h->arenas, GT_ARENA_NONE);
        H.huge_bytes -= h->size;
        H.nfree++;
        h->next = H.huge_free;
        H.huge_free = h;
    }
    gt_unlock(&H.lock, GT_RANK_HEAP);
    return ok;
}

/* Longer or shorter where it is; the addresses behind it may have to be free. */
static bool huge_in_place_locked(struct huge *h, size_t n)
{
    size_t va = (uintptr_t)h->base >> GT_ARENA_SHIFT, count = arenas_for(n);
    for (size_t i = h->arenas; i < count; i++)
        if (va + i >= GT_VA_ARENAS || load_rlx(&gt_arena_kind[va + i]) != GT_ARENA_NONE)
            return false;
    if (gt_sys_is_err((void *)GT_SYS6(SYS_mremap, h->base, h->size, n, 0, 0, 0)))
        return false;
    if (count > h->arenas)
        set_kind(va + h->arenas, count - h->arenas, GT_ARENA_HUGE);
    else
        set_kind(va + count, h->arenas - count, GT_ARENA_NONE);
    H.next_va = GT_MAX(H.next_va, va + count);
    h->arenas = count;
    return true;
}

static bool huge_move_locked(struct huge *h, size_t n)
{
    size_t count = arenas_for(n), va = take_va_locked(count, 1, n);
    if (!va)
        return false;
    char *to = va_address(va);
    long r = GT_SYS6(SYS_mremap, h->base, h->size, n, MREMAP_MAYMOVE | MREMAP_FIXED, to, 0);
    if (gt_sys_is_err((void *)r)) {
        sys_munmap(to, n);
        return false;
    }
    set_kind((uintptr_t)h->base >> GT_ARENA_SHIFT, h->arenas, GT_ARENA_NONE);
    set_kind(va, count, GT_ARENA_HUGE);
    h->base = to;
    h->arenas = count;
    return true;
}

void *gt_huge_realloc(void *p, size_t n)
{
    void *r = NULL;
    n = GT_ALIGN_UP(n, GT_PAGE);
    gt_lock(&H.lock, GT_RANK_HEAP);
    struct huge **at = huge_find_locked(p), *h = at ? *at : NULL;
    if (h && h->base == p && (huge_in_place_locked(h, n) || huge_move_locked(h, n))) {
        H.huge_bytes += n - h->size;
        h->size = n;
        r = h->base;
    }
    gt_unlock(&H.lock, GT_RANK_HEAP);
    return r;
}

size_t gt_huge_find(const void *p, char **start)
{
    gt_lock(&H.lock, GT_RANK_HEAP);
    struct huge **at = huge_find_locked(p);
    size_t n = at ? (*at)->size : 0;
    if (at && start)
        *start = (*at)->base;
    gt_unlock(&H.lock, GT_RANK_HEAP);
    return n;
}

/* ---- the rest ---- */

void gt_heap_each_span(void (*f)(struct gt_span *s, void *arg), void *arg)
{
    for (uint32_t k = 0; k < H.narenas; k++) {
        struct arena *a = H.arena[k];
        for (unsigned i = next_bit(a->used, GT_META_SLOTS, a->mapped, true); i < a->mapped;
             i = next_bit(a->used, i, a->mapped, true)) {
            struct gt_span *s = (struct gt_span *)a->base + i;
            i += GT_MAX(s->nslots, 1u);
            f(s, arg);
        }
    }
}

struct gt_span *gt_span_of(uintptr_t p)
{
    if (!gt_in_arena(p))
        return NULL;
    struct gt_span *s = gt_slot_of(p);
    unsigned i = slot_index((char *)p);
    const struct arena *a = arena_of(s);
    if (i < GT_META_SLOTS || i >= a->mapped || !bit(a->used, i))
        return NULL;
    if (s->state == GT_SPAN_INSIDE)
        s -= s->inside;
    return s->state == GT_SPAN_FREE || i - slot_index(s->start) >= s->nslots ? NULL : s;
}

void gt_heap_sizes(struct gt_heap_sizes *z)
{
    gt_lock(&H.lock, GT_RANK_HEAP);
    z->mapped = (H.mapped << GT_SLOT_SHIFT) + H.huge_bytes;
    z->used = (H.used << GT_SLOT_SHIFT) + H.huge_bytes;
    z->dirty = H.ndirty << GT_SLOT_SHIFT;
    z->huge = H.huge_bytes;
    z->nmalloc = H.nmalloc;
    z->nfree = H.nfree;
    z->large_bytes = H.large_bytes;
    gt_unlock(&H.lock, GT_RANK_HEAP);
}

void gt_heap_fork_lock(void)
{
    gt_lock(&H.lock, GT_RANK_HEAP);
}

void gt_heap_fork_unlock(void)
{
    gt_unlock(&H.lock, GT_RANK_HEAP);
}
