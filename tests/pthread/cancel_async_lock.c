/* SPDX-License-Identifier: BSD-2-Clause */
/* Asynchronous cancellation reaches a thread that waits for a mutex, or in a system call by number;
 * deferred cancellation does not, and a thread in front of it in the queue that goes away loses
 * nobody's turn. */
#include "tap.h"
#include <linux/futex.h>
#include <sys/syscall.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int started, cleaned;

static void clean(void *arg)
{
    (void)arg;
    bump(&cleaned);
}

static void *waits(void *arg)
{
    pthread_cleanup_push(clean, NULL);
    EQ(pthread_setcanceltype((int)(long)arg, NULL), 0);
    bump(&started);
    EQ(pthread_mutex_lock(&lock), 0);
    EQ(pthread_mutex_unlock(&lock), 0);
    EQ(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL), 0);
    pthread_cleanup_pop(0);
    return (void *)7;
}

static void in_the_queue(void)
{
    pthread_t a, d, last;

    for (int i = 0; i < 20; i++) {
        started = cleaned = 0;
        EQ(pthread_mutex_lock(&lock), 0);
        a = go(waits, (void *)(long)PTHREAD_CANCEL_ASYNCHRONOUS);
        await(&started, 1);
        d = go(waits, (void *)(long)PTHREAD_CANCEL_DEFERRED);
        last = go(waits, (void *)(long)PTHREAD_CANCEL_DEFERRED);
        await(&started, 3);
        if (i % 2)
            pause_ms(2); /* they sleep; else some are on their way */
        EQ(pthread_cancel(d), 0);
        EQ(pthread_cancel(a), 0);
        CHECK(reap(a) == PTHREAD_CANCELED);
        EQ(cleaned, 1);
        EQ(pthread_mutex_unlock(&lock), 0);
        EQ((long)reap(d), 7);
        EQ((long)reap(last), 7);
    }
}

static int word, fd[2];

static void futex(int op)
{
    syscall(SYS_futex, &word, op, op & FUTEX_WAKE ? 1 : 0, NULL, NULL, 0);
}

/* Deferred: the calls end by what they wait for, and the cancellation acts after them. */
static void *calls(void *arg)
{
    char c;

    EQ(pthread_setcanceltype((int)(long)arg >> 4, NULL), 0);
    bump(&started);
    switch ((long)arg & 15) {
    case 0:
        futex(FUTEX_WAIT_PRIVATE);
        break;
    case 1:
        futex(FUTEX_WAIT);
        break;
    default:
        EQ(syscall(SYS_read, fd[0], &c, 1), 1);
    }
    bump(&cleaned);
    pthread_testcancel();
    return NULL;
}

static void by_number(void)
{
    EQ(pipe(fd), 0);
    for (int i = 0; i < 6; i++) {
        int async = i % 2 ? PTHREAD_CANCEL_ASYNCHRONOUS : PTHREAD_CANCEL_DEFERRED;
        pthread_t t;

        started = cleaned = word = 0;
        t = go(calls, (void *)(long)(async << 4 | i / 2));
        await(&started, 1);
        pause_ms(5);
        EQ(pthread_cancel(t), 0);
        pause_ms(5);
        if (async == PTHREAD_CANCEL_DEFERRED) {
            EQ(cleaned, 0);
            word = 1;
            futex(FUTEX_WAKE_PRIVATE);
            futex(FUTEX_WAKE);
            EQ(write(fd[1], "x", i == 4), i == 4);
        }
        CHECK(reap(t) == PTHREAD_CANCELED);
        EQ(cleaned, async == PTHREAD_CANCEL_DEFERRED);
    }
}

int main(void)
{
    CASE(in_the_queue);
    CASE(by_number);
    return 0;
}
