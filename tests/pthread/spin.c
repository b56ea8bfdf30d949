/* SPDX-License-Identifier: BSD-2-Clause */
/* Spin locks, with more contenders than processors and holders that give up the processor. */
#include "tap.h"

static pthread_spinlock_t s;
static long n;

static void basics(void)
{
    EQ(pthread_spin_init(&s, PTHREAD_PROCESS_PRIVATE), 0);
    EQ(pthread_spin_lock(&s), 0);
    EQ(pthread_spin_trylock(&s), EBUSY);
    EQ(pthread_spin_unlock(&s), 0);
    EQ(pthread_spin_trylock(&s), 0);
    EQ(pthread_spin_unlock(&s), 0);
    EQ(pthread_spin_destroy(&s), 0);
}

static void *counts(void *arg)
{
    for (int i = 0; i < 500; i++) {
        EQ(pthread_spin_lock(&s), 0);
        n++;
        if (arg && i % 100 == 0)
            sched_yield();
        EQ(pthread_spin_unlock(&s), 0);
    }
    return NULL;
}

static void contend(long yields)
{
    pthread_t t[16];

    n = 0;
    pthread_spin_init(&s, PTHREAD_PROCESS_PRIVATE);
    for (int i = 0; i < 16; i++)
        t[i] = go(counts, (void *)yields);
    for (int i = 0; i < 16; i++)
        reap(t[i]);
    EQ(n, 16 * 500);
}

static void exclusion(void)
{
    contend(0);
}

static void holder_yields(void)
{
    contend(1);
}

static void *holds(void *arg)
{
    pthread_spin_lock(&s);
    bump((int *)arg);
    pause_ms(30);
    pthread_spin_unlock(&s);
    return NULL;
}

static void holder_sleeps(void)
{
    int held = 0;
    pthread_t h = go(holds, &held), t[4];

    await(&held, 1);
    n = 0;
    for (int i = 0; i < 4; i++)
        t[i] = go(counts, NULL);
    for (int i = 0; i < 4; i++)
        reap(t[i]);
    reap(h);
    EQ(n, 4 * 500);
}

int main(void)
{
    CASE(basics);
    CASE(exclusion);
    CASE(holder_yields);
    CASE(holder_sleeps);
    return 0;
}
