/* SPDX-License-Identifier: BSD-2-Clause */
/* What a thread has of its own and clone hands on (a filter of system calls, a working directory,
 * no_new_privs, a bit of its credentials), the threads that it makes have too, and theirs; the
 * others have not.  TSYNC gives a filter to all. */
#include "proc.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { MANY = 20 };

#define RET(what) BPF_STMT(BPF_RET | BPF_K, what)
#define LOAD_NR   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))

/* Two calls that nothing else here makes get an error of ours. */
static struct sock_filter no_getppid[] = {
    LOAD_NR,
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
    RET(SECCOMP_RET_ERRNO | EDOM),
    RET(SECCOMP_RET_ALLOW),
};
static struct sock_filter no_getpgrp[] = {
    LOAD_NR,
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgrp, 0, 1),
    RET(SECCOMP_RET_ERRNO | ERANGE),
    RET(SECCOMP_RET_ALLOW),
};
static struct sock_fprog ppid_filter = {4, no_getppid}, pgrp_filter = {4, no_getpgrp};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static int filtered, ran, got_signal, asks[2], answers[2];

static long ppid_error(void)
{
    return syscall(SYS_getppid) == -1 ? errno : 0;
}

static long pgrp_error(void)
{
    return syscall(SYS_getpgrp) == -1 ? errno : 0;
}

static int in_root(void)
{
    char dir[4096];

    return strcmp(getcwd(dir, sizeof dir), "/") == 0;
}

/* Does this thread have what the confined one has? */
static void check_self(int confined)
{
    EQ(ppid_error(), confined && filtered ? EDOM : 0);
    EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), confined);
    EQ(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), confined);
    EQ(in_root(), confined);
}

static void *outsider(void *arg)
{
    char c;

    while (read(asks[0], &c, 1) == 1 && c == '?') {
        check_self(0);
        CHECK(write(answers[1], &c, 1) == 1);
    }
    return arg;
}

static void *grandchild(void *arg)
{
    check_self(1);
    usleep(1000);
    check_self(1);
    pthread_mutex_lock(&lock);
    ran++;
    pthread_cond_broadcast(&some);
    pthread_mutex_unlock(&lock);
    return arg;
}

static void *child(void *arg)
{
    pthread_t t;

    check_self(1);
    t = go(grandchild, arg);
    EQ((long)reap(t), (long)arg);
    check_self(1);
    return arg;
}

static void on_usr1(int sig)
{
    got_signal = sig;
}

static void *waits(void *arg)
{
    sigset_t none;

    pthread_mutex_lock(&lock);
    ran = -1;
    pthread_cond_broadcast(&some);
    pthread_mutex_unlock(&lock);
    sigemptyset(&none);
    sigsuspend(&none); /* blocked until now */
    check_self(1);
    pthread_mutex_lock(&lock);
    ran = -2;
    pthread_cond_broadcast(&some);
    pthread_mutex_unlock(&lock);
    for (;;)
        pause();
    return arg;
}

static void await_ran(int n)
{
    pthread_mutex_lock(&lock);
    while (ran != n)
        pthread_cond_wait(&some, &lock);
    pthread_mutex_unlock(&lock);
}

/* A signal and a cancellation find a thread that was made so. */
static void reached_from_outside(void)
{
    pthread_t t = go(waits, NULL);

    await_ran(-1);
    EQ(pthread_kill(t, SIGUSR1), 0);
    await_ran(-2);
    EQ(got_signal, SIGUSR1);
    EQ(pthread_cancel(t), 0);
    CHECK(reap(t) == PTHREAD_CANCELED);
}

static void ask_outsider(void)
{
    char c = '?';

    CHECK(write(asks[1], &c, 1) == 1);
    CHECK(read(answers[0], &c, 1) == 1);
}

static void *confined(void *arg)
{
    pthread_t t[MANY];

    EQ(unshare(CLONE_FS), 0);
    EQ(chdir("/"), 0);
    EQ(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
    EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (filtered)
        EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &ppid_filter), 0);
    check_self(1);
    ask_outsider();
    for (int i = 0; i < MANY; i++)
        t[i] = go(child, (void *)(long)i);
    await_ran(MANY);
    for (int i = 0; i < MANY; i++)
        EQ((long)reap(t[i]), i);
    reached_from_outside();
    ask_outsider();
    check_self(1);
    return arg;
}

static void handed_on(void)
{
    pthread_t o = go(outsider, NULL);
    pthread_t t = go(confined, NULL);

    reap(t);
    check_self(0);
    CHECK(write(asks[1], "!", 1) == 1);
    reap(o);
}

static void handed_on_filtered(void)
{
    filtered = 1;
    ran = got_signal = 0;
    handed_on();
}

static void *has_pgrp_filter(void *arg)
{
    char c;

    CHECK(read(asks[0], &c, 1) == 1);
    EQ(pgrp_error(), ERANGE);
    return arg;
}

/* Threads that exist, and those that are made later. */
static void for_all(void)
{
    pthread_t t[MANY];

    for (int i = 0; i < MANY / 2; i++)
        t[i] = go(has_pgrp_filter, NULL);
    EQ(pgrp_error(), 0);
    EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &pgrp_filter), 0);
    for (int i = MANY / 2; i < MANY; i++)
        t[i] = go(has_pgrp_filter, NULL);
    for (int i = 0; i < MANY; i++)
        CHECK(write(asks[1], "?", 1) == 1);
    for (int i = 0; i < MANY; i++)
        reap(t[i]);
    EQ(pgrp_error(), ERANGE);
}

static int tsync_child(void)
{
    for_all();
    return 5;
}

static void synchronized(void)
{
    EQ(in_child(tsync_child), 5);
}

int main(void)
{
    struct sigaction sa = {0};
    sigset_t usr1;

    sa.sa_handler = on_usr1;
    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    EQ(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
    EQ(pipe(asks), 0);
    EQ(pipe(answers), 0);
    CASE(synchronized);
    CASE(handed_on);
    CASE(handed_on_filtered);
    return 0;
}
