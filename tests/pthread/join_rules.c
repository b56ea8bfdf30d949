/* SPDX-License-Identifier: BSD-2-Clause */
/* Joins that cannot be: oneself, what has been detached and is gone.  A circle that a cancellation
 * opens is none. */
#include "tap.h"
#include <threads.h>

static pthread_t first;
static int step;

static void *joins_first(void *arg)
{
    bump(&step);
    pthread_join(first, NULL);
    fprintf(stderr, "joined the first thread\n");
    _exit(1);
    return arg;
}

static void oneself(void)
{
    EQ(pthread_join(pthread_self(), NULL), EDEADLK);
}

static void each_other(void)
{
    pthread_t t;

    first = pthread_self();
    t = go(joins_first, NULL);
    await(&step, 1);
    pause_ms(50); /* it waits */
    EQ(pthread_cancel(t), 0);
    CHECK(reap(t) == PTHREAD_CANCELED); /* at once: it may not have noticed yet */
}

static int detaches_itself(void *arg)
{
    if (thrd_detach(thrd_current()) != thrd_success)
        _exit(1);
    bump(arg);
    thrd_exit(0);
}

static void gone(void)
{
    thrd_t t;
    int done = 0;

    EQ(thrd_create(&t, detaches_itself, &done), thrd_success);
    await(&done, 1);
    pause_ms(100); /* it is away */
    CHECK(thrd_join(t, NULL) != thrd_success);
}

int main(void)
{
    CASE(oneself);
    CASE(each_other);
    CASE(gone);
    return 0;
}
