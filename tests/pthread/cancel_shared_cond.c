/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Cancellation that comes while a thread is on its way to sleep on a process-shared condition
 * variable: between its letting go of the mutex and its sleep.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 400

static pthread_mutex_t mutex;
static pthread_cond_t cond;
static sem_t has_it;
static int locked_again;

static void unlock(void *arg)
{
    (void)arg;
    locked_again++;
    pthread_mutex_unlock(&mutex);
}

static void *waiter(void *arg)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += 20;
    pthread_mutex_lock(&mutex);
    sem_post(&has_it);
    int e = 0;
    pthread_cleanup_push(unlock, NULL);
    while (e == 0)
        e = pthread_cond_timedwait(&cond, &mutex, &t);
    pthread_cleanup_pop(1);
    return arg;
}

static void init(void)
{
    pthread_mutexattr_t ma;
    pthread_condattr_t ca;
    pthread_mutexattr_init(&ma);
    pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&mutex, &ma);
    pthread_condattr_init(&ca);
    pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&cond, &ca);
    sem_init(&has_it, 0, 0);
}

int main(void)
{
    int cancelled = 0;
    init();
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t t;
        void *r;
        pthread_create(&t, NULL, waiter, NULL);
        sem_wait(&has_it);
        pthread_mutex_lock(&mutex); /* it has let go */
        pthread_cancel(t);
        pthread_mutex_unlock(&mutex);
        pthread_join(t, &r);
        if (r != PTHREAD_CANCELED)
            break;
        cancelled++;
    }
    printf("%d cancelled, %d held the mutex\n", cancelled, locked_again);
    return 0;
}
