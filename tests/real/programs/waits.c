/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that wait in ways of which a debugger should show which: for a mutex, in a read, asleep;
 * and one that spins.  Prints "ready" when they are made, and ends when its standard input does. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int pipe_ends[2];
static volatile int depth_seen;

static __attribute__((noinline)) void wants_lock(int depth)
{
    if (depth)
        wants_lock(depth - 1);
    else
        pthread_mutex_lock(&lock);
    depth_seen++;
}

static void *locker(void *arg)
{
    wants_lock(3);
    return arg;
}

static void *reader(void *arg)
{
    char c;
    ssize_t n = read(pipe_ends[0], &c, 1);
    return n < 0 ? NULL : arg;
}

static void *sleeper(void *arg)
{
    for (;;)
        sleep(1000);
    return arg;
}

static volatile unsigned long spun;

static void *spinner(void *arg)
{
    for (;;)
        spun++;
    return arg;
}

int main(void)
{
    pthread_t t;
    char c;

    pthread_mutex_lock(&lock);
    if (pipe(pipe_ends))
        return 1;
    pthread_create(&t, NULL, locker, NULL);
    pthread_create(&t, NULL, reader, NULL);
    pthread_create(&t, NULL, sleeper, NULL);
    pthread_create(&t, NULL, spinner, NULL);
    puts("ready");
    fflush(stdout);
    return read(0, &c, 1) == 0 ? 0 : 1;
}
