/* SPDX-License-Identifier: BSD-2-Clause
 *
 * syscall(): on a goroutine a raw system call is the same call as the function of its name, so it
 * parks, sees the virtual mask and thread id, and leaves a true descriptor table behind; but it is
 * never a point of a deferred cancellation.  What has no function here is announced, and repeated
 * after a handler as signal(7) says.
 *
 * The kernel's sets of signals have 8 bytes, the C library's 128: calls with one have their own
 * entries, in interpose/signal.c.
 */
#include "core/os/tcb.h"
#include "interpose/io.h"
#include "interpose/spawn.h"
#include "interpose/thread.h"

#include <linux/seccomp.h>
#include <sys/file.h>
#include <sys/prctl.h>

/* Never restarted after a handler (signal(7)). */
static bool restarts(long nr)
{
    switch (nr) {
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    case SYS_msgrcv:
    case SYS_msgsnd:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_io_uring_enter:
        return false;
    }
    return true;
}

static long announced(struct gt_g *g, long nr, const long *a)
{
    gt_rt_enter(g);
    long r = gt_io_announced(g, restarts(nr), nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    gt_rt_leave(g);
    return gt_io_ret(r);
}

static long clock_sleep(const long *a)
{
    int e = clock_nanosleep((clockid_t)a[0], (int)a[1], (const struct timespec *)a[2],
                            (struct timespec *)a[3]);
    return gt_ret(-e);
}

static long raw_pselect(const long *a)
{
    const struct {
        const sigset_t *set; /* 8 bytes of it are read */
        size_t size;
    } *m = (const void *)a[5];
    return pselect((int)a[0], (fd_set *)a[1], (fd_set *)a[2], (fd_set *)a[3],
                   (const struct timespec *)a[4], m ? m->set : NULL);
}

static long raw_clock(const long *a)
{
    return clock_gettime((clockid_t)a[0], (struct timespec *)a[1]);
}

/* clang-format off */
/* The functions of io.c, socket.c, poll.c, fd.c and sleep.c: number, call. */
#define P(i) ((void *)a[i])
#define I(i) ((int)a[i])
#define FUNCTIONS(X)                                                                               \
    X(SYS_read, read(I(0), P(1), (size_t)a[2]))                                                    \
    X(SYS_write, write(I(0), P(1), (size_t)a[2]))                                                  \
    X(SYS_readv, readv(I(0), P(1), I(2)))                                                          \
    X(SYS_writev, writev(I(0), P(1), I(2)))                                                        \
    X(SYS_recvfrom, recvfrom(I(0), P(1), (size_t)a[2], I(3), P(4), P(5)))                          \
    X(SYS_recvmsg, recvmsg(I(0), P(1), I(2)))                                                      \
    X(SYS_recvmmsg, recvmmsg(I(0), P(1), (unsigned)a[2], I(3), P(4)))                              \
    X(SYS_sendto, sendto(I(0), P(1), (size_t)a[2], I(3), P(4), (socklen_t)a[5]))                   \
    X(SYS_sendmsg, sendmsg(I(0), P(1), I(2)))                                                      \
    X(SYS_sendmmsg, sendmmsg(I(0), P(1), (unsigned)a[2], I(3)))                                    \
    X(SYS_accept, accept(I(0), P(1), P(2)))                                                        \
    X(SYS_accept4, accept4(I(0), P(1), P(2), I(3)))                                                \
    X(SYS_connect, connect(I(0), P(1), (socklen_t)a[2]))                                           \
    X(SYS_poll, poll(P(0), (nfds_t)a[1], I(2)))                                                    \
    X(SYS_ppoll, ppoll(P(0), (nfds_t)a[1], P(2), P(3)))                                            \
    X(SYS_select, select(I(0), P(1), P(2), P(3), P(4)))                                            \
    X(SYS_pselect6, raw_pselect(a))                                                                \
    X(SYS_epoll_wait, epoll_wait(I(0), P(1), I(2), I(3)))                                          \
    X(SYS_epoll_pwait, epoll_pwait(I(0), P(1), I(2), I(3), P(4)))                                  \
    X(SYS_epoll_pwait2, epoll_pwait2(I(0), P(1), I(2), P(3), P(4)))                                \
    X(SYS_nanosleep, nanosleep(P(0), P(1)))                                                        \
    X(SYS_clock_nanosleep, clock_sleep(a))                                                         \
    X(SYS_close, close(I(0)))                                                                      \
    X(SYS_dup2, dup2(I(0), I(1)))                                                                  \
    X(SYS_dup3, dup3(I(0), I(1), I(2)))                                                            \
    X(SYS_fcntl, fcntl(I(0), I(1), P(2)))                                                          \
    X(SYS_pause, pause())                                                                          \
    X(SYS_kill, kill((pid_t)a[0], I(1)))                                                           \
    X(SYS_tgkill, tgkill((pid_t)a[0], (pid_t)a[1], I(2)))                                          \
    X(SYS_tkill, tgkill(sys_getpid(), (pid_t)a[0], I(1)))                                          \
    X(SYS_pidfd_send_signal, pidfd_send_signal(I(0), I(1), P(2), (unsigned)a[3]))                  \
    X(SYS_sigaltstack, sigaltstack(P(0), P(1)))                                                    \
    X(SYS_clock_gettime, raw_clock(a))                                                             \
    X(SYS_clock_getres, clock_getres((clockid_t)a[0], P(1)))                                       \
    X(SYS_getrusage, getrusage((__rusage_who_t)a[0], P(1)))                                        \
    X(SYS_sched_yield, sched_yield())
/* clang-format on */

static long by_function(struct gt_g *g, long nr, const long *a)
{
    long r;
    if (gt_ident_syscall(g, nr, a, &r) || gt_wired_syscall(g, nr, a, &r))
        return gt_ret(r);
    switch (nr) {
#define X(n, call)                                                                                 \
    case n:                                                                                        \
        return (long)(call);
        FUNCTIONS(X)
#undef X
    case SYS_rt_sigaction:
    case SYS_rt_sigprocmask:
    case SYS_rt_sigpending:
    case SYS_rt_sigsuspend:
    case SYS_rt_sigtimedwait:
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
        return gt_ret(gt_raw_signal_call(g, nr, a));
    default:
        return announced(g, nr, a);
    }
}

static long call_on_goroutine(struct gt_g *g, long nr, const long *a)
{
    switch (nr) {
    case SYS_gettid:
        return g->tid;
    case SYS_set_tid_address:
        g->clear_tid = a[0] == (long)gt_tid_word(g->tp) ? 0 : a[0] ? (uintptr_t)a[0] : 1;
        return g->tid;
    case SYS_exit:
        gt_thread_leave(g, (int)a[0]);
    case SYS_exit_group: /* no way back, or two */
    case SYS_clone:
    case SYS_clone3:
    case SYS_vfork:
        return gt_ret(gt_syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]));
    }
    /* an asynchronous cancellation acts wherever it finds the thread */
    bool was = (load_acq(&g->cancel) & GT_CANCEL_ASYNC) || gt_cancel_hold(g);
    long r = by_function(g, nr, a);
    if (!was)
        gt_cancel_unhold(g);
    return r;
}

/* A new process with memory of its own. */
static bool is_fork(long nr, const long *a)
{
    return nr == SYS_fork || (nr == SYS_clone && !(a[0] & CLONE_VM)) ||
           (nr == SYS_clone3 && a[0] && !(*(const uint64_t *)a[0] & CLONE_VM));
}

GT_EXPORT long syscall(long nr, ...)
{
    long a[6];
    va_list ap;
    va_start(ap, nr);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    struct gt_g *g = gt_self();
    if (nr == SYS_futex)
        return gt_ret(gt_futex_call(g, a));
    if (unlikely(is_fork(nr, a)) && !gt_in_vfork())
        return gt_ret(gt_fork_syscall(nr, a));
    if (nr == SYS_prctl && !g)
        return prctl((int)a[0], a[1], a[2], a[3], a[4]);
    long r = g ? call_on_goroutine(g, nr, a)
               : gt_ret(gt_syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]));
    if (nr == SYS_seccomp && a[0] <= SECCOMP_SET_MODE_FILTER)
        gt_seccomp_set(r);
    return r;
}
