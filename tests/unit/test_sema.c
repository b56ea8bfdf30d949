/* SPDX-License-Identifier: BSD-2-Clause */
/* core/sched/sema.c: the order of waiters of each address, addresses that share a bucket, waiters
 * that move or have lost, all against plain arrays; then sleepers and wakers on many threads. */
#include "tests/unit/sched_fake.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/sched/sema.h"

#define NWAIT  400
#define NADDR  40
#define SHARED 30 /* so many of the addresses lie in one bucket */

static struct fake_g *fs;
static struct gt_waiter ws[NWAIT];
static const void *addr[NADDR];

/* Words to choose addresses from: of these a bucket's share is enough. */
static uint32_t words[1 << 17];

static struct gt_bucket *bucket_of(const void *a)
{
    struct gt_bucket *b = gt_sema_lock(a);
    gt_sema_unlock(b);
    return b;
}

static void setup(void)
{
    fake_init();
    fs = calloc(NWAIT, sizeof(*fs));
    for (int i = 0; i < NWAIT; i++)
        fake_g_init(&fs[i]);
    gt_tls.g = &fs[0].g; /* a goroutine: its signals are nobody's business here */
    struct gt_bucket *b = bucket_of(&words[0]);
    int same = 0, other = SHARED;
    for (size_t i = 0; i < GT_ARRAY_LEN(words); i++)
        if (bucket_of(&words[i]) == b && same < SHARED)
            addr[same++] = &words[i];
        else if (bucket_of(&words[i]) != b && other < NADDR)
            addr[other++] = &words[i];
    ck_assert_int_eq(same, SHARED);
    gt_tls.g = NULL;
}

/* Waiter i, as goroutine i, which then sleeps. */
static void enqueue(int i, const void *a, bool front)
{
    gt_tls.g = &fs[i].g;
    struct gt_bucket *b = gt_sema_lock(a);
    gt_sema_enqueue(b, &ws[i], a, front);
    gt_sema_unlock(b);
    store_rlx(&fs[i].g.status, GT_G_PARK);
    or_acqrel(&fs[i].g.pk.word, GT_PK_ASLEEP);
    gt_tls.g = NULL;
}

/* Wakes the first waiter of a; its number, -1: none. */
static int wake_first(const void *a)
{
    struct gt_waiter *who = NULL;
    struct gt_wakee wk;
    struct gt_bucket *b = gt_sema_lock(a);
    bool ok = gt_sema_dequeue(b, a, &wk, &who);
    gt_sema_unlock(b);
    if (!ok)
        return -1;
    ck_assert_ptr_eq(wk.g, who->pk->g);
    ck_assert(!who->queued);
    gt_wake(&wk);
    return (int)(who - ws);
}

/* The queue of a, first to last, must be want[0..n). */
static void expect_queue(const void *a, const int *want, int n)
{
    int i = 0;
    struct gt_bucket *b = gt_sema_lock(a);
    struct gt_waiter *w = gt_sema_first(b, a);
    for (; i < n && w && w == &ws[want[i]] && w->queued && w->addr == (uintptr_t)a; i++)
        w = gt_sema_next(b, w);
    gt_sema_unlock(b);
    ck_assert_msg(i == n && !w, "address %p: right up to place %d of %d", a, i, n);
}

static bool lose(int i)
{
    struct gt_wakee wk;
    return gt_park_win(&fs[i].g.pk, ws[i].ticket, GT_WAKE_TIMEOUT, &wk);
}

/* ---- one thing at a time ---- */

START_TEST(test_fifo)
{
    for (int n = 0; n < 50; n++) {
        for (int i = 0; i < n; i++)
            enqueue(i, addr[0], false);
        for (int i = 0; i < n; i++)
            ck_assert_int_eq(wake_first(addr[0]), i);
        ck_assert_int_eq(wake_first(addr[0]), -1);
    }
}
END_TEST

START_TEST(test_front)
{
    for (int i = 0; i < 6; i++)
        enqueue(i, addr[0], i % 2); /* 1, 3, 5 come before the others */
    expect_queue(addr[0], (int[]){5, 3, 1, 0, 2, 4}, 6);
    enqueue(6, addr[1], true); /* the only one there */
    expect_queue(addr[1], (int[]){6}, 1);
}
END_TEST

START_TEST(test_bucket_of_many)
{
    for (int i = 0; i < 5 * SHARED; i++)
        enqueue(i, addr[i % SHARED], false);
    for (int a = SHARED - 1; a >= 0; a--)
        expect_queue(addr[a],
                     (int[]){a, a + SHARED, a + 2 * SHARED, a + 3 * SHARED, a + 4 * SHARED}, 5);
    for (int i = 0; i < 5 * SHARED; i++) { /* empty groups in the middle, at the ends */
        int a = i * 7 % SHARED;
        ck_assert_int_eq(wake_first(addr[a]), a + i / SHARED * SHARED);
    }
    for (int a = 0; a < SHARED; a++)
        expect_queue(addr[a], NULL, 0);
}
END_TEST

/* A wake goes to the first who has not lost; who has lost is off the queue then. */
START_TEST(test_losers_skipped)
{
    for (int i = 0; i < 6; i++)
        enqueue(i, addr[0], false);
    ck_assert(lose(0) && lose(1) && lose(3) && lose(5));
    ck_assert_int_eq(wake_first(addr[0]), 2);
    expect_queue(addr[0], (int[]){3, 4, 5}, 3);
    ck_assert(!ws[0].queued && !ws[1].queued);
    ck_assert_int_eq(gt_sema_wake(addr[0], 10), 1); /* 4 alone */
    expect_queue(addr[0], NULL, 0);
    ck_assert_uint_eq(fake_nlog, 2);
}
END_TEST

START_TEST(test_take_anywhere)
{
    struct gt_wakee wk;
    for (int n = 1; n <= 6; n++)
        for (int take = 0; take < n * 2; take++) {
            int who = take / 2, left[6], k = 0;
            for (int i = 0; i < n; i++)
                enqueue(i, addr[0], false);
            if (take % 2)
                ck_assert(lose(who));
            struct gt_bucket *b = gt_sema_lock(addr[0]);
            ck_assert(gt_sema_take(b, &ws[who], &wk) == (take % 2 == 0));
            gt_sema_unlock(b);
            ck_assert(!ws[who].queued);
            for (int i = 0; i < n; i++)
                if (i != who)
                    left[k++] = i;
            expect_queue(addr[0], left, n - 1);
            ck_assert_int_eq(gt_sema_wake(addr[0], n), n - 1);
        }
}
END_TEST

START_TEST(test_wake_counts)
{
    ck_assert_int_eq(gt_sema_wake(addr[0], 5), 0);
    for (int i = 0; i < 10; i++)
        enqueue(i, addr[0], false);
    ck_assert_int_eq(gt_sema_wake(addr[0], 0), 0);
    ck_assert_int_eq(gt_sema_wake(addr[0], 3), 3);
    ck_assert_int_eq(gt_sema_wake(addr[0], INT32_MAX), 7);
    ck_assert_uint_eq(fake_nlog, 10);
    for (uint32_t i = 0; i < 10; i++)
        ck_assert_ptr_eq(fake_log[i], &fs[i].g);
}
END_TEST

static void requeue(int i, const void *from, const void *to)
{
    struct gt_bucket *bf, *bt;
    gt_sema_lock2(from, to, &bf, &bt);
    gt_sema_requeue(bf, bt, &ws[i], to);
    gt_sema_unlock2(bf, bt);
}

START_TEST(test_requeue)
{
    const void *from = addr[0], *to = _i ? addr[1] : addr[SHARED]; /* the same bucket, another */
    for (int i = 0; i < 5; i++)
        enqueue(i, from, false);
    enqueue(5, to, false);
    requeue(2, from, to);
    requeue(0, from, to);
    requeue(4, from, to);
    expect_queue(from, (int[]){1, 3}, 2);
    expect_queue(to, (int[]){5, 2, 0, 4}, 4); /* at the tail */
    requeue(3, from, to);
    requeue(1, from, to);
    expect_queue(from, NULL, 0);
    ck_assert_int_eq(wake_first(to), 5);
    ck_assert_int_eq(wake_first(to), 2);
    requeue(0, to, from); /* and back */
    expect_queue(from, (int[]){0}, 1);
    expect_queue(to, (int[]){4, 3, 1}, 3);
}
END_TEST

START_TEST(test_fork_child_forgets)
{
    for (int i = 0; i < NADDR; i++)
        enqueue(i, addr[i], false);
    gt_sema_lock(addr[0]); /* held by a thread that the child has not */
    gt_sema_fork_child();
    for (int i = 0; i < NADDR; i++)
        expect_queue(addr[i], NULL, 0);
}
END_TEST

static bool blocked(int sig)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, sig);
}

/* Off a goroutine a handler might come back to the bucket that its thread has locked. */
START_TEST(test_signals_blocked)
{
    sigset_t usr2;
    struct gt_bucket *a, *b;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &usr2, NULL);
    for (int i = 0; i < 3; i++) { /* one bucket, the same twice, two in both orders */
        const void *x = addr[i == 0 ? 1 : 0], *y = addr[i == 0 ? 0 : i == 1 ? SHARED : SHARED + 1];
        gt_sema_lock2(x, y, &a, &b);
        ck_assert(blocked(SIGUSR1) && blocked(SIGTERM));
        gt_sema_unlock2(a, b);
        gt_sema_lock2(y, x, &a, &b);
        gt_sema_unlock2(a, b);
        ck_assert(!blocked(SIGUSR1) && blocked(SIGUSR2));
    }
    a = gt_sema_lock(addr[0]);
    ck_assert(blocked(SIGUSR1));
    gt_sema_unlock(a);
    ck_assert(!blocked(SIGUSR1) && blocked(SIGUSR2));
    gt_tls.g = &fs[0].g;
    a = gt_sema_lock(addr[0]);
    ck_assert(!blocked(SIGUSR1)); /* a goroutine in the runtime is not interrupted anyway */
    gt_sema_unlock(a);
    gt_tls.g = NULL;
}
END_TEST

/* ---- random steps against arrays ---- */

static int queue[NADDR][NWAIT], length[NADDR];
static int where[NWAIT]; /* address; -1: not queued */
static bool lost[NWAIT];

static void model_insert(int a, int at, int i)
{
    memmove(&queue[a][at + 1], &queue[a][at], (size_t)(length[a]++ - at) * sizeof(int));
    queue[a][at] = i;
    where[i] = a;
}

static void model_remove(int i)
{
    int a = where[i], at = 0;
    while (queue[a][at] != i)
        at++;
    memmove(&queue[a][at], &queue[a][at + 1], (size_t)(--length[a] - at) * sizeof(int));
    where[i] = -1;
}

static void step_wake(int a)
{
    int want = -1;
    while (length[a] && want < 0) {
        int i = queue[a][0];
        want = lost[i] ? -1 : i;
        model_remove(i);
    }
    ck_assert_int_eq(wake_first(addr[a]), want);
}

static void step_queued(uint64_t *seed, int i)
{
    struct gt_wakee wk;
    int to = (int)unit_below(seed, NADDR), from = where[i];
    struct gt_bucket *b;
    switch (unit_below(seed, 4)) {
    case 0: /* its time has come; it is still queued */
        ck_assert(lose(i) == !lost[i]);
        lost[i] = true;
        break;
    case 1:
        requeue(i, addr[from], addr[to]);
        model_remove(i);
        model_insert(to, length[to], i);
        break;
    case 2:
        b = gt_sema_lock(addr[from]);
        ck_assert(gt_sema_take(b, &ws[i], &wk) == !lost[i]);
        gt_sema_unlock(b);
        model_remove(i);
        break;
    default:
        step_wake(from);
    }
}

START_TEST(test_against_model)
{
    uint64_t seed = unit_seed("test_against_model");
    for (int i = 0; i < NWAIT; i++)
        where[i] = -1;
    for (int step = 0; step < UNIT_STEPS(20000); step++) {
        int i = (int)unit_below(&seed, NWAIT), a = (int)unit_below(&seed, NADDR);
        if (where[i] >= 0) {
            step_queued(&seed, i);
        } else if (unit_below(&seed, 8) == 0) {
            step_wake(a);
        } else {
            bool front = unit_below(&seed, 4) == 0;
            lost[i] = false;
            enqueue(i, addr[a], front);
            model_insert(a, front ? 0 : length[a], i);
        }
        expect_queue(addr[a], queue[a], length[a]);
        if (step % 100 == 0)
            for (int k = 0; k < NADDR; k++)
                expect_queue(addr[k], queue[k], length[k]);
    }
}
END_TEST

/* ---- really asleep ---- */

static enum gt_wake sleep_on(struct gt_waiter *w, const void *a, int64_t when)
{
    struct gt_bucket *b = gt_sema_lock(a);
    gt_sema_enqueue(b, w, a, false);
    gt_sema_unlock(b);
    return gt_sema_park(w, GT_R_SEM, when, 0);
}

START_TEST(test_timeout_takes_itself_off)
{
    struct gt_waiter w = {0};
    enqueue(1, addr[0], false);
    ck_assert_int_eq(sleep_on(&w, addr[0], gt_nanotime() + 5 * GT_MS), GT_WAKE_TIMEOUT);
    expect_queue(addr[0], (int[]){1}, 1);
    gt_tls.g = &fs[0].g;
    ck_assert_int_eq(sleep_on(&w, addr[0], gt_nanotime() - 1), GT_WAKE_TIMEOUT);
    gt_tls.g = NULL;
    expect_queue(addr[0], (int[]){1}, 1);
}
END_TEST

/* Sleepers count the wakes that they got, wakers those that they gave: no wake is spent on somebody
 * who has lost, none is had for nothing. */
#define SLEEPERS 6
static _Atomic int rounds_left, received, given;
static _Atomic bool stop;

static void sleep_rounds(int me)
{
    uint64_t seed = (uint64_t)me + 1;
    while (sub_acqrel(&rounds_left, 1) > 0) {
        struct gt_waiter w = {0};
        const void *a = addr[unit_below(&seed, 4)];
        int64_t when = unit_below(&seed, 2) ? gt_nanotime() + unit_below(&seed, 50000) : GT_NEVER;
        received += sleep_on(&w, a, when) == GT_WAKE_READY;
        ck_assert(!w.queued);
    }
}

static void *foreign_sleeper(void *me)
{
    sleep_rounds((int)(intptr_t)me);
    return NULL;
}

static void g_sleeper(struct fake_g *f, void *me)
{
    (void)f;
    sleep_rounds((int)(intptr_t)me);
}

static void move_one(uint64_t *seed)
{
    const void *from = addr[unit_below(seed, 4)], *to = addr[unit_below(seed, 4)];
    struct gt_bucket *bf, *bt;
    gt_sema_lock2(from, to, &bf, &bt);
    struct gt_waiter *w = gt_sema_first(bf, from);
    if (w)
        gt_sema_requeue(bf, bt, w, to);
    gt_sema_unlock2(bf, bt);
}

static void *sema_waker(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    while (!load_acq(&stop)) {
        given += gt_sema_wake(addr[unit_below(&seed, 4)], (int)unit_below(&seed, 3));
        move_one(&seed);
        gt_timer_run(&fake_p, gt_nanotime());
        sched_yield();
    }
    return NULL;
}

START_TEST(test_many_threads)
{
    pthread_t t[SLEEPERS], w[2];
    addr[2] = addr[SHARED]; /* two in one bucket, two elsewhere */
    addr[3] = addr[SHARED + 1];
    rounds_left = UNIT_STEPS(20000);
    for (intptr_t i = 0; i < SLEEPERS; i++)
        if (i % 2)
            fake_g_start(&fs[i], g_sleeper, (void *)i);
        else
            t[i] = unit_start(foreign_sleeper, (void *)i);
    for (int i = 0; i < 2; i++)
        w[i] = unit_start(sema_waker, (void *)(intptr_t)(i + 77));
    for (int i = 0; i < SLEEPERS; i++)
        if (i % 2)
            fake_g_join(&fs[i]);
        else
            unit_join(t[i]);
    stop = true;
    for (int i = 0; i < 2; i++)
        unit_join(w[i]);
    ck_assert_int_eq(received, given);
    ck_assert_int_gt(given, 0);
    for (int a = 0; a < 4; a++)
        expect_queue(addr[a], NULL, 0);
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_TEST(test_fifo),
        UNIT_TEST(test_front),
        UNIT_TEST(test_bucket_of_many),
        UNIT_TEST(test_losers_skipped),
        UNIT_TEST(test_take_anywhere),
        UNIT_TEST(test_wake_counts),
        UNIT_LOOP(test_requeue, 2),
        UNIT_TEST(test_fork_child_forgets),
        UNIT_TEST(test_signals_blocked),
        UNIT_TEST(test_against_model),
        UNIT_TEST(test_timeout_takes_itself_off),
        UNIT_TEST(test_many_threads),
    };
    return UNIT_MAIN("sema", setup, tests);
}
