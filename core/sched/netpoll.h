/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The network poller: descriptors and who waits for them.  One shared epoll instance,
 * edge-triggered, both directions, registered when somebody first has to wait.
 *
 * Not Go's two words: pthread programs have many waiters per descriptor.  Per direction there is a
 * readiness sequence and a list of waiters.  An edge bumps the sequence and wakes one I/O waiter
 * and every poll waiter; who succeeds without reaching EAGAIN wakes the next before it returns
 * (gt_netpoll_pass); who gets EAGAIN parks only if the sequence has not moved since before the
 * attempt (PITFALLS 4).
 *
 * The descriptor table is a hint, never a proof (PITFALLS 5): descriptors are closed behind our
 * back.  The event tag is (slot, generation); sysmon re-registers what has waited for 10 ms.
 *
 * A blocking read on a goroutine, in a runtime section:
 *     pd = gt_netpoll_get(fd);                       NULL: no memory; make the announced call
 *     for (;;) {
 *         seq = gt_netpoll_seq(pd, GT_POLL_READ);
 *         r = non-blocking attempt on pd->fd;
 *         if (r != -EAGAIN) { gt_netpoll_pass(pd, GT_POLL_READ); break; }
 *         e = gt_netpoll_wait(pd, GT_POLL_READ, seq, when, GT_R_IO_READ);
 *         0: again; -ETIMEDOUT; -EINTR: gt_intr decides; -EPERM: this kind can't be polled:
 * announced call
 *     }
 *     gt_netpoll_put(pd);
 */
#ifndef GT_NETPOLL_H
#define GT_NETPOLL_H

#include "core/sched/sched.h"

enum gt_polldir { GT_POLL_READ = 0, GT_POLL_WRITE = 1 };

/* What a descriptor is, as last seen.  A hint. */
enum gt_fdkind {
    GT_FD_UNKNOWN = 0,
    GT_FD_STREAM, /* stream socket */
    GT_FD_SOCKET, /* any other socket */
    GT_FD_PIPE,   /* pipe or FIFO */
    GT_FD_TTY,    /* character device that is a terminal */
    GT_FD_EVENT,  /* eventfd, timerfd, signalfd, inotify, epoll ...: anonymous inode, pollable */
    GT_FD_SIGNAL, /* signalfd */
    GT_FD_FILE,   /* regular file, directory, block device: never would block */
    GT_FD_OTHER,  /* other character devices */
};
/* Hints beside the kind. */
#define GT_FDF_NONBLOCK 1u /* the program has set O_NONBLOCK through us */
#define GT_FDF_OWNED                                                                               \
    2u /* made by us in this process since the last fork: nobody else can have                     \
          changed its flags, so a clear NONBLOCK is believed without F_GETFL */
#define GT_FDF_RCVTIMEO  4u /* SO_RCVTIMEO / SO_SNDTIMEO has been set through us */
#define GT_FDF_SNDTIMEO  8u
#define GT_FDF_NOWAIT_NO 16u /* RWF_NOWAIT is refused (EOPNOTSUPP): poll first */
#define GT_FDF_TCP       32u /* plain TCP: a short read means that the queue was empty */
#define GT_FDF_TIMEO     64u /* the time-outs have been asked for: RCVTIMEO and SNDTIMEO are true */
#define GT_FDF_LISTEN    128u /* known to be a listening socket */

struct gt_pollfd;
struct gt_pollwait; /* a waiter; see netpoll.c */

struct gt_pollfd {
    int fd;                 /* the descriptor to use: not always the number asked for, because a
                               descriptor closed under its waiters lives on under another number */
    _Atomic uint32_t kind;  /* enum gt_fdkind; hint, relaxed */
    _Atomic uint32_t flags; /* GT_FDF_*; hint, relaxed */
    _Atomic uint32_t
        seq[2]; /* readiness, bumped by the poller under lock (release); pairs with seq() */
    struct gt_lock lock;      /* PD */
    uint32_t slot, gen;       /* PD lock; the event tag */
    bool registered;          /* PD lock: EPOLL_CTL_ADD was done for this generation */
    bool unpollable;          /* epoll said EPERM */
    _Atomic uint8_t sits;     /* waits in the kernel since somebody parked on it; hint, relaxed */
    _Atomic uint32_t hup;     /* RDHUP/HUP/ERR was seen: no "drained" shortcut any more */
    _Atomic uint64_t drained; /* gen << 32 | seq[READ] at which a read of TCP found the queue empty;
                                hint, relaxed, written by the I/O layer, compared with both */
    _Atomic uint32_t refs;    /* users between get and put; acq_rel */
    _Atomic bool detached;    /* closed under its users: fd is private, closed by the last put */
    struct gt_pollwait *waiters; /* PD lock */
    struct gt_pollfd *next_free;
};

/* Kind and flag hints without a slot being made: 0/UNKNOWN when there is none.  Lock-free. */
struct gt_pollfd *gt_netpoll_peek(int fd);
/* The slot of fd, made when missing, with a reference.  NULL: no memory or fd < 0. */
struct gt_pollfd *gt_netpoll_get(int fd);
void gt_netpoll_put(struct gt_pollfd *pd);
static inline uint32_t gt_netpoll_seq(struct gt_pollfd *pd, enum gt_polldir d)
{
    return load_acq(&pd->seq[d]);
}
int gt_netpoll_wait(struct gt_pollfd *pd, enum gt_polldir d, uint32_t seq, int64_t when,
                    enum gt_reason why);
void gt_netpoll_pass_slow(struct gt_pollfd *pd, enum gt_polldir d);
/* What is waited for has come without an edge: as one, for one I/O waiter.  In a
 * runtime section, or off a goroutine. */
void gt_netpoll_again(struct gt_pollfd *pd, enum gt_polldir d);
/* Somebody is about to wait for fd in the kernel.  After some such waits and no other it is not
 * registered any more: each event would wake the poller, too, for nobody. */
void gt_netpoll_sit(struct gt_pollfd *pd, int fd);
static inline void gt_netpoll_pass(struct gt_pollfd *pd, enum gt_polldir d)
{
    if (unlikely(__atomic_load_n(&pd->waiters, __ATOMIC_RELAXED) != NULL))
        gt_netpoll_pass_slow(pd, d);
}

/* Waits for any of n descriptors (poll, select).  For each: fd, what it waits for (both bits
 * allowed), the sequences sampled before the caller's own poll(0), pd from gt_netpoll_get.  Returns
 * 0 (something moved: poll again), -ETIMEDOUT, -EINTR, -EPERM (one of them can't be polled). */
struct gt_pollreq {
    struct gt_pollfd *pd;
    uint32_t seq[2];
    unsigned dirs;         /* 1 << GT_POLL_READ | 1 << GT_POLL_WRITE */
    struct gt_pollwait *w; /* netpoll's own */
};
int gt_netpoll_wait_many(struct gt_pollreq *req, int n, int64_t when);

/* A descriptor has come to life through us (socket, accept, pipe, dup ...): new generation, hints
 * set. */
void gt_netpoll_opened(int fd, enum gt_fdkind kind, unsigned flags);
/* fd is about to be closed or replaced by dup2: EPOLL_CTL_DEL, next generation.  Waiters stay
 * blocked on a private duplicate, as plain blocked calls keep the file.  Works off a goroutine too.
 */
void gt_netpoll_closing(int fd);
/* The same for every fd in [lo, hi]. */
void gt_netpoll_closing_range(unsigned lo, unsigned hi);
/* The runtime's own descriptors (epoll, eventfd, timerfd): closefrom and close_range must spare
 * them. */
bool gt_netpoll_is_own(int fd);
/* Gives a descriptor of the runtime's a number above the program's, when it can.  The number. */
int gt_netpoll_move_high(int fd);

/* A child has got copies of all descriptors: none is OWNED any more. */
void gt_netpoll_shared(void);

/* ---- for the scheduler ---- */
int gt_netpoll_init(void);
/* Polls: delay_ns < 0 blocks, 0 does not, else waits that long.  Returns a list (schedlink) of
 * goroutines to make READY. */
struct gt_g *gt_netpoll(int64_t delay_ns);
void gt_netpoll_break(void);
/* Around a wait for a time of the realtime clock: gt_timer_clock_set is called when it is set. */
void gt_netpoll_watch_clock(void);
void gt_netpoll_unwatch_clock(void);
bool gt_netpoll_inited(void);
/* How many goroutines wait in it. */
uint32_t gt_netpoll_waiters(void);
/* sysmon: registers again (MOD, or ADD) what has waited 10 ms: cures stale registrations. */
void gt_netpoll_recheck(int64_t now);
/* Child of fork: new epoll instance, no waiters. */
void gt_netpoll_fork_child(void);

#endif
