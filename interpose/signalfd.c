/* SPDX-License-Identifier: BSD-2-Clause
 *
 * signalfd(2).  The kernel gives its readers what is pending for their kernel thread and for the
 * process; what is pending for the goroutine is ours to give.   Source: fs/signalfd.c for what
 * each field holds.
 *
 * The set of such a descriptor is asked from /proc, and only when something is pending that it may
 * hold: so copies and inherited ones are the same as those made through us.  Whoever parks on one
 * is woken by each signal that is sent to it, and asks again.  So it is with an epoll set that
 * holds one: its members, too, are asked from /proc.
 */
#include "interpose/io.h"

#include <sys/signalfd.h>

#include "core/sched/signal.h"

static _Atomic bool seen; /* the process has one, as far as we know: spares the look into /proc */

GT_EXPORT int signalfd(int fd, const sigset_t *mask, int flags)
{
    int r = REAL(signalfd)(fd, mask, flags);
    store_rlx(&seen, true);
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
    bool is = n == sizeof(name) - 1 && gt_memcmp(to, name, sizeof(name) - 1) == 0;
    if (is)
        store_rlx(&seen, true);
    return is;
}

bool gt_sigfd_pending(struct gt_g *g, int fd)
{
    struct gt_pollfd *pd = gt_netpoll_peek(fd);
    if (!pd || load_rlx(&pd->kind) != GT_FD_SIGNAL)
        return false;
    gt_rt_enter(g); /* no handler may take from the queue now */
    gt_sigset set = gt_sig_pending(g);
    gt_rt_leave(g);
    return set && (set & set_of(fd));
}

/* ---- members of an epoll set ---- */

struct lines {
    int fd;
    long at, n; /* buf[at..n) is unread */
    char buf[512];
};

/* NULL: the end, or a line that is too long. */
static char *next_line(struct lines *l)
{
    for (;;) {
        for (long i = l->at; i < l->n; i++)
            if (l->buf[i] == '\n') {
                char *s = l->buf + l->at;
                l->buf[i] = '\0';
                l->at = i + 1;
                return s;
            }
        for (long i = l->at; i < l->n; i++)
            l->buf[i - l->at] = l->buf[i];
        l->n -= l->at;
        l->at = 0;
        long r = sys_read(l->fd, l->buf + l->n, sizeof(l->buf) - (size_t)l->n);
        if (r <= 0)
            return NULL;
        l->n += r;
    }
}

/* The number after key, which stands further on in *s; then *s is behind it. */
static bool number(char **s, const char *key, unsigned base, uint64_t *v)
{
    size_t n = gt_strlen(key);
    char *p = *s;
    while (*p && gt_memcmp(p, key, GT_MIN(n, gt_strlen(p))) != 0)
        p++;
    if (!*p)
        return false;
    for (p += n; *p == ' '; p++)
        ;
    for (*v = 0; *p && *p != ' '; p++)
        *v = *v * base + (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
    *s = p;
    return true;
}

/* Reports one, like the kernel.  ev: what has been reported before. */
static bool report(struct gt_g *g, int ep, char *line, struct epoll_event *ev, long have)
{
    uint64_t fd, events, data;
    if (!number(&line, "tfd:", 10, &fd) || !number(&line, "events:", 16, &events) ||
        !number(&line, "data:", 16, &data))
        return false;
    bool edge = events & EPOLLET, once = events & EPOLLONESHOT;
    if (!(events & EPOLLIN) || (edge && g->sigtold == load_acq(&g->sigcame)) ||
        !gt_sigfd_is((int)fd) || !(gt_sig_pending(g) & set_of((int)fd)))
        return false;
    for (long i = 0; i < have; i++)
        if (ev[i].data.u64 == data && (ev[i].events & EPOLLIN))
            return false;
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = data};
    if (!gt_arch_copy_user(&ev[have], &e, sizeof(e)))
        return false;
    e.events = (uint32_t)events & ~(unsigned)EPOLLIN;
    if (once)
        sys_epoll_ctl(ep, EPOLL_CTL_MOD, (int)fd, &e);
    return true;
}

long gt_sigfd_epoll(struct gt_g *g, int ep, struct epoll_event *ev, long have, int max)
{
    if (likely(!gt_sigq_maybe(g)) || !load_rlx(&seen) || have < 0 || have >= max)
        return have;
    struct lines l = {.at = 0};
    char path[40], *line;
    long before = have;
    gt_rt_enter(g);
    gt_snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ep);
    l.fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
    uint32_t came = load_acq(&g->sigcame);
    while (l.fd >= 0 && have < max && (line = next_line(&l)) != NULL)
        have += report(g, ep, line, ev, have);
    if (l.fd >= 0)
        sys_close(l.fd);
    if (have > before)
        g->sigtold = came;
    gt_rt_leave(g);
    return have;
}

/* ---- reading ---- */

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
