/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread overflows its stack: the process dies of SIGSEGV, and what was written before stays. */
#include "tap.h"

static __attribute__((noinline)) int deep(volatile char *above)
{
    volatile char frame[1024];

    frame[0] = above ? above[0] : 1;
    return above == (char *)1 ? 0 : deep(frame) + frame[0];
}

static void *overflows(void *arg)
{
    return (void *)(long)deep((volatile char *)arg);
}

int main(void)
{
    printf("before\n");
    fflush(stdout);
    reap(go(overflows, NULL));
    printf("never reached\n");
    return 0;
}
