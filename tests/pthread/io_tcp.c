/* SPDX-License-Identifier: BSD-2-Clause */
/* TCP: connection per thread, whole sends to slow readers, flags, time limits, shutdown, resets. */
#include "net.h"
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>

enum { BIG = 4 << 20, N = 50 };

static struct sockaddr_in at;

static void *serves_one(void *arg)
{
    int fd = (int)(long)arg;
    char buf[256];
    ssize_t r;

    while ((r = recv(fd, buf, sizeof buf, 0)) > 0)
        EQ(send(fd, buf, (size_t)r, 0), r);
    EQ(r, 0);
    close(fd);
    return NULL;
}

static void *server(void *arg)
{
    int l = *(int *)arg;
    pthread_t t[N];

    for (int i = 0; i < N; i++) {
        struct sockaddr_in peer;
        socklen_t n = sizeof peer;
        long fd = accept(l, (struct sockaddr *)&peer, &n);

        CHECK(fd >= 0);
        EQ(n, sizeof peer);
        EQ(peer.sin_family, AF_INET);
        t[i] = go(serves_one, (void *)fd);
    }
    for (int i = 0; i < N; i++)
        reap(t[i]);
    return NULL;
}

static void *client(void *arg)
{
    int fd = connect_tcp(&at);
    char msg[100], got[100];

    for (int i = 0; i < 50; i++) {
        int n = snprintf(msg, sizeof msg, "client %ld message %d", (long)arg, i);

        EQ(write(fd, msg, (size_t)n), n);
        EQ(read_all(fd, got, (size_t)n), n);
        CHECK(memcmp(msg, got, (size_t)n) == 0);
    }
    close(fd);
    return NULL;
}

static void echo_server(void)
{
    int l = listen_tcp(64, &at);
    pthread_t s = go(server, &l), t[N];

    for (long i = 0; i < N; i++)
        t[i] = go(client, (void *)i);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    reap(s);
    close(l);
}

static void refused(void)
{
    int l = listen_tcp(1, &at), s = socket(AF_INET, SOCK_STREAM, 0);

    close(l);
    FAILS(connect(s, (struct sockaddr *)&at, sizeof at), ECONNREFUSED);
    close(s);
    FAILS(accept(-1, NULL, NULL), EBADF);
    s = socket(AF_INET, SOCK_STREAM, 0);
    FAILS(accept(s, NULL, NULL), EINVAL);
    FAILS(recv(s, &at, 1, 0), ENOTCONN);
    close(s);
}

static void accept_flags(void)
{
    int l = listen_tcp(4, &at), c, a;
    char x;

    c = connect_tcp(&at);
    a = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(a >= 0);
    EQ(fcntl(a, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    EQ(fcntl(a, F_GETFD), FD_CLOEXEC);
    FAILS(recv(a, &x, 1, 0), EAGAIN);
    close(a);
    close(c);
    c = connect_tcp(&at);
    a = accept(l, NULL, NULL);
    EQ(fcntl(a, F_GETFL) & O_NONBLOCK, 0);
    EQ(fcntl(a, F_GETFD), 0);
    close(a);
    close(c);
    EQ(fcntl(l, F_SETFL, O_NONBLOCK), 0);
    FAILS(accept(l, NULL, NULL), EAGAIN);
    close(l);
}

static void *slow_reader(void *arg)
{
    read_slowly(*(int *)arg, BIG);
    return NULL;
}

enum way { BY_WRITE, BY_SEND, BY_WRITEV, BY_SENDMSG, WAYS };

static ssize_t send_by(enum way way, int fd, unsigned char *data)
{
    struct iovec v[3] = {{data, BIG / 2}, {data + BIG / 2, 1}, {data + BIG / 2 + 1, BIG / 2 - 1}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 3};

    switch (way) {
    case BY_WRITE:
        return write(fd, data, BIG);
    case BY_SEND:
        return send(fd, data, BIG, 0);
    case BY_WRITEV:
        return writev(fd, v, 3);
    default:
        return sendmsg(fd, &m, 0);
    }
}

static void whole_sends(void)
{
    unsigned char *data = make_pattern(BIG);

    for (int way = 0; way < WAYS; way++) {
        int fd[2];
        pthread_t t;

        pair_tcp(fd);
        t = go(slow_reader, &fd[1]);
        EQ(send_by((enum way)way, fd[0], data), BIG);
        reap(t);
        close(fd[0]);
        close(fd[1]);
    }
    free(data);
}

static void *trickles(void *arg)
{
    for (int i = 0; i < 10; i++) {
        char c = (char)('0' + i);

        pause_ms(5);
        EQ(send(*(int *)arg, &c, 1, 0), 1);
    }
    return NULL;
}

static void message_flags(void)
{
    char got[16] = "";
    int fd[2];
    pthread_t t;

    pair_tcp(fd);
    FAILS(recv(fd[0], got, 1, MSG_DONTWAIT), EAGAIN);
    t = go(trickles, &fd[1]);
    EQ(recv(fd[0], got, 10, MSG_WAITALL), 10);
    CHECK(memcmp(got, "0123456789", 10) == 0);
    reap(t);
    t = go(trickles, &fd[1]);
    EQ(recv(fd[0], got, 1, MSG_PEEK), 1);
    EQ(recv(fd[0], got + 1, 1, MSG_PEEK), 1);
    CHECK(got[0] == '0' && got[1] == '0');
    reap(t);
    EQ(recv(fd[0], got, 10, MSG_PEEK | MSG_WAITALL), 10);
    EQ(read_all(fd[0], got, 10), 10);
    close(fd[1]);
    EQ(recv(fd[0], got, 10, MSG_WAITALL), 0);
    close(fd[0]);
}

static void time_limits(void)
{
    static char block[1 << 16];
    struct timeval tv;
    socklen_t n = sizeof tv;
    long begin = now_ms();
    int l = listen_tcp(4, &at), fd[2];
    ssize_t r;

    set_timeout(l, SO_RCVTIMEO, 40);
    FAILS(accept(l, NULL, NULL), EAGAIN);
    CHECK(now_ms() - begin >= 38);
    close(l);
    pair_tcp(fd);
    set_timeout(fd[0], SO_RCVTIMEO, 40);
    EQ(getsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &n), 0);
    EQ(tv.tv_usec, 40000);
    begin = now_ms();
    FAILS(recv(fd[0], block, 1, 0), EAGAIN);
    FAILS(read(fd[0], block, 1), EAGAIN);
    CHECK(now_ms() - begin >= 76);
    EQ(send(fd[1], "abc", 3, 0), 3);
    EQ(recv(fd[0], block, 10, MSG_WAITALL), 3); /* the limit ends it with what there is */
    set_timeout(fd[0], SO_SNDTIMEO, 40);
    while ((r = send(fd[0], block, sizeof block, 0)) > 0)
        ;
    EQ(errno, EAGAIN);
    set_timeout(fd[0], SO_RCVTIMEO, 0);
    EQ(send(fd[1], "d", 1, 0), 1);
    EQ(recv(fd[0], block, 1, 0), 1);
    close(fd[0]);
    close(fd[1]);
}

static void *receives(void *arg)
{
    char c;

    return (void *)(long)recv(*(int *)arg, &c, 1, 0);
}

static void *accepts(void *arg)
{
    int r = accept(*(int *)arg, NULL, NULL);

    return (void *)(long)(r == -1 ? errno : 0);
}

static void shutdown_wakes(void)
{
    int l = listen_tcp(4, &at), fd[2];
    pthread_t t;

    t = go(accepts, &l);
    pause_ms(30);
    EQ(shutdown(l, SHUT_RDWR), 0);
    EQ((long)reap(t), EINVAL);
    close(l);
    pair_tcp(fd);
    t = go(receives, &fd[0]);
    pause_ms(30);
    EQ(shutdown(fd[0], SHUT_RD), 0);
    EQ((long)reap(t), 0);
    t = go(receives, &fd[1]);
    pause_ms(30);
    EQ(shutdown(fd[0], SHUT_WR), 0);
    EQ((long)reap(t), 0);
    signal(SIGPIPE, SIG_IGN);
    FAILS(send(fd[0], "x", 1, 0), EPIPE);
    close(fd[0]);
    close(fd[1]);
}

static void *receives_reset(void *arg)
{
    char c;

    FAILS(recv(*(int *)arg, &c, 1, 0), ECONNRESET);
    return NULL;
}

static void reset_wakes(void)
{
    struct linger abort_it = {1, 0};
    int fd[2];
    pthread_t t;

    pair_tcp(fd);
    t = go(receives_reset, &fd[0]);
    pause_ms(30);
    EQ(setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it), 0);
    close(fd[1]);
    reap(t);
    close(fd[0]);
}

static void nonblocking_connect(void)
{
    int l = listen_tcp(4, &at), s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), err = -1, r;
    struct pollfd p = {.fd = s, .events = POLLOUT};
    socklen_t n = sizeof err;

    r = connect(s, (struct sockaddr *)&at, sizeof at);
    CHECK(r == 0 || errno == EINPROGRESS);
    EQ(poll(&p, 1, 5000), 1);
    EQ(getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &n), 0);
    EQ(err, 0);
    EQ(fcntl(s, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close(s);
    close(l);
}

static void flags_unchanged(void)
{
    int l = listen_tcp(4, &at), fd[2];
    pthread_t t = go(accepts, &l);
    char c;

    pause_ms(20);
    EQ(fcntl(l, F_GETFL), O_RDWR);
    fd[0] = connect_tcp(&at);
    reap(t);
    EQ(fcntl(fd[0], F_GETFL), O_RDWR);
    close(fd[0]);
    close(l);
    pair_tcp(fd);
    t = go(receives, &fd[0]);
    pause_ms(20);
    EQ(fcntl(fd[0], F_GETFL), O_RDWR); /* while somebody is blocked in it */
    EQ(write(fd[1], "x", 1), 1);
    reap(t);
    EQ(fcntl(fd[0], F_GETFL), O_RDWR);
    EQ(fcntl(fd[1], F_GETFL), O_RDWR);
    EQ(write(fd[0], "y", 1), 1);
    EQ(read(fd[1], &c, 1), 1);
    close(fd[0]);
    close(fd[1]);
}

static void *both_read(void *arg)
{
    read_slowly(*(int *)arg, 1 << 19);
    return NULL;
}

static void *both_write(void *arg)
{
    unsigned char *data = make_pattern(1 << 19);

    EQ(write(*(int *)arg, data, 1 << 19), 1 << 19);
    free(data);
    return NULL;
}

static void both_ways_at_once(void)
{
    pthread_t t[4];
    int fd[2];

    pair_tcp(fd);
    for (int i = 0; i < 2; i++) {
        t[2 * i] = go(both_read, &fd[i]);
        t[2 * i + 1] = go(both_write, &fd[i]);
    }
    for (int i = 0; i < 4; i++)
        reap(t[i]);
    close(fd[0]);
    close(fd[1]);
}

int main(void)
{
    CASE(echo_server);
    CASE(refused);
    CASE(accept_flags);
    CASE(whole_sends);
    CASE(message_flags);
    CASE(time_limits);
    CASE(shutdown_wakes);
    CASE(reset_wakes);
    CASE(nonblocking_connect);
    CASE(flags_unchanged);
    CASE(both_ways_at_once);
    return 0;
}
