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
 * A process with one thread may fork in a signal handler that has interrupted malloc or fork: no
 * lock is taken then, as nobody can hold one but the caller.  Else, in this order: the C library's
 * lock of the list of streams, as its fork will want it and who holds it may allocate; ours; the
 * heap's.
 *
 * setuid and its family signal every listed thread and wait for it: they, too, run on the listed
 * block.
 */
#include "interpose/interpose.h"

#include <grp.h>
#include <sys/single_threaded.h>

#include "core/os/tcb.h"
#include "core/sched/netpoll.h"
#include "core/sched/signal.h"
#include "core/sched/wire.h"
#include "interpose/alloc.h"
#include "interpose/pobj.h"
#include "interpose/spawn.h"
#include "interpose/stats.h"
#include "interpose/thread.h"

/* Goroutines that fork wait for each other here, parked.  In libc's lock each would hold up a
 * kernel thread, and where no more of them can be had, none would be left to run the one that has
 * it. */
static pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;

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

/* ---- atfork ---- */

/* A handler leaves with its library: __cxa_finalize of the library's handle clears its row.  Rows
 * are never reused or moved within a fork, and a grown table leaves the old one in place, so a fork
 * that walks it while others change it is safe.  The lock is held over the fork. */
struct atfork {
    void (*prepare)(void), (*parent)(void), (*child)(void);
    void *dso;
};
static struct {
    struct gt_lock lock; /* changes of the table; held over the raw fork */
    _Atomic(struct atfork *) v;
    _Atomic size_t n;
    size_t cap; /* lock */
} F;

static bool grow_locked(void)
{
    size_t cap = F.cap ? F.cap * 2 : 64;
    struct atfork *v = sys_mmap(NULL, cap * sizeof(*v), PROT_READ | PROT_WRITE, 0);
    if (gt_sys_is_err(v))
        return false;
    if (F.cap)
        gt_memcpy(v, load_rlx(&F.v), F.cap * sizeof(*v));
    store_rel(&F.v, v);
    F.cap = cap;
    return true;
}

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso);

GT_EXPORT int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                                void *dso)
{
    struct gt_g *g = gt_sync_enter();
    gt_lock(&F.lock, GT_RANK_NONE);
    size_t n = load_rlx(&F.n);
    bool ok = n < F.cap || grow_locked();
    if (ok) {
        load_rlx(&F.v)[n] = (struct atfork){prepare, parent, child, dso};
        store_rel(&F.n, n + 1);
    }
    gt_unlock(&F.lock, GT_RANK_NONE);
    gt_sync_leave(g);
    return ok ? 0 : ENOMEM;
}

static void unregister(void *dso)
{
    struct gt_g *g = gt_sync_enter();
    gt_lock(&F.lock, GT_RANK_NONE);
    size_t n = load_rlx(&F.n);
    struct atfork *v = load_rlx(&F.v);
    for (size_t i = 0; i < n; i++)
        if (v[i].dso == dso)
            v[i] = (struct atfork){.dso = dso};
    while (n && v[n - 1].dso == dso)
        n--;
    store_rel(&F.n, n);
    gt_unlock(&F.lock, GT_RANK_NONE);
    gt_sync_leave(g);
}

/* A library's last words as dlclose unloads it (NULL: the process exits).   Source: the C++ ABI,
 * 3.3.5, "DSO object destruction API". */
void __cxa_finalize(void *dso);

GT_EXPORT void __cxa_finalize(void *dso)
{
    REAL(__cxa_finalize)(dso);
    if (dso)
        unregister(dso);
}

static void run_prepare(size_t n)
{
    while (n-- > 0) {
        void (*f)(void) = load_acq(&F.v)[n].prepare;
        if (f)
            f();
    }
}

static void run_after(size_t n, bool child)
{
    for (size_t i = 0; i < n; i++) {
        struct atfork *a = &load_acq(&F.v)[i];
        void (*f)(void) = child ? a->child : a->parent;
        if (f)
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

static void child_of(struct gt_g *g)
{
    if (!g)
        gt_thread_first();
    gt_fork_child(g);
    gt_thread_fork_child();
    gt_once_fork_child();
    gt_futex_fork_child();
    gt_pshared_fork_child();
    gt_timer_fork_child();
}

static void solo_child(struct gt_g *solo)
{
    gt_tid_set(solo->tp, sys_getpid());
    solo->tid = sys_getpid();
}

struct gt_fork gt_fork_begin(void)
{
    struct gt_fork f = {.g = gt_self(), .started = load_acq(&gt_started)};
    f.alone = !f.started && __libc_single_threaded;
    if (f.alone)
        return f;
    if (f.g)
        gt_rt_enter(f.g);
    gt_lock(&F.lock, GT_RANK_NONE);
    if (f.started)
        gt_fork_before(f.g);
    f.mcache = gt_alloc_fork_before(f.g);
    return f;
}

void gt_fork_end(struct gt_fork f, bool child)
{
    if (f.alone) {
        if (child && gt_alloc_ours())
            gt_alloc_fork_alone();
        if (child && solo_self())
            solo_child(solo_self());
        return;
    }
    if (!child)
        gt_alloc_fork_parent();
    if (f.started && child) {
        child_of(f.g);
    } else if (f.started) {
        gt_fork_parent(f.g);
        gt_netpoll_shared();
    }
    if (child) {
        gt_alloc_fork_child(f.mcache);
        forking = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER; /* whoever had it is not here */
    }
    gt_unlock(&F.lock, GT_RANK_NONE);
    if (f.g && !child)
        gt_rt_leave(f.g);
    else if (child && !f.g && solo_self())
        solo_child(solo_self());
}

/* With the thread pointer that libc's own fork runs on. */
static long as_libc(long (*fn)(void *), void *arg)
{
    struct gt_g *g = gt_self(), *solo = solo_self();
    return g ? gt_on_listed(g, fn, arg) : solo ? solo_on_listed(solo, fn, arg) : fn(arg);
}

/* libc's lock of the list of streams, recursive, of the block it is taken on.   Source: glibc's
 * libio/iolibio.h. */
void _IO_list_lock(void) __attribute__((weak));
void _IO_list_unlock(void) __attribute__((weak));
void _IO_list_resetlock(void) __attribute__((weak));

static long streams_op(void *op)
{
    ((void (*)(void))op)();
    return 0;
}

/* The caller stays on its M, whose block owns the lock, and in the runtime: a handler may want the
 * lock, too, on the goroutine's own block. */
static void streams_lock(struct gt_g *g)
{
    if (!_IO_list_lock)
        return;
    if (g) {
        gt_rt_enter(g);
        pthread_mutex_lock(&forking);
        gt_wire(g, GT_W_FORK);
        gt_entersyscall(g);
    }
    as_libc(streams_op, (void *)_IO_list_lock);
    if (g)
        gt_exitsyscall(g);
}

static void streams_unlock(struct gt_g *g, bool child)
{
    if (!_IO_list_lock)
        return;
    if (child) { /* g is a plain thread now; nobody else has the lock */
        _IO_list_resetlock();
        return;
    }
    as_libc(streams_op, (void *)_IO_list_unlock);
    if (g) {
        gt_unwire(g);
        pthread_mutex_unlock(&forking);
        gt_rt_leave(g);
    }
}

static pid_t fork_with(pid_t (*real)(void), bool handlers)
{
    size_t n = handlers ? load_acq(&F.n) : 0;
    run_prepare(n);
    struct gt_g *g = gt_self();
    bool streams = handlers && (load_acq(&gt_started) || !__libc_single_threaded);
    if (streams)
        streams_lock(g);
    struct gt_fork f = gt_fork_begin();
    long pid = as_libc(raw_fork, (void *)real);
    gt_fork_end(f, pid == 0);
    if (streams)
        streams_unlock(g, pid == 0);
    run_after(n, pid == 0);
    return (pid_t)gt_ret(pid);
}

long gt_fork_syscall(long nr, const long *a)
{
    struct gt_fork f = gt_fork_begin();
    long pid = gt_syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    gt_fork_end(f, pid == 0);
    return pid;
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

static struct gt_g *const nested = (struct gt_g *)8; /* a vfork by the child of a vfork */

/* Before: from here to exit this thread looks foreign to every interposed call: that is the child.
 */
struct gt_g *gt_vfork_enter(void)
{
    struct gt_g *g = gt_self();
    if (gt_in_vfork())
        return nested;
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
    if (g == nested)
        return;
    gt_tls.g = g;
    gt_tls.in_vfork = false;
    sub_acqrel(&vforks, 1);
    if (g) {
        gt_exitsyscall(g);
        gt_rt_leave(g);
    }
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
    void *first = load_acq(&gt_started) ? gt_main_tp() : NULL;
    bool hidden = first && gt_tcb_hide(first);
    int r = i->fn(i->a, i->b, i->c);
    long e = r < 0 ? -errno : r;
    if (hidden)
        gt_tcb_show(first);
    return e;
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
