/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes, static initialisers and the places where glibc's objects say that they are shared between
 * processes, of what kind they are, which clock they use.  The suite compares the lines of a plain
 * and a preloaded run with each other and with what the code of the interposers relies on. */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>

static int word(const void *object, size_t offset)
{
    int v;

    memcpy(&v, (const char *)object + offset, sizeof v);
    return v;
}

static int all_zero(const void *object, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((const char *)object)[i])
            return 0;
    return 1;
}

static void sizes(void)
{
    printf("sizes mutex %zu cond %zu rwlock %zu barrier %zu sem %zu once %zu spin %zu attr %zu\n",
           sizeof(pthread_mutex_t), sizeof(pthread_cond_t), sizeof(pthread_rwlock_t),
           sizeof(pthread_barrier_t), sizeof(sem_t), sizeof(pthread_once_t),
           sizeof(pthread_spinlock_t), sizeof(pthread_attr_t));
    printf("sizes mtx %zu cnd %zu once_flag %zu\n", sizeof(mtx_t), sizeof(cnd_t),
           sizeof(once_flag));
    printf("offsets kind %zu wrefs %zu shared %zu flags %zu\n",
           offsetof(pthread_mutex_t, __data.__kind), offsetof(pthread_cond_t, __data.__wrefs),
           offsetof(pthread_rwlock_t, __data.__shared), offsetof(pthread_rwlock_t, __data.__flags));
}

static void initialisers(void)
{
    pthread_mutex_t m[] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
                           PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP,
                           PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP};
    pthread_cond_t c = PTHREAD_COND_INITIALIZER;
    pthread_rwlock_t r = PTHREAD_RWLOCK_INITIALIZER,
                     w = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
    pthread_once_t o = PTHREAD_ONCE_INIT;

    printf("static kinds %d %d %d %d\n", word(&m[0], 16), word(&m[1], 16), word(&m[2], 16),
           word(&m[3], 16));
    printf("static zero mutex %d cond %d rwlock %d once %d; writer flag %d\n",
           all_zero(&m[0], sizeof m[0]), all_zero(&c, sizeof c), all_zero(&r, sizeof r),
           all_zero(&o, sizeof o), word(&w, offsetof(pthread_rwlock_t, __data.__flags)));
}

static void mutex_kind(const char *name, int pshared, int robust, int protocol, int type)
{
    pthread_mutexattr_t a;
    pthread_mutex_t m;

    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, pshared);
    pthread_mutexattr_setrobust(&a, robust);
    pthread_mutexattr_setprotocol(&a, protocol);
    pthread_mutexattr_settype(&a, type);
    if (pthread_mutex_init(&m, &a) == 0)
        printf("kind %s %d\n", name, word(&m, 16) & ~768); /* without the elision bits */
}

static void mutexes(void)
{
    mutex_kind("normal", 0, 0, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_NORMAL);
    mutex_kind("recursive", 0, 0, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_RECURSIVE);
    mutex_kind("errorcheck", 0, 0, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ERRORCHECK);
    mutex_kind("adaptive", 0, 0, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ADAPTIVE_NP);
    mutex_kind("shared", 1, 0, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_NORMAL);
    mutex_kind("robust", 0, 1, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_NORMAL);
    mutex_kind("inherit", 0, 0, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_NORMAL);
    mutex_kind("protect", 0, 0, PTHREAD_PRIO_PROTECT, PTHREAD_MUTEX_NORMAL);
    mutex_kind("all", 1, 1, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_RECURSIVE);
}

static void conds(void)
{
    for (int shared = 0; shared < 2; shared++)
        for (int mono = 0; mono < 2; mono++) {
            pthread_condattr_t a;
            pthread_cond_t c;

            pthread_condattr_init(&a);
            pthread_condattr_setpshared(&a, shared);
            pthread_condattr_setclock(&a, mono ? CLOCK_MONOTONIC : CLOCK_REALTIME);
            pthread_cond_init(&c, &a);
            printf("cond shared %d monotonic %d: wrefs %d\n", shared, mono, word(&c, 36) & 3);
        }
}

static void others(void)
{
    pthread_rwlockattr_t ra;
    pthread_barrierattr_t ba;

    pthread_rwlockattr_init(&ra);
    pthread_barrierattr_init(&ba);
    for (int shared = 0; shared < 2; shared++) {
        pthread_rwlock_t r;
        pthread_barrier_t b;
        sem_t s;

        pthread_rwlockattr_setpshared(&ra, shared);
        pthread_barrierattr_setpshared(&ba, shared);
        pthread_rwlock_init(&r, &ra);
        pthread_barrier_init(&b, &ba, 1);
        sem_init(&s, shared, 0);
        printf("shared %d: rwlock %d barrier %d sem %d\n", shared, word(&r, 28) != 0,
               word(&b, 12) != 0, word(&s, 8));
    }
}

int main(void)
{
    sizes();
    initialisers();
    mutexes();
    conds();
    others();
    return 0;
}
