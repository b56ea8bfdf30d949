/* SPDX-License-Identifier: BSD-2-Clause */
/* kill() takes a thread's id for its process: any thread that does not block the signal gets it. */
#include "tap.h"
#include <signal.h>

static int up, got, stop;
static pid_t tid;

static void count(int sig)
{
    (void)sig;
    bump(&got);
}

static void *parked(void *arg)
{
    tid = gettid();
    bump(&up);
    await(&stop, 1);
    return arg;
}

static void by_thread_id(void)
{
    sigset_t set;
    pthread_t t;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(signal(SIGUSR1, count) != SIG_ERR);
    EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    t = go(parked, NULL); /* blocks it as well */
    await(&up, 1);
    CHECK(tid != getpid());
    EQ(kill(tid, 0), 0);
    EQ(kill(tid, SIGUSR1), 0);
    EQ(got, 0);
    EQ(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    await(&got, 1);
    bump(&stop);
    reap(t);
}

int main(void)
{
    CASE(by_thread_id);
    return 0;
}
