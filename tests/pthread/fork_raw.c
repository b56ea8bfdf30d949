/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes made without fork(): clone() with and without shared memory, the raw system calls,
 * forkpty, vfork within vfork; each beside running threads and with threads in the child. */
#include "proc.h"
#include <linux/sched.h>
#include <pty.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/syscall.h>

enum { STACK = 256 * 1024 };

static int value;

static void *doubles(void *arg)
{
    pause_ms(1);
    return (void *)(2 * (long)arg);
}

/* What any child with memory of its own can do. */
static int lives(void)
{
    pthread_t t[10];
    struct timespec when = after_ms(CLOCK_REALTIME, 10);
    sem_t sem;

    value++;
    sem_init(&sem, 0, 0);
    FAILS(sem_timedwait(&sem, &when), ETIMEDOUT);
    for (long i = 0; i < 10; i++)
        t[i] = go(doubles, (void *)i);
    for (long i = 0; i < 10; i++)
        EQ((long)reap(t[i]), 2 * i);
    EQ(WEXITSTATUS(system("exit 3")), 3);
    EQ(in_child((int (*)(void))(uintptr_t)getpid) & 0, 0);
    return 31;
}

static pid_t raw(long nr, int flags)
{
    struct clone_args a;

    memset(&a, 0, sizeof a);
    a.flags = (unsigned)flags;
    a.exit_signal = SIGCHLD;
    return (pid_t)(nr == SYS_fork    ? syscall(SYS_fork)
                   : nr == SYS_clone ? syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0)
                                     : syscall(SYS_clone3, &a, sizeof a));
}

static void *by_system_call(void *arg)
{
    const long nr[] = {SYS_fork, SYS_clone, SYS_clone3};

    for (int i = 0; i < 3; i++) {
        pid_t p = raw(nr[i], 0);

        if (p == 0)
            _exit(lives());
        EQ(status_of(p), 31);
    }
    EQ(value, 0);
    return arg;
}

static int runs_lives(void *arg)
{
    CHECK(*(int *)arg == 7);
    return lives();
}

static void *by_clone(void *arg)
{
    char *stack = (char *)malloc(STACK);
    int seven = 7;

    EQ(status_of(clone(runs_lives, stack + STACK, SIGCHLD, &seven)), 31);
    EQ(value, 0);
    free(stack);
    return arg;
}

static int execs(void *arg)
{
    close(300); /* must touch no table of the parent's */
    execl("/bin/sh", "sh", "-c", (char *)arg, (char *)NULL);
    return 99;
}

static void *by_clone_vfork(void *arg)
{
    char *stack = (char *)malloc(STACK);

    EQ(status_of(clone(execs, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD,
                       (void *)(uintptr_t) "exit 32")),
       32);
    free(stack);
    return arg;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int round_;

/* A task that shares our memory: it uses the objects together with the threads. */
static int task(void *arg)
{
    for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&lock);
        while (round_ % 2 == 0)
            pthread_cond_wait(&cond, &lock);
        round_++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&lock);
    }
    errno = 5;
    EQ(close(-1), -1);
    EQ(errno, EBADF);
    usleep(100);
    EQ(sem_post((sem_t *)arg), 0);
    return 33;
}

static void *by_clone_task(void *arg)
{
    for (int k = 0; k < 3; k++) {
        char *stack = (char *)malloc(STACK);
        sem_t sem;
        pid_t p;

        round_ = 0;
        sem_init(&sem, 0, 0);
        errno = 77;
        p = clone(task, stack + STACK, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, &sem);
        for (int i = 0; i < 100; i++) {
            pthread_mutex_lock(&lock);
            while (round_ % 2 == 1)
                pthread_cond_wait(&cond, &lock);
            round_++;
            pthread_cond_broadcast(&cond);
            pthread_mutex_unlock(&lock);
        }
        EQ(sem_wait(&sem), 0);
        EQ(status_of(p), 33);
        free(stack);
    }
    return arg;
}

static void *by_forkpty(void *arg)
{
    char line[64] = "";
    int pty;
    ssize_t n, all = 0;
    pid_t p = forkpty(&pty, NULL, NULL, NULL);

    if (p == 0) {
        if (!isatty(0) || !isatty(1) || getsid(0) != getpid())
            _exit(1);
        EQ((long)reap(go(doubles, (void *)21L)), 42);
        if (write(1, "pty\n", 4) != 4)
            _exit(2);
        _exit(34);
    }
    while ((n = read(pty, line + all, sizeof line - 1 - (size_t)all)) > 0)
        all += n;
    CHECK(strcmp(line, "pty\r\n") == 0);
    EQ(status_of(p), 34);
    close(pty);
    return arg;
}

static void *by_nested_vfork(void *arg)
{
    static volatile int inner;
    pid_t p = vfork();

    if (p == 0) {
        pid_t q = vfork();

        if (q == 0)
            _exit(11);
        inner = q > 0;
        _exit(12);
    }
    EQ(status_of(p), 12);
    EQ(inner, 1);
    return arg;
}

static int stop;

static void *busy(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        free(malloc(100));
        usleep(50);
    }
    return arg;
}

static void try_all(void *(*how)(void *))
{
    pthread_t t[4];

    how(NULL);
    stop = 0;
    for (int i = 0; i < 4; i++)
        t[i] = go(busy, NULL);
    how(NULL);
    reap(go(how, NULL));
    bump(&stop);
    for (int i = 0; i < 4; i++)
        reap(t[i]);
}

static void *exits_raw(void *arg)
{
    syscall(SYS_exit, 0);
    return arg;
}

static void raw_exit(void)
{
    for (int i = 0; i < 20; i++)
        reap(go(exits_raw, NULL));
}

#define ALL(name, how)                                                                             \
    static void name(void)                                                                         \
    {                                                                                              \
        try_all(how);                                                                              \
    }
ALL(system_calls, by_system_call)
ALL(clone_own_memory, by_clone)
ALL(clone_vfork, by_clone_vfork)
ALL(clone_task, by_clone_task)
ALL(pseudo_terminal, by_forkpty)
ALL(nested_vfork, by_nested_vfork)

int main(void)
{
    CASE(system_calls);
    CASE(clone_own_memory);
    CASE(clone_vfork);
    CASE(clone_task);
    CASE(pseudo_terminal);
    CASE(nested_vfork);
    CASE(raw_exit);
    return 0;
}
