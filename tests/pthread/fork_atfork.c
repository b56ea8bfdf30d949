/* SPDX-License-Identifier: BSD-2-Clause */
/* pthread_atfork: prepare in reverse order, parent and child in order, in the thread that forks,
 * and the usual lock-over-fork pattern. */
#include "proc.h"

static char order[32];
static int length;
static pthread_t who;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void note(char c)
{
    CHECK(pthread_equal(pthread_self(), who));
    order[length++] = c;
    order[length] = 0;
}

static void prepare1(void)
{
    note('a');
}
static void parent1(void)
{
    note('b');
}
static void child1(void)
{
    note('c');
}
static void prepare2(void)
{
    note('d');
}
static void parent2(void)
{
    note('e');
}
static void child2(void)
{
    note('f');
}

static int child(void)
{
    return strcmp(order, "dacf") == 0 ? 7 : 1;
}

static void *forks(void *arg)
{
    who = pthread_self();
    length = 0;
    EQ(in_child(child), 7);
    CHECK(strcmp(order, "dabe") == 0);
    return arg;
}

static void order_in_main(void)
{
    forks(NULL);
}

static void order_in_thread(void)
{
    for (int i = 0; i < 5; i++)
        reap(go(forks, NULL));
}

static void take(void)
{
    pthread_mutex_lock(&lock);
}
static void give(void)
{
    pthread_mutex_unlock(&lock);
}

static int stop;

static void *uses_lock(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&lock);
        usleep(200);
        pthread_mutex_unlock(&lock);
        sched_yield();
    }
    return arg;
}

static int child_locks(void)
{
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    return 8;
}

static void lock_over_fork(void)
{
    pthread_t t[4];

    who = pthread_self();
    EQ(pthread_atfork(take, give, give), 0);
    for (int i = 0; i < 4; i++)
        t[i] = go(uses_lock, NULL);
    for (int i = 0; i < 20; i++) {
        length = 0;
        EQ(in_child(child_locks), 8);
    }
    bump(&stop);
    for (int i = 0; i < 4; i++)
        reap(t[i]);
}

int main(void)
{
    EQ(pthread_atfork(prepare1, parent1, child1), 0);
    EQ(pthread_atfork(prepare2, parent2, child2), 0);
    CASE(order_in_main);
    CASE(order_in_thread);
    CASE(lock_over_fork);
    return 0;
}
