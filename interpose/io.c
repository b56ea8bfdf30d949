/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The engine of blocking I/O, and read, write and their relatives.
 *
 * A blocking call on a goroutine is an attempt that does not wait (MSG_DONTWAIT, RWF_NOWAIT, or
 * poll(0) before the plain call), then a park in the poller, then another attempt.  O_NONBLOCK is
 * never touched: it lives on the open file description, which others share.  If the program has
 * set it, EAGAIN is the program's answer.
 *
 * The first attempt uses the slot without a reference; only who must wait takes one, and from then
 * on uses pd->fd, which follows a descriptor that is closed under its waiters.
 *
 * Regular files never say EAGAIN: announced calls, so that the P can be taken meanwhile, and no
 * more than a disk can use at once (core/sched/disk.h).
 */
#include "core/sched/disk.h"
#include "core/sched/signal.h"
#include "interpose/io.h"
#include "interpose/thread.h"

#include <linux/magic.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>

/* ---- what a descriptor is ---- */

static uint32_t kind_of_socket(int fd, unsigned *flags)
{
    int type = 0, proto = 0;
    socklen_t len = sizeof(type);
    if (GT_SYS6(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &len, 0) < 0 || type != SOCK_STREAM)
        return GT_FD_SOCKET;
    len = sizeof(proto);
    if (GT_SYS6(SYS_getsockopt, fd, SOL_SOCKET, SO_PROTOCOL, &proto, &len, 0) == 0 &&
        proto == IPPROTO_TCP)
        *flags |= GT_FDF_TCP;
    return GT_FD_STREAM;
}

static uint32_t kind_of_device(int fd)
{
    char termios[64];
    return GT_SYS3(SYS_ioctl, fd, 0x5401 /* TCGETS */, termios) == 0 ? GT_FD_TTY : GT_FD_OTHER;
}

/* Looks at fd with fstat and stores kind and flags. */
static void io_look(struct gt_pollfd *pd, int fd)
{
    struct stat st;
    if (sys_fstat(fd, &st) < 0)
        return;
    uint32_t kind;
    unsigned flags = 0;
    switch (st.st_mode & S_IFMT) {
    case S_IFSOCK:
        kind = kind_of_socket(fd, &flags);
        break;
    case S_IFIFO:
        kind = GT_FD_PIPE;
        break;
    case S_IFCHR:
        kind = kind_of_device(fd);
        break;
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK:
    case S_IFLNK:
        kind = GT_FD_FILE;
        break;
    default: /* anonymous inodes have no type */
        kind = gt_sigfd_is(fd) ? GT_FD_SIGNAL : GT_FD_EVENT;
    }
    if (flags)
        or_acqrel(&pd->flags, flags);
    store_rlx(&pd->kind, kind);
}

/* ---- the engine ---- */

void gt_io_begin(struct gt_io *io, struct gt_g *g, int fd, enum gt_polldir dir)
{
    *io = (struct gt_io){
        .g = g, .asked = fd, .fd = fd, .dir = dir, .when = GT_NEVER, .pd = gt_netpoll_peek(fd)};
    if (unlikely(!io->pd)) {
        io->pd = gt_netpoll_get(fd);
        if (!io->pd) {
            io->announce = true;
            return;
        }
        io->held = true;
    }
    if (unlikely(load_rlx(&io->pd->kind) == GT_FD_UNKNOWN)) {
        io_look(io->pd, fd);
        if (load_rlx(&io->pd->kind) == GT_FD_UNKNOWN)
            io->announce = true; /* no such descriptor: the call itself will say so */
    }
}

void gt_io_end(struct gt_io *io)
{
    if (io->held)
        gt_netpoll_put(io->pd);
    io->held = false;
}

static int64_t socket_timeout(int fd, int what)
{
    struct timeval tv = {0, 0};
    socklen_t len = sizeof(tv);
    if (GT_SYS6(SYS_getsockopt, fd, SOL_SOCKET, what, &tv, &len, 0) < 0)
        return 0;
    return tv.tv_sec * GT_SEC + tv.tv_usec * GT_US;
}

/* The deadline that SO_RCVTIMEO or SO_SNDTIMEO sets for this call. */
static void io_find_deadline(struct gt_io *io)
{
    uint32_t kind = load_rlx(&io->pd->kind);
    if (kind != GT_FD_STREAM && kind != GT_FD_SOCKET)
        return;
    unsigned flags = load_rlx(&io->pd->flags);
    unsigned want = io->dir == GT_POLL_READ ? GT_FDF_RCVTIMEO : GT_FDF_SNDTIMEO;
    if (!(flags & GT_FDF_TIMEO)) {
        unsigned found = GT_FDF_TIMEO;
        if (socket_timeout(io->fd, SO_RCVTIMEO))
            found |= GT_FDF_RCVTIMEO;
        if (socket_timeout(io->fd, SO_SNDTIMEO))
            found |= GT_FDF_SNDTIMEO;
        or_acqrel(&io->pd->flags, found);
        flags |= found;
    }
    if (!(flags & want))
        return;
    int64_t ns = socket_timeout(io->fd, io->dir == GT_POLL_READ ? SO_RCVTIMEO : SO_SNDTIMEO);
    if (ns > 0)
        io->when = gt_nanotime() + ns;
}

/* Before the first park: takes the reference, asks whether EAGAIN is the program's own, finds the
 * deadline.  0; 1: the slot is another one now, attempt again; or -errno. */
static long io_look_before_park(struct gt_io *io)
{
    long moved = 0;
    if (!io->held) {
        struct gt_pollfd *pd = gt_netpoll_get(io->asked);
        if (!pd) {
            io->announce = true;
            return 1;
        }
        moved = pd != io->pd;
        io->pd = pd;
        io->fd = pd->fd;
        io->held = true;
    }
    unsigned flags = load_rlx(&io->pd->flags);
    if (flags & GT_FDF_NONBLOCK)
        return -EAGAIN;
    if (!(flags & GT_FDF_OWNED)) {
        int fl = sys_fcntl(io->fd, F_GETFL, 0);
        if (fl < 0)
            return fl;
        if (fl & O_NONBLOCK) {
            or_acqrel(&io->pd->flags, GT_FDF_NONBLOCK);
            return -EAGAIN;
        }
    }
    if (!io->looked)
        io_find_deadline(io);
    io->looked = true;
    return moved;
}

/* A signal or a cancellation: true when the call must fail with EINTR; not when it is to be made
 * again whatever came, as it never waits.  Cancellation does not come back, nor does a handler that
 * jumps out, so the reference goes first. */
static bool io_interrupted(struct gt_io *io, bool again)
{
    bool looked = io->looked;
    int64_t when = io->when;
    gt_io_end(io);
    if (gt_intr(io->g, when < 0) && !again)
        return true;
    gt_io_begin(io, io->g, io->asked, io->dir); /* it may be another descriptor by now */
    io->looked = looked;
    io->when = when;
    return false;
}

/* An attempt said EAGAIN: 0 when it is worth another. */
static long io_block(struct gt_io *io)
{
    if (!io->looked || !io->held) {
        long r = io_look_before_park(io);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    int e = gt_netpoll_wait(io->pd, io->dir, io->seq, io->when,
                            io->dir == GT_POLL_READ ? GT_R_IO_READ : GT_R_IO_WRITE);
    switch (e) {
    case 0:
        return 0;
    case -ETIMEDOUT:
        return -EAGAIN;
    case -EINTR:
        return io_interrupted(io, false) ? -EINTR : 0;
    default:
        io->announce = true;
        return 0;
    }
}

static uint64_t drained_mark(const struct gt_io *io)
{
    return (uint64_t)__atomic_load_n(&io->pd->gen, __ATOMIC_RELAXED) << 32 | io->seq;
}

/* TCP, and a read that began after the last edge came short: until the next edge there is nothing,
 * and the end of the stream is an edge too.  Urgent data can make a read short with more behind it;
 * then the poller's second look finds it. */
static bool io_known_empty(const struct gt_io *io)
{
    const unsigned need = GT_FDF_OWNED | GT_FDF_TCP;
    return io->dir == GT_POLL_READ && !io->announce &&
           (load_rlx(&io->pd->flags) & (need | GT_FDF_NONBLOCK)) == need &&
           load_rlx(&io->pd->drained) == drained_mark(io) && !load_rlx(&io->pd->hup);
}

void gt_io_note_short(struct gt_io *io, long r, size_t n)
{
    if (r > 0 && (size_t)r < n && (load_rlx(&io->pd->flags) & GT_FDF_TCP))
        store_rlx(&io->pd->drained, drained_mark(io));
}

/* Not inlined: errno's address is found afresh. */
GT_NOINLINE long gt_io_failed(long r)
{
    struct gt_g *g = r == -EPIPE ? gt_self() : NULL;
    if (g && (g->sigmask & GT_SIGBIT(SIGPIPE))) {
        gt_rt_enter(g);
        gt_sig_take_pipe(g);
        gt_rt_leave(g);
    }
    return gt_ret(r);
}

/* ---- signals that come with a call which they cannot end ----
 *
 * A call that a signal stops before it was made looks like one that the kernel has ended.  Where
 * the kernel never does that, the signal came before the call: the handlers run, then it is made.
 */

/* A regular file of this machine: transfers and fsync wait for the disk, whatever happens. */
static bool local_file(int fd)
{
    struct stat st;
    struct statfs fs;
    if (GT_SYS3(SYS_fstat, fd, &st, 0) < 0 || !S_ISREG(st.st_mode) ||
        GT_SYS3(SYS_fstatfs, fd, &fs, 0) < 0)
        return false;
    switch (fs.f_type) { /* those that ask another process or machine */
    case FUSE_SUPER_MAGIC:
    case NFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case V9FS_MAGIC:
    case CEPH_SUPER_MAGIC:
        return false;
    }
    return true;
}

static bool never_waits(int fd)
{
    long flags = GT_SYS3(SYS_fcntl, fd, F_GETFL, 0);
    return (flags >= 0 && (flags & O_NONBLOCK)) || local_file(fd);
}

/* Only a FIFO and some devices keep open() waiting; those of major number 1 (null, zero, random)
 * do not. */
static bool opens_at_once(int dir, const char *path)
{
    struct stat st;
    if (GT_SYS6(SYS_newfstatat, dir, path, &st, 0, 0, 0) < 0)
        return true;
    return !S_ISFIFO(st.st_mode) && (!S_ISCHR(st.st_mode) || major(st.st_rdev) == 1);
}

static bool semop_at_once(const struct sembuf *ops, size_t n)
{
    struct sembuf op;
    for (size_t i = 0; i < n; i++)
        if (!gt_arch_copy_user(&op, ops + i, sizeof(op)) || !(op.sem_flg & IPC_NOWAIT))
            return false;
    return true;
}

bool gt_io_at_once(long nr, long a, long b, long c, long d, long e)
{
    if (gt_disk_call(nr))
        return local_file((int)a);
    switch (nr) {
    case SYS_openat:
        return opens_at_once((int)a, (const char *)b);
    case SYS_wait4:
        return c & WNOHANG;
    case SYS_waitid:
        return d & WNOHANG;
    case SYS_flock:
        return b & LOCK_NB;
    case SYS_msgsnd:
        return d & IPC_NOWAIT;
    case SYS_msgrcv:
        return e & IPC_NOWAIT;
    case SYS_semop:
    case SYS_semtimedop:
        return semop_at_once((const struct sembuf *)b, (size_t)c);
    }
    return false;
}

long gt_io_run(struct gt_io *io, gt_io_try *attempt, void *arg)
{
    long r;
    bool first = true;
    for (;;) {
        if (io->held) /* it may have been closed meanwhile, and lives on under another number */
            io->fd = __atomic_load_n(&io->pd->fd, __ATOMIC_RELAXED);
        if (io->pd)
            io->seq = gt_netpoll_seq(io->pd, io->dir);
        r = first && io_known_empty(io) ? -EAGAIN : attempt(io, arg);
        if (unlikely(r == -EPIPE) && (io->g->sigmask & GT_SIGBIT(SIGPIPE)))
            gt_sig_take_pipe(io->g);
        first = false;
        if (r == -EAGAIN && !io->announce) {
            r = io_block(io);
            if (r == 0)
                continue;
            break;
        }
        if (r == -EINTR && !io_interrupted(io, never_waits(io->fd)))
            continue;
        if (io->pd)
            gt_netpoll_pass(io->pd, io->dir);
        break;
    }
    gt_io_end(io);
    if (unlikely(r == -EBADF)) /* perhaps by who had cancelled us before */
        gt_testcancel(io->g);
    return r;
}

long gt_io_ready_call(struct gt_io *io, long nr, long b, long c, long d, long e, long f)
{
    struct pollfd p = {.fd = io->fd, .events = io->dir == GT_POLL_READ ? POLLIN : POLLOUT};
    if (!io->announce) {
        int n;
        while ((n = sys_poll(&p, 1, 0)) == -EINTR) {
            /* a signal of the runtime's own: asked without waiting, so ask again */
        }
        if (n == 0)
            return -EAGAIN;
    }
    return gt_syscall_blocking(io->g, nr, io->fd, b, c, d, e, f);
}

static long try_ready(struct gt_io *io, void *arg)
{
    (void)arg;
    struct pollfd p = {.fd = io->fd, .events = io->dir == GT_POLL_READ ? POLLIN : POLLOUT};
    if (io->announce)
        return 0; /* the call that follows is announced and may wait itself */
    int n = sys_poll(&p, 1, 0);
    return n > 0 ? 0 : n == 0 ? -EAGAIN : n;
}

/* Waits until fd is ready in its direction, consuming nothing: 0, or -errno. */
static long wait_ready(struct gt_g *g, int fd, enum gt_polldir dir)
{
    struct gt_io io;
    gt_io_begin(&io, g, fd, dir);
    if (io.announce || gt_io_kind(&io) == GT_FD_FILE) {
        gt_io_end(&io);
        return 0;
    }
    return gt_io_run(&io, try_ready, NULL);
}

long gt_io_announced(struct gt_g *g, bool restart, long nr, long a, long b, long c, long d, long e,
                     long f)
{
    for (;;) {
        long r = gt_disk_call(nr) ? gt_disk_syscall(g, nr, a, b, c, d, e, f)
                                  : gt_syscall_blocking(g, nr, a, b, c, d, e, f);
        if (r != -EINTR || (gt_intr(g, restart) && !gt_io_at_once(nr, a, b, c, d, e)))
            return r;
    }
}

long gt_io_call(struct gt_g *g, bool restart, long nr, long a, long b, long c, long d, long e,
                long f)
{
    GT_CANCEL_POINT(g);
    gt_rt_enter(g);
    long r = gt_io_announced(g, restart, nr, a, b, c, d, e, f);
    gt_rt_leave(g);
    return gt_io_ret(r);
}

/* ---- transfers ---- */

const struct iovec *gt_xfer_rest(const struct gt_xfer *x, struct iovec *head, int *cnt)
{
    size_t skip = x->done;
    int i = 0;
    while (i < x->cnt - 1 && skip >= x->iov[i].iov_len)
        skip -= x->iov[i++].iov_len;
    *cnt = x->cnt - i;
    if (skip == 0)
        return x->iov + i;
    *head = (struct iovec){(char *)x->iov[i].iov_base + skip, x->iov[i].iov_len - skip};
    *cnt = 1;
    return head;
}

bool gt_xfer_over(struct gt_xfer *x, long *r)
{
    if (*r < 0)
        return true;
    x->done += (size_t)*r;
    if (*r > 0 && x->done < x->total)
        return false;
    *r = (long)x->done;
    return true;
}

static void xfer_one(struct gt_xfer *x, struct iovec *one)
{
    one->iov_len = GT_MIN(one->iov_len, GT_XFER_MAX);
    *x = (struct gt_xfer){.iov = one, .cnt = 1, .total = one->iov_len};
}

/* False: the kernel must refuse it. */
static bool xfer_many(struct gt_xfer *x, const struct iovec *iov, int cnt)
{
    if (cnt <= 0 || cnt > 1024)
        return false;
    *x = (struct gt_xfer){.iov = iov, .cnt = cnt};
    for (int i = 0; i < cnt; i++)
        x->total += iov[i].iov_len;
    return true;
}

/* preadv2 or pwritev2 at the file's own position, without waiting. */
static long nowait_call(struct gt_io *io, long nr, const struct iovec *v, int cnt)
{
    if (load_rlx(&io->pd->flags) & GT_FDF_NOWAIT_NO)
        return -EOPNOTSUPP;
    long r = GT_SYS6(nr, io->fd, v, cnt, -1, -1, RWF_NOWAIT);
    if (r != -EOPNOTSUPP && r != -ENOSYS)
        return r;
    or_acqrel(&io->pd->flags, GT_FDF_NOWAIT_NO);
    return -EOPNOTSUPP;
}

static long stream_read(struct gt_io *io, const struct gt_xfer *x)
{
    long r;
    if (x->cnt == 1) {
        r = GT_SYS6(SYS_recvfrom, io->fd, x->iov->iov_base, x->iov->iov_len, MSG_DONTWAIT, 0, 0);
    } else {
        struct msghdr m = {.msg_iov = (struct iovec *)x->iov, .msg_iovlen = (size_t)x->cnt};
        r = GT_SYS3(SYS_recvmsg, io->fd, &m, MSG_DONTWAIT);
    }
    gt_io_note_short(io, r, x->total);
    return r;
}

/* On a regular file; announce: it is not even known what it is. */
static long io_file(struct gt_io *io, long nr, const struct iovec *v, int cnt)
{
    return io->announce ? gt_syscall_blocking(io->g, nr, io->fd, (long)v, cnt, 0, 0, 0)
                        : gt_disk_syscall(io->g, nr, io->fd, (long)v, cnt, 0, 0, 0);
}

static long try_read(struct gt_io *io, void *arg)
{
    struct gt_xfer *x = arg;
    long r;
    switch (gt_io_kind(io)) {
    case GT_FD_STREAM:
        r = stream_read(io, x);
        if (r != -ENOTSOCK)
            return r;
        io_look(io->pd, io->fd); /* closed and opened behind our back */
        /* fallthrough */
    case GT_FD_SIGNAL:
    case GT_FD_SOCKET:
    case GT_FD_PIPE:
    case GT_FD_EVENT:
        r = load_rlx(&io->pd->kind) == GT_FD_SIGNAL ? gt_sigfd_read(io->g, io->fd, x->iov, x->cnt)
                                                    : 0;
        if (r != 0)
            return r;
        r = nowait_call(io, SYS_preadv2, x->iov, x->cnt);
        if (r != -EOPNOTSUPP)
            return r;
        /* fallthrough */
    case GT_FD_TTY:
        return gt_io_ready_call(io, SYS_readv, (long)x->iov, x->cnt, 0, 0, 0);
    case GT_FD_FILE:
        return io_file(io, SYS_readv, x->iov, x->cnt);
    default:
        return gt_syscall_blocking(io->g, SYS_readv, io->fd, (long)x->iov, x->cnt, 0, 0, 0);
    }
}

static long stream_write(struct gt_io *io, const struct gt_xfer *x, const struct iovec *v, int cnt)
{
    /* plain, a connection that breaks after a part was taken gives no SIGPIPE */
    int flags = MSG_DONTWAIT | (x->done ? MSG_NOSIGNAL : 0);
    if (cnt == 1)
        return GT_SYS6(SYS_sendto, io->fd, v->iov_base, v->iov_len, flags, 0, 0);
    struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)cnt};
    return GT_SYS3(SYS_sendmsg, io->fd, &m, flags);
}

/* One write of what is left of x; -EAGAIN when it would have to wait. */
static long write_once(struct gt_io *io, const struct gt_xfer *x)
{
    struct iovec head;
    int cnt;
    const struct iovec *v = gt_xfer_rest(x, &head, &cnt);
    long r;
    switch (gt_io_kind(io)) {
    case GT_FD_STREAM:
        r = stream_write(io, x, v, cnt);
        if (r != -ENOTSOCK)
            return r;
        io_look(io->pd, io->fd);
        /* fallthrough */
    case GT_FD_SOCKET:
    case GT_FD_PIPE:
        r = nowait_call(io, SYS_pwritev2, v, cnt);
        if (r != -EOPNOTSUPP)
            return r;
        /* fallthrough */
    case GT_FD_TTY:
        return gt_io_ready_call(io, SYS_writev, (long)v, cnt, 0, 0, 0);
    case GT_FD_FILE:
        return io_file(io, SYS_writev, v, cnt);
    default: /* also an eventfd, which is all but never full */
        return gt_syscall_blocking(io->g, SYS_writev, io->fd, (long)v, cnt, 0, 0, 0);
    }
}

static long try_write(struct gt_io *io, void *arg)
{
    struct gt_xfer *x = arg;
    long r;
    do {
        r = write_once(io, x);
        uint32_t kind = gt_io_kind(io);
        if (r > 0 && kind != GT_FD_STREAM && kind != GT_FD_PIPE)
            return (long)x->done + r; /* one call is what it takes */
    } while (!gt_xfer_over(x, &r));
    return r;
}

static long io_read(struct gt_g *g, int fd, struct gt_xfer *x)
{
    struct gt_io io;
    gt_rt_enter(g);
    gt_io_begin(&io, g, fd, GT_POLL_READ);
    long r = gt_io_run(&io, try_read, x);
    gt_rt_leave(g);
    return r;
}

static long io_write(struct gt_g *g, int fd, struct gt_xfer *x)
{
    struct gt_io io;
    gt_rt_enter(g);
    gt_io_begin(&io, g, fd, GT_POLL_WRITE);
    long r = gt_xfer_result(x, gt_io_run(&io, try_write, x));
    gt_rt_leave(g);
    return r;
}

/* ---- read, write ---- */

/* A filter that came after the threads (seccomp) lets the program's call through, perhaps, but not
 * those that try it without waiting.  Its error may be any; these are the usual ones. */
static bool refused(long r)
{
    return unlikely(r == -EPERM || r == -ENOSYS || r == -EACCES) && gt_is_confined();
}

GT_EXPORT ssize_t read(int fd, void *buf, size_t n)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(read)(fd, buf, n);
    GT_CANCEL_POINT(g);
    if (n == 0 || gt_io_plain(fd))
        return gt_io_ret(sys_read(fd, buf, n));
    struct iovec one = {buf, n};
    struct gt_xfer x;
    xfer_one(&x, &one);
    long r = io_read(g, fd, &x);
    return refused(r) ? gt_io_call(g, true, SYS_read, fd, (long)buf, (long)n, 0, 0, 0)
                      : gt_io_ret(r);
}

GT_EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(write)(fd, buf, n);
    GT_CANCEL_POINT(g);
    if (n == 0 || gt_io_plain(fd))
        return gt_io_ret(sys_write(fd, buf, n));
    struct iovec one = {(void *)buf, n};
    struct gt_xfer x;
    xfer_one(&x, &one);
    long r = io_write(g, fd, &x);
    return refused(r) ? gt_io_call(g, true, SYS_write, fd, (long)buf, (long)n, 0, 0, 0)
                      : gt_io_ret(r);
}

GT_EXPORT ssize_t readv(int fd, const struct iovec *iov, int cnt)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(readv)(fd, iov, cnt);
    GT_CANCEL_POINT(g);
    struct gt_xfer x;
    if (gt_io_plain(fd) || !xfer_many(&x, iov, cnt) || x.total == 0)
        return gt_io_ret(GT_SYS3(SYS_readv, fd, iov, cnt));
    return gt_io_ret(io_read(g, fd, &x));
}

GT_EXPORT ssize_t writev(int fd, const struct iovec *iov, int cnt)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(writev)(fd, iov, cnt);
    GT_CANCEL_POINT(g);
    struct gt_xfer x;
    if (gt_io_plain(fd) || !xfer_many(&x, iov, cnt) || x.total == 0)
        return gt_io_ret(GT_SYS3(SYS_writev, fd, iov, cnt));
    return gt_io_ret(io_write(g, fd, &x));
}

ssize_t __read(int fd, void *buf, size_t n);
GT_EXPORT ssize_t __read(int fd, void *buf, size_t n)
{
    return read(fd, buf, n);
}

ssize_t __write(int fd, const void *buf, size_t n);
GT_EXPORT ssize_t __write(int fd, const void *buf, size_t n)
{
    return write(fd, buf, n);
}

ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
GT_EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
    return n > room ? REAL(__read_chk)(fd, buf, n, room) : read(fd, buf, n);
}

/* ---- files: announced ---- */

/* One announced function: (type, name, parameters, arguments for the real one, the raw call). */
#define ANNOUNCED(ret, name, params, args, nr, a, b, c, d, e, f)                                   \
    GT_EXPORT ret name params                                                                      \
    {                                                                                              \
        struct gt_g *g = gt_self();                                                                \
        if (!g)                                                                                    \
            return REAL(name) args;                                                                \
        return (ret)gt_io_call(g, true, nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), \
                               (long)(f));                                                         \
    }

/* clang-format off */
ANNOUNCED(ssize_t, pread, (int fd, void *buf, size_t n, off_t off), (fd, buf, n, off),
          SYS_pread64, fd, buf, n, off, 0, 0)
ANNOUNCED(ssize_t, pread64, (int fd, void *buf, size_t n, off64_t off), (fd, buf, n, off),
          SYS_pread64, fd, buf, n, off, 0, 0)
ANNOUNCED(ssize_t, pwrite, (int fd, const void *buf, size_t n, off_t off), (fd, buf, n, off),
          SYS_pwrite64, fd, buf, n, off, 0, 0)
ANNOUNCED(ssize_t, pwrite64, (int fd, const void *buf, size_t n, off64_t off), (fd, buf, n, off),
          SYS_pwrite64, fd, buf, n, off, 0, 0)
ANNOUNCED(ssize_t, preadv, (int fd, const struct iovec *v, int n, off_t off), (fd, v, n, off),
          SYS_preadv, fd, v, n, off, 0, 0)
ANNOUNCED(ssize_t, preadv64, (int fd, const struct iovec *v, int n, off64_t off), (fd, v, n, off),
          SYS_preadv, fd, v, n, off, 0, 0)
ANNOUNCED(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t off), (fd, v, n, off),
          SYS_pwritev, fd, v, n, off, 0, 0)
ANNOUNCED(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off64_t off), (fd, v, n, off),
          SYS_pwritev, fd, v, n, off, 0, 0)
ANNOUNCED(ssize_t, copy_file_range,
          (int in, off64_t *ioff, int out, off64_t *ooff, size_t n, unsigned flags),
          (in, ioff, out, ooff, n, flags), SYS_copy_file_range, in, ioff, out, ooff, n, flags)
ANNOUNCED(int, fsync, (int fd), (fd), SYS_fsync, fd, 0, 0, 0, 0, 0)
ANNOUNCED(int, fdatasync, (int fd), (fd), SYS_fdatasync, fd, 0, 0, 0, 0, 0)
ANNOUNCED(int, syncfs, (int fd), (fd), SYS_syncfs, fd, 0, 0, 0, 0, 0)
ANNOUNCED(int, msync, (void *p, size_t n, int flags), (p, n, flags),
          SYS_msync, p, n, flags, 0, 0, 0)
ANNOUNCED(int, flock, (int fd, int op), (fd, op), SYS_flock, fd, op, 0, 0, 0, 0)
/* clang-format on */

GT_EXPORT void sync(void)
{
    struct gt_g *g = gt_self();
    if (!g) {
        REAL(sync)();
        return;
    }
    gt_rt_enter(g);
    gt_io_announced(g, true, SYS_sync, 0, 0, 0, 0, 0, 0);
    gt_rt_leave(g);
}

/* At a position: announced.  At -1 without flags it is readv or writev. */
static ssize_t rw_v2(struct gt_g *g, long nr, int fd, const struct iovec *v, int n, off64_t off,
                     int flags)
{
    if (off == -1 && flags == 0)
        return nr == SYS_preadv2 ? readv(fd, v, n) : writev(fd, v, n);
    return gt_io_call(g, true, nr, fd, (long)v, n, off, 0, flags);
}

GT_EXPORT ssize_t preadv2(int fd, const struct iovec *v, int n, off_t off, int flags)
{
    struct gt_g *g = gt_self();
    return g ? rw_v2(g, SYS_preadv2, fd, v, n, off, flags) : REAL(preadv2)(fd, v, n, off, flags);
}

GT_EXPORT ssize_t preadv64v2(int fd, const struct iovec *v, int n, off64_t off, int flags)
{
    struct gt_g *g = gt_self();
    return g ? rw_v2(g, SYS_preadv2, fd, v, n, off, flags) : REAL(preadv64v2)(fd, v, n, off, flags);
}

GT_EXPORT ssize_t pwritev2(int fd, const struct iovec *v, int n, off_t off, int flags)
{
    struct gt_g *g = gt_self();
    return g ? rw_v2(g, SYS_pwritev2, fd, v, n, off, flags) : REAL(pwritev2)(fd, v, n, off, flags);
}

GT_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *v, int n, off64_t off, int flags)
{
    struct gt_g *g = gt_self();
    return g ? rw_v2(g, SYS_pwritev2, fd, v, n, off, flags)
             : REAL(pwritev64v2)(fd, v, n, off, flags);
}

ssize_t __pread64(int fd, void *buf, size_t n, off64_t off);
GT_EXPORT ssize_t __pread64(int fd, void *buf, size_t n, off64_t off)
{
    return pread64(fd, buf, n, off);
}

ssize_t __pwrite64(int fd, const void *buf, size_t n, off64_t off);
GT_EXPORT ssize_t __pwrite64(int fd, const void *buf, size_t n, off64_t off)
{
    return pwrite64(fd, buf, n, off);
}

ssize_t __pread_chk(int fd, void *buf, size_t n, off_t off, size_t room);
GT_EXPORT ssize_t __pread_chk(int fd, void *buf, size_t n, off_t off, size_t room)
{
    return n > room ? REAL(__pread_chk)(fd, buf, n, off, room) : pread(fd, buf, n, off);
}

ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t off, size_t room);
GT_EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t off, size_t room)
{
    return n > room ? REAL(__pread64_chk)(fd, buf, n, off, room) : pread64(fd, buf, n, off);
}

/* The C library builds these on fcntl, inside itself, where no cancellation would find them. */
GT_EXPORT int lockf64(int fd, int cmd, off64_t len)
{
    if (!gt_self() || cmd != F_LOCK)
        return REAL(lockf64)(fd, cmd, len);
    struct flock64 fl = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_len = len};
    return fcntl64(fd, F_SETLKW64, &fl);
}

GT_EXPORT int lockf(int fd, int cmd, off_t len)
{
    return gt_self() && cmd == F_LOCK ? lockf64(fd, cmd, len) : REAL(lockf)(fd, cmd, len);
}

/* ---- sendfile, splice ---- */

#define SENDFILE_CHUNK 65536ul

struct sendfile_args {
    int in;
    off64_t *off;
    size_t n, done;
};

/* There is no "do not wait" for sendfile: chunks, each announced, while the receiver has room. */
static long try_sendfile(struct gt_io *io, void *arg)
{
    struct sendfile_args *a = arg;
    bool file = gt_io_kind(io) == GT_FD_FILE;
    for (;;) {
        size_t left = a->n - a->done, n = file ? left : GT_MIN(left, SENDFILE_CHUNK);
        long r = file ? gt_syscall_blocking(io->g, SYS_sendfile, io->fd, a->in, (long)a->off,
                                            (long)n, 0, 0)
                      : gt_io_ready_call(io, SYS_sendfile, a->in, (long)a->off, (long)n, 0, 0);
        if (r < 0)
            return r;
        a->done += (size_t)r;
        if (a->done >= a->n || file || (size_t)r < n)
            return (long)a->done;
    }
}

static long io_sendfile(struct gt_g *g, int out, int in, off64_t *off, size_t n)
{
    GT_CANCEL_POINT(g);
    if (gt_io_plain(out))
        return GT_SYS6(SYS_sendfile, out, in, off, n, 0, 0);
    struct sendfile_args a = {in, off, GT_MIN(n, GT_XFER_MAX), 0};
    struct gt_io io;
    gt_rt_enter(g);
    gt_io_begin(&io, g, out, GT_POLL_WRITE);
    long r = gt_io_run(&io, try_sendfile, &a);
    gt_rt_leave(g);
    return r < 0 && a.done ? (long)a.done : r;
}

GT_EXPORT ssize_t sendfile(int out, int in, off_t *off, size_t n)
{
    struct gt_g *g = gt_self();
    return g ? gt_io_ret(io_sendfile(g, out, in, off, n)) : REAL(sendfile)(out, in, off, n);
}

GT_EXPORT ssize_t sendfile64(int out, int in, off64_t *off, size_t n)
{
    struct gt_g *g = gt_self();
    return g ? gt_io_ret(io_sendfile(g, out, in, off, n)) : REAL(sendfile64)(out, in, off, n);
}

/* Waits until there is something in `in` and room in `out`: 0, or -errno. */
static long ends_ready(struct gt_g *g, int in, int out, unsigned flags)
{
    long r = 0;
    if (flags & SPLICE_F_NONBLOCK)
        return 0;
    if (!gt_io_plain(in))
        r = wait_ready(g, in, GT_POLL_READ);
    if (r >= 0 && !gt_io_plain(out))
        r = wait_ready(g, out, GT_POLL_WRITE);
    return r;
}

GT_EXPORT ssize_t splice(int in, off64_t *ioff, int out, off64_t *ooff, size_t n, unsigned flags)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(splice)(in, ioff, out, ooff, n, flags);
    GT_CANCEL_POINT(g);
    gt_rt_enter(g);
    long r = ends_ready(g, in, out, flags);
    if (r >= 0)
        r = gt_io_announced(g, true, SYS_splice, in, (long)ioff, out, (long)ooff, (long)n, flags);
    gt_rt_leave(g);
    return gt_io_ret(r);
}

GT_EXPORT ssize_t tee(int in, int out, size_t n, unsigned flags)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(tee)(in, out, n, flags);
    GT_CANCEL_POINT(g);
    gt_rt_enter(g);
    long r = ends_ready(g, in, out, flags);
    if (r >= 0)
        r = gt_io_announced(g, true, SYS_tee, in, out, (long)n, flags, 0, 0);
    gt_rt_leave(g);
    return gt_io_ret(r);
}

GT_EXPORT ssize_t vmsplice(int fd, const struct iovec *v, size_t n, unsigned flags)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(vmsplice)(fd, v, n, flags);
    return gt_io_call(g, true, SYS_vmsplice, fd, (long)v, (long)n, flags, 0, 0);
}
