/* SPDX-License-Identifier: BSD-2-Clause */
/* pthread_once: exactly one call, everybody waits for it, nested controls, many controls. */
#include "tap.h"

enum { N = 200, CONTROLS = 1000 };

static pthread_once_t slow = PTHREAD_ONCE_INIT, outer = PTHREAD_ONCE_INIT,
                      inner = PTHREAD_ONCE_INIT, many[CONTROLS];
static int calls, finished, inner_calls, many_calls;

static void slow_init(void)
{
    bump(&calls);
    pause_ms(50);
    bump(&finished);
}

static void *calls_slow(void *arg)
{
    EQ(pthread_once(&slow, slow_init), 0);
    EQ(__atomic_load_n(&finished, __ATOMIC_SEQ_CST), 1);
    return arg;
}

static void all_wait(void)
{
    pthread_t t[N];

    for (int i = 0; i < N; i++)
        t[i] = go(calls_slow, NULL);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    EQ(calls, 1);
}

static void inner_init(void)
{
    bump(&inner_calls);
}

static void outer_init(void)
{
    pthread_once(&inner, inner_init);
}

static void *calls_nested(void *arg)
{
    pthread_once(&outer, outer_init);
    pthread_once(&inner, inner_init);
    return arg;
}

static void nested(void)
{
    pthread_t t[20];

    for (int i = 0; i < 20; i++)
        t[i] = go(calls_nested, NULL);
    for (int i = 0; i < 20; i++)
        reap(t[i]);
    EQ(inner_calls, 1);
}

static void count_many(void)
{
    bump(&many_calls);
}

static void *calls_many(void *arg)
{
    for (int i = 0; i < CONTROLS; i++)
        pthread_once(&many[i], count_many);
    return arg;
}

static void thousand_controls(void)
{
    pthread_t t[16];

    for (int i = 0; i < 16; i++)
        t[i] = go(calls_many, NULL);
    for (int i = 0; i < 16; i++)
        reap(t[i]);
    EQ(many_calls, CONTROLS);
}

static int exit_calls;
static pthread_once_t leaves = PTHREAD_ONCE_INIT;

static void leaves_first_time(void)
{
    bump(&exit_calls);
    if (exit_calls == 1)
        pthread_exit(NULL);
}

static void *calls_leaves(void *arg)
{
    pthread_once(&leaves, leaves_first_time);
    return arg;
}

static void left_by_exit(void)
{
    int x;

    CHECK(reap(go(calls_leaves, &x)) == NULL);
    CHECK(reap(go(calls_leaves, &x)) == &x);
    CHECK(reap(go(calls_leaves, &x)) == &x);
    EQ(exit_calls, 2);
}

int main(void)
{
    CASE(all_wait);
    CASE(nested);
    CASE(thousand_controls);
    CASE(left_by_exit);
    return 0;
}
