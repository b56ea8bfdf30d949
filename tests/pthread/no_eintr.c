/* SPDX-License-Identifier: BSD-2-Clause */
/* Without a handler no call ever gives EINTR, however long it blocks beside busy threads, and time
 * limits do not start again. */
#include "net.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

static int stop;

static void *busy(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        ;
    return arg;
}

/* Runs call for 3 seconds; each time it takes at least ms and no more than a generous bound. */
static void repeat(int (*call)(void), long ms)
{
    long end = now_ms() + 3000;

    while (now_ms() < end) {
        long begin = now_ms();

        errno = 0;
        EQ(call(), 0);
        CHECK(now_ms() - begin >= ms - 1);
        CHECK(now_ms() - begin < 10000);
    }
}

static __thread int fd[2], ep;

static int by_poll(void)
{
    struct pollfd f = {.fd = fd[0], .events = POLLIN};

    return poll(&f, 1, 150);
}

static int by_select(void)
{
    struct timeval tv = {0, 150000};
    fd_set s;

    FD_ZERO(&s);
    FD_SET(fd[0], &s);
    return select(fd[0] + 1, &s, NULL, NULL, &tv);
}

static int by_epoll(void)
{
    struct epoll_event e;

    return epoll_wait(ep, &e, 1, 150);
}

static int by_nanosleep(void)
{
    struct timespec t = {0, 150000000};

    return nanosleep(&t, NULL);
}

static int by_recv(void)
{
    char c;

    return recv(fd[0], &c, 1, 0) == -1 && errno == EAGAIN ? 0 : -1;
}

static void *runs(void *arg)
{
    int (*const calls[])(void) = {by_poll, by_select, by_epoll, by_nanosleep, by_recv};
    struct epoll_event e = {.events = EPOLLIN};

    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    set_timeout(fd[0], SO_RCVTIMEO, 150);
    ep = epoll_create1(0);
    EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e), 0);
    repeat(calls[(long)arg], 150);
    close(ep);
    close(fd[0]);
    close(fd[1]);
    return NULL;
}

static void blocked_beside_busy(void)
{
    pthread_t b[3], t[5];

    for (int i = 0; i < 3; i++)
        b[i] = go(busy, NULL);
    for (long i = 0; i < 5; i++)
        t[i] = go(runs, (void *)i);
    for (int i = 0; i < 5; i++)
        reap(t[i]);
    bump(&stop);
    for (int i = 0; i < 3; i++)
        reap(b[i]);
}

int main(void)
{
    CASE(blocked_beside_busy);
    return 0;
}
