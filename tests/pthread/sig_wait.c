/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for signals: the sigwait family with thread- and process-directed signals, sigsuspend,
 * masks of ppoll, pselect and epoll_pwait, signalfd, who takes a process-directed signal. */
#include "tap.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static int ready, hits, stop;
static pthread_t hit_on;

static void handler(int sig)
{
    (void)sig;
    hit_on = pthread_self();
    bump(&hits);
}

static sigset_t set_of(int a, int b)
{
    sigset_t s;

    sigemptyset(&s);
    if (a)
        sigaddset(&s, a);
    if (b)
        sigaddset(&s, b);
    return s;
}

static void block(int sig)
{
    sigset_t s = set_of(sig, 0);

    EQ(pthread_sigmask(SIG_BLOCK, &s, NULL), 0);
}

static void unblock(int sig)
{
    sigset_t s = set_of(sig, 0);

    EQ(pthread_sigmask(SIG_UNBLOCK, &s, NULL), 0);
}

/* ---- sigwait and its kind ---- */

static void *waits_info(void *arg)
{
    sigset_t s = set_of(SIGUSR1, SIGRTMIN);

    bump(&ready);
    EQ(sigwaitinfo(&s, (siginfo_t *)arg), ((siginfo_t *)arg)->si_signo);
    return NULL;
}

static void by_thread_and_process(void)
{
    siginfo_t si;
    pthread_t t;

    block(SIGUSR1);
    block(SIGRTMIN);
    for (int how = 0; how < 4; how++) {
        ready = 0;
        memset(&si, 0, sizeof si);
        t = go(waits_info, &si);
        await(&ready, 1);
        pause_ms(how % 2 ? 20 : 0);
        if (how == 0)
            EQ(pthread_kill(t, SIGUSR1), 0);
        else if (how == 1)
            EQ(kill(getpid(), SIGUSR1), 0);
        else if (how == 2)
            EQ(pthread_sigqueue(t, SIGRTMIN, (union sigval){.sival_int = 5}), 0);
        else
            EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5}), 0);
        reap(t);
        EQ(si.si_signo, how < 2 ? SIGUSR1 : SIGRTMIN);
        printf("code %d value %d pid %d\n", si.si_code, how < 2 ? 0 : si.si_value.sival_int,
               si.si_pid == getpid());
    }
    unblock(SIGUSR1);
    unblock(SIGRTMIN);
}

static void pending_first(void)
{
    sigset_t s = set_of(SIGUSR1, SIGUSR2);
    struct timespec none = {0, 0}, some = {0, 30000000}, bad = {0, 2000000000};
    siginfo_t si;
    int sig;
    long t0;

    block(SIGUSR1);
    block(SIGUSR2);
    FAILS(sigtimedwait(&s, &si, &none), EAGAIN);
    t0 = now_ms();
    FAILS(sigtimedwait(&s, &si, &some), EAGAIN);
    CHECK(now_ms() - t0 >= 29);
    FAILS(sigtimedwait(&s, &si, &bad), EINVAL);
    raise(SIGUSR2);
    raise(SIGUSR1);
    EQ(sigwait(&s, &sig), 0);
    EQ(sig, SIGUSR1); /* the lowest first */
    EQ(sigtimedwait(&s, NULL, &none), SIGUSR2);
    FAILS(sigtimedwait(&s, NULL, &none), EAGAIN);
    unblock(SIGUSR1);
    unblock(SIGUSR2);
}

enum { TAKERS = 5, SIGNALS = 200 };
static int taken;

static void *takes(void *arg)
{
    sigset_t s = set_of(SIGRTMIN + 2, SIGUSR2);

    for (;;) {
        int sig = sigwaitinfo(&s, NULL);
        if (sig == -1 && errno == EINTR) /* another was faster */
            continue;
        if (sig == SIGUSR2)
            return arg;
        EQ(sig, SIGRTMIN + 2);
        bump(&taken);
    }
}

static void many_takers(void)
{
    pthread_t t[TAKERS];

    block(SIGRTMIN + 2);
    block(SIGUSR2);
    for (int i = 0; i < TAKERS; i++)
        t[i] = go(takes, NULL);
    for (int i = 0; i < SIGNALS; i++)
        EQ(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = i}), 0);
    await(&taken, SIGNALS);
    for (int i = 0; i < TAKERS; i++) {
        EQ(pthread_kill(t[i], SIGUSR2), 0);
        reap(t[i]);
    }
    EQ(taken, SIGNALS);
    unblock(SIGRTMIN + 2);
    unblock(SIGUSR2);
}

/* A handler for another signal ends sigwaitinfo, not sigwait. */
static void *interrupted(void *arg)
{
    sigset_t s = set_of(SIGUSR2, 0);
    int sig;

    block(SIGUSR2);
    bump(&ready);
    FAILS(sigwaitinfo(&s, NULL), EINTR);
    bump(&ready);
    EQ(sigwait(&s, &sig), 0);
    EQ(sig, SIGUSR2);
    return arg;
}

static void by_another_handler(void)
{
    pthread_t t;

    signal(SIGUSR1, handler);
    ready = hits = 0;
    t = go(interrupted, NULL);
    await(&ready, 1);
    pause_ms(20);
    pthread_kill(t, SIGUSR1);
    await(&ready, 2);
    pause_ms(20);
    pthread_kill(t, SIGUSR1);
    await(&hits, 2);
    pthread_kill(t, SIGUSR2);
    reap(t);
}

/* ---- sigsuspend and the masks of waits ---- */

static void *suspends(void *arg)
{
    sigset_t open = set_of(0, 0), now;

    block(SIGUSR1);
    bump(&ready);
    for (int i = 0; i < 100; i++) {
        FAILS(sigsuspend(&open), EINTR);
        pthread_sigmask(SIG_SETMASK, NULL, &now);
        EQ(sigismember(&now, SIGUSR1), 1);
        bump(&stop);
    }
    return arg;
}

static void suspended(void)
{
    pthread_t t;

    hits = ready = stop = 0;
    t = go(suspends, NULL);
    await(&ready, 1);
    for (int i = 1; i <= 100; i++) {
        EQ(pthread_kill(t, SIGUSR1), 0);
        await(&stop, i);
    }
    reap(t);
    EQ(hits, 100);
}

static int fd[2], ep;

static long masked(int how, const sigset_t *m, const struct timespec *ts)
{
    struct pollfd p = {.fd = fd[0], .events = POLLIN};
    struct epoll_event e;
    fd_set s;

    switch (how) {
    case 0:
        return ppoll(&p, 1, ts, m);
    case 1:
        FD_ZERO(&s);
        FD_SET(fd[0], &s);
        return pselect(fd[0] + 1, &s, NULL, NULL, ts, m);
    case 2:
        return epoll_pwait(ep, &e, 1, ts ? (int)(ts->tv_nsec / 1000000) : -1, m);
    default:
        return epoll_pwait2(ep, &e, 1, ts, m);
    }
}

static void *with_masks(void *arg)
{
    sigset_t open = set_of(0, 0);
    struct timespec soon = {0, 20000000};
    char c;

    block(SIGUSR1);
    for (int how = 0; how < 4; how++) {
        hits = 0;
        raise(SIGUSR1); /* pending: comes in at once */
        FAILS(masked(how, &open, NULL), EINTR);
        EQ(hits, 1);
        EQ(masked(how, &open, &soon), 0);
        raise(SIGUSR1);
        EQ(write(fd[1], "x", 1), 1); /* readiness goes first; the signal stays */
        printf("ready and pending: %ld, hits %d\n", masked(how, &open, NULL), hits);
        EQ(read(fd[0], &c, 1), 1);
        unblock(SIGUSR1);
        EQ(hits, 2);
        block(SIGUSR1);
        bump(&ready);
        FAILS(masked(how, &open, NULL), EINTR); /* sent while it waits */
        EQ(hits, 3);
    }
    return arg;
}

static void in_waits(void)
{
    struct epoll_event e = {.events = EPOLLIN};
    pthread_t t;

    EQ(pipe(fd), 0);
    ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e);
    ready = 0;
    t = go(with_masks, NULL);
    for (int how = 1; how <= 4; how++) {
        await(&ready, how);
        pause_ms(20);
        EQ(pthread_kill(t, SIGUSR1), 0);
    }
    reap(t);
    close(fd[0]);
    close(fd[1]);
    close(ep);
}

/* ---- signalfd ---- */

static void *reads_signals(void *arg)
{
    struct signalfd_siginfo si[2];
    int n = *(int *)arg;

    bump(&ready);
    for (int i = 0; i < n; i++) {
        EQ(read(fd[0], si, sizeof si[0]), sizeof si[0]);
        printf("signalfd: %d code %d value %d\n", (int)si[0].ssi_signo, si[0].ssi_code,
               (int)si[0].ssi_signo == SIGRTMIN ? si[0].ssi_int : 0);
        bump(&stop);
    }
    return NULL;
}

static void from_a_descriptor(void)
{
    sigset_t s = set_of(SIGUSR1, SIGRTMIN);
    struct pollfd p;
    pthread_t t;
    int n = 4;

    block(SIGUSR1);
    block(SIGRTMIN);
    fd[0] = signalfd(-1, &s, 0);
    ready = stop = 0;
    t = go(reads_signals, &n);
    await(&ready, 1);
    pause_ms(20);
    EQ(kill(getpid(), SIGUSR1), 0);
    await(&stop, 1);
    EQ(pthread_kill(t, SIGUSR1), 0);
    await(&stop, 2);
    EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 77}), 0);
    await(&stop, 3);
    EQ(pthread_sigqueue(t, SIGRTMIN, (union sigval){.sival_int = 78}), 0);
    reap(t);
    /* one's own, pending before; polled */
    p = (struct pollfd){.fd = fd[0], .events = POLLIN};
    EQ(poll(&p, 1, 0), 0);
    raise(SIGUSR1);
    EQ(poll(&p, 1, 2000), 1);
    n = 1;
    reads_signals(&n);
    EQ(poll(&p, 1, 0), 0);
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    FAILS(read(fd[0], &s, sizeof(struct signalfd_siginfo)), EAGAIN);
    raise(SIGUSR1);
    struct signalfd_siginfo si;
    EQ(read(fd[0], &si, sizeof si), sizeof si);
    EQ(si.ssi_signo, SIGUSR1);
    FAILS(read(fd[0], &si, 10), EINVAL);
    close(fd[0]);
    unblock(SIGUSR1);
    unblock(SIGRTMIN);
}

static void *polls_signals(void *arg)
{
    struct epoll_event e = {.events = EPOLLIN};
    struct signalfd_siginfo si;
    struct pollfd p = {.fd = fd[0], .events = POLLIN};

    bump(&ready);
    if (arg) {
        EQ(epoll_wait(ep, &e, 1, 20000), 1);
    } else {
        EQ(poll(&p, 1, 20000), 1);
    }
    EQ(read(fd[0], &si, sizeof si), sizeof si);
    EQ(si.ssi_signo, SIGUSR1);
    return NULL;
}

static void polled(void)
{
    sigset_t s = set_of(SIGUSR1, 0);
    struct epoll_event e = {.events = EPOLLIN};

    block(SIGUSR1);
    fd[0] = signalfd(-1, &s, 0);
    ep = epoll_create1(0);
    EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e), 0);
    for (int how = 0; how < 4; how++) {
        pthread_t t;

        ready = 0;
        t = go(polls_signals, how & 1 ? &ep : NULL);
        await(&ready, 1);
        pause_ms(20);
        EQ(how >= 2 ? pthread_kill(t, SIGUSR1) : kill(getpid(), SIGUSR1), 0);
        reap(t);
    }
    close(fd[0]);
    close(ep);
    unblock(SIGUSR1);
}

/* What an epoll set reports: 1, what is always ready; 2, the signals. */
static int reported(int ms)
{
    struct epoll_event got[3];
    int n = epoll_pwait(ep, got, 3, ms, NULL), set = 0;

    for (int i = 0; i < n; i++) {
        CHECK(!(set & (int)got[i].data.u64));
        EQ(got[i].events, EPOLLIN);
        set |= (int)got[i].data.u64;
    }
    return set;
}

/* By what is pending for the waiting thread itself: for a level until it is read, once for an edge,
 * once for one that must be set anew. */
static void *waits_for_own(void *arg)
{
    uint32_t flags = *(uint32_t *)arg;
    struct epoll_event e = {.events = EPOLLIN | flags, .data.u64 = 2};
    struct signalfd_siginfo si;

    EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e), 0);
    EQ(reported(0), 1);
    bump(&ready);
    for (int set = 1; set == 1;)
        set = reported(20000);
    EQ(epoll_wait(ep, &e, 1, 0), 1); /* no room for more */
    e = (struct epoll_event){.events = EPOLLIN | flags, .data.u64 = 2};
    EQ(reported(0), flags ? 1 : 3);
    EQ(reported(1), flags ? 1 : 3);
    EQ(epoll_ctl(ep, EPOLL_CTL_MOD, fd[0], &e), 0);
    if (!(flags & EPOLLET))
        EQ(reported(0), 3);
    EQ(read(fd[0], &si, sizeof si), sizeof si);
    EQ(reported(0), 1);
    EQ(epoll_ctl(ep, EPOLL_CTL_MOD, fd[0], &e), 0);
    raise(SIGUSR1);
    EQ(reported(1000), 3);
    EQ(read(fd[0], &si, sizeof si), sizeof si);
    EQ(epoll_ctl(ep, EPOLL_CTL_DEL, fd[0], NULL), 0);
    raise(SIGUSR1);
    EQ(reported(0), 1);
    EQ(read(fd[0], &si, sizeof si), sizeof si);
    return NULL;
}

static void own_in_a_set(void)
{
    uint32_t flags[] = {0, EPOLLET, EPOLLONESHOT};
    sigset_t s = set_of(SIGUSR1, 0);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 1};
    int p[2];

    block(SIGUSR1);
    fd[0] = signalfd(-1, &s, 0);
    EQ(pipe(p), 0);
    EQ(write(p[1], "x", 1), 1);
    for (int i = 0; i < 6; i++) {
        pthread_t t;

        ep = epoll_create1(0);
        EQ(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e), 0);
        ready = 0;
        t = go(waits_for_own, &flags[i / 2]);
        await(&ready, 1);
        if (i % 2)
            pause_ms(2);
        EQ(pthread_kill(t, SIGUSR1), 0);
        reap(t);
        close(ep);
    }
    close(fd[0]);
    close(p[0]);
    close(p[1]);
    unblock(SIGUSR1);
}

/* ---- who takes it ---- */

static void *only_one_open(void *arg)
{
    unblock(SIGUSR2);
    bump(&ready);
    if (arg)
        sigsuspend(&(sigset_t){0});
    else
        while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
            ;
    return NULL;
}

static void the_one_that_is_open(void)
{
    signal(SIGUSR2, handler);
    block(SIGUSR2);
    for (int parked = 0; parked < 2; parked++) {
        pthread_t t;
        pid_t pid;

        ready = hits = stop = 0;
        t = go(only_one_open, parked ? &ready : NULL);
        await(&ready, 1);
        pause_ms(20);
        pid = fork();
        if (pid == 0) {
            kill(getppid(), SIGUSR2);
            _exit(0);
        }
        await(&hits, 1);
        CHECK(pthread_equal(hit_on, t));
        bump(&stop);
        reap(t);
        EQ(waitpid(pid, NULL, 0), pid);
    }
    EQ(kill(getpid(), SIGUSR2), 0); /* nobody: pends for the process */
    pause_ms(20);
    EQ(hits, 1);
    sigset_t s;
    sigpending(&s);
    EQ(sigismember(&s, SIGUSR2), 1);
    unblock(SIGUSR2);
    EQ(hits, 2);
}

int main(void)
{
    CASE(by_thread_and_process);
    CASE(pending_first);
    CASE(many_takers);
    CASE(by_another_handler);
    CASE(suspended);
    CASE(in_waits);
    CASE(from_a_descriptor);
    CASE(polled);
    CASE(own_in_a_set);
    CASE(the_one_that_is_open);
    return 0;
}
