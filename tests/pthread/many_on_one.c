/* SPDX-License-Identifier: BSD-2-Clause */
/* Many threads blocked on one descriptor: acceptors of a listener, readers of a pipe, an eventfd, a
 * datagram socket, writers of a pipe.  One event is not one item: everybody must get his. */
#include "net.h"
#include <sys/eventfd.h>

enum { N = 50 };

static int blocked, served, fd[2];
static struct sockaddr_in at;
static pthread_barrier_t all;

/* Takes one connection and keeps it until all acceptors have one: nobody can help another. */
static void *accepts_one(void *arg)
{
    int a;

    bump(&blocked);
    a = accept(fd[0], NULL, NULL);
    CHECK(a >= 0);
    pthread_barrier_wait(&all);
    EQ(write(a, "k", 1), 1);
    close(a);
    return arg;
}

static void one_each_accept(void)
{
    pthread_t t[N];
    int c[N];
    char k;

    blocked = 0;
    pthread_barrier_init(&all, NULL, N);
    fd[0] = listen_tcp(128, &at);
    for (int i = 0; i < N; i++)
        t[i] = go(accepts_one, NULL);
    await(&blocked, N);
    pause_ms(50);
    for (int i = 0; i < N; i++)
        c[i] = connect_tcp(&at);
    for (int i = 0; i < N; i++) {
        EQ(read(c[i], &k, 1), 1);
        close(c[i]);
    }
    for (int i = 0; i < N; i++)
        reap(t[i]);
    close(fd[0]);
}

static void *accepts_many(void *arg)
{
    for (;;) {
        int a = accept(fd[0], NULL, NULL);
        char c;

        CHECK(a >= 0);
        EQ(read(a, &c, 1), 1);
        if (c == 'x')
            bump(&served);
        EQ(write(a, &c, 1), 1);
        close(a);
        if (c == 'q')
            return arg;
    }
}

static void *connects(void *arg)
{
    for (int i = 0; i < 50; i++) {
        int s = connect_tcp(&at);
        char c;

        EQ(write(s, arg ? "q" : "x", 1), 1);
        EQ(read(s, &c, 1), 1);
        close(s);
        if (arg)
            break;
    }
    return NULL;
}

static void every_connection_served(void)
{
    pthread_t t[N], c[10];
    int one;

    served = 0;
    fd[0] = listen_tcp(128, &at);
    for (int i = 0; i < N; i++)
        t[i] = go(accepts_many, NULL);
    for (int i = 0; i < 10; i++)
        c[i] = go(connects, NULL);
    for (int i = 0; i < 10; i++)
        reap(c[i]);
    EQ(served, 500);
    for (int i = 0; i < N; i++)
        connects(&one);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    close(fd[0]);
}

static void *reads_one(void *arg)
{
    uint64_t item;

    bump(&blocked);
    CHECK(read(fd[0], &item, (size_t)(long)arg) > 0);
    pthread_barrier_wait(&all);
    return NULL;
}

static pthread_t reader[N];

static void start_readers(long item)
{
    blocked = 0;
    pthread_barrier_init(&all, NULL, N);
    for (int i = 0; i < N; i++)
        reader[i] = go(reads_one, (void *)item);
    await(&blocked, N);
    pause_ms(50);
}

static void join_readers(void)
{
    for (int i = 0; i < N; i++)
        reap(reader[i]);
}

static void one_write_to_many_readers(void)
{
    char bytes[N] = "";

    EQ(pipe(fd), 0);
    start_readers(1);
    EQ(write(fd[1], bytes, N), N);
    join_readers();
    close(fd[0]);
    close(fd[1]);
}

static void one_event_to_many_readers(void)
{
    fd[0] = eventfd(0, EFD_SEMAPHORE);
    start_readers(8);
    EQ(eventfd_write(fd[0], N), 0);
    join_readers();
    close(fd[0]);
}

static void datagrams_to_many_readers(void)
{
    EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
    start_readers(8);
    for (int i = 0; i < N; i++)
        EQ(send(fd[1], "datagram", 8, 0), 8);
    join_readers();
    close(fd[0]);
    close(fd[1]);
}

static void *sees_end(void *arg)
{
    char c;

    bump(&blocked);
    EQ(read(fd[0], &c, 1), 0);
    return arg;
}

static void end_reaches_all(void)
{
    blocked = 0;
    EQ(pipe(fd), 0);
    for (int i = 0; i < N; i++)
        reader[i] = go(sees_end, NULL);
    await(&blocked, N);
    pause_ms(50);
    close(fd[1]);
    join_readers();
    close(fd[0]);
}

static void *writes_block(void *arg)
{
    char block[4096];

    memset(block, (int)(long)arg, sizeof block);
    for (int i = 0; i < 20; i++)
        EQ(write(fd[1], block, sizeof block), (ssize_t)sizeof block);
    return NULL;
}

/* Writes of up to PIPE_BUF bytes are never mixed. */
static void many_writers(void)
{
    char block[4096];

    EQ(pipe(fd), 0);
    for (long i = 0; i < N; i++)
        reader[i] = go(writes_block, (void *)(i + 1));
    for (int i = 0; i < N * 20; i++) {
        EQ(read_all(fd[0], block, sizeof block), sizeof block);
        for (size_t k = 1; k < sizeof block; k++)
            EQ(block[k], block[0]);
    }
    join_readers();
    close(fd[0]);
    close(fd[1]);
}

int main(void)
{
    CASE(one_each_accept);
    CASE(every_connection_served);
    CASE(one_write_to_many_readers);
    CASE(one_event_to_many_readers);
    CASE(datagrams_to_many_readers);
    CASE(end_reaches_all);
    CASE(many_writers);
    return 0;
}
