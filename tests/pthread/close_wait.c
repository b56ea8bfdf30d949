/* SPDX-License-Identifier: BSD-2-Clause */
/* close, dup2 and shutdown while another thread is blocked in the descriptor.  The kernel's rule:
 * the blocked call holds the description, so it stays blocked and ends with that one's data. */
#include "net.h"

static int blocked;

static void *reads_byte(void *arg)
{
    int fd = *(int *)arg;
    char c = 0;
    ssize_t r;

    bump(&blocked);
    r = read(fd, &c, 1);
    return (void *)(r == 1 ? (long)c : -1L - (r < 0 ? errno : 0));
}

static pthread_t block_in(int *fd)
{
    pthread_t t;

    blocked = 0;
    t = go(reads_byte, fd);
    await(&blocked, 1);
    pause_ms(50);
    return t;
}

static void pipe_closed(void)
{
    int p[2];
    pthread_t t;

    EQ(pipe(p), 0);
    t = block_in(&p[0]);
    EQ(close(p[0]), 0);
    pause_ms(20);
    EQ(write(p[1], "a", 1), 1);
    EQ((long)reap(t), 'a');
    close(p[1]);
}

static void socket_closed(void)
{
    int sv[2];
    pthread_t t;

    pair_tcp(sv);
    t = block_in(&sv[0]);
    EQ(close(sv[0]), 0);
    pause_ms(20);
    EQ(write(sv[1], "b", 1), 1);
    EQ((long)reap(t), 'b');
    close(sv[1]);
}

static void number_taken_over(void)
{
    int p[2], q[2];
    pthread_t t;
    char c;

    EQ(pipe(p), 0);
    EQ(pipe(q), 0);
    t = block_in(&p[0]);
    EQ(dup2(q[0], p[0]), p[0]);
    EQ(write(q[1], "n", 1), 1); /* for whoever reads the number from now on */
    pause_ms(30);
    EQ(write(p[1], "o", 1), 1); /* for the thread that blocked before */
    EQ((long)reap(t), 'o');
    EQ(read(p[0], &c, 1), 1);
    EQ(c, 'n');
    close(p[0]);
    close(p[1]);
    close(q[0]);
    close(q[1]);
}

static void shut_down(void)
{
    int sv[2];
    pthread_t t;

    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    t = block_in(&sv[0]);
    EQ(shutdown(sv[0], SHUT_RDWR), 0);
    EQ((long)reap(t), -1);
    EQ(close(sv[0]), 0);
    EQ(close(sv[1]), 0);
}

static void writer_goes(void)
{
    int sv[2];
    pthread_t t;

    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    t = block_in(&sv[0]);
    EQ(close(sv[1]), 0);
    EQ((long)reap(t), -1);
    EQ(close(sv[0]), 0);
}

/* Threads open, use and close descriptors all the time; nobody's data goes astray. */
static void *churns(void *arg)
{
    for (int i = 0; i < 100; i++) {
        char want = (char)(long)arg, got = 0;
        int p[2];

        EQ(i % 2 ? pipe(p) : socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
        EQ(write(p[1], &want, 1), 1);
        EQ(read(p[0], &got, 1), 1);
        EQ(got, want);
        if (i % 3 == 0)
            usleep(50);
        EQ(close(p[0]), 0);
        EQ(close(p[1]), 0);
    }
    return NULL;
}

static void churn(void)
{
    pthread_t t[30];

    for (long i = 0; i < 30; i++)
        t[i] = go(churns, (void *)(i + 1));
    for (int i = 0; i < 30; i++)
        reap(t[i]);
}

int main(void)
{
    CASE(pipe_closed);
    CASE(socket_closed);
    CASE(number_taken_over);
    CASE(shut_down);
    CASE(writer_goes);
    CASE(churn);
    return 0;
}
