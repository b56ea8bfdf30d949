/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sockets: birth, connect, accept, and the recv and send families.
 *
 * recv and send have MSG_DONTWAIT, so an attempt costs nothing extra.  accept and connect have no
 * such flag.  accept: poll(0), then the announced call; if another process was quicker the call
 * waits in the kernel and nothing is lost.  connect over IP on a socket that nobody else can know:
 * O_NONBLOCK is set around the one call, then the poller; every other connect is announced.
 */
#include "interpose/io.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#define TYPE_MASK 0xf

/* ---- birth ---- */

static void note_socket(int fd, int domain, int type, int proto)
{
    bool stream = (type & TYPE_MASK) == SOCK_STREAM;
    unsigned flags = GT_FDF_OWNED | GT_FDF_TIMEO | (type & SOCK_NONBLOCK ? GT_FDF_NONBLOCK : 0);
    if (stream && (domain == AF_INET || domain == AF_INET6) && (proto == 0 || proto == IPPROTO_TCP))
        flags |= GT_FDF_TCP;
    gt_netpoll_opened(fd, stream ? GT_FD_STREAM : GT_FD_SOCKET, flags);
}

GT_EXPORT int socket(int domain, int type, int proto)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(socket)(domain, type, proto);
    gt_rt_enter(g);
    long r = GT_SYS3(SYS_socket, domain, type, proto);
    if (r >= 0)
        note_socket((int)r, domain, type, proto);
    gt_rt_leave(g);
    return (int)gt_io_ret(r);
}

GT_EXPORT int socketpair(int domain, int type, int proto, int fds[2])
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(socketpair)(domain, type, proto, fds);
    gt_rt_enter(g);
    long r = GT_SYS6(SYS_socketpair, domain, type, proto, fds, 0, 0);
    if (r >= 0) {
        note_socket(fds[0], domain, type, proto);
        note_socket(fds[1], domain, type, proto);
    }
    gt_rt_leave(g);
    return (int)gt_io_ret(r);
}

/* ---- options ---- */

static void note_timeout(struct gt_pollfd *pd, unsigned flag, const void *val, socklen_t len)
{
    const struct timeval *tv = val;
    if (len >= sizeof(*tv) && (tv->tv_sec || tv->tv_usec))
        or_acqrel(&pd->flags, flag);
    else
        and_acqrel(&pd->flags, ~flag);
}

GT_EXPORT int setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
    int r = REAL(setsockopt)(fd, level, name, val, len);
    if (r < 0 || !gt_fd_ours())
        return r;
    struct gt_pollfd *pd = gt_netpoll_peek(fd);
    if (!pd)
        return r;
    if (level == SOL_SOCKET && name == SO_RCVTIMEO)
        note_timeout(pd, GT_FDF_RCVTIMEO, val, len);
    else if (level == SOL_SOCKET && name == SO_SNDTIMEO)
        note_timeout(pd, GT_FDF_SNDTIMEO, val, len);
    else if (level == IPPROTO_TCP && name == TCP_ULP)
        and_acqrel(&pd->flags, ~GT_FDF_TCP); /* records: a short read says nothing */
    return r;
}

/* ---- connect ---- */

struct connect_args {
    const struct sockaddr *addr;
    socklen_t len;
    bool begun;
};

/* The call itself with O_NONBLOCK set for just as long; the socket is ours alone. */
static long connect_once(int fd, const struct connect_args *a)
{
    int on = 1, off = 0;
    long r = GT_SYS3(SYS_ioctl, fd, 0x5421 /* FIONBIO */, &on);
    if (r < 0)
        return r;
    r = GT_SYS3(SYS_connect, fd, a->addr, a->len);
    GT_SYS3(SYS_ioctl, fd, 0x5421, &off);
    return r;
}

static long try_connect(struct gt_io *io, void *arg)
{
    struct connect_args *a = arg;
    if (!a->begun) {
        long r = io->announce ? -EAGAIN : connect_once(io->fd, a);
        if (r == -EAGAIN)
            return gt_syscall_blocking(io->g, SYS_connect, io->fd, (long)a->addr, a->len, 0, 0, 0);
        a->begun = r == -EINPROGRESS;
        return a->begun ? -EAGAIN : r;
    }
    struct pollfd p = {.fd = io->fd, .events = POLLOUT};
    long n = io->announce ? gt_syscall_blocking(io->g, SYS_poll, (long)&p, 1, -1, 0, 0, 0)
                          : sys_poll(&p, 1, 0);
    if (n <= 0)
        return n == 0 ? -EAGAIN : n;
    int err = 0;
    socklen_t len = sizeof(err);
    GT_SYS6(SYS_getsockopt, io->fd, SOL_SOCKET, SO_ERROR, &err, &len, 0);
    return -err;
}

/* May O_NONBLOCK be flipped?  Nobody else can hold the description. */
static bool connect_parks(struct gt_io *io, const struct sockaddr *addr, socklen_t len)
{
    if (io->announce || gt_io_kind(io) != GT_FD_STREAM || len < sizeof(sa_family_t) ||
        !(load_rlx(&io->pd->flags) & GT_FDF_OWNED))
        return false;
    return addr->sa_family == AF_INET || addr->sa_family == AF_INET6;
}

static long io_connect(struct gt_g *g, int fd, const struct sockaddr *addr, socklen_t len)
{
    struct gt_io io;
    struct connect_args a = {addr, len, false};
    gt_io_begin(&io, g, fd, GT_POLL_WRITE);
    if (!connect_parks(&io, addr, len))
        io.announce = true;
    long r = gt_io_run(&io, try_connect, &a);
    return r == -EAGAIN && a.begun ? -EINPROGRESS : r; /* SO_SNDTIMEO */
}

GT_EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(connect)(fd, addr, len);
    GT_CANCEL_POINT(g);
    if (gt_io_plain(fd))
        return (int)gt_io_ret(GT_SYS3(SYS_connect, fd, addr, len));
    gt_rt_enter(g);
    long r = io_connect(g, fd, addr, len);
    gt_rt_leave(g);
    return (int)gt_io_ret(r);
}

int __connect(int fd, const struct sockaddr *addr, socklen_t len);
GT_EXPORT int __connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    return connect(fd, addr, len);
}

/* ---- accept ---- */

struct accept_args {
    struct sockaddr *addr;
    socklen_t *len;
    int flags;
};

/* Only who listens may be waited for; for all others the kernel has an error at once. */
static bool listens(struct gt_io *io)
{
    int on = 0;
    socklen_t len = sizeof(on);
    if (io->announce || load_rlx(&io->pd->flags) & GT_FDF_LISTEN)
        return true;
    if (GT_SYS6(SYS_getsockopt, io->fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len, 0) < 0 || !on)
        return false;
    or_acqrel(&io->pd->flags, GT_FDF_LISTEN);
    return true;
}

static long try_accept(struct gt_io *io, void *arg)
{
    const struct accept_args *a = arg;
    if (!listens(io))
        return GT_SYS6(SYS_accept4, io->fd, a->addr, a->len, a->flags, 0, 0);
    return gt_io_ready_call(io, SYS_accept4, (long)a->addr, (long)a->len, a->flags, 0, 0);
}

/* A connection from listener: time-outs are inherited, the rest is known. */
static void note_accepted(int listener, int fd, int how)
{
    const unsigned inherited = GT_FDF_TCP | GT_FDF_TIMEO | GT_FDF_RCVTIMEO | GT_FDF_SNDTIMEO;
    unsigned flags = GT_FDF_OWNED | (how & SOCK_NONBLOCK ? GT_FDF_NONBLOCK : 0);
    enum gt_fdkind kind = GT_FD_UNKNOWN;
    struct gt_pollfd *pd = gt_netpoll_peek(listener);
    if (pd) {
        kind = (enum gt_fdkind)load_rlx(&pd->kind);
        flags |= load_rlx(&pd->flags) & inherited;
    }
    gt_netpoll_opened(fd, kind, flags);
}

static int accept_on(struct gt_g *g, int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    struct accept_args a = {addr, len, flags};
    struct gt_io io;
    long r;
    GT_CANCEL_POINT(g);
    if (gt_io_plain(fd)) {
        r = GT_SYS6(SYS_accept4, fd, addr, len, flags, 0, 0);
        gt_rt_enter(g);
    } else {
        gt_rt_enter(g);
        gt_io_begin(&io, g, fd, GT_POLL_READ);
        r = gt_io_run(&io, try_accept, &a);
    }
    if (r >= 0)
        note_accepted(fd, (int)r, flags);
    gt_rt_leave(g);
    return (int)gt_io_ret(r);
}

GT_EXPORT int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    struct gt_g *g = gt_self();
    return g ? accept_on(g, fd, addr, len, 0) : REAL(accept)(fd, addr, len);
}

GT_EXPORT int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    struct gt_g *g = gt_self();
    return g ? accept_on(g, fd, addr, len, flags) : REAL(accept4)(fd, addr, len, flags);
}

/* ---- recv ---- */

struct recv_args {
    struct gt_xfer x;
    struct sockaddr *addr;
    socklen_t *len;
};

static long recv_once(struct gt_io *io, struct recv_args *a)
{
    char *buf = (char *)a->x.iov->iov_base + a->x.done;
    size_t n = a->x.total - a->x.done;
    if (gt_io_kind(io) == GT_FD_FILE) /* announced, or no socket: the call will say so */
        return gt_syscall_blocking(io->g, SYS_recvfrom, io->fd, (long)buf, (long)n, a->x.flags,
                                   (long)a->addr, (long)a->len);
    long r = GT_SYS6(SYS_recvfrom, io->fd, buf, n, (a->x.flags & ~MSG_WAITALL) | MSG_DONTWAIT,
                     a->addr, a->len);
    if (!(a->x.flags & ~(MSG_WAITALL | MSG_NOSIGNAL)))
        gt_io_note_short(io, r, n);
    return r;
}

static long try_recv(struct gt_io *io, void *arg)
{
    struct recv_args *a = arg;
    bool all = a->x.flags & MSG_WAITALL && gt_io_kind(io) == GT_FD_STREAM;
    long r;
    do {
        r = recv_once(io, a);
        if (r <= 0)
            return r < 0 ? r : (long)a->x.done;
        a->x.done += (size_t)r;
    } while (all && a->x.done < a->x.total);
    return (long)a->x.done;
}

static ssize_t recv_on(struct gt_g *g, int fd, void *buf, size_t n, int flags,
                       struct sockaddr *addr, socklen_t *len)
{
    GT_CANCEL_POINT(g);
    if (flags & (MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE) || gt_io_plain(fd))
        return gt_io_ret(GT_SYS6(SYS_recvfrom, fd, buf, n, flags, addr, len));
    if ((flags & (MSG_PEEK | MSG_WAITALL)) == (MSG_PEEK | MSG_WAITALL))
        return gt_io_call(g, true, SYS_recvfrom, fd, (long)buf, (long)n, flags, (long)addr,
                          (long)len);
    struct iovec one = {buf, GT_MIN(n, GT_XFER_MAX)};
    struct recv_args a = {{.iov = &one, .cnt = 1, .flags = flags, .total = one.iov_len}, addr, len};
    struct gt_io io;
    gt_rt_enter(g);
    gt_io_begin(&io, g, fd, GT_POLL_READ);
    long r = gt_xfer_result(&a.x, gt_io_run(&io, try_recv, &a));
    gt_rt_leave(g);
    return gt_io_ret(r);
}

GT_EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags)
{
    struct gt_g *g = gt_self();
    return g ? recv_on(g, fd, buf, n, flags, NULL, NULL) : REAL(recv)(fd, buf, n, flags);
}

GT_EXPORT ssize_t recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
                           socklen_t *len)
{
    struct gt_g *g = gt_self();
    return g ? recv_on(g, fd, buf, n, flags, addr, len)
             : REAL(recvfrom)(fd, buf, n, flags, addr, len);
}

ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
GT_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
    return n > room ? REAL(__recv_chk)(fd, buf, n, room, flags) : recv(fd, buf, n, flags);
}

ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags, struct sockaddr *addr,
                       socklen_t *len);
GT_EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
                                 struct sockaddr *addr, socklen_t *len)
{
    return n > room ? REAL(__recvfrom_chk)(fd, buf, n, room, flags, addr, len)
                    : recvfrom(fd, buf, n, flags, addr, len);
}

struct recvmsg_args {
    struct msghdr *msg;
    int flags;
};

static long try_recvmsg(struct gt_io *io, void *arg)
{
    const struct recvmsg_args *a = arg;
    if (gt_io_kind(io) == GT_FD_FILE)
        return gt_syscall_blocking(io->g, SYS_recvmsg, io->fd, (long)a->msg, a->flags, 0, 0, 0);
    if (a->flags & MSG_WAITALL)
        return gt_io_ready_call(io, SYS_recvmsg, (long)a->msg, a->flags, 0, 0, 0);
    return GT_SYS3(SYS_recvmsg, io->fd, a->msg, a->flags | MSG_DONTWAIT);
}

GT_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(recvmsg)(fd, msg, flags);
    GT_CANCEL_POINT(g);
    if (flags & (MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE) || gt_io_plain(fd))
        return gt_io_ret(GT_SYS3(SYS_recvmsg, fd, msg, flags));
    struct recvmsg_args a = {msg, flags};
    struct gt_io io;
    gt_rt_enter(g);
    gt_io_begin(&io, g, fd, GT_POLL_READ);
    long r = gt_io_run(&io, try_recvmsg, &a);
    gt_rt_leave(g);
    return gt_io_ret(r);
}

struct mmsg_args {
    struct mmsghdr *vec;
    unsigned n, done;
    int flags;
    int64_t when; /* recvmmsg's time-out: looked at after each message only, as in the kernel */
};

static long try_recvmmsg(struct gt_io *io, void *arg)
{
    struct mmsg_args *a = arg;
    if (gt_io_kind(io) == GT_FD_FILE)
        return gt_syscall_blocking(io->g, SYS_recvmmsg, io->fd, (long)a->vec, a->n, a->flags, 0, 0);
    bool over;
    do {
        long r = GT_SYS6(SYS_recvmmsg, io->fd, a->vec + a->done, a->n - a->done,
                         (a->flags & ~MSG_WAITFORONE) | MSG_DONTWAIT, 0, 0);
        if (r <= 0)
            return r;
        a->done += (unsigned)r;
        over = a->flags & MSG_WAITFORONE || (a->when >= 0 && gt_nanotime() >= a->when);
    } while (a->done < a->n && !over);
    return a->done;
}

GT_EXPORT int recvmmsg(int fd, struct mmsghdr *vec, unsigned n, int flags, struct timespec *tmo)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(recvmmsg)(fd, vec, n, flags, tmo);
    GT_CANCEL_POINT(g);
    if (flags & (MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE) || n == 0 || gt_io_plain(fd))
        return (int)gt_io_ret(GT_SYS6(SYS_recvmmsg, fd, vec, n, flags, tmo, 0));
    if (tmo && (tmo->tv_sec < 0 || tmo->tv_nsec < 0 || tmo->tv_nsec >= GT_SEC))
        return (int)gt_ret(-EINVAL);
    struct mmsg_args a = {vec, n, 0, flags, gt_deadline_rel(tmo)};
    struct gt_io io;
    gt_rt_enter(g);
    gt_io_begin(&io, g, fd, GT_POLL_READ);
    long r = gt_io_run(&io, try_recvmmsg, &a);
    gt_rt_leave(g);
    if (r < 0 && a.done)
        r = a.done;
    if (tmo && r >= 0)
        *tmo = gt_io_left(a.when);
    return (int)gt_io_ret(r);
}

/* ---- send ---- */

struct send_args {
    struct gt_xfer x;
    const struct sockaddr *addr;
    socklen_t len;
    const struct msghdr *msg; /* sendmsg; else NULL */
};

static long send_once(struct gt_io *io, struct send_args *a, int flags)
{
    struct iovec head;
    int cnt;
    if (!a->msg) {
        const struct iovec *v = gt_xfer_rest(&a->x, &head, &cnt);
        return GT_SYS6(SYS_sendto, io->fd, v->iov_base, v->iov_len, flags, a->addr, a->len);
    }
    if (!a->x.done)
        return GT_SYS3(SYS_sendmsg, io->fd, a->msg, flags);
    struct msghdr rest = {.msg_name = a->msg->msg_name, .msg_namelen = a->msg->msg_namelen};
    rest.msg_iov = (struct iovec *)gt_xfer_rest(&a->x, &head, &cnt);
    rest.msg_iovlen = (size_t)cnt;
    return GT_SYS3(SYS_sendmsg, io->fd, &rest, flags);
}

static long try_send(struct gt_io *io, void *arg)
{
    struct send_args *a = arg;
    if (gt_io_kind(io) == GT_FD_FILE)
        return a->msg ? gt_syscall_blocking(io->g, SYS_sendmsg, io->fd, (long)a->msg, a->x.flags, 0,
                                            0, 0)
                      : gt_syscall_blocking(io->g, SYS_sendto, io->fd, (long)a->x.iov->iov_base,
                                            (long)a->x.iov->iov_len, a->x.flags, (long)a->addr,
                                            a->len);
    long r;
    do { /* plain, a connection that breaks after a part was taken gives no SIGPIPE */
        r = send_once(io, a, a->x.flags | MSG_DONTWAIT | (a->x.done ? MSG_NOSIGNAL : 0));
        if (gt_io_kind(io) != GT_FD_STREAM)
            return r; /* a message goes whole or not at all */
    } while (!gt_xfer_over(&a->x, &r));
    return r;
}

/* The copy and the handshake that these ask for are counted or waited for by the kernel. */
#define SEND_ANNOUNCED (MSG_ZEROCOPY | MSG_FASTOPEN)

static long io_send(struct gt_g *g, int fd, struct send_args *a)
{
    struct gt_io io;
    gt_io_begin(&io, g, fd, GT_POLL_WRITE);
    if (a->x.flags & SEND_ANNOUNCED)
        io.announce = true;
    return gt_xfer_result(&a->x, gt_io_run(&io, try_send, a));
}

static ssize_t send_on(struct gt_g *g, int fd, const void *buf, size_t n, int flags,
                       const struct sockaddr *addr, socklen_t len)
{
    GT_CANCEL_POINT(g);
    if (flags & MSG_DONTWAIT || gt_io_plain(fd))
        return gt_io_ret(GT_SYS6(SYS_sendto, fd, buf, n, flags, addr, len));
    struct iovec one = {(void *)buf, GT_MIN(n, GT_XFER_MAX)};
    struct send_args a = {
        {.iov = &one, .cnt = 1, .flags = flags, .total = one.iov_len}, addr, len, NULL};
    gt_rt_enter(g);
    long r = io_send(g, fd, &a);
    gt_rt_leave(g);
    return gt_io_ret(r);
}

GT_EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags)
{
    struct gt_g *g = gt_self();
    return g ? send_on(g, fd, buf, n, flags, NULL, 0) : REAL(send)(fd, buf, n, flags);
}

ssize_t __send(int fd, const void *buf, size_t n, int flags);
GT_EXPORT ssize_t __send(int fd, const void *buf, size_t n, int flags)
{
    return send(fd, buf, n, flags);
}

GT_EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
                         socklen_t len)
{
    struct gt_g *g = gt_self();
    return g ? send_on(g, fd, buf, n, flags, addr, len)
             : REAL(sendto)(fd, buf, n, flags, addr, len);
}

/* Descriptors that travel in msg are shared with whoever receives them. */
static void note_passed(const struct msghdr *msg)
{
    if (likely(!msg->msg_controllen))
        return;
    struct msghdr m = *msg;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        const int *fds = (const int *)(const void *)CMSG_DATA(c);
        for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
            struct gt_pollfd *pd = gt_netpoll_peek(fds[i]);
            if (pd)
                and_acqrel(&pd->flags, ~GT_FDF_OWNED);
        }
    }
}

static long io_sendmsg(struct gt_g *g, int fd, const struct msghdr *msg, int flags)
{
    struct send_args a = {.x = {.iov = msg->msg_iov, .cnt = (int)msg->msg_iovlen, .flags = flags},
                          .msg = msg};
    if (msg->msg_iovlen > 1024) /* the kernel refuses it */
        return GT_SYS3(SYS_sendmsg, fd, msg, flags);
    for (size_t i = 0; i < msg->msg_iovlen; i++)
        a.x.total += msg->msg_iov[i].iov_len;
    return io_send(g, fd, &a);
}

GT_EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(sendmsg)(fd, msg, flags);
    GT_CANCEL_POINT(g);
    note_passed(msg);
    if (flags & MSG_DONTWAIT || gt_io_plain(fd))
        return gt_io_ret(GT_SYS3(SYS_sendmsg, fd, msg, flags));
    gt_rt_enter(g);
    long r = io_sendmsg(g, fd, msg, flags);
    gt_rt_leave(g);
    return gt_io_ret(r);
}

static long try_sendmmsg(struct gt_io *io, void *arg)
{
    struct mmsg_args *a = arg;
    if (gt_io_kind(io) == GT_FD_FILE)
        return gt_syscall_blocking(io->g, SYS_sendmmsg, io->fd, (long)a->vec, a->n, a->flags, 0, 0);
    long r;
    do {
        r = GT_SYS6(SYS_sendmmsg, io->fd, a->vec + a->done, a->n - a->done, a->flags | MSG_DONTWAIT,
                    0, 0);
        if (r <= 0)
            return r;
        a->done += (unsigned)r;
    } while (a->done < a->n);
    return a->done;
}

/* Stream sockets: message by message, since each may go in parts. */
static long stream_sendmmsg(struct gt_g *g, int fd, struct mmsghdr *vec, unsigned n, int flags)
{
    for (unsigned i = 0; i < n; i++) {
        long r = io_sendmsg(g, fd, &vec[i].msg_hdr, flags);
        if (r < 0)
            return i ? (long)i : r;
        vec[i].msg_len = (unsigned)r;
    }
    return n;
}

GT_EXPORT int sendmmsg(int fd, struct mmsghdr *vec, unsigned n, int flags)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(sendmmsg)(fd, vec, n, flags);
    GT_CANCEL_POINT(g);
    n = GT_MIN(n, 1024u);
    for (unsigned i = 0; i < n; i++)
        note_passed(&vec[i].msg_hdr);
    if (flags & MSG_DONTWAIT || n == 0 || gt_io_plain(fd))
        return (int)gt_io_ret(GT_SYS6(SYS_sendmmsg, fd, vec, n, flags, 0, 0));
    struct mmsg_args a = {vec, n, 0, flags, GT_NEVER};
    struct gt_io io;
    gt_rt_enter(g);
    gt_io_begin(&io, g, fd, GT_POLL_WRITE);
    long r;
    if (gt_io_kind(&io) == GT_FD_STREAM) {
        gt_io_end(&io);
        r = stream_sendmmsg(g, fd, vec, n, flags);
    } else {
        r = gt_io_run(&io, try_sendmmsg, &a);
    }
    gt_rt_leave(g);
    return (int)gt_io_ret(r < 0 && a.done ? (long)a.done : r);
}
