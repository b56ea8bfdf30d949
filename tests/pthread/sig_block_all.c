/* SPDX-License-Identifier: BSD-2-Clause */
/* What every thread blocks waits in the kernel, from the moment on that the last of them has
 * blocked it: a thread that has ended a moment ago, or that sleeps, lets nothing through, neither
 * the default action, which would end the process, nor a value that then comes too early. */
#include "tap.h"
#include <signal.h>

enum { ROUNDS = 400, VALUES = 8 };

static sigset_t set;

static void *ends(void *arg)
{
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return arg;
}

static void *ends_later(void *arg)
{
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    sched_yield();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sched_yield();
    return arg;
}

static void block(int how)
{
    EQ(pthread_sigmask(how, &set, NULL), 0);
}

static void only(int sig)
{
    sigemptyset(&set);
    sigaddset(&set, sig);
}

static void default_action(void)
{
    pthread_t t[4];

    only(SIGTERM);
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < 4; k++)
            t[k] = go(k % 2 ? ends : ends_later, NULL);
        for (int k = 0; k < 4; k++)
            reap(t[k]);
        block(SIG_BLOCK);
        EQ(kill(getpid(), SIGTERM), 0);
        EQ(sigwaitinfo(&set, NULL), SIGTERM);
        block(SIG_UNBLOCK);
    }
}

static volatile int values[VALUES], n;

static void notes(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)uc;
    values[n++] = si->si_value.sival_int;
}

static void in_order(void)
{
    struct sigaction sa = {.sa_sigaction = notes, .sa_flags = SA_SIGINFO};

    only(SIGRTMIN + 3);
    EQ(sigaction(SIGRTMIN + 3, &sa, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t t = go(ends, NULL);

        n = 0;
        reap(t);
        block(SIG_BLOCK);
        for (int k = 0; k < VALUES; k++)
            EQ(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = k}), 0);
        EQ(n, 0);
        block(SIG_UNBLOCK);
        EQ(n, VALUES);
        for (int k = 0; k < VALUES; k++)
            EQ(values[k], k);
    }
}

int main(void)
{
    CASE(default_action);
    CASE(in_order);
    return 0;
}
