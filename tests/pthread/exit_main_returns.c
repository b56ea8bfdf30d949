/* SPDX-License-Identifier: BSD-2-Clause */
/* main returns while other threads run, sleep, and are blocked: its value is the exit status,
 * exit handlers run, and streams are flushed. */
#include "tap.h"
#include <semaphore.h>

static sem_t never;

static void *busy(void *arg)
{
    for (;;)
        __asm__ volatile("" ::: "memory");
    return arg;
}

static void *blocked(void *arg)
{
    sem_wait(&never);
    return arg;
}

static void *asleep(void *arg)
{
    for (;;)
        sleep(100);
    return arg;
}

static void at_exit(void)
{
    pause_ms(20); /* others go on meanwhile */
    printf("exit handler\n");
}

int main(void)
{
    sem_init(&never, 0, 0);
    atexit(at_exit);
    for (int i = 0; i < 100; i++)
        go(i < 2 ? busy : i % 2 ? blocked : asleep, NULL);
    pause_ms(30);
    printf("not flushed by hand\n");
    return 3;
}
