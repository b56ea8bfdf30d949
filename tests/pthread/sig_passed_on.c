/* SPDX-License-Identifier: BSD-2-Clause */
/* Signals for the process while its main thread blocks and unblocks them: what comes while another
 * thread has them open is handled, though the main thread has come to block it. */
#include "proc.h"
#include <sched.h>

enum { ROUNDS = 150, EACH = 20 };

static int hits, done;
static sigset_t set;

static void counts(int sig)
{
    (void)sig;
    bump(&hits);
}

static void *open_thread(void *arg)
{
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    while (!__atomic_load_n(&done, __ATOMIC_SEQ_CST))
        pause_ms(1);
    return arg;
}

static int hits_now(void)
{
    return __atomic_load_n(&hits, __ATOMIC_SEQ_CST);
}

static pid_t sender(void)
{
    pid_t p = fork();

    if (p == 0) {
        for (int i = 0; i < EACH; i++)
            if (sigqueue(getppid(), SIGRTMIN, (union sigval){.sival_int = i}) != 0)
                _exit(1);
        _exit(0);
    }
    return p;
}

static void another_takes_it(void)
{
    pthread_t t;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGRTMIN, counts);
    t = go(open_thread, NULL);
    for (int i = 1; i <= ROUNDS; i++) {
        int from = hits_now();
        pid_t p = sender();

        while (hits_now() - from < EACH / 2) {
            pthread_sigmask(SIG_UNBLOCK, &set, NULL);
            pthread_sigmask(SIG_BLOCK, &set, NULL);
        }
        EQ(status_of(p), 0);
        await(&hits, i * EACH); /* with this thread closed */
    }
    bump(&done);
    reap(t);
    EQ(hits, ROUNDS * EACH);
}

int main(void)
{
    CASE(another_takes_it);
    return 0;
}
