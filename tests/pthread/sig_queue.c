/* SPDX-License-Identifier: BSD-2-Clause */
/* Pending signals: standard ones coalesce, real-time ones queue in order with their values, each
 * thread has its own, "ignore" discards them; the order in which handlers run; storms. */
#include "tap.h"
#include <sched.h>
#include <signal.h>

enum { MANY = 3000, STORM = 8000 };

static int ready, stop, count;
static volatile int order[64], values[64], norder; /* sending is said not to call back */
static volatile long sum, last, disorder;

static void notes(int sig, siginfo_t *si, void *uc)
{
    (void)uc;
    if (norder < 64) {
        order[norder] = sig;
        values[norder++] = si->si_value.sival_int;
    }
    bump(&count);
}

static void handle(int sig, int flags, int all)
{
    struct sigaction sa = {.sa_sigaction = notes, .sa_flags = SA_SIGINFO | flags};

    if (all)
        sigfillset(&sa.sa_mask);
    EQ(sigaction(sig, &sa, NULL), 0);
}

static void block(int how, int sig)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, sig);
    EQ(pthread_sigmask(how, &s, NULL), 0);
}

static int pending(int sig)
{
    sigset_t s;

    EQ(sigpending(&s), 0);
    return sigismember(&s, sig);
}

static void clear(void)
{
    count = norder = 0;
}

static void *coalesces(void *arg)
{
    handle(SIGUSR1, 0, 0);
    block(SIG_BLOCK, SIGUSR1);
    clear();
    for (int i = 0; i < 10; i++)
        pthread_kill(pthread_self(), SIGUSR1);
    EQ(pending(SIGUSR1), 1);
    EQ(count, 0);
    block(SIG_UNBLOCK, SIGUSR1);
    EQ(count, 1);
    EQ(pending(SIGUSR1), 0);
    raise(SIGUSR1);
    EQ(count, 2);
    return arg;
}

static void standard_ones(void)
{
    coalesces(NULL);
    reap(go(coalesces, NULL));
}

/* One for the thread and one for the process are two. */
static void thread_and_process(void)
{
    handle(SIGUSR1, 0, 0);
    block(SIG_BLOCK, SIGUSR1);
    clear();
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    EQ(pending(SIGUSR1), 1);
    block(SIG_UNBLOCK, SIGUSR1);
    await(&count, 2);
    EQ(count, 2);
}

static void *queues(void *arg)
{
    handle(SIGRTMIN + 1, 0, 0);
    block(SIG_BLOCK, SIGRTMIN + 1);
    clear();
    for (int i = 0; i < 20; i++)
        pthread_sigqueue(pthread_self(), SIGRTMIN + 1, (union sigval){.sival_int = 100 + i});
    EQ(pending(SIGRTMIN + 1), 1);
    block(SIG_UNBLOCK, SIGRTMIN + 1);
    EQ(count, 20);
    for (int i = 0; i < 20; i++)
        EQ(values[i], 100 + i);
    return arg;
}

static void real_time_ones(void)
{
    queues(NULL);
    reap(go(queues, NULL));
    clear();
    block(SIG_BLOCK, SIGRTMIN + 1);
    for (int i = 0; i < 20; i++)
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i});
    block(SIG_UNBLOCK, SIGRTMIN + 1);
    await(&count, 20);
    for (int i = 0; i < 20; i++)
        EQ(values[i], i);
}

static const int mixed[] = {SIGTERM, SIGUSR2, SIGUSR1, SIGHUP, SIGINT};

/* The order is Linux's own, so it is printed. */
static void *orders(void *arg)
{
    int all = arg != NULL;
    sigset_t s, old;

    sigfillset(&s);
    pthread_sigmask(SIG_BLOCK, &s, &old);
    for (int i = 0; i < 5; i++)
        handle(mixed[i], 0, all);
    for (int i = 0; i < 3; i++)
        handle(SIGRTMIN + i, 0, all);
    clear();
    for (int i = 0; i < 5; i++)
        pthread_kill(pthread_self(), mixed[i]);
    for (int i = 0; i < 6; i++)
        pthread_sigqueue(pthread_self(), SIGRTMIN + (i * 2) % 3, (union sigval){.sival_int = i});
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    for (int i = 0; i < norder; i++)
        printf("%d:%d ", order[i], order[i] >= SIGRTMIN ? values[i] : 0);
    printf("\n");
    return NULL;
}

static void in_which_order(void)
{
    reap(go(orders, NULL));
    reap(go(orders, &stop));
    orders(NULL);
    orders(&stop);
}

static void ignored_is_gone(void)
{
    handle(SIGUSR1, 0, 0);
    handle(SIGCHLD, 0, 0);
    clear();
    block(SIG_BLOCK, SIGUSR1);
    block(SIG_BLOCK, SIGCHLD);
    raise(SIGUSR1);
    raise(SIGCHLD);
    EQ(pending(SIGUSR1), 1);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    EQ(pending(SIGUSR1), 0);
    EQ(pending(SIGCHLD), 0);
    handle(SIGUSR1, 0, 0);
    handle(SIGCHLD, 0, 0);
    block(SIG_UNBLOCK, SIGUSR1);
    block(SIG_UNBLOCK, SIGCHLD);
    EQ(count, 0);
    block(SIG_BLOCK, SIGUSR1);
    raise(SIGUSR1); /* queues again */
    EQ(pending(SIGUSR1), 1);
    block(SIG_UNBLOCK, SIGUSR1);
    EQ(count, 1);
    signal(SIGUSR1, SIG_IGN);
    block(SIG_BLOCK, SIGUSR1);
    raise(SIGUSR1); /* blocked and ignored: pends, for somebody may wait for it */
    printf("ignored and blocked pends: %d\n", pending(SIGUSR1));
    block(SIG_UNBLOCK, SIGUSR1);
    EQ(pending(SIGUSR1), 0);
}

static void *keeps_its_own(void *arg)
{
    int *left = (int *)arg;

    block(SIG_BLOCK, SIGUSR2);
    bump(&ready);
    await(&stop, 1);
    *left = pending(SIGUSR2);
    return NULL;
}

static void each_its_own(void)
{
    int a = -1, b = -1;
    pthread_t ta, tb;

    handle(SIGUSR2, 0, 0);
    ready = stop = 0;
    ta = go(keeps_its_own, &a);
    tb = go(keeps_its_own, &b);
    await(&ready, 2);
    EQ(pthread_kill(ta, SIGUSR2), 0);
    bump(&stop);
    reap(ta);
    reap(tb);
    EQ(a, 1);
    EQ(b, 0);
    EQ(pending(SIGUSR2), 0);
}

/* ---- storms ---- */

static void adds(int sig, siginfo_t *si, void *uc)
{
    long v = si->si_value.sival_int;

    (void)sig, (void)uc;
    disorder += v != last + 1;
    last = v;
    sum++;
}

static void *takes_many(void *arg)
{
    block(SIG_BLOCK, SIGRTMIN + 5);
    bump(&ready);
    await(&stop, 1);
    block(SIG_UNBLOCK, SIGRTMIN + 5);
    return arg;
}

static void thousands_wait(void)
{
    struct sigaction sa = {.sa_sigaction = adds, .sa_flags = SA_SIGINFO};
    pthread_t t;

    sigaction(SIGRTMIN + 5, &sa, NULL);
    sum = disorder = ready = stop = 0;
    last = -1;
    t = go(takes_many, NULL);
    await(&ready, 1);
    for (int i = 0; i < MANY; i++)
        EQ(pthread_sigqueue(t, SIGRTMIN + 5, (union sigval){.sival_int = i}), 0);
    bump(&stop);
    reap(t);
    EQ(sum, MANY);
    EQ(disorder, 0);
}

static void *computes(void *arg)
{
    bump(&ready);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        ;
    return arg;
}

static void *rests(void *arg)
{
    bump(&ready);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        usleep(100);
    return arg;
}

static void storm(void *(*body)(void *))
{
    struct sigaction sa = {.sa_sigaction = adds, .sa_flags = SA_SIGINFO};
    pthread_t t;

    sigaction(SIGRTMIN + 5, &sa, NULL);
    sum = disorder = ready = stop = 0;
    last = -1;
    t = go(body, NULL);
    await(&ready, 1);
    for (int i = 0; i < STORM; i++)
        while (pthread_sigqueue(t, SIGRTMIN + 5, (union sigval){.sival_int = i}) == EAGAIN)
            sched_yield();
    while (__atomic_load_n(&sum, __ATOMIC_RELAXED) < STORM)
        pause_ms(1);
    bump(&stop);
    reap(t);
    EQ(sum, STORM);
    EQ(disorder, 0);
}

static void none_is_lost(void)
{
    storm(computes);
    storm(rests);
}

static pthread_t ring[8];

static void *kills_the_next(void *arg)
{
    long me = (long)arg;

    bump(&ready);
    await(&ready, 9);
    for (int i = 0; i < 4000; i++)
        pthread_kill(ring[(me + 1 + i % 7) % 8], i % 2 ? SIGUSR1 : SIGUSR2);
    bump(&stop);
    await(&stop, 8); /* a thread that is joined must not be sent anything */
    return NULL;
}

static void counts(int sig)
{
    (void)sig;
    bump(&count);
}

static void each_kills_each(void)
{
    struct sigaction sa = {.sa_handler = counts};

    sigaction(SIGUSR1, &sa, NULL);
    sa.sa_flags = SA_RESTART;
    sigaction(SIGUSR2, &sa, NULL);
    ready = stop = 0;
    for (long i = 0; i < 8; i++)
        ring[i] = go(kills_the_next, (void *)i);
    bump(&ready);
    for (int i = 0; i < 8; i++)
        reap(ring[i]);
}

int main(void)
{
    CASE(standard_ones);
    CASE(thread_and_process);
    CASE(real_time_ones);
    CASE(in_which_order);
    CASE(ignored_is_gone);
    CASE(each_its_own);
    CASE(thousands_wait);
    CASE(none_is_lost);
    CASE(each_kills_each);
    return 0;
}
