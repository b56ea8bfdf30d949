/* SPDX-License-Identifier: BSD-2-Clause */
/* Every sleep lasts at least as long as asked for, also in many threads, and refuses nonsense. */
#include "tap.h"
#include <poll.h>
#include <sys/select.h>

static void lasts(long begin, long ms)
{
    CHECK(now_ms() - begin >= ms - 1);
}

static void *each_kind(void *arg)
{
    struct timespec rel = {0, 20000000}, left = {7, 7}, when;
    struct timeval tv = {0, 20000};
    long begin = now_ms();

    EQ(usleep(20000), 0);
    lasts(begin, 20);
    begin = now_ms();
    EQ(nanosleep(&rel, &left), 0);
    lasts(begin, 20);
    begin = now_ms();
    EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &rel, NULL), 0);
    lasts(begin, 20);
    begin = now_ms();
    EQ(clock_nanosleep(CLOCK_REALTIME, 0, &rel, NULL), 0);
    lasts(begin, 20);
    begin = now_ms();
    when = after_ms(CLOCK_MONOTONIC, 20);
    EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL), 0);
    lasts(begin, 20);
    begin = now_ms();
    when = after_ms(CLOCK_REALTIME, 20);
    EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &when, NULL), 0);
    lasts(begin, 20);
    begin = now_ms();
    EQ(poll(NULL, 0, 20), 0);
    lasts(begin, 20);
    begin = now_ms();
    EQ(select(0, NULL, NULL, NULL, &tv), 0);
    lasts(begin, 20);
    return arg;
}

static void in_main(void)
{
    each_kind(NULL);
}

static void in_threads(void)
{
    pthread_t t[100];

    for (int i = 0; i < 100; i++)
        t[i] = go(each_kind, NULL);
    for (int i = 0; i < 100; i++)
        reap(t[i]);
}

static void *whole_second(void *arg)
{
    long begin = now_ms();

    EQ(sleep(1), 0);
    lasts(begin, 1000);
    return arg;
}

static void seconds(void)
{
    pthread_t t[20];

    for (int i = 0; i < 20; i++)
        t[i] = go(whole_second, NULL);
    for (int i = 0; i < 20; i++)
        reap(t[i]);
}

static void *at_once(void *arg)
{
    struct timespec past = after_ms(CLOCK_MONOTONIC, -1000), zero = {0, 0};

    EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL), 0);
    EQ(nanosleep(&zero, NULL), 0);
    EQ(usleep(0), 0);
    EQ(sleep(0), 0);
    return arg;
}

static void *refused(void *arg)
{
    struct timespec big = {0, 1000000000}, negative = {0, -1}, before = {-1, 0}, ok = {0, 1};

    FAILS(nanosleep(&big, NULL), EINVAL);
    FAILS(nanosleep(&negative, NULL), EINVAL);
    FAILS(nanosleep(&before, NULL), EINVAL);
    EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &big, NULL), EINVAL);
    EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &before, NULL), EINVAL);
    EQ(clock_nanosleep(12345, 0, &ok, NULL), EINVAL);
    EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ok, NULL), EINVAL);
    return arg;
}

static void no_wait_and_errors(void)
{
    at_once(NULL);
    refused(NULL);
    reap(go(at_once, NULL));
    reap(go(refused, NULL));
}

static int long_ended;

static void *sleeps_long(void *arg)
{
    pause_ms(1500);
    bump(&long_ended);
    return arg;
}

static void *sleeps_short(void *arg)
{
    pause_ms(1 + (long)arg);
    EQ(__atomic_load_n(&long_ended, __ATOMIC_SEQ_CST), 0);
    return NULL;
}

static void short_before_long(void)
{
    pthread_t t[50], l = go(sleeps_long, NULL);

    for (long i = 0; i < 50; i++)
        t[i] = go(sleeps_short, (void *)i);
    for (int i = 0; i < 50; i++)
        reap(t[i]);
    reap(l);
}

int main(void)
{
    CASE(in_main);
    CASE(in_threads);
    CASE(seconds);
    CASE(no_wait_and_errors);
    CASE(short_before_long);
    return 0;
}
