/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A thread that is cancelled, and whose descriptor is closed after that, never sees the closed
 * descriptor: it had been cancelled before.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define ROUNDS 1000

static int fd[2];
static _Atomic int there, go;

static void *reads(void *arg)
{
    char c;
    (void)arg;
    there = 1;
    while (!go)
        ;
    return read(fd[0], &c, 1) < 0 ? (void *)1 : NULL;
}

int main(void)
{
    int cancelled = 0;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t t;
        void *r;
        if (pipe(fd) || pthread_create(&t, NULL, reads, NULL))
            return 1;
        while (!there)
            sched_yield();
        there = 0;
        go = 1;
        for (volatile int k = 0; k < i % 100; k++) /* it is before the call, or in it */
            ;
        pthread_cancel(t);
        close(fd[0]);
        pthread_join(t, &r);
        cancelled += r == PTHREAD_CANCELED;
        close(fd[1]);
        go = 0;
    }
    printf("%d of %d cancelled\n", cancelled, ROUNDS);
    return cancelled != ROUNDS;
}
