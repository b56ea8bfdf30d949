/* SPDX-License-Identifier: BSD-2-Clause */
/* C11 threads: thrd, mtx, cnd, tss, call_once. */
#include "tap.h"
#include <threads.h>

static thrd_t start(thrd_start_t body, void *arg)
{
    thrd_t t;

    EQ(thrd_create(&t, body, arg), thrd_success);
    return t;
}

static int result(thrd_t t)
{
    int r = -1;

    EQ(thrd_join(t, &r), thrd_success);
    return r;
}

static int gives(void *arg)
{
    return (int)(long)arg;
}

static int leaves(void *arg)
{
    thrd_exit((int)(long)arg + 1);
}

static void create_join(void)
{
    thrd_t t[100];

    for (long i = 0; i < 100; i++)
        t[i] = start(i % 2 ? gives : leaves, (void *)i);
    for (int i = 0; i < 100; i++)
        EQ(result(t[i]), i % 2 ? i : i + 1);
    CHECK(thrd_equal(thrd_current(), thrd_current()));
}

static int done;

static int counts_done(void *arg)
{
    (void)arg;
    bump(&done);
    return 0;
}

static void detach(void)
{
    for (int i = 0; i < 100; i++)
        EQ(thrd_detach(start(counts_done, NULL)), thrd_success);
    await(&done, 100);
}

static void sleeps(void)
{
    struct timespec d = {0, 20000000};
    long begin = now_ms();

    EQ(thrd_sleep(&d, NULL), 0);
    CHECK(now_ms() - begin >= 19);
    thrd_yield();
}

static mtx_t m;
static long n;

static int counts(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        EQ(mtx_lock(&m), thrd_success);
        n++;
        EQ(mtx_unlock(&m), thrd_success);
    }
    return 0;
}

static int tries(void *arg)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 20);

    EQ(mtx_trylock(&m), thrd_busy);
    if (arg)
        EQ(mtx_timedlock(&m, &when), thrd_timedout);
    return 0;
}

static void mutexes(void)
{
    const int types[] = {mtx_plain, mtx_timed, mtx_plain | mtx_recursive,
                         mtx_timed | mtx_recursive};

    for (int k = 0; k < 4; k++) {
        thrd_t t[16];

        n = 0;
        EQ(mtx_init(&m, types[k]), thrd_success);
        for (int i = 0; i < 16; i++)
            t[i] = start(counts, NULL);
        for (int i = 0; i < 16; i++)
            result(t[i]);
        EQ(n, 16000);
        EQ(mtx_lock(&m), thrd_success);
        if (types[k] & mtx_recursive)
            EQ(mtx_lock(&m), thrd_success);
        result(start(tries, types[k] & mtx_timed ? &m : NULL));
        if (types[k] & mtx_recursive)
            EQ(mtx_unlock(&m), thrd_success);
        EQ(mtx_unlock(&m), thrd_success);
        mtx_destroy(&m);
    }
}

static cnd_t c, back;
static int turn;

static int pong(void *arg)
{
    (void)arg;
    mtx_lock(&m);
    for (int i = 0; i < 2000; i++) {
        while (turn != 1)
            cnd_wait(&c, &m);
        turn = 0;
        cnd_signal(&back);
    }
    mtx_unlock(&m);
    return 0;
}

static int waits_turn(void *arg)
{
    mtx_lock(&m);
    while (turn == 0)
        cnd_wait(&c, &m);
    mtx_unlock(&m);
    return arg != NULL;
}

static void conditions(void)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 20);
    thrd_t t, many[100];

    EQ(mtx_init(&m, mtx_plain), thrd_success);
    EQ(cnd_init(&c), thrd_success);
    EQ(cnd_init(&back), thrd_success);
    mtx_lock(&m);
    EQ(cnd_timedwait(&c, &m, &when), thrd_timedout);
    t = start(pong, NULL);
    for (int i = 0; i < 2000; i++) {
        turn = 1;
        cnd_signal(&c);
        while (turn != 0)
            cnd_wait(&back, &m);
    }
    mtx_unlock(&m);
    result(t);
    for (int i = 0; i < 100; i++)
        many[i] = start(waits_turn, NULL);
    mtx_lock(&m);
    turn = 1;
    cnd_broadcast(&c);
    mtx_unlock(&m);
    for (int i = 0; i < 100; i++)
        result(many[i]);
    cnd_destroy(&c);
    cnd_destroy(&back);
    mtx_destroy(&m);
}

static tss_t key;
static int released;

static void release(void *value)
{
    free(value);
    bump(&released);
}

static int sets(void *arg)
{
    void *mine = malloc(10);

    CHECK(tss_get(key) == NULL);
    EQ(tss_set(key, mine), thrd_success);
    thrd_yield();
    CHECK(tss_get(key) == mine);
    return arg != NULL;
}

static void specific(void)
{
    thrd_t t[50];

    EQ(tss_create(&key, release), thrd_success);
    for (int i = 0; i < 50; i++)
        t[i] = start(sets, NULL);
    for (int i = 0; i < 50; i++)
        result(t[i]);
    EQ(released, 50);
    tss_delete(key);
}

static once_flag flag = ONCE_FLAG_INIT;
static int inits;

static void init_once(void)
{
    pause_ms(20);
    bump(&inits);
}

static int calls(void *arg)
{
    call_once(&flag, init_once);
    EQ(__atomic_load_n(&inits, __ATOMIC_SEQ_CST), 1);
    return arg != NULL;
}

static void once(void)
{
    thrd_t t[50];

    for (int i = 0; i < 50; i++)
        t[i] = start(calls, NULL);
    for (int i = 0; i < 50; i++)
        result(t[i]);
}

int main(void)
{
    CASE(create_join);
    CASE(detach);
    CASE(sleeps);
    CASE(mutexes);
    CASE(conditions);
    CASE(specific);
    CASE(once);
    return 0;
}
