/* SPDX-License-Identifier: BSD-2-Clause */
/* A child that shares the memory, but neither descriptors nor signal actions: what it closes stays
 * open for its parent, who waits there, and the actions that it sets are its own. */
#include "proc.h"
#include <sched.h>
#include <signal.h>

static int to_reader[2], handled;

static void on_usr1(int sig)
{
    (void)sig;
    handled++;
}

static void *reads(void *arg)
{
    char c = '-';
    ssize_t n = read(to_reader[0], &c, 1);

    return n == 1 ? (void *)(long)c : arg;
}

static int child(void *arg)
{
    (void)arg;
    close(to_reader[0]);
    close(to_reader[1]);
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    return signal(SIGUSR1, SIG_DFL) == SIG_IGN ? 6 : 1;
}

int main(void)
{
    static char stack[64 << 10] __attribute__((aligned(16)));
    int status = 0;
    pthread_t t;
    pid_t pid;

    EQ(pipe(to_reader), 0);
    CHECK(signal(SIGUSR1, on_usr1) != SIG_ERR);
    t = go(reads, NULL);
    usleep(50000); /* it waits */
    pid = clone(child, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
    CHECK(pid > 0);
    EQ(waitpid(pid, &status, 0), pid);
    EQ(WEXITSTATUS(status), 6);
    EQ(raise(SIGUSR1), 0);
    EQ(handled, 1);
    EQ(write(to_reader[1], "r", 1), 1);
    EQ((long)reap(t), 'r');
    puts("ok");
    return 0;
}
