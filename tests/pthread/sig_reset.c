/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A timer's signal that comes just before its handler is taken away is the handler's: it never ends
 * the process.  The wait ends by itself about when the timer does; other threads keep the CPUs
 * busy, so that who takes the signal is late. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/time.h>

#define ROUNDS 300
#define BUSY   6

static atomic_bool stop;
static atomic_int came;

static void on_alarm(int sig)
{
    (void)sig;
    came++;
}

static void *busy(void *unused)
{
    while (!stop)
        for (volatile int i = 0; i < 1000; i++)
            ;
    return unused;
}

static void arm(long us)
{
    struct itimerval t = {.it_value = {.tv_usec = us}, .it_interval = {.tv_usec = us}};
    if (setitimer(ITIMER_REAL, &t, NULL) != 0)
        perror("setitimer");
}

int main(void)
{
    pthread_t t[BUSY];
    for (int i = 0; i < BUSY; i++)
        pthread_create(&t[i], NULL, busy, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        struct sigaction act = {.sa_handler = on_alarm};
        sigaction(SIGALRM, &act, NULL);
        arm(1000 + i % 7);
        if (poll(NULL, 0, 1) < 0 && errno != EINTR)
            perror("poll");
        arm(0);
        act.sa_handler = SIG_DFL;
        sigaction(SIGALRM, &act, NULL);
    }
    stop = true;
    for (int i = 0; i < BUSY; i++)
        pthread_join(t[i], NULL);
    puts(came ? "done" : "no alarm came");
    return 0;
}
