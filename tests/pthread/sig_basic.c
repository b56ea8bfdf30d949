/* SPDX-License-Identifier: BSD-2-Clause */
/* Signals: handlers while main is parked, EINTR and SA_RESTART, masks, sigwait, signals to a
 * thread, timers, suspension. */
#include "tap.h"
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>

static volatile sig_atomic_t hits, last;

static void handler(int sig)
{
    hits++;
    last = sig;
}

static void handle(int sig, int flags)
{
    struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};

    hits = last = 0;
    EQ(sigaction(sig, &sa, NULL), 0);
}

static void to_self(void)
{
    struct sigaction got;

    handle(SIGUSR1, SA_RESTART);
    EQ(kill(getpid(), SIGUSR1), 0);
    EQ(hits, 1);
    EQ(raise(SIGUSR1), 0);
    EQ(hits, 2);
    EQ(last, SIGUSR1);
    EQ(sigaction(SIGUSR1, NULL, &got), 0);
    CHECK(got.sa_handler == handler);
    EQ(got.sa_flags & SA_RESTART, SA_RESTART);
}

static void *kills_later(void *arg)
{
    pause_ms(50);
    EQ(kill(getpid(), (int)(long)arg), 0);
    pause_ms(50);
    return NULL;
}

static void blocked_everything(int how)
{
    sigset_t s;

    sigfillset(&s);
    EQ(pthread_sigmask(how, &s, NULL), 0);
}

static void *kills_with_mask(void *arg)
{
    blocked_everything(SIG_BLOCK);
    return kills_later(arg);
}

static void main_in_join(void)
{
    handle(SIGUSR1, 0);
    reap(go(kills_with_mask, (void *)SIGUSR1)); /* only main can take it */
    EQ(hits, 1);
}

static void sleep_interrupted(void)
{
    struct timespec t = {20, 0}, left = {0, 0};
    pthread_t k;

    handle(SIGUSR1, SA_RESTART); /* nanosleep is never restarted */
    k = go(kills_with_mask, (void *)SIGUSR1);
    errno = 0;
    EQ(nanosleep(&t, &left), -1);
    EQ(errno, EINTR);
    EQ(hits, 1);
    CHECK(left.tv_sec >= 10 && left.tv_sec < 20);
    reap(k);
    k = go(kills_with_mask, (void *)SIGUSR1);
    CHECK(sleep(20) >= 10);
    reap(k);
}

static void *kills_then_writes(void *arg)
{
    blocked_everything(SIG_BLOCK);
    pause_ms(50);
    kill(getpid(), SIGUSR1);
    pause_ms(50);
    EQ(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

static void restarted_read(void)
{
    int p[2];
    char c;
    pthread_t t;

    EQ(pipe(p), 0);
    handle(SIGUSR1, SA_RESTART);
    t = go(kills_then_writes, &p[1]);
    EQ(read(p[0], &c, 1), 1);
    EQ(hits, 1);
    reap(t);
    handle(SIGUSR1, 0);
    t = go(kills_then_writes, &p[1]);
    FAILS(read(p[0], &c, 1), EINTR);
    EQ(hits, 1);
    EQ(read(p[0], &c, 1), 1);
    reap(t);
    close(p[0]);
    close(p[1]);
}

static void *waits_for(void *arg)
{
    sigset_t s;
    int got = 0, sum = 0;

    (void)arg;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGTERM);
    while (got != SIGTERM) {
        EQ(sigwait(&s, &got), 0);
        sum += got;
    }
    return (void *)(long)sum;
}

static void signal_thread(void)
{
    sigset_t old;
    pthread_t t;

    handle(SIGUSR1, 0);
    EQ(pthread_sigmask(SIG_BLOCK, NULL, &old), 0);
    blocked_everything(SIG_BLOCK);
    t = go(waits_for, NULL);
    pause_ms(20);
    kill(getpid(), SIGUSR1);
    pause_ms(50);
    kill(getpid(), SIGTERM);
    EQ((long)reap(t), SIGUSR1 + SIGTERM);
    EQ(hits, 0);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void timed_wait(void)
{
    struct timespec t = {0, 30000000};
    sigset_t s, old;
    siginfo_t si;
    long begin = now_ms();

    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &s, &old);
    FAILS(sigtimedwait(&s, &si, &t), EAGAIN);
    CHECK(now_ms() - begin >= 29);
    EQ(kill(getpid(), SIGUSR2), 0);
    EQ(sigtimedwait(&s, &si, &t), SIGUSR2);
    EQ(si.si_pid, getpid());
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static __thread volatile int taken_here;
static int taken_by_right_one;

static void marks_thread(int sig)
{
    (void)sig;
    if (taken_here == 1)
        bump(&taken_by_right_one);
    taken_here = 2;
}

static int ready;

static void *busy_until_taken(void *arg)
{
    taken_here = 1;
    bump(&ready);
    while (taken_here == 1)
        if (arg)
            sched_yield();
    return NULL;
}

static void to_one_thread(void)
{
    struct sigaction sa = {.sa_handler = marks_thread};
    pthread_t t[6];

    ready = 0;
    sigaction(SIGUSR1, &sa, NULL);
    for (int i = 0; i < 6; i++)
        t[i] = go(busy_until_taken, i % 2 ? &sa : NULL);
    await(&ready, 6);
    for (int i = 0; i < 6; i++)
        EQ(pthread_kill(t[i], SIGUSR1), 0);
    for (int i = 0; i < 6; i++)
        reap(t[i]);
    EQ(taken_by_right_one, 6);
    EQ(pthread_kill(pthread_self(), 0), 0);
    EQ(pthread_kill(pthread_self(), 999), EINVAL);
}

static void *raises(void *arg)
{
    taken_here = 1;
    EQ(raise(SIGUSR1), 0);
    EQ(taken_here, 2);
    return arg;
}

static void raise_in_thread(void)
{
    taken_by_right_one = 0;
    for (int i = 0; i < 20; i++)
        reap(go(raises, NULL));
    EQ(taken_by_right_one, 20);
}

static void *own_mask(void *arg)
{
    sigset_t s, got;

    EQ(pthread_sigmask(SIG_BLOCK, NULL, &got), 0);
    EQ(sigismember(&got, SIGUSR2), 1); /* inherited from the creator */
    sigemptyset(&s);
    sigaddset(&s, SIGHUP);
    EQ(pthread_sigmask(SIG_SETMASK, &s, NULL), 0);
    for (int i = 0; i < 20; i++) {
        sched_yield();
        usleep(100);
        EQ(pthread_sigmask(SIG_BLOCK, NULL, &got), 0);
        EQ(sigismember(&got, SIGHUP), 1);
        EQ(sigismember(&got, SIGUSR2), 0);
    }
    return arg;
}

static void masks(void)
{
    sigset_t s, old, got;
    pthread_t t[10];

    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &s, &old);
    for (int i = 0; i < 10; i++)
        t[i] = go(own_mask, NULL);
    for (int i = 0; i < 10; i++)
        reap(t[i]);
    pthread_sigmask(SIG_BLOCK, NULL, &got);
    EQ(sigismember(&got, SIGUSR2), 1);
    EQ(sigismember(&got, SIGHUP), 0);
    handle(SIGUSR2, 0);
    raise(SIGUSR2);
    EQ(hits, 0);
    sigpending(&got);
    EQ(sigismember(&got, SIGUSR2), 1);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    EQ(hits, 1);
    EQ(pthread_sigmask(99, &s, NULL), EINVAL);
}

static void timers(void)
{
    struct itimerval it = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}};

    handle(SIGALRM, 0);
    EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
    while (hits < 5)
        pause();
    EQ(setitimer(ITIMER_REAL, &off, NULL), 0);
    handle(SIGALRM, 0);
    alarm(1);
    EQ(pause(), -1);
    EQ(errno, EINTR);
    EQ(hits, 1);
}

static void suspend(void)
{
    sigset_t s, old;
    pthread_t t;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &s, &old);
    handle(SIGUSR1, 0);
    t = go(kills_with_mask, (void *)SIGUSR1);
    pause_ms(100);
    EQ(hits, 0);
    FAILS(sigsuspend(&old), EINTR);
    EQ(hits, 1);
    reap(t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void by_descriptor(void)
{
    struct signalfd_siginfo si;
    sigset_t s, old;
    pthread_t t;
    int f;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &s, &old);
    handle(SIGUSR1, 0);
    f = signalfd(-1, &s, 0);
    t = go(kills_with_mask, (void *)SIGUSR1);
    EQ(read(f, &si, sizeof si), sizeof si);
    EQ(si.ssi_signo, SIGUSR1);
    EQ(hits, 0);
    reap(t);
    close(f);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int main(void)
{
    CASE(to_self);
    CASE(main_in_join);
    CASE(sleep_interrupted);
    CASE(restarted_read);
    CASE(signal_thread);
    CASE(timed_wait);
    CASE(to_one_thread);
    CASE(raise_in_thread);
    CASE(masks);
    CASE(timers);
    CASE(suspend);
    CASE(by_descriptor);
    return 0;
}
