/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A TCP echo server, one thread per connection, as any textbook writes it: main accepts, a detached
 * thread reads and writes its connection with blocking calls until the peer is gone.  It knows
 * nothing of goroutines; run it as it is, or under the launcher: `gothread ./echo_server -p 7000`.
 *
 *     echo_server [-p PORT] [-s STACK]
 *
 * PORT 0, the default, lets the kernel choose; STACK is the threads' stack size in bytes (suffix k
 * or m).  Prints `listening PORT`.  SIGTERM or SIGINT ends it with status 0.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener = -1;
static volatile sig_atomic_t stopping;

static void die(const char *what)
{
    fprintf(stderr, "echo_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Makes the accept() in main fail, whether main is in it already or about to call it. */
static void on_stop(int sig)
{
    (void)sig;
    stopping = 1;
    shutdown(listener, SHUT_RDWR);
}

/* Writes all n bytes.  Returns 0, or -1 when the connection is broken. */
static int write_all(int fd, const char *buf, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, buf, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        buf += w;
        n -= (size_t)w;
    }
    return 0;
}

/* The life of one connection. */
static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[4096];

    for (;;) {
        ssize_t n = read(fd, buf, sizeof buf);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || write_all(fd, buf, (size_t)n) < 0)
            break;
    }
    close(fd);
    return NULL;
}

static int open_listener(int port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof addr;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        die("bind");
    if (listen(fd, SOMAXCONN) < 0)
        die("listen");
    if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        die("getsockname");
    printf("listening %d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_loop(const pthread_attr_t *attr)
{
    while (!stopping) {
        int one = 1;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && stopping)
            break;
        if (fd < 0)
            die("accept");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);

        pthread_t thread;
        int err = pthread_create(&thread, attr, serve, (void *)(intptr_t)fd);
        if (err) {
            fprintf(stderr, "echo_server: pthread_create: %s\n", strerror(err));
            close(fd);
        }
    }
}

static size_t parse_size(const char *text)
{
    char *end;
    size_t n = strtoul(text, &end, 10);

    if (*end == 'k' || *end == 'K')
        n <<= 10;
    else if (*end == 'm' || *end == 'M')
        n <<= 20;
    return n;
}

/* A descriptor for each connection: ask for as many as we may have. */
static void raise_descriptor_limit(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
        lim.rlim_cur = lim.rlim_max;
        setrlimit(RLIMIT_NOFILE, &lim);
    }
}

int main(int argc, char **argv)
{
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    pthread_attr_t attr;
    int opt, err, port = 0;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    while ((opt = getopt(argc, argv, "p:s:")) != -1) {
        if (opt == 'p') {
            port = atoi(optarg);
        } else if (opt == 's' && (err = pthread_attr_setstacksize(&attr, parse_size(optarg)))) {
            fprintf(stderr, "echo_server: stack size %s: %s\n", optarg, strerror(err));
            return 2;
        } else if (opt == '?') {
            fprintf(stderr, "usage: echo_server [-p PORT] [-s STACK]\n");
            return 2;
        }
    }
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN);
    listener = open_listener(port);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    accept_loop(&attr);
    return 0;
}
