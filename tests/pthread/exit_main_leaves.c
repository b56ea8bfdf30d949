/* SPDX-License-Identifier: BSD-2-Clause */
/* pthread_exit in main: the others go on, main can be joined, its cleanup and keys run, and the
 * last one that ends lets the process exit with status 0 and atexit handlers. */
#include "tap.h"

static pthread_t main_thread;
static pthread_key_t key;
static int order;

static void at_exit(void)
{
    EQ(order, 4);
    printf("ok exit handlers run at the end of the last thread\n");
}

static void cleans(void *arg)
{
    (void)arg;
    EQ(order++, 0);
}

static void releases(void *arg)
{
    (void)arg;
    EQ(order++, 1);
}

static void *joins_main(void *arg)
{
    int *result = NULL;

    EQ(pthread_join(main_thread, (void **)&result), 0);
    CHECK(result == &order);
    EQ(order++, 2);
    printf("ok main joined\n");
    pause_ms(50);
    return arg;
}

static void *last(void *arg)
{
    reap(*(pthread_t *)arg);
    pause_ms(30);
    EQ(order++, 3);
    printf("ok last thread\n");
    return NULL;
}

int main(void)
{
    static pthread_t joiner;

    atexit(at_exit);
    pthread_key_create(&key, releases);
    pthread_setspecific(key, &key);
    main_thread = pthread_self();
    joiner = go(joins_main, NULL);
    go(last, &joiner);
    pause_ms(30);
    pthread_cleanup_push(cleans, NULL);
    pthread_exit(&order);
    pthread_cleanup_pop(0);
    return 1;
}
