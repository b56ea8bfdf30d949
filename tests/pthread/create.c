/* SPDX-License-Identifier: BSD-2-Clause */
/* pthread_create and everything that ends or awaits a thread: results, detaching, every join,
 * pthread_exit, identity, creation from threads. */
#include "tap.h"

static void *echo(void *arg)
{
    return arg;
}

static void *doze(void *arg)
{
    pause_ms(60);
    return arg;
}

static void join_value(void)
{
    pthread_t t[100];
    int v[100];

    for (int i = 0; i < 100; i++)
        t[i] = go(echo, &v[i]);
    for (int i = 99; i >= 0; i--)
        CHECK(reap(t[i]) == &v[i]);
    EQ(pthread_join(go(echo, NULL), NULL), 0);
}

static pthread_t published;

static void *identity(void *arg)
{
    CHECK(!pthread_equal(pthread_self(), *(pthread_t *)arg));
    published = pthread_self();
    return NULL;
}

static void self_equal(void)
{
    pthread_t me = pthread_self(), t;

    CHECK(pthread_equal(me, pthread_self()));
    t = go(identity, &me);
    reap(t);
    CHECK(pthread_equal(published, t));
    CHECK(pthread_equal(me, pthread_self()));
}

static int deep_exit(int depth, void *result)
{
    if (depth > 0)
        return deep_exit(depth - 1, result) + depth;
    if (result)
        pthread_exit(result);
    return 0;
}

static void *leave(void *arg)
{
    deep_exit(20, arg);
    return NULL;
}

static void exit_value(void)
{
    int x;

    CHECK(reap(go(leave, &x)) == &x);
}

static void join_self(void)
{
    EQ(pthread_join(pthread_self(), NULL), EDEADLK);
}

static void tryjoin(void)
{
    int x;
    void *result = NULL;
    pthread_t t = go(doze, &x);

    EQ(pthread_tryjoin_np(t, &result), EBUSY);
    CHECK(result == NULL);
    while (pthread_tryjoin_np(t, &result) == EBUSY)
        pause_ms(5);
    CHECK(result == &x);
}

static void timedjoin(void)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 10);
    long begin = now_ms();
    int x;
    void *result = NULL;
    pthread_t t = go(doze, &x);

    EQ(pthread_timedjoin_np(t, &result, &when), ETIMEDOUT);
    CHECK(now_ms() - begin >= 9);
    when = after_ms(CLOCK_REALTIME, 20000);
    EQ(pthread_timedjoin_np(t, &result, &when), 0);
    CHECK(result == &x);
    t = go(doze, &x);
    when = after_ms(CLOCK_REALTIME, -1000);
    EQ(pthread_timedjoin_np(t, NULL, &when), ETIMEDOUT);
    EQ(pthread_timedjoin_np(t, &result, NULL), 0);
    CHECK(result == &x);
}

static void clockjoin(void)
{
    struct timespec when = after_ms(CLOCK_MONOTONIC, 10);
    int x;
    void *result = NULL;
    pthread_t t = go(doze, &x);

    EQ(pthread_clockjoin_np(t, &result, CLOCK_MONOTONIC, &when), ETIMEDOUT);
    EQ(pthread_clockjoin_np(t, &result, CLOCK_PROCESS_CPUTIME_ID, &when), EINVAL);
    when = after_ms(CLOCK_MONOTONIC, 20000);
    EQ(pthread_clockjoin_np(t, &result, CLOCK_MONOTONIC, &when), 0);
    CHECK(result == &x);
}

static int done;

static void *counts(void *arg)
{
    bump(&done);
    return arg;
}

static void *wait_for_done(void *arg)
{
    await(&done, *(int *)arg);
    return NULL;
}

static void detach(void)
{
    int want = 1;
    pthread_attr_t a;
    pthread_t t;

    done = 0;
    t = go(wait_for_done, &want);
    EQ(pthread_detach(t), 0);
    EQ(pthread_detach(t), EINVAL);
    EQ(pthread_join(t, NULL), EINVAL);
    bump(&done);
    done = 0;
    EQ(pthread_attr_init(&a), 0);
    EQ(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED), 0);
    for (int i = 0; i < 1000; i++)
        EQ(pthread_create(&t, &a, counts, NULL), 0);
    await(&done, 1000);
    EQ(pthread_attr_destroy(&a), 0);
}

static void *detaches_itself(void *arg)
{
    EQ(pthread_detach(pthread_self()), 0);
    bump(&done);
    return arg;
}

static void detach_self(void)
{
    done = 0;
    for (int i = 0; i < 300; i++)
        go(detaches_itself, NULL);
    await(&done, 300);
}

static void *joins_arg(void *arg)
{
    return reap(*(pthread_t *)arg);
}

static void join_from_another(void)
{
    int x;
    pthread_t t = go(doze, &x);

    CHECK(reap(go(joins_arg, &t)) == &x);
}

static void *grandchild_outlives(void *arg)
{
    *(pthread_t *)arg = go(doze, arg);
    return NULL;
}

static void creator_ends_first(void)
{
    pthread_t t;

    reap(go(grandchild_outlives, &t));
    CHECK(reap(t) == &t);
}

static void *tree(void *arg)
{
    long depth = (long)arg;
    pthread_t l, r;

    if (depth == 0)
        return (void *)1;
    l = go(tree, (void *)(depth - 1));
    r = go(tree, (void *)(depth - 1));
    return (void *)((long)reap(l) + (long)reap(r));
}

static void create_tree(void)
{
    EQ((long)reap(go(tree, (void *)9L)), 512);
}

static void one_by_one(void)
{
    for (long i = 0; i < 3000; i++)
        EQ((long)reap(go(echo, (void *)i)), i);
}

static void dead_but_joinable(void)
{
    pthread_t t[500];

    for (long i = 0; i < 500; i++)
        t[i] = go(echo, (void *)i);
    pause_ms(30);
    for (long i = 0; i < 500; i++)
        EQ((long)reap(t[i]), i);
}

int main(void)
{
    CASE(join_value);
    CASE(self_equal);
    CASE(exit_value);
    CASE(join_self);
    CASE(tryjoin);
    CASE(timedjoin);
    CASE(clockjoin);
    CASE(detach);
    CASE(detach_self);
    CASE(join_from_another);
    CASE(creator_ends_first);
    CASE(create_tree);
    CASE(one_by_one);
    CASE(dead_but_joinable);
    return 0;
}
