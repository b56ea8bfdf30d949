/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signals of the process that were sent before its threads were let go: each has its handler run,
 * though one handler blocks what the others wait for, and the last thread that takes them ends at
 * once.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 6, ROUNDS = 100, SENT = 100, BUSY = 4 };

static pthread_mutex_t gate[THREADS];
static atomic_int handled;
static sem_t room; /* for signals on their way */

static void handler(int sig)
{
    (void)sig;
    handled++;
    sem_post(&room);
}

/* Takes the first `number` + 1 of the signals: the last one all. */
static void *body(void *number)
{
    sigset_t set;

    sigemptyset(&set);
    for (int i = 0; i <= (int)(long)number; i++)
        sigaddset(&set, SIGRTMIN + i);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    pthread_mutex_lock(&gate[(long)number]);
    pthread_mutex_unlock(&gate[(long)number]);
    return NULL;
}

/* How many of those sent were not handled. */
static int round_of(unsigned seed)
{
    pthread_t th[THREADS];

    handled = 0;
    sem_init(&room, 0, 5);
    for (long i = 0; i < THREADS; i++) {
        pthread_mutex_lock(&gate[i]);
        pthread_create(&th[i], NULL, body, (void *)i);
    }
    for (int i = 0; i < SENT; i++) {
        sem_wait(&room);
        kill(getpid(), SIGRTMIN + (int)((seed + (unsigned)i * 5) % THREADS));
    }
    for (int i = 0; i < THREADS; i++)
        pthread_mutex_unlock(&gate[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(th[i], NULL);
    return SENT - handled;
}

/* Who else hands signals on is slow, on a busy machine. */
static pid_t busy_process(void)
{
    pid_t p = fork();

    while (p == 0)
        ;
    return p;
}

int main(void)
{
    struct sigaction sa;
    sigset_t all;
    int lost = 0;
    pid_t busy[BUSY];

    memset(&sa, 0, sizeof sa);
    sa.sa_handler = handler;
    sigfillset(&sa.sa_mask);
    for (int i = 0; i < THREADS; i++) {
        sigaction(SIGRTMIN + i, &sa, NULL);
        pthread_mutex_init(&gate[i], NULL);
    }
    for (int i = 0; i < BUSY; i++)
        busy[i] = busy_process();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (unsigned r = 0; r < ROUNDS; r++)
        lost += round_of(r);
    for (int i = 0; i < BUSY; i++) {
        kill(busy[i], SIGKILL);
        waitpid(busy[i], NULL, 0);
    }
    printf("%d lost\n", lost);
    return lost != 0;
}
