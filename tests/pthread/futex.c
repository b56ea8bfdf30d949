/* SPDX-License-Identifier: BSD-2-Clause */
/* The futex system call used directly: wait, wake, bit sets, requeue, time limits, errors; a lock
 * built on it. */
#include "tap.h"
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

static long futex(int *word, int op, int val, const struct timespec *t, int *word2, int val3)
{
    return syscall(SYS_futex, word, op, val, t, word2, val3);
}

static int word, other, waiting, woken;

static void *waits(void *arg)
{
    bump(&waiting);
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0)
        futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    bump(&woken);
    return arg;
}

static void wait_wake(void)
{
    pthread_t t[50];

    for (int i = 0; i < 50; i++)
        t[i] = go(waits, NULL);
    await(&waiting, 50);
    pause_ms(20);
    EQ(futex(&other, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 0);
    bump(&word);
    EQ(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 50);
    for (int i = 0; i < 50; i++)
        reap(t[i]);
    EQ(woken, 50);
}

static void value_differs(void)
{
    word = 5;
    FAILS(futex(&word, FUTEX_WAIT_PRIVATE, 4, NULL, NULL, 0), EAGAIN);
    FAILS(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN);
}

static void time_limits(void)
{
    struct timespec rel = {0, 30000000}, when, bad = {0, 1000000000};
    long begin = now_ms();

    word = 0;
    FAILS(futex(&word, FUTEX_WAIT_PRIVATE, 0, &rel, NULL, 0), ETIMEDOUT);
    CHECK(now_ms() - begin >= 29);
    FAILS(futex(&word, FUTEX_WAIT, 0, &rel, NULL, 0), ETIMEDOUT);
    begin = now_ms();
    when = after_ms(CLOCK_MONOTONIC, 30);
    FAILS(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &when, NULL, -1), ETIMEDOUT);
    CHECK(now_ms() - begin >= 29);
    when = after_ms(CLOCK_REALTIME, 30);
    FAILS(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &when, NULL, -1),
          ETIMEDOUT);
    when = after_ms(CLOCK_MONOTONIC, -30);
    FAILS(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &when, NULL, -1), ETIMEDOUT);
    FAILS(futex(&word, FUTEX_WAIT_PRIVATE, 0, &bad, NULL, 0), EINVAL);
    FAILS(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0), EINVAL);
}

static void *waits_bit(void *arg)
{
    bump(&waiting);
    EQ(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (int)(long)arg), 0);
    bump(&woken);
    return NULL;
}

static void bit_sets(void)
{
    pthread_t t[4];

    word = waiting = woken = 0;
    for (long i = 0; i < 4; i++)
        t[i] = go(waits_bit, (void *)(1L << i));
    await(&waiting, 4);
    pause_ms(50);
    EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 5), 2);
    reap(t[0]);
    reap(t[2]);
    EQ(woken, 2);
    EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 16), 0);
    EQ(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 2);
    reap(t[1]);
    reap(t[3]);
}

static void requeue(void)
{
    pthread_t t[10];

    word = other = waiting = woken = 0;
    for (int i = 0; i < 10; i++)
        t[i] = go(waits_bit, (void *)-1L);
    await(&waiting, 10);
    pause_ms(50);
    FAILS(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (struct timespec *)100L, &other, 7), EAGAIN);
    EQ(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (struct timespec *)4L, &other, 0), 5);
    await(&woken, 1);
    EQ(futex(&other, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 4);
    await(&woken, 5);
    EQ(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 5);
    for (int i = 0; i < 10; i++)
        reap(t[i]);
}

static void wake_op(void)
{
    pthread_t t;

    word = other = waiting = woken = 0;
    t = go(waits_bit, (void *)-1L);
    await(&waiting, 1);
    pause_ms(50);
    EQ(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (struct timespec *)1L, &other,
             FUTEX_OP(FUTEX_OP_SET, 9, FUTEX_OP_CMP_EQ, 0)),
       1);
    EQ(other, 9);
    reap(t);
}

/* The plain three-state lock. */
static int lock_word;
static long n;

static void take(void)
{
    int c = 0;

    if (__atomic_compare_exchange_n(&lock_word, &c, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(&lock_word, 2, __ATOMIC_ACQUIRE) != 0)
        futex(&lock_word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void give(void)
{
    if (__atomic_exchange_n(&lock_word, 0, __ATOMIC_RELEASE) == 2)
        futex(&lock_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *counts(void *arg)
{
    for (int i = 0; i < 500; i++) {
        take();
        n++;
        if (i % 50 == 0)
            sched_yield();
        give();
    }
    return arg;
}

static void own_lock(void)
{
    pthread_t t[40];

    for (int i = 0; i < 40; i++)
        t[i] = go(counts, NULL);
    for (int i = 0; i < 40; i++)
        reap(t[i]);
    EQ(n, 40 * 500);
}

int main(void)
{
    CASE(wait_wake);
    CASE(value_differs);
    CASE(time_limits);
    CASE(bit_sets);
    CASE(requeue);
    CASE(wake_op);
    CASE(own_lock);
    return 0;
}
