/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of descriptors: everything that makes, copies, changes or closes one tells the poller's
 * table, which is a hint and never a proof.
 *
 * Closers tell it before the close, on any kernel thread, but not in a vfork child: that has
 * descriptors of its own and our memory.  A duplicate shares its flags with the original, so
 * neither counts as ours alone from then on.  The runtime's own descriptors can't be closed.
 */
#include "interpose/io.h"

#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#include "core/sched/sigwatch.h"

bool gt_fd_ours(void)
{
    return load_rlx(&gt_started) && !gt_in_vfork() && !gt_tls.own_files;
}

void gt_fd_closing(int fd)
{
    struct gt_g *g = gt_self();
    if (fd < 0 || !gt_fd_ours())
        return;
    if (g)
        gt_rt_enter(g);
    gt_netpoll_closing(fd);
    if (g)
        gt_rt_leave(g);
}

/* A new descriptor r (or -errno) from a call on a goroutine: notes it, sets errno. */
static int made(struct gt_g *g, long r, enum gt_fdkind kind, bool nonblock)
{
    if (r >= 0) {
        gt_rt_enter(g);
        gt_netpoll_opened((int)r, kind, GT_FDF_OWNED | (nonblock ? GT_FDF_NONBLOCK : 0));
        gt_rt_leave(g);
    }
    return (int)gt_io_ret(r);
}

/* ---- open ---- */

/* May wait: FIFOs, some devices, remote files. */
static int open_at(struct gt_g *g, int dir, const char *path, int flags, mode_t mode)
{
    GT_CANCEL_POINT(g);
    gt_rt_enter(g);
    long r = gt_io_announced(g, true, SYS_openat, dir, (long)path, flags, mode, 0, 0);
    gt_rt_leave(g);
    return made(g, r, GT_FD_UNKNOWN, flags & O_NONBLOCK);
}

static bool wants_mode(int flags)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

#define TAKE_MODE(flags, mode)                                                                     \
    do {                                                                                           \
        va_list ap_;                                                                               \
        va_start(ap_, flags);                                                                      \
        (mode) = wants_mode(flags) ? va_arg(ap_, mode_t) : 0;                                      \
        va_end(ap_);                                                                               \
    } while (0)

#define OPEN(name)                                                                                 \
    GT_EXPORT int name(const char *path, int flags, ...)                                           \
    {                                                                                              \
        struct gt_g *g = gt_self();                                                                \
        mode_t mode;                                                                               \
        TAKE_MODE(flags, mode);                                                                    \
        return g ? open_at(g, AT_FDCWD, path, flags, mode) : REAL(name)(path, flags, mode);        \
    }
#define OPENAT(name)                                                                               \
    GT_EXPORT int name(int dir, const char *path, int flags, ...)                                  \
    {                                                                                              \
        struct gt_g *g = gt_self();                                                                \
        mode_t mode;                                                                               \
        TAKE_MODE(flags, mode);                                                                    \
        return g ? open_at(g, dir, path, flags, mode) : REAL(name)(dir, path, flags, mode);        \
    }
#define CREAT(name)                                                                                \
    GT_EXPORT int name(const char *path, mode_t mode)                                              \
    {                                                                                              \
        struct gt_g *g = gt_self();                                                                \
        return g ? open_at(g, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode)                  \
                 : REAL(name)(path, mode);                                                         \
    }
/* The fortified calls without a mode; one that is needed makes the C library stop the program. */
#define OPEN_2(name)                                                                               \
    int name(const char *path, int flags);                                                         \
    GT_EXPORT int name(const char *path, int flags)                                                \
    {                                                                                              \
        struct gt_g *g = gt_self();                                                                \
        return g && !wants_mode(flags) ? open_at(g, AT_FDCWD, path, flags, 0)                      \
                                       : REAL(name)(path, flags);                                  \
    }
#define OPENAT_2(name)                                                                             \
    int name(int dir, const char *path, int flags);                                                \
    GT_EXPORT int name(int dir, const char *path, int flags)                                       \
    {                                                                                              \
        struct gt_g *g = gt_self();                                                                \
        return g && !wants_mode(flags) ? open_at(g, dir, path, flags, 0)                           \
                                       : REAL(name)(dir, path, flags);                             \
    }

int __open(const char *path, int flags, ...);
int __open64(const char *path, int flags, ...);
OPEN(open)
OPEN(open64)
OPEN(__open)
OPEN(__open64)
OPENAT(openat)
OPENAT(openat64)
CREAT(creat)
CREAT(creat64)
OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

/* ---- descriptors that are made without a path ---- */

static int made_pipe(struct gt_g *g, int fds[2], int flags)
{
    long r = GT_SYS3(SYS_pipe2, fds, flags, 0);
    if (r < 0)
        return (int)gt_ret(r);
    made(g, fds[0], GT_FD_PIPE, flags & O_NONBLOCK);
    made(g, fds[1], GT_FD_PIPE, flags & O_NONBLOCK);
    return 0;
}

GT_EXPORT int pipe(int fds[2])
{
    struct gt_g *g = gt_self();
    return g ? made_pipe(g, fds, 0) : REAL(pipe)(fds);
}

int __pipe(int fds[2]);
GT_EXPORT int __pipe(int fds[2])
{
    return pipe(fds);
}

GT_EXPORT int pipe2(int fds[2], int flags)
{
    struct gt_g *g = gt_self();
    return g ? made_pipe(g, fds, flags) : REAL(pipe2)(fds, flags);
}

GT_EXPORT int eventfd(unsigned count, int flags)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(eventfd)(count, flags);
    return made(g, GT_SYS3(SYS_eventfd2, count, flags, 0), GT_FD_EVENT, flags & EFD_NONBLOCK);
}

GT_EXPORT int timerfd_create(clockid_t clock, int flags)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(timerfd_create)(clock, flags);
    return made(g, GT_SYS3(SYS_timerfd_create, clock, flags, 0), GT_FD_EVENT, flags & TFD_NONBLOCK);
}

GT_EXPORT int inotify_init(void)
{
    struct gt_g *g = gt_self();
    return g ? made(g, GT_SYS3(SYS_inotify_init1, 0, 0, 0), GT_FD_EVENT, false)
             : REAL(inotify_init)();
}

GT_EXPORT int inotify_init1(int flags)
{
    struct gt_g *g = gt_self();
    return g ? made(g, GT_SYS3(SYS_inotify_init1, flags, 0, 0), GT_FD_EVENT, flags & IN_NONBLOCK)
             : REAL(inotify_init1)(flags);
}

GT_EXPORT int epoll_create(int size)
{
    struct gt_g *g = gt_self();
    return g ? made(g, GT_SYS3(SYS_epoll_create, size, 0, 0), GT_FD_EVENT, false)
             : REAL(epoll_create)(size);
}

GT_EXPORT int epoll_create1(int flags)
{
    struct gt_g *g = gt_self();
    return g ? made(g, GT_SYS3(SYS_epoll_create1, flags, 0, 0), GT_FD_EVENT, false)
             : REAL(epoll_create1)(flags);
}

/* ---- dup ---- */

/* fd is a duplicate of old, or -errno.  In a runtime section. */
static long duplicated(int old, long fd)
{
    struct gt_pollfd *pd = gt_netpoll_peek(old);
    if (fd < 0 || fd == old)
        return fd;
    enum gt_fdkind kind = GT_FD_UNKNOWN;
    unsigned flags = 0;
    if (pd) {
        flags = and_acqrel(&pd->flags, ~GT_FDF_OWNED) & ~GT_FDF_OWNED;
        kind = (enum gt_fdkind)load_rlx(&pd->kind);
    }
    gt_netpoll_opened((int)fd, kind, flags);
    return fd;
}

GT_EXPORT int dup(int old)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(dup)(old);
    gt_rt_enter(g);
    long r = duplicated(old, GT_SYS3(SYS_dup, old, 0, 0));
    gt_rt_leave(g);
    return (int)gt_io_ret(r);
}

/* The runtime's, which the program must not touch. */
static bool runtimes_own(int fd)
{
    return gt_netpoll_is_own(fd) || gt_sigwatch_is_own(fd);
}

/* Onto a chosen number, which it closes. */
static int dup_onto(struct gt_g *g, long nr, int old, int new, int flags)
{
    if (runtimes_own(new))
        return (int)gt_ret(-EBADF);
    gt_rt_enter(g);
    long r = old == new ? 0 : sys_fcntl(old, F_GETFD, 0);
    if (r >= 0) {
        if (old != new)
            gt_netpoll_closing(new);
        r = duplicated(old, GT_SYS3(nr, old, new, flags));
    }
    gt_rt_leave(g);
    return (int)gt_io_ret(r);
}

GT_EXPORT int dup2(int old, int new)
{
    struct gt_g *g = gt_self();
    if (g)
        return dup_onto(g, SYS_dup2, old, new, 0);
    if (old != new)
        gt_fd_closing(new);
    return REAL(dup2)(old, new);
}

int __dup2(int old, int new);
GT_EXPORT int __dup2(int old, int new)
{
    return dup2(old, new);
}

GT_EXPORT int dup3(int old, int new, int flags)
{
    struct gt_g *g = gt_self();
    if (g)
        return dup_onto(g, SYS_dup3, old, new, flags);
    if (old != new)
        gt_fd_closing(new);
    return REAL(dup3)(old, new, flags);
}

/* ---- flags ---- */

static void note_nonblock(int fd, bool on)
{
    struct gt_pollfd *pd = gt_fd_ours() ? gt_netpoll_peek(fd) : NULL;
    if (!pd)
        return;
    if (on)
        or_acqrel(&pd->flags, GT_FDF_NONBLOCK);
    else
        and_acqrel(&pd->flags, ~GT_FDF_NONBLOCK);
}

static int fcntl_on(struct gt_g *g, int fd, int cmd, void *arg)
{
    long r;
    switch (cmd) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        gt_rt_enter(g);
        r = duplicated(fd, sys_fcntl(fd, cmd, (long)arg));
        gt_rt_leave(g);
        return (int)gt_io_ret(r);
    case F_SETLKW:
    case F_OFD_SETLKW:
        return (int)gt_io_call(g, true, SYS_fcntl, fd, cmd, (long)arg, 0, 0, 0);
    default:
        return REAL(fcntl64)(fd, cmd, arg);
    }
}

static int fcntl_any(int fd, int cmd, void *arg)
{
    struct gt_g *g = gt_self();
    int r = g ? fcntl_on(g, fd, cmd, arg) : REAL(fcntl64)(fd, cmd, arg);
    if (cmd == F_SETFL && r == 0)
        note_nonblock(fd, (long)arg & O_NONBLOCK);
    return r;
}

#define FCNTL(name)                                                                                \
    GT_EXPORT int name(int fd, int cmd, ...)                                                       \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, cmd);                                                                         \
        void *arg = va_arg(ap, void *); /* an int, a pointer or nothing: one register */           \
        va_end(ap);                                                                                \
        return fcntl_any(fd, cmd, arg);                                                            \
    }
int __fcntl(int fd, int cmd, ...);
FCNTL(fcntl)
FCNTL(fcntl64)
FCNTL(__fcntl)

/* Made outside a runtime section: a device may let it wait. */
GT_EXPORT int ioctl(int fd, unsigned long req, ...)
{
    va_list ap;
    va_start(ap, req);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    int r = REAL(ioctl)(fd, req, arg);
    if (req == FIONBIO && r == 0)
        note_nonblock(fd, *(const int *)arg != 0);
    return r;
}

/* ---- close ---- */

GT_EXPORT int close(int fd)
{
    struct gt_g *g = gt_self();
    if (!gt_fd_ours())
        return REAL(close)(fd);
    if (g)
        GT_CANCEL_POINT(g);
    if (runtimes_own(fd))
        return (int)gt_ret(-EBADF);
    gt_fd_closing(fd);
    return g ? (int)gt_io_ret(sys_close(fd)) : REAL(close)(fd);
}

int __close(int fd);
GT_EXPORT int __close(int fd)
{
    return close(fd);
}

#define OWN_BELOW (1u << 20) /* the runtime's descriptors have numbers below this */

/* Closes [lo, hi] in pieces between the runtime's own descriptors. */
static long close_pieces(unsigned lo, unsigned hi, unsigned flags)
{
    struct gt_g *g = gt_self();
    if (g)
        gt_rt_enter(g);
    gt_netpoll_closing_range(lo, hi);
    if (g)
        gt_rt_leave(g);
    unsigned from = lo;
    for (unsigned fd = lo; fd <= hi && fd < OWN_BELOW; fd++) {
        if (!runtimes_own((int)fd))
            continue;
        if (fd > from) {
            long r = GT_SYS3(SYS_close_range, from, fd - 1, flags);
            if (r < 0)
                return r;
        }
        from = fd + 1;
    }
    return from <= hi ? GT_SYS3(SYS_close_range, from, hi, flags) : 0;
}

GT_EXPORT int close_range(unsigned lo, unsigned hi, int flags)
{
    if (!gt_fd_ours() || lo > hi || flags & ~(int)CLOSE_RANGE_UNSHARE)
        return REAL(close_range)(lo, hi, flags);
    return (int)gt_io_ret(close_pieces(lo, hi, (unsigned)flags));
}

GT_EXPORT void closefrom(int lo)
{
    unsigned from = lo < 0 ? 0 : (unsigned)lo;
    if (!gt_fd_ours() || close_pieces(from, ~0u, 0) < 0)
        REAL(closefrom)(lo); /* also a kernel without close_range */
}

/* ---- streams and directories ---- */

GT_EXPORT int fclose(FILE *fp)
{
    gt_fd_closing(fp->_fileno);
    return REAL(fclose)(fp);
}

int _IO_fclose(FILE *fp);
GT_EXPORT int _IO_fclose(FILE *fp)
{
    return fclose(fp);
}

GT_EXPORT FILE *freopen(const char *path, const char *mode, FILE *fp)
{
    gt_fd_closing(fp->_fileno);
    return REAL(freopen)(path, mode, fp);
}

GT_EXPORT FILE *freopen64(const char *path, const char *mode, FILE *fp)
{
    gt_fd_closing(fp->_fileno);
    return REAL(freopen64)(path, mode, fp);
}

/* Waits for the child. */
GT_EXPORT int pclose(FILE *fp)
{
    struct gt_g *g = gt_self();
    gt_fd_closing(fp->_fileno);
    if (!g)
        return REAL(pclose)(fp);
    int r;
    GT_REAL_ANNOUNCED(g, r, REAL(pclose)(fp));
    return r;
}

/* By label: the header says "never NULL", and the library answers NULL with EINVAL. */
int gt_closedir(DIR *dir) __asm__("closedir");
GT_EXPORT int gt_closedir(DIR *dir)
{
    if (dir) {
        gt_fd_closing(dirfd(dir));
        gt_procfs_closed(dir);
    }
    return REAL(closedir)(dir);
}
