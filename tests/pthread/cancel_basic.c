/* SPDX-License-Identifier: BSD-2-Clause */
/* Cancellation: deferred, in every kind of blocking call and before it; disabled; asynchronous;
 * handlers run, the mutex of a condition wait is held again, nothing is consumed. */
#include "net.h"
#include <poll.h>
#include <semaphore.h>

static int blocked, cleaned, fd[2];
static sem_t sem;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_t other;

static void in_sem(void)
{
    sem_wait(&sem);
}

static void in_read(void)
{
    char c;

    CHECK(read(fd[0], &c, 1) < 0);
}

static void in_accept(void)
{
    accept(fd[0], NULL, NULL);
}

static void in_sleep(void)
{
    sleep(20);
}

static void in_nanosleep(void)
{
    struct timespec t = {20, 0};

    nanosleep(&t, NULL);
}

static void in_poll(void)
{
    poll(NULL, 0, 20000);
}

static void in_join(void)
{
    pthread_join(other, NULL);
}

static void in_testcancel(void)
{
    for (;;) {
        pthread_testcancel();
        sched_yield();
    }
}

static void cleans(void *arg)
{
    bump((int *)arg);
}

static void *runs(void *arg)
{
    void (*call)(void) = *(void (**)(void))arg;

    pthread_cleanup_push(cleans, &cleaned);
    bump(&blocked);
    call();
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancelled(void (*call)(void))
{
    pthread_t t;

    blocked = cleaned = 0;
    t = go(runs, &call);
    await(&blocked, 1);
    pause_ms(20);
    EQ(pthread_cancel(t), 0);
    CHECK(reap(t) == PTHREAD_CANCELED);
    EQ(cleaned, 1);
}

static void in_blocking_calls(void)
{
    struct sockaddr_in at;

    sem_init(&sem, 0, 0);
    cancelled(in_sem);
    EQ(pipe(fd), 0);
    cancelled(in_read);
    close(fd[0]);
    close(fd[1]);
    fd[0] = listen_tcp(1, &at);
    cancelled(in_accept);
    close(fd[0]);
    cancelled(in_sleep);
    cancelled(in_nanosleep);
    cancelled(in_poll);
    cancelled(in_testcancel);
}

static void *dozes(void *arg)
{
    pause_ms(150);
    return arg;
}

static void joined_thread_stays(void)
{
    int x;

    other = go(dozes, &x);
    cancelled(in_join);
    CHECK(reap(other) == &x);
}

static void unlocks(void *arg)
{
    EQ(pthread_mutex_unlock((pthread_mutex_t *)arg), 0);
    cleaned++;
}

static pthread_mutex_t checked = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

static void *waits(void *arg)
{
    struct timespec far = after_ms(CLOCK_REALTIME, 60000);

    pthread_mutex_lock(&checked);
    pthread_cleanup_push(unlocks, &checked); /* fails unless this thread owns it again */
    bump(&blocked);
    if (arg)
        pthread_cond_timedwait(&cond, &checked, &far);
    else
        pthread_cond_wait(&cond, &checked);
    pthread_cleanup_pop(1);
    return NULL;
}

static void in_condition_wait(void)
{
    for (int i = 0; i < 4; i++) {
        pthread_t t;

        blocked = cleaned = 0;
        t = go(waits, i % 2 ? &cond : NULL);
        await(&blocked, 1);
        pause_ms(20);
        EQ(pthread_cancel(t), 0);
        CHECK(reap(t) == PTHREAD_CANCELED);
        EQ(cleaned, 1);
    }
}

static void *before_it_blocks(void *arg)
{
    await(&blocked, 1); /* sleeps, with cancellation disabled */
    EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
    sem_wait(&sem);
    return arg;
}

static void *disables_first(void *arg)
{
    int old = -1;

    EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old), 0);
    EQ(old, PTHREAD_CANCEL_ENABLE);
    bump(&cleaned);
    return before_it_blocks(arg);
}

static void pending_when_it_blocks(void)
{
    pthread_t t;
    int v;

    blocked = cleaned = 0;
    sem_init(&sem, 0, 1); /* it would not even block, but a pending cancel comes first */
    t = go(disables_first, NULL);
    await(&cleaned, 1);
    EQ(pthread_cancel(t), 0);
    bump(&blocked);
    CHECK(reap(t) == PTHREAD_CANCELED);
    sem_getvalue(&sem, &v);
    EQ(v, 1);
}

static void *stays_disabled(void *arg)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    bump(&blocked);
    pause_ms(50);
    pthread_testcancel();
    usleep(1000);
    return arg;
}

static void disabled(void)
{
    int x;
    pthread_t t;

    blocked = 0;
    t = go(stays_disabled, &x);
    await(&blocked, 1);
    EQ(pthread_cancel(t), 0);
    CHECK(reap(t) == &x);
}

static void *spins(void *arg)
{
    int old = -1;

    EQ(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old), 0);
    EQ(old, PTHREAD_CANCEL_DEFERRED);
    bump(&blocked);
    for (;;)
        __asm__ volatile("" ::: "memory");
    return arg;
}

static void asynchronous(void)
{
    for (int i = 0; i < 5; i++) {
        pthread_t t;

        blocked = 0;
        t = go(spins, NULL);
        await(&blocked, 1);
        EQ(pthread_cancel(t), 0);
        CHECK(reap(t) == PTHREAD_CANCELED);
    }
}

static void *waits_its_turn(void *arg)
{
    sem_wait(&sem);
    bump((int *)arg);
    return NULL;
}

static void posts_are_not_lost(void)
{
    pthread_t t[40];
    int woken = 0, gone = 0, v;

    sem_init(&sem, 0, 0);
    for (int i = 0; i < 40; i++)
        t[i] = go(waits_its_turn, &woken);
    pause_ms(30);
    for (int i = 0; i < 20; i++) {
        sem_post(&sem);
        EQ(pthread_cancel(t[2 * i]), 0);
    }
    pause_ms(50);
    EQ(sem_getvalue(&sem, &v), 0);
    EQ(__atomic_load_n(&woken, __ATOMIC_SEQ_CST) + v, 20);
    for (int i = 0; i < 40; i++)
        sem_post(&sem);
    for (int i = 0; i < 40; i++)
        gone += reap(t[i]) == PTHREAD_CANCELED;
    sem_getvalue(&sem, &v);
    EQ(woken + gone, 40);
    EQ(woken + v, 60);
}

static void *ends(void *arg)
{
    return arg;
}

static void of_finished_and_self(void)
{
    int x;
    pthread_t t = go(ends, &x);

    pause_ms(30);
    EQ(pthread_cancel(t), 0);
    CHECK(reap(t) == &x);
    EQ(pthread_setcancelstate(99, NULL), EINVAL);
    EQ(pthread_setcanceltype(99, NULL), EINVAL);
}

int main(void)
{
    CASE(in_blocking_calls);
    CASE(joined_thread_stays);
    CASE(in_condition_wait);
    CASE(pending_when_it_blocks);
    CASE(disabled);
    CASE(asynchronous);
    CASE(posts_are_not_lost);
    CASE(of_finished_and_self);
    return 0;
}
