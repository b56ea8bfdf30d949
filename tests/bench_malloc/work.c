/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Allocator workloads: an ordinary program that does a fixed amount of allocating and prints
 * nothing; tests/bench_malloc/run measures its time and peak memory from outside.
 *
 *     work NAME [PERCENT]
 *
 * PERCENT scales the amount (100).  The shapes are those that benchmarks of allocators are known
 * for; the code, the sizes and the amounts are this file's own.  Everything is drawn from a fixed
 * seed, so that each allocator gets the same requests, as far as threads allow.  Each block gets a
 * tag that is looked at before it is freed: a wrong one ends the program with status 1.
 *
 *   simple         one size at a time: so many blocks, freed in the same, opposite, mixed order
 *   thread         threads that replace random slots of their own table, sizes by 1/x
 *   larson         like a server: a thread replaces blocks for a while, then hands its table to a
 *                  thread that it starts, and ends; so blocks are freed by others than made them
 *   xmalloc        producers allocate batches, consumers free them
 *   mstress        threads keep some blocks and swap others with all threads by atomic exchange
 *   rptest         like mstress: wider sizes, half of all frees are of other threads' blocks
 *   cache_scratch  each thread starts with a block of main's beside those of the other threads,
 *                  frees it, and writes to its own blocks from then on (passive false sharing)
 *   cache_thrash   threads write to small blocks of their own (active false sharing)
 *   sh6            small sizes of all ages in one thread; sh8: in threads that pass some on
 *   calloc         arrays of all sizes, read and partly written
 *   realloc        strings and vectors that grow
 *   large          blocks of 32 KiB to 8 MiB, of which some pages are touched
 *   alloc_test_1   random replacement in a table of 2^16, sizes by powers of two; _n: in threads
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4 };

static long percent = 100;

static long scaled(long n)
{
    return n * percent / 100 > 0 ? n * percent / 100 : 1;
}

static void fail(const char *what)
{
    fprintf(stderr, "work: %s\n", what);
    exit(1);
}

static uint32_t next(uint64_t *rng)
{
    *rng = *rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*rng >> 32);
}

static uint32_t below(uint64_t *rng, uint32_t n)
{
    return (uint32_t)((uint64_t)next(rng) * n >> 32);
}

/* A size of up to 2^(bits + 1): each power of two is as likely as the next. */
static size_t by_power(uint64_t *rng, unsigned bits)
{
    unsigned shift = below(rng, bits) + 1;

    return ((size_t)1 << shift) + (next(rng) & (((size_t)1 << shift) - 1));
}

/* ---- blocks: the first byte holds the low bits of the size ---- */

struct block {
    unsigned char *at;
    size_t size;
};

static struct block make(size_t size)
{
    struct block b = {malloc(size), size};

    if (!b.at)
        fail("no memory");
    b.at[0] = (unsigned char)size;
    b.at[size - 1] = (unsigned char)size;
    return b;
}

static void drop(struct block b)
{
    if (!b.at)
        return;
    if (b.at[0] != (unsigned char)b.size || b.at[b.size - 1] != (unsigned char)b.size)
        fail("a block was written over");
    free(b.at);
}

static void replace(struct block *slot, size_t size)
{
    drop(*slot);
    *slot = make(size);
}

static struct block *table(size_t n)
{
    struct block *t = calloc(n, sizeof *t);

    if (!t)
        fail("no memory");
    return t;
}

static void drop_table(struct block *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        drop(t[i]);
    free(t);
}

/* ---- threads ---- */

static void start(pthread_t *thread, void *(*body)(void *), void *arg)
{
    if (pthread_create(thread, NULL, body, arg))
        fail("no thread");
}

/* Runs THREADS of body, each with its number, to their end. */
static void in_threads(void *(*body)(void *))
{
    pthread_t threads[THREADS];

    for (intptr_t i = 0; i < THREADS; i++)
        start(&threads[i], body, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static uint64_t seed_of(void *number)
{
    return ((uint64_t)(intptr_t)number + 1) * 0x9e3779b97f4a7c15u;
}

/* ---- simple ---- */

enum { SIMPLE = 1600 };

/* count blocks of one size and their end, so often that each count makes as many. */
static void simple_rounds(size_t size, int count, int order, const unsigned short *mixed)
{
    static struct block blocks[SIMPLE];

    for (int round = 0; round < SIMPLE / count; round++) {
        for (int i = 0; i < count; i++)
            blocks[i] = make(size);
        for (int i = 0; i < count; i++)
            drop(blocks[order == 0 ? i : order == 1 ? count - 1 - i : mixed[i]]);
    }
}

/* The first n of mixed are a permutation of 0 to n - 1, for each n in counts. */
static void mix(unsigned short *mixed, const int *counts)
{
    uint64_t rng = 1;

    for (int i = 0; i < SIMPLE; i++)
        mixed[i] = (unsigned short)i;
    for (int c = 0, from = 0; from < SIMPLE; from = counts[c++])
        for (int i = counts[c] - 1; i > from; i--) {
            int other = from + (int)below(&rng, (uint32_t)(i - from + 1));
            unsigned short kept = mixed[i];
            mixed[i] = mixed[other];
            mixed[other] = kept;
        }
}

static void simple(void)
{
    static const size_t sizes[] = {8, 24, 32, 64, 128, 200, 512, 1000, 2048, 4000};
    static const int counts[] = {25, 100, 400, SIMPLE};
    static unsigned short mixed[SIMPLE];

    mix(mixed, counts);
    for (long round = 0; round < scaled(600); round++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
            simple_rounds(sizes[s], counts[round % 4], (int)(round / 4 % 3), mixed);
}

/* ---- thread ---- */

enum { THREAD_SLOTS = 4096 };

static void *thread_body(void *number)
{
    uint64_t rng = seed_of(number);
    struct block *slots = table(THREAD_SLOTS);

    for (long i = 0; i < scaled(1500000); i++)
        replace(&slots[below(&rng, THREAD_SLOTS)], by_power(&rng, 13));
    drop_table(slots, THREAD_SLOTS);
    return NULL;
}

static void thread(void)
{
    in_threads(thread_body);
}

/* ---- larson ---- */

enum { LARSON_SLOTS = 1000 };

struct larson {
    struct block *slots;
    uint64_t rng;
    long generations;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int larson_lines;

static void *larson_body(void *arg)
{
    struct larson *l = arg;
    pthread_t heir;

    for (int i = 0; i < 10000; i++)
        replace(&l->slots[below(&l->rng, LARSON_SLOTS)], 10 + below(&l->rng, 490));
    if (--l->generations > 0) {
        start(&heir, larson_body, l);
        pthread_detach(heir);
        return NULL;
    }
    drop_table(l->slots, LARSON_SLOTS);
    free(l);
    pthread_mutex_lock(&lock);
    larson_lines--;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void larson(void)
{
    pthread_t first;

    larson_lines = THREADS;
    for (intptr_t i = 0; i < THREADS; i++) {
        struct larson *l = malloc(sizeof *l);
        *l = (struct larson){table(LARSON_SLOTS), seed_of((void *)i), scaled(200)};
        start(&first, larson_body, l);
        pthread_detach(first);
    }
    pthread_mutex_lock(&lock);
    while (larson_lines > 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- xmalloc ---- */

enum { BATCH = 120, WAITING_MAX = 64 };

struct batch {
    struct batch *next;
    struct block blocks[BATCH];
};

static struct batch *waiting;
static int waiting_count, producers;

static void put_batch(struct batch *b)
{
    pthread_mutex_lock(&lock);
    while (waiting_count >= WAITING_MAX)
        pthread_cond_wait(&changed, &lock);
    b->next = waiting;
    waiting = b;
    waiting_count++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* NULL: all producers have ended. */
static struct batch *get_batch(void)
{
    struct batch *b;

    pthread_mutex_lock(&lock);
    while (!waiting && producers > 0)
        pthread_cond_wait(&changed, &lock);
    b = waiting;
    if (b) {
        waiting = b->next;
        if (waiting_count-- == WAITING_MAX)
            pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    return b;
}

static void *xmalloc_produce(void *number)
{
    uint64_t rng = seed_of(number);

    for (long i = 0; i < scaled(25000); i++) {
        struct batch *b = malloc(sizeof *b);
        if (!b)
            fail("no memory");
        for (int k = 0; k < BATCH; k++)
            b->blocks[k] = make(16 + below(&rng, 240));
        put_batch(b);
    }
    pthread_mutex_lock(&lock);
    producers--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void xmalloc_consume(void)
{
    for (struct batch *b; (b = get_batch());) {
        for (int k = 0; k < BATCH; k++)
            drop(b->blocks[k]);
        free(b);
    }
}

static void *xmalloc_body(void *number)
{
    if ((intptr_t)number % 2)
        xmalloc_consume();
    else
        xmalloc_produce(number);
    return NULL;
}

static void xmalloc(void)
{
    producers = THREADS / 2;
    in_threads(xmalloc_body);
}

/* ---- mstress and rptest: some blocks are kept, some change hands ---- */

enum { COMMON = 1000, KEPT = 20000 };

struct header { /* at the start of a block that anybody may free */
    size_t size;
};

static _Atomic(struct header *) common[COMMON];

static struct header *make_common(size_t size)
{
    struct header *h = malloc(size + sizeof *h);

    if (!h)
        fail("no memory");
    h->size = size;
    ((unsigned char *)(h + 1))[size - 1] = (unsigned char)size;
    return h;
}

static void drop_common(struct header *h)
{
    if (h && ((unsigned char *)(h + 1))[h->size - 1] != (unsigned char)h->size)
        fail("a block was written over");
    free(h);
}

static void swap_common(uint64_t *rng, size_t size)
{
    drop_common(atomic_exchange(&common[below(rng, COMMON)], make_common(size)));
}

static void drop_all_common(void)
{
    for (int i = 0; i < COMMON; i++)
        drop_common(atomic_exchange(&common[i], NULL));
}

/* Mostly small, seldom up to 100 times as much. */
static size_t mstress_size(uint64_t *rng)
{
    size_t size = 8 * (1 + below(rng, 16));

    if (below(rng, 100) == 0)
        size *= 10;
    return below(rng, 10000) == 0 ? size * 100 : size;
}

static void *mstress_body(void *number)
{
    uint64_t rng = seed_of(number);
    struct block *kept = table(KEPT);

    for (long i = 0; i < scaled(1000000); i++) {
        if (below(&rng, 4) == 0)
            swap_common(&rng, mstress_size(&rng));
        else
            replace(&kept[below(&rng, KEPT)], mstress_size(&rng));
    }
    drop_table(kept, KEPT);
    return NULL;
}

/* Two generations of threads: the second finds what the first left. */
static void mstress(void)
{
    in_threads(mstress_body);
    in_threads(mstress_body);
    drop_all_common();
}

static void *rptest_body(void *number)
{
    uint64_t rng = seed_of(number);
    struct block *kept = table(KEPT / 4);

    for (long i = 0; i < scaled(1500000); i++) {
        size_t size = below(&rng, 10) ? 16 + by_power(&rng, 9) : 16 + below(&rng, 8000);
        if (next(&rng) & 1)
            swap_common(&rng, size);
        else
            replace(&kept[below(&rng, KEPT / 4)], size);
    }
    drop_table(kept, KEPT / 4);
    return NULL;
}

static void rptest(void)
{
    in_threads(rptest_body);
    drop_all_common();
}

/* ---- cache-scratch and cache-thrash ---- */

static struct block handed_out[THREADS];

static void write_to(struct block b, int times)
{
    for (int i = 0; i < times; i++)
        for (size_t k = 1; k + 1 < b.size; k++)
            ((volatile unsigned char *)b.at)[k]++;
}

static void *cache_body(void *number)
{
    drop(handed_out[(intptr_t)number]);
    for (long i = 0; i < scaled(250000); i++) {
        struct block b = make(8);
        write_to(b, 150);
        drop(b);
    }
    return NULL;
}

static void cache_scratch(void)
{
    for (int i = 0; i < THREADS; i++)
        handed_out[i] = make(8);
    in_threads(cache_body);
}

static void cache_thrash(void)
{
    memset(handed_out, 0, sizeof handed_out);
    in_threads(cache_body);
}

/* ---- sh6 and sh8 ---- */

enum { SH_BLOCKS = 50000 };

/* Rounds of: allocate runs of equal small sizes; free every third, then the newer half, later the
 * rest from the old end. */
static void sh_rounds(uint64_t *rng, long rounds, int passes_on)
{
    struct block *blocks = table(SH_BLOCKS);

    for (long r = 0; r < rounds; r++) {
        for (int i = 0, run = 0; i < SH_BLOCKS; i++) {
            static _Thread_local size_t size;
            if (run-- == 0) {
                run = (int)below(rng, 64);
                size = 1 + below(rng, below(rng, 8) ? 100 : 1000);
            }
            if (!blocks[i].at)
                blocks[i] = make(size);
            if (passes_on && i % 16 == 0)
                swap_common(rng, size);
        }
        for (int i = 0; i < SH_BLOCKS; i += 3) {
            drop(blocks[i]);
            blocks[i].at = NULL;
        }
        for (int i = SH_BLOCKS; --i >= (r % 4 ? SH_BLOCKS / 2 : 0);) {
            drop(blocks[i]);
            blocks[i].at = NULL;
        }
    }
    drop_table(blocks, SH_BLOCKS);
}

static void sh6(void)
{
    uint64_t rng = 6;

    sh_rounds(&rng, scaled(300), 0);
}

static void *sh8_body(void *number)
{
    uint64_t rng = seed_of(number);

    sh_rounds(&rng, scaled(40), 1);
    return NULL;
}

static void sh8(void)
{
    in_threads(sh8_body);
    drop_all_common();
}

/* ---- calloc, realloc, large ---- */

enum { ARRAYS = 512 };

static void calloc_growth(void)
{
    static unsigned char *arrays[ARRAYS];
    uint64_t rng = 3;

    for (long i = 0; i < scaled(1200000); i++) {
        unsigned char **slot = &arrays[below(&rng, ARRAYS)];
        size_t size = by_power(&rng, i % 64 ? 12 : 19);
        free(*slot);
        *slot = calloc(size / 8 + 1, 8);
        if (!*slot)
            fail("no memory");
        for (size_t k = 0; k < size; k += 512) {
            if ((*slot)[k])
                fail("calloc gave a used byte");
            (*slot)[k] = 1;
        }
    }
    for (int i = 0; i < ARRAYS; i++)
        free(arrays[i]);
}

/* A vector that grows by half its size up to `max` bytes, step after step. */
static void grow(size_t max)
{
    unsigned char *v = NULL;

    for (size_t have = 0, want = 16; have < max; have = want, want += want / 2) {
        v = realloc(v, want);
        if (!v)
            fail("no memory");
        if (have > 0 && v[have - 1] != (unsigned char)have)
            fail("realloc lost a byte");
        memset(v + have, 1, want - have);
        v[want - 1] = (unsigned char)want;
    }
    free(v);
}

/* Strings that grow by a few bytes, many at a time. */
static void append(uint64_t *rng)
{
    static char *strings[ARRAYS];
    static size_t length[ARRAYS];

    for (int i = 0; i < 40 * ARRAYS; i++) {
        uint32_t at = below(rng, ARRAYS);
        size_t more = 1 + below(rng, 60);
        strings[at] = realloc(strings[at], length[at] + more);
        if (!strings[at])
            fail("no memory");
        memset(strings[at] + length[at], 'x', more);
        length[at] += more;
    }
    for (int i = 0; i < ARRAYS; i++) {
        free(strings[i]);
        strings[i] = NULL;
        length[i] = 0;
    }
}

static void realloc_growth(void)
{
    uint64_t rng = 4;

    for (long i = 0; i < scaled(250); i++) {
        append(&rng);
        for (int k = 0; k < 50; k++)
            grow(by_power(&rng, 14));
        grow(i % 10 ? 1 << 20 : 32 << 20);
    }
}

static void large(void)
{
    static struct block blocks[64];
    uint64_t rng = 5;

    for (long i = 0; i < scaled(60000); i++) {
        struct block *slot = &blocks[below(&rng, 64)];
        replace(slot, ((size_t)32 << 10) + by_power(&rng, below(&rng, 8) ? 18 : 22));
        for (size_t k = 0; k < slot->size / 4; k += 4096)
            slot->at[k + 1] = 1;
    }
    for (int i = 0; i < 64; i++)
        drop(blocks[i]);
}

/* ---- alloc-test ---- */

enum { ALLOC_TEST_SLOTS = 1 << 16 };

/* As many in all, whatever the number of threads. */
static void alloc_test(void *number, long count)
{
    uint64_t rng = seed_of(number);
    struct block *slots = table(ALLOC_TEST_SLOTS);

    for (long i = 0; i < count; i++) {
        struct block *slot = &slots[below(&rng, ALLOC_TEST_SLOTS)];
        if (slot->at) {
            drop(*slot);
            slot->at = NULL;
        } else {
            *slot = make(by_power(&rng, 9));
            memset(slot->at + 1, 2, slot->size - 2);
        }
    }
    drop_table(slots, ALLOC_TEST_SLOTS);
}

static void alloc_test_1(void)
{
    alloc_test(NULL, scaled(6000000));
}

static void *alloc_test_body(void *number)
{
    alloc_test(number, scaled(1500000));
    return NULL;
}

static void alloc_test_n(void)
{
    in_threads(alloc_test_body);
}

/* ---- the list ---- */

static const struct {
    const char *name;
    void (*run)(void);
} workloads[] = {
    {"simple", simple},
    {"thread", thread},
    {"larson", larson},
    {"xmalloc", xmalloc},
    {"mstress", mstress},
    {"rptest", rptest},
    {"cache_scratch", cache_scratch},
    {"cache_thrash", cache_thrash},
    {"sh6", sh6},
    {"sh8", sh8},
    {"calloc", calloc_growth},
    {"realloc", realloc_growth},
    {"large", large},
    {"alloc_test_1", alloc_test_1},
    {"alloc_test_n", alloc_test_n},
};

int main(int argc, char **argv)
{
    size_t count = sizeof workloads / sizeof workloads[0];

    if (argc > 2)
        percent = atol(argv[2]);
    for (size_t i = 0; argc > 1 && percent > 0 && i < count; i++) {
        if (strcmp(argv[1], workloads[i].name) == 0) {
            workloads[i].run();
            return 0;
        }
    }
    fprintf(stderr, "usage: work NAME [PERCENT]; NAME is one of:");
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, " %s", workloads[i].name);
    fprintf(stderr, "\n");
    return 2;
}
