/* SPDX-License-Identifier: BSD-2-Clause
 *
 * poll, select and the epoll waits.
 *
 * Each first asks the kernel without waiting.  poll and select then park on up to MANY descriptors,
 * readiness sequences sampled before that question.  Where the poller can't stand for what is asked
 * (too many, a kind that epoll refuses) the call is made announced.
 *
 * A wait on the program's own epoll descriptor stays in the kernel while nothing else is runnable
 * and few others do so; else the goroutine parks on that descriptor, which is itself pollable.
 *
 * None of these is restarted after a handler; EINTR is seen only if a handler has run.
 */
#include "core/sched/signal.h"
#include "interpose/io.h"

#define MANY 64

/* Milliseconds until `when`, rounded up, for the kernel; -1: never. */
static int ms_left(int64_t when)
{
    if (when < 0)
        return -1;
    int64_t ns = when - gt_nanotime();
    if (ns <= 0)
        return 0;
    int64_t ms = (ns + GT_MS - 1) / GT_MS;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

struct timespec gt_io_left(int64_t when)
{
    int64_t ns = GT_MAX(when - gt_nanotime(), 0);
    return (struct timespec){.tv_sec = ns / GT_SEC, .tv_nsec = ns % GT_SEC};
}

static int64_t deadline_ms(int ms)
{
    return ms < 0 ? GT_NEVER : gt_nanotime() + ms * GT_MS;
}

static bool bad_timespec(const struct timespec *ts)
{
    return ts && (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= GT_SEC);
}

/* ---- the wait that poll and select share ---- */

struct poll_set {
    struct gt_g *g;
    struct gt_pollreq req[MANY];
    int n;
    int64_t when;
};

/* False: too many, or no memory; then the kernel must wait. */
static bool set_add(struct poll_set *s, int fd, unsigned dirs)
{
    if (s->n == MANY)
        return false;
    struct gt_pollfd *pd = gt_netpoll_get(fd);
    if (!pd)
        return false;
    s->req[s->n++] = (struct gt_pollreq){.pd = pd, .dirs = dirs};
    return true;
}

static void set_drop(struct poll_set *s)
{
    while (s->n > 0)
        gt_netpoll_put(s->req[--s->n].pd);
}

static void set_sample(struct poll_set *s)
{
    for (int i = 0; i < s->n; i++) {
        s->req[i].seq[GT_POLL_READ] = gt_netpoll_seq(s->req[i].pd, GT_POLL_READ);
        s->req[i].seq[GT_POLL_WRITE] = gt_netpoll_seq(s->req[i].pd, GT_POLL_WRITE);
    }
}

/* The references go first: neither cancellation nor a handler that jumps out comes back. */
static bool interrupted(struct poll_set *s)
{
    set_drop(s);
    return gt_intr(s->g, false);
}

/* ask(arg) is the question without waiting.  Returns its answer, 0 at the deadline, -errno, -EPERM
 * when the kernel must wait, or -ERESTART when the set is empty now and must be filled again. */
static long set_wait(struct poll_set *s, long (*ask)(void *), void *arg)
{
    for (;;) {
        set_sample(s);
        long r = ask(arg);
        if (r != 0)
            return r;
        int n = s->n;
        if (n == 0)
            return gt_io_sleep(s->g, s->when);
        int e = gt_netpoll_wait_many(s->req, n, s->when);
        if (e == -ETIMEDOUT)
            return ask(arg);
        if (e == -EINTR) {
            return interrupted(s) ? -EINTR : -ERESTART;
        } else if (e < 0) {
            return -EPERM;
        }
    }
}

/* ---- poll ---- */

struct poll_args {
    struct pollfd *fds;
    nfds_t n;
};

/* What is pending for the goroutine itself makes a signalfd readable. */
static long poll_signals(const struct poll_args *a)
{
    struct gt_g *g = gt_self();
    long n = 0;
    if (!gt_sigq_maybe(g))
        return 0;
    for (nfds_t i = 0; i < a->n; i++)
        if ((a->fds[i].events & POLLIN) && !(a->fds[i].revents & POLLIN) &&
            gt_sigfd_pending(g, a->fds[i].fd)) {
            n += a->fds[i].revents == 0;
            a->fds[i].revents |= POLLIN;
        }
    return n;
}

static long ask_poll(void *arg)
{
    const struct poll_args *a = arg;
    long r;
    do {
        r = sys_poll(a->fds, a->n, 0);
    } while (r == -EINTR); /* a signal of the runtime's own */
    return r >= 0 ? r + poll_signals(a) : r;
}

static bool poll_fill(struct poll_set *s, const struct poll_args *a)
{
    if (a->n > MANY)
        return false;
    for (nfds_t i = 0; i < a->n; i++) {
        if (a->fds[i].fd < 0)
            continue;
        unsigned dirs =
            a->fds[i].events & (POLLOUT | POLLWRNORM | POLLWRBAND) ? 1u << GT_POLL_WRITE : 0;
        if (!dirs || a->fds[i].events & ~(POLLOUT | POLLWRNORM | POLLWRBAND))
            dirs |= 1u << GT_POLL_READ; /* also those that wait for a hang-up only */
        if (!set_add(s, a->fds[i].fd, dirs))
            return false;
    }
    return true;
}

/* The calls with a signal mask: the goroutine's mask is the given one while it waits, so what that
 * unblocks interrupts the wait, also when it came before.  A handler that ran at once makes this a
 * question only. */
struct masked {
    gt_sigset old;
    bool on, ran;
};

static struct masked mask_begin(struct gt_g *g, const sigset_t *mask, int64_t *when)
{
    struct masked k = {.old = g->sigmask, .on = mask != NULL};
    if (!mask)
        return k;
    gt_sigset m;
    uint32_t seq = g->sigseq;
    gt_memcpy(&m, mask, sizeof(m));
    gt_sig_setmask(g, m);
    k.ran = g->sigseq != seq;
    if (k.ran)
        *when = 0;
    return k;
}

static long mask_end(struct gt_g *g, const struct masked *k, long r)
{
    if (k->on)
        gt_sig_setmask(g, k->old);
    return k->ran && r == 0 ? -EINTR : r;
}

/* ppoll in the kernel with what is left of the time. */
static long poll_kernel(struct gt_g *g, const struct poll_args *a, int64_t when)
{
    for (;;) {
        struct timespec ts = gt_io_left(when);
        long r = gt_syscall_blocking(g, SYS_ppoll, (long)a->fds, (long)a->n,
                                     when < 0 ? 0 : (long)&ts, 0, 0, 0);
        if (r != -EINTR || gt_intr(g, false))
            return r;
    }
}

static long io_poll(struct gt_g *g, struct pollfd *fds, nfds_t n, int64_t when)
{
    struct poll_args a = {fds, n};
    long now = ask_poll(&a); /* ready already, or a bad pointer: before anything is set up */
    if (now != 0)
        return now;
    struct poll_set s = {.g = g, .n = 0, .when = when};
    long r;
    do {
        r = poll_fill(&s, &a) ? set_wait(&s, ask_poll, &a) : -EPERM;
    } while (r == -ERESTART);
    set_drop(&s);
    return r == -EPERM ? poll_kernel(g, &a, when) : r;
}

GT_EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(poll)(fds, n, timeout);
    GT_CANCEL_POINT(g);
    struct poll_args a = {fds, n};
    if (timeout == 0)
        return (int)gt_io_ret(ask_poll(&a));
    gt_rt_enter(g);
    long r = io_poll(g, fds, n, deadline_ms(timeout));
    gt_rt_leave(g);
    return (int)gt_io_ret(r);
}

int __poll(struct pollfd *fds, nfds_t n, int timeout);
GT_EXPORT int __poll(struct pollfd *fds, nfds_t n, int timeout)
{
    return poll(fds, n, timeout);
}

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room);
GT_EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room)
{
    return room / sizeof(*fds) < n ? REAL(__poll_chk)(fds, n, timeout, room)
                                   : poll(fds, n, timeout);
}

GT_EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(ppoll)(fds, n, ts, mask);
    GT_CANCEL_POINT(g);
    if (bad_timespec(ts))
        return (int)gt_ret(-EINVAL);
    gt_rt_enter(g);
    int64_t when = gt_deadline_rel(ts);
    struct poll_args a = {fds, n};
    long r = mask ? ask_poll(&a) : 0; /* what is ready comes before what the mask lets in */
    if (r == 0) {
        struct masked k = mask_begin(g, mask, &when);
        r = mask_end(g, &k, io_poll(g, fds, n, when));
    }
    gt_rt_leave(g);
    return (int)gt_io_ret(r);
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask,
                size_t room);
GT_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts,
                          const sigset_t *mask, size_t room)
{
    return room / sizeof(*fds) < n ? REAL(__ppoll_chk)(fds, n, ts, mask, room)
                                   : ppoll(fds, n, ts, mask);
}

/* ---- select ---- */

#define SELECT_WORDS (FD_SETSIZE / 64)

struct select_args {
    int n;
    uint64_t *set[3];               /* read, write, except: the program's, in and out */
    uint64_t want[3][SELECT_WORDS]; /* as they came */
};

static size_t select_bytes(const struct select_args *a)
{
    return (size_t)(a->n + 63) / 64 * 8;
}

/* False: the program's memory is not to be written, or has gone. */
static bool select_restore(struct select_args *a)
{
    for (int i = 0; i < 3; i++)
        if (a->set[i] && !gt_arch_copy_user(a->set[i], a->want[i], select_bytes(a)))
            return false;
    return true;
}

/* As poll_signals. */
static long select_signals(struct select_args *a)
{
    struct gt_g *g = gt_self();
    long n = 0;
    if (!gt_sigq_maybe(g) || !a->set[0])
        return 0;
    for (int fd = 0; fd < a->n; fd++) {
        uint64_t bit = 1ull << (fd & 63);
        if ((a->want[0][fd / 64] & bit & ~a->set[0][fd / 64]) && gt_sigfd_pending(g, fd)) {
            a->set[0][fd / 64] |= bit;
            n++;
        }
    }
    return n;
}

static long ask_select(void *arg)
{
    struct select_args *a = arg;
    const struct timespec zero = {0, 0};
    long r;
    do {
        if (!select_restore(a))
            return -EFAULT;
        struct timespec ts = zero; /* the kernel writes to it */
        r = GT_SYS6(SYS_pselect6, a->n, a->set[0], a->set[1], a->set[2], &ts, 0);
    } while (r == -EINTR);
    return r >= 0 ? r + select_signals(a) : r;
}

static bool select_fill(struct poll_set *s, const struct select_args *a)
{
    for (int fd = 0; fd < a->n; fd++) {
        uint64_t bit = 1ull << (fd & 63);
        bool rd = a->set[0] && a->want[0][fd / 64] & bit;
        bool wr = a->set[1] && a->want[1][fd / 64] & bit;
        bool ex = a->set[2] && a->want[2][fd / 64] & bit;
        unsigned dirs = (rd || ex ? 1u << GT_POLL_READ : 0) | (wr ? 1u << GT_POLL_WRITE : 0);
        if (dirs && !set_add(s, fd, dirs))
            return false;
    }
    return true;
}

/* pselect6 in the kernel.  The sets are as the program gave them, also after -EINTR. */
static long select_kernel(struct gt_g *g, int n, void *r, void *w, void *e, int64_t when)
{
    for (;;) {
        struct timespec ts = gt_io_left(when);
        long res = gt_syscall_blocking(g, SYS_pselect6, n, (long)r, (long)w, (long)e,
                                       when < 0 ? 0 : (long)&ts, 0);
        if (res != -EINTR || gt_intr(g, false))
            return res;
    }
}

static long io_select(struct gt_g *g, int n, fd_set *r, fd_set *w, fd_set *e, int64_t when)
{
    if (n < 0 || n > FD_SETSIZE)
        return select_kernel(g, n, r, w, e, when);
    struct select_args a = {.n = n, .set = {(void *)r, (void *)w, (void *)e}};
    struct poll_set s = {.g = g, .n = 0, .when = when};
    long res;
    for (int i = 0; i < 3; i++)
        if (a.set[i] && !gt_arch_copy_user(a.want[i], a.set[i], select_bytes(&a)))
            return -EFAULT;
    do {
        res = select_fill(&s, &a) ? set_wait(&s, ask_select, &a) : -EPERM;
    } while (res == -ERESTART);
    set_drop(&s);
    if (res < 0)
        select_restore(&a);
    return res == -EPERM ? select_kernel(g, n, r, w, e, when) : res;
}

GT_EXPORT int select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *tv)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(select)(n, r, w, e, tv);
    GT_CANCEL_POINT(g);
    if (tv && (tv->tv_sec < 0 || tv->tv_usec < 0)) /* libc itself reads it */
        return (int)gt_ret(-EINVAL);
    struct timespec ts = {0, 0};
    if (tv)
        ts = (struct timespec){.tv_sec = tv->tv_sec + tv->tv_usec / 1000000,
                               .tv_nsec = tv->tv_usec % 1000000 * 1000};
    gt_rt_enter(g);
    int64_t when = gt_deadline_rel(tv ? &ts : NULL);
    long res = io_select(g, n, r, w, e, when);
    gt_rt_leave(g);
    if (tv) { /* as Linux does, whatever the outcome */
        ts = gt_io_left(when);
        *tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
    }
    return (int)gt_io_ret(res);
}

int __select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *tv);
GT_EXPORT int __select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *tv)
{
    return select(n, r, w, e, tv);
}

GT_EXPORT int pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *ts,
                      const sigset_t *mask)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(pselect)(n, r, w, e, ts, mask);
    GT_CANCEL_POINT(g);
    if (bad_timespec(ts))
        return (int)gt_ret(-EINVAL);
    gt_rt_enter(g);
    int64_t when = gt_deadline_rel(ts);
    struct masked k = mask_begin(g, mask, &when);
    long res = mask_end(g, &k, io_select(g, n, r, w, e, when));
    gt_rt_leave(g);
    return (int)gt_io_ret(res);
}

/* ---- epoll ---- */

static _Atomic int epoll_in_kernel; /* goroutines that wait in the kernel for their own epoll */

/* May this goroutine wait in the kernel?  True: it counts, until the wait is over. */
static bool epoll_may_sit(void)
{
    if (!gt_sched_idle())
        return false;
    int limit = GT_MAX(4, 2 * gt_gomaxprocs());
    if (add_rlx(&epoll_in_kernel, 1) < limit)
        return true;
    add_rlx(&epoll_in_kernel, -1);
    return false;
}

struct epoll_args {
    int ep;
    struct epoll_event *ev;
    int max;
    int64_t when;
    bool fine; /* asked for in nanoseconds */
};

static long ask_epoll(struct gt_g *g, const struct epoll_args *a)
{
    long r = sys_epoll_pwait(a->ep, a->ev, a->max, 0);
    return gt_sigfd_epoll(g, a->ep, a->ev, r, a->max);
}

/* In the kernel, with what is left of the time. */
static long epoll_kernel(struct gt_g *g, const struct epoll_args *a)
{
    if (!a->fine)
        return gt_syscall_blocking(g, SYS_epoll_pwait, a->ep, (long)a->ev, a->max, ms_left(a->when),
                                   0, 0);
    struct timespec ts = gt_io_left(a->when);
    return gt_syscall_blocking(g, SYS_epoll_pwait2, a->ep, (long)a->ev, a->max,
                               a->when < 0 ? 0 : (long)&ts, 0, 0);
}

/* The same, as long as it takes. */
static long epoll_until(struct gt_g *g, const struct epoll_args *a)
{
    for (;;) {
        long r = ask_epoll(g, a);
        if (r == 0)
            r = epoll_kernel(g, a);
        if (r != -EINTR || gt_intr(g, false))
            return r;
    }
}

static long epoll_sit(struct gt_g *g, const struct epoll_args *a)
{
    struct gt_pollfd *pd = gt_netpoll_peek(a->ep);
    if (pd)
        gt_netpoll_sit(pd, a->ep);
    long r = epoll_kernel(g, a);
    add_rlx(&epoll_in_kernel, -1);
    /* what it left in the set is news to those who park on it: the kernel tells only its own
     * sleepers */
    pd = r > 0 ? gt_netpoll_peek(a->ep) : NULL;
    if (pd)
        gt_netpoll_pass(pd, GT_POLL_READ);
    return r;
}

/* Parks on the epoll descriptor.  0: ask again. */
static long epoll_park(const struct epoll_args *a)
{
    struct gt_pollfd *pd = gt_netpoll_get(a->ep);
    if (!pd)
        return -EPERM;
    uint32_t seq = gt_netpoll_seq(pd, GT_POLL_READ);
    long r = sys_epoll_pwait(pd->fd, a->ev, a->max, 0);
    r = gt_sigfd_epoll(gt_self(), pd->fd, a->ev, r, a->max);
    if (r == 0)
        r = gt_netpoll_wait(pd, GT_POLL_READ, seq, a->when, GT_R_POLL);
    else if (r > 0)
        gt_netpoll_pass(pd, GT_POLL_READ);
    gt_netpoll_put(pd);
    return r;
}

static long io_epoll(struct gt_g *g, const struct epoll_args *a)
{
    for (;;) {
        long r = unlikely(gt_sigq_maybe(g)) ? ask_epoll(g, a) : 0;
        if (r != 0)
            return r;
        bool sat = epoll_may_sit();
        r = sat ? epoll_sit(g, a) : epoll_park(a);
        if (r > 0 || (r == 0 && sat && (a->when < 0 || gt_nanotime() >= a->when)))
            return r;
        if (r == -ETIMEDOUT)
            return ask_epoll(g, a);
        if (r == -EINTR && gt_intr(g, false))
            return r;
        if (r == -EPERM)
            return epoll_until(g, a);
        if (r < 0 && r != -EINTR)
            return r;
    }
}

static int epoll_on(struct gt_g *g, struct epoll_args *a, const sigset_t *mask)
{
    GT_CANCEL_POINT(g);
    gt_rt_enter(g);
    long r = mask ? ask_epoll(g, a) : 0;
    if (r == 0) {
        struct masked k = mask_begin(g, mask, &a->when);
        r = mask_end(g, &k, io_epoll(g, a));
    }
    gt_rt_leave(g);
    return (int)gt_io_ret(r);
}

GT_EXPORT int epoll_wait(int ep, struct epoll_event *ev, int max, int timeout)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(epoll_wait)(ep, ev, max, timeout);
    struct epoll_args a = {ep, ev, max, timeout ? deadline_ms(timeout) : 0, false};
    if (timeout == 0)
        return (int)gt_io_ret(ask_epoll(g, &a));
    return epoll_on(g, &a, NULL);
}

GT_EXPORT int epoll_pwait(int ep, struct epoll_event *ev, int max, int timeout,
                          const sigset_t *mask)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(epoll_pwait)(ep, ev, max, timeout, mask);
    struct epoll_args a = {ep, ev, max, deadline_ms(timeout), false};
    return epoll_on(g, &a, mask);
}

GT_EXPORT int epoll_pwait2(int ep, struct epoll_event *ev, int max, const struct timespec *ts,
                           const sigset_t *mask)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(epoll_pwait2)(ep, ev, max, ts, mask);
    if (bad_timespec(ts))
        return (int)gt_ret(-EINVAL);
    struct epoll_args a = {ep, ev, max, gt_deadline_rel(ts), true};
    return epoll_on(g, &a, mask);
}
