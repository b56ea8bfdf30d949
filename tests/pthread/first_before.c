/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the first thread has before it makes another stays its own, or is inherited, as POSIX says:
 * signals that are pending for it alone, those of the process, policy and niceness.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void show_pending(const char *who)
{
    sigset_t s;
    sigpending(&s);
    printf("%s: pending USR1 %d USR2 %d RTMIN %d RTMIN+1 %d\n", who, sigismember(&s, SIGUSR1),
           sigismember(&s, SIGUSR2), sigismember(&s, SIGRTMIN), sigismember(&s, SIGRTMIN + 1));
}

static void *thread(void *arg)
{
    struct sched_param sp;
    int policy;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    printf("thread: blocks USR1 %d\n", sigismember(&mask, SIGUSR1));
    show_pending("thread");
    pthread_getschedparam(pthread_self(), &policy, &sp);
    printf("thread: %s, priority %d, nice %d\n", policy == SCHED_BATCH ? "batch" : "other policy",
           sp.sched_priority, getpriority(PRIO_PROCESS, 0));
    return arg;
}

static void take(const sigset_t *set)
{
    static const struct timespec now = {0, 0};
    siginfo_t si;
    while (sigtimedwait(set, &si, &now) > 0)
        printf("main: took signal %d, value %d\n", si.si_signo,
               si.si_code == SI_QUEUE ? si.si_value.sival_int : 0);
}

static void send_queued(int sig, int value)
{
    union sigval v = {.sival_int = value};
    pthread_sigqueue(pthread_self(), sig, v);
}

static void one_process(const char *name)
{
    struct sched_param sp = {.sched_priority = 0};
    sigset_t set;
    pthread_t t;
    printf("-- %s\n", name);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR2);
    raise(SIGUSR2); /* pending twice: for the process, and for this thread */
    send_queued(SIGRTMIN, 1);
    send_queued(SIGRTMIN, 2);
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 3});
    pthread_setschedparam(pthread_self(), SCHED_BATCH, &sp);
    setpriority(PRIO_PROCESS, 0, 5);
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
    show_pending("main");
    take(&set);
    show_pending("main");
    fflush(stdout);
}

int main(void)
{
    one_process("first process");
    pid_t pid = fork();
    if (pid == 0) {
        one_process("its child");
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    return 0;
}
