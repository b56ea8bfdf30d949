/* SPDX-License-Identifier: BSD-2-Clause */
/* A process that confines itself to the calls of its own list and then makes threads: what is not
 * on the list ends it.  One thread of several: what is not is refused.  The list: what libc
 * needs for threads, locks, pipes, memory and abort. */
#include "proc.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { THREADS = 8, EACH = 100 };

#define LET(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, ALLOW)
#define ALLOW   SECCOMP_RET_ALLOW

static struct sock_filter list[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    LET(SYS_clone),
    LET(SYS_clone3),
    LET(SYS_futex),
    LET(SYS_mmap),
    LET(SYS_mprotect),
    LET(SYS_munmap),
    LET(SYS_mremap),
    LET(SYS_madvise),
    LET(SYS_brk),
    LET(SYS_set_robust_list),
    LET(SYS_rseq),
    LET(SYS_rt_sigprocmask),
    LET(SYS_rt_sigaction),
    LET(SYS_rt_sigreturn),
    LET(SYS_read),
    LET(SYS_write),
    LET(SYS_close),
    LET(SYS_exit),
    LET(SYS_exit_group),
    LET(SYS_gettid),
    LET(SYS_tgkill),
    LET(SYS_getpid),
    LET(SYS_clock_nanosleep),
    LET(SYS_sched_yield),
    LET(SYS_getrandom),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};
static struct sock_fprog program = {sizeof list / sizeof *list, list};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static __thread int mine;
static int sum, to[2];

static void *adds(void *arg)
{
    char *p = NULL, c;

    for (int i = 0; i < EACH; i++) {
        p = (char *)realloc(p, (size_t)(i + 1) * 5000);
        p[i * 5000] = 1;
        CHECK(read(to[0], &c, 1) == 1);
        mine++;
        pthread_mutex_lock(&lock);
        sum++;
        pthread_cond_signal(&some);
        pthread_mutex_unlock(&lock);
    }
    free(p);
    usleep(1000);
    EQ(mine, EACH);
    return arg;
}

static void start(pthread_t *t)
{
    sum = 0;
    for (int i = 0; i < THREADS; i++)
        t[i] = go(adds, NULL);
}

static void finish(pthread_t *t)
{
    static char bytes[THREADS * EACH];

    CHECK(write(to[1], bytes, sizeof bytes) == sizeof bytes);
    pthread_mutex_lock(&lock);
    while (sum < THREADS * EACH)
        pthread_cond_wait(&some, &lock);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < THREADS; i++)
        reap(t[i]);
}

static void threads(void)
{
    pthread_t t[THREADS];

    start(t);
    finish(t);
}

static void confine(int by_prctl)
{
    EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (by_prctl)
        EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    else
        EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), 0);
}

static void confined_child(int by_prctl)
{
    pid_t p = fork();

    if (p == 0) {
        confine(by_prctl);
        threads();
        _exit(5);
    }
    EQ(status_of(p), 5);
}

static void by_prctl(void)
{
    confined_child(1);
}

static void by_syscall(void)
{
    confined_child(0);
}

/* As by a server's main process, which has threads and confines those that it forks. */
static void by_threads_child(void)
{
    threads();
    confined_child(1);
    confined_child(0);
    threads();
}

/* One of threads that run already; what is not on its list is refused. */
static int later_child(void)
{
    pthread_t t[THREADS];

    start(t);
    list[sizeof list / sizeof *list - 1].k = SECCOMP_RET_ERRNO | EPERM;
    confine(0);
    EQ(syscall(SYS_getppid), -1);
    EQ(errno, EPERM);
    finish(t);
    threads();
    return 5;
}

static void later(void)
{
    EQ(in_child(later_child), 5);
}

int main(void)
{
    EQ(pipe(to), 0);
    CASE(by_prctl);
    CASE(by_syscall);
    CASE(by_threads_child);
    CASE(later);
    return 0;
}
