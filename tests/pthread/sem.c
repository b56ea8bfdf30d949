/* SPDX-License-Identifier: BSD-2-Clause */
/* Semaphores, unnamed and named: counts, timed and clock waits, errors. */
#include "tap.h"
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>

static sem_t s, back;

static void counting(void)
{
    int v;

    EQ(sem_init(&s, 0, 3), 0);
    for (int i = 0; i < 3; i++)
        EQ(sem_wait(&s), 0);
    FAILS(sem_trywait(&s), EAGAIN);
    EQ(sem_getvalue(&s, &v), 0);
    EQ(v, 0);
    EQ(sem_post(&s), 0);
    EQ(sem_getvalue(&s, &v), 0);
    EQ(v, 1);
    EQ(sem_trywait(&s), 0);
    EQ(sem_destroy(&s), 0);
}

static void limits(void)
{
    FAILS(sem_init(&s, 0, (unsigned)SEM_VALUE_MAX + 1), EINVAL);
    EQ(sem_init(&s, 0, SEM_VALUE_MAX), 0);
    FAILS(sem_post(&s), EOVERFLOW);
    EQ(sem_wait(&s), 0);
    EQ(sem_post(&s), 0);
    EQ(sem_destroy(&s), 0);
}

static void timeouts(void)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 30), bad = {0, 1000000000};
    long begin = now_ms();

    EQ(sem_init(&s, 0, 0), 0);
    FAILS(sem_timedwait(&s, &when), ETIMEDOUT);
    CHECK(now_ms() - begin >= 29);
    begin = now_ms();
    when = after_ms(CLOCK_MONOTONIC, 30);
    FAILS(sem_clockwait(&s, CLOCK_MONOTONIC, &when), ETIMEDOUT);
    CHECK(now_ms() - begin >= 29);
    when = after_ms(CLOCK_REALTIME, -1000);
    FAILS(sem_timedwait(&s, &when), ETIMEDOUT);
    FAILS(sem_timedwait(&s, &bad), EINVAL);
    FAILS(sem_clockwait(&s, CLOCK_PROCESS_CPUTIME_ID, &when), EINVAL);
    sem_post(&s);
    EQ(sem_timedwait(&s, &when), 0);
    EQ(sem_destroy(&s), 0);
}

static void *posts_late(void *arg)
{
    pause_ms(30);
    EQ(sem_post((sem_t *)arg), 0);
    return NULL;
}

static void timed_but_posted(void)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 30000);
    pthread_t t;

    sem_init(&s, 0, 0);
    t = go(posts_late, &s);
    EQ(sem_timedwait(&s, &when), 0);
    reap(t);
    t = go(posts_late, &s);
    when = after_ms(CLOCK_MONOTONIC, 30000);
    EQ(sem_clockwait(&s, CLOCK_MONOTONIC, &when), 0);
    reap(t);
}

static void *ping(void *arg)
{
    for (int i = 0; i < 5000; i++) {
        EQ(sem_wait(&s), 0);
        EQ(sem_post(&back), 0);
    }
    return arg;
}

static void ping_pong(void)
{
    pthread_t t;

    sem_init(&s, 0, 0);
    sem_init(&back, 0, 0);
    t = go(ping, NULL);
    for (int i = 0; i < 5000; i++) {
        EQ(sem_post(&s), 0);
        EQ(sem_wait(&back), 0);
    }
    reap(t);
}

static int inside, most;

static void *enters(void *arg)
{
    for (int i = 0; i < 20; i++) {
        int now;

        sem_wait(&s);
        now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        CHECK(now <= 5);
        if (now == 5)
            bump(&most);
        pause_ms(1);
        __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        sem_post(&s);
    }
    return arg;
}

static void at_most_five(void)
{
    pthread_t t[50];
    int v;

    sem_init(&s, 0, 5);
    for (int i = 0; i < 50; i++)
        t[i] = go(enters, NULL);
    for (int i = 0; i < 50; i++)
        reap(t[i]);
    CHECK(most > 0);
    sem_getvalue(&s, &v);
    EQ(v, 5);
}

static void *waits_once(void *arg)
{
    sem_wait(&s);
    bump((int *)arg);
    return NULL;
}

static void posts_are_exact(void)
{
    pthread_t t[500];
    int woken = 0, v;

    sem_init(&s, 0, 0);
    for (int i = 0; i < 500; i++)
        t[i] = go(waits_once, &woken);
    pause_ms(30);
    for (int i = 0; i < 200; i++)
        sem_post(&s);
    await(&woken, 200);
    pause_ms(20);
    EQ(__atomic_load_n(&woken, __ATOMIC_SEQ_CST), 200);
    for (int i = 0; i < 300; i++)
        sem_post(&s);
    for (int i = 0; i < 500; i++)
        reap(t[i]);
    sem_getvalue(&s, &v);
    EQ(v, 0);
}

static void *named_post(void *arg)
{
    sem_t *n = sem_open((const char *)arg, 0);

    CHECK(n != SEM_FAILED);
    pause_ms(20);
    EQ(sem_post(n), 0);
    EQ(sem_close(n), 0);
    return NULL;
}

static void named(void)
{
    char name[64];
    sem_t *a, *b;
    pthread_t t;

    snprintf(name, sizeof name, "/gt-sem-%ld", (long)getpid());
    errno = 0;
    CHECK(sem_open(name, 0) == SEM_FAILED && errno == ENOENT);
    a = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
    CHECK(a != SEM_FAILED);
    errno = 0;
    CHECK(sem_open(name, O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED && errno == EEXIST);
    b = sem_open(name, 0);
    CHECK(a == b);
    EQ(sem_close(b), 0);
    EQ(sem_wait(a), 0);
    FAILS(sem_trywait(a), EAGAIN);
    t = go(named_post, name);
    EQ(sem_wait(a), 0);
    reap(t);
    EQ(sem_unlink(name), 0);
    FAILS(sem_unlink(name), ENOENT);
    EQ(sem_close(a), 0);
    errno = 0;
    CHECK(sem_open("/gt-none", O_CREAT, 0600, (unsigned)SEM_VALUE_MAX + 1) == SEM_FAILED);
    EQ(errno, EINVAL);
}

int main(void)
{
    CASE(counting);
    CASE(limits);
    CASE(timeouts);
    CASE(timed_but_posted);
    CASE(ping_pong);
    CASE(at_most_five);
    CASE(posts_are_exact);
    CASE(named);
    return 0;
}
