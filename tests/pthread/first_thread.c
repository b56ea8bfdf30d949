/* SPDX-License-Identifier: BSD-2-Clause */
/* What the first thread set up before it made another one: cleanup handlers, cancel state and type,
 * keys, name, mask, a held mutex.  It ends by cancellation. */
#include "tap.h"
#include <signal.h>

static pthread_key_t key;
static int order;

static void cleans(void *v)
{
    printf("cleanup %s\n", (const char *)v);
    EQ(order++, 0);
}

static void cleans_more(void *v)
{
    printf("cleanup %s\n", (const char *)v);
    EQ(order++, 1);
}

static void key_dies(void *v)
{
    printf("key %s\n", (const char *)v);
    EQ(order++, 2);
}

static void last(void)
{
    printf("exit\n");
    EQ(order, 3);
}

static void *thread(void *arg)
{
    pause_ms(20);
    return arg;
}

static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static void *tries(void *arg)
{
    EQ(pthread_mutex_trylock(&recursive), EBUSY);
    return arg;
}

static void makes_threads(void)
{
    sigset_t s;
    char name[16];
    int old;

    reap(go(tries, NULL));
    EQ(pthread_mutex_lock(&recursive), 0);
    for (int i = 0; i < 3; i++)
        EQ(pthread_mutex_unlock(&recursive), 0);
    EQ(pthread_mutex_unlock(&recursive), EPERM);
    pthread_sigmask(SIG_SETMASK, NULL, &s);
    CHECK(sigismember(&s, SIGUSR1) && !sigismember(&s, SIGUSR2));
    EQ(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK(strcmp(name, "early") == 0);
    CHECK(strcmp((char *)pthread_getspecific(key), "k") == 0);
    EQ(pthread_cancel(pthread_self()), 0);
    pthread_testcancel();
    EQ(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old), 0);
    EQ(old, PTHREAD_CANCEL_ASYNCHRONOUS);
    EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old), 0);
    EQ(old, PTHREAD_CANCEL_DISABLE);
}

int main(void)
{
    sigset_t s;

    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    atexit(last);
    EQ(pthread_key_create(&key, key_dies), 0);
    pthread_setspecific(key, "k");
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    pthread_setname_np(pthread_self(), "early");
    EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
    EQ(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
    EQ(pthread_mutex_lock(&recursive), 0);
    EQ(pthread_mutex_lock(&recursive), 0);
    pthread_cleanup_push(cleans_more, (void *)(uintptr_t) "outer");
    pthread_cleanup_push(cleans, (void *)(uintptr_t) "inner");
    makes_threads();
    go(thread, NULL);
    pause_ms(10);
    pthread_testcancel();
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return 1;
}
