/* SPDX-License-Identifier: BSD-2-Clause */
/* The object goes away right after the last unlock, post or wait: whoever releases may not touch
 * it afterwards.  The objects live on pages of their own, so a touch is a SIGSEGV. */
#include "tap.h"
#include <semaphore.h>
#include <sys/mman.h>

enum { ROUNDS = 500 };

static void *page(void)
{
    void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(m != MAP_FAILED);
    return m;
}

struct counted {
    pthread_mutex_t m;
    int refs;
};

static void *drops(void *arg)
{
    struct counted *c = (struct counted *)arg;
    int left;

    pthread_mutex_lock(&c->m);
    left = --c->refs;
    pthread_mutex_unlock(&c->m);
    if (left == 0) {
        pthread_mutex_destroy(&c->m);
        munmap(c, 4096);
    }
    return NULL;
}

static void mutex_of_type(int type)
{
    pthread_mutexattr_t a;

    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, type);
    for (int i = 0; i < ROUNDS; i++) {
        struct counted *c = (struct counted *)page();
        pthread_t t[4];

        pthread_mutex_init(&c->m, &a);
        c->refs = 4;
        for (int k = 0; k < 4; k++)
            t[k] = go(drops, c);
        for (int k = 0; k < 4; k++)
            reap(t[k]);
    }
}

static void normal_mutex(void)
{
    mutex_of_type(PTHREAD_MUTEX_NORMAL);
}

static void recursive_mutex(void)
{
    mutex_of_type(PTHREAD_MUTEX_RECURSIVE);
}

static void adaptive_mutex(void)
{
    mutex_of_type(PTHREAD_MUTEX_ADAPTIVE_NP);
}

static void *posts(void *arg)
{
    sem_post((sem_t *)arg);
    return NULL;
}

static void semaphore(void)
{
    for (int i = 0; i < ROUNDS * 2; i++) {
        sem_t *s = (sem_t *)page();
        pthread_t t;

        sem_init(s, 0, 0);
        t = go(posts, s);
        if (i & 1)
            sched_yield();
        EQ(sem_wait(s), 0);
        munmap(s, 4096);
        reap(t);
    }
}

struct event {
    pthread_mutex_t m;
    pthread_cond_t c;
    int happened;
};

static void *fires(void *arg)
{
    struct event *e = (struct event *)arg;

    pthread_mutex_lock(&e->m);
    e->happened = 1;
    pthread_cond_signal(&e->c);
    pthread_mutex_unlock(&e->m);
    return NULL;
}

static void condition(void)
{
    for (int i = 0; i < ROUNDS * 2; i++) {
        struct event *e = (struct event *)page();
        pthread_t t;

        pthread_mutex_init(&e->m, NULL);
        pthread_cond_init(&e->c, NULL);
        pthread_mutex_lock(&e->m);
        t = go(fires, e);
        while (!e->happened)
            pthread_cond_wait(&e->c, &e->m);
        pthread_mutex_unlock(&e->m);
        pthread_cond_destroy(&e->c);
        pthread_mutex_destroy(&e->m);
        munmap(e, 4096);
        reap(t);
    }
}

int main(void)
{
    CASE(normal_mutex);
    CASE(recursive_mutex);
    CASE(adaptive_mutex);
    CASE(semaphore);
    CASE(condition);
    return 0;
}
