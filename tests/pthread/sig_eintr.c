/* SPDX-License-Identifier: BSD-2-Clause */
/* pthread_kill to a thread blocked in each call that a handler interrupts: it gives EINTR; the
 * calls that never give EINTR stay blocked. */
#include "net.h"
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

static int blocked, hits, fd[2];
static sem_t sem;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void handler(int sig)
{
    (void)sig;
    bump(&hits);
}

static long by_accept(void)
{
    return accept(fd[0], NULL, NULL);
}

static long by_read(void)
{
    char c;

    return read(fd[0], &c, 1);
}

static long by_recv(void)
{
    char c;

    return recv(fd[0], &c, 1, 0);
}

static long by_poll(void)
{
    struct pollfd f = {.fd = fd[0], .events = POLLIN};

    return poll(&f, 1, -1);
}

static long by_poll_timed(void)
{
    struct pollfd f = {.fd = fd[0], .events = POLLIN};

    return poll(&f, 1, 20000);
}

static long by_select(void)
{
    fd_set s;

    FD_ZERO(&s);
    FD_SET(fd[0], &s);
    return select(fd[0] + 1, &s, NULL, NULL, NULL);
}

static long by_epoll(void)
{
    struct epoll_event e = {.events = EPOLLIN};
    int ep = epoll_create1(0);
    long r;

    epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e);
    r = epoll_wait(ep, &e, 1, -1);
    close(ep);
    return r;
}

static long by_sem(void)
{
    return sem_wait(&sem);
}

static long by_sem_timed(void)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 20000);

    return sem_timedwait(&sem, &when);
}

static long by_nanosleep(void)
{
    struct timespec t = {20, 0};

    return nanosleep(&t, NULL);
}

static long by_clock_nanosleep(void)
{
    struct timespec when = after_ms(CLOCK_MONOTONIC, 20000);

    errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
    return errno ? -1 : 0;
}

static long by_usleep(void)
{
    return usleep(20000000);
}

static long by_pause(void)
{
    return pause();
}

static void *runs(void *arg)
{
    long (*call)(void) = *(long (**)(void))arg;

    bump(&blocked);
    errno = 0;
    EQ(call(), -1);
    EQ(errno, EINTR);
    return NULL;
}

static void interrupts(long (*call)(void))
{
    pthread_t t;

    blocked = hits = 0;
    t = go(runs, &call);
    await(&blocked, 1);
    pause_ms(40);
    EQ(pthread_kill(t, SIGUSR1), 0);
    reap(t);
    EQ(hits, 1);
}

static void in_accept(void)
{
    struct sockaddr_in at;

    fd[0] = listen_tcp(4, &at);
    interrupts(by_accept);
    close(fd[0]);
}

static void in_input(void)
{
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    interrupts(by_read);
    interrupts(by_recv);
    close(fd[0]);
    close(fd[1]);
}

static void in_waits_for_readiness(void)
{
    EQ(pipe(fd), 0);
    interrupts(by_poll);
    interrupts(by_poll_timed);
    interrupts(by_select);
    interrupts(by_epoll);
    close(fd[0]);
    close(fd[1]);
}

static void in_semaphore(void)
{
    sem_init(&sem, 0, 0);
    interrupts(by_sem);
    interrupts(by_sem_timed);
}

static void in_sleep(void)
{
    interrupts(by_nanosleep);
    interrupts(by_clock_nanosleep);
    interrupts(by_usleep);
    interrupts(by_pause);
}

static void *locks(void *arg)
{
    bump(&blocked);
    EQ(pthread_mutex_lock(&lock), 0);
    EQ(pthread_mutex_unlock(&lock), 0);
    return arg;
}

static void mutex_stays_blocked(void)
{
    pthread_t t;

    blocked = hits = 0;
    pthread_mutex_lock(&lock);
    t = go(locks, NULL);
    await(&blocked, 1);
    pause_ms(30);
    pthread_kill(t, SIGUSR1);
    await(&hits, 1); /* the handler runs while the thread waits for the lock */
    EQ(pthread_tryjoin_np(t, NULL), EBUSY);
    pthread_mutex_unlock(&lock);
    reap(t);
}

static int happened;

static void *waits(void *arg)
{
    pthread_mutex_lock(&lock);
    bump(&blocked);
    while (!happened)
        EQ(pthread_cond_wait(&cond, &lock), 0);
    pthread_mutex_unlock(&lock);
    return arg;
}

static void cond_stays_blocked(void)
{
    pthread_t t;

    blocked = hits = 0;
    t = go(waits, NULL);
    await(&blocked, 1);
    pause_ms(30);
    pthread_kill(t, SIGUSR1);
    await(&hits, 1);
    pthread_mutex_lock(&lock);
    happened = 1;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&lock);
    reap(t);
}

int main(void)
{
    struct sigaction sa = {.sa_handler = handler};

    sigaction(SIGUSR1, &sa, NULL);
    CASE(in_accept);
    CASE(in_input);
    CASE(in_waits_for_readiness);
    CASE(in_semaphore);
    CASE(in_sleep);
    CASE(mutex_stays_blocked);
    CASE(cond_stays_blocked);
    return 0;
}
