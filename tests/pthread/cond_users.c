/* SPDX-License-Identifier: BSD-2-Clause */
/* A mutex of any kind counts those who wait on a condition with it as its users: it cannot be
 * destroyed under them, and can when they are gone. */
#include "tap.h"

static pthread_mutex_t m;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int waiting, go_on;

static void *waits(void *arg)
{
    EQ(pthread_mutex_lock(&m), 0);
    waiting++;
    while (!go_on)
        EQ(pthread_cond_wait(&c, &m), 0);
    waiting--;
    EQ(pthread_mutex_unlock(&m), 0);
    return arg;
}

static void wait_for_waiters(int n)
{
    for (int seen = 0; seen < n; pause_ms(1)) {
        EQ(pthread_mutex_lock(&m), 0);
        seen = waiting;
        EQ(pthread_mutex_unlock(&m), 0);
    }
}

static void one_kind(int type, int protocol, int shared)
{
    pthread_mutexattr_t a;
    pthread_t t[3];

    pthread_mutexattr_init(&a);
    EQ(pthread_mutexattr_settype(&a, type), 0);
    EQ(pthread_mutexattr_setprotocol(&a, protocol), 0);
    EQ(pthread_mutexattr_setpshared(&a, shared), 0);
    EQ(pthread_mutex_init(&m, &a), 0);
    go_on = 0;
    for (int i = 0; i < 3; i++)
        t[i] = go(waits, NULL);
    wait_for_waiters(3);
    EQ(pthread_mutex_destroy(&m), EBUSY);
    EQ(pthread_mutex_lock(&m), 0);
    EQ(pthread_mutex_destroy(&m), EBUSY);
    go_on = 1;
    EQ(pthread_cond_broadcast(&c), 0);
    EQ(pthread_mutex_unlock(&m), 0);
    for (int i = 0; i < 3; i++)
        reap(t[i]);
    EQ(pthread_mutex_destroy(&m), 0);
}

static void each_kind(void)
{
    const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK,
                         PTHREAD_MUTEX_ADAPTIVE_NP};

    for (int i = 0; i < 4; i++)
        for (int shared = 0; shared < 2; shared++) {
            one_kind(types[i], PTHREAD_PRIO_NONE, shared);
            one_kind(types[i], PTHREAD_PRIO_INHERIT, shared);
        }
}

int main(void)
{
    CASE(each_kind);
    return 0;
}
