/* SPDX-License-Identifier: BSD-2-Clause */
/* Condition variables: both clocks, exact counts, broadcast, ping-pong, errors, destruction. */
#include "tap.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER, back = PTHREAD_COND_INITIALIZER;
static int waiting, tokens, taken;

static void *takes_token(void *arg)
{
    pthread_mutex_lock(&lock);
    if (++waiting % 10 == 0)
        pthread_cond_signal(&back);
    while (tokens == 0)
        EQ(pthread_cond_wait(&cond, &lock), 0);
    tokens--;
    taken++;
    pthread_cond_signal(&back);
    pthread_mutex_unlock(&lock);
    return arg;
}

static void signals_are_exact(void)
{
    pthread_t t[100];

    for (int i = 0; i < 100; i++)
        t[i] = go(takes_token, NULL);
    pthread_mutex_lock(&lock);
    while (waiting < 100)
        pthread_cond_wait(&back, &lock);
    for (int i = 0; i < 40; i++) {
        tokens++;
        pthread_cond_signal(&cond);
    }
    while (taken < 40)
        pthread_cond_wait(&back, &lock);
    pthread_mutex_unlock(&lock);
    pause_ms(30);
    pthread_mutex_lock(&lock);
    EQ(taken, 40);
    EQ(tokens, 0);
    tokens = 60;
    for (int i = 0; i < 60; i++)
        pthread_cond_signal(&cond);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 100; i++)
        reap(t[i]);
    EQ(taken, 100);
}

static int generation;

static void *waits_generation(void *arg)
{
    pthread_mutex_lock(&lock);
    waiting++;
    while (generation == 0)
        pthread_cond_wait(&cond, &lock);
    taken++;
    pthread_mutex_unlock(&lock);
    return arg;
}

static void broadcast_thousand(void)
{
    static pthread_t t[1000];

    for (int with_lock = 0; with_lock < 2; with_lock++) {
        waiting = taken = generation = 0;
        for (int i = 0; i < 1000; i++)
            t[i] = go(waits_generation, NULL);
        pthread_mutex_lock(&lock);
        while (waiting < 1000) {
            pthread_mutex_unlock(&lock);
            pause_ms(1);
            pthread_mutex_lock(&lock);
        }
        generation = 1;
        if (with_lock)
            pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&lock);
        if (!with_lock)
            pthread_cond_broadcast(&cond);
        for (int i = 0; i < 1000; i++)
            reap(t[i]);
        EQ(taken, 1000);
    }
}

static int turn;

static void *pong(void *arg)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < 5000; i++) {
        while (turn != 1)
            pthread_cond_wait(&cond, &lock);
        turn = 0;
        pthread_cond_signal(&back);
    }
    pthread_mutex_unlock(&lock);
    return arg;
}

static void ping_pong(void)
{
    pthread_t t = go(pong, NULL);

    pthread_mutex_lock(&lock);
    for (int i = 0; i < 5000; i++) {
        turn = 1;
        pthread_cond_signal(&cond);
        while (turn != 0)
            pthread_cond_wait(&back, &lock);
    }
    pthread_mutex_unlock(&lock);
    reap(t);
}

static void times_out_on(pthread_cond_t *c, clockid_t clock)
{
    struct timespec when = after_ms(clock, 30);
    long begin = now_ms();

    pthread_mutex_lock(&lock);
    EQ(pthread_cond_timedwait(c, &lock, &when), ETIMEDOUT);
    CHECK(now_ms() - begin >= 29);
    EQ(pthread_mutex_trylock(&lock), EBUSY); /* it came back with the mutex */
    when = after_ms(clock, -1000);
    EQ(pthread_cond_timedwait(c, &lock, &when), ETIMEDOUT);
    when.tv_sec = -1;
    when.tv_nsec = 0;
    EQ(pthread_cond_timedwait(c, &lock, &when), ETIMEDOUT);
    pthread_mutex_unlock(&lock);
}

static void timeouts(void)
{
    pthread_condattr_t a;
    pthread_cond_t c;
    clockid_t clock;

    times_out_on(&cond, CLOCK_REALTIME);
    EQ(pthread_condattr_init(&a), 0);
    EQ(pthread_condattr_getclock(&a, &clock), 0);
    EQ(clock, CLOCK_REALTIME);
    EQ(pthread_condattr_setclock(&a, CLOCK_MONOTONIC), 0);
    EQ(pthread_condattr_getclock(&a, &clock), 0);
    EQ(clock, CLOCK_MONOTONIC);
    EQ(pthread_cond_init(&c, &a), 0);
    times_out_on(&c, CLOCK_MONOTONIC);
    EQ(pthread_cond_destroy(&c), 0);
    EQ(pthread_condattr_setclock(&a, CLOCK_PROCESS_CPUTIME_ID), EINVAL);
    EQ(pthread_condattr_setpshared(&a, 77), EINVAL);
    EQ(pthread_condattr_destroy(&a), 0);
}

static void clockwait(void)
{
    const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};

    pthread_mutex_lock(&lock);
    for (int i = 0; i < 2; i++) {
        struct timespec when = after_ms(clocks[i], 30);
        long begin = now_ms();

        EQ(pthread_cond_clockwait(&cond, &lock, clocks[i], &when), ETIMEDOUT);
        CHECK(now_ms() - begin >= 29);
        EQ(pthread_cond_clockwait(&cond, &lock, CLOCK_PROCESS_CPUTIME_ID, &when), EINVAL);
    }
    pthread_mutex_unlock(&lock);
}

static void invalid_time(void)
{
    struct timespec when = {0, -1};

    when.tv_sec = time(NULL) + 100;
    pthread_mutex_lock(&lock);
    EQ(pthread_cond_timedwait(&cond, &lock, &when), EINVAL);
    when.tv_nsec = 1000000000;
    EQ(pthread_cond_timedwait(&cond, &lock, &when), EINVAL);
    EQ(pthread_cond_clockwait(&cond, &lock, CLOCK_MONOTONIC, &when), EINVAL);
    EQ(pthread_mutex_trylock(&lock), EBUSY);
    pthread_mutex_unlock(&lock);
}

static void *signals_late(void *arg)
{
    pause_ms(30);
    pthread_mutex_lock(&lock);
    tokens = 1;
    pthread_cond_signal((pthread_cond_t *)arg);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void timed_but_signalled(void)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 30000);
    pthread_t t;

    tokens = 0;
    pthread_mutex_lock(&lock);
    t = go(signals_late, &cond);
    while (tokens == 0)
        EQ(pthread_cond_timedwait(&cond, &lock, &when), 0);
    pthread_mutex_unlock(&lock);
    reap(t);
}

static void not_owner(void)
{
    pthread_mutex_t m = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

    EQ(pthread_cond_wait(&cond, &m), EPERM);
}

static void *signals_recursive(void *arg)
{
    pthread_mutex_lock((pthread_mutex_t *)arg);
    tokens = 1;
    pthread_mutex_unlock((pthread_mutex_t *)arg);
    pthread_cond_signal(&cond);
    return NULL;
}

static void recursive_mutex(void)
{
    pthread_mutex_t m = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    pthread_t t;

    tokens = 0;
    pthread_mutex_lock(&m);
    t = go(signals_recursive, &m);
    while (tokens == 0)
        EQ(pthread_cond_wait(&cond, &m), 0);
    EQ(pthread_mutex_unlock(&m), 0);
    EQ(pthread_mutex_unlock(&m), EPERM);
    reap(t);
}

struct once_used {
    pthread_mutex_t m;
    pthread_cond_t c;
    int go;
    int woken;
};

static void *waits_here(void *arg)
{
    struct once_used *u = (struct once_used *)arg;

    pthread_mutex_lock(&u->m);
    u->woken--;
    while (!u->go)
        pthread_cond_wait(&u->c, &u->m);
    u->woken += 2;
    pthread_mutex_unlock(&u->m);
    return NULL;
}

static void destroy_after_broadcast(void)
{
    for (int round = 0; round < 50; round++) {
        struct once_used u = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
        pthread_t t[8];

        for (int i = 0; i < 8; i++)
            t[i] = go(waits_here, &u);
        pthread_mutex_lock(&u.m);
        while (u.woken > -8) {
            pthread_mutex_unlock(&u.m);
            sched_yield();
            pthread_mutex_lock(&u.m);
        }
        u.go = 1;
        pthread_cond_broadcast(&u.c);
        pthread_mutex_unlock(&u.m);
        EQ(pthread_cond_destroy(&u.c), 0); /* waits for those who were woken */
        memset(&u.c, 0x77, sizeof u.c);
        for (int i = 0; i < 8; i++)
            reap(t[i]);
        EQ(u.woken, 8);
    }
}

/* A bounded queue between many producers and consumers. */
enum { SLOTS = 8, PRODUCERS = 20, EACH = 500 };

static int slot[SLOTS], head, tail;
static long consumed;

static void *produces(void *arg)
{
    for (int i = 1; i <= EACH; i++) {
        pthread_mutex_lock(&lock);
        while (tail - head == SLOTS)
            pthread_cond_wait(&back, &lock);
        slot[tail++ % SLOTS] = i;
        pthread_cond_signal(&cond);
        pthread_mutex_unlock(&lock);
    }
    return arg;
}

static void *consumes(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        pthread_mutex_lock(&lock);
        while (tail == head)
            pthread_cond_wait(&cond, &lock);
        consumed += slot[head++ % SLOTS];
        pthread_cond_signal(&back);
        pthread_mutex_unlock(&lock);
    }
    return arg;
}

static void bounded_queue(void)
{
    pthread_t p[PRODUCERS], c[PRODUCERS];

    for (int i = 0; i < PRODUCERS; i++) {
        c[i] = go(consumes, NULL);
        p[i] = go(produces, NULL);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        reap(p[i]);
        reap(c[i]);
    }
    EQ(consumed, (long)PRODUCERS * EACH * (EACH + 1) / 2);
}

/* Timed waits racing with signals: every token is consumed exactly once. */
static void *takes_timed(void *arg)
{
    long got = 0;

    pthread_mutex_lock(&lock);
    while (tokens >= 0) {
        struct timespec when = after_ms(CLOCK_REALTIME, 1);

        while (tokens == 0)
            if (pthread_cond_timedwait(&cond, &lock, &when) == ETIMEDOUT)
                break;
        if (tokens > 0) {
            tokens--;
            got++;
            taken++;
        }
    }
    pthread_mutex_unlock(&lock);
    (void)arg;
    return (void *)got;
}

static void timeout_races(void)
{
    pthread_t t[20];
    long got = 0;

    tokens = taken = 0;
    for (int i = 0; i < 20; i++)
        t[i] = go(takes_timed, NULL);
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&lock);
        tokens++;
        pthread_cond_signal(&cond);
        pthread_mutex_unlock(&lock);
        if (i % 10 == 0)
            pause_ms(1);
    }
    for (;;) {
        pthread_mutex_lock(&lock);
        if (taken == 300)
            break;
        pthread_mutex_unlock(&lock);
        pause_ms(1);
    }
    tokens = -1;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 20; i++)
        got += (long)reap(t[i]);
    EQ(got, 300);
}

int main(void)
{
    CASE(signals_are_exact);
    CASE(broadcast_thousand);
    CASE(ping_pong);
    CASE(timeouts);
    CASE(clockwait);
    CASE(invalid_time);
    CASE(timed_but_signalled);
    CASE(not_owner);
    CASE(recursive_mutex);
    CASE(destroy_after_broadcast);
    CASE(bounded_queue);
    CASE(timeout_races);
    return 0;
}
