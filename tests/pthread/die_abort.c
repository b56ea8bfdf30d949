/* SPDX-License-Identifier: BSD-2-Clause */
/* abort() in a thread while others are blocked and busy: the process dies of SIGABRT. */
#include "tap.h"

static void *busy(void *arg)
{
    for (;;)
        __asm__ volatile("" ::: "memory");
    return arg;
}

static void *aborts(void *arg)
{
    pause_ms(20);
    abort();
    return arg;
}

int main(void)
{
    printf("before\n");
    fflush(stdout);
    go(busy, NULL);
    reap(go(aborts, NULL));
    return 0;
}
