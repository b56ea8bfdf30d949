/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to the process: default actions sent in each way, to a parked thread that alone has
 * the signal open, stop and continue; abort; SIGPIPE; signals at the start and the end of threads,
 * to finished ones; inherited masks. */
#include "tap.h"
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int ready, hits, stop;

static void *sleeps(void *arg)
{
    bump(&ready);
    pause_ms(20000);
    return arg;
}

static void *computes(void *arg)
{
    bump(&ready);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        ;
    return arg;
}

static void block_all(int how, int but)
{
    sigset_t s;

    sigfillset(&s);
    if (but)
        sigdelset(&s, but);
    pthread_sigmask(how, &s, NULL);
}

static void *sleeps_open(void *arg)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, (int)(long)arg);
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    return sleeps(NULL);
}

static void die(int how, int sig)
{
    pthread_t t;

    freopen("/dev/null", "w", stderr);
    ready = 0;
    if (how == 3)
        block_all(SIG_BLOCK, 0); /* the sender blocks it, a sleeping thread does not */
    t = go(how == 1 ? computes : how == 3 ? sleeps_open : sleeps, (void *)(long)sig);
    await(&ready, 1);
    switch (how) {
    case 0:
    case 1:
    case 3:
        pthread_kill(t, sig);
        break;
    case 2:
        raise(sig);
        break;
    case 4:
        kill(getpid(), sig);
        break;
    case 5:
        kill(0, sig);
        break;
    case 6:
        sigqueue(getpid(), sig, (union sigval){.sival_int = 1});
        break;
    }
    pause_ms(3000);
    _exit(33);
}

static void default_actions(void)
{
    const int deadly[] = {SIGTERM, SIGHUP,  SIGUSR1, SIGQUIT, SIGSEGV, SIGRTMIN,
                          SIGPIPE, SIGKILL, SIGFPE,  SIGABRT, SIGALRM};

    fflush(stdout);
    for (unsigned i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        for (int how = 0; how < 7; how++) {
            int st;
            pid_t pid;

            if (i > 3 && how > 3)
                continue;
            pid = fork();
            if (pid == 0) {
                setpgid(0, 0);
                die(how, deadly[i]);
            }
            EQ(waitpid(pid, &st, 0), pid);
            CHECK(WIFSIGNALED(st));
            EQ(WTERMSIG(st), deadly[i]);
        }
    }
}

static void harmless(void)
{
    static const int ignored[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
    pthread_t t;

    ready = 0;
    t = go(sleeps, NULL);
    await(&ready, 1); /* libc starts threads with all signals blocked */
    for (unsigned i = 0; i < 4; i++) {
        EQ(raise(ignored[i]), 0);
        EQ(pthread_kill(t, ignored[i]), 0);
        EQ(kill(getpid(), ignored[i]), 0);
    }
    signal(SIGTERM, SIG_IGN);
    EQ(raise(SIGTERM), 0);
    EQ(pthread_kill(t, SIGTERM), 0);
    EQ(kill(getpid(), SIGTERM), 0);
    signal(SIGTERM, SIG_DFL);
    pthread_cancel(t);
    reap(t);
}

/* A parked thread alone has it open; it comes from outside. */
static void from_outside(void)
{
    int st, p[2];
    char c;
    pid_t pid;

    EQ(pipe(p), 0);
    pid = fork();
    if (pid == 0) {
        block_all(SIG_BLOCK, 0);
        ready = 0;
        go(sleeps_open, (void *)(long)SIGTERM);
        await(&ready, 1);
        if (write(p[1], "x", 1) != 1)
            _exit(1);
        pause_ms(5000);
        _exit(33);
    }
    EQ(read(p[0], &c, 1), 1);
    pause_ms(20);
    kill(pid, SIGTERM);
    EQ(waitpid(pid, &st, 0), pid);
    CHECK(WIFSIGNALED(st));
    EQ(WTERMSIG(st), SIGTERM);
    close(p[0]);
    close(p[1]);
}

static void stopped(int how, int sig)
{
    int st;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        pthread_t t;

        setpgid(0, 0);
        ready = 0;
        t = go(sleeps, NULL);
        await(&ready, 1);
        if (how)
            pthread_kill(t, sig);
        else
            raise(sig);
        pause_ms(20);
        _exit(44);
    }
    EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK(WIFSTOPPED(st));
    EQ(WSTOPSIG(st), sig);
    pause_ms(20);
    kill(pid, SIGCONT);
    EQ(waitpid(pid, &st, 0), pid);
    CHECK(WIFEXITED(st));
    EQ(WEXITSTATUS(st), 44);
}

static void counts(int sig)
{
    (void)sig;
    bump(&hits);
}

static void stop_and_continue(void)
{
    for (int how = 0; how < 2; how++)
        stopped(how, SIGSTOP);
    /* in an orphaned process group the terminal's stops are dropped; here it is not orphaned */
    stopped(0, SIGTSTP);
    stopped(1, SIGTTIN);
    signal(SIGCONT, counts);
    pid_t me = getpid(), pid = fork();
    if (pid == 0) {
        pause_ms(30);
        kill(me, SIGCONT);
        _exit(0);
    }
    kill(me, SIGSTOP);
    await(&hits, 1);
    EQ(waitpid(pid, NULL, 0), pid);
    signal(SIGCONT, SIG_DFL);
}

static void aborts(int sig)
{
    (void)sig;
    bump(&hits);
}

static void abort_is_abort(void)
{
    for (int how = 0; how < 3; how++) {
        int st;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid == 0) {
            freopen("/dev/null", "w", stderr);
            ready = 0;
            go(sleeps, NULL);
            await(&ready, 1);
            if (how == 1)
                block_all(SIG_BLOCK, 0);
            if (how == 2)
                signal(SIGABRT, aborts);
            abort();
        }
        EQ(waitpid(pid, &st, 0), pid);
        CHECK(WIFSIGNALED(st));
        EQ(WTERMSIG(st), SIGABRT);
    }
}

/* ---- SIGPIPE ---- */

static pthread_t piped;

static void pipe_handler(int sig)
{
    (void)sig;
    piped = pthread_self();
    bump(&hits);
}

static void *writes(void *arg)
{
    int fd = (int)(long)arg;

    FAILS(write(fd, "x", 1), EPIPE);
    return NULL;
}

static void *sends(void *arg)
{
    int fd = (int)(long)arg;

    FAILS(send(fd, "x", 1, 0), EPIPE);
    FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
    FAILS(write(fd, "x", 1), EPIPE);
    return NULL;
}

static void *blocks_it(void *arg)
{
    sigset_t s;
    struct timespec none = {0, 0};

    sigemptyset(&s);
    sigaddset(&s, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    FAILS(write((int)(long)arg, "x", 1), EPIPE);
    sigpending(&s);
    EQ(sigismember(&s, SIGPIPE), 1);
    sigemptyset(&s);
    sigaddset(&s, SIGPIPE);
    EQ(sigtimedwait(&s, NULL, &none), SIGPIPE);
    return NULL;
}

static void broken_pipes(void)
{
    int p[2], s[2];
    pthread_t t;

    signal(SIGPIPE, pipe_handler);
    EQ(pipe(p), 0);
    close(p[0]);
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    close(s[0]);
    hits = 0;
    t = go(writes, (void *)(long)p[1]);
    reap(t);
    EQ(hits, 1);
    CHECK(pthread_equal(piped, t));
    hits = 0;
    t = go(sends, (void *)(long)s[1]);
    reap(t);
    EQ(hits, 2);
    CHECK(pthread_equal(piped, t));
    reap(go(blocks_it, (void *)(long)p[1]));
    EQ(hits, 2);
    signal(SIGPIPE, SIG_DFL);
    close(p[1]);
    close(s[1]);
}

/* ---- beginnings and ends ---- */

static sigset_t first_mask;

static void *shows_mask(void *arg)
{
    pthread_sigmask(SIG_SETMASK, NULL, &first_mask);
    sigset_t p;
    sigpending(&p);
    EQ(sigismember(&p, SIGUSR2), 0); /* pending ones are not inherited */
    return arg;
}

static void inherited_masks(void)
{
    pthread_attr_t a;
    pthread_t t;
    sigset_t s, got;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    pthread_kill(pthread_self(), SIGUSR2);
    reap(go(shows_mask, NULL));
    EQ(sigismember(&first_mask, SIGUSR2), 1);
    EQ(sigismember(&first_mask, SIGUSR1), 0);
    pthread_attr_init(&a);
    EQ(pthread_attr_getsigmask_np(&a, &got), PTHREAD_ATTR_NO_SIGMASK_NP);
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    EQ(pthread_attr_setsigmask_np(&a, &s), 0);
    EQ(pthread_create(&t, &a, shows_mask, NULL), 0);
    reap(t);
    EQ(sigismember(&first_mask, SIGUSR1), 1);
    EQ(sigismember(&first_mask, SIGUSR2), 0);
    pthread_attr_destroy(&a);
    signal(SIGUSR2, SIG_IGN);
    sigemptyset(&s);
    pthread_sigmask(SIG_SETMASK, &s, NULL);
}

static void *ends(void *arg)
{
    return arg;
}

static void *counts_down(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        if (kill(getpid(), SIGUSR1) == 0)
            sched_yield();
    return arg;
}

/* Signals rain on the process while threads begin and end. */
static void in_the_rain(void)
{
    pthread_t t, r;

    signal(SIGUSR1, counts);
    stop = 0;
    r = go(counts_down, NULL);
    for (int i = 0; i < 2000; i++) {
        t = go(ends, NULL);
        pthread_kill(t, SIGUSR1);
        if (i % 2)
            pthread_kill(t, SIGUSR1);
        reap(t);
    }
    bump(&stop);
    reap(r);
}

static void finished_ones(void)
{
    pthread_t t = go(ends, NULL);

    pause_ms(30);
    EQ(pthread_kill(t, 0), 0);
    EQ(pthread_kill(t, SIGTERM), 0); /* ended, not joined: lost */
    reap(t);
}

/* A process-directed signal is never lost with the thread that was to take it. */
static void *short_and_open(void *arg)
{
    sigset_t s;

    sigemptyset(&s);
    pthread_sigmask(SIG_SETMASK, &s, NULL);
    for (int i = 0; i < 20; i++)
        sched_yield();
    return arg;
}

static void not_lost_with_it(void)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN);
    signal(SIGRTMIN, counts);
    hits = 0;
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    for (int i = 0; i < 500; i++) {
        pthread_t t = go(short_and_open, NULL);
        EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}), 0);
        if (i % 2)
            sched_yield();
        EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}), 0);
        reap(t);
    }
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    await(&hits, 1000);
    EQ(hits, 1000);
}

int main(void)
{
    CASE(default_actions);
    CASE(harmless);
    CASE(from_outside);
    CASE(stop_and_continue);
    CASE(abort_is_abort);
    CASE(broken_pipes);
    CASE(inherited_masks);
    CASE(in_the_rain);
    CASE(finished_ones);
    CASE(not_lost_with_it);
    return 0;
}
