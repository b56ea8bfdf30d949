/* SPDX-License-Identifier: BSD-2-Clause */
/* core/sched/stack.c: sizes, pools, guards that fault, where large stacks lie, what is given back,
 * and what happens when address space ends. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/os/tcb.h"
#include "core/sched/sched_int.h"
#include "tests/unit/tcb_fake.h"

#define K    1024ul
#define MIB  (1024ul * K)
#define SPAN (2 * MIB) /* of one page-table page */
#define HOT  512       /* free stacks of a size that keep their pages */

static char *low(const struct gt_stack *s)
{
    return s->base + s->guard;
}

static char *top(const struct gt_stack *s)
{
    return s->base + s->size;
}

static struct gt_stack *get(size_t size, size_t guard)
{
    struct gt_stack *s = gt_stack_alloc(size, guard);
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq((uintptr_t)s->base % GT_PAGE, 0);
    ck_assert_uint_eq(s->size % GT_PAGE, 0);
    ck_assert_uint_ge(s->guard, guard);
    return s;
}

static void make_block(struct gt_stack *s)
{
    s->tp = gt_tcb_make(low(s), top(s), 1);
}

START_TEST(test_sizes)
{
    static const size_t size[] = {16 * K,  16 * K + 1,  64 * K,       100000,
                                  256 * K, MIB - 4 * K, MIB,          2 * MIB,
                                  8 * MIB, 8 * MIB + 1, 16 * MIB - 1, 64 * MIB};
    for (size_t i = 0; i < GT_ARRAY_LEN(size); i++)
        for (size_t guard = 0; guard <= 8 * K; guard += 4 * K) {
            struct gt_stack *s = get(size[i], guard);
            ck_assert_ptr_null(s->tp);
            ck_assert_uint_eq(s->guard, guard);
            ck_assert_uint_ge(s->size - s->guard, size[i]);
            *(volatile char *)low(s) = 1;
            *(volatile char *)(top(s) - 1) = 1;
        }
    ck_assert_uint_eq(get(16 * K, 1)->guard, GT_PAGE); /* rounded up */
}
END_TEST

START_TEST(test_impossible_sizes)
{
    static const size_t size[] = {
        0, 1, 16383, SIZE_MAX, SIZE_MAX - 4 * K, SIZE_MAX / 2, 1ul << 62, 1ul << 45};
    for (size_t i = 0; i < GT_ARRAY_LEN(size); i++)
        ck_assert_ptr_null(gt_stack_alloc(size[i], 4 * K));
    ck_assert_ptr_null(gt_stack_alloc(64 * K, SIZE_MAX - 64 * K));
    ck_assert_ptr_null(gt_stack_alloc(64 * K, 1ul << 62));
    get(64 * K, 4 * K); /* it goes on after that */
}
END_TEST

/* ---- guards ---- */

static const size_t guarded[] = {16 * K, 256 * K, 8 * MIB};

/* _i: which size, first or last byte of the guard, fresh or recycled. */
START_TEST(test_guard_faults)
{
    struct gt_stack *s = get(guarded[_i % 3], 8 * K);
    volatile char *at = _i / 3 % 2 ? s->base : low(s) - 1;
    low(s)[0] = 1; /* the stack itself is good */
    if (_i / 6) {
        make_block(s);
        gt_stack_free(s);
        ck_assert_ptr_eq(get(guarded[_i % 3], 8 * K), s);
    }
    *at = 1;
    fprintf(stderr, "the guard at %p of %p was written\n", (void *)at, (void *)s->base);
}
END_TEST

START_TEST(test_no_guard)
{
    struct gt_stack *s = get(64 * K, 0);
    ck_assert_ptr_eq(low(s), s->base);
    memset(s->base, 1, s->size);
}
END_TEST

/* Locked memory takes no guard mark: then, and from then on, mprotect within a budget. */
static char *locked_page(void)
{
    char *p = mmap(NULL, GT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(p != MAP_FAILED);
    /* the sanitizers' mlock does nothing */
    return GT_SYS3(SYS_mlock, p, GT_PAGE, 0) == 0 ? p : NULL;
}

START_TEST(test_guard_of_locked_memory)
{
    char *p = locked_page();
    if (!p) /* RLIMIT_MEMLOCK: die all the same, as nothing is to be seen here */
        raise(SIGSEGV);
    bool counted = false;
    ck_assert_int_eq(gt_stack_guard(p, GT_PAGE, &counted), 0);
    ck_assert(counted);
    *(volatile char *)p = 1;
}
END_TEST

START_TEST(test_guard_budget)
{
    char said[256] = "", *p = locked_page();
    int out[2], was = dup(2), n = 0;
    bool counted;
    if (!p)
        return;
    ck_assert_int_eq(pipe(out), 0);
    dup2(out[1], 2);
    while (n < 8300 && gt_stack_guard(p, GT_PAGE, &counted) == 0)
        ck_assert(counted == (n++ < 8192));
    dup2(was, 2);
    ck_assert_int_eq(n, 8300); /* no error beyond the budget: no guard */
    ck_assert_int_gt(read(out[0], said, sizeof(said) - 1), 0);
    ck_assert_str_eq(said, "gothread: more than 8192 stacks: the further ones have no guard page "
                           "on this kernel\n"); /* once */
    ck_assert_int_eq(gt_stack_guard(p, 0, &counted), 0);
    ck_assert(!counted);
}
END_TEST

/* ---- pools ---- */

START_TEST(test_last_in_first_out)
{
    struct gt_stack *s[5];
    void *tp[5];
    for (int i = 0; i < 5; i++) {
        s[i] = get(64 * K, 4 * K);
        make_block(s[i]);
        tp[i] = s[i]->tp;
    }
    for (int i = 0; i < 5; i++)
        gt_stack_free(s[i]);
    for (int i = 4; i >= 0; i--) {
        ck_assert_ptr_eq(get(64 * K - 100, 4 * K), s[i]); /* the same after rounding */
        ck_assert_ptr_eq(s[i]->tp, tp[i]);                /* the block is kept */
    }
    ck_assert_ptr_null(get(64 * K, 4 * K)->tp); /* all used: a new one */
}
END_TEST

START_TEST(test_pools_apart)
{
    static const size_t size[] = {16 * K, 64 * K, 68 * K, 8 * MIB};
    struct gt_stack *s[4][2];
    for (int i = 0; i < 4; i++)
        for (int g = 0; g < 2; g++) {
            s[i][g] = get(size[i], g ? 4 * K : 8 * K);
            make_block(s[i][g]);
        }
    for (int i = 0; i < 4; i++)
        for (int g = 0; g < 2; g++)
            gt_stack_free(s[i][g]);
    for (int i = 0; i < 4; i++)
        for (int g = 0; g < 2; g++)
            ck_assert_ptr_eq(get(size[i], g ? 4 * K : 8 * K), s[i][g]);
}
END_TEST

/* More kinds of stacks than there are pools: an error, and the others are as good as before. */
START_TEST(test_pools_run_out)
{
    int n = 0;
    while (n < 1000 && gt_stack_alloc(16 * K + (size_t)n * GT_PAGE, 0))
        n++;
    ck_assert_int_eq(n, 64);
    ck_assert_ptr_null(gt_stack_alloc(64 * MIB, 0));
    get(16 * K, 0);
}
END_TEST

/* Beyond HOT free stacks, one that is freed gives its pages back: all below its block's. */
START_TEST(test_cold_stacks_are_empty)
{
    enum { N = HOT + 20 };
    static struct gt_stack *s[N];
    size_t size = _i ? 8 * MIB : 64 * K;
    for (int i = 0; i < N; i++) {
        s[i] = get(size, 4 * K);
        make_block(s[i]);
        low(s[i])[0] = 1;
        *(gt_tcb_low(s[i]->tp) - 2 * GT_PAGE) = 2;
        ((struct fake_tcb *)s[i]->tp)->tid = i;
    }
    for (int i = 0; i < N; i++)
        gt_stack_free(s[i]);
    int kept = 0, blocks = 0;
    for (int i = 0; i < N; i++) {
        bool lowest = low(s[i])[0] == 1, near = *(gt_tcb_low(s[i]->tp) - 2 * GT_PAGE) == 2;
        ck_assert_int_eq(lowest, near);
        ck_assert(lowest == (i < HOT));
        kept += lowest;
        blocks += ((struct fake_tcb *)s[i]->tp)->tid == i;
    }
    ck_assert_int_eq(kept, HOT);
    ck_assert_int_eq(blocks, N);
    for (int i = N - 1; i >= 0; i--) /* the order is kept too */
        ck_assert_ptr_eq(get(size, 4 * K), s[i]);
}
END_TEST

static void visit(void *tp, void *arg)
{
    ((struct fake_tcb *)tp)->visits++;
    ++*(int *)arg;
}

START_TEST(test_foreach_free)
{
    struct gt_stack *s[6];
    int n = 0;
    gt_stack_foreach_free(visit, &n);
    ck_assert_int_eq(n, 0);
    for (int i = 0; i < 6; i++) {
        s[i] = get(i % 2 ? 64 * K : 8 * MIB, 4 * K);
        if (i < 4)
            make_block(s[i]); /* the others never had one: making it had failed */
    }
    for (int i = 1; i < 6; i++)
        gt_stack_free(s[i]);
    gt_stack_foreach_free(visit, &n);
    ck_assert_int_eq(n, 3);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(((struct fake_tcb *)s[i]->tp)->visits, i > 0);
}
END_TEST

/* ---- large stacks ---- */

/* A stack's top page and the guard of the one above it share a page-table page; each begins near
 * the middle of one, a guard further than the one before it. */
START_TEST(test_page_tables_are_shared)
{
    enum { N = 40 };
    static const size_t size[] = {MIB, 2 * MIB, 8 * MIB, 10 * MIB};
    struct gt_stack *s[N];
    int neighbours = 0;
    for (int i = 0; i < N; i++) {
        s[i] = get(size[_i], 4 * K);
        ck_assert_uint_eq((s[i]->size - s[i]->guard) % SPAN, 0);
        ck_assert_uint_lt(((uintptr_t)s[i]->base - SPAN / 2) % SPAN, N * 4 * K);
        for (int k = 0; k < i; k++) {
            ck_assert(s[k]->base >= top(s[i]) || s[i]->base >= top(s[k]));
            if (top(s[k]) != s[i]->base)
                continue;
            neighbours++;
            ck_assert_uint_eq((uintptr_t)(top(s[k]) - 1) / SPAN, (uintptr_t)s[i]->base / SPAN);
        }
    }
    ck_assert_int_gt(neighbours, N / 2);
}
END_TEST

static long page_tables_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (kib < 0 && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmPTE: %ld kB", &kib) != 1)
            kib = -1;
    fclose(f);
    return kib;
}

START_TEST(test_page_tables_cost)
{
    enum { N = 300 };
    if (UNIT_SANITIZED)
        return; /* its shadow memory has page tables too */
    long before = page_tables_kib();
    for (int i = 0; i < N; i++) {
        struct gt_stack *s = get(8 * MIB, 4 * K);
        top(s)[-1] = 1; /* what a goroutine touches at least */
    }
    long each = (page_tables_kib() - before) * 1024 / N;
    ck_assert_int_lt(each, 6000); /* one page and a little: not two */
}
END_TEST

/* ---- limits, threads ---- */

static struct rlimit no_limit;

static void limit(size_t more)
{
    long pages;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_int_eq(fscanf(f, "%ld", &pages), 1);
    fclose(f);
    getrlimit(RLIMIT_AS, &no_limit);
    struct rlimit tight = no_limit;
    tight.rlim_cur = (rlim_t)pages * GT_PAGE + more;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
}

START_TEST(test_address_space_ends)
{
    if (UNIT_SANITIZED)
        return;      /* its shadow memory is beyond any limit */
    limit(60 * MIB); /* less than a whole slab */
    struct gt_stack *s[100];
    int n = 0;
    while (n < 100 && (s[n] = gt_stack_alloc(8 * MIB, 4 * K)) != NULL)
        make_block(s[n++]);
    ck_assert_int_ge(n, 4); /* smaller slabs, to the last */
    ck_assert_int_lt(n, 8);
    gt_stack_free(s[0]);
    ck_assert_ptr_eq(gt_stack_alloc(8 * MIB, 4 * K), s[0]);
    ck_assert_ptr_null(gt_stack_alloc(8 * MIB, 4 * K));
    ck_assert_int_eq(fake_drops, 0); /* none was free */
    setrlimit(RLIMIT_AS, &no_limit);
    get(8 * MIB, 4 * K);
}
END_TEST

/* Before that is an error, free stacks of other sizes go back, with their blocks. */
START_TEST(test_free_stacks_make_room)
{
    enum { N = 40 };
    struct gt_stack *s[N];
    if (UNIT_SANITIZED)
        return;
    limit(60 * MIB);
    for (int i = 0; i < N; i++) {
        s[i] = get(MIB - 4 * K, 4 * K);
        if (i % 2)
            make_block(s[i]);
    }
    ck_assert_ptr_null(gt_stack_alloc(30 * MIB, 4 * K));
    for (int i = 0; i < N; i++)
        gt_stack_free(s[i]);
    struct gt_stack *big = get(30 * MIB, 4 * K);
    ck_assert_int_eq(fake_drops, N / 2);
    memset(top(big) - MIB, 1, MIB);
    setrlimit(RLIMIT_AS, &no_limit);
    for (int i = 0; i < N; i++) { /* none of them is handed out */
        struct gt_stack *again = get(MIB - 4 * K, 4 * K);
        ck_assert_ptr_null(again->tp);
        memset(low(again), 1, again->size - again->guard);
    }
}
END_TEST

static void *use_stacks(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    struct gt_stack *mine[16] = {NULL};
    int spoilt = 0;
    for (int i = 0; i < UNIT_STEPS(20000); i++) {
        struct gt_stack **s = &mine[unit_below(&seed, 16)];
        if (*s) {
            spoilt += low(*s)[0] != (char)(uintptr_t)arg || top(*s)[-100] != low(*s)[0];
            gt_stack_free(*s);
            *s = NULL;
        } else {
            *s = gt_stack_alloc(unit_below(&seed, 2) ? 64 * K : 2 * MIB, 4 * K);
            if (!(*s)->tp)
                make_block(*s);
            low(*s)[0] = top(*s)[-100] = (char)(uintptr_t)arg;
        }
    }
    return (void *)(intptr_t)spoilt;
}

START_TEST(test_threads)
{
    pthread_t t[4];
    for (intptr_t i = 0; i < 4; i++)
        t[i] = unit_start(use_stacks, (void *)(i + 1));
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq((int)(intptr_t)unit_join(t[i]), 0);
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_TEST(test_sizes),
        UNIT_TEST(test_impossible_sizes),
        {test_guard_faults, SIGSEGV, 12},
        UNIT_TEST(test_no_guard),
        UNIT_DEATH(test_guard_of_locked_memory, SIGSEGV),
        UNIT_TEST(test_guard_budget),
        UNIT_TEST(test_last_in_first_out),
        UNIT_TEST(test_pools_apart),
        UNIT_TEST(test_pools_run_out),
        UNIT_LOOP(test_cold_stacks_are_empty, 2),
        UNIT_TEST(test_foreach_free),
        UNIT_LOOP(test_page_tables_are_shared, 4),
        UNIT_TEST(test_page_tables_cost),
        UNIT_TEST(test_address_space_ends),
        UNIT_TEST(test_free_stacks_make_room),
        UNIT_TEST(test_threads),
    };
    return UNIT_MAIN("stack", NULL, tests);
}
