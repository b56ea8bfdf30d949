/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that end the process at the same time, each in its own way, while others work: it ends
 * once, with the status of one of them. */
#include "proc.h"

enum { THREADS = 9, CHILDREN = 40 };

static int gate;
static int way_out; /* 0..2: all by this call; 3: one by each */

static void *leaves(void *arg)
{
    long n = (long)arg;

    while (!__atomic_load_n(&gate, __ATOMIC_SEQ_CST))
        ;
    if (n == 0 && way_out != 1) /* one alone: two at once are undefined */
        exit(40);
    if (n == 1 && way_out != 0)
        quick_exit(41);
    if (n > 1 && way_out >= 2)
        _exit(42);
    return NULL;
}

static _Noreturn void works_on(FILE *f)
{
    for (;;) {
        char *p = (char *)malloc(1000);

        fprintf(f, "%p\n", (void *)p);
        free(p);
    }
}

static void *works(void *arg)
{
    works_on((FILE *)arg);
}

static int child(void)
{
    FILE *f = fopen("/dev/null", "w");

    alarm(20); /* it must end by itself */
    for (long i = 0; i < 2; i++)
        go(works, f);
    for (long i = 0; i < THREADS; i++)
        go(leaves, (void *)i);
    bump(&gate);
    while (pause())
        ;
    return 0;
}

static void all_at_once(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        int status;

        way_out = i % 4;
        status = in_child(child);
        CHECK(status >= 40 && status <= 42);
    }
}

static int ends;

static void counts_end(void)
{
    ends++;
}

static void *exits(void *arg)
{
    exit((int)(long)arg);
}

static int with_handler(void)
{
    atexit(counts_end);
    reap(go(exits, (void *)43L));
    return 0;
}

static void by_a_thread(void)
{
    for (int i = 0; i < 10; i++)
        EQ(in_child(with_handler), 43);
}

int main(void)
{
    CASE(all_at_once);
    CASE(by_a_thread);
    return 0;
}
