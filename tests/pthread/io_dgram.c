/* SPDX-License-Identifier: BSD-2-Clause */
/* UDP and unix sockets: datagrams, batches, sequenced packets, passed descriptors, full backlogs.
 */
#include "net.h"
#include <stddef.h>
#include <sys/un.h>

static struct sockaddr_in udp_at;

static int bound_udp(struct sockaddr_in *a)
{
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t n = sizeof *a;

    memset(a, 0, sizeof *a);
    a->sin_family = AF_INET;
    a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EQ(bind(s, (struct sockaddr *)a, sizeof *a), 0);
    EQ(getsockname(s, (struct sockaddr *)a, &n), 0);
    return s;
}

static void *udp_echo(void *arg)
{
    int s = *(int *)arg;

    for (int i = 0; i < 200; i++) {
        struct sockaddr_in from;
        socklen_t n = sizeof from;
        char buf[64];
        ssize_t r = recvfrom(s, buf, sizeof buf, 0, (struct sockaddr *)&from, &n);

        CHECK(r > 0);
        EQ(sendto(s, buf, (size_t)r, 0, (struct sockaddr *)&from, n), r);
    }
    return NULL;
}

static void *udp_client(void *arg)
{
    struct sockaddr_in mine;
    int s = bound_udp(&mine);
    char want[32], got[32];

    for (int i = 0; i < 20; i++) {
        int n = snprintf(want, sizeof want, "%ld/%d", (long)arg, i);

        EQ(sendto(s, want, (size_t)n, 0, (struct sockaddr *)&udp_at, sizeof udp_at), n);
        EQ(recv(s, got, sizeof got, 0), n);
        CHECK(memcmp(got, want, (size_t)n) == 0);
    }
    close(s);
    return NULL;
}

static void udp(void)
{
    int s = bound_udp(&udp_at);
    pthread_t server = go(udp_echo, &s), t[10];

    for (long i = 0; i < 10; i++)
        t[i] = go(udp_client, (void *)i);
    for (int i = 0; i < 10; i++)
        reap(t[i]);
    reap(server);
    close(s);
}

static void udp_limits(void)
{
    struct sockaddr_in a;
    int s = bound_udp(&a);
    long begin = now_ms();
    char c[4];

    FAILS(recv(s, c, 1, MSG_DONTWAIT), EAGAIN);
    set_timeout(s, SO_RCVTIMEO, 30);
    FAILS(recvfrom(s, c, 1, 0, NULL, NULL), EAGAIN);
    CHECK(now_ms() - begin >= 28);
    EQ(sendto(s, "abcd", 4, 0, (struct sockaddr *)&a, sizeof a), 4);
    EQ(recv(s, c, 2, MSG_TRUNC), 4);
    close(s);
}

static void *sends_batch(void *arg)
{
    struct mmsghdr m[5];
    struct iovec v[5];
    static char text[5][2] = {"a", "b", "c", "d", "e"};

    pause_ms(30);
    memset(m, 0, sizeof m);
    for (int i = 0; i < 5; i++) {
        v[i] = (struct iovec){text[i], 1};
        m[i].msg_hdr.msg_iov = &v[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    EQ(sendmmsg(*(int *)arg, m, 5, 0), 5);
    return NULL;
}

static void batches(void)
{
    struct mmsghdr m[5];
    struct iovec v[5];
    char got[5];
    int sv[2];
    pthread_t t;

    EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), 0);
    memset(m, 0, sizeof m);
    for (int i = 0; i < 5; i++) {
        v[i] = (struct iovec){&got[i], 1};
        m[i].msg_hdr.msg_iov = &v[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    t = go(sends_batch, &sv[1]);
    EQ(recvmmsg(sv[0], m, 5, 0, NULL), 5);
    CHECK(memcmp(got, "abcde", 5) == 0);
    reap(t);
    close(sv[0]);
    close(sv[1]);
}

static void *drains(void *arg)
{
    char buf[4096];

    pause_ms(30);
    for (int i = 0; i < 2000; i++)
        EQ(recv(*(int *)arg, buf, sizeof buf, 0), 1000);
    return NULL;
}

static void full_dgram_queue(void)
{
    static char block[1000];
    int sv[2];
    pthread_t t;

    EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), 0);
    t = go(drains, &sv[1]);
    for (int i = 0; i < 2000; i++)
        EQ(send(sv[0], block, sizeof block, 0), 1000);
    reap(t);
    close(sv[0]);
    close(sv[1]);
}

static void *seq_reader(void *arg)
{
    char buf[100];
    ssize_t r, packets = 0;

    while ((r = recv(*(int *)arg, buf, sizeof buf, 0)) > 0) {
        EQ(r, packets % 99 + 1);
        packets++;
    }
    return (void *)packets;
}

static void sequenced_packets(void)
{
    char block[100];
    int sv[2];
    pthread_t t;

    memset(block, 'q', sizeof block);
    EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
    t = go(seq_reader, &sv[0]);
    for (int i = 0; i < 1000; i++)
        EQ(send(sv[1], block, (size_t)(i % 99 + 1), 0), i % 99 + 1);
    close(sv[1]);
    EQ((long)reap(t), 1000);
    close(sv[0]);
}

static void send_fd(int s, int fd)
{
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } u;
    struct iovec v = {(void *)"F", 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u.room};

    u.h.cmsg_level = SOL_SOCKET;
    u.h.cmsg_type = SCM_RIGHTS;
    u.h.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&u.h), &fd, sizeof fd);
    EQ(sendmsg(s, &m, 0), 1);
}

static int recv_fd(int s)
{
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } u;
    char c;
    struct iovec v = {&c, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u.room};
    int fd;

    EQ(recvmsg(s, &m, 0), 1);
    EQ(c, 'F');
    EQ(u.h.cmsg_type, SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(&u.h), sizeof fd);
    return fd;
}

static void *sends_fds(void *arg)
{
    int s = *(int *)arg;

    for (int i = 0; i < 50; i++) {
        int p[2];

        EQ(pipe(p), 0);
        send_fd(s, p[0]);
        EQ(close(p[0]), 0);
        usleep(200);
        EQ(write(p[1], &i, sizeof i), sizeof i);
        close(p[1]);
    }
    return NULL;
}

static void passed_descriptors(void)
{
    int sv[2], v;
    pthread_t t;

    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    t = go(sends_fds, &sv[1]);
    for (int i = 0; i < 50; i++) {
        int fd = recv_fd(sv[0]);

        EQ(read(fd, &v, sizeof v), sizeof v); /* blocks in a descriptor nobody opened here */
        EQ(v, i);
        EQ(read(fd, &v, sizeof v), 0);
        close(fd);
    }
    reap(t);
    close(sv[0]);
    close(sv[1]);
}

static struct sockaddr_un un_at;
static socklen_t un_len;

static void *un_client(void *arg)
{
    int s = socket(AF_UNIX, SOCK_STREAM, 0), v = (int)(long)arg, back = -1;

    EQ(connect(s, (struct sockaddr *)&un_at, un_len), 0); /* blocks while the backlog is full */
    EQ(write(s, &v, sizeof v), sizeof v);
    EQ(read(s, &back, sizeof back), sizeof back);
    EQ(back, v + 1);
    close(s);
    return NULL;
}

static void full_backlog(void)
{
    int l = socket(AF_UNIX, SOCK_STREAM, 0), v;
    pthread_t t[20];

    memset(&un_at, 0, sizeof un_at);
    un_at.sun_family = AF_UNIX;
    un_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                         (size_t)sprintf(un_at.sun_path + 1, "gt-unix-%ld", (long)getpid()));
    EQ(bind(l, (struct sockaddr *)&un_at, un_len), 0);
    EQ(listen(l, 2), 0);
    for (long i = 0; i < 20; i++)
        t[i] = go(un_client, (void *)i);
    pause_ms(50);
    for (int i = 0; i < 20; i++) {
        int a = accept(l, NULL, NULL);

        EQ(read(a, &v, sizeof v), sizeof v);
        v++;
        EQ(write(a, &v, sizeof v), sizeof v);
        close(a);
    }
    for (int i = 0; i < 20; i++)
        reap(t[i]);
    close(l);
    FAILS(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&un_at, un_len),
          ECONNREFUSED);
}

static void *writes_big(void *arg)
{
    unsigned char *data = make_pattern(1 << 20);

    EQ(write(*(int *)arg, data, 1 << 20), 1 << 20);
    free(data);
    return NULL;
}

static void whole_write_unix(void)
{
    int sv[2];
    pthread_t t;

    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    t = go(writes_big, &sv[1]);
    read_slowly(sv[0], 1 << 20);
    reap(t);
    EQ(fcntl(sv[0], F_GETFL), O_RDWR);
    EQ(fcntl(sv[1], F_GETFL), O_RDWR);
    close(sv[0]);
    close(sv[1]);
}

int main(void)
{
    CASE(udp);
    CASE(udp_limits);
    CASE(batches);
    CASE(full_dgram_queue);
    CASE(sequenced_packets);
    CASE(passed_descriptors);
    CASE(full_backlog);
    CASE(whole_write_unix);
    return 0;
}
