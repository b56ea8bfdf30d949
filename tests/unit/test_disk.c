/* SPDX-License-Identifier: BSD-2-Clause */
/* core/sched/disk.c: how many calls run at once, who waits, slots that sysmon lends when none ends
 * and that are given back, a fork's child; then many threads over few slots. */
#include "tests/unit/sched_fake.h"

#include <stdlib.h>

#include "core/sched/disk.h"

#define NG (GT_DISK_SLOTS + 36)

static struct fake_g *fs;
static _Atomic int in_call, peak;
static sem_t may_end;

/* One call of a goroutine, which lasts until the test lets one end. */
static void call_once(struct fake_g *f, void *arg)
{
    (void)f, (void)arg;
    gt_disk_begin();
    add_acqrel(&in_call, 1);
    sem_wait(&may_end);
    sub_acqrel(&in_call, 1);
    gt_disk_end();
}

static void wait_in_call(int n)
{
    UNIT_UNTIL(load_acq(&in_call) == n);
}

static int asleep(void)
{
    int n = 0;
    for (int i = 0; i < NG; i++)
        n += fake_g_sleeps(&fs[i]);
    return n;
}

static void wait_asleep(int n)
{
    UNIT_UNTIL(asleep() == n);
}

static void start_all(void)
{
    sem_init(&may_end, 0, 0);
    fs = calloc(NG, sizeof(*fs));
    for (int i = 0; i < NG; i++)
        fake_g_start(&fs[i], call_once, NULL);
    wait_in_call(GT_DISK_SLOTS);
    wait_asleep(NG - GT_DISK_SLOTS);
}

static void end_all(void)
{
    for (int i = 0; i < NG; i++)
        sem_post(&may_end);
    for (int i = 0; i < NG; i++)
        fake_g_join(&fs[i]);
    ck_assert(!gt_disk_waiting());
}

START_TEST(test_no_more_than_slots)
{
    start_all();
    ck_assert(gt_disk_waiting());
    for (int i = 1; i <= 36; i++) { /* one ends, one is let in */
        sem_post(&may_end);
        wait_asleep(36 - i);
        wait_in_call(GT_DISK_SLOTS);
    }
    ck_assert(!gt_disk_waiting());
    end_all();
}
END_TEST

/* Calls that stand still let one more in each time sysmon looks; one that ends in between is
 * progress enough.  What was lent is not kept. */
START_TEST(test_lent_when_none_ends)
{
    start_all();
    gt_disk_recheck();
    wait_in_call(GT_DISK_SLOTS + 1);
    gt_disk_recheck();
    wait_in_call(GT_DISK_SLOTS + 2);
    wait_asleep(34);
    for (int i = 1; i <= 2; i++) { /* pays back: nobody is let in for these */
        sem_post(&may_end);
        wait_in_call(GT_DISK_SLOTS + 2 - i);
    }
    ck_assert_int_eq(asleep(), 34);
    gt_disk_recheck(); /* two ended since */
    ck_assert_int_eq(asleep(), 34);
    gt_disk_recheck();
    wait_asleep(33);
    wait_in_call(GT_DISK_SLOTS + 1);
    end_all();
    for (int i = 0; i < GT_DISK_SLOTS; i++)
        gt_disk_begin(); /* none is missing */
    gt_disk_recheck();
    for (int i = 0; i < GT_DISK_SLOTS; i++)
        gt_disk_end();
}
END_TEST

START_TEST(test_fork_child_forgets)
{
    start_all();
    gt_disk_recheck();
    wait_in_call(GT_DISK_SLOTS + 1);
    gt_sema_fork_child();
    gt_disk_fork_child();
    ck_assert(!gt_disk_waiting());
    for (int i = 0; i < GT_DISK_SLOTS; i++)
        gt_disk_begin();
}
END_TEST

static void call_often(struct fake_g *f, void *arg)
{
    (void)f, (void)arg;
    for (int i = 0; i < 200; i++) {
        gt_disk_begin();
        int n = add_acqrel(&in_call, 1) + 1, p = load_rlx(&peak);
        while (n > p && !cas_acqrel(&peak, &p, n))
            ;
        if (i % 16 == 0)
            sched_yield();
        sub_acqrel(&in_call, 1);
        gt_disk_end();
    }
}

START_TEST(test_many)
{
    fs = calloc(NG, sizeof(*fs));
    for (int i = 0; i < NG; i++)
        fake_g_start(&fs[i], call_often, NULL);
    for (int i = 0; i < NG; i++)
        fake_g_join(&fs[i]);
    ck_assert_int_le(peak, GT_DISK_SLOTS);
    ck_assert(!gt_disk_waiting());
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_TEST(test_no_more_than_slots),
        UNIT_TEST(test_lent_when_none_ends),
        UNIT_TEST(test_fork_child_forgets),
        UNIT_TEST(test_many),
    };
    return UNIT_MAIN("disk", fake_init, tests);
}
