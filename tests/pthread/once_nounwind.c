/* SPDX-License-Identifier: BSD-2-Clause */
/* Built without unwind tables: cancellation and pthread_exit in the function of pthread_once cannot
 * unwind this program's frames, and still the control is free for the next caller. */
#include "tap.h"
#include <semaphore.h>

static pthread_once_t control = PTHREAD_ONCE_INIT;
static sem_t never;
static int entered, cleaned, ran;

static void waits(void)
{
    bump(&entered);
    sem_wait(&never);
}

static void leaves(void)
{
    pthread_exit((void *)5);
}

static void runs(void)
{
    ran++;
}

static void clean(void *arg)
{
    (void)arg;
    cleaned++;
}

static void *calls(void *arg)
{
    pthread_cleanup_push(clean, NULL);
    pthread_once(&control, (void (*)(void))(uintptr_t)arg);
    pthread_cleanup_pop(0);
    fprintf(stderr, "pthread_once returned\n");
    _exit(1);
}

static void cancelled(void)
{
    pthread_t t;

    EQ(sem_init(&never, 0, 0), 0);
    t = go(calls, (void *)(uintptr_t)waits);
    await(&entered, 1);
    EQ(pthread_cancel(t), 0);
    CHECK(reap(t) == PTHREAD_CANCELED);
    EQ(cleaned, 1);
}

static void left_by_exit(void)
{
    EQ((long)reap(go(calls, (void *)(uintptr_t)leaves)), 5);
    EQ(cleaned, 2);
    EQ(pthread_once(&control, runs), 0);
    EQ(pthread_once(&control, runs), 0);
    EQ(ran, 1);
}

int main(void)
{
    CASE(cancelled);
    CASE(left_by_exit);
    return 0;
}
