/* SPDX-License-Identifier: BSD-2-Clause */
/* A seccomp filter hands each call for memory to a process that decides (seccomp_unotify(2)); it is
 * forked before, so it runs without the filter.  It ends when nobody has the filter any more.  It
 * must not allocate, and does not. */
#define _GNU_SOURCE
#include "failing.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SKIP = 77 };

static _Atomic long *calls; /* shared with the process that decides */

static _Noreturn void skip(const char *what)
{
    perror(what);
    exit(SKIP);
}

static void decide(int listener, long nth, long count)
{
    struct seccomp_notif request;
    struct seccomp_notif_resp answer;
    struct pollfd p = {.fd = listener, .events = POLLIN};

    while (poll(&p, 1, -1) >= 0 && !(p.revents & (POLLHUP | POLLERR))) {
        memset(&request, 0, sizeof request);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
            continue; /* who asked is dead */
        long n = atomic_fetch_add(calls, 1) + 1;
        answer = (struct seccomp_notif_resp){.id = request.id};
        if (n >= nth && n < nth + count)
            answer.error = -ENOMEM;
        else
            answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
}

/* One descriptor as a message of one byte. */
static void send_fd(int to, int fd)
{
    char byte = 0, room[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec iov = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(to, &m, 0) != 1)
        skip("sendmsg");
}

static int receive_fd(int from)
{
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    int fd = -1;

    if (recvmsg(from, &m, 0) == 1 && CMSG_FIRSTHDR(&m))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

/* Returns the listener's descriptor or -1. */
static int install_filter(void)
{
#define NOTIFY(nr)                                                                                 \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        NOTIFY(SYS_mmap),
        NOTIFY(SYS_munmap),
        NOTIFY(SYS_mremap),
        NOTIFY(SYS_madvise),
        NOTIFY(SYS_brk),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    /* TSYNC: on all threads of the process */
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC |
                            SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
                        &program);
}

void failing_start(long nth, long count)
{
    int pair[2], listener;
    pid_t pid;

    calls = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (calls == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        skip("socketpair");
    pid = fork();
    if (pid < 0)
        skip("fork");
    if (pid == 0) {
        close(pair[1]);
        listener = receive_fd(pair[0]);
        if (listener >= 0)
            decide(listener, nth, count);
        _exit(0);
    }
    close(pair[0]);
    listener = install_filter();
    if (listener < 0)
        skip("seccomp");
    send_fd(pair[1], listener);
    close(pair[1]);
    close(listener);
}

long failing_count(void)
{
    return atomic_load(calls);
}
