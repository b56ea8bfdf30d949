/* SPDX-License-Identifier: BSD-2-Clause */
/* Other descriptors that block: eventfd, timerfd, ttys, inotify; and data moved in the kernel by
 * sendfile, splice, tee. */
#include "net.h"
#include <pty.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/timerfd.h>
#include <termios.h>

static void *adds(void *arg)
{
    pause_ms(30);
    EQ(eventfd_write(*(int *)arg, 5), 0);
    return NULL;
}

static void event_counter(void)
{
    int e = eventfd(0, 0);
    eventfd_t v = 0;
    pthread_t t = go(adds, &e);

    EQ(eventfd_read(e, &v), 0);
    EQ(v, 5);
    reap(t);
    EQ(fcntl(e, F_SETFL, O_NONBLOCK), 0);
    FAILS(eventfd_read(e, &v), EAGAIN);
    close(e);
}

static void *takes(void *arg)
{
    eventfd_t v = 0;

    pause_ms(30);
    EQ(eventfd_read(*(int *)arg, &v), 0);
    return (void *)(long)(v == UINT64_MAX - 1);
}

static void event_full(void)
{
    int e = eventfd(0, 0);
    eventfd_t v = 0;
    pthread_t t;

    EQ(eventfd_write(e, UINT64_MAX - 1), 0);
    t = go(takes, &e);
    EQ(eventfd_write(e, 7), 0); /* blocks until the counter has room */
    EQ((long)reap(t), 1);
    EQ(eventfd_read(e, &v), 0);
    EQ(v, 7);
    close(e);
}

static void timer(void)
{
    struct itimerspec once = {{0, 0}, {0, 30000000}}, every = {{0, 5000000}, {0, 5000000}};
    int f = timerfd_create(CLOCK_MONOTONIC, 0);
    long begin = now_ms();
    uint64_t n = 0, sum = 0;

    EQ(timerfd_settime(f, 0, &once, NULL), 0);
    EQ(read(f, &n, sizeof n), sizeof n);
    EQ(n, 1);
    CHECK(now_ms() - begin >= 29);
    EQ(timerfd_settime(f, 0, &every, NULL), 0);
    begin = now_ms();
    while (sum < 10) {
        EQ(read(f, &n, sizeof n), sizeof n);
        sum += n;
    }
    CHECK(now_ms() - begin >= 49);
    once.it_value = after_ms(CLOCK_MONOTONIC, 20);
    EQ(timerfd_settime(f, TFD_TIMER_ABSTIME, &once, NULL), 0);
    EQ(read(f, &n, sizeof n), sizeof n);
    close(f);
}

static void *timer_thread(void *arg)
{
    timer();
    return arg;
}

static void timers(void)
{
    pthread_t t[20];

    for (int i = 0; i < 20; i++)
        t[i] = go(timer_thread, NULL);
    for (int i = 0; i < 20; i++)
        reap(t[i]);
}

static void *types(void *arg)
{
    int m = *(int *)arg;
    char echo[64];

    pause_ms(30);
    EQ(write(m, "a line\n", 7), 7);
    EQ(read_all(m, echo, 8), 8);
    CHECK(memcmp(echo, "a line\r\n", 8) == 0);
    EQ(read_all(m, echo, 8), 8);
    CHECK(memcmp(echo, "answer\r\n", 8) == 0);
    return NULL;
}

static void terminal(void)
{
    char line[64];
    int m, s;
    pthread_t t;

    EQ(openpty(&m, &s, NULL, NULL, NULL), 0);
    t = go(types, &m);
    EQ(read(s, line, sizeof line), 7); /* blocks for a whole line */
    CHECK(memcmp(line, "a line\n", 7) == 0);
    EQ(write(s, "answer\n", 7), 7);
    reap(t);
    EQ(fcntl(s, F_GETFL) & O_NONBLOCK, 0);
    EQ(fcntl(m, F_GETFL) & O_NONBLOCK, 0);
    close(s);
    FAILS(read(m, line, 1), EIO);
    close(m);
}

static void *makes_file(void *arg)
{
    char name[128];
    int fd;

    pause_ms(30);
    snprintf(name, sizeof name, "%s/new", (const char *)arg);
    fd = open(name, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    close(fd);
    EQ(unlink(name), 0);
    return NULL;
}

static void notification(void)
{
    char dir[] = "/tmp/gt-notify-XXXXXX";
    union {
        struct inotify_event e;
        char room[512];
    } u;
    int f = inotify_init1(0);
    pthread_t t;

    CHECK(mkdtemp(dir));
    CHECK(inotify_add_watch(f, dir, IN_CREATE) > 0);
    t = go(makes_file, dir);
    CHECK(read(f, &u, sizeof u) > 0);
    CHECK(strcmp(u.e.name, "new") == 0);
    reap(t);
    close(f);
    EQ(rmdir(dir), 0);
}

enum { BIG = 1 << 20 };

static int pattern_file(void)
{
    char name[] = "/tmp/gt-data-XXXXXX";
    unsigned char *data = make_pattern(BIG);
    int fd = mkstemp(name);

    CHECK(fd >= 0);
    unlink(name);
    EQ(write(fd, data, BIG), BIG);
    EQ(lseek(fd, 0, SEEK_SET), 0);
    free(data);
    return fd;
}

static void *slow_reader(void *arg)
{
    read_slowly(*(int *)arg, BIG);
    return NULL;
}

static void send_file(void)
{
    int f = pattern_file(), fd[2];
    off_t off = 0;
    pthread_t t;

    pair_tcp(fd);
    t = go(slow_reader, &fd[1]);
    while (off < BIG)
        CHECK(sendfile(fd[0], f, &off, (size_t)(BIG - off)) > 0);
    reap(t);
    close(f);
    close(fd[0]);
    close(fd[1]);
}

static int moves[2][2];

static void *splices(void *arg)
{
    size_t left = BIG;

    while (left > 0) {
        ssize_t r = splice(moves[0][0], NULL, moves[1][1], NULL, left, 0);

        CHECK(r > 0);
        left -= (size_t)r;
    }
    return arg;
}

static void *writes_big(void *arg)
{
    unsigned char *data = make_pattern(BIG);

    pause_ms(20);
    EQ(write(*(int *)arg, data, BIG), BIG);
    free(data);
    return NULL;
}

static void splice_through(void)
{
    int sv[2];
    pthread_t s, w;

    EQ(pipe(moves[0]), 0);
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    moves[1][1] = sv[0];
    s = go(splices, NULL); /* blocks: nothing in the pipe yet */
    w = go(writes_big, &moves[0][1]);
    read_slowly(sv[1], BIG);
    reap(s);
    reap(w);
    close(sv[0]);
    close(sv[1]);
    close(moves[0][0]);
    close(moves[0][1]);
}

static void *tees(void *arg)
{
    EQ(tee(moves[0][0], moves[1][1], 100, 0), 4);
    return arg;
}

static void tee_copies(void)
{
    char got[8];
    pthread_t t;

    EQ(pipe(moves[0]), 0);
    EQ(pipe(moves[1]), 0);
    t = go(tees, NULL);
    pause_ms(30);
    EQ(write(moves[0][1], "both", 4), 4);
    reap(t);
    EQ(read(moves[0][0], got, 8), 4);
    EQ(read(moves[1][0], got, 8), 4);
    for (int i = 0; i < 4; i++)
        close(moves[i / 2][i % 2]);
}

int main(void)
{
    CASE(event_counter);
    CASE(event_full);
    CASE(timer);
    CASE(timers);
    CASE(terminal);
    CASE(notification);
    CASE(send_file);
    CASE(splice_through);
    CASE(tee_copies);
    return 0;
}
