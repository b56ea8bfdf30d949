/* SPDX-License-Identifier: BSD-2-Clause */
/* A signal that a process sends itself, by every call there is, is handled before the call returns
 * when the caller alone does not block it, and stays pending when all do. */
#include "proc.h"
#include <sys/syscall.h>

static volatile sig_atomic_t hits;
static siginfo_t last;

static void handler(int sig, siginfo_t *si, void *uc)
{
    (void)uc;
    EQ(si->si_signo, sig);
    last = *si;
    hits++;
}

enum { KILL, QUEUE, RAW_QUEUE, PIDFD, PIDFD_INFO, RAISE, TGKILL, WAYS };

static int pidfd;

static void send_by(int way, int sig)
{
    siginfo_t si = {.si_signo = sig, .si_code = SI_QUEUE};

    si.si_pid = getpid();
    si.si_uid = getuid();
    si.si_value.sival_int = way;
    switch (way) {
    case KILL:
        EQ(kill(getpid(), sig), 0);
        break;
    case QUEUE:
        EQ(sigqueue(getpid(), sig, si.si_value), 0);
        break;
    case RAW_QUEUE:
        EQ(syscall(SYS_rt_sigqueueinfo, getpid(), sig, &si), 0);
        break;
    case PIDFD:
        EQ(syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0), 0);
        break;
    case PIDFD_INFO:
        EQ(syscall(SYS_pidfd_send_signal, pidfd, sig, &si, 0), 0);
        break;
    case RAISE:
        EQ(raise(sig), 0);
        break;
    default:
        EQ(tgkill(getpid(), gettid(), sig), 0);
    }
}

static int code_of(int way)
{
    return way == KILL || way == PIDFD     ? SI_USER
           : way == RAISE || way == TGKILL ? SI_TKILL
                                           : SI_QUEUE;
}

static void each_way(void)
{
    for (int way = 0; way < WAYS; way++)
        for (int i = 0; i < 50; i++) {
            hits = 0;
            send_by(way, SIGUSR1);
            EQ(hits, 1);
            EQ(last.si_code, code_of(way));
            EQ(last.si_pid, getpid());
            if (last.si_code == SI_QUEUE)
                EQ(last.si_value.sival_int, way);
        }
}

static void mask(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    EQ(pthread_sigmask(how, &set, NULL), 0);
}

static void *unblocks(void *arg)
{
    mask(SIG_UNBLOCK);
    each_way();
    return arg;
}

static void *sleeps(void *arg)
{
    while (!__atomic_load_n((int *)arg, __ATOMIC_SEQ_CST))
        pause_ms(5);
    return NULL;
}

static void by_the_first(void)
{
    each_way();
}

/* The others block it. */
static void by_another(void)
{
    pthread_t t;
    int stop = 0;

    mask(SIG_BLOCK);
    t = go(sleeps, &stop);
    reap(go(unblocks, NULL));
    bump(&stop);
    reap(t);
    mask(SIG_UNBLOCK);
}

static void blocked_by_all(void)
{
    sigset_t set;

    for (int way = 0; way < WAYS; way++) {
        hits = 0;
        mask(SIG_BLOCK);
        send_by(way, SIGUSR1);
        EQ(hits, 0);
        sigpending(&set);
        CHECK(sigismember(&set, SIGUSR1) == 1);
        mask(SIG_UNBLOCK);
        EQ(hits, 1);
    }
}

/* What is wrong in a call is said by it, and nothing is sent. */
static void wrong_calls(void)
{
    siginfo_t si = {.si_signo = SIGUSR2, .si_code = SI_QUEUE};
    int fd[2];

    hits = 0;
    EQ(pipe(fd), 0);
    FAILS(syscall(SYS_pidfd_send_signal, fd[0], SIGUSR1, NULL, 0), EBADF);
    FAILS(syscall(SYS_pidfd_send_signal, -1, SIGUSR1, NULL, 0), EBADF);
    FAILS(syscall(SYS_pidfd_send_signal, pidfd, 99, NULL, 0), EINVAL);
    FAILS(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, &si, 0), EINVAL);
    FAILS(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, (void *)8, 0), EFAULT);
    FAILS(syscall(SYS_rt_sigqueueinfo, getpid(), 99, &si), EINVAL);
    FAILS(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, (void *)8), EFAULT);
    FAILS(kill(getpid(), 99), EINVAL);
    EQ(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0), 0);
    EQ(hits, 0);
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    CHECK(pidfd >= 0);
    CASE(by_the_first); /* with one thread */
    CASE(by_another);
    CASE(by_the_first); /* the scheduler has been started */
    CASE(blocked_by_all);
    CASE(wrong_calls);
    return 0;
}
