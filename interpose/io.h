/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the I/O family share: one engine for "try without waiting, else park" on a
 * descriptor, the announced call, and what is known about a descriptor.
 *
 * Everything named gt_io_* runs on a goroutine inside a runtime section, except gt_io_plain and
 * gt_io_ret.  Results are >= 0 or -errno.
 */
#ifndef GT_IO_H
#define GT_IO_H

#include "core/os/sys.h"
#include "core/sched/netpoll.h"
#include "interpose/interpose.h"

/* A cancellation point, before anything has been done.  Outside a runtime section. */
#define GT_CANCEL_POINT(g)                                                                         \
    do {                                                                                           \
        if (unlikely(load_rlx(&(g)->cancel) & GT_CANCEL_PENDING))                                  \
            gt_testcancel(g);                                                                      \
    } while (0)

/* gt_ret with the good case inline. */
GT_NOINLINE long gt_io_failed(long r); /* r < 0; SIGPIPE comes with EPIPE */
static inline long gt_io_ret(long r)
{
    return likely(r >= 0) ? r : gt_io_failed(r);
}

/* True when the program itself made fd non-blocking: the plain call is right and never waits.  It
 * is made outside a runtime section, so that a wrong hint costs an unannounced block, no more. */
static inline bool gt_io_plain(int fd)
{
    struct gt_pollfd *pd = gt_netpoll_peek(fd);
    if (!pd || !(load_rlx(&pd->flags) & GT_FDF_NONBLOCK))
        return false;
    uint32_t kind = load_rlx(&pd->kind);
    return kind != GT_FD_UNKNOWN && kind != GT_FD_FILE && kind != GT_FD_SIGNAL;
}

/* A directory stream is about to be closed: procfs.c may have a view of it. */
void gt_procfs_closed(DIR *dir);

/* One blocking call on one descriptor. */
struct gt_io {
    struct gt_g *g;
    struct gt_pollfd *pd; /* NULL: no memory for a slot, or no descriptor */
    int asked;            /* the number that the program gave */
    int fd;               /* the number to use: pd->fd once held */
    enum gt_polldir dir;
    uint32_t seq;  /* of dir, before the attempt under way */
    bool held;     /* a reference to pd is ours */
    bool looked;   /* O_NONBLOCK and time-outs have been looked at */
    bool announce; /* can't be polled: attempts make the announced, blocking call */
    int64_t when;  /* SO_RCVTIMEO or SO_SNDTIMEO; GT_NEVER */
};

/* An attempt on io->fd: -EAGAIN when it would have to wait; when io->announce is set it blocks. */
typedef long gt_io_try(struct gt_io *io, void *arg);

/* Looks up fd and what kind it is (first time: fstat). */
void gt_io_begin(struct gt_io *io, struct gt_g *g, int fd, enum gt_polldir dir);
/* Gives back what begin or a park took, when gt_io_run is not called. */
void gt_io_end(struct gt_io *io);
/* Attempts, parks, attempts again; ends with gt_io_end. */
long gt_io_run(struct gt_io *io, gt_io_try *attempt, void *arg);
/* Asks the kernel whether fd is ready and only then makes the announced call nr; else -EAGAIN. */
long gt_io_ready_call(struct gt_io *io, long nr, long b, long c, long d, long e, long f);
/* Kind hint of the descriptor of io; the announced path counts as a file. */
static inline uint32_t gt_io_kind(const struct gt_io *io)
{
    return io->announce ? (uint32_t)GT_FD_FILE : load_rlx(&io->pd->kind);
}

/* The announced call, repeated on an EINTR that the program must not see. */
long gt_io_announced(struct gt_g *g, bool restart, long nr, long a, long b, long c, long d, long e,
                     long f);
/* The same with its own runtime section and cancellation point, and errno set. */
long gt_io_call(struct gt_g *g, bool restart, long nr, long a, long b, long c, long d, long e,
                long f);
/* Is it a call that the kernel never ends with EINTR? */
bool gt_io_at_once(long nr, long a, long b, long c, long d, long e);

/* A transfer: what is to be moved, and how much has been. */
struct gt_xfer {
    const struct iovec *iov;
    int cnt;
    int flags; /* MSG_* of recv and send */
    size_t done, total;
};
#define GT_XFER_MAX 0x7ffff000ul /* the kernel's own limit for one call */

/* What is left of x: its first buffer, cut, in *head when it has been begun. */
const struct iovec *gt_xfer_rest(const struct gt_xfer *x, struct iovec *head, int *cnt);
/* Adds what an attempt of x moved.  True: *r is the attempt's result now (all is moved, an error,
 * -EAGAIN); false: there is more, try at once.  Only a real EAGAIN may park: after a partial write,
 * the rest of one buffer may have gone whole with room left, and then no edge follows. */
bool gt_xfer_over(struct gt_xfer *x, long *r);
/* What a call that ends with r returns: a partial count wins over an error. */
static inline long gt_xfer_result(const struct gt_xfer *x, long r)
{
    return r < 0 && x->done > 0 ? (long)x->done : r;
}
/* Remembers that a read of r of n bytes emptied the queue of a TCP socket. */
void gt_io_note_short(struct gt_io *io, long r, size_t n);

/* Sleeps until `when`: 0 or -EINTR.  In a runtime section. */
long gt_io_sleep(struct gt_g *g, int64_t when);

/* The time until `when`, not below 0. */
struct timespec gt_io_left(int64_t when);

/* ---- signalfd.c ---- */
bool gt_sigfd_is(int fd);
/* Is something pending for the goroutine that fd would give?  In a runtime section or not. */
bool gt_sigfd_pending(struct gt_g *g, int fd);
/* Adds to ev (have of max are filled, by the kernel) the signalfds of an epoll set that such
 * signals make readable; have < 0, an error, stays.  Returns how many events there are now. */
long gt_sigfd_epoll(struct gt_g *g, int ep, struct epoll_event *ev, long have, int max);
/* Bytes read of what is pending for the goroutine itself; 0: nothing; -EFAULT. */
long gt_sigfd_read(struct gt_g *g, int fd, const struct iovec *v, int cnt);

/* Tells the poller's table that fd is about to go; on any thread. */
void gt_fd_closing(int fd);
/* Are descriptors in the table?  Not before the start, and not in a child that shares our memory
 * but has descriptors of its own. */
bool gt_fd_ours(void);

#endif
