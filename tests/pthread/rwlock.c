/* SPDX-License-Identifier: BSD-2-Clause */
/* Read-write locks: both preferences, try, timed and clock variants, errors, starvation. */
#include "tap.h"

typedef int (*lock_fn)(pthread_rwlock_t *);

struct other {
    lock_fn call;
    pthread_rwlock_t *l;
};

static void *other_body(void *arg)
{
    struct other *o = (struct other *)arg;
    int err = o->call(o->l);

    if (err == 0)
        EQ(pthread_rwlock_unlock(o->l), 0);
    return (void *)(long)err;
}

/* What another thread gets from the call; a lock that it gets it gives back. */
static int other(lock_fn call, pthread_rwlock_t *l)
{
    struct other o = {call, l};

    return (int)(long)reap(go(other_body, &o));
}

static void init(pthread_rwlock_t *l, int preference)
{
    pthread_rwlockattr_t a;
    int got;

    EQ(pthread_rwlockattr_init(&a), 0);
    EQ(pthread_rwlockattr_setkind_np(&a, preference), 0);
    EQ(pthread_rwlockattr_getkind_np(&a, &got), 0);
    EQ(got, preference);
    EQ(pthread_rwlock_init(l, &a), 0);
    EQ(pthread_rwlockattr_destroy(&a), 0);
}

static void use(pthread_rwlock_t *l)
{
    EQ(pthread_rwlock_rdlock(l), 0);
    EQ(pthread_rwlock_rdlock(l), 0);
    EQ(other(pthread_rwlock_tryrdlock, l), 0);
    EQ(other(pthread_rwlock_trywrlock, l), EBUSY);
    EQ(pthread_rwlock_unlock(l), 0);
    EQ(other(pthread_rwlock_trywrlock, l), EBUSY);
    EQ(pthread_rwlock_unlock(l), 0);
    EQ(other(pthread_rwlock_trywrlock, l), 0);
    EQ(pthread_rwlock_wrlock(l), 0);
    EQ(pthread_rwlock_wrlock(l), EDEADLK);
    EQ(pthread_rwlock_rdlock(l), EDEADLK);
    EQ(pthread_rwlock_trywrlock(l), EBUSY);
    EQ(pthread_rwlock_tryrdlock(l), EBUSY);
    EQ(other(pthread_rwlock_tryrdlock, l), EBUSY);
    EQ(other(pthread_rwlock_trywrlock, l), EBUSY);
    EQ(pthread_rwlock_unlock(l), 0);
    EQ(pthread_rwlock_trywrlock(l), 0);
    EQ(pthread_rwlock_unlock(l), 0);
}

static void basics(void)
{
    pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER,
                     w = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
    const int kinds[] = {PTHREAD_RWLOCK_PREFER_READER_NP, PTHREAD_RWLOCK_PREFER_WRITER_NP,
                         PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP};

    use(&l);
    use(&w);
    for (int i = 0; i < 3; i++) {
        init(&l, kinds[i]);
        use(&l);
        EQ(pthread_rwlock_destroy(&l), 0);
    }
}

static int rd_soon(pthread_rwlock_t *l)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 20);
    long begin = now_ms();
    int err = pthread_rwlock_timedrdlock(l, &when);

    CHECK(err != ETIMEDOUT || now_ms() - begin >= 19);
    return err;
}

static int wr_soon(pthread_rwlock_t *l)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 20);

    return pthread_rwlock_timedwrlock(l, &when);
}

static int clockrd_soon(pthread_rwlock_t *l)
{
    struct timespec when = after_ms(CLOCK_MONOTONIC, 20);

    return pthread_rwlock_clockrdlock(l, CLOCK_MONOTONIC, &when);
}

static int clockwr_soon(pthread_rwlock_t *l)
{
    struct timespec when = after_ms(CLOCK_MONOTONIC, 20);
    long begin = now_ms();
    int err = pthread_rwlock_clockwrlock(l, CLOCK_MONOTONIC, &when);

    CHECK(err != ETIMEDOUT || now_ms() - begin >= 19);
    return err;
}

static int rd_invalid(pthread_rwlock_t *l)
{
    struct timespec when = {0, 1000000000};

    return pthread_rwlock_timedrdlock(l, &when);
}

static int wr_invalid(pthread_rwlock_t *l)
{
    struct timespec when = {0, -5};

    return pthread_rwlock_timedwrlock(l, &when);
}

static int wr_wrong_clock(pthread_rwlock_t *l)
{
    struct timespec when = after_ms(CLOCK_MONOTONIC, 20);

    return pthread_rwlock_clockwrlock(l, CLOCK_THREAD_CPUTIME_ID, &when);
}

static void timed(void)
{
    pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;

    pthread_rwlock_rdlock(&l);
    EQ(other(rd_soon, &l), 0);
    EQ(other(clockrd_soon, &l), 0);
    EQ(other(wr_soon, &l), ETIMEDOUT);
    EQ(other(clockwr_soon, &l), ETIMEDOUT);
    EQ(other(rd_soon, &l), 0); /* the writer that gave up leaves no trace */
    pthread_rwlock_unlock(&l);
    pthread_rwlock_wrlock(&l);
    EQ(other(rd_soon, &l), ETIMEDOUT);
    EQ(other(clockrd_soon, &l), ETIMEDOUT);
    EQ(other(wr_soon, &l), ETIMEDOUT);
    EQ(other(clockwr_soon, &l), ETIMEDOUT);
    EQ(other(rd_invalid, &l), EINVAL);
    EQ(other(wr_invalid, &l), EINVAL);
    EQ(other(wr_wrong_clock, &l), EINVAL);
    EQ(rd_soon(&l), EDEADLK);
    EQ(wr_soon(&l), EDEADLK);
    pthread_rwlock_unlock(&l);
    EQ(other(wr_soon, &l), 0);
    EQ(other(clockwr_soon, &l), 0);
}

static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static int wrote;

static void *writes(void *arg)
{
    EQ(pthread_rwlock_wrlock((pthread_rwlock_t *)arg), 0);
    bump(&wrote);
    EQ(pthread_rwlock_unlock((pthread_rwlock_t *)arg), 0);
    return NULL;
}

static void readers_first(void)
{
    pthread_t t;

    wrote = 0;
    init(&shared, PTHREAD_RWLOCK_PREFER_READER_NP);
    pthread_rwlock_rdlock(&shared);
    t = go(writes, &shared);
    pause_ms(50);
    EQ(wrote, 0);
    EQ(other(pthread_rwlock_tryrdlock, &shared), 0);
    EQ(pthread_rwlock_rdlock(&shared), 0);
    EQ(pthread_rwlock_unlock(&shared), 0);
    EQ(pthread_rwlock_unlock(&shared), 0);
    reap(t);
    EQ(wrote, 1);
}

static void writer_first(void)
{
    pthread_t t;

    wrote = 0;
    init(&shared, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_rdlock(&shared);
    t = go(writes, &shared);
    while (other(pthread_rwlock_tryrdlock, &shared) == 0)
        pause_ms(2);
    EQ(other(rd_soon, &shared), ETIMEDOUT);
    EQ(wrote, 0);
    EQ(pthread_rwlock_unlock(&shared), 0);
    reap(t);
    EQ(wrote, 1);
    EQ(other(pthread_rwlock_tryrdlock, &shared), 0);
}

static int stop;

static void *reads_always(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        pthread_rwlock_rdlock(&shared);
        pause_ms(2);
        pthread_rwlock_unlock(&shared);
    }
    return arg;
}

static void writer_not_starved(void)
{
    pthread_t r[16];

    wrote = 0;
    init(&shared, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    for (int i = 0; i < 16; i++) {
        r[i] = go(reads_always, NULL);
        pause_ms(1); /* out of step, so that some reader always holds it */
    }
    for (int i = 0; i < 20; i++)
        writes(&shared);
    EQ(wrote, 20);
    bump(&stop);
    for (int i = 0; i < 16; i++)
        reap(r[i]);
}

static long first, second;

static void *mixes(void *arg)
{
    unsigned r = (unsigned)(long)arg;

    for (int i = 0; i < 500; i++) {
        r = r * 1103515245 + 12345;
        if (r >> 16 & 7) {
            EQ(pthread_rwlock_rdlock(&shared), 0);
            long seen = first;

            if (r >> 20 & 1)
                sched_yield();
            EQ(second, seen);
        } else {
            EQ(pthread_rwlock_wrlock(&shared), 0);
            first++;
            if (r >> 20 & 1)
                sched_yield();
            second++;
        }
        EQ(pthread_rwlock_unlock(&shared), 0);
    }
    return NULL;
}

static void readers_see_whole_writes(void)
{
    const int kinds[] = {PTHREAD_RWLOCK_PREFER_READER_NP,
                         PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP};

    for (int k = 0; k < 2; k++) {
        pthread_t t[40];

        first = second = 0;
        init(&shared, kinds[k]);
        for (long i = 0; i < 40; i++)
            t[i] = go(mixes, (void *)(i + 1));
        for (int i = 0; i < 40; i++)
            reap(t[i]);
        CHECK(first > 0 && first == second);
        EQ(pthread_rwlock_destroy(&shared), 0);
    }
}

static int inside;

static void *reads_together(void *arg)
{
    pthread_rwlock_rdlock(&shared);
    bump(&inside);
    await(&inside, 200);
    pthread_rwlock_unlock(&shared);
    return arg;
}

static void many_readers_at_once(void)
{
    pthread_t t[200];

    init(&shared, PTHREAD_RWLOCK_PREFER_READER_NP);
    pthread_rwlock_wrlock(&shared);
    for (int i = 0; i < 200; i++)
        t[i] = go(reads_together, NULL);
    pause_ms(20);
    EQ(inside, 0);
    pthread_rwlock_unlock(&shared);
    for (int i = 0; i < 200; i++)
        reap(t[i]);
}

int main(void)
{
    CASE(basics);
    CASE(timed);
    CASE(readers_first);
    CASE(writer_first);
    CASE(writer_not_starved);
    CASE(readers_see_whole_writes);
    CASE(many_readers_at_once);
    return 0;
}
