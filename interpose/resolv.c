/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Calls that wait for something that no poller sees: the resolver inside the C library, children,
 * System V and POSIX queues, a terminal's output.  All are announced.
 */
#include "interpose/io.h"

#include <termios.h>

/* ---- the resolver ---- */

#define RESOLVES(ret, name, params, args)                                                          \
    GT_EXPORT ret name params                                                                      \
    {                                                                                              \
        struct gt_g *g = gt_self();                                                                \
        if (!g)                                                                                    \
            return REAL(name) args;                                                                \
        ret r;                                                                                     \
        GT_REAL_ANNOUNCED(g, r, REAL(name) args);                                                  \
        return r;                                                                                  \
    }

/* clang-format off */
RESOLVES(int, getaddrinfo, (const char *node, const char *service, const struct addrinfo *hints,
                            struct addrinfo **res), (node, service, hints, res))
RESOLVES(int, getnameinfo, (const struct sockaddr *addr, socklen_t len, char *host, socklen_t nhost,
                            char *serv, socklen_t nserv, int flags),
         (addr, len, host, nhost, serv, nserv, flags))
RESOLVES(struct hostent *, gethostbyname, (const char *name), (name))
RESOLVES(struct hostent *, gethostbyname2, (const char *name, int af), (name, af))
RESOLVES(struct hostent *, gethostbyaddr, (const void *addr, socklen_t len, int af),
         (addr, len, af))
RESOLVES(int, gethostbyname_r, (const char *name, struct hostent *ret, char *buf, size_t n,
                                struct hostent **res, int *err), (name, ret, buf, n, res, err))
RESOLVES(int, gethostbyname2_r, (const char *name, int af, struct hostent *ret, char *buf, size_t n,
                                 struct hostent **res, int *err),
         (name, af, ret, buf, n, res, err))
RESOLVES(int, gethostbyaddr_r, (const void *addr, socklen_t len, int af, struct hostent *ret,
                                char *buf, size_t n, struct hostent **res, int *err),
         (addr, len, af, ret, buf, n, res, err))
/* clang-format on */

/* ---- children ---- */

static pid_t wait_on(struct gt_g *g, pid_t pid, int *status, int options, struct rusage *ru)
{
    return (pid_t)gt_io_call(g, true, SYS_wait4, pid, (long)status, options, (long)ru, 0, 0);
}

GT_EXPORT pid_t waitpid(pid_t pid, int *status, int options)
{
    struct gt_g *g = gt_self();
    return g ? wait_on(g, pid, status, options, NULL) : REAL(waitpid)(pid, status, options);
}

pid_t __waitpid(pid_t pid, int *status, int options);
GT_EXPORT pid_t __waitpid(pid_t pid, int *status, int options)
{
    return waitpid(pid, status, options);
}

GT_EXPORT pid_t wait(int *status)
{
    struct gt_g *g = gt_self();
    return g ? wait_on(g, -1, status, 0, NULL) : REAL(wait)(status);
}

pid_t __wait(int *status);
GT_EXPORT pid_t __wait(int *status)
{
    return wait(status);
}

GT_EXPORT pid_t wait3(int *status, int options, struct rusage *ru)
{
    struct gt_g *g = gt_self();
    return g ? wait_on(g, -1, status, options, ru) : REAL(wait3)(status, options, ru);
}

GT_EXPORT pid_t wait4(pid_t pid, int *status, int options, struct rusage *ru)
{
    struct gt_g *g = gt_self();
    return g ? wait_on(g, pid, status, options, ru) : REAL(wait4)(pid, status, options, ru);
}

GT_EXPORT int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(waitid)(type, id, info, options);
    return (int)gt_io_call(g, true, SYS_waitid, type, id, (long)info, options, 0, 0);
}

/* ---- queues ---- */

/* clang-format off */
#define ANNOUNCED(ret, name, params, args, restart, nr, a, b, c, d, e)                             \
    GT_EXPORT ret name params                                                                      \
    {                                                                                              \
        struct gt_g *g = gt_self();                                                                \
        if (!g)                                                                                    \
            return REAL(name) args;                                                                \
        return (ret)gt_io_call(g, restart, nr, (long)(a), (long)(b), (long)(c), (long)(d),         \
                               (long)(e), 0);                                                      \
    }

ANNOUNCED(ssize_t, mq_timedreceive, (mqd_t q, char *p, size_t n, unsigned *prio,
                                     const struct timespec *abs), (q, p, n, prio, abs),
          true, SYS_mq_timedreceive, q, p, n, prio, abs)
ANNOUNCED(int, mq_timedsend, (mqd_t q, const char *p, size_t n, unsigned prio,
                              const struct timespec *abs), (q, p, n, prio, abs),
          true, SYS_mq_timedsend, q, p, n, prio, abs)
ANNOUNCED(ssize_t, mq_receive, (mqd_t q, char *p, size_t n, unsigned *prio), (q, p, n, prio),
          true, SYS_mq_timedreceive, q, p, n, prio, 0)
ANNOUNCED(int, mq_send, (mqd_t q, const char *p, size_t n, unsigned prio), (q, p, n, prio),
          true, SYS_mq_timedsend, q, p, n, prio, 0)
/* System V calls are never restarted after a handler (signal(7)) */
ANNOUNCED(ssize_t, msgrcv, (int q, void *p, size_t n, long type, int flags),
          (q, p, n, type, flags), false, SYS_msgrcv, q, p, n, type, flags)
ANNOUNCED(int, msgsnd, (int q, const void *p, size_t n, int flags), (q, p, n, flags),
          false, SYS_msgsnd, q, p, n, flags, 0)
ANNOUNCED(int, semop, (int id, struct sembuf *ops, size_t n), (id, ops, n),
          false, SYS_semop, id, ops, n, 0, 0)
ANNOUNCED(int, tcdrain, (int fd), (fd), true, SYS_ioctl, fd, 0x5409 /* TCSBRK */, 1, 0, 0)
/* clang-format on */

/* Its time is relative, so a repetition gets what is left. */
GT_EXPORT int semtimedop(int id, struct sembuf *ops, size_t n, const struct timespec *ts)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(semtimedop)(id, ops, n, ts);
    if (ts && (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= GT_SEC))
        return (int)gt_ret(-EINVAL);
    GT_CANCEL_POINT(g);
    gt_rt_enter(g);
    int64_t when = gt_deadline_rel(ts);
    long r;
    do {
        struct timespec left = gt_io_left(when);
        r = gt_syscall_blocking(g, SYS_semtimedop, id, (long)ops, (long)n,
                                when < 0 ? 0 : (long)&left, 0, 0);
    } while (r == -EINTR &&
             (!gt_intr(g, false) || gt_io_at_once(SYS_semtimedop, id, (long)ops, (long)n, 0, 0)));
    gt_rt_leave(g);
    return (int)gt_io_ret(r);
}
