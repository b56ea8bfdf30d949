/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers: timer_create with every way to notify, setitimer of each clock, overruns; a profiling
 * timer at 1 kHz while threads compute and sleep. */
#include "tap.h"
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>

static int hits, stop, ready;
static siginfo_t got;
static pthread_t hit_on;

static void handler(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)uc;
    got = *si;
    hit_on = pthread_self();
    bump(&hits);
}

static void handle(int sig)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};

    EQ(sigaction(sig, &sa, NULL), 0);
    __atomic_store_n(&hits, 0, __ATOMIC_SEQ_CST);
}

static void start(timer_t t, long ms, long every)
{
    struct itimerspec s = {{every / 1000, every % 1000 * 1000000},
                           {ms / 1000, ms % 1000 * 1000000}};

    EQ(timer_settime(t, 0, &s, NULL), 0);
}

static void by_signal(void)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct itimerspec left;
    timer_t t;

    handle(SIGRTMIN);
    ev.sigev_value.sival_int = 4711;
    EQ(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
    start(t, 10, 10);
    await(&hits, 3);
    EQ(got.si_code, SI_TIMER);
    EQ(got.si_value.sival_int, 4711);
    EQ(timer_gettime(t, &left), 0);
    EQ(left.it_interval.tv_nsec, 10000000);
    EQ(timer_delete(t), 0);
    FAILS(timer_delete(t), EINVAL);
    handle(SIGALRM);
    EQ(timer_create(CLOCK_REALTIME, NULL, &t), 0);
    start(t, 10, 0);
    await(&hits, 1);
    EQ(got.si_code, SI_TIMER);
    EQ(timer_delete(t), 0);
}

static void no_notice(void)
{
    struct sigevent ev = {.sigev_notify = SIGEV_NONE};
    struct itimerspec left;
    timer_t t;

    EQ(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
    start(t, 10, 0);
    pause_ms(30);
    EQ(timer_gettime(t, &left), 0);
    EQ(left.it_value.tv_nsec, 0);
    EQ(timer_delete(t), 0);
}

static int called;

static void calls(union sigval v)
{
    EQ(v.sival_int, 12);
    bump(&called);
}

static void by_thread(void)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD};
    timer_t t;

    ev.sigev_value.sival_int = 12;
    ev.sigev_notify_function = calls;
    EQ(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
    start(t, 5, 5);
    await(&called, 3);
    EQ(timer_delete(t), 0);
}

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void *has_a_timer(void *arg)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1};
    sigset_t mine;
    timer_t t;

    sigemptyset(&mine);
    sigaddset(&mine, SIGRTMIN + 1);
    pthread_sigmask(SIG_BLOCK, &mine, NULL); /* the first thread has it open: not its business */
    ev.sigev_notify_thread_id = gettid();
    ev.sigev_value.sival_int = (int)(long)arg;
    EQ(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
    start(t, 10, 10);
    for (int i = 0; i < 3; i++) {
        siginfo_t si;

        pause_ms(12); /* it pends meanwhile */
        EQ(sigwaitinfo(&mine, &si), SIGRTMIN + 1);
        EQ(si.si_code, SI_TIMER);
        EQ(si.si_value.sival_int, (int)(long)arg);
    }
    EQ(timer_delete(t), 0);
    return NULL;
}

static void *sleeps(void *arg)
{
    *(pid_t *)arg = gettid();
    bump(&ready);
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        pause_ms(5);
    return NULL;
}

static void by_thread_id(void)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 2};
    pthread_t t;
    pid_t tid = 0;
    timer_t timer;

    reap(go(has_a_timer, (void *)5));
    handle(SIGRTMIN + 2);
    ready = stop = 0;
    t = go(sleeps, &tid);
    await(&ready, 1);
    ev.sigev_notify_thread_id = tid;
    EQ(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
    start(timer, 10, 10);
    for (int i = 1; i <= 3; i++) {
        await(&hits, i);
        CHECK(pthread_equal(hit_on, t));
    }
    EQ(timer_delete(timer), 0);
    bump(&stop);
    reap(t);
    ev.sigev_notify_thread_id = 1;
    FAILS(timer_create(CLOCK_MONOTONIC, &ev, &timer), EINVAL);
}

static void overruns(void)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    sigset_t s;
    siginfo_t si;
    timer_t t;

    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    EQ(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
    start(t, 1, 1);
    pause_ms(50);
    EQ(sigwaitinfo(&s, &si), SIGRTMIN);
    CHECK(si.si_overrun > 10);
    CHECK(timer_getoverrun(t) > 10);
    EQ(timer_delete(t), 0);
    struct timespec none = {0, 0};
    sigtimedwait(&s, NULL, &none);
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
}

/* ---- profiling ---- */

static long on_workers, on_others;
static __thread int works;

static void samples(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)si, (void)uc;
    __atomic_add_fetch(works ? &on_workers : &on_others, 1, __ATOMIC_RELAXED);
}

static void *computes(void *arg)
{
    double x = 1;

    works = 1;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (int i = 0; i < 1000; i++)
            x = x * 1.0001 + i;
        char buf[64];
        snprintf(buf, sizeof buf, "%g", x);
        free(malloc((size_t)buf[0]));
    }
    works = 0;
    return x > 0 ? arg : NULL;
}

static void profiled(int which, int sig)
{
    struct sigaction sa = {.sa_sigaction = samples, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct itimerval it = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    pthread_t t[4];
    int x;

    on_workers = on_others = stop = 0;
    EQ(sigaction(sig, &sa, NULL), 0);
    EQ(setitimer(which, &it, NULL), 0);
    for (int i = 0; i < 4; i++)
        t[i] = go(computes, &x);
    for (int i = 0; i < 1000 && __atomic_load_n(&on_workers, __ATOMIC_RELAXED) < 40; i++)
        pause_ms(10);
    bump(&stop);
    for (int i = 0; i < 4; i++)
        CHECK(reap(t[i]) == &x);
    EQ(setitimer(which, &off, NULL), 0);
    CHECK(on_workers >= 40);
    CHECK(on_workers > 2 * on_others); /* who uses the processor is sampled */
}

static void profiling(void)
{
    profiled(ITIMER_PROF, SIGPROF);
    profiled(ITIMER_VIRTUAL, SIGVTALRM);
}

/* ---- on the CPU time of one thread ---- */

static long cpu_ms(void)
{
    struct timespec t;

    EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void burn_ms(long ms)
{
    for (long end = cpu_ms() + ms; cpu_ms() < end;)
        ;
}

static void *burns(void *arg)
{
    burn_ms((long)arg);
    return NULL;
}

/* Only what this thread uses counts, though others compute and it sleeps. */
static void *counts_own_time(void *arg)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct itimerspec at = {.it_value.tv_sec = 0};
    pthread_t t[4];
    timer_t timer;
    long begin;

    if (arg)
        burn_ms(30);
    handle(SIGRTMIN);
    EQ(timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &timer), 0);
    begin = cpu_ms();
    if (arg) { /* a time on that clock */
        at.it_value.tv_sec = (begin + 60) / 1000;
        at.it_value.tv_nsec = (begin + 60) % 1000 * 1000000;
        EQ(timer_settime(timer, TIMER_ABSTIME, &at, NULL), 0);
    } else {
        start(timer, 60, 0);
    }
    for (int i = 0; i < 4; i++)
        t[i] = go(burns, (void *)50L);
    for (int i = 0; i < 4; i++)
        reap(t[i]);
    pause_ms(20);
    EQ(hits, 0);
    while (__atomic_load_n(&hits, __ATOMIC_SEQ_CST) == 0)
        CHECK(cpu_ms() < begin + 160);
    CHECK(cpu_ms() >= begin + 55);
    EQ(got.si_code, SI_TIMER);
    EQ(timer_delete(timer), 0);
    return NULL;
}

static void on_own_cpu_time(void)
{
    for (long abs = 0; abs < 2; abs++) {
        reap(go(counts_own_time, (void *)abs));
        counts_own_time((void *)abs);
    }
}

int main(void)
{
    CASE(by_signal);
    CASE(no_notice);
    CASE(by_thread);
    CASE(by_thread_id);
    CASE(overruns);
    CASE(profiling);
    CASE(on_own_cpu_time);
    return 0;
}
