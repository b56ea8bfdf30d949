/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer: the small servers and clients that talk to a program under test.  Never preloaded.
 *
 *     peer port                          print a free TCP port, outside the kernel's own range
 *     peer echo ADDR PORT                server: send back what comes
 *     peer http ADDR PORT BYTES          server: answer each GET with BYTES bytes, kept alive
 *     peer memcached PORT CONNS SECS     load: set, then get and compare; closed loop
 *     peer hold WHERE CONNS PID [TEXT]   open CONNS connections, send TEXT ("\n" and "\r" are
 *                                        understood), wait for a first byte from each, then
 *                                        print how many kernel threads PID and its children have
 *     peer forward PORT FILE             send FILE, close
 * WHERE is a TCP port on 127.0.0.1, or the path of a unix socket.
 * Clients print one line of NAME=VALUE words and exit 1 after any error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, BUFFER = 16384, PATIENCE_MS = 15000 };

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct sockaddr_in inet_address(const char *addr, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, addr, &a.sin_addr) != 1) {
        fprintf(stderr, "peer: bad address %s\n", addr);
        exit(1);
    }
    return a;
}

static int listen_at(const char *addr, int port)
{
    struct sockaddr_in a = inet_address(addr, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 4096) != 0)
        die("listen");
    return fd;
}

static int connect_port(int port)
{
    struct sockaddr_in a = inet_address("127.0.0.1", port);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    strcpy(a.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        die(path);
    return fd;
}

/* Writes all of it, also to a non-blocking socket; false when the other side is gone or stuck. */
static bool send_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t w = send(fd, data, n, MSG_NOSIGNAL);
        if (w < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            if (poll(&p, 1, PATIENCE_MS) != 1)
                return false;
            continue;
        }
        if (w <= 0)
            return false;
        data += w;
        n -= (size_t)w;
    }
    return true;
}

static int print_free_port(void)
{
    for (int tries = 0; tries < 1000; tries++) {
        unsigned r; /* not from the clock: two cases at once would get the same */
        if (getrandom(&r, sizeof r, 0) != sizeof r)
            die("getrandom");
        int port = 10000 + (int)(r % 20000);
        struct sockaddr_in a = inet_address("127.0.0.1", port);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bool is_free = bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
        close(fd);
        if (is_free) {
            printf("%d\n", port);
            return 0;
        }
    }
    errno = EADDRINUSE;
    die("no free port");
}

/* ---- servers ---- */

struct client {
    int fd;
    size_t used; /* bytes of an unfinished request */
    char buf[BUFFER];
};

static char *reply; /* the http answer; NULL for an echo server */
static size_t reply_size;

static void make_reply(size_t body)
{
    reply = malloc(body + 200);
    if (!reply)
        die("malloc");
    reply_size = (size_t)sprintf(reply,
                                 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                 "Content-Length: %zu\r\n\r\n",
                                 body);
    for (size_t i = 0; i < body; i++)
        reply[reply_size++] = "abcdefghijklmnopqrstuvwxyz\n"[i % 27];
}

static bool answer_http(struct client *c, size_t n)
{
    c->used += n;
    c->buf[c->used] = '\0';
    for (char *end; (end = strstr(c->buf, "\r\n\r\n"));) {
        size_t taken = (size_t)(end + 4 - c->buf);
        if (!send_all(c->fd, reply, reply_size))
            return false;
        c->used -= taken;
        memmove(c->buf, c->buf + taken, c->used + 1);
    }
    return c->used < BUFFER - 1;
}

static void serve_client(struct client *c)
{
    ssize_t n = recv(c->fd, c->buf + c->used, BUFFER - 1 - c->used, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0 && (reply ? answer_http(c, (size_t)n) : send_all(c->fd, c->buf, (size_t)n)))
        return;
    close(c->fd);
    free(c);
}

static void accept_client(int listener, int ep)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        die("calloc");
    c->fd = fd;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static _Noreturn void serve(const char *addr, int port)
{
    int listener = listen_at(addr, port), ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN}, evs[BATCH];
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
    for (;;) {
        int n = epoll_wait(ep, evs, BATCH, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (evs[i].data.ptr)
                serve_client(evs[i].data.ptr);
            else
                accept_client(listener, ep);
        }
    }
}

/* ---- memcached load ---- */

struct conn {
    int fd, id;
    bool getting; /* the request in flight is the get of what was set before */
    unsigned round;
    double sent;
    size_t want, got;
    char expect[512], buf[512];
};

static long sets, gets, errors, samples, room;
static float *latency_us;

/* Sends the connection's next request and notes the exact answer that must come. */
static bool ask(struct conn *c)
{
    char request[512], value[256];
    int len = snprintf(value, sizeof value, "%d.%u.%0*u", c->id, c->round,
                       (int)(c->round * 7 % 180 + 1), c->round);
    int key = (int)(c->round % 40), n;
    if (c->getting) {
        n = snprintf(request, sizeof request, "get c%d_%d\r\n", c->id, key);
        c->want = (size_t)snprintf(c->expect, sizeof c->expect,
                                   "VALUE c%d_%d 0 %d\r\n%s\r\nEND\r\n", c->id, key, len, value);
        gets++;
    } else {
        n = snprintf(request, sizeof request, "set c%d_%d 0 0 %d\r\n%s\r\n", c->id, key, len,
                     value);
        c->want = (size_t)snprintf(c->expect, sizeof c->expect, "STORED\r\n");
        sets++;
    }
    c->got = 0;
    c->sent = now();
    return send_all(c->fd, request, (size_t)n);
}

/* Takes what came; 1: the answer is whole and right, 0: more must come, -1: wrong or closed. */
static int take(struct conn *c)
{
    ssize_t n = recv(c->fd, c->buf + c->got, sizeof c->buf - c->got, 0);
    if (n <= 0)
        return -1;
    c->got += (size_t)n;
    if (c->got > c->want || memcmp(c->buf, c->expect, c->got) != 0)
        return -1;
    if (c->got < c->want)
        return 0;
    if (samples < room)
        latency_us[samples++] = (float)((now() - c->sent) * 1e6);
    c->round += c->getting;
    c->getting = !c->getting;
    return 1;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int print_load(double secs)
{
    qsort(latency_us, (size_t)samples, sizeof *latency_us, by_value);
    printf("ops_s=%.0f sets=%ld gets=%ld errors=%ld p50_us=%.0f p99_us=%.0f\n",
           (double)(sets + gets) / secs, sets, gets, errors,
           samples ? (double)latency_us[samples / 2] : 0.0,
           samples ? (double)latency_us[samples * 99 / 100] : 0.0);
    return errors != 0;
}

static void drive(int ep, int live, double end)
{
    struct epoll_event evs[BATCH];
    while (live > 0) {
        int n = epoll_wait(ep, evs, BATCH, PATIENCE_MS);
        if (n <= 0) { /* the server owes answers and is silent */
            errors += live;
            return;
        }
        for (int i = 0; i < n; i++) {
            struct conn *c = evs[i].data.ptr;
            int state = take(c);
            if (state == 0)
                continue;
            bool more = state > 0 && now() < end, asked = more && ask(c);
            if (asked)
                continue;
            errors += state < 0 || more;
            epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
            live--;
        }
    }
}

static int load_memcached(int port, int conns, double secs)
{
    room = 4000000;
    latency_us = malloc((size_t)room * sizeof *latency_us);
    struct conn *c = calloc((size_t)conns, sizeof *c);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (!latency_us || !c || ep < 0)
        die("load");
    for (int i = 0; i < conns; i++) {
        c[i].fd = connect_port(port);
        c[i].id = i;
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &c[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &ev);
    }
    double begin = now();
    for (int i = 0; i < conns; i++)
        if (!ask(&c[i]))
            die("send");
    drive(ep, conns, begin + secs);
    return print_load(now() - begin);
}

/* ---- hold ---- */

/* Kernel threads of the process, and in *largest of the largest one of it and its children. */
static int threads_of(int pid, int *largest)
{
    char path[64], word[64];
    int n = 0, total = 0, child;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f && fscanf(f, "%63s", word) == 1)
        if (!strcmp(word, "Threads:") && fscanf(f, "%d", &n) != 1)
            n = 0;
    if (f)
        fclose(f);
    *largest = n > *largest ? n : *largest;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    f = fopen(path, "re");
    while (f && fscanf(f, "%d", &child) == 1)
        total += threads_of(child, largest);
    if (f)
        fclose(f);
    return total + n;
}

/* Turns the two characters "\n" and "\r" of a shell word into the bytes they name. */
static size_t unescape(char *text)
{
    char *to = text;
    for (char *from = text; *from; from++) {
        if (from[0] == '\\' && (from[1] == 'n' || from[1] == 'r'))
            *to++ = *++from == 'n' ? '\n' : '\r';
        else
            *to++ = *from;
    }
    return (size_t)(to - text);
}

static int hold(const char *where, int conns, int pid, char *text)
{
    int *fd = calloc((size_t)conns, sizeof *fd), largest = 0;
    size_t len = text ? unescape(text) : 0;
    if (!fd)
        die("calloc");
    for (int i = 0; i < conns; i++) {
        fd[i] = where[0] == '/' ? connect_unix(where) : connect_port(atoi(where));
        if (!send_all(fd[i], text, len))
            die("send");
    }
    for (int i = 0; i < conns; i++) {
        struct pollfd p = {.fd = fd[i], .events = POLLIN};
        char byte;
        if (poll(&p, 1, PATIENCE_MS) != 1 || recv(fd[i], &byte, 1, 0) != 1) {
            fprintf(stderr, "peer: connection %d of %d got no answer\n", i, conns);
            return 1;
        }
    }
    usleep(200000); /* the last ones answered are on their way back to sleep */
    int total = threads_of(pid, &largest);
    printf("held=%d threads=%d largest=%d\n", conns, total, largest);
    return 0;
}

static int forward(int port, const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f)
        die(path);
    char buf[BUFFER];
    int fd = connect_port(port);
    for (size_t n; (n = fread(buf, 1, sizeof buf, f)) > 0;)
        if (!send_all(fd, buf, n))
            die("send");
    fclose(f);
    return close(fd);
}

static void raise_fd_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    raise_fd_limit();
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "port") && argc == 2)
        return print_free_port();
    if (!strcmp(what, "echo") && argc == 4)
        serve(argv[2], atoi(argv[3]));
    if (!strcmp(what, "http") && argc == 5) {
        make_reply((size_t)atol(argv[4]));
        serve(argv[2], atoi(argv[3]));
    }
    if (!strcmp(what, "memcached") && argc == 5)
        return load_memcached(atoi(argv[2]), atoi(argv[3]), atof(argv[4]));
    if (!strcmp(what, "hold") && (argc == 5 || argc == 6))
        return hold(argv[2], atoi(argv[3]), atoi(argv[4]), argv[5]);
    if (!strcmp(what, "forward") && argc == 4)
        return forward(atoi(argv[2]), argv[3]);
    fprintf(stderr, "peer: bad arguments\n");
    return 2;
}
