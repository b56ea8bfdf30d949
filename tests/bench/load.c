/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A load client for servers on 127.0.0.1: one thread, one epoll, a closed loop with one request
 * outstanding on each connection, every byte of every reply compared with what it must be.
 *
 *     load [--pid PID] PORT CONNS SECS [SIZE]         echo: SIZE bytes (64) come back as sent
 *     load [--pid PID] --mc PORT CONNS SECS [SIZE]    memcached's text protocol: 1 set, 9 gets
 *
 * Three stages.  Hello: the connections are opened, at most WINDOW not yet answered at a time (a
 * listen queue must not overflow), and each does one request, so that the server's threads exist.
 * Run: SECS seconds, timed, on a slow machine until one reply has come.  Drain: outstanding replies
 * are awaited.  Then one line:
 *
 *     ops_s=.. p50_us=.. p99_us=.. errors=.. conns=..
 *
 * and with --pid what process PID used for it, between Hello and the end of Drain while all
 * connections are open: ` rss_kb=.. threads=.. switches=.. cpu_us_op=..`.
 * Exit status: 0; 1 when anything was wrong; 2 for wrong usage; 77 when descriptors are too few.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/harness.h"
#include "tests/bench/proc.h"

enum {
    WINDOW = 128,        /* connections opened and not yet answered */
    PATTERN = 4096,      /* number of different payloads */
    PATIENCE_MS = 15000, /* a stage without any progress for so long has failed */
    HEADROOM = 64,       /* descriptors besides the connections */
    SUB_BITS = 5,        /* histogram: 32 steps for each power of two, 3% wide */
    BUCKETS = 64 << SUB_BITS,
};

struct conn {
    int fd;   /* -1: failed */
    int busy; /* a request is outstanding */
    uint32_t id, seq;
    const char *req, *want;
    size_t req_len, want_len;
    size_t sent, got;
    int64_t since; /* when the request was started, ns */
    char *text;    /* memcached: this connection's request and reply are built here */
};

static struct {
    int port, conns, mc;
    size_t size;
    double secs;
    pid_t pid;
} opt;

static struct conn *conns;
static char *pattern; /* size + PATTERN random bytes */
static int epfd;
static int running;      /* the Run stage: finished requests start the next one */
static int64_t deadline; /* its end */
static int outstanding;  /* requests on their way */
static long errors, ops_timed, ops_all;
static uint64_t histogram[BUCKETS];

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* ---- latencies ---- */

static int bucket_of(uint64_t ns)
{
    if (ns < 1u << SUB_BITS)
        return (int)ns;
    int shift = 63 - __builtin_clzll(ns) - SUB_BITS;
    return (shift << SUB_BITS) + (int)(ns >> shift);
}

/* The upper end of a bucket, in ns. */
static double bucket_value(int b)
{
    if (b < 2 << SUB_BITS)
        return b;
    int shift = (b >> SUB_BITS) - 1;
    return (double)(uint64_t)(b - (shift << SUB_BITS) + 1) * (double)(UINT64_C(1) << shift);
}

static double percentile_us(double share)
{
    double rank = share * (double)ops_timed, seen = 0;

    for (int b = 0; b < BUCKETS; b++) {
        seen += (double)histogram[b];
        if (histogram[b] && seen >= rank)
            return bucket_value(b) / 1e3;
    }
    return 0;
}

/* ---- requests ---- */

/* A payload that changes with the connection and with each request. */
static const char *payload(uint32_t id, uint32_t seq)
{
    return pattern + (id * 2654435761u + seq * 40503u) % PATTERN;
}

/* One set, then nine gets of what it stored. */
static void build_memcached(struct conn *c)
{
    uint32_t set_seq = c->seq - c->seq % 10;
    const char *data = payload(c->id, set_seq);
    char *req = c->text, *want = c->text + opt.size + 64;

    if (c->seq == set_seq) {
        int n = sprintf(req, "set gt%u 0 0 %zu\r\n", c->id, opt.size);
        memcpy(req + n, data, opt.size);
        memcpy(req + n + opt.size, "\r\n", 2);
        c->req_len = (size_t)n + opt.size + 2;
        c->want_len = (size_t)sprintf(want, "STORED\r\n");
    } else {
        c->req_len = (size_t)sprintf(req, "get gt%u\r\n", c->id);
        int n = sprintf(want, "VALUE gt%u 0 %zu\r\n", c->id, opt.size);
        memcpy(want + n, data, opt.size);
        memcpy(want + n + opt.size, "\r\nEND\r\n", 7);
        c->want_len = (size_t)n + opt.size + 7;
    }
    c->req = req;
    c->want = want;
}

static void fail(struct conn *c, const char *why)
{
    if (errors++ < 3)
        fprintf(stderr, "load: connection %u, request %u: %s\n", c->id, c->seq, why);
    outstanding -= c->busy;
    c->busy = 0;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void send_rest(struct conn *c)
{
    while (c->sent < c->req_len) {
        ssize_t n = send(c->fd, c->req + c->sent, c->req_len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return; /* edge-triggered: EPOLLOUT comes when there is room */
        if (n < 0) {
            fail(c, strerror(errno));
            return;
        }
        c->sent += (size_t)n;
    }
}

static void start(struct conn *c, int64_t now)
{
    if (opt.mc) {
        build_memcached(c);
    } else {
        c->req = c->want = payload(c->id, c->seq);
        c->req_len = c->want_len = opt.size;
    }
    c->sent = c->got = 0;
    c->since = now;
    c->busy = 1;
    outstanding++;
}

/* The reply is complete and right. */
static void finish(struct conn *c)
{
    int64_t now = now_ns();

    c->busy = 0;
    c->seq++;
    outstanding--;
    ops_all++;
    if (!running || (now >= deadline && ops_timed > 0))
        return;
    if (now > deadline)
        deadline = now; /* the first reply, late: the run ends with it */
    ops_timed++;
    histogram[bucket_of((uint64_t)(now - c->since))]++;
    start(c, now);
    send_rest(c);
}

/* Reads until the socket is empty, as an edge-triggered event demands. */
static void receive(struct conn *c)
{
    static char buf[65536];
    ssize_t n;

    do {
        n = recv(c->fd, buf, sizeof buf, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            fail(c, n == 0 ? "closed by the server" : strerror(errno));
            return;
        }
        if (!c->busy || c->got + (size_t)n > c->want_len) {
            fail(c, "more bytes than asked for");
            return;
        }
        if (memcmp(buf, c->want + c->got, (size_t)n) != 0) {
            fail(c, "wrong bytes");
            return;
        }
        c->got += (size_t)n;
        if (c->got == c->want_len)
            finish(c);
    } while (c->fd >= 0 && n == sizeof buf);
}

/* ---- connections ---- */

/* Ports of one source address are about 28,000: when they run out, go on from the next address. */
static int connect_from(int fd, uint32_t *source)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)opt.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    for (; *source < 250; ++*source) {
        struct sockaddr_in from = {
            .sin_family = AF_INET,
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK + *source),
        };
        int one = 1;
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (*source && bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
            return -1;
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS)
            return 0;
        if (errno != EADDRNOTAVAIL)
            return -1;
    }
    return -1;
}

/* Opens a connection and queues its first request; it is sent when EPOLLOUT reports success. */
static void open_conn(struct conn *c)
{
    static uint32_t source;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    int one = 1;

    start(c, now_ns());
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd >= 0)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (c->fd < 0 || connect_from(c->fd, &source) < 0 ||
        epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        fail(c, strerror(errno));
}

/* Handles what has happened, waiting up to timeout_ms for something.  Returns the number. */
static int turn(int timeout_ms)
{
    static struct epoll_event events[256];
    int n = epoll_wait(epfd, events, 256, timeout_ms);

    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        if (c->fd >= 0 && c->busy && c->sent < c->req_len &&
            (events[i].events & (EPOLLOUT | EPOLLERR)))
            send_rest(c);
        if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            receive(c);
    }
    return n;
}

/* Fails every request that is still waiting for its reply. */
static void give_up(void)
{
    for (int i = 0; i < opt.conns; i++)
        if (conns[i].busy)
            fail(&conns[i], "no reply");
}

/* Waits until nothing is outstanding. */
static void drain(void)
{
    int64_t last = now_ns();

    while (outstanding > 0) {
        if (turn(100) > 0)
            last = now_ns();
        else if (now_ns() - last > PATIENCE_MS * INT64_C(1000000))
            give_up();
    }
}

/* ---- stages ---- */

static void hello(void)
{
    int64_t last = now_ns();

    for (int opened = 0; opened < opt.conns && errors == 0;) {
        if (outstanding < WINDOW)
            open_conn(&conns[opened++]);
        if (turn(outstanding < WINDOW ? 0 : 100) > 0)
            last = now_ns();
        else if (now_ns() - last > PATIENCE_MS * INT64_C(1000000))
            give_up();
    }
    drain();
}

/* Returns how long it took, in seconds. */
static double run(void)
{
    int64_t begin = now_ns(), now, last;

    running = 1;
    deadline = begin + (int64_t)(opt.secs * 1e9);
    for (int i = 0; i < opt.conns && errors == 0; i++) {
        start(&conns[i], now_ns());
        send_rest(&conns[i]);
        if (i % 64 == 63)
            turn(0);
    }
    now = last = now_ns();
    while ((now < deadline || ops_timed == 0) && outstanding > 0) {
        if (turn(now < deadline ? (int)((deadline - now) / 1000000) + 1 : 100) > 0)
            last = now_ns();
        now = now_ns();
        if (now >= deadline && now - last > PATIENCE_MS * INT64_C(1000000))
            give_up();
    }
    running = 0;
    return (double)((now < deadline ? now : deadline) - begin) / 1e9;
}

static void measure(void)
{
    struct proc_sample before = {0}, after = {0};
    struct proc_memory memory = {0};

    if (opt.pid && proc_usage(opt.pid, &before) < 0)
        errors++;
    ops_all = 0;
    double took = run();
    drain();
    if (opt.pid && (proc_usage(opt.pid, &after) < 0 || proc_memory(opt.pid, &memory) < 0)) {
        fprintf(stderr, "load: process %d is gone\n", (int)opt.pid);
        errors++;
    }
    printf("ops_s=%.0f p50_us=%.0f p99_us=%.0f errors=%ld conns=%d", (double)ops_timed / took,
           percentile_us(0.50), percentile_us(0.99), errors, opt.conns);
    if (opt.pid)
        printf(" rss_kb=%.0f threads=%.0f switches=%.0f cpu_us_op=%.2f", memory.rss_kb,
               after.threads, after.switches - before.switches,
               ops_all ? (after.cpu_us - before.cpu_us) / (double)ops_all : 0.0);
    printf("\n");
}

static void prepare(void)
{
    uint32_t x = 2463534242u;

    epfd = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc((size_t)opt.conns, sizeof *conns);
    pattern = malloc(opt.size + PATTERN);
    if (epfd < 0 || !conns || !pattern) {
        perror("load");
        exit(1);
    }
    for (size_t i = 0; i < opt.size + PATTERN; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        pattern[i] = (char)('!' + x % 94); /* printable: what memcached stores can be looked at */
    }
    for (int i = 0; i < opt.conns; i++) {
        conns[i] = (struct conn){.fd = -1, .id = (uint32_t)i};
        if (opt.mc && !(conns[i].text = malloc(2 * (opt.size + 64))))
            exit(1);
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: load [--mc] [--pid PID] PORT CONNS SECS [SIZE]\n");
    return 2;
}

static int parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"mc", no_argument, NULL, 'm'},
        {"pid", required_argument, NULL, 'p'},
        {0},
    };
    int o;

    while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (o == 'm')
            opt.mc = 1;
        else if (o == 'p')
            opt.pid = atoi(optarg);
        else
            return -1;
    }
    if (argc - optind < 3 || argc - optind > 4)
        return -1;
    opt.port = atoi(argv[optind]);
    opt.conns = atoi(argv[optind + 1]);
    opt.secs = atof(argv[optind + 2]);
    opt.size = argc - optind == 4 ? strtoul(argv[optind + 3], NULL, 10) : 64;
    if (opt.port < 1 || opt.port > 65535)
        return -1;
    return opt.conns > 0 && opt.secs > 0 && opt.size > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (parse(argc, argv) < 0)
        return usage();
    long limit = harness_raise_nofile();
    if (limit < opt.conns + HEADROOM) {
        fprintf(stderr, "load: %d connections need %d descriptors, the limit is %ld\n", opt.conns,
                opt.conns + HEADROOM, limit);
        return HARNESS_SKIP;
    }
    prepare();
    hello();
    measure();
    return errors || ops_timed == 0 ? 1 : 0;
}
