/* SPDX-License-Identifier: BSD-2-Clause */
/* Mutexes of every type: exclusion, try, timed and clock variants, static initialisers, and the
 * error that glibc gives for each wrong use. */
#include "tap.h"

static pthread_mutex_t normal = PTHREAD_MUTEX_INITIALIZER,
                       recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
                       errorcheck = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP,
                       adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;

static void init_type(pthread_mutex_t *m, int type)
{
    pthread_mutexattr_t a;
    int got;

    EQ(pthread_mutexattr_init(&a), 0);
    EQ(pthread_mutexattr_settype(&a, type), 0);
    EQ(pthread_mutexattr_gettype(&a, &got), 0);
    EQ(got, type);
    EQ(pthread_mutex_init(m, &a), 0);
    EQ(pthread_mutexattr_destroy(&a), 0);
}

/* The result of a call made by another thread. */
struct other {
    int (*call)(pthread_mutex_t *);
    pthread_mutex_t *m;
};

static void *other_body(void *arg)
{
    struct other *o = (struct other *)arg;

    return (void *)(long)o->call(o->m);
}

static int other(int (*call)(pthread_mutex_t *), pthread_mutex_t *m)
{
    struct other o = {call, m};

    return (int)(long)reap(go(other_body, &o));
}

static void use_normal(pthread_mutex_t *m)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 10);

    EQ(pthread_mutex_lock(m), 0);
    EQ(pthread_mutex_trylock(m), EBUSY);
    EQ(other(pthread_mutex_trylock, m), EBUSY);
    EQ(pthread_mutex_timedlock(m, &when), ETIMEDOUT);
    EQ(pthread_mutex_destroy(m), EBUSY);
    EQ(pthread_mutex_unlock(m), 0);
    EQ(pthread_mutex_trylock(m), 0);
    EQ(pthread_mutex_unlock(m), 0);
    EQ(pthread_mutex_destroy(m), 0);
}

static void type_normal(void)
{
    pthread_mutex_t m;

    use_normal(&normal);
    EQ(pthread_mutex_init(&m, NULL), 0);
    use_normal(&m);
    init_type(&m, PTHREAD_MUTEX_NORMAL);
    use_normal(&m);
}

static void type_adaptive(void)
{
    pthread_mutex_t m;

    use_normal(&adaptive);
    init_type(&m, PTHREAD_MUTEX_ADAPTIVE_NP);
    use_normal(&m);
}

static void use_recursive(pthread_mutex_t *m)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 10);

    for (int i = 0; i < 50; i++)
        EQ(pthread_mutex_lock(m), 0);
    EQ(pthread_mutex_trylock(m), 0);
    EQ(pthread_mutex_timedlock(m, &when), 0);
    EQ(other(pthread_mutex_trylock, m), EBUSY);
    EQ(other(pthread_mutex_unlock, m), EPERM);
    for (int i = 0; i < 51; i++)
        EQ(pthread_mutex_unlock(m), 0);
    EQ(other(pthread_mutex_trylock, m), EBUSY);
    EQ(pthread_mutex_unlock(m), 0);
    EQ(pthread_mutex_unlock(m), EPERM);
    EQ(pthread_mutex_trylock(m), 0);
    EQ(pthread_mutex_unlock(m), 0);
    EQ(pthread_mutex_destroy(m), 0);
}

static void type_recursive(void)
{
    pthread_mutex_t m;

    use_recursive(&recursive);
    init_type(&m, PTHREAD_MUTEX_RECURSIVE);
    use_recursive(&m);
}

static void use_errorcheck(pthread_mutex_t *m)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 10);

    EQ(pthread_mutex_unlock(m), EPERM);
    EQ(pthread_mutex_lock(m), 0);
    EQ(pthread_mutex_lock(m), EDEADLK);
    EQ(pthread_mutex_trylock(m), EBUSY);
    EQ(pthread_mutex_timedlock(m, &when), EDEADLK);
    EQ(pthread_mutex_clocklock(m, CLOCK_MONOTONIC, &when), EDEADLK);
    EQ(other(pthread_mutex_unlock, m), EPERM);
    EQ(other(pthread_mutex_trylock, m), EBUSY);
    EQ(pthread_mutex_destroy(m), EBUSY);
    EQ(pthread_mutex_unlock(m), 0);
    EQ(pthread_mutex_unlock(m), EPERM);
    EQ(pthread_mutex_destroy(m), 0);
}

static void type_errorcheck(void)
{
    pthread_mutex_t m;

    use_errorcheck(&errorcheck);
    init_type(&m, PTHREAD_MUTEX_ERRORCHECK);
    use_errorcheck(&m);
}

static int timed_past(pthread_mutex_t *m)
{
    struct timespec when = after_ms(CLOCK_REALTIME, -5000);

    return pthread_mutex_timedlock(m, &when);
}

static int timed_soon(pthread_mutex_t *m)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 30);
    long begin = now_ms();
    int err = pthread_mutex_timedlock(m, &when);

    CHECK(now_ms() - begin >= 29);
    return err;
}

static int clock_soon(pthread_mutex_t *m)
{
    struct timespec when = after_ms(CLOCK_MONOTONIC, 30);
    long begin = now_ms();
    int err = pthread_mutex_clocklock(m, CLOCK_MONOTONIC, &when);

    CHECK(now_ms() - begin >= 29);
    return err;
}

static int timed_invalid(pthread_mutex_t *m)
{
    struct timespec when = {0, 1000000000};

    when.tv_sec = time(NULL) + 100;
    return pthread_mutex_timedlock(m, &when);
}

static int clock_wrong(pthread_mutex_t *m)
{
    struct timespec when = after_ms(CLOCK_MONOTONIC, 30);

    return pthread_mutex_clocklock(m, CLOCK_PROCESS_CPUTIME_ID, &when);
}

static void timed(void)
{
    const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK,
                         PTHREAD_MUTEX_ADAPTIVE_NP};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        pthread_mutex_t m;

        init_type(&m, types[i]);
        EQ(timed_past(&m), 0); /* free: the time is not looked at */
        EQ(other(timed_past, &m), ETIMEDOUT);
        EQ(other(timed_soon, &m), ETIMEDOUT);
        EQ(other(clock_soon, &m), ETIMEDOUT);
        EQ(other(timed_invalid, &m), EINVAL);
        EQ(other(clock_wrong, &m), EINVAL);
        EQ(pthread_mutex_unlock(&m), 0);
        EQ(pthread_mutex_destroy(&m), 0);
    }
}

static pthread_mutex_t *held;

static void *lets_go(void *arg)
{
    pthread_mutex_lock(held);
    bump((int *)arg);
    pause_ms(50);
    pthread_mutex_unlock(held);
    return NULL;
}

static void timed_gets_it(void)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 20000);
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    int ready = 0;
    pthread_t t;

    held = &m;
    t = go(lets_go, &ready);
    await(&ready, 1);
    EQ(pthread_mutex_timedlock(&m, &when), 0);
    pthread_mutex_unlock(&m);
    reap(t);
    ready = 0;
    t = go(lets_go, &ready);
    await(&ready, 1);
    when = after_ms(CLOCK_MONOTONIC, 20000);
    EQ(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &when), 0);
    pthread_mutex_unlock(&m);
    reap(t);
}

struct tally {
    pthread_mutex_t m;
    long n;
    int inside;
    int how;
};

static void *counts(void *arg)
{
    struct tally *y = (struct tally *)arg;
    struct timespec far = after_ms(CLOCK_REALTIME, 60000);

    for (int i = 0; i < 1000; i++) {
        if (y->how == 1)
            while (pthread_mutex_trylock(&y->m) != 0)
                sched_yield();
        else if (y->how == 2)
            EQ(pthread_mutex_timedlock(&y->m, &far), 0);
        else
            EQ(pthread_mutex_lock(&y->m), 0);
        EQ(y->inside++, 0);
        if (i % 100 == 0)
            sched_yield();
        y->n++;
        y->inside--;
        EQ(pthread_mutex_unlock(&y->m), 0);
    }
    return NULL;
}

static void exclusion(void)
{
    const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK,
                         PTHREAD_MUTEX_ADAPTIVE_NP};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (int how = 0; how < 3; how++) {
            struct tally y = {.how = how};
            pthread_t t[32];

            init_type(&y.m, types[i]);
            for (int k = 0; k < 32; k++)
                t[k] = go(counts, &y);
            for (int k = 0; k < 32; k++)
                reap(t[k]);
            EQ(y.n, 32 * 1000);
            EQ(pthread_mutex_destroy(&y.m), 0);
        }
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static int passed;

static void *passes(void *arg)
{
    pthread_mutex_lock(&gate);
    passed++;
    pthread_mutex_unlock(&gate);
    return arg;
}

static void thousand_waiters(void)
{
    static pthread_t t[1000];

    pthread_mutex_lock(&gate);
    for (int i = 0; i < 1000; i++)
        t[i] = go(passes, NULL);
    pause_ms(50);
    EQ(passed, 0);
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < 1000; i++)
        reap(t[i]);
    EQ(passed, 1000);
}

/* One thread takes the lock again at once for ever; another one must still get it. */
static int got_in;

static void *hog(void *arg)
{
    while (!__atomic_load_n(&got_in, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&gate);
        for (volatile int i = 0; i < 2000; i++)
            ;
        pthread_mutex_unlock(&gate);
    }
    return arg;
}

static void *gets_in(void *arg)
{
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&gate);
        pthread_mutex_unlock(&gate);
    }
    bump(&got_in);
    return arg;
}

static void no_starvation(void)
{
    pthread_t h = go(hog, NULL), g = go(gets_in, NULL);

    reap(g);
    reap(h);
}

static void attributes(void)
{
    pthread_mutexattr_t a;
    int v;

    EQ(pthread_mutexattr_init(&a), 0);
    EQ(pthread_mutexattr_gettype(&a, &v), 0);
    EQ(v, PTHREAD_MUTEX_DEFAULT);
    EQ(pthread_mutexattr_settype(&a, 77), EINVAL);
    EQ(pthread_mutexattr_getpshared(&a, &v), 0);
    EQ(v, PTHREAD_PROCESS_PRIVATE);
    EQ(pthread_mutexattr_setpshared(&a, 77), EINVAL);
    EQ(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED), 0);
    EQ(pthread_mutexattr_getpshared(&a, &v), 0);
    EQ(v, PTHREAD_PROCESS_SHARED);
    EQ(pthread_mutexattr_setprotocol(&a, 77), EINVAL);
    EQ(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT), 0);
    EQ(pthread_mutexattr_getprotocol(&a, &v), 0);
    EQ(v, PTHREAD_PRIO_INHERIT);
    EQ(pthread_mutexattr_setrobust(&a, 77), EINVAL);
    EQ(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST), 0);
    EQ(pthread_mutexattr_getrobust(&a, &v), 0);
    EQ(v, PTHREAD_MUTEX_ROBUST);
    EQ(pthread_mutexattr_setprioceiling(&a, 7), 0);
    EQ(pthread_mutexattr_getprioceiling(&a, &v), 0);
    EQ(v, 7);
    EQ(pthread_mutexattr_destroy(&a), 0);
    EQ(pthread_mutex_getprioceiling(&gate, &v), EINVAL);
    EQ(pthread_mutex_setprioceiling(&gate, 7, &v), EINVAL);
    EQ(pthread_mutex_consistent(&gate), EINVAL);
}

int main(void)
{
    CASE(type_normal);
    CASE(type_adaptive);
    CASE(type_recursive);
    CASE(type_errorcheck);
    CASE(timed);
    CASE(timed_gets_it);
    CASE(exclusion);
    CASE(thousand_waiters);
    CASE(no_starvation);
    CASE(attributes);
    return 0;
}
