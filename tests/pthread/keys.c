/* SPDX-License-Identifier: BSD-2-Clause */
/* Thread-specific data: destructor order and rounds as glibc runs them, reuse, deletion, limits. */
#include "tap.h"
#include <limits.h>

static pthread_key_t key[5];
static char order[64];
static int length, rounds;

static void note(void *value)
{
    order[length++] = *(char *)value;
}

static void *sets_all(void *arg)
{
    static char name[] = "abcde";

    for (int i = 4; i >= 0; i--)
        EQ(pthread_setspecific(key[i], &name[i]), 0);
    for (int i = 0; i < 5; i++)
        CHECK(pthread_getspecific(key[i]) == &name[i]);
    return arg;
}

static void order_of_creation(void)
{
    length = 0;
    for (int i = 0; i < 5; i++)
        EQ(pthread_key_create(&key[i], note), 0);
    reap(go(sets_all, NULL));
    order[length] = 0;
    CHECK(strcmp(order, "abcde") == 0);
    for (int i = 0; i < 5; i++)
        EQ(pthread_key_delete(key[i]), 0);
}

static void again(void *value)
{
    CHECK(pthread_getspecific(key[0]) == NULL);
    rounds++;
    pthread_setspecific(key[0], value);
}

static void *sets_first(void *arg)
{
    pthread_setspecific(key[0], arg);
    return NULL;
}

static void four_rounds(void)
{
    int x;

    rounds = 0;
    EQ(pthread_key_create(&key[0], again), 0);
    reap(go(sets_first, &x));
    EQ(rounds, PTHREAD_DESTRUCTOR_ITERATIONS);
    pthread_key_delete(key[0]);
}

static void sets_earlier(void *value)
{
    static char late = 'L';

    note(value);
    if (*(char *)value == 'b')
        pthread_setspecific(key[0], &late);
}

static void *sets_second(void *arg)
{
    static char name = 'b';

    pthread_setspecific(key[1], &name);
    return arg;
}

static void earlier_key_next_round(void)
{
    length = 0;
    for (int i = 0; i < 2; i++)
        pthread_key_create(&key[i], sets_earlier);
    reap(go(sets_second, NULL));
    order[length] = 0;
    CHECK(strcmp(order, "bL") == 0);
    pthread_key_delete(key[0]);
    pthread_key_delete(key[1]);
}

static int released;

static void count_release(void *value)
{
    (void)value;
    bump(&released);
}

static pthread_key_t shared;

static void *many_own(void *arg)
{
    EQ((long)pthread_getspecific(shared), 0);
    pthread_setspecific(shared, arg);
    for (int i = 0; i < 20; i++) {
        sched_yield();
        CHECK(pthread_getspecific(shared) == arg);
    }
    return NULL;
}

static void each_its_own(void)
{
    pthread_t t[300];

    released = 0;
    pthread_key_create(&shared, count_release);
    for (long i = 0; i < 300; i++)
        t[i] = go(many_own, (void *)(i + 1));
    for (int i = 0; i < 300; i++)
        reap(t[i]);
    EQ(released, 300);
    CHECK(pthread_getspecific(shared) == NULL);
    pthread_key_delete(shared);
}

static int step;

static void *holds_deleted(void *arg)
{
    pthread_setspecific(shared, arg);
    bump(&step);
    await(&step, 2);
    return pthread_getspecific(shared);
}

static void deleted_key(void)
{
    pthread_key_t old;
    pthread_t t;
    int x;

    released = 0;
    pthread_key_create(&shared, count_release);
    old = shared;
    t = go(holds_deleted, &x);
    await(&step, 1);
    EQ(pthread_key_delete(shared), 0);
    EQ(pthread_key_create(&shared, count_release), 0);
    EQ(shared, old); /* the lowest free number, so the same one */
    bump(&step);
    CHECK(reap(t) == NULL); /* a value of the old tenant is not seen by the new one */
    EQ(released, 0);
    pthread_key_delete(shared);
}

static void limits(void)
{
    static pthread_key_t all[PTHREAD_KEYS_MAX + 1];
    int n = 0, err = 0;

    while (n <= PTHREAD_KEYS_MAX && (err = pthread_key_create(&all[n], NULL)) == 0)
        n++;
    EQ(err, EAGAIN);
    CHECK(n >= 900);
    for (int i = 0; i < n; i++)
        EQ(pthread_setspecific(all[i], &all[i]), 0);
    for (int i = 0; i < n; i++)
        CHECK(pthread_getspecific(all[i]) == &all[i]);
    for (int i = 0; i < n; i++)
        EQ(pthread_key_delete(all[i]), 0);
    EQ(pthread_key_delete(all[0]), EINVAL);
    EQ(pthread_setspecific(all[0], all), EINVAL);
    CHECK(pthread_getspecific(all[0]) == NULL);
    EQ(pthread_setspecific(1 << 20, all), EINVAL);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void blocks(void *value)
{
    pthread_mutex_lock(&lock);
    pause_ms(1);
    pthread_mutex_unlock(&lock);
    free(value);
    bump(&released);
}

static void *sets_heap(void *arg)
{
    pthread_setspecific(shared, malloc(100));
    return arg;
}

static void destructors_may_block(void)
{
    pthread_t t[50];

    released = 0;
    pthread_key_create(&shared, blocks);
    for (int i = 0; i < 50; i++)
        t[i] = go(sets_heap, NULL);
    for (int i = 0; i < 50; i++)
        reap(t[i]);
    EQ(released, 50);
    pthread_key_delete(shared);
}

/* More than the C library has room for in a thread's block: threads that end leave memory behind,
 * which those that come after must not be given, and which is freed as it was allocated. */
static void *sets_many(void *arg)
{
    pthread_key_t *k = (pthread_key_t *)arg;

    for (int i = 0; i < 300; i++) {
        CHECK(pthread_getspecific(k[i]) == NULL);
        EQ(pthread_setspecific(k[i], &k[i]), 0);
    }
    for (int i = 0; i < 300; i++)
        CHECK(pthread_getspecific(k[i]) == &k[i]);
    return NULL;
}

static void many_keys(void)
{
    static pthread_key_t k[300];
    pthread_t t[4];

    for (int i = 0; i < 300; i++)
        EQ(pthread_key_create(&k[i], NULL), 0);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 4; i++)
            t[i] = go(sets_many, k);
        for (int i = 0; i < 4; i++)
            reap(t[i]);
    }
    for (int i = 0; i < 300; i++)
        EQ(pthread_key_delete(k[i]), 0);
}

int main(void)
{
    CASE(order_of_creation);
    CASE(four_rounds);
    CASE(earlier_key_next_round);
    CASE(each_its_own);
    CASE(deleted_key);
    CASE(limits);
    CASE(many_keys);
    CASE(destructors_may_block);
    return 0;
}
