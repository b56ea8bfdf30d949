/* SPDX-License-Identifier: BSD-2-Clause */
/* core/sched/park.c: the ticket.  Every order of opening, winning and falling asleep; stale
 * tickets; many wakers for one; kernel threads that wait on notes. */
#include "tests/unit/sched_fake.h"

#include <signal.h>
#include <unistd.h>

static struct fake_g f;
static struct gt_parker *const pk = &f.g.pk;

static void setup(void)
{
    fake_init();
    fake_g_init(&f);
}

static uint32_t outcome(void)
{
    return load_acq(&pk->word) & GT_PK_OUTCOME;
}

/* ---- the word ---- */

START_TEST(test_begin)
{
    static const uint64_t before[] = {0, 0x100, 0x113, 0x712, 0xff00, (1ull << 40) | 0x12};
    for (size_t i = 0; i < GT_ARRAY_LEN(before); i++) {
        store_rlx(&pk->word, before[i]);
        uint64_t t = gt_park_begin(pk);
        ck_assert_uint_eq(t, (before[i] & GT_PK_SEQ) + 0x100); /* open, awake */
        ck_assert_uint_eq(load_rlx(&pk->word), t);
    }
    store_rlx(&pk->word, GT_PK_SEQ | GT_WAKE_READY); /* the last sequence number */
    ck_assert_uint_eq(gt_park_begin(pk), 0);
    struct gt_wakee w;
    ck_assert(!gt_park_win(pk, GT_PK_SEQ, GT_WAKE_READY, &w));
    ck_assert(gt_park_win(pk, 0, GT_WAKE_READY, &w));
}
END_TEST

static const enum gt_wake outcomes[] = {GT_WAKE_READY, GT_WAKE_TIMEOUT, GT_WAKE_SIGNAL};

/* For each first and each second outcome, asleep or not: the first one stays. */
START_TEST(test_one_winner)
{
    for (int i = 0; i < 3 * 3 * 2; i++) {
        bool asleep = i & 1;
        enum gt_wake first = outcomes[i / 2 % 3], second = outcomes[i / 6];
        struct gt_wakee w = {0};
        uint64_t t = asleep ? fake_g_asleep(&f) : gt_park_begin(pk);
        ck_assert(gt_park_win(pk, t, first, &w));
        ck_assert_ptr_eq(w.g, asleep ? &f.g : NULL);
        ck_assert_ptr_null(w.note);
        ck_assert(!gt_park_win(pk, t, second, &w));
        ck_assert_uint_eq(outcome(), first);
        ck_assert((bool)(load_rlx(&pk->word) & GT_PK_ASLEEP) == asleep);
    }
}
END_TEST

START_TEST(test_stale_loses)
{
    struct gt_wakee w;
    uint64_t old[5];
    for (int i = 0; i < 5; i++) {
        old[i] = i % 2 ? fake_g_asleep(&f) : gt_park_begin(pk);
        for (int k = 0; k < i; k++)
            ck_assert(!gt_park_win(pk, old[k], GT_WAKE_READY, &w));
        ck_assert(!gt_park_win(pk, old[i] + 0x100, GT_WAKE_READY, &w)); /* not yet open */
        ck_assert_uint_eq(outcome(), GT_WAKE_OPEN);
    }
    ck_assert(gt_park_win(pk, old[4], GT_WAKE_TIMEOUT, &w));
}
END_TEST

START_TEST(test_wake)
{
    ck_assert(gt_park_wake(pk, gt_park_begin(pk), GT_WAKE_READY));
    ck_assert_uint_eq(f.readied, 0); /* awake: nothing to do but the outcome */
    uint64_t t = fake_g_asleep(&f);
    ck_assert(gt_park_wake(pk, t, GT_WAKE_SIGNAL));
    ck_assert_uint_eq(f.readied, 1);
    ck_assert(!gt_park_wake(pk, t, GT_WAKE_READY));
    ck_assert_uint_eq(f.readied, 1);
}
END_TEST

/* ---- gt_park on a goroutine, played by the test's own thread ---- */

#define WAIT_UNTIL 1000

/* What happens to the ticket, and when. */
enum at { BEFORE, ON_THE_WAY, NEVER };
static uint64_t ticket;

static void win_on_the_way(struct fake_g *self)
{
    ck_assert(gt_park_wake(&self->g.pk, ticket, GT_WAKE_READY));
    ck_assert_uint_eq(self->readied, 0); /* it still uses its stack */
}

static enum gt_wake park(enum at won, enum gt_reason why, int64_t when, unsigned flags)
{
    enum gt_wake r;
    gt_tls.g = &f.g;
    ticket = gt_park_begin(pk);
    if (won == BEFORE)
        gt_park_wake(pk, ticket, GT_WAKE_READY);
    f.before_g0 = won == ON_THE_WAY ? win_on_the_way : NULL;
    r = gt_park(pk, ticket, why, when, flags);
    gt_tls.g = NULL;
    ck_assert_uint_eq(fake_p.nheap, 0); /* no timer stays */
    ck_assert_uint_eq(load_rlx(&f.g.intr_ticket), 0);
    ck_assert_uint_eq(load_rlx(&f.g.waitreason), GT_R_NONE);
    ck_assert_uint_eq(load_rlx(&f.g.status), GT_G_RUN);
    ck_assert_ptr_eq(f.g.m, &f.m);
    return r;
}

START_TEST(test_park_without_sleep)
{
    store_rlx(&fake_now, WAIT_UNTIL);
    ck_assert_int_eq(park(BEFORE, GT_R_SEM, GT_NEVER, 0), GT_WAKE_READY);
    ck_assert_int_eq(park(BEFORE, GT_R_SEM, WAIT_UNTIL - 1, 0), GT_WAKE_READY); /* not late */
    ck_assert_int_eq(park(NEVER, GT_R_SEM, WAIT_UNTIL, 0), GT_WAKE_TIMEOUT);
    ck_assert_int_eq(park(NEVER, GT_R_SEM, 0, 0), GT_WAKE_TIMEOUT);
    ck_assert_uint_eq(load_rlx(&gt_park_count[GT_R_SEM]), 0); /* none of them slept */
    ck_assert_int_eq(park(ON_THE_WAY, GT_R_SEM, GT_NEVER, 0), GT_WAKE_READY);
    ck_assert_int_eq(park(ON_THE_WAY, GT_R_SEM, WAIT_UNTIL + 1, 0), GT_WAKE_READY);
    ck_assert_uint_eq(load_rlx(&gt_park_count[GT_R_SEM]), 2);
    ck_assert_uint_eq(load_rlx(&gt_wake_count[GT_R_SEM]), 2);
    ck_assert_uint_eq(f.slept + f.readied, 0);
}
END_TEST

/* Attention that is there before the sleep, by what it is and what is waited for. */
START_TEST(test_park_interrupted)
{
    static const struct {
        enum gt_reason why;
        uint32_t attention;
        unsigned flags;
        bool ends;
    } c[] = {
        {GT_R_COND, GT_ATT_SIGNAL, GT_PARK_INTR, true},
        {GT_R_COND, GT_ATT_CANCEL, GT_PARK_INTR, true},
        {GT_R_COND, GT_ATT_PREEMPT, GT_PARK_INTR, false},
        {GT_R_COND, GT_ATT_SIGNAL | GT_ATT_CANCEL, 0, false},
        {GT_R_MUTEX, GT_ATT_SIGNAL, GT_PARK_INTR, true},
        {GT_R_MUTEX, GT_ATT_CANCEL, GT_PARK_INTR, false}, /* no cancellation point */
        {GT_R_RWLOCK, GT_ATT_CANCEL, GT_PARK_INTR, false},
        {GT_R_ONCE, GT_ATT_CANCEL, GT_PARK_INTR, false},
        {GT_R_BARRIER, GT_ATT_CANCEL, GT_PARK_INTR, false},
        {GT_R_IO_READ, GT_ATT_CANCEL, GT_PARK_INTR, true},
        {GT_R_JOIN, GT_ATT_CANCEL, GT_PARK_INTR, true},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(c); i++) {
        store_rlx(&f.g.attention, c[i].attention);
        /* who is not interrupted is woken on the way */
        enum gt_wake r = park(c[i].ends ? NEVER : ON_THE_WAY, c[i].why, GT_NEVER, c[i].flags);
        ck_assert_int_eq(r, c[i].ends ? GT_WAKE_SIGNAL : GT_WAKE_READY);
        ck_assert_uint_eq(load_rlx(&f.g.attention), c[i].attention);
    }
    ck_assert_uint_eq(f.slept, 0);
}
END_TEST

/* ---- asleep, on a thread of its own ---- */

static enum gt_wake result;

static void sleeper(struct fake_g *self, void *when)
{
    ticket = gt_park_begin(&self->g.pk);
    result = gt_park(&self->g.pk, ticket, GT_R_COND, (intptr_t)when, GT_PARK_INTR);
}

static void start_sleeper(int64_t when)
{
    store_rlx(&fake_now, 0);
    fake_g_start(&f, sleeper, (void *)(intptr_t)when);
    UNIT_UNTIL(fake_g_sleeps(&f));
    ck_assert_uint_eq(load_rlx(&f.g.status), GT_G_PARK);
    ck_assert_uint_eq(load_rlx(&f.g.waitreason), GT_R_COND);
    ck_assert_uint_eq(load_rlx(&f.g.intr_ticket), ticket | GT_ATT_SIGNAL | GT_ATT_CANCEL);
}

START_TEST(test_sleep_and_wake)
{
    enum gt_wake how = outcomes[_i % 3];
    start_sleeper(_i < 3 ? GT_NEVER : WAIT_UNTIL);
    ck_assert_uint_eq(fake_p.nheap, _i < 3 ? 0 : 1);
    ck_assert(gt_park_wake(pk, ticket, how));
    fake_g_join(&f);
    ck_assert_int_eq(result, how);
    ck_assert_uint_eq(f.slept, 1);
    ck_assert_uint_eq(f.readied, 1);
    ck_assert_uint_eq(fake_p.nheap, 0);
    ck_assert_uint_eq(load_rlx(&gt_park_count[GT_R_COND]), 1);
    ck_assert_uint_eq(load_rlx(&gt_wake_count[GT_R_COND]), how == GT_WAKE_READY);
}
END_TEST

START_TEST(test_sleep_until)
{
    start_sleeper(WAIT_UNTIL);
    ck_assert_int_eq(gt_timer_run(&fake_p, WAIT_UNTIL - 1), WAIT_UNTIL);
    ck_assert(fake_g_sleeps(&f));
    ck_assert_int_eq(gt_timer_run(&fake_p, WAIT_UNTIL), INT64_MAX);
    fake_g_join(&f);
    ck_assert_int_eq(result, GT_WAKE_TIMEOUT);
    ck_assert_uint_eq(f.readied, 1);
}
END_TEST

/* ---- many wakers, each ticket has one winner; on a goroutine or on a note ---- */

static _Atomic uint64_t open_ticket;
static _Atomic uint32_t done;
static _Atomic uint32_t won[4]; /* by outcome */
static struct gt_parker *_Atomic target;

static void *waker(void *arg)
{
    enum gt_wake how = outcomes[(intptr_t)arg % 3];
    while (!load_acq(&done)) {
        struct gt_parker *p = load_acq(&target);
        if (p && gt_park_wake(p, load_acq(&open_ticket), how))
            add_acqrel(&won[how], 1);
        else
            sched_yield();
    }
    return NULL;
}

static uint32_t got[4];

static void park_rounds(struct gt_parker *p, uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        uint64_t t = gt_park_begin(p);
        store_rel(&open_ticket, t);
        store_rel(&target, p);
        got[gt_park(p, t, GT_R_SEM, GT_NEVER, 0)]++;
    }
    store_rel(&done, 1);
}

static void parks_often(struct fake_g *self, void *rounds)
{
    park_rounds(&self->g.pk, (uint32_t)(uintptr_t)rounds);
}

static void *parks_often_on_note(void *rounds)
{
    park_rounds(gt_parker_self(), (uint32_t)(uintptr_t)rounds);
    return NULL;
}

START_TEST(test_many_wakers)
{
    pthread_t t[4], self = 0;
    uint32_t rounds = UNIT_STEPS(10000), sum = 0;
    if (_i == 0)
        fake_g_start(&f, parks_often, (void *)(uintptr_t)rounds);
    else
        self = unit_start(parks_often_on_note, (void *)(uintptr_t)rounds);
    for (int i = 0; i < 4; i++)
        t[i] = unit_start(waker, (void *)(intptr_t)i);
    if (_i == 0)
        fake_g_join(&f);
    else
        unit_join(self);
    for (int i = 0; i < 4; i++)
        unit_join(t[i]);
    for (int i = 1; i < 4; i++) {
        ck_assert_uint_eq(got[i], won[i]);
        sum += got[i];
    }
    ck_assert_uint_eq(sum, rounds);
    ck_assert_uint_eq(f.readied, f.slept);
    ck_assert_uint_le(f.slept, rounds);
}
END_TEST

/* ---- notes ---- */

START_TEST(test_foreign_parker)
{
    ck_assert_ptr_eq(gt_parker_self(), &gt_tls.pk);
    ck_assert_ptr_eq(gt_parker_self(), &gt_tls.pk);
    ck_assert_uint_eq(gt_stat_get(foreign_threads), 1); /* counted once */
    f.g.is_g0 = true; /* the scheduler's own stack is no goroutine */
    gt_tls.g = &f.g;
    ck_assert_ptr_eq(gt_parker_self(), &gt_tls.pk);
    f.g.is_g0 = false;
    ck_assert_ptr_eq(gt_parker_self(), pk);
}
END_TEST

START_TEST(test_note)
{
    struct gt_parker *p = gt_parker_self();
    uint64_t t = gt_park_begin(p);
    ck_assert(gt_park_wake(p, t, GT_WAKE_READY)); /* first: no sleep */
    ck_assert_int_eq(gt_park(p, t, GT_R_SEM, GT_NEVER, 0), GT_WAKE_READY);
    for (int ms = 0; ms < 40; ms += 20) {
        int64_t when = gt_nanotime() + ms * GT_MS;
        ck_assert_int_eq(gt_park(p, gt_park_begin(p), GT_R_SEM, when, 0), GT_WAKE_TIMEOUT);
        ck_assert_int_ge(gt_nanotime(), when);
    }
    ck_assert(!gt_park_wake(p, t, GT_WAKE_READY));
}
END_TEST

static _Atomic int handled;

static void on_signal(int sig)
{
    (void)sig;
    handled++;
}

static void *noted(void *flags)
{
    struct gt_parker *p = gt_parker_self();
    uint64_t t = gt_park_begin(p);
    store_rel(&open_ticket, t);
    store_rel(&target, p);
    return (void *)(uintptr_t)gt_park(p, t, GT_R_SEM, GT_NEVER, (unsigned)(uintptr_t)flags);
}

static bool note_ended(void)
{
    return load_acq(&load_acq(&target)->word) & GT_PK_OUTCOME;
}

START_TEST(test_note_and_signals)
{
    unsigned flags = _i ? GT_PARK_INTR : 0;
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &sa, NULL);
    pthread_t t = unit_start(noted, (void *)(uintptr_t)flags);
    UNIT_UNTIL(load_acq(&target));
    for (int sent = 0; !note_ended() && (_i || sent < 50); sent++) { /* some meet it asleep */
        pthread_kill(t, SIGUSR1);
        usleep(100);
    }
    if (!_i)
        ck_assert(gt_park_wake(load_acq(&target), load_acq(&open_ticket), GT_WAKE_READY));
    ck_assert_uint_eq((uintptr_t)unit_join(t), _i ? GT_WAKE_SIGNAL : GT_WAKE_READY);
    ck_assert_int_gt(handled, 0);
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_TEST(test_begin),
        UNIT_TEST(test_one_winner),
        UNIT_TEST(test_stale_loses),
        UNIT_TEST(test_wake),
        UNIT_TEST(test_park_without_sleep),
        UNIT_TEST(test_park_interrupted),
        UNIT_LOOP(test_sleep_and_wake, 6),
        UNIT_TEST(test_sleep_until),
        UNIT_LOOP(test_many_wakers, 2),
        UNIT_TEST(test_foreign_parker),
        UNIT_TEST(test_note),
        UNIT_LOOP(test_note_and_signals, 2),
    };
    return UNIT_MAIN("park", setup, tests);
}
