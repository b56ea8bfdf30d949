/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads before main, made by a constructor, and after it, made by a destructor. */
#include "tap.h"

static pthread_t early[10];
static int started, stop;

static void *runs_early(void *arg)
{
    bump(&started);
    await(&stop, 1);
    return arg;
}

static __attribute__((constructor)) void before_main(void)
{
    for (int i = 0; i < 10; i++)
        early[i] = go(runs_early, &early[i]);
    await(&started, 10);
}

static void *adds(void *arg)
{
    bump((int *)arg);
    return NULL;
}

static __attribute__((destructor)) void after_main(void)
{
    int n = 0;
    pthread_t t[10];

    for (int i = 0; i < 10; i++)
        t[i] = go(adds, &n);
    for (int i = 0; i < 10; i++)
        reap(t[i]);
    EQ(n, 10);
    printf("ok threads in a destructor\n");
}

static void made_before_main(void)
{
    EQ(started, 10);
    bump(&stop);
    for (int i = 0; i < 10; i++)
        CHECK(reap(early[i]) == &early[i]);
}

int main(void)
{
    CASE(made_before_main);
    return 0;
}
