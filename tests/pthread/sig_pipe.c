/* SPDX-License-Identifier: BSD-2-Clause */
/* SIGPIPE for a thread that blocks it is that thread's: pending there, and nothing to the others,
 * which do not block it and whose default action is the end of the process. */
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { OTHERS = 4 };

static int stop, broken;
static volatile int hits;
static volatile pthread_t hit;

static void *does_other_things(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        usleep(100);
    return arg;
}

static void handler(int sig)
{
    (void)sig;
    hit = pthread_self();
    hits++;
}

static sigset_t only(void)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGPIPE);
    return s;
}

static int is_pending(void)
{
    sigset_t s;

    EQ(sigpending(&s), 0);
    return sigismember(&s, SIGPIPE);
}

/* ---- ways to write ---- */

static void by_send(int fd)
{
    FAILS(send(fd, "x", 1, 0), EPIPE);
}

static void by_write(int fd)
{
    FAILS(write(fd, "x", 1), EPIPE);
}

static void by_syscall(int fd)
{
    FAILS(syscall(SYS_write, fd, "x", 1), EPIPE);
}

static void by_stdio(int fd)
{
    FAILS(dprintf(fd, "x"), EPIPE);
}

static void (*breaks)(int fd);

/* ---- what becomes of it ---- */

static void *waits_for_it(void *arg)
{
    sigset_t s = only();
    struct timespec none = {0, 0};

    EQ(pthread_sigmask(SIG_BLOCK, &s, NULL), 0);
    breaks(broken);
    EQ(is_pending(), 1);
    EQ(sigtimedwait(&s, NULL, &none), SIGPIPE);
    EQ(is_pending(), 0);
    return arg;
}

static void *sleeps_on_it(void *arg)
{
    sigset_t s = only();

    EQ(pthread_sigmask(SIG_BLOCK, &s, NULL), 0);
    for (int i = 0; i < 20; i++) {
        breaks(broken);
        usleep(500);
    }
    return arg; /* it is lost with the thread */
}

static void *unblocks_it(void *arg)
{
    sigset_t s = only();

    EQ(pthread_sigmask(SIG_BLOCK, &s, NULL), 0);
    breaks(broken);
    EQ(hits, 0);
    EQ(pthread_sigmask(SIG_UNBLOCK, &s, NULL), 0);
    EQ(hits, 1);
    CHECK(pthread_equal(hit, pthread_self()));
    return arg;
}

static void beside_others(void *(*const *fates)(void *))
{
    pthread_t t[OTHERS];

    stop = 0;
    for (int i = 0; i < OTHERS; i++)
        t[i] = go(does_other_things, NULL);
    for (int i = 0; i < 5; i++)
        reap(go(fates[i % 2], NULL));
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < OTHERS; i++)
        reap(t[i]);
}

static void each_fate(void)
{
    static void *(*const fates[])(void *) = {sleeps_on_it, waits_for_it};

    beside_others(fates);
    hits = 0;
    signal(SIGPIPE, handler);
    reap(go(unblocks_it, NULL));
    signal(SIGPIPE, SIG_DFL);
}

static void each_way(void)
{
    breaks = by_write;
    each_fate();
    breaks = by_syscall;
    each_fate();
}

static void a_pipe(void)
{
    int p[2];

    EQ(pipe(p), 0);
    close(p[0]);
    broken = p[1];
    each_way();
    close(p[1]);
}

/* flags: SOCK_NONBLOCK or 0.  Written to before it breaks: whoever remembers what it is does. */
static void a_socket(int flags)
{
    int s[2];

    EQ(socketpair(AF_UNIX, SOCK_STREAM | flags, 0, s), 0);
    EQ(write(s[1], "x", 1), 1);
    EQ(send(s[1], "x", 1, 0), 1);
    close(s[0]);
    broken = s[1];
    breaks = by_send;
    each_fate();
    each_way();
    close(s[1]);
}

static void a_socket_that_waits(void)
{
    a_socket(0);
}

static void a_socket_that_does_not(void)
{
    a_socket(SOCK_NONBLOCK);
}

static void streams(void)
{
    static void *(*const fates[])(void *) = {sleeps_on_it, sleeps_on_it};
    int p[2];

    EQ(pipe(p), 0);
    close(p[0]);
    broken = p[1];
    breaks = by_stdio;
    beside_others(fates);
    close(p[1]);
}

int main(void)
{
    CASE(a_pipe);
    CASE(a_socket_that_waits);
    CASE(a_socket_that_does_not);
    CASE(streams);
    return 0;
}
