/* SPDX-License-Identifier: BSD-2-Clause */
/* What a thread is and may ask about itself: name, affinity, processor clock, tid, policy, yield.
 */
#include "tap.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int stop, renamed;

static void *named(void *arg)
{
    char name[16], by_prctl[16] = "";

    snprintf(name, sizeof name, "worker-%ld", (long)arg);
    EQ(pthread_setname_np(pthread_self(), name), 0);
    sched_yield();
    pause_ms(5);
    EQ(prctl(PR_GET_NAME, by_prctl), 0);
    CHECK(strcmp(by_prctl, name) == 0);
    snprintf(name, sizeof name, "again-%ld", (long)arg);
    EQ(prctl(PR_SET_NAME, name), 0);
    sched_yield();
    EQ(pthread_getname_np(pthread_self(), by_prctl, sizeof by_prctl), 0);
    CHECK(strcmp(by_prctl, name) == 0);
    bump(&renamed);
    await(&stop, 1);
    return NULL;
}

static void names(void)
{
    char got[16], want[16], mine[16];
    pthread_t t[20];

    EQ(pthread_setname_np(pthread_self(), "the-main-one"), 0);
    for (long i = 0; i < 20; i++)
        t[i] = go(named, (void *)i);
    await(&renamed, 20);
    for (int i = 0; i < 20; i++) {
        snprintf(want, sizeof want, "again-%d", i);
        EQ(pthread_getname_np(t[i], got, sizeof got), 0);
        CHECK(strcmp(got, want) == 0);
    }
    EQ(pthread_setname_np(t[3], "from-outside"), 0);
    EQ(pthread_getname_np(t[3], got, sizeof got), 0);
    CHECK(strcmp(got, "from-outside") == 0);
    EQ(pthread_setname_np(t[3], "sixteen letters."), ERANGE);
    EQ(pthread_getname_np(t[3], got, 15), ERANGE);
    bump(&stop);
    for (int i = 0; i < 20; i++)
        reap(t[i]);
    EQ(pthread_getname_np(pthread_self(), mine, sizeof mine), 0);
    CHECK(strcmp(mine, "the-main-one") == 0);
}

static void *inherits(void *arg)
{
    char got[16];

    EQ(pthread_getname_np(pthread_self(), got, sizeof got), 0);
    CHECK(strcmp(got, (const char *)arg) == 0);
    return NULL;
}

static void name_inherited(void)
{
    EQ(pthread_setname_np(pthread_self(), "ancestor"), 0);
    reap(go(inherits, (void *)"ancestor"));
}

static void *narrow(void *arg)
{
    cpu_set_t all, one, got;
    int cpu = 0;

    EQ(pthread_getaffinity_np(pthread_self(), sizeof all, &all), 0);
    CHECK(CPU_EQUAL(&all, (cpu_set_t *)arg));
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    EQ(pthread_setaffinity_np(pthread_self(), sizeof one, &one), 0);
    pause_ms(2);
    EQ(sched_getaffinity(0, sizeof got, &got), 0);
    CHECK(CPU_EQUAL(&one, &got));
    EQ(sched_getcpu(), cpu);
    EQ(sched_setaffinity(0, sizeof all, &all), 0);
    EQ(pthread_getaffinity_np(pthread_self(), sizeof got, &got), 0);
    CHECK(CPU_EQUAL(&all, &got));
    CPU_ZERO(&one);
    EQ(pthread_setaffinity_np(pthread_self(), sizeof one, &one), EINVAL);
    return NULL;
}

static void affinity(void)
{
    cpu_set_t all, after;
    pthread_t t[5];

    EQ(sched_getaffinity(0, sizeof all, &all), 0);
    CHECK(CPU_COUNT(&all) >= 1);
    for (int i = 0; i < 5; i++)
        t[i] = go(narrow, &all);
    for (int i = 0; i < 5; i++)
        reap(t[i]);
    EQ(sched_getaffinity(0, sizeof after, &after), 0);
    CHECK(CPU_EQUAL(&all, &after));
    CHECK(sched_getcpu() >= 0);
}

static long cpu_us(clockid_t clock)
{
    struct timespec t;

    EQ(clock_gettime(clock, &t), 0);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static void *burns(void *arg)
{
    long begin = cpu_us(CLOCK_THREAD_CPUTIME_ID);

    while (cpu_us(CLOCK_THREAD_CPUTIME_ID) - begin < 30000)
        ;
    bump((int *)arg);
    await(&stop, 1);
    return NULL;
}

static void cpu_clock(void)
{
    int burnt = 0;
    clockid_t clock;
    pthread_t t;

    stop = 0;
    t = go(burns, &burnt);
    await(&burnt, 1);
    EQ(pthread_getcpuclockid(t, &clock), 0);
    CHECK(cpu_us(clock) >= 30000);
    EQ(pthread_getcpuclockid(pthread_self(), &clock), 0);
    CHECK(cpu_us(clock) >= 0);
    CHECK(cpu_us(CLOCK_PROCESS_CPUTIME_ID) >= 30000);
    bump(&stop);
    reap(t);
}

static int tids[200];

static void *has_tid(void *arg)
{
    int *mine = (int *)arg;

    *mine = gettid();
    EQ(syscall(SYS_gettid), *mine);
    for (int i = 0; i < 10; i++) {
        sched_yield();
        EQ(gettid(), *mine);
    }
    bump(&stop);
    await(&stop, 200);
    return NULL;
}

static void thread_ids(void)
{
    pthread_t t[200];

    stop = 0;
    EQ(gettid(), getpid());
    for (int i = 0; i < 200; i++)
        t[i] = go(has_tid, &tids[i]);
    for (int i = 0; i < 200; i++)
        reap(t[i]);
    for (int i = 0; i < 200; i++) {
        CHECK(tids[i] != getpid());
        for (int k = 0; k < i; k++)
            CHECK(tids[i] != tids[k]);
    }
    EQ(gettid(), getpid());
}

static void policy(void)
{
    struct sched_param p = {.sched_priority = 99};
    int which = -1;

    EQ(pthread_getschedparam(pthread_self(), &which, &p), 0);
    EQ(which, SCHED_OTHER);
    EQ(p.sched_priority, 0);
    EQ(pthread_setschedparam(pthread_self(), SCHED_OTHER, &p), 0);
    p.sched_priority = 5;
    EQ(pthread_setschedparam(pthread_self(), SCHED_OTHER, &p), EINVAL);
    EQ(pthread_setschedprio(pthread_self(), 0), 0);
    EQ(pthread_getconcurrency(), 0);
    EQ(pthread_setconcurrency(4), 0);
    EQ(pthread_getconcurrency(), 4);
    EQ(sched_getscheduler(0), SCHED_OTHER);
}

static int word;

static void *waits_by_yield(void *arg)
{
    while (!__atomic_load_n(&word, __ATOMIC_SEQ_CST))
        sched_yield();
    return arg;
}

static void yield_lets_others_run(void)
{
    pthread_t t[20];

    for (int i = 0; i < 20; i++)
        t[i] = go(waits_by_yield, NULL);
    for (int i = 0; i < 1000; i++)
        EQ(sched_yield(), 0);
    bump(&word);
    for (int i = 0; i < 20; i++)
        reap(t[i]);
}

int main(void)
{
    CASE(names);
    CASE(name_inherited);
    CASE(affinity);
    CASE(cpu_clock);
    CASE(thread_ids);
    CASE(policy);
    CASE(yield_lets_others_run);
    return 0;
}
