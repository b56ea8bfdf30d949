/* SPDX-License-Identifier: BSD-2-Clause */
/* Barriers: one serial thread a round, reuse, destruction right after the last wait. */
#include "tap.h"
#include <sys/mman.h>

enum { N = 50, ROUNDS = 200 };

static pthread_barrier_t b;
static int serial[ROUNDS], arrived[ROUNDS];

static void *rounds(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        int r;

        bump(&arrived[i]);
        r = pthread_barrier_wait(&b);
        EQ(__atomic_load_n(&arrived[i], __ATOMIC_SEQ_CST), N);
        if (r == PTHREAD_BARRIER_SERIAL_THREAD)
            bump(&serial[i]);
        else
            EQ(r, 0);
    }
    return arg;
}

static void one_serial_thread(void)
{
    pthread_t t[N];

    EQ(pthread_barrier_init(&b, NULL, N), 0);
    for (int i = 0; i < N; i++)
        t[i] = go(rounds, NULL);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    for (int i = 0; i < ROUNDS; i++)
        EQ(serial[i], 1);
    EQ(pthread_barrier_destroy(&b), 0);
}

static void of_one(void)
{
    EQ(pthread_barrier_init(&b, NULL, 1), 0);
    for (int i = 0; i < 10; i++)
        EQ(pthread_barrier_wait(&b), PTHREAD_BARRIER_SERIAL_THREAD);
    EQ(pthread_barrier_destroy(&b), 0);
}

static void arguments(void)
{
    pthread_barrierattr_t a;
    int v;

    EQ(pthread_barrier_init(&b, NULL, 0), EINVAL);
    EQ(pthread_barrierattr_init(&a), 0);
    EQ(pthread_barrierattr_getpshared(&a, &v), 0);
    EQ(v, PTHREAD_PROCESS_PRIVATE);
    EQ(pthread_barrierattr_setpshared(&a, 77), EINVAL);
    EQ(pthread_barrierattr_setpshared(&a, PTHREAD_PROCESS_SHARED), 0);
    EQ(pthread_barrierattr_destroy(&a), 0);
}

/* Whoever is the serial thread destroys the barrier and unmaps its page at once. */
static void *destroys(void *arg)
{
    pthread_barrier_t *page = (pthread_barrier_t *)arg;

    if (pthread_barrier_wait(page) == PTHREAD_BARRIER_SERIAL_THREAD) {
        EQ(pthread_barrier_destroy(page), 0);
        EQ(munmap(page, 4096), 0);
    }
    return NULL;
}

static void destroyed_by_serial(void)
{
    for (int round = 0; round < 100; round++) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pthread_t t[8];

        EQ(pthread_barrier_init((pthread_barrier_t *)page, NULL, 8), 0);
        for (int i = 0; i < 8; i++)
            t[i] = go(destroys, page);
        for (int i = 0; i < 8; i++)
            reap(t[i]);
    }
}

int main(void)
{
    CASE(one_serial_thread);
    CASE(of_one);
    CASE(arguments);
    CASE(destroyed_by_serial);
    return 0;
}
