/* SPDX-License-Identifier: BSD-2-Clause */
/* poll, ppoll, select, pselect in threads: time limits, many descriptors, many pollers of one,
 * hang-ups, bad descriptors, poll beside a blocked read. */
#include "net.h"
#include <poll.h>
#include <sys/select.h>

static void limits(void)
{
    struct timespec ts = {0, 20000000};
    struct timeval tv = {0, 20000};
    int p[2];
    long begin = now_ms();
    fd_set set;

    EQ(pipe(p), 0);
    struct pollfd f = {.fd = p[0], .events = POLLIN};

    EQ(poll(&f, 1, 20), 0);
    EQ(f.revents, 0);
    EQ(ppoll(&f, 1, &ts, NULL), 0);
    FD_ZERO(&set);
    FD_SET(p[0], &set);
    EQ(select(p[0] + 1, &set, NULL, NULL, &tv), 0);
    CHECK(!FD_ISSET(p[0], &set));
    CHECK(tv.tv_sec == 0 && tv.tv_usec == 0); /* Linux writes back what is left */
    FD_SET(p[0], &set);
    EQ(pselect(p[0] + 1, &set, NULL, NULL, &ts, NULL), 0);
    CHECK(ts.tv_nsec == 20000000);
    CHECK(now_ms() - begin >= 76);
    EQ(poll(&f, 1, 0), 0);
    ts.tv_nsec = 1000000000;
    FAILS(ppoll(&f, 1, &ts, NULL), EINVAL);
    close(p[0]);
    close(p[1]);
}

static void *limits_thread(void *arg)
{
    limits();
    return arg;
}

static void limits_in_threads(void)
{
    pthread_t t[100];

    for (int i = 0; i < 100; i++)
        t[i] = go(limits_thread, NULL);
    for (int i = 0; i < 100; i++)
        reap(t[i]);
}

static void *writes_late(void *arg)
{
    pause_ms(30);
    EQ(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

static void woken_by_data(void)
{
    fd_set r, w;
    int p[2];
    char c;

    EQ(pipe(p), 0);
    struct pollfd f[3] = {{p[0], POLLIN, 7}, {-1, POLLIN, 7}, {p[1], 0, 7}};
    pthread_t t = go(writes_late, &p[1]);

    EQ(poll(f, 3, -1), 1);
    EQ(f[0].revents, POLLIN);
    EQ(f[1].revents, 0); /* negative: ignored, cleared */
    EQ(f[2].revents, 0);
    reap(t);
    EQ(read(p[0], &c, 1), 1);
    f[2].events = POLLOUT;
    EQ(poll(f, 3, -1), 1);
    EQ(f[2].revents, POLLOUT);
    t = go(writes_late, &p[1]);
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    EQ(select(p[0] + 1, &r, &w, NULL, NULL), 1);
    CHECK(FD_ISSET(p[0], &r));
    reap(t);
    FD_SET(p[1], &w);
    EQ(select((p[0] > p[1] ? p[0] : p[1]) + 1, &r, &w, NULL, NULL), 2);
    close(p[0]);
    close(p[1]);
}

static void *closes_late(void *arg)
{
    pause_ms(30);
    close(*(int *)arg);
    return NULL;
}

static void hang_ups(void)
{
    int p[2], q[2], sv[2];
    pthread_t t;

    EQ(pipe(p), 0);
    EQ(pipe(q), 0);
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    struct pollfd f[4] = {{p[0], POLLIN, 0}, {q[1], POLLOUT, 0}, {9999, POLLIN, 0}};

    t = go(closes_late, &p[1]);
    EQ(poll(f, 1, -1), 1);
    EQ(f[0].revents, POLLHUP);
    reap(t);
    close(q[0]);
    EQ(poll(f, 3, -1), 3);
    EQ(f[1].revents, POLLOUT | POLLERR);
    EQ(f[2].revents, POLLNVAL);
    f[3] = (struct pollfd){sv[0], POLLIN | POLLRDHUP, 0};
    t = go(closes_late, &sv[1]);
    EQ(poll(&f[3], 1, -1), 1);
    EQ(f[3].revents, POLLIN | POLLRDHUP | POLLHUP);
    reap(t);
    close(p[0]);
    close(q[1]);
    close(sv[0]);
}

static void bad_select(void)
{
    struct timeval tv = {0, -1};
    int closed = dup(0);
    fd_set set;

    close(closed);
    FD_ZERO(&set);
    FD_SET(closed, &set);
    FAILS(select(closed + 1, &set, NULL, NULL, NULL), EBADF);
    FAILS(select(-1, NULL, NULL, NULL, NULL), EINVAL);
    FAILS(select(0, NULL, NULL, NULL, &tv), EINVAL);
}

enum { MANY = 500 };

static int many[MANY][2];

static void *writes_each(void *arg)
{
    for (int i = 0; i < MANY; i++)
        EQ(write(many[i * 7 % MANY][1], "x", 1), 1);
    return arg;
}

static void many_descriptors(void)
{
    struct pollfd f[MANY];
    int seen = 0;
    char c;
    pthread_t t;

    for (int i = 0; i < MANY; i++) {
        EQ(pipe(many[i]), 0);
        f[i] = (struct pollfd){many[i][0], POLLIN, 0};
    }
    t = go(writes_each, NULL);
    while (seen < MANY) {
        int n = poll(f, MANY, -1), counted = 0;

        CHECK(n > 0);
        for (int i = 0; i < MANY; i++)
            if (f[i].revents) {
                EQ(read(many[i][0], &c, 1), 1);
                counted++;
            }
        EQ(counted, n);
        seen += n;
    }
    reap(t);
    for (int i = 0; i < MANY; i++) {
        close(many[i][0]);
        close(many[i][1]);
    }
}

static int ready[2], polling;

static void *polls_shared(void *arg)
{
    struct pollfd f = {.fd = ready[0], .events = POLLIN};

    bump(&polling);
    EQ(poll(&f, 1, -1), 1);
    EQ(f.revents, POLLIN);
    return arg;
}

static void *reads_shared(void *arg)
{
    char c;

    bump(&polling);
    EQ(read(ready[0], &c, 1), 1);
    return arg;
}

static void many_pollers_of_one(void)
{
    pthread_t t[50];
    char c;

    polling = 0;
    EQ(pipe(ready), 0);
    for (int i = 0; i < 50; i++)
        t[i] = go(polls_shared, NULL);
    await(&polling, 50);
    pause_ms(50);
    EQ(write(ready[1], "x", 1), 1);
    for (int i = 0; i < 50; i++)
        reap(t[i]);
    EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
}

static void poll_beside_read(void)
{
    pthread_t r, p;

    polling = 0;
    EQ(pipe(ready), 0);
    r = go(reads_shared, NULL);
    p = go(polls_shared, NULL);
    await(&polling, 2);
    pause_ms(50);
    EQ(write(ready[1], "xy", 2), 2); /* one is left for the poller */
    reap(p);
    reap(r);
    close(ready[0]);
    close(ready[1]);
}

static void poll_for_room(void)
{
    static char block[65536];
    int sv[2];
    pthread_t t;

    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    while (send(sv[0], block, sizeof block, MSG_DONTWAIT) > 0)
        ;
    struct pollfd f = {.fd = sv[0], .events = POLLOUT};

    EQ(poll(&f, 1, 20), 0);
    t = go(closes_late, &sv[1]);
    EQ(poll(&f, 1, -1), 1);
    CHECK(f.revents & POLLHUP);
    reap(t);
    close(sv[0]);
}

static void *bad_addresses(void *arg)
{
    fd_set *volatile nowhere = (fd_set *)16;
    struct timespec *volatile never = (struct timespec *)16, shortly = {0, 1000};
    struct timeval tv = {0, 1000};

    FAILS(select(8, nowhere, NULL, NULL, &tv), EFAULT);
    FAILS(select(8, NULL, NULL, nowhere, &tv), EFAULT);
    FAILS(poll((struct pollfd *)nowhere, 1, 1), EFAULT);
    FAILS(nanosleep(never, NULL), EFAULT);
    EQ(nanosleep(&shortly, never), 0); /* not written to */
    EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, never, NULL), EFAULT);
    return arg;
}

static void bad_pointers(void)
{
    bad_addresses(NULL);
    reap(go(bad_addresses, NULL));
}

int main(void)
{
    CASE(limits);
    CASE(limits_in_threads);
    CASE(woken_by_data);
    CASE(hang_ups);
    CASE(bad_select);
    CASE(many_descriptors);
    CASE(many_pollers_of_one);
    CASE(poll_beside_read);
    CASE(poll_for_room);
    CASE(bad_pointers);
    return 0;
}
