/* SPDX-License-Identifier: BSD-2-Clause */
/* What a call waits for, made and let happen: for the programs that try every call that waits.
 * fd[0] is to be read or accepted from, fd[1] to be written or connected to. */
#ifndef WAITS_H
#define WAITS_H

#include "tap.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static int fd[2];
static struct sockaddr_in tcp_at; /* the listener's */
static struct sockaddr_un un_at;  /* the full backlog's */
static int backlog;               /* who fills it */

static TAP_UNUSED void make_pipe(void)
{
    EQ(pipe(fd), 0);
}

static TAP_UNUSED void make_pair(void)
{
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
}

static void fill(void)
{
    static char block[65536];

    fcntl(fd[1], F_SETFL, O_NONBLOCK);
    while (write(fd[1], block, sizeof block) > 0)
        ;
    while (write(fd[1], block, 1) > 0)
        ;
    fcntl(fd[1], F_SETFL, 0);
}

static TAP_UNUSED void make_full_pipe(void)
{
    make_pipe();
    fill();
}

static TAP_UNUSED void make_full_pair(void)
{
    make_pair();
    fill();
}

static TAP_UNUSED void drain(void)
{
    static char block[1 << 20];

    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    while (read(fd[0], block, sizeof block) > 0)
        ;
}

static TAP_UNUSED void make_listener(void)
{
    socklen_t n = sizeof tcp_at;

    tcp_at = (struct sockaddr_in){.sin_family = AF_INET};
    tcp_at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    fd[1] = -1;
    EQ(bind(fd[0], (struct sockaddr *)&tcp_at, sizeof tcp_at), 0);
    EQ(listen(fd[0], 5), 0);
    EQ(getsockname(fd[0], (struct sockaddr *)&tcp_at, &n), 0);
}

static TAP_UNUSED void connect_to(void)
{
    fd[1] = socket(AF_INET, SOCK_STREAM, 0);
    EQ(connect(fd[1], (struct sockaddr *)&tcp_at, sizeof tcp_at), 0);
}

/* A UNIX socket whose backlog is full: connect waits. */
static TAP_UNUSED void make_full_backlog(void)
{
    static int n;

    un_at = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(un_at.sun_path + 1, sizeof un_at.sun_path - 1, "gt-waits-%d-%d", getpid(), n++);
    fd[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    EQ(bind(fd[0], (struct sockaddr *)&un_at, sizeof un_at), 0);
    EQ(listen(fd[0], 0), 0);
    backlog = socket(AF_UNIX, SOCK_STREAM, 0);
    EQ(connect(backlog, (struct sockaddr *)&un_at, sizeof un_at), 0);
    fd[1] = socket(AF_UNIX, SOCK_STREAM, 0);
}

static TAP_UNUSED void accept_one(void)
{
    close(accept(fd[0], NULL, NULL));
}

#endif
