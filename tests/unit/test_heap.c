/* SPDX-License-Identifier: BSD-2-Clause */
/* core/mem: the table of size classes, derived again; slots and their zeros; objects of one and of
 * many owners, frees by others, what comes back; what an address is. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/mem/mem.h"

#define K 1024ul

static void setup(void)
{
    if (!UNIT_SANITIZED)
        return;
    /* where the thread sanitizer lets a program have memory */
    size_t room = 16ul << 30;
    char *p = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert(p != MAP_FAILED);
    munmap(p, room);
    gt_heap_policy.base = GT_ALIGN_UP((uintptr_t)p, GT_ARENA_BYTES);
}

/* ---- size classes ---- */

static size_t step_of(size_t size)
{
    size_t base = 128;
    if (size <= 128)
        return 16;
    while (base * 2 < size)
        base *= 2;
    return base / 8;
}

START_TEST(test_classes)
{
    size_t size = 0;
    for (unsigned c = 1; c < GT_NCLASS; c++) {
        const struct gt_class *k = &gt_classes[c];
        size += size < 128 ? 16 : step_of(size + 1);
        ck_assert_uint_eq(k->size, size);
        ck_assert_uint_eq(k->count, k->span / k->size);
        ck_assert_uint_le(k->count, 4096);
        ck_assert_uint_eq(k->span % GT_SLOT_BYTES, 0);
        if (size <= 8 * K) /* free's fast path */
            ck_assert_uint_eq(k->span, GT_SLOT_BYTES);
        /* waste: of the span, and of the object beyond what 16-byte alignment costs */
        ck_assert_uint_le((k->span - k->count * k->size) * 8, k->span);
        for (size_t less = GT_SLOT_BYTES; less < k->span; less += GT_SLOT_BYTES)
            ck_assert_uint_gt(less % k->size * 8, less);
        size_t least = gt_classes[c - 1].size + 1, aligned = (least + 15) / 16 * 16;
        ck_assert_uint_le((k->size - aligned) * 8, k->size);
    }
    ck_assert_uint_eq(size, GT_SMALL_MAX);
}
END_TEST

START_TEST(test_class_of)
{
    unsigned c = 1;
    ck_assert_uint_eq(gt_class_of(0), 1);
    for (size_t n = 1; n <= GT_SMALL_MAX; n++) {
        if (n > gt_classes[c].size)
            c++;
        ck_assert_uint_eq(gt_class_of(n), c);
        if (n <= GT_TABLE_MAX)
            ck_assert_uint_eq(gt_class_fast[(n + 15) / 16], c);
    }
}
END_TEST

/* Every offset of a span leads to its object, and only the first byte of one is its beginning. */
START_TEST(test_index)
{
    const struct gt_class *k = &gt_classes[_i + 1];
    struct gt_span s = {.magic = ~0ull / k->size + 1, .count = (uint16_t)k->count};
    for (size_t off = 0; off < k->span; off++) {
        uint32_t idx;
        bool begins = gt_span_index(&s, off, &idx);
        ck_assert(begins == (off % k->size == 0));
        ck_assert(off / k->size < k->count || k->count % 64); /* the end has a bit */
        if (begins)
            ck_assert_uint_eq(idx, off / k->size);
    }
}
END_TEST

/* ---- slots ---- */

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* Random spans: none lies in another one, and zeros are what is said to be zeros. */
START_TEST(test_slots)
{
    enum { SPANS = 40 };
    struct gt_span *span[SPANS] = {NULL};
    uint64_t seed = unit_seed("slots");
    gt_heap_policy.lazy = _i == 1;
    for (int i = 0; i < UNIT_STEPS(3000); i++) {
        struct gt_span **s = &span[unit_below(&seed, SPANS)];
        if (*s) {
            ck_assert_ptr_eq(gt_span_of((uintptr_t)(*s)->start + (*s)->nslots * GT_SLOT_BYTES - 1),
                             *s);
            gt_heap_free(*s);
            *s = NULL;
            continue;
        }
        bool zero;
        size_t n = 1 + unit_below(&seed, 20), align = 1ul << unit_below(&seed, 4);
        *s = gt_heap_alloc(n, align, &zero);
        ck_assert_ptr_nonnull(*s);
        (*s)->state = GT_SPAN_LARGE;
        ck_assert_uint_eq((uintptr_t)(*s)->start % (align * GT_SLOT_BYTES), 0);
        for (size_t k = 0; k < n; k++)
            ck_assert(!zero || is_zero((*s)->start + k * GT_SLOT_BYTES, 4096));
        for (int k = 0; k < SPANS; k++)
            if (span[k] && span[k] != *s)
                ck_assert((*s)->start + n * GT_SLOT_BYTES <= span[k]->start ||
                          span[k]->start + span[k]->nslots * GT_SLOT_BYTES <= (*s)->start);
        for (size_t k = 0; k < n; k++)
            memset((*s)->start + k * GT_SLOT_BYTES, 1, 4096);
        if (unit_below(&seed, 50) == 0)
            gt_heap_scavenge(0);
    }
}
END_TEST

START_TEST(test_scavenge)
{
    bool zero;
    struct gt_heap_sizes z;
    struct gt_span *s = gt_heap_alloc(15, 1, &zero);
    ck_assert(zero);
    s->state = GT_SPAN_LARGE;
    gt_heap_sizes(&z);
    ck_assert_uint_eq(z.used, (15 + GT_META_SLOTS) * GT_SLOT_BYTES);
    gt_heap_free(s);
    gt_heap_sizes(&z);
    ck_assert_uint_eq(z.dirty, 15 * GT_SLOT_BYTES);
    ck_assert_uint_eq(gt_heap_scavenge(10 * GT_SLOT_BYTES), 5 * GT_SLOT_BYTES);
    gt_heap_sizes(&z);
    ck_assert_uint_eq(z.dirty, 10 * GT_SLOT_BYTES);
    gt_heap_policy.limit = 1; /* GOMEMLIMIT: nothing that is free is kept */
    s = gt_heap_alloc(1, 1, &zero);
    ck_assert(!zero);
    s->state = GT_SPAN_LARGE;
    gt_heap_free(s);
    gt_heap_sizes(&z);
    ck_assert_uint_eq(z.dirty, 0);
}
END_TEST

START_TEST(test_huge)
{
    char *p = gt_huge_alloc(40ul << 20, 1), *start;
    ck_assert_ptr_nonnull(p);
    p[0] = 1;
    p[(40ul << 20) - 1] = 2;
    ck_assert_uint_eq(gt_huge_find(p + 12345, &start), 40ul << 20);
    ck_assert_ptr_eq(start, p);
    p = gt_huge_realloc(p, 300ul << 20);
    ck_assert_int_eq(p[0] + p[(40ul << 20) - 1], 3);
    p = gt_huge_realloc(p, 1ul << 20);
    ck_assert_int_eq(p[0], 1);
    ck_assert(!gt_huge_free(p + 4096));
    ck_assert(gt_huge_free(p));
    ck_assert_uint_eq(gt_huge_find(p, NULL), 0);
    ck_assert_uint_eq((uintptr_t)gt_huge_alloc(GT_HUGE_MIN, 1ul << 30) % (1ul << 30), 0);
}
END_TEST

/* ---- objects of one owner ---- */

static uint64_t live_of(unsigned c)
{
    static struct gt_memstats st;
    gt_readmemstats(&st);
    return st.BySize[c].Mallocs - st.BySize[c].Frees;
}

/* No object is in use, and no slot but those of the arenas' descriptors. */
static void nothing_left(void)
{
    for (unsigned c = 0; c < GT_NCLASS; c++)
        ck_assert_uint_eq(live_of(c), 0);
    struct gt_heap_sizes z;
    gt_heap_sizes(&z);
    ck_assert_uint_eq(z.used % GT_ARENA_BYTES, GT_META_SLOTS * GT_SLOT_BYTES);
}

/* A model of 500 objects: all sizes, contents, what an address is. */
START_TEST(test_one_owner)
{
    enum { OBJECTS = 500 };
    static struct {
        unsigned char *p;
        size_t n;
    } o[OBJECTS];
    struct gt_mcache *mc = gt_mc_get(0);
    uint64_t seed = unit_seed("one owner");
    for (int i = 0; i < UNIT_STEPS(200000); i++) {
        unsigned k = unit_below(&seed, OBJECTS);
        if (o[k].p) {
            ck_assert_uint_eq(o[k].p[0], k & 0xff);
            ck_assert_uint_eq(o[k].p[o[k].n - 1], k & 0xff);
            struct gt_object f = gt_heap_find(o[k].p + unit_below(&seed, (uint32_t)o[k].n));
            ck_assert_ptr_eq(f.base, o[k].p);
            ck_assert_int_eq(f.what, GT_OBJ_LIVE);
            ck_assert_uint_ge(f.size, o[k].n);
            if (!gt_mc_free_fast(mc, o[k].p))
                ck_assert_int_eq(gt_mc_free(mc, o[k].p), GT_FREE_OK);
            o[k].p = NULL;
            continue;
        }
        bool zero = false;
        size_t n = 1 + unit_below(&seed, 1u << (3 + unit_below(&seed, 15)));
        size_t align = unit_below(&seed, 8) ? 16 : 1ul << unit_below(&seed, 18);
        unsigned char *p = align == 16 && n <= GT_SMALL_MAX ? gt_mc_malloc_fast(mc, n) : NULL;
        p = p ? p : gt_mc_memalign(mc, align, n, &zero);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % GT_MAX(align, 16ul), 0);
        ck_assert(!zero || is_zero((char *)p, n));
        memset(p, (int)k, n);
        o[k].p = p;
        o[k].n = n;
    }
    for (int k = 0; k < OBJECTS; k++)
        if (o[k].p)
            ck_assert_int_eq(gt_mc_free(mc, o[k].p), GT_FREE_OK);
    gt_mc_flush(mc, false);
    nothing_left();
}
END_TEST

START_TEST(test_wrong_frees)
{
    bool zero;
    struct gt_mcache *mc = gt_mc_get(0), *other = gt_mc_get(0);
    char *p = gt_mc_malloc(mc, 100, &zero), *q = gt_mc_malloc(mc, 22000, &zero);
    char *l = gt_mc_malloc(mc, 200000, &zero);
    int local;
    ck_assert_int_eq(gt_mc_free(mc, p + 16), GT_FREE_INSIDE);
    ck_assert_int_eq(gt_mc_free(mc, p + 112), GT_FREE_DOUBLE); /* free, and never was otherwise */
    ck_assert_int_eq(gt_mc_free(mc, q + 70000), GT_FREE_INSIDE);
    ck_assert_int_eq(gt_mc_free(mc, l + 70000), GT_FREE_INSIDE);
    ck_assert_int_eq(gt_mc_free(mc, &local), GT_FREE_FOREIGN);
    ck_assert_int_eq(gt_mc_free(mc, (char *)((uintptr_t)p & ~(GT_ARENA_BYTES - 1))), GT_FREE_NEVER);
    ck_assert(!gt_mc_free_remote(mc, p)); /* its own, the inside of one, no object, none of ours */
    ck_assert(!gt_mc_free_remote(other, p + 16));
    ck_assert(!gt_mc_free_remote(other, p + 112));
    ck_assert(!gt_mc_free_remote(other, l));
    ck_assert(!gt_mc_free_remote(other, &local));
    ck_assert(gt_mc_free_remote(other, p));
    ck_assert(!gt_mc_free_remote(other, p));
    ck_assert(!gt_mc_free_fast(mc, p)); /* nor by its owner, who has not looked yet */
    ck_assert_int_eq(gt_mc_free(mc, p), GT_FREE_DOUBLE);
    ck_assert_int_eq(gt_mc_free(other, p), GT_FREE_DOUBLE);
    ck_assert_int_eq(gt_mc_free(mc, p), GT_FREE_DOUBLE);
    ck_assert_int_eq(gt_mc_free(mc, q), GT_FREE_OK);
    ck_assert(!gt_mc_free_fast(mc, q));
    ck_assert_int_eq(gt_mc_free(mc, q), GT_FREE_DOUBLE);
    ck_assert_int_eq(gt_mc_free(mc, l), GT_FREE_OK);
    ck_assert_int_eq(gt_mc_free(mc, l), GT_FREE_DOUBLE);
}
END_TEST

/* What an mcache may keep ahead of malloc is free, comes in the order of addresses, and is zero
 * where malloc says so. */
START_TEST(test_kept_ahead)
{
    static const size_t sizes[] = {16, 256, 2048, 6144};
    bool zero = false, again;
    size_t n = sizes[_i];
    unsigned c = gt_class_of(n);
    struct gt_mcache *mc = gt_mc_get(0);
    char *p = gt_mc_malloc(mc, n, &zero);
    ck_assert_int_eq(gt_mc_free(mc, p), GT_FREE_OK);
    ck_assert_ptr_eq(gt_mc_malloc(mc, n, &again), p); /* so much comes back: others are kept */
    ck_assert_uint_eq(zero, n >= 512);
    for (size_t i = 1; i < 8; i++) {
        ck_assert_uint_eq(live_of(c), i);
        ck_assert_int_eq(gt_heap_find(p + i * n).what, GT_OBJ_FREE);
        ck_assert(!gt_mc_free_fast(mc, p + i * n));
        ck_assert_int_eq(gt_mc_free(mc, p + i * n), GT_FREE_DOUBLE);
        ck_assert_ptr_eq(gt_mc_malloc(mc, n, &again), p + i * n);
        ck_assert(again == zero && (!zero || is_zero(p + i * n, n)));
        gt_memset(p + i * n, 1, n);
    }
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(gt_mc_free(mc, p + i * n), GT_FREE_OK);
    ck_assert_uint_eq(live_of(c), 0);
    gt_mc_flush(mc, false);
    nothing_left();
}
END_TEST

/* ---- objects of many ---- */

/* Who has room gives spans to who looks for them: half of its partly used ones, once. */
START_TEST(test_sharing)
{
    enum { SPANS = 20 };
    bool zero;
    struct gt_mcache *a = gt_mc_get(0), *b = gt_mc_get(0);
    unsigned c = gt_class_of(1024), n = SPANS * gt_classes[c].count;
    void **p = malloc(sizeof(*p) * n);
    for (unsigned i = 0; i < n; i++)
        p[i] = gt_mc_malloc(a, 1024, &zero);
    ck_assert_ptr_nonnull(gt_mc_malloc(b, 1024, &zero)); /* none to be had: b makes its own */
    for (unsigned i = 0; i < n; i++)
        if (i % 4)
            ck_assert_int_eq(gt_mc_free(a, p[i]), GT_FREE_OK);
    struct gt_heap_sizes before, after;
    gt_heap_sizes(&before);
    for (unsigned i = 0; i < gt_classes[c].count; i++)
        ck_assert_ptr_nonnull(gt_mc_malloc(b, 1024, &zero));
    gt_heap_sizes(&after);
    ck_assert_uint_eq(after.used, before.used);
    free(p);
}
END_TEST

enum { LANES = 4, RING = 256 };
static _Atomic(void *) ring[LANES][RING];

/* Allocates for its neighbour, who looks at it and frees it. */
static void *lane(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, next = (me + 1) % LANES;
    struct gt_mcache *mc = gt_mc_get(0);
    uint64_t seed = me * 77 + 1;
    bool zero;
    for (int i = 0; i < UNIT_STEPS(100000); i++) {
        unsigned at = unit_below(&seed, RING);
        size_t n = 16 + unit_below(&seed, unit_below(&seed, 8) ? 300 : 20000);
        size_t *p = n <= GT_SMALL_MAX ? gt_mc_malloc_fast(mc, n) : NULL;
        p = p ? p : gt_mc_malloc(mc, n, &zero);
        p[0] = n;
        p[1] = ~n;
        p = xchg_acqrel(&ring[next][at], p);
        if (p && (p[0] != ~p[1] || gt_mc_free(mc, p) != GT_FREE_OK))
            return "lost";
        p = xchg_acqrel(&ring[me][unit_below(&seed, RING)], NULL);
        if (p && (p[0] != ~p[1] || (!gt_mc_free_fast(mc, p) && !gt_mc_free_remote(mc, p) &&
                                    gt_mc_free(mc, p) != GT_FREE_OK)))
            return "wrong";
    }
    gt_mc_flush(mc, false);
    gt_mc_put(mc);
    return NULL;
}

/* Nothing is lost, nothing handed out twice, and in the end the slots are free again. */
START_TEST(test_lanes)
{
    pthread_t t[LANES];
    for (uintptr_t i = 0; i < LANES; i++)
        t[i] = unit_start(lane, (void *)i);
    for (int i = 0; i < LANES; i++)
        ck_assert_ptr_null(unit_join(t[i]));
    struct gt_mcache *mc = gt_mc_get(0);
    for (int i = 0; i < LANES; i++)
        for (int k = 0; k < RING; k++)
            if (load_rlx(&ring[i][k]))
                ck_assert_int_eq(gt_mc_free(mc, load_rlx(&ring[i][k])), GT_FREE_OK);
    gt_mc_put(mc);
    gt_mc_ask(GT_DUE_FLUSH);
    gt_mc_flush_idle();
    gt_central_collect();
    nothing_left();
}
END_TEST

/* As a thread that has set the bit of an object it frees, and has not come to tell. */
static void half_free(void *p)
{
    struct gt_span *s = gt_span_of((uintptr_t)p);
    uint32_t idx;
    ck_assert(gt_span_index(s, (size_t)((char *)p - s->start), &idx));
    or_acqrel(&s->bits[idx / 64].remote, 1ull << idx % 64);
}

/* A child's heap after a fork in the middle of other owners' work. */
START_TEST(test_fork_child)
{
    bool zero;
    struct gt_mcache *a = gt_mc_get(0), *b = gt_mc_get(0);
    void *p[3000];
    for (int i = 0; i < 3000; i++)
        p[i] = gt_mc_malloc(b, 48, &zero);
    for (int i = 0; i < 3000; i += 2)
        gt_mc_free(i % 4 ? a : b, p[i]);
    half_free(p[2999]);
    half_free(gt_mc_malloc(a, 48, &zero));
    gt_mem_fork_lock();
    gt_mem_fork_child(a, 1); /* as if b's thread were not there */
    for (int i = 1; i < 2999; i += 2)
        ck_assert_int_eq(gt_mc_free(a, p[i]), GT_FREE_OK);
    gt_central_collect();
    ck_assert_uint_eq(live_of(gt_class_of(48)), 0);
    gt_mc_flush(a, false);
    struct gt_heap_sizes z;
    gt_heap_sizes(&z);
    ck_assert_uint_eq(z.used, GT_META_SLOTS * GT_SLOT_BYTES);
}
END_TEST

/* Whole pages of free objects within spans go back. */
START_TEST(test_trim)
{
    bool zero;
    struct gt_mcache *mc = gt_mc_get(0);
    char *p[640];
    for (int i = 0; i < 640; i++)
        memset(p[i] = gt_mc_malloc(mc, 1024, &zero), 5, 1024);
    for (int i = 0; i < 640; i++)
        if (i % 64)
            gt_mc_free(mc, p[i]);
    ck_assert_uint_ge(gt_mc_flush(mc, true), 10ul * 14 * 4096);
    for (int i = 0; i < 640; i += 64)
        for (int k = 0; k < 1024; k++)
            ck_assert_int_eq(p[i][k], 5);
}
END_TEST

/* What was used and is free again comes before what has no memory yet. */
START_TEST(test_windows)
{
    bool zero;
    struct gt_mcache *mc = gt_mc_get(0);
    enum { LIVE = 200, ROUNDS = 50 };
    char *p[LIVE], *low = (char *)UINTPTR_MAX, *high = NULL;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < LIVE; i++) {
            p[i] = gt_mc_malloc(mc, 64, &zero);
            low = GT_MIN(low, p[i]);
            high = GT_MAX(high, p[i]);
        }
        for (int i = 0; i < LIVE; i++)
            ck_assert_int_eq(gt_mc_free(mc, p[(i * 7 + round) % LIVE]), GT_FREE_OK);
    }
    ck_assert_uint_lt((size_t)(high - low), 320ul * 64);
}
END_TEST

/* ... in another span, too: the current one leaves what it never used without memory. */
START_TEST(test_spans)
{
    bool zero;
    struct gt_mcache *mc = gt_mc_get(0);
    enum { SPAN = 64, MORE = 8, AGAIN = 40 };
    char *p[SPAN + MORE];
    for (int i = 0; i < SPAN + MORE; i++)
        p[i] = gt_mc_malloc(mc, 1024, &zero);
    for (int i = 0; i < AGAIN; i++)
        gt_mc_free(mc, p[i]);
    for (int i = 0; i < AGAIN; i++) {
        p[i] = gt_mc_malloc(mc, 1024, &zero);
        ck_assert_ptr_eq(gt_span_of((uintptr_t)p[i]), gt_span_of((uintptr_t)p[SPAN - 1]));
    }
    char *next = gt_mc_malloc(mc, 1024, &zero); /* then it goes on */
    ck_assert_ptr_eq(gt_span_of((uintptr_t)next), gt_span_of((uintptr_t)p[SPAN]));
    ck_assert(zero);
}
END_TEST

static void count_class(struct gt_span *s, void *arg)
{
    unsigned *n = arg;
    n[s->state == GT_SPAN_SMALL ? s->class : 0]++;
}

/* What an owner keeps of a class that it does not use any more goes when it uses others. */
START_TEST(test_age)
{
    bool zero;
    struct gt_mcache *mc = gt_mc_get(0);
    unsigned n[GT_NCLASS] = {0}, c = gt_class_of(1024);
    static char *p[2000];
    for (int i = 0; i < 640; i++)
        p[i] = gt_mc_malloc(mc, 1024, &zero);
    for (int i = 0; i < 640; i++)
        gt_mc_free(mc, p[i * 63 % 640]);
    gt_heap_each_span(count_class, n);
    ck_assert_uint_gt(n[c], 0);
    for (int i = 0; i < 2000; i++)
        p[i] = gt_mc_malloc(mc, 4096, &zero);
    n[c] = 0;
    gt_heap_each_span(count_class, n);
    ck_assert_uint_eq(n[c], 0);
    ck_assert_uint_eq(n[gt_class_of(4096)], 2000 / gt_classes[gt_class_of(4096)].count);
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_TEST(test_classes),
        UNIT_TEST(test_class_of),
        UNIT_LOOP(test_index, GT_NCLASS - 1),
        UNIT_LOOP(test_slots, 2),
        UNIT_TEST(test_scavenge),
        UNIT_TEST(test_huge),
        UNIT_TEST(test_one_owner),
        UNIT_TEST(test_wrong_frees),
        UNIT_LOOP(test_kept_ahead, 4),
        UNIT_TEST(test_sharing),
        UNIT_LOOP(test_lanes, 3),
        UNIT_TEST(test_fork_child),
        UNIT_TEST(test_trim),
        UNIT_TEST(test_windows),
        UNIT_TEST(test_spans),
        UNIT_TEST(test_age),
    };
    return UNIT_MAIN("heap", setup, tests);
}
