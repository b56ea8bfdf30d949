/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Children that libc makes: posix_spawn, system, popen, daemon, forkpty, clone.   Sources: POSIX
 * posix_spawn(3p), system(3p); glibc's manual for daemon and forkpty; clone(2).
 *
 * posix_spawn and popen share our memory with their child until it runs its program, in code of
 * libc's own that calls nothing of ours: an announced call.  system is a posix_spawn and a wait of
 * ours, for it is a cancellation point that kills its command.  daemon and forkpty are the
 * program's own fork, with its handlers.
 *
 * clone, by what parent and child share:
 *   memory not        a fork: the child is the one goroutine that is left
 *   memory, VFORK     a vfork
 *   memory            a foreign kernel thread: without a thread block of its own it gets one, since
 *                     two kernel threads on one block would be one goroutine twice.  The kernel
 *                     clears `alive` in it when the task has ended; then it is used again.
 *                     One with descriptors or signal actions of its own leaves our tables of them
 *                     alone
 */
#include <pty.h>
#include <sys/sysmacros.h>
#include <utmp.h>

#include "core/os/tcb.h"
#include "core/sched/signal.h"
#include "interpose/pobj.h"
#include "interpose/spawn.h"
#include "interpose/thread.h"

GT_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
                          const posix_spawnattr_t *at, char *const argv[], char *const envp[])
{
    return GT_ANNOUNCED(REAL(posix_spawn)(pid, path, fa, at, argv, envp));
}

GT_EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *fa,
                           const posix_spawnattr_t *at, char *const argv[], char *const envp[])
{
    return GT_ANNOUNCED(REAL(posix_spawnp)(pid, file, fa, at, argv, envp));
}

GT_EXPORT FILE *popen(const char *cmd, const char *mode)
{
    return GT_ANNOUNCED(REAL(popen)(cmd, mode));
}

/* ---- system ---- */

/* SIGINT and SIGQUIT are ignored while at least one command runs. */
static struct {
    struct gt_lock lock;
    int users;                   /* lock */
    struct gt_sigact intr, quit; /* lock: what was before */
} commands;

struct command {
    struct gt_g *g;
    gt_sigset mask; /* the caller's */
    pid_t pid;      /* 0: none to wait for */
    posix_spawnattr_t attr;
};

static void add_default(sigset_t *set, int sig, const struct gt_sigact *was)
{
    if (was->handler != (void *)SIG_IGN)
        sigaddset(set, sig);
}

static void command_begin(struct command *c)
{
    struct gt_sigact ignore = {.handler = (void *)SIG_IGN};
    sigset_t defaults, mask;
    gt_rt_enter(c->g);
    gt_lock(&commands.lock, GT_RANK_NONE);
    if (commands.users++ == 0) {
        gt_sig_action(SIGINT, &ignore, &commands.intr);
        gt_sig_action(SIGQUIT, &ignore, &commands.quit);
    }
    sigemptyset(&defaults);
    add_default(&defaults, SIGINT, &commands.intr);
    add_default(&defaults, SIGQUIT, &commands.quit);
    gt_unlock(&commands.lock, GT_RANK_NONE);
    c->mask = c->g->sigmask;
    gt_sig_setmask(c->g, c->mask | GT_SIGBIT(SIGCHLD));
    gt_rt_leave(c->g);
    sigemptyset(&mask);
    gt_memcpy(&mask, &c->mask, sizeof(c->mask));
    posix_spawnattr_init(&c->attr);
    posix_spawnattr_setsigmask(&c->attr, &mask);
    posix_spawnattr_setsigdefault(&c->attr, &defaults);
    posix_spawnattr_setflags(&c->attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

/* Also when the caller is cancelled: the command is killed then. */
static void command_end(struct command *c)
{
    if (c->pid) {
        kill(c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) == -1 && errno == EINTR)
            ;
    }
    posix_spawnattr_destroy(&c->attr);
    gt_rt_enter(c->g);
    gt_lock(&commands.lock, GT_RANK_NONE);
    if (--commands.users == 0) {
        gt_sig_action(SIGINT, &commands.intr, NULL);
        gt_sig_action(SIGQUIT, &commands.quit, NULL);
    }
    gt_unlock(&commands.lock, GT_RANK_NONE);
    gt_sig_setmask(c->g, c->mask);
    gt_rt_leave(c->g);
}

static int run_command(struct gt_g *g, const char *cmd)
{
    struct command c __attribute__((cleanup(command_end))) = {.g = g};
    char *const argv[] = {(char *)"sh", (char *)"-c", (char *)cmd, NULL};
    int status = -1;
    pid_t pid;
    command_begin(&c);
    int e = posix_spawn(&pid, "/bin/sh", NULL, &c.attr, argv, environ);
    if (e != 0) {
        gt_ret(-e);
        return 127 << 8; /* as if the shell could not be run */
    }
    c.pid = pid;
    while (waitpid(pid, &status, 0) == -1)
        if (errno != EINTR) {
            status = -1;
            break;
        }
    c.pid = 0;
    return status;
}

GT_EXPORT int system(const char *cmd)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(system)(cmd);
    gt_testcancel(g);
    return cmd ? run_command(g, cmd) : run_command(g, "exit 0") == 0;
}

/* ---- daemon, forkpty: with the fork that is seen ---- */

static int null_on_standard(void)
{
    struct stat st;
    int fd = sys_open("/dev/null", O_RDWR, 0);
    if (fd < 0)
        return (int)gt_ret(fd);
    if (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)) {
        sys_close(fd);
        return (int)gt_ret(-ENODEV);
    }
    for (int i = 0; i < 3; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
    return 0;
}

GT_EXPORT int daemon(int nochdir, int noclose)
{
    pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid > 0)
        _exit(0);
    if (setsid() < 0)
        return -1;
    if (!nochdir)
        (void)!chdir("/");
    return noclose ? 0 : null_on_standard();
}

GT_EXPORT int forkpty(int *pty, char *name, const struct termios *term, const struct winsize *size)
{
    int tty, fd;
    if (openpty(&fd, &tty, name, term, size) < 0)
        return -1;
    pid_t pid = fork();
    if (pid != 0) {
        int e = errno;
        close(tty);
        if (pid < 0)
            close(fd);
        else
            *pty = fd;
        errno = e;
        return pid;
    }
    close(fd);
    if (login_tty(tty) != 0)
        _exit(1);
    return 0;
}

/* ---- clone ---- */

struct clone {
    int (*fn)(void *);
    void *arg;
    struct gt_fork fork; /* when memory is not shared */
    void *block;         /* the child's own thread block, or NULL */
    _Atomic int *alive;
    bool memory; /* shared */
    int flags;
};

static int clone_main(void *arg)
{
    struct clone c = *(struct clone *)arg;
    if (!c.memory)
        gt_fork_end(c.fork, true);
    if (c.block) {
        gt_tls.own_files = !(c.flags & CLONE_FILES);
        gt_tls.own_actions = !(c.flags & CLONE_SIGHAND);
        gt_tcb_begin();
        gt_tid_set(c.block, sys_gettid());
    }
    if (c.alive)
        GT_SYS3(SYS_set_tid_address, c.alive, 0, 0);
    int status = c.fn(c.arg);
    if (!c.memory && gt_self()) /* it has made threads: libc would end a kernel thread of theirs */
        gt_thread_leave(gt_self(), status);
    return status;
}

/* Blocks for tasks that share our memory.  Never given back. */
struct task {
    struct task *next;
    void *tp;
    _Atomic int alive; /* cleared by the kernel; a task that is cleared elsewhere keeps it */
    struct clone clone;
};
static _Atomic(struct task *) tasks; /* push only */

static struct task *task_get(void)
{
    struct task *t;
    for (t = load_acq(&tasks); t; t = t->next) {
        int dead = 0;
        if (load_rlx(&t->alive) == 0 && cas_acqrel(&t->alive, &dead, 1))
            break;
    }
    size_t size = GT_ALIGN_UP(sizeof(*t) + gt_tcb_size(), GT_PAGE);
    if (t) {
        gt_tcb_drop(t->tp);
        gt_memset(t + 1, 0, size - sizeof(*t));
    } else {
        t = sys_mmap(NULL, size, PROT_READ | PROT_WRITE, 0);
        if (gt_sys_is_err(t))
            return NULL;
        store_rlx(&t->alive, 1);
        struct task *old = load_rlx(&tasks);
        do
            t->next = old;
        while (!cas_rel(&tasks, &old, t));
    }
    t->tp = gt_tcb_make((char *)t, (char *)t + size, 0);
    return t->tp ? t : NULL;
}

static int clone_task(int (*fn)(void *), void *stack, int flags, void *arg, pid_t *ptid,
                      pid_t *ctid)
{
    if (!gt_thread_start()) /* threads stay libc's: nobody asks whose block it is */
        return REAL(clone)(fn, stack, flags, arg, ptid, NULL, ctid);
    struct task *t = task_get();
    if (!t)
        return (int)gt_ret(-ENOMEM);
    t->clone = (struct clone){.fn = fn, .arg = arg, .block = t->tp, .memory = true, .flags = flags};
    if (!(flags & CLONE_CHILD_CLEARTID))
        t->clone.alive = &t->alive;
    int r = REAL(clone)(clone_main, stack, flags | CLONE_SETTLS, &t->clone, ptid, t->tp, ctid);
    if (r < 0)
        store_rel(&t->alive, 0);
    return r;
}

static int clone_fork(struct clone *c, void *stack, int flags, pid_t *ptid, void *tls, pid_t *ctid)
{
    c->fork = gt_fork_begin();
    int r = REAL(clone)(clone_main, stack, flags, c, ptid, tls, ctid);
    int e = errno;
    gt_fork_end(c->fork, false);
    errno = e;
    return r;
}

static int clone_vfork(struct clone *c, void *stack, int flags, pid_t *ptid, void *tls, pid_t *ctid)
{
    struct gt_g *g = gt_vfork_enter();
    int r = REAL(clone)(clone_main, stack, flags, c, ptid, tls, ctid);
    int e = errno;
    gt_vfork_exit(g);
    errno = e;
    return r;
}

GT_EXPORT int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
    va_list ap;
    va_start(ap, arg);
    pid_t *ptid = va_arg(ap, pid_t *);
    void *tls = va_arg(ap, void *);
    pid_t *ctid = va_arg(ap, pid_t *);
    va_end(ap);
    struct clone c = {.fn = fn, .arg = arg, .memory = flags & CLONE_VM};
    if (!fn || !stack || flags & CLONE_SETTLS)
        return REAL(clone)(fn, stack, flags, arg, ptid, tls, ctid);
    if (!c.memory)
        return clone_fork(&c, stack, flags, ptid, tls, ctid);
    if (flags & CLONE_VFORK)
        return clone_vfork(&c, stack, flags, ptid, tls, ctid);
    return clone_task(fn, stack, flags, arg, ptid, ctid);
}

GT_ALIAS(__clone, clone);
