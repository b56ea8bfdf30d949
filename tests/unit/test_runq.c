/* SPDX-License-Identifier: BSD-2-Clause */
/* core/sched/sched.c: the run queues at every fill level, stealing, who wakes whom, and the edges
 * of P ownership.  Goroutines here are numbers: none runs.  New kernel threads and the poller's
 * alarm are recorded, not made. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "core/sched/sched_int.h"
#include "core/sched/sigwatch.h"

#define NG 20000 /* as many goroutines as the concurrent test needs */

static struct gt_g *gs;
static struct gt_p ps[4];
static struct gt_m ms[4];

/* ---- what lies beside sched.c ---- */

static struct {
    int count;
    struct gt_p *p;
    bool spinning;
} newm, alarm_set;
static int64_t alarm_when;

bool gt_newm(struct gt_p *p, bool spinning)
{
    newm.count++;
    newm.p = p;
    newm.spinning = spinning;
    return true;
}

gt_sigset gt_kmask_of(gt_sigset mask)
{
    return mask;
}

void gt_sig_pipe_left(struct gt_m *m)
{
    (void)m;
}

void gt_sig_mask_done(void)
{
}

void gt_sig_catch_up(struct gt_g *g, bool near)
{
    (void)g, (void)near;
}

void gt_sysmon_wake(void)
{
    add_seq(&gt_sched.sysmon_note, 1);
}

void gt_rt_attend(struct gt_g *g)
{
    and_acqrel(&g->attention, 0);
}

void gt_send_preempt(struct gt_m *m)
{
    ck_abort_msg("a signal for M %u", m->id);
}

void __wrap_gt_wake_netpoller(int64_t when);
void __wrap_gt_wake_netpoller(int64_t when)
{
    alarm_set.count++;
    alarm_when = when;
}

static void setup(void)
{
    gs = calloc(NG, sizeof(*gs));
    gt_sched.nprocs = 3;
    for (int i = 0; i < 4; i++) {
        gt_sched.allp[i] = i < 3 ? &ps[i] : NULL;
        ps[i].id = (uint32_t)i;
        store_rlx(&ps[i].when0, INT64_MAX);
        ms[i].id = (uint32_t)i + 1;
    }
    store_rlx(&gt_sched.lastpoll, 1);
}

static int id(const struct gt_g *g)
{
    return g ? (int)(g - gs) : -1;
}

/* The queue begins anywhere, so that slots and counters wrap. */
static void empty_at(struct gt_p *p, uint32_t at)
{
    store_rlx(&p->head, at);
    store_rlx(&p->tail, at);
}

static void put_range(struct gt_p *p, int from, int to)
{
    for (int i = from; i < to; i++)
        gt_runqput(p, &gs[i], false);
}

static void expect_range(struct gt_p *p, int from, int to)
{
    int i = from; /* one assertion for all: each costs */
    while (i < to && id(gt_runqget(p)) == i)
        i++;
    ck_assert_int_eq(i, GT_MAX(from, to));
}

static struct gt_g *global_pop(void)
{
    struct gt_g *g = gt_sched.runq_head;
    if (!g)
        return NULL;
    gt_sched.runq_head = g->schedlink;
    if (!g->schedlink)
        gt_sched.runq_tail = NULL;
    gt_sched.runqsize--;
    return g;
}

/* Of each of the first n goroutines goid counts how often it was met. */
static void expect_ran_once(int n)
{
    for (int i = 0; i < n; i++) {
        if (gs[i].goid != 1)
            ck_abort_msg("goroutine %d ran %lu times", i, (unsigned long)gs[i].goid);
        gs[i].goid = 0;
    }
}

static void expect_no_global(void)
{
    ck_assert_ptr_null(gt_sched.runq_head);
    ck_assert_ptr_null(gt_sched.runq_tail);
    ck_assert_uint_eq(gt_sched.runqsize, 0);
}

/* ---- one queue ---- */

static const uint32_t starts[] = {0, 1, 255, UINT32_MAX - 100, UINT32_MAX};

START_TEST(test_fifo_at_every_fill)
{
    for (int n = 0; n <= GT_RUNQ; n++) {
        empty_at(&ps[0], starts[_i]);
        put_range(&ps[0], 0, n);
        ck_assert(gt_runqempty(&ps[0]) == (n == 0));
        expect_range(&ps[0], 0, n);
        ck_assert_ptr_null(gt_runqget(&ps[0]));
        ck_assert(gt_runqempty(&ps[0]));
    }
    expect_no_global();
}
END_TEST

START_TEST(test_runnext)
{
    struct gt_p *p = &ps[0];
    gt_runqput(p, &gs[0], false);
    gt_runqput(p, &gs[1], true);
    ck_assert_int_eq(id(load_rlx(&p->runnext)), 1);
    gt_runqput(p, &gs[2], true); /* kicks 1 to the tail */
    gt_runqput(p, &gs[3], false);
    static const int order[] = {2, 0, 1, 3, -1};
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(id(gt_runqget(p)), order[i]);
    gt_runqput(p, &gs[4], true);
    ck_assert(!gt_runqempty(p)); /* the slot alone */
    ck_assert_int_eq(id(gt_runqget(p)), 4);
    ck_assert(gt_runqempty(p));
}
END_TEST

/* Half of a full queue and the newcomer go to the global one, oldest first. */
START_TEST(test_overflow)
{
    struct gt_p *p = &ps[0];
    bool by_runnext = _i & 1;
    empty_at(p, starts[_i / 2]);
    put_range(p, 0, GT_RUNQ);
    expect_no_global();
    if (by_runnext) {
        gt_runqput(p, &gs[GT_RUNQ], true);
        gt_runqput(p, &gs[GT_RUNQ + 1], true); /* kicks 256 */
    } else {
        gt_runqput(p, &gs[GT_RUNQ], false);
    }
    ck_assert_uint_eq(gt_sched.runqsize, GT_RUNQ / 2 + 1);
    for (int i = 0; i < GT_RUNQ / 2; i++)
        ck_assert_int_eq(id(global_pop()), i);
    ck_assert_int_eq(id(global_pop()), GT_RUNQ);
    expect_no_global();
    if (by_runnext)
        ck_assert_int_eq(id(gt_runqget(p)), GT_RUNQ + 1);
    expect_range(p, GT_RUNQ / 2, GT_RUNQ);
    ck_assert(gt_runqempty(p));
}
END_TEST

/* However many are put: each is in one place, once, and the order of each place is right. */
START_TEST(test_overflow_again_and_again)
{
    for (int n = GT_RUNQ; n < 1200; n += 37) {
        int global = 0, last = -1;
        empty_at(&ps[0], starts[n % 5]);
        put_range(&ps[0], 0, n);
        for (struct gt_g *g; (g = global_pop()) != NULL; global++)
            g->goid++;
        for (struct gt_g *g; (g = gt_runqget(&ps[0])) != NULL; g->goid++) {
            ck_assert_int_gt(id(g), last);
            last = id(g);
        }
        ck_assert_int_ge(global, n - GT_RUNQ);
        expect_ran_once(n);
    }
}
END_TEST

/* ---- stealing ---- */

START_TEST(test_steal_at_every_fill)
{
    struct gt_p *victim = &ps[0], *thief = &ps[1];
    for (int n = 1; n <= GT_RUNQ; n++) {
        int half = n - n / 2;
        empty_at(victim, starts[_i]);
        empty_at(thief, starts[4 - _i]);
        put_range(victim, 0, n);
        ck_assert_int_eq(id(gt_runqsteal(thief, victim, n % 2)), half - 1);
        expect_range(thief, 0, half - 1);
        expect_range(victim, half, n);
        ck_assert(gt_runqempty(thief) && gt_runqempty(victim));
    }
    ck_assert_ptr_null(gt_runqsteal(thief, victim, false));
    ck_assert_ptr_null(gt_runqsteal(thief, victim, true));
}
END_TEST

START_TEST(test_steal_runnext)
{
    struct gt_p *victim = &ps[0], *thief = &ps[1];
    gt_runqput(victim, &gs[0], true);
    ck_assert_ptr_null(gt_runqsteal(thief, victim, false)); /* it will run there in a moment */
    gt_runqput(victim, &gs[1], false);
    ck_assert_int_eq(id(gt_runqsteal(thief, victim, true)), 1); /* others first */
    ck_assert_int_eq(id(load_rlx(&victim->runnext)), 0);
    ck_assert_int_eq(id(gt_runqsteal(thief, victim, true)), 0);
    ck_assert(gt_runqempty(victim) && gt_runqempty(thief));
    ck_assert_uint_eq(gt_stat_get(steals), 1); /* what was in the queue */
}
END_TEST

/* One owner puts and gets, thieves steal from it and from each other: nothing lost, nothing twice.
 */
static _Atomic uint32_t ran;

static void run(struct gt_g *g)
{
    g->goid++; /* plain: whoever has it owns it */
    add_acqrel(&ran, 1);
}

static struct gt_g *global_get(void)
{
    gt_lock(&gt_sched.lock, GT_RANK_SCHED);
    struct gt_g *g = global_pop();
    gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
    return g;
}

static void *thief_thread(void *arg)
{
    struct gt_p *p = arg;
    while (load_acq(&ran) < NG) {
        struct gt_g *g = gt_runqget(p);
        for (int i = 0; i < 3 && !g; i++)
            if (&ps[i] != p)
                g = gt_runqsteal(p, &ps[i], true);
        if (!g && p->id == 1)
            g = global_get();
        if (g)
            run(g);
        else
            sched_yield();
    }
    return NULL;
}

START_TEST(test_steal_concurrently)
{
    uint64_t seed = unit_seed("test_steal_concurrently");
    struct gt_p *p = &ps[0];
    for (int i = 0; i < 3; i++)
        empty_at(&ps[i], starts[unit_below(&seed, 5)]);
    pthread_t t[2] = {unit_start(thief_thread, &ps[1]), unit_start(thief_thread, &ps[2])};
    for (int next = 0; next < NG;) {
        int burst = (int)unit_below(&seed, _i % 2 ? 40 : 700);
        for (; burst > 0 && next < NG; burst--, next++)
            gt_runqput(p, &gs[next], unit_below(&seed, 4) == 0);
        for (int k = (int)unit_below(&seed, 20); k > 0; k--) {
            struct gt_g *g = gt_runqget(p);
            if (g)
                run(g);
        }
    }
    unit_join(t[0]); /* they also finish what is ours */
    unit_join(t[1]);
    expect_ran_once(NG);
    for (int i = 0; i < 3; i++)
        ck_assert(gt_runqempty(&ps[i]));
    expect_no_global();
}
END_TEST

/* ---- who wakes whom ---- */

/* The test's thread is M number i, in a runtime section of gs[i], with P number i. */
static struct gt_g *be_m(int i)
{
    struct gt_g *g = &gs[i];
    g->m = &ms[i];
    store_rlx(&g->in_rt, 1);
    store_rlx(&g->status, GT_G_RUN);
    gt_acquirep(&ms[i], &ps[i]);
    gt_tls.g = g;
    return g;
}

static void make_idle(struct gt_p *p)
{
    gt_lock(&gt_sched.lock, GT_RANK_SCHED);
    gt_pidleput_locked(p);
    gt_unlock(&gt_sched.lock, GT_RANK_SCHED);
}

static void make_m_idle(struct gt_m *m)
{
    m->link = gt_sched.midle;
    gt_sched.midle = m;
    gt_sched.nmidle++;
}

START_TEST(test_idle_list)
{
    ck_assert_ptr_null(gt_pidleget());
    make_idle(&ps[0]);
    make_idle(&ps[1]);
    ck_assert_uint_eq(gt_sched.npidle, 2);
    store_rlx(&gt_sched.sysmonwait, 1);
    ck_assert_ptr_eq(gt_pidleget(), &ps[1]);
    ck_assert_uint_eq(gt_sched.sysmonwait, 0); /* somebody will run: sysmon must look */
    ck_assert_uint_eq(gt_sched.sysmon_note, 1);
    ck_assert_ptr_eq(gt_pidleget(), &ps[0]);
    ck_assert_ptr_null(gt_pidleget());
    ck_assert_uint_eq(gt_sched.npidle, 0);
    ck_assert_uint_eq(gt_sched.sysmon_note, 1);
}
END_TEST

START_TEST(test_goready_local_and_global)
{
    gt_goready(&gs[5], true); /* no M: the global queue */
    ck_assert_uint_eq(load_rlx(&gs[5].status), GT_G_READY);
    ck_assert_int_eq(id(global_pop()), 5);
    struct gt_g *g = be_m(0);
    gt_goready(&gs[6], false);
    gt_goready(&gs[7], true);
    ck_assert_int_eq(id(gt_runqget(&ps[0])), 7);
    ck_assert_int_eq(id(gt_runqget(&ps[0])), 6);
    store_rlx(&g->in_rt, 0); /* outside the runtime the P may be taken at any time */
    gt_goready(&gs[8], true);
    ck_assert_int_eq(id(global_pop()), 8);
    store_rlx(&g->in_rt, 1);
    store_rlx(&g->status, GT_G_CALL);
    gt_goready(&gs[9], true);
    ck_assert_int_eq(id(global_pop()), 9);
    ck_assert(gt_runqempty(&ps[0]));
    ck_assert_int_eq(newm.count, 0); /* no P was idle */
}
END_TEST

START_TEST(test_goready_wakes_one)
{
    be_m(0);
    make_idle(&ps[1]);
    make_idle(&ps[2]);
    gt_goready(&gs[5], false);
    ck_assert_int_eq(newm.count, 1);
    ck_assert_ptr_eq(newm.p, &ps[2]);
    ck_assert(newm.spinning);
    ck_assert_uint_eq(gt_sched.nmspinning, 1); /* counted for the new one */
    gt_goready(&gs[6], false);                 /* it will find this too */
    ck_assert_int_eq(newm.count, 1);
    ck_assert_uint_eq(gt_sched.npidle, 1);
    gt_sched.nmspinning = 0;
    make_m_idle(&ms[3]);
    gt_goready(&gs[7], false); /* an M that sleeps is taken first */
    ck_assert_int_eq(newm.count, 1);
    ck_assert_ptr_eq(ms[3].nextp, &ps[1]);
    ck_assert(ms[3].nextspin);
    ck_assert_uint_eq(ms[3].note, 1);
    ck_assert_uint_eq(gt_sched.nmidle, 0);
    gt_sched.nmspinning = 0;
    gt_goready(&gs[8], false); /* nobody left: nothing stays counted */
    ck_assert_uint_eq(gt_sched.nmspinning, 0);
}
END_TEST

static struct gt_g *chain(int from, int to)
{
    for (int i = from; i < to; i++)
        gs[i].schedlink = i + 1 < to ? &gs[i + 1] : NULL;
    return &gs[from];
}

START_TEST(test_inject)
{
    gt_injectglist(NULL);
    make_idle(&ps[2]);
    gt_injectglist(chain(10, 15));
    ck_assert_uint_eq(gt_sched.runqsize, 5);
    ck_assert_int_eq(newm.count, 1);
    for (int i = 10; i < 15; i++) {
        ck_assert_uint_eq(load_rlx(&gs[i].status), GT_G_READY);
        ck_assert_int_eq(id(global_pop()), i);
    }
    gt_globrunqput(chain(20, 22), 2); /* two lists, in their order */
    gt_globrunqput(chain(22, 25), 3);
    for (int i = 20; i < 25; i++)
        ck_assert_int_eq(id(global_pop()), i);
    expect_no_global();
    be_m(0);
    gt_injectglist(chain(30, 40));
    expect_range(&ps[0], 30, 40);
    expect_no_global();
}
END_TEST

/* ---- whose turn is up ---- */

START_TEST(test_turn)
{
    struct gt_g *g = be_m(0);
    struct gt_p *p = &ps[0];
    empty_at(p, starts[_i]);
    for (int i = 1; i < 200; i++)
        store_rlx(&gs[i].spent, true);
    put_range(p, 1, 200);
    for (int i = 1; i < GT_TURNS; i++)
        ck_assert(gt_turn_goes_on(g));
    ck_assert(!gt_turn_goes_on(g));
    ck_assert(!gt_turn_goes_on(g)); /* nor when it has not been obeyed */
    store_rlx(&p->schedtick, 7);    /* the next turn */
    ck_assert(gt_turn_goes_on(g));
    gt_runqput(p, &gs[200], false); /* one that was woken, last of all */
    ck_assert(!gt_turn_goes_on(g));
    store_rlx(&gs[200].spent, true);
    ck_assert(gt_turn_goes_on(g));
    gt_runqput(p, &gs[201], true);
    ck_assert(!gt_turn_goes_on(g));
    ck_assert_int_eq(id(gt_runqget(p)), 201);
    store_rlx(&p->schedtick, 8);
    ck_assert(gt_turn_goes_on(g));
    gt_globrunqput(chain(202, 203), 1);
    ck_assert(!gt_turn_goes_on(g));
    ck_assert_int_eq(id(global_pop()), 202);
    ck_assert(gt_turn_goes_on(g));
    store_rlx(&g->spins, 2);
    ck_assert(!gt_turn_goes_on(g));
    store_rlx(&g->spins, 1);
    store_rlx(&p->schedtick, 9);
    ck_assert(gt_turn_goes_on(g));
    store_rlx(&ps[1].when0, gt_nanotime()); /* a sleeper's time has come */
    ck_assert(!gt_turn_goes_on(g));
    store_rlx(&ps[1].when0, INT64_MAX);
    ck_assert(gt_turn_goes_on(g));
    expect_range(p, 1, 201);
    ck_assert(!gt_turn_goes_on(g)); /* nobody waits: others may be ready in the poller */
}
END_TEST

START_TEST(test_woken_first)
{
    struct gt_p *p = &ps[0];
    empty_at(p, starts[_i]);
    gt_woken_first(p);
    ck_assert(gt_runqempty(p));
    for (int i = 0; i < GT_RUNQ; i++)
        store_rlx(&gs[i].spent, i != 5 && i != 7);
    put_range(p, 0, GT_RUNQ);
    gt_woken_first(p);
    expect_range(p, 5, GT_RUNQ);
    expect_range(p, 0, 5);
    put_range(p, 10, 20); /* nobody was woken: they keep their order */
    gt_woken_first(p);
    expect_range(p, 10, 20);
    ck_assert(gt_runqempty(p));
}
END_TEST

/* ---- P ownership ---- */

static void expect_word(const struct gt_p *p, uint32_t state, uint32_t m, uint32_t seq)
{
    uint64_t w = load_rlx(&p->word);
    ck_assert_uint_eq(GT_PW_STATE(w), state);
    ck_assert_uint_eq(GT_PW_M(w), m);
    ck_assert_uint_eq(GT_PW_SEQ(w), seq);
}

START_TEST(test_p_call)
{
    struct gt_g *g = be_m(0);
    expect_word(&ps[0], GT_P_RUN, 1, 1);
    uint64_t before = load_rlx(&ps[0].word);
    gt_entersyscall(g);
    expect_word(&ps[0], GT_P_CALL, 1, 2);
    ck_assert_uint_eq(load_rlx(&g->status), GT_G_CALL);
    ck_assert_ptr_nonnull((void *)g->call_pc);
    ck_assert(!gt_p_take(&ps[0], before)); /* seen too early */
    gt_exitsyscall(g);
    expect_word(&ps[0], GT_P_RUN, 1, 3);
    ck_assert_uint_eq(load_rlx(&g->status), GT_G_RUN);
    gt_exitsyscall(g); /* it had ended already: nothing */
    expect_word(&ps[0], GT_P_RUN, 1, 3);
    ck_assert_uint_eq(gt_stat_get(announced_syscalls), 1);
}
END_TEST

START_TEST(test_p_taken_in_call)
{
    struct gt_g *g = be_m(0);
    gt_entersyscall(g);
    ck_assert(gt_p_take(&ps[0], load_rlx(&ps[0].word)));
    expect_word(&ps[0], GT_P_IDLE, 0, 3);
    gt_acquirep(&ms[2], &ps[0]); /* another M has it, and is in a call too: not ours all the same */
    gs[2].m = &ms[2];
    store_rlx(&gs[2].status, GT_G_RUN);
    gt_entersyscall(&gs[2]);
    make_idle(&ps[1]);
    gt_exitsyscall(g);
    expect_word(&ps[0], GT_P_CALL, 3, 5);
    ck_assert_ptr_eq(ms[0].p, &ps[1]);
    expect_word(&ps[1], GT_P_RUN, 1, 1);
    ck_assert_uint_eq(load_rlx(&g->status), GT_G_RUN);
}
END_TEST

START_TEST(test_p_call_that_blocks)
{
    struct gt_g *g = be_m(0);
    gt_entersyscallblock(g); /* nobody wants the P: it stays at hand */
    expect_word(&ps[0], GT_P_CALL, 1, 2);
    ck_assert_uint_eq(gt_sched.ncall, 1);
    gt_exitsyscall(g);
    ck_assert_uint_eq(gt_sched.ncall, 0);
    expect_word(&ps[0], GT_P_RUN, 1, 3);
    gt_entersyscallblock(g);
    gt_goready(&gs[5], false); /* from elsewhere: work, but no idle P: it is taken */
    ck_assert_int_eq(newm.count, 1);
    ck_assert_ptr_eq(newm.p, &ps[0]);
    expect_word(&ps[0], GT_P_IDLE, 0, 5);
    ck_assert_uint_eq(gt_stat_get(p_retakes), 1);
    make_idle(&ps[2]);
    gt_exitsyscall(g);
    ck_assert_uint_eq(gt_sched.ncall, 0);
    ck_assert_ptr_eq(ms[0].p, &ps[2]);
}
END_TEST

START_TEST(test_p_call_that_blocks_with_work)
{
    struct gt_g *g = be_m(0);
    gt_runqput(&ps[0], &gs[5], false);
    gt_entersyscallblock(g); /* given away at once */
    ck_assert_ptr_null(ms[0].p);
    ck_assert_int_eq(newm.count, 1);
    ck_assert_ptr_eq(newm.p, &ps[0]);
    expect_word(&ps[0], GT_P_IDLE, 0, 2);
    ck_assert_uint_eq(gt_sched.ncall, 0);
    make_idle(&ps[1]);
    gt_exitsyscall(g);
    ck_assert_ptr_eq(ms[0].p, &ps[1]);
}
END_TEST

START_TEST(test_p_claimed)
{
    struct gt_g *g = be_m(0);
    store_rlx(&g->in_rt, 0);
    store_rlx(&ps[0].word, GT_PW(GT_P_CLAIM, 1, 2)); /* sysmon asks whether we sleep */
    gt_rt_enter(g);
    expect_word(&ps[0], GT_P_RUN, 1, 3); /* no */
    ck_assert_ptr_eq(ms[0].p, &ps[0]);
    gt_rt_enter(g); /* nested */
    ck_assert_uint_eq(load_rlx(&g->in_rt), 2);
    store_rlx(&g->in_rt, 0);
    store_rlx(&ps[0].word, GT_PW(GT_P_IDLE, 0, 4)); /* it found us asleep and took it */
    make_idle(&ps[1]);
    gt_rt_enter(g);
    ck_assert_ptr_eq(ms[0].p, &ps[1]);
    expect_word(&ps[0], GT_P_IDLE, 0, 4);
}
END_TEST

START_TEST(test_rt_enter_ends_a_call)
{
    struct gt_g *g = be_m(0);
    gt_entersyscall(g);
    store_rlx(&g->in_rt, 0);
    gt_rt_enter(g);
    expect_word(&ps[0], GT_P_RUN, 1, 3);
    ck_assert_uint_eq(load_rlx(&g->status), GT_G_RUN);
}
END_TEST

START_TEST(test_handoff)
{
    store_rlx(&gt_sched.npidle, 1);
    gt_runqput(&ps[0], &gs[5], false);
    gt_handoffp(&ps[0]); /* own work */
    ck_assert(newm.count == 1 && newm.p == &ps[0] && !newm.spinning);
    gt_globrunqput(chain(6, 7), 1);
    gt_handoffp(&ps[1]); /* global work */
    ck_assert(newm.count == 2 && newm.p == &ps[1] && !newm.spinning);
    global_pop();
    store_rlx(&gt_sched.npidle, 0);
    gt_handoffp(&ps[1]); /* all others run, nobody searches: this one shall */
    ck_assert(newm.count == 3 && newm.p == &ps[1] && newm.spinning);
    ck_assert_uint_eq(gt_sched.nmspinning, 1);
    store_rlx(&gt_sched.nmspinning, 0);
    store_rlx(&gt_sched.npidle, 2);
    gt_handoffp(&ps[1]); /* the last one, and nobody is in the poller */
    ck_assert(newm.count == 4 && newm.p == &ps[1] && !newm.spinning);
}
END_TEST

START_TEST(test_handoff_to_rest)
{
    store_rlx(&gt_sched.npidle, 1);
    gt_handoffp(&ps[1]);
    ck_assert_int_eq(newm.count, 0);
    ck_assert_ptr_eq(gt_sched.pidle, &ps[1]);
    ck_assert_uint_eq(gt_sched.npidle, 2);
    ck_assert_int_eq(alarm_set.count, 0);
    store_rlx(&gt_sched.lastpoll, 0); /* somebody sleeps in the poller ... */
    store_rlx(&ps[2].when0, 12345);
    gt_handoffp(&ps[2]);
    ck_assert_ptr_eq(gt_sched.pidle, &ps[2]);
    ck_assert_int_eq(alarm_set.count, 1); /* ... and must know the deadline */
    ck_assert_int_eq(alarm_when, 12345);
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_LOOP(test_fifo_at_every_fill, 5),
        UNIT_TEST(test_runnext),
        UNIT_LOOP(test_overflow, 10),
        UNIT_TEST(test_overflow_again_and_again),
        UNIT_LOOP(test_steal_at_every_fill, 5),
        UNIT_TEST(test_steal_runnext),
        UNIT_LOOP(test_steal_concurrently, UNIT_SANITIZED ? 2 : 8),
        UNIT_TEST(test_idle_list),
        UNIT_TEST(test_goready_local_and_global),
        UNIT_TEST(test_goready_wakes_one),
        UNIT_TEST(test_inject),
        UNIT_LOOP(test_turn, 5),
        UNIT_LOOP(test_woken_first, 5),
        UNIT_TEST(test_p_call),
        UNIT_TEST(test_p_taken_in_call),
        UNIT_TEST(test_p_call_that_blocks),
        UNIT_TEST(test_p_call_that_blocks_with_work),
        UNIT_TEST(test_p_claimed),
        UNIT_TEST(test_rt_enter_ends_a_call),
        UNIT_TEST(test_handoff),
        UNIT_TEST(test_handoff_to_rest),
    };
    return UNIT_MAIN("runq", setup, tests);
}
