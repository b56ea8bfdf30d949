/* SPDX-License-Identifier: BSD-2-Clause
 *
 * signalfd(2).  The kernel gives its readers what is pending for their kernel thread and for the
 * process; what is pending for the goroutine is ours to give.   Source: fs/signalfd.c for what
 * each field holds.
 *
 * The set of such a descriptor is asked from /proc, and only when something is pending that it may
 * hold: so copies and inherited ones are the same as those made through us.  Whoever parks on one
 * is woken by each signal that is sent to it, and asks again.  Not so an epoll set that holds one.
 */
#include "interpose/io.h"

#include <sys/signalfd.h>

#include "core/sched/signal.h"

GT_EXPORT int signalfd(int fd, const sigset_t *mask, int flags)
{
    int r = REAL(signalfd)(fd, mask, flags);
    if (r >= 0 && fd == -1 && gt_self())
        gt_netpoll_opened(r, GT_FD_SIGNAL, flags & SFD_NONBLOCK ? GT_FDF_NONBLOCK : 0);
    return r;
}

/* "sigmask:" and 16 hexadecimal digits. */
static gt_sigset set_of(int fd)
{
    static const char key[] = "sigmask:\t";
    char path[40], buf[256];
    gt_sigset set = 0;
    gt_snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    int info = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
    long n = info >= 0 ? sys_read(info, buf, sizeof(buf) - 1) : 0;
    if (info >= 0)
        sys_close(info);
    for (long i = 0; i + 25 <= n; i++) {
        if (gt_memcmp(buf + i, key, sizeof(key) - 1) != 0)
            continue;
        for (i += sizeof(key) - 1; i < n && buf[i] > ' '; i++)
            set = set << 4 | (gt_sigset)(buf[i] <= '9' ? buf[i] - '0' : buf[i] - 'a' + 10);
        break;
    }
    return set;
}

bool gt_sigfd_is(int fd)
{
    char path[40], to[32];
    gt_snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    static const char name[] = "anon_inode:[signalfd]";
    long n = GT_SYS6(SYS_readlinkat, AT_FDCWD, path, to, sizeof(to), 0, 0);
    return n == sizeof(name) - 1 && gt_memcmp(to, name, sizeof(name) - 1) == 0;
}

bool gt_sigfd_pending(struct gt_g *g, int fd)
{
    struct gt_pollfd *pd = gt_netpoll_peek(fd);
    gt_sigset set = pd && load_rlx(&pd->kind) == GT_FD_SIGNAL ? gt_sig_pending(g) : 0;
    return set && (set & set_of(fd));
}

static struct signalfd_siginfo translate(const siginfo_t *si)
{
    struct signalfd_siginfo s;
    gt_memset(&s, 0, sizeof(s));
    s.ssi_signo = (uint32_t)si->si_signo;
    s.ssi_errno = si->si_errno;
    s.ssi_code = si->si_code;
    s.ssi_pid = (uint32_t)si->si_pid;
    s.ssi_uid = si->si_uid;
    if (si->si_code == SI_QUEUE || si->si_code == SI_TIMER) {
        s.ssi_int = si->si_value.sival_int;
        s.ssi_ptr = (uintptr_t)si->si_value.sival_ptr;
    }
    if (si->si_code == SI_TIMER) {
        s.ssi_tid = (uint32_t)si->si_timerid;
        s.ssi_overrun = (uint32_t)si->si_overrun;
    }
    return s;
}

long gt_sigfd_read(struct gt_g *g, int fd, const struct iovec *v, int cnt)
{
    long done = 0;
    siginfo_t si;
    gt_sigset set = gt_sig_pending(g) ? set_of(fd) : 0;
    if (!set || cnt != 1)
        return 0;
    while (v->iov_len - (size_t)done >= sizeof(struct signalfd_siginfo)) {
        if (!gt_sig_take(g, set, &si))
            break;
        struct signalfd_siginfo s = translate(&si);
        if (!gt_arch_copy_user((char *)v->iov_base + done, &s, sizeof(s)))
            return -EFAULT;
        done += (long)sizeof(s);
    }
    return done;
}
