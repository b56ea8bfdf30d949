/* SPDX-License-Identifier: BSD-2-Clause */
/* core/sched/wire.c: who is wired and until when, what an M gets back, and the hand-over of the P
 * between an M that dequeues a wired goroutine and the M that it is wired to.  Goroutines here are
 * numbers: none runs; the M that sleeps is a thread. */
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/sched/sched_int.h"
#include "core/sched/sigwatch.h"
#include "core/sched/wire.h"

static struct gt_g gs[3];
static struct gt_p ps[3];
static struct gt_m ms[3];

/* ---- what lies beside wire.c and sched.c ---- */

static _Atomic uint32_t newms;
static int signals;

bool gt_newm(struct gt_p *p, bool spinning)
{
    (void)p, (void)spinning;
    add_acqrel(&newms, 1);
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
}

void gt_rt_attend(struct gt_g *g)
{
    and_acqrel(&g->attention, 0);
}

void gt_send_preempt(struct gt_m *m)
{
    (void)m;
    signals++;
}

void __wrap_gt_wake_netpoller(int64_t when);
void __wrap_gt_wake_netpoller(int64_t when)
{
    (void)when;
}

/* G i runs on M i with P i. */
static void setup(void)
{
    gt_sched.nprocs = 3;
    store_rlx(&gt_sched.lastpoll, 1);
    store_rlx(&gt_sched.nmspinning, 1); /* a P without work goes to rest */
    for (int i = 0; i < 3; i++) {
        gt_sched.allp[i] = &ps[i];
        ps[i].id = (uint32_t)i;
        store_rlx(&ps[i].when0, INT64_MAX);
        ms[i].id = (uint32_t)i + 1;
        ms[i].kmask = GT_SIG_QUIET;
        ms[i].ktid = sys_gettid();
        gt_acquirep(&ms[i], &ps[i]);
        gs[i].m = &ms[i];
        store_rlx(&gs[i].in_rt, 1);
        store_rlx(&gs[i].status, GT_G_RUN);
        store_rlx(&ms[i].curg, &gs[i]);
    }
    gt_kattr_read(&gt_kattr_default);
    gt_tls.g = &gs[0];
}

static bool wired(const struct gt_g *g)
{
    ck_assert(!g->wiredm || (g->wiredm == g->m && g->m->wiredg == g));
    ck_assert(g->wiredm || !g->m->wiredg);
    return g->wiredm != NULL;
}

START_TEST(test_uses_nest)
{
    ck_assert(!wired(&gs[0]));
    for (int i = 0; i < 5; i++) {
        gt_wire(&gs[0], GT_W_MUTEX);
        ck_assert(wired(&gs[0]));
    }
    ck_assert_uint_eq(load_rlx(&gt_wire_count[GT_W_MUTEX]), 1); /* wired once */
    for (int i = 0; i < 5; i++) {
        ck_assert(wired(&gs[0]));
        gt_unwire(&gs[0]);
    }
    ck_assert(!wired(&gs[0]));
    gt_unwire(&gs[0]); /* of a lock that was taken before a fork */
    ck_assert(!wired(&gs[0]));
    gt_wire(&gs[0], GT_W_RWLOCK);
    ck_assert(wired(&gs[0]));
    ck_assert_uint_eq(load_rlx(&gt_wire_count[GT_W_RWLOCK]), 1);
    ck_assert_uint_eq(load_rlx(&gs[0].in_rt), 1);
}
END_TEST

/* Every order of two states and a use. */
START_TEST(test_states_and_uses)
{
    struct gt_g *g = &gs[0];
    gt_wire_set(g, GT_W_POLICY);
    gt_wire_set(g, GT_W_POLICY); /* no second time */
    ck_assert_uint_eq(load_rlx(&gt_wire_count[GT_W_POLICY]), 1);
    gt_wire_set(g, GT_W_NICE);
    gt_wire(g, GT_W_MUTEX);
    ck_assert(gt_wire_is_set(g, GT_W_POLICY) && gt_wire_is_set(g, GT_W_NICE));
    for (int i = 0; i < 3; i++) {
        ck_assert(wired(g));
        switch ((i + _i) % 3) {
        case 0:
            gt_wire_clear(g, GT_W_POLICY);
            gt_wire_clear(g, GT_W_POLICY);
            break;
        case 1:
            gt_wire_clear(g, GT_W_NICE);
            break;
        default:
            gt_unwire(g);
        }
    }
    ck_assert(!wired(g));
    gt_wire_clear(g, GT_W_NAMESPACE);
    ck_assert(!wired(g));
}
END_TEST

/* ---- the end of a goroutine ---- */

START_TEST(test_exit_sets_back)
{
    struct gt_kattr now;
    struct sched_param sp = {0};
    int nice = getpriority(PRIO_PROCESS, 0);
    gt_wire_set(&gs[0], GT_W_POLICY);
    gt_wire_set(&gs[0], GT_W_AFFINITY);
    gt_wire(&gs[0], GT_W_MUTEX);
    ck_assert_int_eq(sched_setscheduler(0, SCHED_BATCH, &sp), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    gt_wire_exit(&gs[0]);
    ck_assert(!wired(&gs[0]) && !ms[0].spoiled);
    gt_kattr_read(&now);
    ck_assert_int_eq(memcmp(&now, &gt_kattr_default, sizeof(now)), 0);
    ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), nice);
    gt_wire_exit(&gs[0]); /* one that is free */
    ck_assert(!ms[0].spoiled);
}
END_TEST

START_TEST(test_exit_spoils)
{
    static const enum gt_wire_why why[] = {GT_W_CREDENTIALS, GT_W_NAMESPACE, GT_W_PRCTL,
                                           GT_W_OTHER};
    gt_wire_set(&gs[0], GT_W_AFFINITY);
    gt_wire_set(&gs[0], why[_i]);
    gt_wire_exit(&gs[0]);
    ck_assert(!wired(&gs[0]) && ms[0].spoiled);
}
END_TEST

/* ---- the P goes with the goroutine ---- */

static void *stops(void *arg)
{
    return gt_wire_stop(arg);
}

static void dequeued_by(struct gt_m *m, struct gt_g *g)
{
    gt_wire_start(m, g);
    ck_assert_ptr_null(m->p);
}

START_TEST(test_stop_then_start)
{
    gt_wire(&gs[0], GT_W_MUTEX);
    pthread_t t = unit_start(stops, &ms[0]);
    UNIT_UNTIL(load_seq(&gt_sched.npidle) == 1); /* its P is at rest, nothing is to do */
    ck_assert_ptr_eq(gt_sched.pidle, &ps[0]);
    dequeued_by(&ms[1], &gs[0]);
    ck_assert_ptr_eq(unit_join(t), &gs[0]);
    ck_assert_ptr_eq(ms[0].p, &ps[1]);
    ck_assert_uint_eq(GT_PW_M(load_acq(&ps[1].word)), ms[0].id);
    ck_assert_uint_eq(GT_PW_STATE(load_acq(&ps[1].word)), GT_P_RUN);
    ck_assert_ptr_null(ms[0].nextp);
    ck_assert_ptr_null(gt_sched.midle); /* on no list at any time */
}
END_TEST

/* The goroutine is ready before its M has gone to sleep. */
START_TEST(test_start_then_stop)
{
    gt_wire(&gs[0], GT_W_MUTEX);
    gt_releasep(&ms[0]); /* as a system call's end without a P leaves it */
    dequeued_by(&ms[1], &gs[0]);
    ck_assert_ptr_eq(gt_wire_stop(&ms[0]), &gs[0]);
    ck_assert_ptr_eq(ms[0].p, &ps[1]);
}
END_TEST

START_TEST(test_stop_hands_on)
{
    gt_wire(&gs[0], GT_W_MUTEX);
    store_rlx(&gs[2].status, GT_G_READY);
    gt_runqput(&ps[0], &gs[2], false); /* somebody else waits for that P */
    pthread_t t = unit_start(stops, &ms[0]);
    UNIT_UNTIL(load_acq(&newms) == 1);
    dequeued_by(&ms[1], &gs[0]);
    ck_assert_ptr_eq(unit_join(t), &gs[0]);
}
END_TEST

static void *bounce(void *arg)
{
    struct gt_m *m = arg;
    for (int i = 0; i < 2000; i++)
        ck_assert_ptr_eq(gt_wire_stop(m), &gs[0]);
    return NULL;
}

/* Again and again, whoever is first. */
START_TEST(test_back_and_forth)
{
    gt_wire(&gs[0], GT_W_MUTEX);
    pthread_t t = unit_start(bounce, &ms[0]);
    for (int i = 0; i < 2000; i++) {
        struct gt_p *p;
        UNIT_UNTIL((p = gt_pidleget()) != NULL);
        if (!ms[1].p) {
            gt_acquirep(&ms[1], p);
        } else { /* the other one gets ours, we take what it had */
            dequeued_by(&ms[1], &gs[0]);
            gt_acquirep(&ms[1], p);
        }
    }
    unit_join(t);
    ck_assert_ptr_null(gt_sched.midle);
}
END_TEST

/* ---- asked from outside ---- */

START_TEST(test_ask)
{
    gt_wire_ask(&gs[1]); /* in the runtime: it looks when it leaves */
    ck_assert_uint_eq(load_acq(&gs[1].attention), GT_ATT_WIRE);
    ck_assert_int_eq(signals, 0);
    store_rlx(&gs[1].in_rt, 0); /* in its own code: its M is this thread, which runs */
    gt_wire_ask(&gs[1]);
    ck_assert_int_eq(signals, 1);
    store_rlx(&ms[1].curg, &gs[2]); /* its M has gone on to another */
    gt_wire_ask(&gs[1]);
    ck_assert_int_eq(signals, 1);
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_TEST(test_uses_nest),
        UNIT_LOOP(test_states_and_uses, 3),
        UNIT_TEST(test_exit_sets_back),
        UNIT_LOOP(test_exit_spoils, 4),
        UNIT_TEST(test_stop_then_start),
        UNIT_TEST(test_start_then_stop),
        UNIT_TEST(test_stop_hands_on),
        UNIT_TEST(test_back_and_forth),
        UNIT_TEST(test_ask),
    };
    return UNIT_MAIN("wire", setup, tests);
}
