/* SPDX-License-Identifier: BSD-2-Clause */
/* core/sched/timer.c: the heap against a plain model, its invariants, stale timers, growth, and
 * sleepers that are woken while their timers fire. */
#include "tests/unit/sched_fake.h"

#include <stdlib.h>

#define N 3000

static struct fake_g *fs;

static void setup(void)
{
    fake_init();
    fs = calloc(N, sizeof(*fs));
    for (int i = 0; i < N; i++)
        fake_g_init(&fs[i]);
}

static int64_t when_of(const struct gt_p *p, uint32_t i)
{
    return p->heap[i]->timer.when;
}

/* Every slot knows its goroutine and is known by it; no child is earlier than its parent. */
static void check_heap(struct gt_p *p)
{
    uint32_t i = 0;
    while (i < p->nheap && p->heap[i]->timer.idx == i && load_rlx(&p->heap[i]->timer.p) == p &&
           (i == 0 || when_of(p, i) >= when_of(p, (i - 1) / 4)))
        i++;
    ck_assert_uint_eq(i, p->nheap);
    ck_assert_uint_le(p->nheap, p->capheap);
    ck_assert_int_eq(load_rlx(&p->when0), p->nheap ? when_of(p, 0) : INT64_MAX);
}

static void add(struct fake_g *f, int64_t when)
{
    gt_timer_add(&f->g, fake_g_asleep(f), when);
}

/* ---- the model: each goroutine's deadline, -1: none ---- */

static int64_t model[N];

static int64_t model_first(int n)
{
    int64_t first = INT64_MAX;
    for (int i = 0; i < n; i++)
        if (model[i] >= 0)
            first = GT_MIN(first, model[i]);
    return first;
}

/* Those due fire, earlier ones first, and nobody else. */
static void run_and_compare(int n, int64_t now)
{
    uint32_t from = fake_nlog, due = 0;
    for (int i = 0; i < n; i++)
        due += model[i] >= 0 && model[i] <= now;
    int64_t next = gt_timer_run(&fake_p, now), last = 0;
    ck_assert_uint_eq(fake_nlog - from, due);
    for (uint32_t k = from; k < fake_nlog; k++) {
        struct fake_g *f = container_of(fake_log[k % FAKE_LOG], struct fake_g, g);
        int64_t *when = &model[f - fs];
        bool good = *when >= last && *when <= now && load_rlx(&f->g.timer.p) == NULL &&
                    (load_rlx(&f->g.pk.word) & GT_PK_OUTCOME) == GT_WAKE_TIMEOUT;
        if (!good)
            ck_abort_msg("goroutine %ld: %ld after %ld at %ld", f - fs, *when, last, now);
        last = *when;
        *when = -1;
    }
    ck_assert_int_eq(next, model_first(n));
}

START_TEST(test_against_model)
{
    static const int sizes[] = {3, 40, 1000};
    int n = sizes[_i];
    uint64_t seed = unit_seed("test_against_model");
    int64_t now = 1000;
    for (int i = 0; i < n; i++)
        model[i] = -1;
    for (int step = 0; step < UNIT_STEPS(20000); step++) {
        int i = (int)unit_below(&seed, (uint32_t)n);
        if (model[i] < 0) { /* a small range, so that many are equal */
            model[i] = now + unit_below(&seed, 300);
            add(&fs[i], model[i]);
        } else {
            gt_timer_del(&fs[i].g);
            ck_assert_ptr_null(load_rlx(&fs[i].g.timer.p));
            model[i] = -1;
        }
        if (unit_below(&seed, 8) == 0)
            run_and_compare(n, now += unit_below(&seed, 20));
        if (step % (n / 16 + 1) == 0)
            check_heap(&fake_p);
    }
    run_and_compare(n, INT64_MAX - 1);
    ck_assert_uint_eq(fake_p.nheap, 0);
}
END_TEST

/* Ascending, descending, all equal: the order of firing is the order of deadlines. */
START_TEST(test_order)
{
    for (int i = 0; i < N; i++)
        model[i] = _i == 0 ? i : _i == 1 ? N - i : 7;
    for (int i = 0; i < N; i++)
        add(&fs[i], model[i]);
    check_heap(&fake_p);
    for (int64_t now = 0; now <= N; now += 100)
        run_and_compare(N, now);
    ck_assert_uint_eq(fake_nlog, N);
    ck_assert_uint_eq(gt_stat_get(timers_fired), N);
}
END_TEST

START_TEST(test_delete_each_slot)
{
    for (int n = 1; n <= 45; n++)
        for (int slot = 0; slot < n; slot++) {
            for (int i = 0; i < n; i++)
                add(&fs[i], (i * 31) % 17); /* no order, with equals */
            gt_timer_del(fake_p.heap[slot]);
            ck_assert_uint_eq(fake_p.nheap, (unsigned)n - 1);
            check_heap(&fake_p);
            for (int i = 0; i < n; i++)
                gt_timer_del(&fs[i].g); /* one of them is off already */
            check_heap(&fake_p);
        }
    ck_assert_uint_eq(fake_nlog, 0);
}
END_TEST

START_TEST(test_growth)
{
    uint32_t cap = 0;
    for (int i = 0; i < N; i++) {
        add(&fs[i], N - i);
        if (fake_p.capheap != cap) {
            ck_assert_uint_eq(fake_p.capheap, cap ? cap * 2 : GT_PAGE / sizeof(void *));
            cap = fake_p.capheap;
            check_heap(&fake_p);
        }
    }
    ck_assert_uint_gt(cap, 2048);
    ck_assert_int_eq(gt_timer_run(&fake_p, N), INT64_MAX);
    ck_assert_uint_eq(fake_nlog, N);
}
END_TEST

/* Whoever was woken by something else is not woken again by its timer. */
START_TEST(test_stale)
{
    struct gt_wakee w;
    uint64_t first = fake_g_asleep(&fs[0]);
    gt_timer_add(&fs[0].g, first, 10);
    ck_assert(gt_park_win(&fs[0].g.pk, first, GT_WAKE_READY, &w));
    ck_assert_int_eq(gt_timer_run(&fake_p, 10), INT64_MAX);
    ck_assert_uint_eq(fake_nlog, 0);
    ck_assert_uint_eq(gt_stat_get(timers_fired), 0);
    ck_assert_uint_eq(load_rlx(&fs[0].g.pk.word) & GT_PK_OUTCOME, GT_WAKE_READY);
    uint64_t old = fake_g_asleep(&fs[1]);
    gt_timer_add(&fs[1].g, old, 20);
    fake_g_asleep(&fs[1]); /* the next sleep, with the old timer still there */
    gt_timer_run(&fake_p, 20);
    ck_assert(fake_g_sleeps(&fs[1]));
    ck_assert_uint_eq(fake_nlog, 0);
}
END_TEST

/* Fired before it has left its stack: it will see the outcome by itself. */
START_TEST(test_not_yet_asleep)
{
    uint64_t t = gt_park_begin(&fs[0].g.pk);
    gt_timer_add(&fs[0].g, t, 10);
    ck_assert_int_eq(gt_timer_run(&fake_p, 9), 10);
    ck_assert_int_eq(gt_timer_run(&fake_p, 11), INT64_MAX);
    ck_assert_uint_eq(fake_nlog, 0);
    ck_assert_uint_eq(load_rlx(&fs[0].g.pk.word), t | GT_WAKE_TIMEOUT);
    gt_timer_del(&fs[0].g); /* off already */
    ck_assert_uint_eq(fake_p.nheap, 0);
}
END_TEST

START_TEST(test_first_of_all_ps)
{
    static struct gt_p other = {.when0 = INT64_MAX};
    gt_sched.allp[1] = &other;
    gt_sched.nprocs = 2;
    ck_assert_int_eq(gt_timer_first(), INT64_MAX);
    fs[1].m.p = &other;
    add(&fs[0], 50);
    add(&fs[1], 40);
    ck_assert_int_eq(gt_timer_first(), 40);
    ck_assert_uint_eq(other.nheap, 1);
    ck_assert_int_eq(gt_timer_run(&other, 60), INT64_MAX); /* by any M */
    ck_assert_ptr_eq(fake_log[0], &fs[1].g);
    ck_assert_int_eq(gt_timer_first(), 50);
    fs[0].m.p = &other; /* it moved: the timer is where it was put */
    gt_timer_del(&fs[0].g);
    ck_assert_uint_eq(fake_p.nheap, 0);
    ck_assert_int_eq(gt_timer_first(), INT64_MAX);
}
END_TEST

START_TEST(test_wake_netpoller)
{
    gt_wake_netpoller(100); /* nobody polls: somebody shall */
    ck_assert_uint_eq(fake_wakeps, 1);
    store_rlx(&gt_sched.lastpoll, 0);
    store_rlx(&gt_sched.polluntil, 90);
    gt_wake_netpoller(100); /* returns earlier anyway */
    ck_assert_uint_eq(fake_breaks, 0);
    gt_wake_netpoller(80);
    ck_assert_uint_eq(fake_breaks, 1);
    store_rlx(&gt_sched.polluntil, 0); /* for ever */
    gt_wake_netpoller(100);
    ck_assert_uint_eq(fake_breaks, 2);
    ck_assert_uint_eq(fake_wakeps, 1);
}
END_TEST

/* ---- the realtime clock is set: what waits for a time of it moves, the rest stays ---- */

static int64_t ahead; /* realtime - monotonic */

static int fake_gettime(clockid_t clock, struct timespec *ts)
{
    int64_t ns = 1000 * GT_SEC + (clock == CLOCK_REALTIME ? ahead : 0);
    *ts = (struct timespec){.tv_sec = ns / GT_SEC, .tv_nsec = ns % GT_SEC};
    return 0;
}

START_TEST(test_clock_is_set)
{
    static const int64_t jumps[] = {2 * GT_SEC, -2 * GT_SEC, 500 * GT_SEC, -1000 * GT_SEC, 1};
    int64_t real[300], was = 1000000 * GT_SEC;
    uint64_t seed = unit_seed("test_clock_is_set");
    gt_vdso_gettime = fake_gettime;
    ahead = was;
    for (int i = 0; i < 300; i++) {
        model[i] = 1000 * GT_SEC + unit_below(&seed, 100) * GT_SEC;
        real[i] = i % 3 ? model[i] + was : 0;
        add(&fs[i], real[i] ? real[i] | GT_REALTIME : model[i]);
    }
    check_heap(&fake_p);
    for (size_t k = 0; k < GT_ARRAY_LEN(jumps); k++) {
        uint32_t wakes = load_acq(&fake_wakeps);
        ahead += jumps[k];
        gt_timer_clock_set();
        ck_assert_uint_eq(load_acq(&fake_wakeps), wakes + 1); /* somebody may be due now */
        check_heap(&fake_p);
    }
    for (int i = 0; i < 300; i++)
        model[i] = GT_MAX(real[i] ? real[i] - ahead : model[i], 0);
    for (int64_t now = 1500; now >= 0 && now < 1700; now += 7)
        run_and_compare(300, now * GT_SEC);
    ck_assert_uint_eq(fake_p.nheap, 0);
    ck_assert_int_eq(gt_timer_first(), INT64_MAX);
}
END_TEST

/* ---- sleepers whose deadline and whose wake come at the same time ---- */

static struct gt_p heaps[2];
static _Atomic bool stop;
static _Atomic uint64_t ticket_now[4];

static void napper(struct fake_g *f, void *arg)
{
    uint64_t seed = unit_seed("napper") ^ (uint64_t)(uintptr_t)f;
    int rounds = (int)(intptr_t)arg, early = 0;
    for (int i = 0; i < rounds; i++) {
        f->m.p = &heaps[unit_below(&seed, 2)]; /* as if it had moved */
        int64_t when = gt_nanotime() + unit_below(&seed, 40000);
        uint64_t t = gt_park_begin(&f->g.pk);
        store_rel(&ticket_now[f - fs], t);
        if (gt_park(&f->g.pk, t, GT_R_SLEEP, when, 0) == GT_WAKE_TIMEOUT)
            early += gt_nanotime() < when;
        ck_assert_ptr_null(load_rlx(&f->g.timer.p));
    }
    ck_assert_int_eq(early, 0);
}

static void *run_timers(void *arg)
{
    while (!load_acq(&stop)) {
        gt_timer_run(arg, gt_nanotime());
        sched_yield();
    }
    return NULL;
}

static void *wake_nappers(void *arg)
{
    uint64_t seed = 99;
    (void)arg;
    while (!load_acq(&stop)) {
        uint32_t i = unit_below(&seed, 4);
        gt_park_wake(&fs[i].g.pk, load_acq(&ticket_now[i]), GT_WAKE_READY);
        if (unit_below(&seed, 4) == 0)
            sched_yield();
    }
    return NULL;
}

START_TEST(test_wakes_and_deadlines_race)
{
    pthread_t t[3];
    for (int i = 0; i < 2; i++) {
        store_rlx(&heaps[i].when0, INT64_MAX);
        t[i] = unit_start(run_timers, &heaps[i]);
    }
    for (int i = 0; i < 4; i++)
        fake_g_start(&fs[i], napper, (void *)(intptr_t)UNIT_STEPS(10000));
    t[2] = unit_start(wake_nappers, NULL);
    for (int i = 0; i < 4; i++)
        fake_g_join(&fs[i]);
    store_rel(&stop, true);
    for (int i = 0; i < 3; i++)
        unit_join(t[i]);
    ck_assert_uint_eq(heaps[0].nheap + heaps[1].nheap, 0);
    ck_assert_uint_gt(gt_stat_get(timers_fired), 0);
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_LOOP(test_against_model, 3),
        UNIT_LOOP(test_order, 3),
        UNIT_TEST(test_delete_each_slot),
        UNIT_TEST(test_growth),
        UNIT_TEST(test_stale),
        UNIT_TEST(test_not_yet_asleep),
        UNIT_TEST(test_first_of_all_ps),
        UNIT_TEST(test_wake_netpoller),
        UNIT_TEST(test_clock_is_set),
        UNIT_TEST(test_wakes_and_deadlines_race),
    };
    return UNIT_MAIN("timer", setup, tests);
}
