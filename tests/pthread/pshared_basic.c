/* SPDX-License-Identifier: BSD-2-Clause */
/* Process-shared mutexes, conditions, semaphores, barriers and rwlocks between a parent with
 * threads and forked children with threads. */
#include "proc.h"
#include <semaphore.h>
#include <sys/mman.h>

enum { CHILDREN = 3, THREADS = 4, EACH = 200 };

struct shared {
    pthread_mutex_t mutex[4];
    pthread_cond_t cond, back;
    pthread_rwlock_t rw;
    pthread_barrier_t barrier;
    sem_t sem;
    long n[4], first, second;
    int turn, serial, stage;
};

static struct shared *s;

static void set_up(void)
{
    const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK,
                         PTHREAD_MUTEX_ADAPTIVE_NP};
    pthread_mutexattr_t ma;
    pthread_condattr_t ca;
    pthread_rwlockattr_t ra;
    pthread_barrierattr_t ba;

    s = (struct shared *)mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                              -1, 0);
    CHECK(s != MAP_FAILED);
    pthread_mutexattr_init(&ma);
    pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
    for (int i = 0; i < 4; i++) {
        pthread_mutexattr_settype(&ma, types[i]);
        EQ(pthread_mutex_init(&s->mutex[i], &ma), 0);
    }
    pthread_condattr_init(&ca);
    pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
    EQ(pthread_cond_init(&s->cond, &ca), 0);
    EQ(pthread_cond_init(&s->back, &ca), 0);
    pthread_rwlockattr_init(&ra);
    pthread_rwlockattr_setpshared(&ra, PTHREAD_PROCESS_SHARED);
    EQ(pthread_rwlock_init(&s->rw, &ra), 0);
    pthread_barrierattr_init(&ba);
    pthread_barrierattr_setpshared(&ba, PTHREAD_PROCESS_SHARED);
    EQ(pthread_barrier_init(&s->barrier, &ba, (CHILDREN + 1) * THREADS), 0);
    EQ(sem_init(&s->sem, 1, 2), 0);
}

static void *counts(void *arg)
{
    for (int i = 0; i < EACH; i++)
        for (int k = 0; k < 4; k++) {
            EQ(pthread_mutex_lock(&s->mutex[k]), 0);
            s->n[k]++;
            if (i % 40 == 0)
                sched_yield();
            EQ(pthread_mutex_unlock(&s->mutex[k]), 0);
        }
    return arg;
}

static void *reads_and_writes(void *arg)
{
    for (int i = 0; i < EACH; i++)
        if (i % 8 == 0) {
            EQ(pthread_rwlock_wrlock(&s->rw), 0);
            s->first++;
            sched_yield();
            s->second++;
            EQ(pthread_rwlock_unlock(&s->rw), 0);
        } else {
            EQ(pthread_rwlock_rdlock(&s->rw), 0);
            EQ(s->first, s->second);
            EQ(pthread_rwlock_unlock(&s->rw), 0);
        }
    return arg;
}

static void *meets(void *arg)
{
    for (int i = 0; i < 20; i++) {
        int r = pthread_barrier_wait(&s->barrier);

        if (r == PTHREAD_BARRIER_SERIAL_THREAD)
            bump(&s->serial);
        else
            EQ(r, 0);
    }
    return arg;
}

static void *enters(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        EQ(sem_wait(&s->sem), 0);
        CHECK(__atomic_add_fetch(&s->stage, 1, __ATOMIC_SEQ_CST) <= 2);
        sched_yield();
        __atomic_sub_fetch(&s->stage, 1, __ATOMIC_SEQ_CST);
        EQ(sem_post(&s->sem), 0);
    }
    return arg;
}

static void in_threads(void *(*body)(void *))
{
    pthread_t t[THREADS];

    for (int i = 0; i < THREADS; i++)
        t[i] = go(body, NULL);
    for (int i = 0; i < THREADS; i++)
        reap(t[i]);
}

static void everywhere(void *(*body)(void *))
{
    pid_t p[CHILDREN];

    for (int i = 0; i < CHILDREN; i++) {
        p[i] = fork();
        if (p[i] == 0) {
            in_threads(body);
            _exit(0);
        }
    }
    in_threads(body);
    for (int i = 0; i < CHILDREN; i++)
        EQ(status_of(p[i]), 0);
}

static void mutexes(void)
{
    everywhere(counts);
    for (int k = 0; k < 4; k++)
        EQ(s->n[k], (CHILDREN + 1) * THREADS * EACH);
}

static void rwlock(void)
{
    everywhere(reads_and_writes);
    EQ(s->first, (CHILDREN + 1) * THREADS * EACH / 8);
}

static void barrier(void)
{
    everywhere(meets);
    EQ(s->serial, 20);
}

static void semaphore(void)
{
    everywhere(enters);
}

static void *pong(void *arg)
{
    pthread_mutex_lock(&s->mutex[0]);
    for (int i = 0; i < 1000; i++) {
        while (s->turn != 1)
            pthread_cond_wait(&s->cond, &s->mutex[0]);
        s->turn = 0;
        pthread_cond_signal(&s->back);
    }
    pthread_mutex_unlock(&s->mutex[0]);
    return arg;
}

static void condition(void)
{
    pid_t p = fork();

    if (p == 0) {
        reap(go(pong, NULL));
        _exit(0);
    }
    pthread_mutex_lock(&s->mutex[0]);
    for (int i = 0; i < 1000; i++) {
        s->turn = 1;
        pthread_cond_signal(&s->cond);
        while (s->turn != 0)
            pthread_cond_wait(&s->back, &s->mutex[0]);
    }
    pthread_mutex_unlock(&s->mutex[0]);
    EQ(status_of(p), 0);
}

/* A thread of each process with the same place in its process must not pass for the same owner. */
static void *tries_held(void *arg)
{
    EQ(pthread_mutex_trylock(&s->mutex[1]), EBUSY);
    EQ(pthread_mutex_unlock(&s->mutex[2]), EPERM);
    EQ(pthread_rwlock_trywrlock(&s->rw), EBUSY);
    return arg;
}

static void *holds_and_forks(void *arg)
{
    pid_t p;

    EQ(pthread_mutex_lock(&s->mutex[1]), 0);
    EQ(pthread_mutex_lock(&s->mutex[2]), 0);
    EQ(pthread_rwlock_wrlock(&s->rw), 0);
    p = fork();
    if (p == 0) {
        in_threads(tries_held);
        _exit(0);
    }
    EQ(status_of(p), 0);
    EQ(pthread_mutex_unlock(&s->mutex[1]), 0);
    EQ(pthread_mutex_unlock(&s->mutex[2]), 0);
    EQ(pthread_rwlock_unlock(&s->rw), 0);
    return arg;
}

static void owners_of_two_processes(void)
{
    in_threads(holds_and_forks);
}

static void robust_over_death(void)
{
    pthread_mutex_t *m;
    pthread_mutexattr_t a;
    pid_t p;

    m = (pthread_mutex_t *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                                0);
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    EQ(pthread_mutex_init(m, &a), 0);
    p = fork();
    if (p == 0) {
        EQ(pthread_mutex_lock(m), 0);
        kill(getpid(), SIGKILL);
    }
    EQ(status_of(p), 1000 + SIGKILL);
    EQ(pthread_mutex_lock(m), EOWNERDEAD);
    EQ(pthread_mutex_consistent(m), 0);
    EQ(pthread_mutex_unlock(m), 0);
}

int main(void)
{
    set_up();
    CASE(mutexes);
    CASE(rwlock);
    CASE(barrier);
    CASE(semaphore);
    CASE(condition);
    CASE(owners_of_two_processes);
    CASE(robust_over_death);
    return 0;
}
