/* SPDX-License-Identifier: BSD-2-Clause */
/* Cleanup handlers: run last in first out by pthread_exit, by pop(1), not by pop(0) or return, on
 * the frame that pushed them, before the destructors of keys. */
#include "tap.h"

static char order[64];
static int length;

static void note(void *arg)
{
    order[length++] = *(const char *)arg;
}

static void check_order(const char *want)
{
    order[length] = 0;
    if (strcmp(order, want) != 0)
        fprintf(stderr, "order %s, want %s\n", order, want);
    CHECK(strcmp(order, want) == 0);
    length = 0;
}

static void *pops(void *arg)
{
    pthread_cleanup_push(note, (void *)"a");
    pthread_cleanup_push(note, (void *)"b");
    pthread_cleanup_pop(1);
    pthread_cleanup_pop(0);
    return arg;
}

static void pop_runs_or_not(void)
{
    reap(go(pops, NULL));
    check_order("b");
    pops(NULL);
    check_order("b");
}

static void inner(void)
{
    pthread_cleanup_push(note, (void *)"c");
    pthread_exit((void *)7L);
    pthread_cleanup_pop(0);
}

static void *leaves(void *arg)
{
    pthread_cleanup_push(note, (void *)"a");
    pthread_cleanup_push(note, (void *)"b");
    inner();
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return arg;
}

static void exit_runs_all(void)
{
    EQ((long)reap(go(leaves, NULL)), 7);
    check_order("cba");
}

static pthread_key_t key;

static void *with_key(void *arg)
{
    pthread_setspecific(key, "k");
    pthread_cleanup_push(note, (void *)"h");
    pthread_exit(arg);
    pthread_cleanup_pop(0);
    return NULL;
}

static void handlers_before_keys(void)
{
    pthread_key_create(&key, note);
    reap(go(with_key, NULL));
    check_order("hk");
    pthread_key_delete(key);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void unlock(void *arg)
{
    EQ(pthread_mutex_unlock((pthread_mutex_t *)arg), 0);
}

static void *holds_lock(void *arg)
{
    pthread_mutex_lock(&lock);
    pthread_cleanup_push(unlock, &lock);
    sched_yield();
    pthread_exit(arg);
    pthread_cleanup_pop(0);
    return NULL;
}

static void unlocks(void)
{
    pthread_t t[100];

    for (int i = 0; i < 100; i++)
        t[i] = go(holds_lock, NULL);
    for (int i = 0; i < 100; i++)
        reap(t[i]);
    EQ(pthread_mutex_trylock(&lock), 0);
    pthread_mutex_unlock(&lock);
}

static void reads_frame(void *arg)
{
    EQ(*(int *)arg, 4711);
    *(int *)arg = 0;
    length++;
}

static void *frame(void *arg)
{
    volatile int local = 4711;

    pthread_cleanup_push(reads_frame, (void *)(uintptr_t)&local);
    pthread_exit(arg);
    pthread_cleanup_pop(0);
    return NULL;
}

static void frame_still_there(void)
{
    length = 0;
    reap(go(frame, NULL));
    EQ(length, 1);
    length = 0;
}

int main(void)
{
    CASE(pop_runs_or_not);
    CASE(exit_runs_all);
    CASE(handlers_before_keys);
    CASE(unlocks);
    CASE(frame_still_there);
    return 0;
}
