/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets for the programs in this folder: a loopback listener, a connection to it, whole reads and
 * writes, and a recognisable pattern of bytes. */
#ifndef NET_H
#define NET_H

#include "tap.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* A listening TCP socket on a free port of 127.0.0.1. */
static TAP_UNUSED int listen_tcp(int backlog, struct sockaddr_in *at)
{
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    socklen_t n = sizeof *at;

    CHECK(s >= 0);
    memset(at, 0, sizeof *at);
    at->sin_family = AF_INET;
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EQ(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    EQ(bind(s, (struct sockaddr *)at, sizeof *at), 0);
    EQ(listen(s, backlog), 0);
    EQ(getsockname(s, (struct sockaddr *)at, &n), 0);
    return s;
}

static TAP_UNUSED int connect_tcp(const struct sockaddr_in *at)
{
    int s = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(s >= 0);
    EQ(connect(s, (const struct sockaddr *)at, sizeof *at), 0);
    return s;
}

/* Two ends of one TCP connection. */
static TAP_UNUSED void pair_tcp(int fd[2])
{
    struct sockaddr_in at;
    int l = listen_tcp(4, &at);

    fd[0] = connect_tcp(&at);
    fd[1] = accept(l, NULL, NULL);
    CHECK(fd[1] >= 0);
    close(l);
}

/* Reads until n bytes have come or the end; gives what came. */
static TAP_UNUSED size_t read_all(int fd, void *buf, size_t n)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r = read(fd, (char *)buf + got, n - got);

        CHECK(r >= 0);
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return got;
}

static TAP_UNUSED unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 31 + (i >> 11));
}

static TAP_UNUSED unsigned char *make_pattern(size_t n)
{
    unsigned char *p = (unsigned char *)malloc(n);

    for (size_t i = 0; i < n; i++)
        p[i] = pattern(i);
    return p;
}

/* Reads n bytes of the pattern slowly, in small pieces, checking each. */
static TAP_UNUSED void read_slowly(int fd, size_t n)
{
    static __thread unsigned char piece[30000];
    size_t at = 0;

    while (at < n) {
        ssize_t r = read(fd, piece, sizeof piece);

        CHECK(r > 0);
        for (ssize_t i = 0; i < r; i++)
            EQ(piece[i], pattern(at + (size_t)i));
        at += (size_t)r;
        if (at % 7 == 0)
            usleep(500);
    }
    EQ(at, n);
}

static TAP_UNUSED void set_timeout(int fd, int option, long ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    EQ(setsockopt(fd, SOL_SOCKET, option, &tv, sizeof tv), 0);
}

#endif
