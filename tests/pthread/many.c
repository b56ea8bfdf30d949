/* SPDX-License-Identifier: BSD-2-Clause */
/* 10,000 threads alive at the same time, blocked in a condition variable, a semaphore, a sleep. */
#include "tap.h"
#include <semaphore.h>

enum { N = 10000 };

static pthread_t t[N];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t open_gate = PTHREAD_COND_INITIALIZER, all_here = PTHREAD_COND_INITIALIZER;
static int here, opened;
static sem_t sem;

static void start_all(void *(*body)(void *))
{
    pthread_attr_t a;

    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 256 * 1024);
    for (long i = 0; i < N; i++)
        EQ(pthread_create(&t[i], &a, body, (void *)i), 0);
    pthread_attr_destroy(&a);
}

static long sum_all(void)
{
    long sum = 0;

    for (int i = 0; i < N; i++)
        sum += (long)reap(t[i]);
    return sum;
}

static void *at_gate(void *arg)
{
    pthread_mutex_lock(&lock);
    if (++here == N)
        pthread_cond_signal(&all_here);
    while (!opened)
        pthread_cond_wait(&open_gate, &lock);
    pthread_mutex_unlock(&lock);
    return arg;
}

static void blocked_in_cond(void)
{
    start_all(at_gate);
    pthread_mutex_lock(&lock);
    while (here < N)
        pthread_cond_wait(&all_here, &lock);
    EQ(here, N);
    opened = 1;
    pthread_cond_broadcast(&open_gate);
    pthread_mutex_unlock(&lock);
    EQ(sum_all(), (long)N * (N - 1) / 2);
}

static void *at_sem(void *arg)
{
    bump(&here);
    EQ(sem_wait(&sem), 0);
    EQ(sem_post(&sem), 0);
    return arg;
}

static void blocked_in_sem(void)
{
    here = 0;
    sem_init(&sem, 0, 0);
    start_all(at_sem);
    await(&here, N);
    sem_post(&sem);
    EQ(sum_all(), (long)N * (N - 1) / 2);
    sem_destroy(&sem);
}

static void *asleep(void *arg)
{
    pause_ms(100 + (long)arg % 100);
    return arg;
}

static void blocked_in_sleep(void)
{
    start_all(asleep);
    EQ(sum_all(), (long)N * (N - 1) / 2);
}

int main(void)
{
    CASE(blocked_in_cond);
    CASE(blocked_in_sem);
    CASE(blocked_in_sleep);
    return 0;
}
