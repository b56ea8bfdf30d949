/* SPDX-License-Identifier: BSD-2-Clause */
/* Cancellation and pthread_exit in C++: destructors run, catch (...) must throw on, and once
 * controls left by either can be used again. */
#include "tap.h"
#include <mutex>
#include <semaphore.h>

static int destroyed, caught, blocked;
static sem_t sem;

struct Guard {
    ~Guard()
    {
        bump(&destroyed);
    }
};

static void inner(bool exits)
{
    Guard g;

    bump(&blocked);
    if (exits)
        pthread_exit(reinterpret_cast<void *>(5L));
    sem_wait(&sem);
}

static void *leaves(void *arg)
{
    Guard g;

    try {
        inner(arg != nullptr);
    } catch (...) {
        bump(&caught);
        throw;
    }
    return nullptr;
}

static void destructors_on_cancel(void)
{
    for (int i = 0; i < 5; i++) {
        destroyed = caught = blocked = 0;
        pthread_t t = go(leaves, nullptr);
        await(&blocked, 1);
        pause_ms(20);
        EQ(pthread_cancel(t), 0);
        CHECK(reap(t) == PTHREAD_CANCELED);
        EQ(destroyed, 2);
        EQ(caught, 1);
    }
}

static void destructors_on_exit(void)
{
    destroyed = caught = 0;
    EQ(reinterpret_cast<long>(reap(go(leaves, &sem))), 5);
    EQ(destroyed, 2);
    EQ(caught, 1);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int begun, finished;

static void init()
{
    bump(&begun);
    if (begun == 1)
        sem_wait(&sem);
    bump(&finished);
}

static void *calls_once(void *arg)
{
    pthread_once(&once, init);
    return arg;
}

static void once_left_by_cancel(void)
{
    pthread_t t = go(calls_once, nullptr);

    await(&begun, 1);
    pause_ms(20);
    pthread_cancel(t);
    CHECK(reap(t) == PTHREAD_CANCELED);
    reap(go(calls_once, nullptr));
    EQ(begun, 2);
    EQ(finished, 1);
}

int main()
{
    sem_init(&sem, 0, 0);
    CASE(destructors_on_cancel);
    CASE(destructors_on_exit);
    CASE(once_left_by_cancel);
    return 0;
}
