/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Processes: fork, vfork, spawn, exec, exit, credentials.   Sources: POSIX fork(3p),
 * pthread_atfork(3p); PITFALLS 1, 2, 11, 23.
 *
 * fork: the program's atfork handlers run on the goroutine's block, libc's fork on the block that
 * libc's list has for this kernel thread: else the child's list of stacks would give the running
 * stack away.  In the child one goroutine is left and the scheduler stands still until it makes a
 * thread again.
 *
 * setuid and its family signal every listed thread and wait for it: they, too, run on the listed
 * block.
 */
#include "interpose/interpose.h"

#include <grp.h>

#include "core/os/tcb.h"
#include "core/sched/netpoll.h"
#include "core/sched/signal.h"
#include "interpose/alloc.h"
#include "interpose/pobj.h"
#include "interpose/stats.h"
#include "interpose/thread.h"

/* ---- on the listed block ---- */

GT_NOINLINE long gt_on_listed(struct gt_g *g, long (*fn)(void *), void *arg)
{
    void *tp = g->tp;
    gt_arch_set_tp(g->m->listed_tp);
    long r = fn(arg);
    gt_arch_set_tp(tp);
    return r;
}

/* The one thread of a fork's child, before it starts the scheduler again: libc's list has its M's
 * block still.  On that block a signal would find no goroutine, so there are none meanwhile. */
static long solo_on_listed(struct gt_g *solo, long (*fn)(void *), void *arg)
{
    gt_sigset all = ~0ull, old;
    sys_sigprocmask(SIG_SETMASK, &all, &old);
    long r = gt_on_listed(solo, fn, arg);
    sys_sigprocmask(SIG_SETMASK, &old, NULL);
    return r;
}

/* That thread, if it is the caller. */
static struct gt_g *solo_self(void)
{
    struct gt_g *solo = gt_solo();
    return solo && gt_tls.owner == solo ? solo : NULL;
}

/* ---- wiring ---- */

void gt_wire(struct gt_g *g, const char *reason)
{
    (void)g;
    gt_stats_wired(reason);
}

void gt_unwire(struct gt_g *g)
{
    (void)g;
}

/* ---- atfork ---- */

struct atfork {
    void (*prepare)(void), (*parent)(void), (*child)(void);
    void *dso;
};
static struct {
    struct gt_lock lock;
    struct atfork *v;
    size_t n, cap;
} F;
static _Atomic bool dl_closed; /* a library has gone: look whether a handler went with it */

void gt_fork_note_dlclose(void)
{
    store_rel(&dl_closed, true);
}

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso);

GT_EXPORT int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                                void *dso)
{
    int r = 0;
    gt_lock(&F.lock, GT_RANK_NONE);
    if (F.n == F.cap) {
        size_t cap = F.cap ? F.cap * 2 : 64;
        struct atfork *v = sys_mmap(NULL, cap * sizeof(*v), PROT_READ | PROT_WRITE, 0);
        if (gt_sys_is_err(v)) {
            r = ENOMEM;
        } else {
            if (F.v)
                gt_memcpy(v, F.v, F.n * sizeof(*v));
            F.v = v; /* the old one stays: a fork may be walking it */
            F.cap = cap;
        }
    }
    if (!r)
        F.v[F.n++] = (struct atfork){prepare, parent, child, dso};
    gt_unlock(&F.lock, GT_RANK_NONE);
    return r;
}

static bool alive(const struct atfork *a)
{
    Dl_info in;
    void *p = a->prepare ? (void *)a->prepare : a->parent ? (void *)a->parent : (void *)a->child;
    return !load_rlx(&dl_closed) || (p && dladdr(p, &in));
}

static void run_prepare(size_t n)
{
    while (n--)
        if (F.v[n].prepare && alive(&F.v[n]))
            F.v[n].prepare();
}

static void run_after(size_t n, bool child)
{
    for (size_t i = 0; i < n; i++) {
        void (*f)(void) = child ? F.v[i].child : F.v[i].parent;
        if (f && alive(&F.v[i]))
            f();
    }
}

/* ---- fork ---- */

static long raw_fork(void *arg)
{
    pid_t (*f)(void) = (pid_t(*)(void))arg;
    pid_t pid = f();
    return pid < 0 ? -errno : pid;
}

static pid_t fork_with(pid_t (*real)(void), bool handlers)
{
    struct gt_g *g = gt_self();
    size_t n = handlers ? F.n : 0;
    run_prepare(n);
    pid_t pid;
    if (g) {
        gt_rt_enter(g);
        gt_fork_before(g);
        struct gt_mcache *mc = gt_alloc_fork_before(g);
        pid = (pid_t)gt_on_listed(g, raw_fork, (void *)real);
        if (pid == 0) {
            gt_fork_child(g);
            gt_alloc_fork_child(mc);
            gt_thread_fork_child();
            gt_once_fork_child();
            gt_futex_fork_child();
            gt_pshared_fork_child();
        } else {
            gt_alloc_fork_parent();
            gt_fork_parent(g);
            gt_netpoll_shared();
            gt_rt_leave(g);
        }
    } else {
        struct gt_g *solo = solo_self();
        struct gt_mcache *mc = gt_alloc_fork_before(NULL);
        pid = (pid_t)(solo ? solo_on_listed(solo, raw_fork, (void *)real) : raw_fork((void *)real));
        if (pid == 0)
            gt_alloc_fork_child(mc);
        else
            gt_alloc_fork_parent();
        if (pid == 0 && solo) {
            gt_tid_set(solo->tp, sys_getpid());
            solo->tid = sys_getpid();
        }
    }
    run_after(n, pid == 0);
    return (pid_t)gt_ret(pid);
}

GT_EXPORT pid_t fork(void)
{
    if (gt_in_vfork())
        return REAL(fork)();
    return fork_with(REAL(fork), true);
}

extern __typeof__(fork) __fork __attribute__((alias("fork"), copy(fork), visibility("default")));

GT_EXPORT pid_t _Fork(void)
{
    return fork_with(REAL(_Fork), false);
}

/* ---- vfork: the assembly stub calls these on both sides of the system call ---- */

static _Atomic int vforks; /* children that share our memory now */

bool gt_in_vfork(void)
{
    return load_rlx(&vforks) != 0 && gt_tls.in_vfork;
}

struct gt_g *gt_vfork_enter(void);
void gt_vfork_exit(struct gt_g *g);

/* Before: from here to exit this thread looks foreign to every interposed call: that is the child.
 */
struct gt_g *gt_vfork_enter(void)
{
    struct gt_g *g = gt_self();
    if (g) {
        gt_rt_enter(g);
        gt_entersyscallblock(g);
    }
    add_rlx(&vforks, 1);
    gt_tls.in_vfork = true;
    gt_tls.g = NULL;
    return g;
}

void gt_vfork_exit(struct gt_g *g)
{
    gt_tls.g = g;
    gt_tls.in_vfork = false;
    sub_acqrel(&vforks, 1);
    if (g) {
        gt_exitsyscall(g);
        gt_rt_leave(g);
    }
}

/* ---- spawn, system, popen: libc's own vfork-like clone ---- */

static struct gt_g *enter_block(void)
{
    struct gt_g *g = gt_self();
    if (g) {
        gt_rt_enter(g);
        gt_entersyscallblock(g);
    }
    return g;
}

static void leave_block(struct gt_g *g)
{
    if (g) {
        gt_exitsyscall(g);
        gt_rt_leave(g);
    }
}

GT_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
                          const posix_spawnattr_t *at, char *const argv[], char *const envp[])
{
    struct gt_g *g = enter_block();
    int r = REAL(posix_spawn)(pid, path, fa, at, argv, envp);
    leave_block(g);
    return r;
}

GT_EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *fa,
                           const posix_spawnattr_t *at, char *const argv[], char *const envp[])
{
    struct gt_g *g = enter_block();
    int r = REAL(posix_spawnp)(pid, file, fa, at, argv, envp);
    leave_block(g);
    return r;
}

GT_EXPORT int system(const char *cmd)
{
    struct gt_g *g = gt_self();
    if (g)
        gt_testcancel(g);
    enter_block();
    int r = REAL(system)(cmd);
    leave_block(g);
    return r;
}

GT_EXPORT FILE *popen(const char *cmd, const char *mode)
{
    struct gt_g *g = enter_block();
    FILE *f = REAL(popen)(cmd, mode);
    leave_block(g);
    return f;
}

GT_EXPORT int daemon(int nochdir, int noclose)
{
    pid_t pid;
    if (!gt_self())
        return REAL(daemon)(nochdir, noclose);
    pid = fork();
    if (pid < 0)
        return -1;
    if (pid > 0)
        _exit(0);
    if (setsid() < 0)
        return -1;
    if (!nochdir && chdir("/"))
        return -1;
    int fd = noclose ? -1 : sys_open("/dev/null", O_RDWR, 0);
    for (int i = 0; fd >= 0 && i < 3; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
    return 0;
}

/* ---- exec: the new program inherits the goroutine's mask, exactly ---- */

struct exec_mask {
    struct gt_g *g;
};

static struct exec_mask exec_begin(void)
{
    struct exec_mask e = {.g = gt_self()};
    if (e.g) {
        gt_rt_enter(e.g);
        sys_sigprocmask(SIG_SETMASK, &e.g->sigmask, NULL);
    }
    return e;
}

static int exec_failed(struct exec_mask e, int r)
{
    int err = errno;
    if (e.g) {
        sys_sigprocmask(SIG_SETMASK, &e.g->m->kmask, NULL);
        gt_rt_leave(e.g);
    }
    errno = err;
    return r;
}

GT_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
    struct exec_mask e = exec_begin();
    return exec_failed(e, REAL(execve)(path, argv, envp));
}

GT_EXPORT int execv(const char *path, char *const argv[])
{
    struct exec_mask e = exec_begin();
    return exec_failed(e, REAL(execv)(path, argv));
}

GT_EXPORT int execvp(const char *file, char *const argv[])
{
    struct exec_mask e = exec_begin();
    return exec_failed(e, REAL(execvp)(file, argv));
}

GT_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
    struct exec_mask e = exec_begin();
    return exec_failed(e, REAL(execvpe)(file, argv, envp));
}

GT_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
    struct exec_mask e = exec_begin();
    return exec_failed(e, REAL(fexecve)(fd, argv, envp));
}

/* ---- exit ---- */

GT_EXPORT void _exit(int status)
{
    if (!gt_in_vfork())
        gt_stats_print();
    REAL(_exit)(status);
    __builtin_unreachable();
}

extern __typeof__(_exit) _Exit __attribute__((alias("_exit"), copy(_exit), visibility("default")));

GT_EXPORT void quick_exit(int status)
{
    gt_stats_print();
    REAL(quick_exit)(status);
    __builtin_unreachable();
}

/* ---- credentials ---- */

struct ids {
    int (*fn)(unsigned long, unsigned long, unsigned long);
    unsigned long a, b, c;
};

static long call_ids(void *arg)
{
    struct ids *i = arg;
    int r = i->fn(i->a, i->b, i->c);
    return r < 0 ? -errno : r;
}

static int set_ids(void *fn, unsigned long a, unsigned long b, unsigned long c)
{
    struct ids i = {
        .fn = (int (*)(unsigned long, unsigned long, unsigned long))fn, .a = a, .b = b, .c = c};
    struct gt_g *g = gt_self();
    if (!g) {
        struct gt_g *solo = gt_in_vfork() ? NULL : solo_self();
        return (int)gt_ret(solo ? solo_on_listed(solo, call_ids, &i) : call_ids(&i));
    }
    gt_rt_enter(g);
    long r = gt_on_listed(g, call_ids, &i);
    gt_rt_leave(g);
    return (int)gt_ret(r);
}

GT_EXPORT int setuid(uid_t u)
{
    return set_ids((void *)REAL(setuid), u, 0, 0);
}

GT_EXPORT int setgid(gid_t u)
{
    return set_ids((void *)REAL(setgid), u, 0, 0);
}

GT_EXPORT int seteuid(uid_t u)
{
    return set_ids((void *)REAL(seteuid), u, 0, 0);
}

GT_EXPORT int setegid(gid_t u)
{
    return set_ids((void *)REAL(setegid), u, 0, 0);
}

GT_EXPORT int setreuid(uid_t a, uid_t b)
{
    return set_ids((void *)REAL(setreuid), a, b, 0);
}

GT_EXPORT int setregid(gid_t a, gid_t b)
{
    return set_ids((void *)REAL(setregid), a, b, 0);
}

GT_EXPORT int setresuid(uid_t a, uid_t b, uid_t c)
{
    return set_ids((void *)REAL(setresuid), a, b, c);
}

GT_EXPORT int setresgid(gid_t a, gid_t b, gid_t c)
{
    return set_ids((void *)REAL(setresgid), a, b, c);
}

GT_EXPORT int setgroups(size_t n, const gid_t *list)
{
    return set_ids((void *)REAL(setgroups), n, (unsigned long)list, 0);
}

/* The look-up reads files and services: on the caller's own block, and only the result is set on
 * the listed one.  A list that is too long for the kernel is cut, as libc does. */
GT_EXPORT int initgroups(const char *user, gid_t group)
{
    int n = 64, size = 0, r = -1;
    gid_t *list = NULL;
    do {
        size = GT_MAX(n, size * 2);
        gid_t *more = realloc(list, (size_t)size * sizeof(*list));
        if (!more) {
            free(list);
            return (int)gt_ret(-ENOMEM);
        }
        list = more;
        n = size;
    } while (getgrouplist(user, group, list, &n) < 0);
    do
        r = setgroups((size_t)n, list);
    while (r < 0 && errno == EINVAL && --n > 0);
    free(list);
    return r;
}
