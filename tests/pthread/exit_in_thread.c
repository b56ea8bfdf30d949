/* SPDX-License-Identifier: BSD-2-Clause */
/* exit() called by a thread while main is blocked: handlers run in reverse order on that thread,
 * and what they wait for from other threads still happens. */
#include "tap.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int asked, answered;
static pthread_t leaver;

static void first(void)
{
    CHECK(pthread_equal(pthread_self(), leaver));
    printf("first registered, last run\n");
}

static void second(void)
{
    pthread_mutex_lock(&lock);
    asked = 1;
    pthread_cond_broadcast(&cond);
    while (!answered)
        pthread_cond_wait(&cond, &lock);
    pthread_mutex_unlock(&lock);
    printf("answered by another thread\n");
}

static void *answers(void *arg)
{
    pthread_mutex_lock(&lock);
    while (!asked)
        pthread_cond_wait(&cond, &lock);
    answered = 1;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&lock);
    pause_ms(100000);
    return arg;
}

static void *leaves(void *arg)
{
    leaver = pthread_self();
    pause_ms(20);
    printf("leaving\n");
    exit(4);
    return arg;
}

int main(void)
{
    atexit(first);
    atexit(second);
    go(answers, NULL);
    reap(go(leaves, NULL));
    return 1;
}
