/* SPDX-License-Identifier: BSD-2-Clause */
/* Jumps out of handlers that interrupted each kind of wait: the mask is restored, what was waited
 * for can be used again, closing a descriptor then ends the connection. */
#include "tap.h"
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

static __thread sigjmp_buf out;
static int fd[2];
static sem_t sem;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t sleeper;

static void jumps(int sig)
{
    siglongjmp(out, sig);
}

static void w_read(void)
{
    char c;

    CHECK(read(fd[0], &c, 1) != 1);
}

static void w_poll(void)
{
    struct pollfd p = {.fd = fd[0], .events = POLLIN};

    poll(&p, 1, -1);
}

static void w_select(void)
{
    fd_set s;

    FD_ZERO(&s);
    FD_SET(fd[0], &s);
    select(fd[0] + 1, &s, NULL, NULL, NULL);
}

static void w_epoll(void)
{
    static int ep;
    struct epoll_event e = {.events = EPOLLIN};

    if (!ep)
        ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e);
    epoll_wait(ep, &e, 1, -1);
}

static void w_sem(void)
{
    sem_wait(&sem);
}

static void w_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void w_join(void)
{
    pthread_join(sleeper, NULL);
}

static void w_nanosleep(void)
{
    struct timespec t = {600, 0};

    nanosleep(&t, NULL);
}

static void w_pause(void)
{
    pause();
}

static void w_sigsuspend(void)
{
    sigset_t s;

    sigfillset(&s);
    sigdelset(&s, SIGUSR1);
    sigsuspend(&s);
}

static void w_waitpid(void)
{
    waitpid(-1, NULL, 0);
}

static void w_loop(void)
{
    for (;;)
        __asm__ volatile("" ::: "memory");
}

static void (*const waits[])(void) = {w_read,  w_poll,       w_select,  w_epoll,
                                      w_sem,   w_lock,       w_join,    w_nanosleep,
                                      w_pause, w_sigsuspend, w_waitpid, w_loop};

static int ready, jumped, over;

static void *victim(void *arg)
{
    void (*wait)(void) = waits[(long)arg];
    sigset_t now;

    for (volatile int i = 0; i < 3; i++) {
        if (sigsetjmp(out, 1) == 0) {
            bump(&ready);
            wait();
            CHECK(!"the wait is over");
        }
        pthread_sigmask(SIG_SETMASK, NULL, &now);
        CHECK(!sigismember(&now, SIGUSR1));
        bump(&jumped);
    }
    return NULL;
}

static void *sleeps(void *arg)
{
    await(&over, 1);
    return arg;
}

static void out_of_every_wait(void)
{
    struct sigaction sa = {.sa_handler = jumps};
    pid_t child = fork();

    if (child == 0) {
        pause_ms(60000);
        _exit(0);
    }
    sigaction(SIGUSR1, &sa, NULL);
    sem_init(&sem, 0, 0);
    EQ(pipe(fd), 0);
    pthread_mutex_lock(&lock);
    sleeper = go(sleeps, &sem);
    for (long i = 0; i < (long)(sizeof waits / sizeof waits[0]); i++) {
        pthread_t t;

        ready = jumped = 0;
        t = go(victim, (void *)i);
        for (int n = 1; n <= 3; n++) {
            await(&ready, n);
            pause_ms(10);
            EQ(pthread_kill(t, SIGUSR1), 0);
            await(&jumped, n);
        }
        reap(t);
    }
    /* all of it still works */
    bump(&over);
    CHECK(reap(sleeper) == &sem);
    pthread_mutex_unlock(&lock);
    EQ(pthread_mutex_trylock(&lock), 0);
    pthread_mutex_unlock(&lock);
    sem_post(&sem);
    EQ(sem_trywait(&sem), 0);
    kill(child, SIGKILL);
    EQ(waitpid(child, NULL, 0), child);
    close(fd[0]);
    close(fd[1]);
}

/* Two readers on one socket; one jumps out, then it is closed: the peer must see the end. */
static void *reads(void *arg)
{
    char c;

    if (sigsetjmp(out, 1) == 0) {
        bump(&ready);
        *(long *)arg = read(fd[0], &c, 1);
    }
    return NULL;
}

static void the_end_is_seen(void)
{
    long got[2] = {-5, -5};
    pthread_t t[2];
    char c;

    ready = 0;
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    for (int i = 0; i < 2; i++)
        t[i] = go(reads, &got[i]);
    await(&ready, 2);
    pause_ms(30);
    EQ(pthread_kill(t[0], SIGUSR1), 0);
    reap(t[0]);
    close(fd[0]);
    EQ(write(fd[1], "x", 1), 1); /* the other reader still holds it */
    reap(t[1]);
    EQ(got[1], 1);
    EQ(read(fd[1], &c, 1), 0);
    close(fd[1]);
}

static volatile int rounds;

/* The classic time-out: a timer's handler jumps out of whatever is slow. */
static void timed_out_by_alarm(void)
{
    struct sigaction sa = {.sa_handler = jumps};
    struct itimerval it = {.it_value = {.tv_usec = 3000}};

    sigaction(SIGALRM, &sa, NULL);
    EQ(pipe(fd), 0);
    for (rounds = 0; rounds < 20; rounds++)
        if (sigsetjmp(out, 1) == 0) {
            setitimer(ITIMER_REAL, &it, NULL);
            (rounds % 2 ? w_read : w_loop)();
        }
    EQ(rounds, 20);
    close(fd[0]);
    close(fd[1]);
}

/* Without the mask saved the signal stays blocked, and _setjmp does not touch it. */
static void *unsaved(void *arg)
{
    sigset_t s;

    if (sigsetjmp(out, 0) == 0)
        raise(SIGUSR1);
    pthread_sigmask(SIG_SETMASK, NULL, &s);
    EQ(sigismember(&s, SIGUSR1), 1);
    raise(SIGUSR1); /* pends */
    if (sigsetjmp(out, 0) == 0) {
        sigemptyset(&s);
        pthread_sigmask(SIG_SETMASK, &s, NULL);
        CHECK(!"the pending one was not delivered");
    }
    sigemptyset(&s);
    pthread_sigmask(SIG_SETMASK, &s, NULL);
    return arg;
}

static void mask_not_saved(void)
{
    unsaved(NULL);
    reap(go(unsaved, NULL));
}

static void *loops(void *arg)
{
    static __thread volatile int n;

    for (n = 0; n < 20000; n++)
        if (sigsetjmp(out, 1) == 0)
            siglongjmp(out, 1);
    return arg;
}

static void in_loops(void)
{
    pthread_t t[4];

    for (int i = 0; i < 4; i++)
        t[i] = go(loops, NULL);
    for (int i = 0; i < 4; i++)
        reap(t[i]);
}

int main(void)
{
    CASE(out_of_every_wait);
    CASE(the_end_is_seen);
    CASE(timed_out_by_alarm);
    CASE(mask_not_saved);
    CASE(in_loops);
    return 0;
}
