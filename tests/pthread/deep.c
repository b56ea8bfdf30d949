/* SPDX-License-Identifier: BSD-2-Clause */
/* Stacks: 200 KB of recursion in 200 threads, megabytes in a few, kept over blocking calls. */
#include "tap.h"
#include <alloca.h>

static __attribute__((noinline)) long recurse(int depth, long seed)
{
    volatile long frame[128];
    long below;

    for (int i = 0; i < 128; i++)
        frame[i] = seed + depth + i;
    if (depth == 0) {
        usleep(1000); /* parked with the whole stack in use */
        below = 0;
    } else {
        below = recurse(depth - 1, seed);
    }
    for (int i = 0; i < 128; i++)
        EQ(frame[i], seed + depth + i);
    return below + 1;
}

static void *deep(void *arg)
{
    EQ(recurse(200, (long)arg), 201);
    return arg;
}

static void *deeper(void *arg)
{
    EQ(recurse(5000, (long)arg), 5001); /* more than 5 MB of the usual 8 */
    return arg;
}

static void many_deep(void)
{
    pthread_t t[200];

    for (long i = 0; i < 200; i++)
        t[i] = go(deep, (void *)i);
    for (int i = 0; i < 200; i++)
        reap(t[i]);
}

static void some_deeper(void)
{
    pthread_attr_t a;
    pthread_t t[5];

    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 8 << 20);
    for (long i = 0; i < 5; i++)
        EQ(pthread_create(&t[i], &a, deeper, (void *)i), 0);
    for (int i = 0; i < 5; i++)
        reap(t[i]);
}

static void *large_frame(void *arg)
{
    volatile char *p = (volatile char *)alloca(150 * 1024);

    for (int i = 0; i < 150 * 1024; i += 512)
        p[i] = (char)(long)arg;
    sched_yield();
    for (int i = 0; i < 150 * 1024; i += 512)
        EQ(p[i], (char)(long)arg);
    return arg;
}

static void large_frames(void)
{
    pthread_t t[100];

    for (long i = 0; i < 100; i++)
        t[i] = go(large_frame, (void *)i);
    for (int i = 0; i < 100; i++)
        reap(t[i]);
}

int main(void)
{
    CASE(many_deep);
    CASE(some_deeper);
    CASE(large_frames);
    return 0;
}
