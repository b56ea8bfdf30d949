/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Typed one-line system calls.  Each returns >= 0 or -errno and never touches errno or TLS, so
 * any of them may run on any stack, in a signal handler, and before the C library is up.
 */
#ifndef GT_SYS_H
#define GT_SYS_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <errno.h>

#include "core/arch/arch.h"

#define GT_SYS3(nr, a, b, c) gt_syscall3((nr), (long)(a), (long)(b), (long)(c))
#define GT_SYS6(nr, a, b, c, d, e, f)                                                              \
    gt_syscall6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* The kernel's signal set is one 64-bit word. */
typedef uint64_t gt_sigset;

struct gt_ksigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    gt_sigset mask;
};

static inline int sys_close(int fd)
{
    return (int)GT_SYS3(SYS_close, fd, 0, 0);
}
static inline int sys_open(const char *path, int flags, int mode)
{
    return (int)GT_SYS6(SYS_openat, AT_FDCWD, path, flags, mode, 0, 0);
}
static inline long sys_read(int fd, void *buf, size_t n)
{
    return GT_SYS3(SYS_read, fd, buf, n);
}
static inline long sys_write(int fd, const void *buf, size_t n)
{
    return GT_SYS3(SYS_write, fd, buf, n);
}
static inline int sys_fcntl(int fd, int cmd, long arg)
{
    return (int)GT_SYS3(SYS_fcntl, fd, cmd, arg);
}
static inline int sys_fstat(int fd, struct stat *st)
{
    return (int)GT_SYS3(SYS_fstat, fd, st, 0);
}
static inline int sys_epoll_create1(int flags)
{
    return (int)GT_SYS3(SYS_epoll_create1, flags, 0, 0);
}
static inline int sys_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
    return (int)GT_SYS6(SYS_epoll_ctl, ep, op, fd, ev, 0, 0);
}
static inline int sys_epoll_pwait(int ep, struct epoll_event *ev, int max, int timeout_ms)
{
    return (int)GT_SYS6(SYS_epoll_pwait, ep, ev, max, timeout_ms, 0, 8);
}
static inline int sys_epoll_pwait2(int ep, struct epoll_event *ev, int max,
                                   const struct timespec *ts)
{
    return (int)GT_SYS6(441 /* epoll_pwait2 */, ep, ev, max, ts, 0, 8);
}
static inline int sys_eventfd2(unsigned init, int flags)
{
    return (int)GT_SYS3(SYS_eventfd2, init, flags, 0);
}
/* Takes a pending signal of set, without waiting: its number, or -errno. */
static inline int sys_sigtake(const uint64_t *set, siginfo_t *si)
{
    static const struct timespec now = {0, 0};
    return (int)GT_SYS6(SYS_rt_sigtimedwait, set, si, &now, sizeof(*set), 0, 0);
}
/* fd -1: a new one. */
static inline int sys_signalfd4(int fd, const uint64_t *set, int flags)
{
    return (int)GT_SYS6(SYS_signalfd4, fd, set, sizeof(*set), flags, 0, 0);
}
static inline int sys_timerfd_create(int clock, int flags)
{
    return (int)GT_SYS3(SYS_timerfd_create, clock, flags, 0);
}
static inline int sys_timerfd_settime(int fd, int flags, const struct itimerspec *it)
{
    return (int)GT_SYS6(SYS_timerfd_settime, fd, flags, it, 0, 0, 0);
}
static inline int sys_poll(struct pollfd *fds, unsigned long n, int timeout_ms)
{
    return (int)GT_SYS3(SYS_poll, fds, n, timeout_ms);
}
/* With the caller's mask; ts NULL: never. */
static inline int sys_ppoll(struct pollfd *fds, unsigned long n, const struct timespec *ts)
{
    return (int)GT_SYS6(SYS_ppoll, fds, n, ts, NULL, 0, 0);
}
static inline int sys_futex(const void *addr, int op, uint32_t val, const struct timespec *ts,
                            const void *addr2, uint32_t val3)
{
    return (int)GT_SYS6(SYS_futex, addr, op, val, ts, addr2, val3);
}
static inline int sys_gettid(void)
{
    return (int)GT_SYS3(SYS_gettid, 0, 0, 0);
}
static inline int sys_getpid(void)
{
    return (int)GT_SYS3(SYS_getpid, 0, 0, 0);
}
static inline int sys_kill(int pid, int sig)
{
    return (int)GT_SYS3(SYS_kill, pid, sig, 0);
}
static inline int sys_tgsigqueueinfo(int pid, int tid, int sig, const siginfo_t *si)
{
    return (int)GT_SYS6(SYS_rt_tgsigqueueinfo, pid, tid, sig, si, 0, 0);
}
static inline int sys_tgkill(int pid, int tid, int sig)
{
    return (int)GT_SYS3(SYS_tgkill, pid, tid, sig);
}
static inline gt_sigset sys_sigpending(void)
{
    gt_sigset set = 0;
    GT_SYS3(SYS_rt_sigpending, &set, sizeof(set), 0);
    return set;
}
static inline int sys_sigprocmask(int how, const gt_sigset *set, gt_sigset *old)
{
    return (int)GT_SYS6(SYS_rt_sigprocmask, how, set, old, sizeof(gt_sigset), 0, 0);
}
static inline int sys_sigaction(int sig, const struct gt_ksigaction *act, struct gt_ksigaction *old)
{
    return (int)GT_SYS6(SYS_rt_sigaction, sig, act, old, sizeof(gt_sigset), 0, 0);
}
static inline int sys_sigaltstack(const stack_t *ss, stack_t *old)
{
    return (int)GT_SYS3(SYS_sigaltstack, ss, old, 0);
}
static inline int sys_munmap(void *p, size_t n)
{
    return (int)GT_SYS3(SYS_munmap, p, n, 0);
}
static inline int sys_madvise(void *p, size_t n, int advice)
{
    return (int)GT_SYS3(SYS_madvise, p, n, advice);
}
static inline int sys_mprotect(void *p, size_t n, int prot)
{
    return (int)GT_SYS3(SYS_mprotect, p, n, prot);
}
/* Returns the address, or (void *)-errno: test with gt_sys_is_err. */
static inline void *sys_mmap(void *hint, size_t n, int prot, int flags)
{
    return (void *)GT_SYS6(SYS_mmap, hint, n, prot, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static inline bool gt_sys_is_err(const void *p)
{
    return (uintptr_t)p >= (uintptr_t)-4095;
}
static inline int sys_nanosleep(int64_t ns)
{
    struct timespec ts = {.tv_sec = ns / GT_SEC, .tv_nsec = ns % GT_SEC};
    return (int)GT_SYS3(SYS_nanosleep, &ts, 0, 0);
}
static inline int sys_sched_yield(void)
{
    return (int)GT_SYS3(SYS_sched_yield, 0, 0, 0);
}
static inline int sys_membarrier(int cmd)
{
    return (int)GT_SYS3(SYS_membarrier, cmd, 0, 0);
}

#endif
