/* SPDX-License-Identifier: BSD-2-Clause */
/* errno and __thread variables stay with their thread through every way to block. */
#include "tap.h"
#include <semaphore.h>
#include <sys/socket.h>

enum { N = 50 };

static __thread int initialised = 42;
static __thread char zeroed[1000];
static __thread long mine __attribute__((aligned(64)));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static int gen, waiting;

static void block_on_cond(void)
{
    int mine_gen;

    pthread_mutex_lock(&lock);
    mine_gen = gen;
    if (++waiting == N) {
        waiting = 0;
        gen++;
        pthread_cond_broadcast(&cond);
    }
    while (gen == mine_gen)
        pthread_cond_wait(&cond, &lock);
    pthread_mutex_unlock(&lock);
}

static void block_on_sem(void)
{
    sem_wait(&sem);
    sched_yield();
    sem_post(&sem);
}

static void *keeps(void *arg)
{
    int *where = &errno;
    long me = (long)arg;

    EQ(initialised, 42);
    for (size_t i = 0; i < sizeof zeroed; i++)
        EQ(zeroed[i], 0);
    EQ((uintptr_t)&mine % 64, 0);
    initialised = (int)me;
    mine = me;
    zeroed[999] = (char)me;
    for (int round = 0; round < 30; round++) {
        errno = (int)me;
        block_on_cond();
        EQ(errno, me);
        pthread_barrier_wait(&barrier);
        EQ(errno, me);
        block_on_sem();
        EQ(errno, me);
        usleep(1);
        CHECK(&errno == where);
        EQ(initialised, me);
        EQ(mine, me);
        EQ(zeroed[999], (char)me);
    }
    return NULL;
}

static void kept_over_blocks(void)
{
    pthread_t t[N];

    sem_init(&sem, 0, 2);
    pthread_barrier_init(&barrier, NULL, N);
    for (long i = 0; i < N; i++)
        t[i] = go(keeps, (void *)(1000 + i));
    for (int i = 0; i < N; i++)
        reap(t[i]);
    EQ(initialised, 42);
    EQ(mine, 0);
}

static void *fresh(void *arg)
{
    EQ(initialised, 42);
    EQ(mine, 0);
    EQ(zeroed[17], 0);
    EQ(errno, 0);
    initialised = 1;
    mine = 2;
    zeroed[17] = 3;
    errno = 4;
    return arg;
}

static void fresh_in_each(void)
{
    for (int i = 0; i < 500; i++)
        reap(go(fresh, NULL));
}

static int sv[N][2];

static void *different_errors(void *arg)
{
    long i = (long)arg;
    char c;

    for (int round = 0; round < 40; round++) {
        EQ(read(sv[i][0], &c, 1), 1); /* blocks; the peer echoes */
        switch (i % 3) {
        case 0:
            FAILS(read(-1, &c, 1), EBADF);
            break;
        case 1:
            FAILS(recv(sv[i][0], &c, 1, MSG_DONTWAIT), EAGAIN);
            break;
        default:
            FAILS(access("/no/such/file", R_OK), ENOENT);
        }
        EQ(write(sv[i][0], &c, 1), 1);
    }
    return NULL;
}

static void *feeds(void *arg)
{
    long i = (long)arg;
    char c = 'x';

    for (int round = 0; round < 40; round++) {
        EQ(write(sv[i][1], &c, 1), 1);
        EQ(read(sv[i][1], &c, 1), 1);
    }
    return NULL;
}

static void errors_do_not_mix(void)
{
    pthread_t t[N], f[N];

    for (long i = 0; i < N; i++) {
        EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv[i]), 0);
        t[i] = go(different_errors, (void *)i);
        f[i] = go(feeds, (void *)i);
    }
    for (int i = 0; i < N; i++) {
        reap(t[i]);
        reap(f[i]);
        close(sv[i][0]);
        close(sv[i][1]);
    }
}

int main(void)
{
    CASE(kept_over_blocks);
    CASE(fresh_in_each);
    CASE(errors_do_not_mix);
    return 0;
}
