/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads that make the next one as they end, all through one lock: those that are woken run before
 * new ones, so that old ones end, and main gets its turns, instead of threads piling up. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#define CHAINS 30
#define MANY   10000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;
static pthread_attr_t detached;
static atomic_int live, most;
static atomic_bool stop;
static sem_t ended;

static void *link_of_chain(void *started);

static void work(void)
{
    pthread_mutex_lock(&lock);
    for (volatile int i = 0; i < 50; i++)
        ;
    pthread_mutex_unlock(&lock);
}

/* Returns when the new thread has begun. */
static void make_next(void)
{
    pthread_t t;
    sem_t started;
    sem_init(&started, 0, 0);
    work();
    if (pthread_create(&t, &detached, link_of_chain, &started) == 0)
        sem_wait(&started);
    else
        puts("cannot create");
    sem_destroy(&started);
}

static void at_end(void *unused)
{
    (void)unused;
    work();
    if (live > MANY)
        stop = true;
    if (!stop)
        make_next();
    work();
    if (atomic_fetch_sub(&live, 1) == 1)
        sem_post(&ended);
}

static void *link_of_chain(void *started)
{
    int n = atomic_fetch_add(&live, 1) + 1;
    for (int m = most; n > m && !atomic_compare_exchange_weak(&most, &m, n);)
        ;
    work();
    sem_post(started);
    work();
    pthread_setspecific(key, &key);
    return NULL;
}

int main(void)
{
    sem_init(&ended, 0, 0);
    pthread_key_create(&key, at_end);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    atomic_fetch_add(&live, 1); /* main's own, so that 0 comes once */
    for (int i = 0; i < CHAINS; i++) {
        make_next();
        work();
    }
    stop = true;
    if (atomic_fetch_sub(&live, 1) > 1)
        sem_wait(&ended);
    if (most > MANY)
        puts("threads pile up");
    puts("done");
    return 0;
}
