/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A signal that another process has sent is handled when a wait returns for what that process did
 * next: it ended, wrote to a pipe, posted a semaphore.  The kernel runs the handler on the way out
 * of the wait.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 100

static volatile sig_atomic_t usr, chld;

static void on_usr(int s)
{
    (void)s;
    usr++;
}

static void on_chld(int s)
{
    (void)s;
    chld++;
}

static void die(const char *what, int round)
{
    printf("%s: round %d: usr %d chld %d\n", what, round, (int)usr, (int)chld);
    exit(1);
}

static sem_t *sem;
static int to[2], from[2];

/* A child that sends, then does what the parent waits for. */
static pid_t sender(void)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    char c;
    while (read(to[0], &c, 1) == 1) {
        kill(getppid(), SIGUSR1);
        if (c == 'p' && write(from[1], &c, 1) != 1)
            _exit(2);
        if (c == 's')
            sem_post(sem);
        if (c == 'x')
            _exit(0);
    }
    _exit(3);
}

static void ask(char c)
{
    if (write(to[1], &c, 1) != 1)
        die("write", 0);
}

static void *rounds(void *arg)
{
    (void)arg;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        pid_t pid = sender();
        char c;
        usr = chld = 0;
        ask('p');
        while (read(from[0], &c, 1) < 0 && errno == EINTR)
            ;
        if (usr != 1)
            die("pipe", i);
        ask('s');
        while (sem_wait(sem) < 0 && errno == EINTR)
            ;
        if (usr != 2)
            die("sem", i);
        ask('x');
        int st;
        while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
            ;
        if (usr != 3 || chld != 1 || st)
            die("wait", i);
    }
    return NULL;
}

int main(void)
{
    sem = mmap(NULL, sizeof(*sem), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sem == MAP_FAILED || sem_init(sem, 1, 0) || pipe(to) || pipe(from))
        die("set up", 0);
    struct sigaction sa = {.sa_handler = on_usr};
    sigaction(SIGUSR1, &sa, NULL);
    sa.sa_handler = on_chld;
    sigaction(SIGCHLD, &sa, NULL);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    pthread_t t;
    pthread_sigmask(SIG_BLOCK, &set, &old);
    pthread_create(&t, NULL, rounds, NULL);
    pthread_join(t, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    rounds(NULL);
    puts("ok");
    return 0;
}
