/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What only a kernel thread can have, for good: credentials and namespaces of one thread, ptrace,
 * seccomp and the like.  A goroutine that asks for such a thing is wired to its kernel thread until
 * it ends (core/sched/wire.c), and that thread is then never used again.   Sources: unshare(2),
 * setns(2), setfsuid(2), capabilities(7), ptrace(2), prctl(2), perf_event_open(2).
 *
 * prctl: names and timer slack are the goroutine's own and wire nothing, nor does what belongs to
 * the process, nor a question (PITFALLS 12).
 */
#include "core/os/tcb.h"
#include "interpose/pobj.h"
#include "interpose/thread.h"

#include <linux/ioprio.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Wires the goroutine for a call that changes its kernel thread; unwired when that fails. */
#define CHANGES_THREAD(why, call)                                                                  \
    ({                                                                                             \
        struct gt_g *self_ = gt_in_vfork() ? NULL : gt_self();                                     \
        bool had_ = self_ && gt_wire_is_set(self_, why);                                           \
        if (self_)                                                                                 \
            gt_wire_set(self_, why);                                                               \
        __typeof__(call) r_ = (call);                                                              \
        if (self_ && !had_ && r_ < 0)                                                              \
            gt_wire_clear(self_, why);                                                             \
        r_;                                                                                        \
    })

/* ---- calls of the C library ---- */

GT_EXPORT int unshare(int flags)
{
    return CHANGES_THREAD(GT_W_NAMESPACE, REAL(unshare)(flags));
}

GT_EXPORT int setns(int fd, int type)
{
    return CHANGES_THREAD(GT_W_NAMESPACE, REAL(setns)(fd, type));
}

/* They return the former id and never fail; -1 only asks. */
GT_EXPORT int setfsuid(uid_t uid)
{
    struct gt_g *g = gt_self();
    if (g && uid != (uid_t)-1)
        gt_wire_set(g, GT_W_CREDENTIALS);
    return REAL(setfsuid)(uid);
}

GT_EXPORT int setfsgid(gid_t gid)
{
    struct gt_g *g = gt_self();
    if (g && gid != (gid_t)-1)
        gt_wire_set(g, GT_W_CREDENTIALS);
    return REAL(setfsgid)(gid);
}

int capset(void *hdr, const void *data);

GT_EXPORT int capset(void *hdr, const void *data)
{
    return CHANGES_THREAD(GT_W_CREDENTIALS, REAL(capset)(hdr, data));
}

GT_EXPORT int personality(unsigned long persona)
{
    if (persona == 0xffffffff)
        return REAL(personality)(persona);
    return CHANGES_THREAD(GT_W_OTHER, REAL(personality)(persona));
}

/* The tracer is a thread, and so is who is traced.  A result of -1 may be a word of memory: wired
 * all the same. */
GT_EXPORT long ptrace(enum __ptrace_request req, ...)
{
    long a[4];
    va_list ap;
    va_start(ap, req);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    struct gt_g *g = gt_in_vfork() ? NULL : gt_self();
    if (g)
        gt_wire_set(g, GT_W_OTHER);
    return REAL(ptrace)(req, a[0], a[1], a[2], a[3]);
}

/* ---- names ---- */

/* The first goroutine's name is the process's: the kernel shows it. */
static int main_comm(const char *name)
{
    char path[40];
    gt_snprintf(path, sizeof(path), "/proc/self/task/%d/comm", sys_getpid());
    int fd = sys_open(path, O_WRONLY | O_CLOEXEC, 0);
    long r = fd < 0 ? fd : sys_write(fd, name, gt_strlen(name));
    if (fd >= 0)
        sys_close(fd);
    return r < 0 ? (int)-r : 0;
}

static int set_name(struct gt_g *g, const char *name)
{
    size_t n = gt_strlen(name);
    gt_memset(g->name, 0, sizeof(g->name));
    gt_memcpy(g->name, name, GT_MIN(n, sizeof(g->name) - 1));
    if (g->wiredm && g == gt_self()) /* its kernel thread is its own: the kernel shows it */
        GT_SYS6(SYS_prctl, PR_SET_NAME, g->name, 0, 0, 0, 0);
    return g->flags & GT_GF_MAIN ? main_comm(g->name) : 0;
}

static void get_name(struct gt_g *g, char buf[16])
{
    gt_memset(buf, 0, 16);
    if (!g->name[0]) { /* never set: the process's, as a kernel thread inherits it */
        int fd = sys_open("/proc/self/comm", O_RDONLY | O_CLOEXEC, 0);
        long n = fd >= 0 ? sys_read(fd, buf, 16) : 0;
        if (fd >= 0)
            sys_close(fd);
        buf[n > 0 ? n - 1 : 0] = '\0';
        return;
    }
    gt_memcpy(buf, g->name, 16);
}

GT_EXPORT int pthread_setname_np(pthread_t t, const char *name)
{
    struct gt_g *g = gt_g_of((void *)t);
    if (!g)
        return REAL(pthread_setname_np)(t, name);
    return gt_strlen(name) > 15 ? ERANGE : set_name(g, name);
}

GT_EXPORT int pthread_getname_np(pthread_t t, char *buf, size_t n)
{
    struct gt_g *g = gt_g_of((void *)t);
    char name[16];
    if (!g)
        return REAL(pthread_getname_np)(t, buf, n);
    if (n < 16)
        return ERANGE;
    get_name(g, name);
    gt_memcpy(buf, name, 16);
    return 0;
}

/* ---- prctl ---- */

/* What it changes of one kernel thread; GT_W_COUNT: nothing.  GT_W_OTHER: clone does not hand it
 * on. */
static enum gt_wire_why prctl_wires(int op)
{
    switch (op) {
    case PR_SET_PDEATHSIG:
    case PR_SET_SYSCALL_USER_DISPATCH:
        return GT_W_OTHER;
    case PR_SET_SECCOMP:
    case PR_SET_NO_NEW_PRIVS:
        return GT_W_SECCOMP;
    case PR_SET_UNALIGN:
    case PR_SET_FPEMU:
    case PR_SET_FPEXC:
    case PR_SET_KEEPCAPS:
    case PR_SET_ENDIAN:
    case PR_SET_TSC:
    case PR_SET_SECUREBITS:
    case PR_CAPBSET_DROP:
    case PR_CAP_AMBIENT:
    case PR_MCE_KILL:
    case PR_SET_SPECULATION_CTRL:
    case PR_SET_IO_FLUSHER:
    case PR_SCHED_CORE:
        return GT_W_PRCTL;
    default:
        return GT_W_COUNT;
    }
}

/* ---- seccomp ---- */

/* This process, or one that it was forked from, has told the kernel which calls it makes.  The
 * scheduler makes others when it starts (epoll_create, membarrier, ioprio_get), and one that is not
 * on the program's list may end it; asking whether it is may, too.  A filter from before exec, as a
 * container's or systemd's, is not meant: it knows no program. */
static _Atomic bool confined;

bool gt_is_confined(void)
{
    return load_rlx(&confined);
}

void gt_seccomp_set(long r)
{
    if (r >= 0 && !gt_in_vfork())
        store_rlx(&confined, true);
}

GT_EXPORT int prctl(int op, ...)
{
    va_list ap;
    va_start(ap, op);
    unsigned long a = va_arg(ap, unsigned long), b = va_arg(ap, unsigned long);
    unsigned long c = va_arg(ap, unsigned long), d = va_arg(ap, unsigned long);
    va_end(ap);
    struct gt_g *g = gt_self();
    if (g && op == PR_SET_NAME)
        return (int)gt_ret(-set_name(g, (const char *)a));
    if (g && op == PR_GET_NAME) {
        get_name(g, (char *)a);
        return 0;
    }
    if (g && op == PR_GET_TID_ADDRESS) {
        *(uintptr_t *)a = g->clear_tid == 1  ? 0
                          : g->clear_tid > 1 ? g->clear_tid
                                             : (uintptr_t)gt_tid_word(g->tp);
        return 0;
    }
    if (g && op == PR_SET_TIMERSLACK) {
        g->attrs.slack = (int)GT_MIN(a, (unsigned long)INT32_MAX); /* 0: the default */
        return 0;
    }
    if (g && op == PR_GET_TIMERSLACK && g->attrs.slack)
        return g->attrs.slack;
    enum gt_wire_why why = g ? prctl_wires(op) : GT_W_COUNT;
    int r = why != GT_W_COUNT ? CHANGES_THREAD(why, REAL(prctl)(op, a, b, c, d))
                              : REAL(prctl)(op, a, b, c, d);
    if (op == PR_SET_SECCOMP)
        gt_seccomp_set(r);
    return r;
}

/* ---- syscall() ---- */

/* Why a system call wires who makes it; GT_W_COUNT: it does not. */
static enum gt_wire_why wires(long nr, const long *a)
{
    switch (nr) {
    case SYS_unshare:
    case SYS_setns:
        return GT_W_NAMESPACE;
    case SYS_setuid:
    case SYS_setgid:
    case SYS_setreuid:
    case SYS_setregid:
    case SYS_setresuid:
    case SYS_setresgid:
    case SYS_setgroups:
    case SYS_setfsuid:
    case SYS_setfsgid:
    case SYS_capset:
        return GT_W_CREDENTIALS;
    case SYS_seccomp:
        return a[0] <= SECCOMP_SET_MODE_FILTER ? GT_W_SECCOMP : GT_W_COUNT;
    case SYS_perf_event_open:
        return a[1] == 0 ? GT_W_OTHER : GT_W_COUNT;
    case SYS_ptrace:
    case SYS_set_mempolicy:
    case SYS_set_robust_list:
    case SYS_rseq:
        return GT_W_OTHER;
    case SYS_ioprio_set:
        return a[0] == IOPRIO_WHO_PROCESS && a[1] == 0 ? GT_W_IOPRIO : GT_W_COUNT;
    default:
        return GT_W_COUNT;
    }
}

/* Which argument is a thread id that the caller may give as its own; -1: none. */
static int tid_argument(long nr)
{
    switch (nr) {
    case SYS_perf_event_open:
    case SYS_ioprio_get:
    case SYS_ioprio_set:
        return 1;
    case SYS_sched_getattr:
    case SYS_sched_rr_get_interval:
    case SYS_get_robust_list:
        return 0;
    default:
        return -1;
    }
}

static bool syncs_threads(const long *a)
{
    return a[0] == SECCOMP_SET_MODE_FILTER && a[1] & SECCOMP_FILTER_FLAG_TSYNC;
}

/* All kernel threads get the filters of the caller's, and its no_new_privs: then it is like all. */
static long sync_threads(struct gt_g *g, const long *a)
{
    gt_wire_set(g, GT_W_SECCOMP); /* the kernel thread that asks is the one that has them */
    long r = GT_SYS3(SYS_seccomp, a[0], a[1], a[2]);
    if (r == 0)
        gt_wire_clear(g, GT_W_SECCOMP);
    return r;
}

#define RESULT(call)                                                                               \
    ({                                                                                             \
        long v_ = (call);                                                                          \
        v_ < 0 ? -errno : v_;                                                                      \
    })

bool gt_wired_syscall(struct gt_g *g, long nr, const long *args, long *r)
{
    long a[6];
    gt_memcpy(a, args, sizeof(a));
    int at = tid_argument(nr);
    if (at >= 0 && a[at] == g->tid)
        a[at] = 0;
    enum gt_wire_why why = wires(nr, a);
    if (nr == SYS_prctl)
        *r = RESULT(prctl((int)a[0], a[1], a[2], a[3], a[4]));
    else if (nr == SYS_seccomp && syncs_threads(a))
        *r = sync_threads(g, a);
    else if (why != GT_W_COUNT)
        *r = CHANGES_THREAD(why, gt_syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]));
    else if (at >= 0)
        *r = gt_syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    else
        return false;
    return true;
}
