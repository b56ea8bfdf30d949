/* SPDX-License-Identifier: BSD-2-Clause */
/* Pipes and FIFOs: blocking both ways, whole writes to slow readers, end of file, broken pipes,
 * O_NONBLOCK, many pairs. */
#include "net.h"
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { BIG = 1 << 20 };

static void *slow_reader(void *arg)
{
    read_slowly(*(int *)arg, BIG);
    return NULL;
}

static void whole_write(void)
{
    unsigned char *data = make_pattern(BIG);
    int p[2];
    pthread_t t;

    EQ(pipe(p), 0);
    t = go(slow_reader, &p[0]);
    EQ(write(p[1], data, BIG), BIG);
    reap(t);
    free(data);
    close(p[0]);
    close(p[1]);
}

static void whole_writev(void)
{
    unsigned char *data = make_pattern(BIG);
    struct iovec v[64];
    int p[2];
    pthread_t t;

    for (int i = 0; i < 64; i++) {
        v[i].iov_base = data + (size_t)i * (BIG / 64);
        v[i].iov_len = BIG / 64;
    }
    EQ(pipe(p), 0);
    t = go(slow_reader, &p[0]);
    EQ(writev(p[1], v, 64), BIG);
    reap(t);
    free(data);
    close(p[0]);
    close(p[1]);
}

static void *late_hello(void *arg)
{
    pause_ms(30);
    EQ(write(*(int *)arg, "hello", 5), 5);
    return NULL;
}

static void blocking_readv(void)
{
    char a[2] = "", b[8] = "";
    struct iovec v[2] = {{a, 2}, {b, 8}};
    int p[2];
    pthread_t t;

    EQ(pipe(p), 0);
    t = go(late_hello, &p[1]);
    EQ(readv(p[0], v, 2), 5);
    CHECK(memcmp(a, "he", 2) == 0 && memcmp(b, "llo", 3) == 0);
    reap(t);
    close(p[0]);
    close(p[1]);
}

static void *closes_late(void *arg)
{
    pause_ms(30);
    close(*(int *)arg);
    return NULL;
}

static void end_of_file(void)
{
    int p[2];
    char c;
    pthread_t t;

    EQ(pipe(p), 0);
    t = go(closes_late, &p[1]);
    EQ(read(p[0], &c, 1), 0);
    reap(t);
    close(p[0]);
}

static void broken_pipe(void)
{
    unsigned char *data = make_pattern(BIG);
    int p[2];
    pthread_t t;

    signal(SIGPIPE, SIG_IGN);
    EQ(pipe(p), 0);
    t = go(closes_late, &p[0]);
    CHECK(write(p[1], data, BIG) < BIG); /* part went into the pipe, then the reader left */
    FAILS(write(p[1], data, 1), EPIPE);
    reap(t);
    close(p[1]);
    free(data);
}

static void nonblocking(void)
{
    static char block[65536];
    long sum = 0;
    ssize_t r;
    int p[2];
    char c;

    EQ(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
    FAILS(read(p[0], &c, 1), EAGAIN);
    while ((r = write(p[1], block, sizeof block)) > 0)
        sum += r;
    EQ(errno, EAGAIN);
    EQ(sum, fcntl(p[1], F_GETPIPE_SZ));
    EQ(fcntl(p[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    EQ(fcntl(p[0], F_SETFL, 0), 0);
    EQ(read(p[0], block, sizeof block), (ssize_t)sizeof block);
    close(p[0]);
    close(p[1]);
}

static void becomes_nonblocking(void)
{
    int p[2];
    char c;
    pthread_t t;

    EQ(pipe(p), 0);
    t = go(late_hello, &p[1]);
    EQ(read(p[0], &c, 1), 1);
    reap(t);
    EQ(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
    EQ(read(p[0], &c, 1), 1);
    for (int i = 0; i < 3; i++)
        EQ(read(p[0], &c, 1), 1);
    FAILS(read(p[0], &c, 1), EAGAIN);
    EQ(fcntl(p[0], F_SETFL, 0), 0);
    t = go(late_hello, &p[1]);
    EQ(read(p[0], &c, 1), 1);
    reap(t);
    close(p[0]);
    close(p[1]);
}

static void bad_arguments(void)
{
    char *volatile nowhere = (char *)8;
    int p[2];
    char c;

    EQ(pipe(p), 0);
    FAILS(read(p[1], &c, 1), EBADF);
    FAILS(write(p[0], &c, 1), EBADF);
    FAILS(read(-1, &c, 1), EBADF);
    EQ(write(p[1], "x", 1), 1);
    FAILS(read(p[0], nowhere, 1), EFAULT);
    EQ(read(p[0], &c, 0), 0);
    close(p[0]);
    close(p[1]);
    FAILS(read(p[0], &c, 1), EBADF);
    FAILS(close(p[0]), EBADF);
}

struct pair {
    int in, out;
};

static void *echoes(void *arg)
{
    struct pair *p = (struct pair *)arg;
    char c;

    while (read(p->in, &c, 1) == 1)
        EQ(write(p->out, &c, 1), 1);
    close(p->out);
    return NULL;
}

static void *asks(void *arg)
{
    struct pair *p = (struct pair *)arg;
    char c;

    for (int i = 0; i < 200; i++) {
        char want = (char)i;

        EQ(write(p->out, &want, 1), 1);
        EQ(read(p->in, &c, 1), 1);
        EQ(c, want);
    }
    close(p->out);
    EQ(read(p->in, &c, 1), 0);
    return NULL;
}

static void many_pairs(void)
{
    enum { N = 100 };
    struct pair a[N], b[N];
    pthread_t t[N], u[N];

    for (int i = 0; i < N; i++) {
        int x[2], y[2];

        EQ(pipe(x), 0);
        EQ(pipe(y), 0);
        a[i] = (struct pair){x[0], y[1]};
        b[i] = (struct pair){y[0], x[1]};
        t[i] = go(echoes, &a[i]);
        u[i] = go(asks, &b[i]);
    }
    for (int i = 0; i < N; i++) {
        reap(u[i]);
        reap(t[i]);
        close(a[i].in);
        close(b[i].in);
    }
}

/* A chain of threads; a token travels through all pipes. */
static int chain[201][2];

static void *passes_on(void *arg)
{
    long i = (long)arg;
    int v;

    for (int round = 0; round < 5; round++) {
        EQ(read(chain[i][0], &v, sizeof v), sizeof v);
        v++;
        EQ(write(chain[i + 1][1], &v, sizeof v), sizeof v);
    }
    return NULL;
}

static void long_chain(void)
{
    pthread_t t[200];

    for (int i = 0; i <= 200; i++)
        EQ(pipe(chain[i]), 0);
    for (long i = 0; i < 200; i++)
        t[i] = go(passes_on, (void *)i);
    for (int round = 0; round < 5; round++) {
        int v = round;

        EQ(write(chain[0][1], &v, sizeof v), sizeof v);
        EQ(read(chain[200][0], &v, sizeof v), sizeof v);
        EQ(v, round + 200);
    }
    for (int i = 0; i < 200; i++)
        reap(t[i]);
    for (int i = 0; i <= 200; i++) {
        close(chain[i][0]);
        close(chain[i][1]);
    }
}

static char fifo[64];

static void *opens_to_write(void *arg)
{
    int fd;

    pause_ms(30);
    fd = open(fifo, O_WRONLY);
    CHECK(fd >= 0);
    pause_ms(30);
    EQ(write(fd, "fifo", 4), 4);
    close(fd);
    return arg;
}

static void fifo_by_path(void)
{
    char got[8] = "";
    pthread_t t;
    int fd;

    snprintf(fifo, sizeof fifo, "/tmp/gt-fifo-%ld", (long)getpid());
    EQ(mkfifo(fifo, 0600), 0);
    FAILS(open(fifo, O_WRONLY | O_NONBLOCK), ENXIO);
    for (int i = 0; i < 3; i++) {
        t = go(opens_to_write, NULL);
        fd = open(fifo, O_RDONLY); /* blocks until the writer opens */
        CHECK(fd >= 0);
        EQ(read_all(fd, got, sizeof got), 4); /* blocks in read, ends at the close */
        CHECK(memcmp(got, "fifo", 4) == 0);
        close(fd);
        reap(t);
    }
    EQ(unlink(fifo), 0);
}

int main(void)
{
    CASE(whole_write);
    CASE(whole_writev);
    CASE(blocking_readv);
    CASE(end_of_file);
    CASE(broken_pipe);
    CASE(nonblocking);
    CASE(becomes_nonblocking);
    CASE(bad_arguments);
    CASE(many_pairs);
    CASE(long_chain);
    CASE(fifo_by_path);
    return 0;
}
