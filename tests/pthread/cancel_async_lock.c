/* SPDX-License-Identifier: BSD-2-Clause */
/* Asynchronous cancellation reaches a thread that waits for a mutex; deferred cancellation does
 * not, and a thread in front of it in the queue that goes away loses nobody's turn. */
#include "tap.h"

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

int main(void)
{
    CASE(in_the_queue);
    return 0;
}
