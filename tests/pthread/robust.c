/* SPDX-License-Identifier: BSD-2-Clause */
/* Robust and priority-inheritance mutexes inside one process. */
#include "tap.h"

static void init(pthread_mutex_t *m, int robust, int protocol, int type)
{
    pthread_mutexattr_t a;

    pthread_mutexattr_init(&a);
    EQ(pthread_mutexattr_setrobust(&a, robust), 0);
    EQ(pthread_mutexattr_setprotocol(&a, protocol), 0);
    EQ(pthread_mutexattr_settype(&a, type), 0);
    EQ(pthread_mutex_init(m, &a), 0);
    pthread_mutexattr_destroy(&a);
}

static void *dies_holding(void *arg)
{
    EQ(pthread_mutex_lock((pthread_mutex_t *)arg), 0);
    return NULL;
}

static void owner_dies(int protocol)
{
    pthread_mutex_t m;

    init(&m, PTHREAD_MUTEX_ROBUST, protocol, PTHREAD_MUTEX_NORMAL);
    reap(go(dies_holding, &m));
    EQ(pthread_mutex_lock(&m), EOWNERDEAD);
    EQ(pthread_mutex_consistent(&m), 0);
    EQ(pthread_mutex_unlock(&m), 0);
    EQ(pthread_mutex_lock(&m), 0);
    EQ(pthread_mutex_unlock(&m), 0);
    reap(go(dies_holding, &m));
    EQ(pthread_mutex_trylock(&m), EOWNERDEAD);
    EQ(pthread_mutex_unlock(&m), 0);
    EQ(pthread_mutex_lock(&m), ENOTRECOVERABLE);
    EQ(pthread_mutex_trylock(&m), ENOTRECOVERABLE);
    EQ(pthread_mutex_destroy(&m), 0);
}

static void robust(void)
{
    owner_dies(PTHREAD_PRIO_NONE);
}

static void robust_inherit(void)
{
    owner_dies(PTHREAD_PRIO_INHERIT);
}

static pthread_mutex_t held;
static int holding;

static void *dies_later(void *arg)
{
    EQ(pthread_mutex_lock(&held), 0);
    bump(&holding);
    pause_ms(50);
    return arg;
}

static void waiter_hears_of_death(void)
{
    pthread_t t;

    init(&held, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ERRORCHECK);
    t = go(dies_later, NULL);
    await(&holding, 1);
    EQ(pthread_mutex_lock(&held), EOWNERDEAD);
    EQ(pthread_mutex_consistent(&held), 0);
    EQ(pthread_mutex_lock(&held), EDEADLK);
    EQ(pthread_mutex_unlock(&held), 0);
    EQ(pthread_mutex_unlock(&held), EPERM);
    reap(t);
}

static pthread_mutex_t pi;
static long total;

static void *counts(void *arg)
{
    for (int i = 0; i < 300; i++) {
        EQ(pthread_mutex_lock(&pi), 0);
        total++;
        if (i % 50 == 0)
            sched_yield();
        EQ(pthread_mutex_unlock(&pi), 0);
    }
    return arg;
}

static void inherit(void)
{
    const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};

    for (int k = 0; k < 3; k++) {
        pthread_t t[16];
        struct timespec when;

        total = 0;
        init(&pi, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT, types[k]);
        for (int i = 0; i < 16; i++)
            t[i] = go(counts, NULL);
        for (int i = 0; i < 16; i++)
            reap(t[i]);
        EQ(total, 16 * 300);
        when = after_ms(CLOCK_REALTIME, 1000);
        EQ(pthread_mutex_timedlock(&pi, &when), 0);
        EQ(pthread_mutex_unlock(&pi), 0);
        EQ(pthread_mutex_destroy(&pi), 0);
    }
}

int main(void)
{
    CASE(robust);
    CASE(robust_inherit);
    CASE(waiter_hears_of_death);
    CASE(inherit);
    return 0;
}
