/* SPDX-License-Identifier: BSD-2-Clause */
/* core/sched/netpoll.c, on real descriptors: who is woken by an edge, records and generations,
 * descriptors that are closed under their waiters or behind the poller's back. */
#include "tests/unit/sched_fake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/sched/netpoll.h"

#define R      GT_POLL_READ
#define W      GT_POLL_WRITE
#define MS(n)  ((n)*GT_MS)
#define RDBIT  (1u << GT_POLL_READ)
#define WRBIT  (1u << GT_POLL_WRITE)
#define FAR_FD (1 << 20) /* beyond every slot */

static void setup(void)
{
    fake_init();
    ck_assert_int_eq(gt_netpoll_init(), 0);
}

/* Polls, readies whom it woke; returns how many. */
static int poll_for(int64_t ns)
{
    int n = 0;
    struct gt_g *next;
    for (struct gt_g *g = gt_netpoll(ns); g; g = next, n++) {
        next = g->schedlink;
        gt_goready(g, false);
    }
    return n;
}

/* A waiter: one call of gt_netpoll_wait or of gt_netpoll_wait_many on its own goroutine. */
struct waiter {
    struct fake_g f;
    struct gt_pollfd *pd;
    enum gt_polldir dir;
    unsigned many; /* direction bits: waits as poll does; 0: as read or write does */
    int64_t when;
    _Atomic bool done;
    int result;
};

static void wait_once(struct fake_g *f, void *arg)
{
    struct waiter *w = arg;
    (void)f;
    if (w->many) {
        struct gt_pollreq q = {.pd = w->pd, .dirs = w->many};
        q.seq[R] = gt_netpoll_seq(w->pd, R);
        q.seq[W] = gt_netpoll_seq(w->pd, W);
        w->result = gt_netpoll_wait_many(&q, 1, w->when);
    } else {
        uint32_t seq = gt_netpoll_seq(w->pd, w->dir);
        enum gt_reason why = w->dir == R ? GT_R_IO_READ : GT_R_IO_WRITE;
        w->result = gt_netpoll_wait(w->pd, w->dir, seq, w->when, why);
    }
    gt_netpoll_put(w->pd);
    store_rel(&w->done, true);
}

static void start_on(struct waiter *w, struct gt_pollfd *pd, enum gt_polldir dir, unsigned many,
                     int64_t when)
{
    *w = (struct waiter){.pd = pd, .dir = dir, .many = many, .when = when};
    fake_g_start(&w->f, wait_once, w);
    UNIT_UNTIL(fake_g_sleeps(&w->f) || load_acq(&w->done));
}

/* Starts it and waits until it sleeps (a read or write), or sleeps or has returned (a poll). */
static void start(struct waiter *w, int fd, enum gt_polldir dir)
{
    start_on(w, gt_netpoll_get(fd), dir, 0, GT_NEVER);
    ck_assert(!load_acq(&w->done));
}

static void start_many(struct waiter *w, int fd, unsigned dirs)
{
    start_on(w, gt_netpoll_get(fd), R, dirs, GT_NEVER);
}

static int end(struct waiter *w)
{
    fake_g_join(&w->f);
    return w->result;
}

static int count_awake(struct waiter *w, int n)
{
    int awake = 0;
    for (int i = 0; i < n; i++)
        awake += !fake_g_sleeps(&w[i].f);
    return awake;
}

static void make_pipe(int fd[2])
{
    ck_assert_int_eq(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
}

static void make_pair(int fd[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
}

static void send_byte(int fd)
{
    ck_assert_int_eq(write(fd, "x", 1), 1);
}

/* Fills a socket until it takes no more. */
static void stuff(int fd)
{
    static const char block[4096];
    while (write(fd, block, sizeof(block)) > 0)
        ;
    ck_assert_int_eq(errno, EAGAIN);
}

/* ---- records ---- */

START_TEST(test_records)
{
    struct gt_pollfd *a = gt_netpoll_get(5), *b = gt_netpoll_get(6);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_ne(a, b);
    ck_assert_int_eq(a->fd, 5);
    ck_assert_uint_eq(a->kind, GT_FD_UNKNOWN);
    ck_assert_ptr_eq(gt_netpoll_get(5), a);
    ck_assert_uint_eq(a->refs, 2);
    gt_netpoll_put(a);
    gt_netpoll_put(a);
    ck_assert_uint_eq(a->refs, 0);
    ck_assert_ptr_eq(gt_netpoll_peek(5), a); /* it stays */
    ck_assert_ptr_null(gt_netpoll_peek(7));
    ck_assert_ptr_null(gt_netpoll_peek(900000));
    ck_assert_ptr_nonnull(gt_netpoll_get(FAR_FD - 1));
    ck_assert_ptr_null(gt_netpoll_get(FAR_FD));
    ck_assert_ptr_null(gt_netpoll_get(-1));
    ck_assert_ptr_null(gt_netpoll_peek(-1));
    gt_netpoll_closing(-1); /* nothing to do, as for these */
    gt_netpoll_closing(FAR_FD);
    gt_netpoll_closing(8);
}
END_TEST

START_TEST(test_own_descriptors)
{
    int own = 0;
    for (int fd = 0; fd < 1 << 16; fd++)
        if (gt_netpoll_is_own(fd)) {
            own++;
            ck_assert_int_ge(fd, 64); /* out of the program's way */
            ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        }
    for (int fd = 1 << 16; fd < FAR_FD; fd++)
        own += gt_netpoll_is_own(fd);
    ck_assert_int_eq(own, 2);
    ck_assert_int_eq(gt_netpoll_init(), 0); /* once */
}
END_TEST

START_TEST(test_hints)
{
    int p[2];
    make_pipe(p);
    gt_netpoll_opened(p[0], GT_FD_PIPE, GT_FDF_OWNED | GT_FDF_NONBLOCK);
    struct gt_pollfd *pd = gt_netpoll_peek(p[0]);
    uint32_t gen = pd->gen;
    ck_assert_uint_eq(pd->kind, GT_FD_PIPE);
    ck_assert_uint_eq(pd->flags, GT_FDF_OWNED | GT_FDF_NONBLOCK);
    gt_netpoll_shared();
    ck_assert_uint_eq(pd->flags, GT_FDF_NONBLOCK);
    gt_netpoll_opened(p[0], GT_FD_STREAM, GT_FDF_TCP); /* another one, by that number */
    ck_assert_uint_eq(pd->kind, GT_FD_STREAM);
    ck_assert_uint_eq(pd->flags, GT_FDF_TCP);
    ck_assert_uint_ne(pd->gen, gen);
    gt_netpoll_closing(p[0]);
    ck_assert_uint_eq(pd->kind, GT_FD_UNKNOWN);
    ck_assert_uint_eq(pd->flags, 0);
    ck_assert_uint_eq(pd->refs, 0);
}
END_TEST

/* ---- one waiter ---- */

START_TEST(test_wake_by_data)
{
    struct waiter w;
    int p[2];
    make_pipe(p);
    start(&w, p[0], R);
    ck_assert_uint_eq(gt_netpoll_waiters(), 1);
    ck_assert_int_eq(poll_for(0), 0);
    send_byte(p[1]);
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    ck_assert_int_eq(end(&w), 0);
    ck_assert_uint_eq(gt_netpoll_waiters(), 0);
    ck_assert_ptr_null(w.pd->waiters);
    ck_assert_uint_eq(w.pd->refs, 0);
    ck_assert_uint_eq(gt_stat_get(netpoll_wakes), 1);
}
END_TEST

/* The data came before anybody had registered the descriptor: no edge is to come, but registering
 * reports it. */
START_TEST(test_data_before_registration)
{
    struct waiter w;
    int p[2];
    make_pipe(p);
    send_byte(p[1]);
    if (_i) /* known to be ours: registered once; else again with each wait */
        gt_netpoll_opened(p[0], GT_FD_PIPE, GT_FDF_OWNED);
    start(&w, p[0], R);
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    ck_assert_int_eq(end(&w), 0);
    if (_i)
        return;
    start(&w, p[0], R); /* the byte is still there */
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    ck_assert_int_eq(end(&w), 0);
}
END_TEST

/* What came between the attempt and the wait must not be slept over. */
START_TEST(test_sequence_moved)
{
    int p[2];
    struct fake_g self;
    fake_g_init(&self);
    make_pipe(p);
    struct gt_pollfd *pd = gt_netpoll_get(p[0]);
    struct waiter w;
    start(&w, p[0], R); /* registers it */
    uint32_t seq = gt_netpoll_seq(pd, R);
    send_byte(p[1]);
    poll_for(GT_SEC);
    end(&w);
    ck_assert_uint_ne(gt_netpoll_seq(pd, R), seq);
    gt_tls.g = &self.g; /* would sleep for ever */
    ck_assert_int_eq(gt_netpoll_wait(pd, R, seq, GT_NEVER, GT_R_IO_READ), 0);
    struct gt_pollreq q = {.pd = pd, .seq = {seq, gt_netpoll_seq(pd, W)}, .dirs = RDBIT | WRBIT};
    ck_assert_int_eq(gt_netpoll_wait_many(&q, 1, GT_NEVER), 0);
    gt_tls.g = NULL;
    ck_assert_uint_eq(self.slept, 0);
    ck_assert_ptr_null(pd->waiters);
}
END_TEST

START_TEST(test_deadline)
{
    struct waiter w[2];
    int p[2];
    make_pipe(p);
    store_rlx(&fake_now, 0);
    start_on(&w[0], gt_netpoll_get(p[0]), R, 0, MS(5));
    start_on(&w[1], gt_netpoll_get(p[0]), R, RDBIT, MS(6));
    ck_assert_int_eq(gt_timer_run(&fake_p, MS(5)), MS(6));
    ck_assert_int_eq(end(&w[0]), -ETIMEDOUT);
    ck_assert_int_eq(gt_timer_run(&fake_p, MS(6)), INT64_MAX);
    ck_assert_int_eq(end(&w[1]), -ETIMEDOUT);
    ck_assert_ptr_null(w[0].pd->waiters);
    ck_assert_uint_eq(gt_netpoll_waiters(), 0);
}
END_TEST

START_TEST(test_signal)
{
    struct waiter w[2];
    int p[2];
    make_pipe(p);
    start(&w[0], p[0], R);
    start_many(&w[1], p[0], RDBIT);
    for (int i = 0; i < 2; i++) {
        uint64_t t = load_acq(&w[i].f.g.intr_ticket) & GT_PK_SEQ;
        ck_assert(gt_park_wake(&w[i].f.g.pk, t, GT_WAKE_SIGNAL));
        ck_assert_int_eq(end(&w[i]), -EINTR);
    }
    ck_assert_ptr_null(w[0].pd->waiters);
}
END_TEST

/* An edge goes to who still waits, not to one that has lost. */
START_TEST(test_no_wake_for_losers)
{
    struct waiter w[3];
    struct gt_wakee wk;
    int p[2];
    make_pipe(p);
    for (int i = 0; i < 3; i++)
        start(&w[i], p[0], R);
    for (int i = 0; i < 2; i++) /* lost, but still in the list */
        ck_assert(gt_park_win(&w[i].f.g.pk, load_acq(&w[i].f.g.intr_ticket) & GT_PK_SEQ,
                              GT_WAKE_TIMEOUT, &wk));
    send_byte(p[1]);
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    ck_assert_int_eq(end(&w[2]), 0);
    for (int i = 0; i < 2; i++) {
        gt_goready(&w[i].f.g, false);
        ck_assert_int_eq(end(&w[i]), -ETIMEDOUT);
    }
}
END_TEST

START_TEST(test_unpollable)
{
    static const char *const path[] = {"/proc/self/exe", "/", "/dev/null"};
    struct fake_g self;
    int p[2];
    fake_g_init(&self);
    gt_tls.g = &self.g;
    int fd = open(path[_i], O_RDONLY);
    struct gt_pollfd *pd = gt_netpoll_get(fd);
    struct gt_pollreq q = {.pd = pd, .dirs = RDBIT};
    for (int i = 0; i < 2; i++) {
        q.seq[R] = gt_netpoll_seq(pd, R);
        ck_assert_int_eq(gt_netpoll_wait(pd, R, q.seq[R], GT_NEVER, GT_R_IO_READ), -EPERM);
        ck_assert_int_eq(gt_netpoll_wait_many(&q, 1, GT_NEVER), -EPERM);
    }
    gt_tls.g = NULL;
    ck_assert(pd->unpollable);
    ck_assert_ptr_null(pd->waiters);
    gt_netpoll_put(pd);
    gt_netpoll_closing(fd);
    close(fd);
    make_pipe(p); /* the number comes back as a pipe */
    ck_assert_int_eq(p[0], fd);
    struct waiter w;
    start(&w, fd, R);
    send_byte(p[1]);
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    ck_assert_int_eq(end(&w), 0);
}
END_TEST

/* ---- many waiters of one descriptor ---- */

START_TEST(test_one_reader_all_pollers)
{
    struct waiter r[3], p[3];
    int s[2];
    make_pair(s);
    stuff(s[0]);
    for (int i = 0; i < 3; i++) {
        start(&r[i], s[0], R);
        start_many(&p[i], s[0], RDBIT);
    }
    send_byte(s[1]);
    ck_assert_int_eq(poll_for(GT_SEC), 4);
    ck_assert_int_eq(count_awake(r, 3), 1);
    ck_assert_int_eq(count_awake(p, 3), 3);
    ck_assert(!fake_g_sleeps(&r[0].f)); /* the one that has waited longest */
    for (int i = 1; i < 3; i++) {       /* one that succeeds wakes the next */
        gt_netpoll_pass(r[0].pd, W);    /* not for the other direction */
        ck_assert_int_eq(count_awake(r, 3), i);
        gt_netpoll_pass(r[0].pd, R);
        ck_assert_int_eq(count_awake(r, 3), i + 1);
    }
    gt_netpoll_pass(r[0].pd, R); /* nobody left */
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(end(&r[i]), 0);
        ck_assert_int_eq(end(&p[i]), 0);
    }
    ck_assert_ptr_null(r[0].pd->waiters);
}
END_TEST

START_TEST(test_directions)
{
    struct waiter w[4];
    int s[2];
    char b[1 << 16];
    make_pair(s);
    stuff(s[0]);
    start(&w[0], s[0], R);
    start(&w[1], s[0], W);
    start_many(&w[2], s[0], WRBIT);
    start_many(&w[3], s[0], RDBIT | WRBIT);
    send_byte(s[1]);
    ck_assert_int_eq(poll_for(GT_SEC), 2);
    ck_assert(fake_g_sleeps(&w[1].f) && fake_g_sleeps(&w[2].f));
    while (read(s[1], b, sizeof(b)) > 0) /* room again */
        ;
    while (count_awake(w, 4) < 4) /* an edge for each part that was read */
        poll_for(GT_SEC);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(end(&w[i]), 0);
}
END_TEST

START_TEST(test_hangup)
{
    struct waiter r, w, p;
    int s[2];
    make_pair(s);
    stuff(s[0]);
    start(&r, s[0], R);
    start(&w, s[0], W);
    start_many(&p, s[0], WRBIT);
    ck_assert_uint_eq(load_rlx(&r.pd->hup), 0);
    close(s[1]);
    while (count_awake(&r, 1) + count_awake(&w, 1) + count_awake(&p, 1) < 3)
        poll_for(GT_SEC);
    ck_assert_uint_eq(load_rlx(&r.pd->hup), 1);
    ck_assert_int_eq(end(&r), 0);
    ck_assert_int_eq(end(&w), 0);
    ck_assert_int_eq(end(&p), 0);
}
END_TEST

/* ---- poll on several ---- */

static struct gt_pollreq reqs[65];
static int several;

static void wait_several(struct fake_g *f, void *arg)
{
    (void)f;
    *(int *)arg = gt_netpoll_wait_many(reqs, several, GT_NEVER);
}

START_TEST(test_many_descriptors)
{
    enum { N = 64 };
    struct fake_g f;
    int p[N][2], result = 1, hit = _i * (N - 1) / 2; /* first, middle, last */
    for (int i = 0; i < N; i++) {
        make_pipe(p[i]);
        struct gt_pollfd *pd = gt_netpoll_get(p[i][0]);
        reqs[i] = (struct gt_pollreq){.pd = pd, .seq = {pd->seq[R], pd->seq[W]}, .dirs = RDBIT};
    }
    several = N;
    fake_g_start(&f, wait_several, &result);
    UNIT_UNTIL(fake_g_sleeps(&f));
    send_byte(p[hit][1]);
    send_byte(p[(hit + 1) % N][1]); /* a second one changes nothing */
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    fake_g_join(&f);
    ck_assert_int_eq(result, 0);
    for (int i = 0; i < N; i++)
        ck_assert_ptr_null(reqs[i].pd->waiters);
    ck_assert_int_eq(gt_netpoll_wait_many(reqs, N + 1, GT_NEVER), -EPERM); /* too many */
}
END_TEST

START_TEST(test_many_with_one_that_cannot)
{
    struct fake_g self;
    int p[2];
    fake_g_init(&self);
    make_pipe(p);
    reqs[0].pd = gt_netpoll_get(p[0]);
    reqs[1].pd = gt_netpoll_get(open("/proc/self/exe", O_RDONLY));
    for (int i = 0; i < 2; i++) {
        reqs[i].dirs = RDBIT;
        reqs[i].seq[R] = gt_netpoll_seq(reqs[i].pd, R);
    }
    gt_tls.g = &self.g;
    ck_assert_int_eq(gt_netpoll_wait_many(reqs, 2, GT_NEVER), -EPERM);
    ck_assert_ptr_null(reqs[0].pd->waiters);
    store_rlx(&fake_now, 100);
    ck_assert_int_eq(gt_netpoll_wait_many(reqs, 0, 100), -ETIMEDOUT); /* a sleep */
    gt_tls.g = NULL;
}
END_TEST

/* ---- descriptors that go ---- */

START_TEST(test_closing_without_waiters)
{
    struct waiter w;
    int p[2];
    make_pipe(p);
    start(&w, p[0], R);
    send_byte(p[1]);
    poll_for(GT_SEC);
    end(&w);
    struct gt_pollfd *pd = gt_netpoll_peek(p[0]);
    uint32_t gen = pd->gen, seq = gt_netpoll_seq(pd, R);
    ck_assert(pd->registered);
    gt_netpoll_closing(p[0]);
    ck_assert_ptr_eq(gt_netpoll_peek(p[0]), pd);
    ck_assert_uint_eq(pd->gen, gen + 1);
    ck_assert(!pd->registered);
    ck_assert_uint_ne(gt_netpoll_seq(pd, R), seq); /* who was about to wait looks again */
    send_byte(p[1]);
    ck_assert_int_eq(poll_for(MS(20)), 0); /* it was taken out of the poller */
    ck_assert_uint_eq(gt_netpoll_seq(pd, R), seq + 1);
}
END_TEST

/* A blocked call keeps its file: the waiter stays, on a private number, and the program's number is
 * free for another file. */
START_TEST(test_closing_under_waiters)
{
    struct waiter w[2], n;
    int p[2], q[2];
    make_pipe(p);
    make_pipe(q);
    start(&w[0], p[0], R);
    start(&w[1], p[0], R);
    struct gt_pollfd *old = w[0].pd;
    gt_netpoll_closing(p[0]);
    ck_assert_ptr_null(gt_netpoll_peek(p[0]));
    ck_assert_int_eq(dup2(q[0], p[0]), p[0]);
    int private = old->fd;
    ck_assert_int_ne(private, p[0]);
    ck_assert(old->detached);
    ck_assert(gt_netpoll_is_own(private));
    start(&n, p[0], R);
    ck_assert_ptr_ne(n.pd, old);
    send_byte(p[1]); /* the old file */
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    ck_assert_int_eq(end(&w[0]), 0);
    ck_assert(fake_g_sleeps(&n.f));
    ck_assert_int_ge(fcntl(private, F_GETFD), 0); /* the other one is still there */
    gt_netpoll_pass(old, R);
    ck_assert_int_eq(end(&w[1]), 0);
    ck_assert_int_eq(fcntl(private, F_GETFD), -1); /* the last one closes it */
    ck_assert(!gt_netpoll_is_own(private));
    send_byte(q[1]);
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    ck_assert_int_eq(end(&n), 0);
    gt_netpoll_closing(p[0]);
    ck_assert_ptr_eq(gt_netpoll_get(q[1]), old); /* the record is used again */
}
END_TEST

/* Closed behind our back while its file lives on by another number: its events are of an older
 * generation, and not for those who wait on the number's new file. */
START_TEST(test_generations)
{
    struct waiter w;
    int p[2], q[2];
    make_pipe(p);
    make_pipe(q);
    gt_netpoll_opened(p[0], GT_FD_PIPE, GT_FDF_OWNED);
    start(&w, p[0], R);
    send_byte(p[1]);
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    end(&w);
    char b;
    ck_assert_int_eq(read(p[0], &b, 1), 1);
    int keeps = dup(p[0]);
    close(p[0]);
    ck_assert_int_eq(fcntl(q[0], F_DUPFD, p[0]), p[0]); /* the new file */
    gt_netpoll_opened(p[0], GT_FD_PIPE, GT_FDF_OWNED);
    start(&w, p[0], R);
    uint32_t seq = gt_netpoll_seq(w.pd, R);
    send_byte(p[1]); /* an event of the old one */
    ck_assert_int_eq(poll_for(MS(20)), 0);
    ck_assert(fake_g_sleeps(&w.f));
    ck_assert_uint_eq(gt_netpoll_seq(w.pd, R), seq);
    send_byte(q[1]);
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    ck_assert_int_eq(end(&w), 0);
    close(keeps);
}
END_TEST

/* Replaced behind our back under a waiter: the registration went with the old file, and only
 * looking again after a while finds that. */
START_TEST(test_recheck)
{
    struct waiter w;
    int p[2], q[2];
    make_pipe(p);
    make_pipe(q);
    gt_netpoll_opened(p[0], GT_FD_PIPE, GT_FDF_OWNED);
    start(&w, p[0], R);
    ck_assert_int_eq(dup2(q[0], p[0]), p[0]);
    send_byte(q[1]);
    ck_assert_int_eq(poll_for(MS(20)), 0);
    gt_netpoll_recheck(GT_SEC); /* seen waiting */
    gt_netpoll_recheck(GT_SEC + MS(50));
    ck_assert_int_eq(poll_for(MS(20)), 0); /* too soon */
    gt_netpoll_recheck(GT_SEC + MS(150));
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    ck_assert_int_eq(end(&w), 0);
}
END_TEST

START_TEST(test_closing_range)
{
    struct gt_pollfd *pd[5];
    static const int fd[] = {10, 11, 2000, 70000, 500000};
    for (int i = 0; i < 5; i++) {
        gt_netpoll_opened(fd[i], GT_FD_STREAM, 0);
        pd[i] = gt_netpoll_peek(fd[i]);
    }
    gt_netpoll_closing_range(11, 70000);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(pd[i]->kind, i == 0 || i == 4 ? GT_FD_STREAM : GT_FD_UNKNOWN);
    gt_netpoll_closing_range(3, UINT32_MAX);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(pd[i]->kind, GT_FD_UNKNOWN);
}
END_TEST

/* ---- the poller itself ---- */

static void *poll_for_ever(void *arg)
{
    (void)arg;
    return gt_netpoll(-1);
}

START_TEST(test_break)
{
    pthread_t t = unit_start(poll_for_ever, NULL);
    usleep(1000);
    gt_netpoll_break();
    ck_assert_ptr_null(unit_join(t));
    gt_netpoll_break();
    gt_netpoll_break();
    ck_assert_ptr_null(gt_netpoll(0));  /* a glance is not whom it is meant for ... */
    ck_assert_ptr_null(gt_netpoll(-1)); /* ... this is, once */
    int64_t before = gt_nanotime();
    ck_assert_int_eq(poll_for(MS(10)), 0);
    ck_assert_int_ge(gt_nanotime() - before, MS(9));
    gt_netpoll_break();
    ck_assert_ptr_null(gt_netpoll(-1)); /* and it works again */
}
END_TEST

/* A fork's child has its own poller and nobody waiting; the parent's goes on. */
static int child_end;

static void write_and_poll(struct fake_g *f)
{
    (void)f;
    send_byte(child_end);
    poll_for(GT_SEC);
}

static int in_child(int fd, const int p[2])
{
    struct gt_pollfd *pd = gt_netpoll_peek(fd);
    struct fake_g self;
    gt_netpoll_fork_child();
    if (gt_netpoll_waiters() || pd->waiters || pd->refs || pd->registered)
        return 1;
    if (pd->kind != GT_FD_PIPE || (pd->flags & GT_FDF_OWNED) || !(pd->flags & GT_FDF_NONBLOCK))
        return 2;
    if (gt_netpoll_peek(fd) != pd)
        return 3;
    fake_g_init(&self);
    self.before_g0 = write_and_poll; /* no thread here: it is woken on its way to sleep */
    child_end = p[1];
    gt_tls.g = &self.g;
    pd = gt_netpoll_get(p[0]);
    uint32_t seq = gt_netpoll_seq(pd, R);
    return gt_netpoll_wait(pd, R, seq, GT_NEVER, GT_R_IO_READ) == 0 && !self.slept ? 0 : 4;
}

START_TEST(test_fork)
{
    struct waiter w;
    int p[2], q[2], status;
    make_pipe(p);
    make_pipe(q);
    gt_netpoll_opened(p[0], GT_FD_PIPE, GT_FDF_OWNED | GT_FDF_NONBLOCK);
    start(&w, p[0], R);
    pid_t child = fork();
    if (child == 0)
        _exit(in_child(p[0], q));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    send_byte(p[1]);
    ck_assert_int_eq(poll_for(GT_SEC), 1);
    ck_assert_int_eq(end(&w), 0);
}
END_TEST

/* ---- many threads ---- */

#define READERS 24
static _Atomic bool stop;
static _Atomic int received, timeouts;
static int pair[2], to_read;

static void *poller(void *arg)
{
    (void)arg;
    while (!load_acq(&stop)) {
        poll_for(MS(1));
        gt_timer_run(&fake_p, gt_nanotime());
    }
    return NULL;
}

/* The protocol of netpoll.h, one byte at a time; some give up early and come back. */
static void read_bytes(struct fake_g *f, void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    (void)f;
    while (load_acq(&received) < to_read) {
        struct gt_pollfd *pd = gt_netpoll_get(pair[0]);
        int64_t when = gt_nanotime() + (int64_t)unit_below(&seed, 100) * MS(1) / 20;
        for (int r = 0; r == 0;) {
            char b;
            uint32_t seq = gt_netpoll_seq(pd, R);
            if (recv(pd->fd, &b, 1, MSG_DONTWAIT) == 1) {
                add_acqrel(&received, 1);
                gt_netpoll_pass(pd, R);
                break;
            }
            if (load_acq(&received) >= to_read)
                break;
            r = gt_netpoll_wait(pd, R, seq, seed & 1 ? when : GT_NEVER, GT_R_IO_READ);
            timeouts += r == -ETIMEDOUT;
        }
        gt_netpoll_put(pd);
    }
}

/* Each waits for all of its bytes: a wake that is lost leaves one asleep with data there. */
START_TEST(test_many_readers)
{
    static struct fake_g f[READERS];
    uint64_t seed = unit_seed("test_many_readers");
    pthread_t p = unit_start(poller, NULL);
    make_pair(pair);
    to_read = UNIT_STEPS(10000);
    if (_i)
        gt_netpoll_opened(pair[0], GT_FD_STREAM, GT_FDF_OWNED);
    for (intptr_t i = 0; i < READERS; i++)
        fake_g_start(&f[i], read_bytes, (void *)(intptr_t)(i + 1));
    for (int sent = 0; sent < to_read;) {
        static const char block[64];
        int n = 1 + (int)unit_below(&seed, 64);
        ssize_t r = write(pair[1], block, (size_t)GT_MIN(n, to_read - sent));
        sent += r > 0 ? (int)r : 0;
        if (unit_below(&seed, 4) == 0)
            UNIT_UNTIL(load_acq(&received) == sent); /* all asleep now and then */
    }
    UNIT_UNTIL(load_acq(&received) == to_read);
    close(pair[1]); /* an edge for the rest; each passes it on below */
    struct gt_pollfd *pd = gt_netpoll_peek(pair[0]);
    UNIT_UNTIL((gt_netpoll_pass(pd, R), load_acq(&pd->refs)) == 0);
    for (int i = 0; i < READERS; i++)
        fake_g_join(&f[i]);
    stop = true;
    unit_join(p);
    ck_assert_int_eq(received, to_read);
    ck_assert_ptr_null(pd->waiters);
    ck_assert_uint_eq(gt_netpoll_waiters(), 0);
}
END_TEST

/* Readers come and go while their descriptor is closed and opened again by the same number. */
static int ends[2];
static _Atomic int visits;

static void visit(struct fake_g *f, void *arg)
{
    (void)f, (void)arg;
    while (!load_acq(&stop)) {
        struct gt_pollfd *pd = gt_netpoll_get(ends[0]);
        uint32_t seq = gt_netpoll_seq(pd, R);
        gt_netpoll_wait(pd, R, seq, gt_nanotime() + MS(1) / 4, GT_R_IO_READ);
        gt_netpoll_put(pd);
        add_acqrel(&visits, 1);
    }
}

START_TEST(test_close_and_open_under_visitors)
{
    enum { N = 4 };
    static struct fake_g f[N];
    make_pipe(ends);
    gt_netpoll_opened(ends[0], GT_FD_PIPE, GT_FDF_OWNED);
    for (int i = 0; i < N; i++)
        fake_g_start(&f[i], visit, NULL);
    for (int i = 0; i < UNIT_STEPS(2000) || load_acq(&visits) < 200; i++) {
        int fresh[2];
        gt_netpoll_closing(ends[0]);
        make_pipe(fresh);
        ck_assert_int_eq(dup3(fresh[0], ends[0], O_CLOEXEC), ends[0]);
        gt_netpoll_opened(ends[0], GT_FD_PIPE, GT_FDF_OWNED);
        send_byte(fresh[1]);
        poll_for(0);
        gt_timer_run(&fake_p, gt_nanotime());
        close(fresh[0]);
        close(fresh[1]);
    }
    stop = true;
    for (int i = 0; i < N; i++)
        UNIT_UNTIL((gt_timer_run(&fake_p, gt_nanotime()), poll_for(0),
                    !fake_g_sleeps(&f[i]) && load_acq(&f[i].g.status) == GT_G_RUN));
    for (int i = 0; i < N; i++)
        fake_g_join(&f[i]);
    ck_assert_uint_eq(gt_netpoll_waiters(), 0);
    int own = 0;
    for (int fd = 0; fd < FAR_FD; fd++)
        own += gt_netpoll_is_own(fd);
    ck_assert_int_eq(own, 2); /* every private number has been closed */
}
END_TEST

/* One descriptor that tells of a clock that is set, made when it is first needed. */
START_TEST(test_clock_watch)
{
    char path[64], text[512];
    int found = -1, own = 0;
    ck_assert_int_eq(gt_netpoll_init(), 0);
    uint32_t before = gt_netpoll_waiters();
    for (int round = 0; round < 2; round++) {
        own = 0;
        gt_netpoll_watch_clock();
        ck_assert_uint_eq(gt_netpoll_waiters(), before + 1);
        for (int fd = 0; fd < 1 << 20; fd++)
            if (gt_netpoll_is_own(fd)) {
                snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
                FILE *f = fopen(path, "r");
                size_t n = fread(text, 1, sizeof text - 1, f);
                fclose(f);
                text[n] = '\0';
                own++;
                if (strstr(text, "settime flags: 03")) /* ABSTIME, CANCEL_ON_SET */
                    found = fd;
            }
        gt_netpoll_unwatch_clock();
        ck_assert_uint_eq(gt_netpoll_waiters(), before);
        ck_assert_int_eq(own, 3);
        ck_assert_int_ge(found, 64);
        ck_assert_int_eq(fcntl(found, F_GETFD), FD_CLOEXEC);
    }
    gt_netpoll_fork_child(); /* it is the parent's */
    ck_assert(!gt_netpoll_is_own(found) || fcntl(found, F_GETFD) >= 0);
    gt_netpoll_watch_clock();
    gt_netpoll_unwatch_clock();
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_TEST(test_clock_watch),
        UNIT_TEST(test_records),
        UNIT_TEST(test_own_descriptors),
        UNIT_TEST(test_hints),
        UNIT_TEST(test_wake_by_data),
        UNIT_LOOP(test_data_before_registration, 2),
        UNIT_TEST(test_sequence_moved),
        UNIT_TEST(test_deadline),
        UNIT_TEST(test_signal),
        UNIT_TEST(test_no_wake_for_losers),
        UNIT_LOOP(test_unpollable, 3),
        UNIT_TEST(test_one_reader_all_pollers),
        UNIT_TEST(test_directions),
        UNIT_TEST(test_hangup),
        UNIT_LOOP(test_many_descriptors, 3),
        UNIT_TEST(test_many_with_one_that_cannot),
        UNIT_TEST(test_closing_without_waiters),
        UNIT_TEST(test_closing_under_waiters),
        UNIT_TEST(test_generations),
        UNIT_TEST(test_recheck),
        UNIT_TEST(test_closing_range),
        UNIT_TEST(test_break),
        UNIT_TEST(test_fork),
        UNIT_LOOP(test_many_readers, 2),
        UNIT_TEST(test_close_and_open_under_visitors),
    };
    return UNIT_MAIN("netpoll", setup, tests);
}
