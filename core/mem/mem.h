/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The heap: its shapes, and the fast half of malloc and free.   Sources of the ideas: Go's mheap.go
 * and mcache.go (spans, a cache for each P, central lists); mimalloc's free lists within a page.
 *
 *   arena   64 MiB of address space, aligned to its size, mapped from the bottom as it is needed.
 *           gt_arena_kind[address >> 26] says whether an address lies in one.
 *   slot    64 KiB of an arena; the first four hold the descriptors of all 1024.
 *   span    one or more slots that hold objects of one size class, or one large object.  Its
 *           descriptor is the one of its first slot; those of the others lead there.
 *   mcache  owns spans.  Only its owner allocates from them and frees into them without atomics:
 *           a P, a kernel thread, or, behind a lock, whoever has neither (gt_mshared).
 *
 *     address --- >> 26 ---> gt_arena_kind --- & ~(64M-1), >> 16 & 1023 ---> struct gt_span
 *                                                  (start, size, magic) ---> object
 *
 * Life of a span of small objects.  Exactly one mcache (or the central lists) owns it:
 *   state     on which list          left by
 *   CURRENT   mc->of[class].cur      its last object is taken -> FULL; the last that was used, and
 *                                    another span has such -> PARTIAL
 *   FULL      mc->full[class]        an object comes back -> PARTIAL
 *   PARTIAL   mc->partial[class]     taken for allocation -> CURRENT; the last object comes back ->
 *                                    page heap; somebody else looks for one -> central
 *   CENTRAL   central list, or none  taken by an mcache -> CURRENT; empty -> page heap
 *             when it is full
 *
 * Objects have no header, and a free object holds nothing of ours: which ones are in use say the
 * `live` bits, in the span's descriptor or beside it.  So neither an overrun nor a use after free
 * can lead the allocator astray, a second free is seen, and a cold object is not touched by malloc
 * or free.
 *
 * Free is last in, first out: an mcache keeps the newest few of each class, whatever span of its
 * own they are of, as they are warm in the CPU's cache, and with each the place of its live bit, so
 * that its span need not be looked at again.  The span counts them as in use.  When there are none,
 * allocation goes through the span's `own` bits 64 at a time: span->word has those of the window
 * that it is in now.  A few of them are kept at once, if they are not known to have only zeros, so
 * that malloc finds one there nearly always.  The objects from `seen` on were never used and, if
 * the span is sparse, have no memory: they come last, by the page, and only if no other span with
 * room has used ones.  An object is free just when it is not live; then it is kept by its owner's
 * mcache, or in own or word.
 *
 * A free by somebody who is not the owner sets the object's bit in `remote`.  Who sets the first
 * one of a word says so in `told`, and who sets the first one of told pushes the span on its
 * owner's inbox.  The owner takes it from there when it has no span with room: told to 0, then the
 * words that it named.  So a word that is not 0 has one bit in told, or will have, and is not taken
 * before:
 *
 *   word 0 --first bit--> told ------owner: told to 0------> taken --owner: word to 0--> word 0
 *                          ^ more bits: nobody need be told      ^ these, too
 *
 * Only what was taken is counted in nfree, and a span goes back to the page heap only when nfree ==
 * nmalloc: so between the bit and the push the span stays what it is.  One whose owner has changed
 * meanwhile is passed on.
 */
#ifndef GT_MEM_H
#define GT_MEM_H

#include "core/base/atomic.h"
#include "core/base/base.h"
#include "core/kit/kit.h"

#define GT_ARENA_SHIFT 26
#define GT_ARENA_BYTES (1ul << GT_ARENA_SHIFT)
#define GT_SLOT_SHIFT  16
#define GT_SLOT_BYTES  (1ul << GT_SLOT_SHIFT)
#define GT_ARENA_SLOTS 1024
#define GT_META_SLOTS  4
#define GT_VA_ARENAS   (1ul << (47 - GT_ARENA_SHIFT))

#define GT_NCLASS    73 /* 1..72; 0: a large object */
#define GT_SMALL_MAX 32768ul
#define GT_TABLE_MAX 1024ul       /* the sizes whose class is in a table */
#define GT_GROWN_MIN (2ul << 20)  /* and what realloc makes larger than this */
#define GT_GROWN_BY  (2ul << 20)  /* ... in steps of a large page */
#define GT_HUGE_MIN  (32ul << 20) /* from here on a mapping of its own */

enum gt_arena_kind { GT_ARENA_NONE, GT_ARENA_SMALL, GT_ARENA_HUGE, GT_ARENA_FOREIGN };

enum gt_span_state {
    GT_SPAN_FREE,   /* slots are the page heap's */
    GT_SPAN_SMALL,  /* the first slot of a span of small objects */
    GT_SPAN_LARGE,  /* ... of one large object */
    GT_SPAN_KEPT,   /* LARGE, but free, in an mcache */
    GT_SPAN_INSIDE, /* a later slot of any of them */
};

#define GT_SPAN_BITS 256 /* objects whose bits find place in the descriptor */
/* So many objects of a class an mcache keeps: about 16 KiB, but 4 to 64. */
#define GT_KEPT_MAX(size) ((size) <= 256 ? 64u : (size) <= 4096 ? 16384u / (size) : 4u)
/* Large spans that an mcache keeps: of so many slots, alone and together; of each number, so many.
 */
#define GT_LARGE_SLOTS  8
#define GT_LARGE_CACHED 2

struct gt_mcache;

/* Of 64 objects.  In one line: who frees another's object needs both `live` and `remote`. */
struct gt_bits {
    uint64_t own;              /* can be allocated */
    uint64_t live;             /* in use: the owner writes, when it hands out and takes back */
    _Atomic uint64_t remote;   /* others freed them: add, acquire/release; pairs with the taker */
    union {                    /* of inline_bits only: */
        _Atomic uint64_t told; /* [0]: words whose remote is not 0: add, acquire/release; the
                                  owner's exchange pairs with it */
        struct gt_span *inbox_next; /* [1]: who pushed it on the inbox; then the taker */
    };
};

struct gt_span {
    /* Whoever frees an object reads this line: hardly written while the span is in use, so that it
     * is in every CPU's cache. */
    _Atomic(struct gt_mcache *) owner; /* changed by the owner, or under a central lock */
    uint64_t magic;                    /* 2^64 / size, rounded up: index and rest of an address */
    struct gt_bits *bits;
    char *start;
    char *limit;    /* end of the last whole object */
    uint16_t units; /* the size of an object, / 16 */
    uint16_t count; /* objects */
    uint32_t nslots;
    uint16_t inside; /* INSIDE: distance to the first slot */
    uint8_t class;   /* 0: LARGE */
    uint8_t state;   /* enum gt_span_state */
    uint8_t zero;    /* objects that never were in word have only zeros, which is worth to know */
    uint8_t sparse;  /* ... have no memory yet */
    /* the owner's */
    GT_CACHE_ALIGN uint64_t word; /* free objects of this window */
    char *wstart;                 /* its first object */
    uint32_t nmalloc; /* objects taken out, since the counts were folded into the mcache's */
    uint32_t nfree;   /* and come back */
    uint32_t wake;    /* a free that would make nfree this takes the slow path.  CURRENT: far off;
                         FULL: the next one; PARTIAL: the last one */
    uint16_t win;     /* the window */
    uint16_t seen;    /* objects from here on never were in word */
    struct gt_span *prev, *next;
    uint8_t fresh; /* what is in word has only zeros */
    uint8_t list;  /* enum gt_span_list */
    GT_CACHE_ALIGN struct gt_bits inline_bits[GT_SPAN_BITS / 64];
};
#define GT_TOLD(s)       (&(s)->inline_bits[0].told)
#define GT_INBOX_NEXT(s) ((s)->inline_bits[1].inbox_next)
_Static_assert(sizeof(struct gt_span) == 256, "descriptors fill four cache lines");
_Static_assert(offsetof(struct gt_span, word) == 64, "the owner's line is its own");

enum gt_span_list { GT_ON_NONE, GT_ON_CURRENT, GT_ON_FULL, GT_ON_PARTIAL, GT_ON_CENTRAL };

struct gt_span_head {
    struct gt_span *first, *last;
    uint32_t n;
};

/* A free object that an mcache keeps, and its bit in *live. */
struct gt_kept {
    void *at; /* NULL: the one below the oldest */
    uint64_t *live, bit;
};
enum {
    GT_KEPT_ALL = 0 /* of all classes, with the one below */
#define C(cl, sz, bytes, n) +(GT_KEPT_MAX(sz) + 1)
#include "core/mem/sizeclass.def"
};

struct gt_mcache {
    struct gt_of_class {
        struct gt_kept *top; /* behind the newest */
        struct gt_kept *end; /* top when there is no room for more */
        struct gt_span *cur; /* never NULL: gt_span_none */
        uint64_t again;      /* how often a kept one was handed out that had been freed: may be
                                less than 0 for a while */
    } of[GT_NCLASS];
    uint8_t nlarge[GT_LARGE_SLOTS + 1];
    struct gt_span *large[GT_LARGE_SLOTS + 1][GT_LARGE_CACHED]; /* free, by slots */
    uint32_t share;       /* a class of which others want spans; 0: none */
    uint32_t large_slots; /* of all of them */
    bool shared;          /* it is gt_mshared_lock's */
    struct gt_span_head partial[GT_NCLASS];
    struct gt_span_head full[GT_NCLASS];
    uint64_t nmalloc[GT_NCLASS], nfree[GT_NCLASS]; /* of spans that it gave up */
    uint64_t ahead_at[GT_NCLASS]; /* of[].again when objects were kept ahead last: still the same
                                     when those are used up, if none came back meanwhile */
    uint32_t aged[GT_NCLASS];     /* what was allocated of a class by the last GT_DUE_AGE */
    GT_CACHE_ALIGN _Atomic(struct gt_span *) inbox; /* pushed by anybody (CAS), taken whole */
    GT_CACHE_ALIGN struct gt_mcache *alllink;       /* list of all: push only */
    _Atomic uint32_t due;   /* GT_DUE_*: what its owner is asked to do; set by anybody */
    _Atomic uint64_t state; /* GT_MC_*; an owner stores (release), others CAS (acquire, release) */
    struct gt_kept kept[GT_KEPT_ALL];
};
#define GT_DUE_FLUSH 1u /* gt_mc_flush */
#define GT_DUE_TRIM  2u /* ... with pages of spans in use */
#define GT_DUE_AGE   4u /* ... but only of classes that were not used since it was last asked */
/* An mcache's state: the low bit says that it has an owner; the 31 bits above it are the kernel
 * thread, 0: a P; the upper half counts owners.  All in one word: who finds that the kernel thread
 * is dead must not take the mcache from the next owner. */
#define GT_MC_OWNED      1ul
#define GT_MC_TID(state) ((int)((uint32_t)(state) >> 1))

extern struct gt_span gt_span_none;
extern _Atomic uint8_t gt_arena_kind[GT_VA_ARENAS];

extern const struct gt_class {
    uint32_t size, span, count;
} gt_classes[GT_NCLASS];
extern const uint8_t gt_class_fast[GT_TABLE_MAX / 16 + 1]; /* [(bytes + 15) / 16] */

/* 1 <= n <= GT_SMALL_MAX */
static inline unsigned gt_class_of(size_t n)
{
    if (n <= 128)
        return (unsigned)((n + 15) >> 4) + (n == 0);
    unsigned b = 63 - (unsigned)__builtin_clzl(n - 1);
    return 1 + (b - 7) * 8 + (unsigned)((n - 1) >> (b - 3));
}

/* The descriptor of the slot of an address in an arena of small spans. */
static inline struct gt_span *gt_slot_of(uintptr_t p)
{
    return (struct gt_span *)(p & ~(GT_ARENA_BYTES - 1)) +
           ((p >> GT_SLOT_SHIFT) & (GT_ARENA_SLOTS - 1));
}

static inline bool gt_in_arena(uintptr_t p)
{
    return p >> GT_ARENA_SHIFT < GT_VA_ARENAS &&
           load_rlx(&gt_arena_kind[p >> GT_ARENA_SHIFT]) == GT_ARENA_SMALL;
}

/* The index of the object that begins `off` bytes into the span.  False: none does.  At the span's
 * end, where no object has room, it is `count`, whose bits are there and never set. */
static inline bool gt_span_index(const struct gt_span *s, size_t off, uint32_t *idx)
{
    __extension__ typedef unsigned __int128 u128;
    u128 q = (u128)off * s->magic;
    *idx = (uint32_t)(q >> 64);
    return (uint64_t)q < s->magic;
}

static inline char *gt_span_object(const struct gt_span *s, unsigned idx)
{
    return s->start + (size_t)idx * s->units * 16;
}

/* Takes an object of the window; NULL: it has none.  Owner only. */
static inline __attribute__((always_inline)) void *gt_span_take(struct gt_span *s)
{
    uint64_t word = s->word;
    if (unlikely(!word))
        return NULL;
    s->word = word & (word - 1);
    s->nmalloc++;
    s->bits[s->win].live |= word & -word;
    return s->wstart + (size_t)__builtin_ctzll(word) * s->units * 16;
}

/* Takes the newest of what k keeps; NULL: nothing. */
static inline __attribute__((always_inline)) void *gt_kept_take(struct gt_of_class *k)
{
    struct gt_kept *e = k->top - 1;
    void *p = e->at;
    if (unlikely(!p))
        return NULL;
    k->top = e;
    *e->live |= e->bit;
    k->again++;
    return p;
}

/* The object at p, whose bit of b this is, is not live any more: into k.  False: no room. */
static inline __attribute__((always_inline)) bool gt_keep(struct gt_of_class *k, struct gt_bits *b,
                                                          uint64_t bit, void *p)
{
    struct gt_kept *e = k->top;
    if (unlikely(e == k->end))
        return false;
    b->live ^= bit;
    k->top = e + 1;
    *e = (struct gt_kept){p, &b->live, bit};
    return true;
}

/* NULL: take gt_mc_malloc.  About 20 instructions. */
static inline __attribute__((always_inline)) void *gt_mc_malloc_fast(struct gt_mcache *mc, size_t n)
{
    unsigned c;
    if (likely(n <= GT_TABLE_MAX))
        c = gt_class_fast[(n + 15) >> 4];
    else if (n <= GT_SMALL_MAX)
        c = gt_class_of(n);
    else
        return NULL;
    struct gt_of_class *k = &mc->of[c];
    void *p = gt_kept_take(k);
    if (likely(p != NULL))
        return p;
    /* once more, or zeros: one by one */
    return k->again == mc->ahead_at[c] || k->cur->fresh ? gt_span_take(k->cur) : NULL;
}

/* Gives p back, if it is an object of a span of mc's and nothing is unusual; false: take
 * gt_mc_free.  About 40 instructions. */
static inline __attribute__((always_inline)) bool gt_mc_free_fast(struct gt_mcache *mc, void *ptr)
{
    uintptr_t p = (uintptr_t)ptr;
    uint32_t idx;
    if (unlikely(!gt_in_arena(p)))
        return false;
    struct gt_span *s = gt_slot_of(p);
    if (unlikely(load_rlx(&s->owner) != mc) ||
        unlikely(!gt_span_index(s, p & (GT_SLOT_BYTES - 1), &idx)))
        return false;
    struct gt_bits *b = &s->bits[idx >> 6];
    uint64_t bit = 1ull << (idx & 63);
    if (unlikely(!(b->live & ~load_rlx(&b->remote) & bit))) /* somebody has freed it before */
        return false;
    if (likely(gt_keep(&mc->of[s->class], b, bit, ptr)))
        return true;
    if (unlikely(s->nfree + 1 == s->wake))
        return false;
    bool here = idx >> 6 == s->win;
    b->live &= ~bit;
    *(here ? &s->word : &b->own) |= bit;
    s->nfree++;
    s->fresh &= !here;
    return true;
}

/* Objects are multiples of 16 bytes, aligned: zeros and copies need no odd ends. */
typedef uint64_t gt_v2 __attribute__((vector_size(16), may_alias));
#define GT_BY_STRING 4096ul /* from here on the CPU's string instructions are faster */

static inline void gt_zero(void *p, size_t n)
{
    gt_v2 *v = p, *end = v + (n + 15) / 16;
    if (n >= GT_BY_STRING) {
        gt_memset(p, 0, n);
        return;
    }
    for (; end - v >= 4; v += 4)
        v[0] = v[1] = v[2] = v[3] = (gt_v2){0, 0};
    for (; v < end; v++)
        *v = (gt_v2){0, 0};
}

static inline void gt_copy(void *to, const void *from, size_t n)
{
    gt_v2 *v = to, *end = v + (n + 15) / 16;
    const gt_v2 *w = from;
    if (n >= GT_BY_STRING) {
        gt_memcpy(to, from, n);
        return;
    }
    for (; end - v >= 4; v += 4, w += 4) {
        gt_v2 a = w[0], b = w[1], c = w[2], d = w[3];
        v[0] = a;
        v[1] = b;
        v[2] = c;
        v[3] = d;
    }
    for (; v < end; v++, w++)
        *v = *w;
}

/* ---- mcache.c: the owner's slow half; mc is the caller's, which nobody else uses meanwhile ----
 */

/* The same for all n up to PTRDIFF_MAX.  *zero: set when the memory has only zeros.  NULL: no
 * memory. */
void *gt_mc_malloc(struct gt_mcache *mc, size_t n, bool *zero);
enum gt_free {
    GT_FREE_OK,
    GT_FREE_FOREIGN, /* not in the heap */
    GT_FREE_DOUBLE,  /* free already */
    GT_FREE_INSIDE,  /* not at the start of an object */
    GT_FREE_NEVER,   /* in the heap, where no object is or was */
};
enum gt_free gt_mc_free(struct gt_mcache *mc, void *p);
/* Gives back p, if it is an object of a span of another mcache's and nothing is unusual; false:
 * take gt_mc_free. */
bool gt_mc_free_remote(struct gt_mcache *mc, void *p);
/* Gives up what it keeps at hand, and empty spans; trim: pages within its spans that hold free
 * objects only go back to the kernel, too.  Bytes of those. */
size_t gt_mc_flush(struct gt_mcache *mc, bool trim);
/* Asks all owners for it; they see it when they next run out of objects, or gt_mc_attend is called
 * for them. */
void gt_mc_ask(uint32_t due);
void gt_mc_attend_slow(struct gt_mcache *mc);
static inline void gt_mc_attend(struct gt_mcache *mc)
{
    if (unlikely(load_rlx(&mc->due)))
        gt_mc_attend_slow(mc);
}
/* Those that nobody owns now, and those of kernel threads that have ended. */
void gt_mc_flush_idle(void);
/* A new one, or one that nobody has any more, for a kernel thread (its id) or a P (0).  NULL: no
 * memory. */
struct gt_mcache *gt_mc_get(int tid);
/* Its owner gives it to another one: a kernel thread or a P (0). */
void gt_mc_chown(struct gt_mcache *mc, int tid);
/* Its owner does not use it any more; it goes with its spans to the next one who asks. */
void gt_mc_put(struct gt_mcache *mc);
/* For those who have no mcache: take it with gt_mshared_lock. */
struct gt_mcache *gt_mshared_lock(void);
void gt_mshared_unlock(void);
/* The list of all. */
struct gt_mcache *gt_mc_all(void);
/* Around fork: lock, then unlock in the parent, or child: own is the survivor's mcache (NULL: it
 * has none), tid its kernel thread's new id; the others' spans become central. */
void gt_mem_fork_lock(void);
void gt_mem_fork_unlock(void);
void gt_mem_fork_child(struct gt_mcache *own, int tid);

/* ---- mcentral.c ---- */
/* The owner of spans that no mcache has: only its address and its inbox are used. */
extern struct gt_mcache gt_central;
/* A span with room, now mc's, or NULL: then it is noted that mc wants one. */
struct gt_span *gt_central_get(struct gt_mcache *mc, unsigned class);
/* Does somebody other than mc want one?  Asking takes the note away. */
bool gt_central_wanted(struct gt_mcache *mc, unsigned class);
/* Takes a span over from its owner, who has taken it off its lists.  full: nothing is free in it.
 */
void gt_central_put(struct gt_span *s, bool full);
/* Spans that came back through the inbox: links them, empty ones go to the page heap. */
void gt_central_collect(void);
size_t gt_central_trim(void);
void gt_central_fork_lock(void);
void gt_central_fork_unlock(void);

/* mcache.c: shared with mcentral.c */
void gt_inbox_push(struct gt_mcache *mc, struct gt_span *s);
/* Moves what others freed to the span's own bits. */
void gt_span_collect(struct gt_span *s);
/* The words of s->remote that are not 0.  For a still heap, or a look. */
uint64_t gt_span_remote_words(const struct gt_span *s);
/* Gives the kernel the pages of s that hold free objects only.  Owner only.  Bytes. */
size_t gt_span_trim(struct gt_span *s);
/* Reads that a thread other than the owner may do while the owner writes: what they look at is the
 * same before and after for the object that the reader has. */
#ifdef __SANITIZE_THREAD__ /* taken into their caller, they would be watched there */
#define GT_RACES __attribute__((noipa, no_sanitize("thread")))
#else
#define GT_RACES
#endif
/* Is the object free?  Never true of one in use, for whoever has its address from who allocated
 * it. */
GT_RACES bool gt_span_is_free(const struct gt_span *s, uint32_t idx);

/* ---- mheap.c: slots and large objects; takes the HEAP lock ---- */
/* A span of n slots (n < 1022), owner NULL, or NULL.  *zero: all zeros. */
struct gt_span *gt_heap_alloc(size_t nslots, size_t align_slots, bool *zero);
/* A span of one object of n bytes, aligned to a power of two. */
struct gt_span *gt_large_alloc(size_t n, size_t align, bool *zero);
static inline size_t gt_slots(size_t n)
{
    return (n + GT_SLOT_BYTES - 1) >> GT_SLOT_SHIFT;
}
void gt_heap_free(struct gt_span *s);
/* Makes it n slots long, in place.  False: not possible. */
bool gt_heap_resize(struct gt_span *s, size_t nslots);
void *gt_huge_alloc(size_t n, size_t align);
bool gt_huge_free(void *p);
/* The new address (pages moved), or NULL: no memory. */
void *gt_huge_realloc(void *p, size_t n);
/* Bytes of the huge object that holds p and its start, or 0. */
size_t gt_huge_find(const void *p, char **start);
/* Gives back what is free, but for `keep` bytes.  Bytes given back. */
size_t gt_heap_scavenge(size_t keep);
/* Many slots were handed out since this was last set: who sees it clears it, and asks the owners to
 * give up what they have not used meanwhile.  A hint: relaxed. */
extern _Atomic bool gt_heap_age_due;
/* What the configuration says: set once, before the heap is used. */
extern struct gt_heap_policy {
    size_t limit; /* GOMEMLIMIT, bytes: nothing free is kept beyond it */
    bool lazy;    /* MADV_FREE */
    size_t base;  /* address of the first arena; 0: a random one */
} gt_heap_policy;
/* A round of giving back, for a thread that comes by about ten times a second.  idle: all of it. */
void gt_heap_background(bool idle);
/* Calls f for every span in use, in address order.  No lock: for a still heap, or a look. */
void gt_heap_each_span(void (*f)(struct gt_span *s, void *arg), void *arg);
struct gt_heap_sizes {
    size_t mapped, used, dirty, huge;     /* bytes; dirty: free, but still with memory */
    uint64_t nmalloc, nfree, large_bytes; /* large and huge objects ever made, freed */
};
void gt_heap_sizes(struct gt_heap_sizes *z);
void gt_heap_fork_lock(void);
void gt_heap_fork_unlock(void);
/* Bits for a span of so many objects: s->bits, s->remote.  False: no memory. */
bool gt_heap_bits(struct gt_span *s, uint32_t count);

/* ---- malloc.c: what an address is ---- */
struct gt_object {
    char *base;  /* of the object that holds the address; of the slot, if none */
    size_t size; /* usable bytes */
    struct gt_span *span;
    enum { GT_OBJ_NONE, GT_OBJ_LIVE, GT_OBJ_FREE, GT_OBJ_NEVER } what;
};
/* Safe for any address. */
GT_RACES struct gt_object gt_heap_find(const void *p);
/* The first span's descriptor for an address in an arena; NULL: the slot is free. */
GT_RACES struct gt_span *gt_span_of(uintptr_t p);
/* Usable bytes of a live object that begins at p; 0: it is none. */
size_t gt_usable(const void *p);
/* Memory aligned to a power of two.  *zero as gt_mc_malloc. */
void *gt_mc_memalign(struct gt_mcache *mc, size_t align, size_t n, bool *zero);

/* What stops the program.  Never returns. */
enum gt_mem_error {
    GT_MEM_DOUBLE,  /* free of a free object */
    GT_MEM_WILD,    /* free of what the heap never gave */
    GT_MEM_OVERRUN, /* written past the end of an object */
};
GT_NORETURN void gt_mem_error(enum gt_mem_error e, const void *p);
/* Set by the interpose layer: prints what p is, tracebacks, and ends the program. */
extern void (*gt_mem_die)(enum gt_mem_error e, const void *p);

/* Go's MemStats; bytes. */
struct gt_memstats {
    uint64_t HeapAlloc, HeapSys, HeapIdle, HeapInuse, HeapReleased, HeapObjects;
    uint64_t Mallocs, Frees, TotalAlloc, Sys;
    struct {
        uint64_t Size, Mallocs, Frees;
    } BySize[GT_NCLASS];
};
void gt_readmemstats(struct gt_memstats *st);

#endif
