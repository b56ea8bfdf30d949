/* SPDX-License-Identifier: BSD-2-Clause */
/* The program's own epoll sets: level and edge, one-shot, many waiters, nesting, changes while
 * somebody waits, time limits. */
#include "net.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int add(int ep, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.fd = fd};

    return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static void limits(void)
{
    struct epoll_event e[4];
    struct timespec ts = {0, 20000000};
    int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
    long begin = now_ms();

    EQ(pipe(p), 0);
    EQ(add(ep, p[0], EPOLLIN), 0);
    EQ(epoll_wait(ep, e, 4, 20), 0);
    EQ(epoll_pwait(ep, e, 4, 20, NULL), 0);
    EQ(epoll_pwait2(ep, e, 4, &ts, NULL), 0);
    CHECK(now_ms() - begin >= 58);
    EQ(epoll_wait(ep, e, 4, 0), 0);
    FAILS(epoll_wait(ep, e, 0, 0), EINVAL);
    FAILS(epoll_wait(p[0], e, 1, 0), EINVAL);
    FAILS(epoll_wait(-1, e, 1, 0), EBADF);
    FAILS(add(ep, p[0], EPOLLIN), EEXIST);
    FAILS(add(ep, ep, EPOLLIN), EINVAL);
    close(p[0]);
    close(p[1]);
    close(ep);
}

static void *limits_thread(void *arg)
{
    limits();
    return arg;
}

static void limits_in_threads(void)
{
    pthread_t t[50];

    for (int i = 0; i < 50; i++)
        t[i] = go(limits_thread, NULL);
    for (int i = 0; i < 50; i++)
        reap(t[i]);
}

static void *writes_late(void *arg)
{
    pause_ms(30);
    EQ(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

static void level_edge_oneshot(void)
{
    struct epoll_event e[4];
    int ep = epoll_create1(0), p[3][2];
    const uint32_t flags[] = {EPOLLIN, EPOLLIN | EPOLLET, EPOLLIN | EPOLLONESHOT};
    int times[3] = {0};
    pthread_t t;

    for (int i = 0; i < 3; i++) {
        EQ(pipe(p[i]), 0);
        EQ(add(ep, p[i][0], flags[i]), 0);
    }
    t = go(writes_late, &p[0][1]);
    EQ(epoll_wait(ep, e, 4, -1), 1);
    EQ(e[0].data.fd, p[0][0]);
    reap(t);
    EQ(write(p[1][1], "x", 1), 1);
    EQ(write(p[2][1], "x", 1), 1);
    for (int round = 0; round < 5; round++) {
        int n = epoll_wait(ep, e, 4, 100);

        for (int i = 0; i < n; i++)
            for (int k = 0; k < 3; k++)
                times[k] += e[i].data.fd == p[k][0];
    }
    EQ(times[0], 5);
    EQ(times[1], 1);
    EQ(times[2], 1);
    e[0].events = EPOLLIN | EPOLLONESHOT;
    EQ(epoll_ctl(ep, EPOLL_CTL_MOD, p[2][0], &e[0]), 0);
    EQ(epoll_wait(ep, e, 4, 100), 2);
    for (int i = 0; i < 6; i++)
        close(p[i / 2][i % 2]);
    close(ep);
}

static int shared_ep, stopper, handled;

static void *worker(void *arg)
{
    struct epoll_event e[8];

    for (;;) {
        int n = epoll_wait(shared_ep, e, 8, -1);

        CHECK(n > 0);
        for (int i = 0; i < n; i++) {
            char c;

            if (e[i].data.fd == stopper)
                return arg;
            if (read(e[i].data.fd, &c, 1) == 1)
                bump(&handled);
            else
                EQ(errno, EAGAIN);
        }
    }
}

static void many_waiters(void)
{
    int p[50][2];
    pthread_t t[20];

    handled = 0;
    shared_ep = epoll_create1(0);
    stopper = eventfd(0, 0);
    EQ(add(shared_ep, stopper, EPOLLIN), 0);
    for (int i = 0; i < 50; i++) {
        EQ(pipe2(p[i], O_NONBLOCK), 0);
        EQ(add(shared_ep, p[i][0], i % 2 ? EPOLLIN : EPOLLIN | EPOLLET), 0);
    }
    for (int i = 0; i < 20; i++)
        t[i] = go(worker, NULL);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 50; i++)
            EQ(write(p[i][1], "x", 1), 1);
        await(&handled, 50 * (round + 1));
    }
    EQ(eventfd_write(stopper, 1), 0);
    for (int i = 0; i < 20; i++)
        reap(t[i]);
    EQ(handled, 1000);
    for (int i = 0; i < 100; i++)
        close(p[i / 2][i % 2]);
    close(stopper);
    close(shared_ep);
}

static void *waits_one(void *arg)
{
    struct epoll_event e;

    EQ(epoll_wait(*(int *)arg, &e, 1, -1), 1);
    return (void *)(long)e.data.fd;
}

static void changed_while_waiting(void)
{
    int ep = epoll_create1(0), p[2];
    pthread_t t = go(waits_one, &ep);

    pause_ms(30);
    EQ(pipe(p), 0);
    EQ(write(p[1], "x", 1), 1);
    EQ(add(ep, p[0], EPOLLIN), 0);
    EQ((long)reap(t), p[0]);
    EQ(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), 0);
    FAILS(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), ENOENT);
    close(p[0]);
    close(p[1]);
    close(ep);
}

static void nested(void)
{
    int outer = epoll_create1(0), inner = epoll_create1(0), p[2];
    struct pollfd f = {.fd = outer, .events = POLLIN};
    pthread_t t;

    EQ(pipe(p), 0);
    EQ(add(inner, p[0], EPOLLIN), 0);
    EQ(add(outer, inner, EPOLLIN), 0);
    t = go(writes_late, &p[1]);
    EQ(poll(&f, 1, -1), 1);
    EQ((long)(uintptr_t)waits_one(&outer), inner);
    EQ((long)(uintptr_t)waits_one(&inner), p[0]);
    reap(t);
    close(p[0]);
    close(p[1]);
    close(inner);
    close(outer);
}

/* An event loop with non-blocking sockets, and clients that block. */
enum { CLIENTS = 50, MESSAGES = 20 };

static void *client(void *arg)
{
    int fd = connect_tcp((const struct sockaddr_in *)arg);
    char got[8];

    for (int i = 0; i < MESSAGES; i++) {
        EQ(write(fd, "message", 7), 7);
        EQ(read_all(fd, got, 7), 7);
        CHECK(memcmp(got, "message", 7) == 0);
    }
    close(fd);
    return NULL;
}

static void serve(int ep, int l)
{
    struct epoll_event e[16];
    int closed = 0;
    char buf[512];

    while (closed < CLIENTS) {
        int n = epoll_wait(ep, e, 16, -1);

        CHECK(n > 0);
        for (int i = 0; i < n; i++) {
            int fd = e[i].data.fd;
            ssize_t r;

            if (fd == l) {
                while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0)
                    EQ(add(ep, fd, EPOLLIN | EPOLLET | EPOLLRDHUP), 0);
                EQ(errno, EAGAIN);
                continue;
            }
            while ((r = recv(fd, buf, sizeof buf, 0)) > 0)
                EQ(send(fd, buf, (size_t)r, 0), r);
            if (r == 0) {
                close(fd);
                closed++;
            }
        }
    }
}

static void event_loop(void)
{
    struct sockaddr_in at;
    int l = listen_tcp(64, &at), ep = epoll_create1(0);
    pthread_t t[CLIENTS];

    EQ(fcntl(l, F_SETFL, O_NONBLOCK), 0);
    EQ(add(ep, l, EPOLLIN | EPOLLET), 0);
    for (int i = 0; i < CLIENTS; i++)
        t[i] = go(client, &at);
    serve(ep, l);
    for (int i = 0; i < CLIENTS; i++)
        reap(t[i]);
    close(ep);
    close(l);
}

int main(void)
{
    CASE(limits);
    CASE(limits_in_threads);
    CASE(level_edge_oneshot);
    CASE(many_waiters);
    CASE(changed_while_waiting);
    CASE(nested);
    CASE(event_loop);
    return 0;
}
