/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU time of one thread: what it uses counts, what others use and what it sleeps does not; its
 * clock can be read, asked for its resolution and slept on by others. */
#include "tap.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define MS      1000000L
#define BUSY_MS 60
#define N_BUSY  6

static long cpu_ns(clockid_t clock)
{
    struct timespec t;

    EQ(clock_gettime(clock, &t), 0);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static long mine(void)
{
    return cpu_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void burn(long ns)
{
    for (long end = mine() + ns; mine() < end;)
        ;
}

/* ---- several burn side by side, each its own ---- */

static void *burns(void *arg)
{
    long ms = (long)arg * 10;

    for (long i = 0; i < ms; i++) {
        burn(MS);
        sched_yield();
    }
    CHECK(mine() >= ms * MS);
    CHECK(mine() < ms * MS + 40 * MS);
    return NULL;
}

static void each_its_own(void)
{
    pthread_t t[N_BUSY];
    long before = mine();

    for (long i = 0; i < N_BUSY; i++)
        t[i] = go(burns, (void *)(i + 1));
    for (int i = 0; i < N_BUSY; i++)
        reap(t[i]);
    CHECK(mine() - before < 30 * MS);
    CHECK(cpu_ns(CLOCK_PROCESS_CPUTIME_ID) >= 210 * MS);
}

/* ---- sleeping and blocking costs nothing ---- */

static void *sleeps(void *arg)
{
    int fd[2];
    char c;
    long begin = mine();

    (void)arg;
    EQ(pipe(fd), 0);
    for (int i = 0; i < 20; i++) {
        pause_ms(5);
        EQ(write(fd[1], "x", 1), 1);
        EQ(read(fd[0], &c, 1), 1);
    }
    CHECK(mine() - begin < 20 * MS);
    return NULL;
}

static volatile int spin_on;

static void *spins(void *arg)
{
    while (spin_on)
        ;
    return arg;
}

static void sleep_is_free(void)
{
    pthread_t busy;

    reap(go(sleeps, NULL));
    spin_on = 1;
    busy = go(spins, NULL);
    reap(go(sleeps, NULL)); /* with another that uses its processor */
    spin_on = 0;
    reap(busy);
}

/* ---- history: the first question comes at the end ---- */

static void *asks_late(void *arg)
{
    struct timespec t0, t;

    clock_gettime(CLOCK_MONOTONIC, &t0);
    do
        clock_gettime(CLOCK_MONOTONIC, &t);
    while ((t.tv_sec - t0.tv_sec) * 1000L + (t.tv_nsec - t0.tv_nsec) / MS < BUSY_MS);
    CHECK(mine() >= 2 * MS); /* less than 60: the machine may be busy */
    CHECK(mine() <= (BUSY_MS + 20) * MS);
    return arg;
}

/* ---- from outside ---- */

static int burnt, leave;

static void *burns_and_stays(void *arg)
{
    (void)arg;
    burn(30 * MS);
    bump(&burnt);
    await(&leave, 1);
    return NULL;
}

static void others_clock(void)
{
    clockid_t id, self, main_id;
    struct timespec res;
    long seen, last = 0;
    pthread_t t;

    burnt = leave = 0;
    t = go(burns_and_stays, NULL);
    EQ(pthread_getcpuclockid(t, &id), 0);
    EQ(pthread_getcpuclockid(pthread_self(), &main_id), 0);
    CHECK(id != main_id);
    while (!__atomic_load_n(&burnt, __ATOMIC_SEQ_CST)) {
        seen = cpu_ns(id);
        CHECK(seen >= last);
        last = seen;
        pause_ms(1);
    }
    seen = cpu_ns(id);
    CHECK(seen >= 30 * MS && seen < 70 * MS);
    pause_ms(20);
    CHECK(cpu_ns(id) - seen < 10 * MS); /* it polls at intervals */
    EQ(clock_getres(id, &res), 0);
    EQ(res.tv_sec, 0);
    EQ(res.tv_nsec, 1);
    EQ(clock_getres(id, NULL), 0);
    self = CLOCK_THREAD_CPUTIME_ID;
    burn(MS);
    CHECK(cpu_ns(main_id) - cpu_ns(self) < 5 * MS);
    EQ(syscall(SYS_clock_gettime, id, &res), 0);
    CHECK(res.tv_sec * 1000000000L + res.tv_nsec >= seen);
    bump(&leave);
    reap(t);
}

static void ended_clock(void)
{
    struct timespec ts;
    clockid_t id;
    pthread_t t;

    burnt = leave = 0;
    t = go(burns_and_stays, NULL);
    EQ(pthread_getcpuclockid(t, &id), 0);
    bump(&leave);
    reap(t);
    FAILS(clock_gettime(id, &ts), EINVAL);
    FAILS(clock_gettime(12345, &ts), EINVAL);
    FAILS(clock_getres(12345, &ts), EINVAL);
}

static void *keeps_busy(void *arg)
{
    while (!__atomic_load_n(&leave, __ATOMIC_SEQ_CST))
        burn(MS);
    return arg;
}

static void sleep_on_others(void)
{
    struct timespec rel = {0, 20 * MS}, abs;
    clockid_t id;
    long before;
    pthread_t t;

    leave = 0;
    t = go(keeps_busy, NULL);
    EQ(pthread_getcpuclockid(t, &id), 0);
    before = cpu_ns(id);
    EQ(clock_nanosleep(id, 0, &rel, NULL), 0);
    CHECK(cpu_ns(id) - before >= 20 * MS);
    EQ(clock_gettime(id, &abs), 0);
    abs.tv_sec += abs.tv_nsec + 15 * MS >= 1000000000L;
    abs.tv_nsec = (abs.tv_nsec + 15 * MS) % 1000000000L;
    EQ(clock_nanosleep(id, TIMER_ABSTIME, &abs, NULL), 0);
    CHECK(cpu_ns(id) >= abs.tv_sec * 1000000000L + abs.tv_nsec);
    EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &rel, NULL), EINVAL);
    bump(&leave);
    reap(t);
}

/* ---- getrusage ---- */

static long used(const struct rusage *r)
{
    return (r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000L * MS +
           (r->ru_utime.tv_usec + r->ru_stime.tv_usec) * 1000L;
}

static void *has_rusage(void *arg)
{
    struct rusage a, b;

    EQ(getrusage(RUSAGE_THREAD, &a), 0);
    burn(40 * MS);
    for (int i = 0; i < 20; i++)
        pause_ms(1);
    EQ(getrusage(RUSAGE_THREAD, &b), 0);
    CHECK(used(&b) - used(&a) >= 25 * MS);
    CHECK(used(&b) - used(&a) <= 80 * MS);
    CHECK(b.ru_nvcsw - a.ru_nvcsw >= 20);
    CHECK(b.ru_maxrss > 0);
    return arg;
}

static void usage(void)
{
    struct rusage a, b;

    EQ(getrusage(RUSAGE_THREAD, &a), 0);
    for (int i = 0; i < 3; i++)
        reap(go(has_rusage, NULL));
    EQ(getrusage(RUSAGE_THREAD, &b), 0);
    CHECK(used(&b) - used(&a) <= 30 * MS);
    FAILS(getrusage((__rusage_who_t)77, &a), EINVAL);
}

/* ---- what came before the first thread is the main thread's own ---- */

static void main_keeps_its_past(void)
{
    clockid_t id;
    long before = mine();

    CHECK(before >= 30 * MS);
    reap(go(asks_late, NULL));
    CHECK(mine() >= before);
    EQ(pthread_getcpuclockid(pthread_self(), &id), 0);
    CHECK(cpu_ns(id) >= before);
}

int main(void)
{
    burn(30 * MS);
    CASE(main_keeps_its_past);
    CASE(each_its_own);
    CASE(sleep_is_free);
    CASE(others_clock);
    CASE(ended_clock);
    CASE(sleep_on_others);
    CASE(usage);
    return 0;
}
