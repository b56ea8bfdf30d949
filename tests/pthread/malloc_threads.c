/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocation by every kind of thread and at every moment of its life: blocks that others free,
 * destructors of thread-specific data, cancelled threads, threads that libc makes for itself. */
#include "tap.h"

#include <aio.h>
#include <fcntl.h>
#include <signal.h>
#include <threads.h>

static char *block(int n)
{
    char *p = malloc((size_t)n);

    CHECK(p);
    memset(p, n, (size_t)n);
    return p;
}

static void drop(char *p, int n)
{
    for (int i = 0; i < n; i++)
        CHECK(p[i] == (char)n);
    free(p);
}

/* ---- a ring: each frees what the one before it made ---- */

enum { RING = 8, ROUNDS = 3000 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *full;
    int n;
} box[RING];

static void put(int i, char *p, int n)
{
    pthread_mutex_lock(&box[i].lock);
    while (box[i].full)
        pthread_cond_wait(&box[i].changed, &box[i].lock);
    box[i].full = p;
    box[i].n = n;
    pthread_cond_broadcast(&box[i].changed);
    pthread_mutex_unlock(&box[i].lock);
}

static void take(int i)
{
    char *p;
    int n;

    pthread_mutex_lock(&box[i].lock);
    while (!box[i].full)
        pthread_cond_wait(&box[i].changed, &box[i].lock);
    p = box[i].full;
    n = box[i].n;
    box[i].full = NULL;
    pthread_cond_broadcast(&box[i].changed);
    pthread_mutex_unlock(&box[i].lock);
    drop(p, n);
}

static void *ring_body(void *arg)
{
    int i = (int)(intptr_t)arg;

    for (int r = 0; r < ROUNDS; r++) {
        int n = 1 + (r * 37 + i * 11) % 3000;
        put(i, block(n), n);
        take((i + RING - 1) % RING);
    }
    return NULL;
}

static void ring(void)
{
    pthread_t t[RING];

    for (int i = 0; i < RING; i++) {
        pthread_mutex_init(&box[i].lock, NULL);
        pthread_cond_init(&box[i].changed, NULL);
    }
    for (int i = 0; i < RING; i++)
        t[i] = go(ring_body, (void *)(intptr_t)i);
    for (int i = 0; i < RING; i++)
        reap(t[i]);
}

/* ---- many short threads: each makes a block that main frees ---- */

static void *makes_one(void *arg)
{
    int n = (int)(intptr_t)arg;

    drop(block(n + 1), n + 1);
    return block(n);
}

static void heirs(void)
{
    pthread_t t[50];

    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 50; i++)
            t[i] = go(makes_one, (void *)(intptr_t)(20 + i * 100));
        for (int i = 0; i < 50; i++)
            drop(reap(t[i]), 20 + i * 100);
    }
}

/* ---- destructors ---- */

static pthread_key_t key;
static tss_t tss;
static int destroyed;

static void destroys(void *p)
{
    drop(p, 40);
    drop(block(700), 700);
    if (__atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST) % 3 == 0)
        pthread_setspecific(key, block(40)); /* it is called again */
}

static void tss_destroys(void *p)
{
    drop(p, 50);
    free(strdup("in a destructor"));
}

static void *has_specific(void *arg)
{
    pthread_setspecific(key, block(40));
    tss_set(tss, block(50));
    return arg;
}

static void destructors(void)
{
    EQ(pthread_key_create(&key, destroys), 0);
    EQ(tss_create(&tss, tss_destroys), thrd_success);
    for (int i = 0; i < 100; i++)
        reap(go(has_specific, NULL));
    CHECK(destroyed >= 100);
}

/* ---- cancelled in the middle of allocating ---- */

static int allocating;

static void frees(void *p)
{
    free(*(void **)p);
    free(p);
}

static void *allocates_on(void *arg)
{
    void **p = calloc(1, sizeof *p);

    pthread_cleanup_push(frees, p);
    for (int i = 0;; i++) {
        *p = realloc(*p, 1 + (size_t)(i * 131) % 9000);
        CHECK(*p);
        if (i == 100)
            bump(&allocating);
        pthread_testcancel();
    }
    pthread_cleanup_pop(1);
    return arg;
}

static void cancelled(void)
{
    pthread_t t[10];

    for (int i = 0; i < 10; i++)
        t[i] = go(allocates_on, NULL);
    await(&allocating, 10);
    for (int i = 0; i < 10; i++)
        EQ(pthread_cancel(t[i]), 0);
    for (int i = 0; i < 10; i++)
        CHECK(reap(t[i]) == PTHREAD_CANCELED);
}

/* ---- threads that libc makes: they know nothing of us ---- */

static int expired;
static char *from_timer[20];

static void expires(union sigval v)
{
    int i = v.sival_int;

    drop(block(300 + i), 300 + i);
    from_timer[i] = block(100 + i);
    bump(&expired);
}

static void timer_threads(void)
{
    timer_t timer[20];
    struct itimerspec soon = {.it_value = {0, 1000000}};

    for (int i = 0; i < 20; i++) {
        struct sigevent e = {.sigev_notify = SIGEV_THREAD,
                             .sigev_value.sival_int = i,
                             .sigev_notify_function = expires};
        EQ(timer_create(CLOCK_MONOTONIC, &e, &timer[i]), 0);
        EQ(timer_settime(timer[i], 0, &soon, NULL), 0);
    }
    await(&expired, 20);
    for (int i = 0; i < 20; i++) {
        drop(from_timer[i], 100 + i);
        timer_delete(timer[i]);
    }
}

static void aio_threads(void)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    struct aiocb cb[8] = {0};
    const struct aiocb *one[1];

    for (int i = 0; i < 8; i++) {
        cb[i].aio_fildes = fd;
        cb[i].aio_buf = malloc(4096);
        cb[i].aio_nbytes = 4096;
        cb[i].aio_offset = i * 100;
        EQ(aio_read(&cb[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        one[0] = &cb[i];
        while (aio_error(&cb[i]) == EINPROGRESS)
            aio_suspend(one, 1, NULL);
        EQ(aio_return(&cb[i]), 4096);
        free((void *)(uintptr_t)cb[i].aio_buf);
    }
    close(fd);
}

int main(void)
{
    CASE(ring);
    CASE(heirs);
    CASE(destructors);
    CASE(cancelled);
    CASE(timer_threads);
    CASE(aio_threads);
    return 0;
}
