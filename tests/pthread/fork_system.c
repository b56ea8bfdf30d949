/* SPDX-License-Identifier: BSD-2-Clause */
/* system, popen and daemon as POSIX words them: SIGINT and SIGQUIT ignored and SIGCHLD blocked
 * while a command runs, cancellation kills it; atfork handlers run for daemon; waits for children
 * by any thread. */
#include "proc.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

static volatile sig_atomic_t got[65];

static void notes(int sig)
{
    got[sig]++;
}

static void handle(int sig, void (*f)(int))
{
    struct sigaction sa = {.sa_handler = f};

    EQ(sigaction(sig, &sa, NULL), 0);
}

/* ---- system ---- */

static void *interrupts_ignored(void *arg)
{
    handle(SIGINT, notes);
    handle(SIGQUIT, notes);
    got[SIGINT] = got[SIGQUIT] = 0;
    EQ(system("kill -INT $PPID; kill -QUIT $PPID; exit 4"), 4 << 8);
    EQ(got[SIGINT], 0);
    EQ(got[SIGQUIT], 0);
    raise(SIGINT);
    EQ(got[SIGINT], 1);
    EQ(system("kill -INT $$"), SIGINT); /* the default again in the command */
    EQ(system("exit 127"), 127 << 8);
    CHECK(system(NULL) != 0);
    return arg;
}

static void interrupts(void)
{
    interrupts_ignored(NULL);
    reap(go(interrupts_ignored, NULL));
    signal(SIGINT, SIG_IGN);
    EQ(system("kill -INT $$; exit 3"), 3 << 8); /* ignored stays ignored */
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
}

static void *one_command(void *arg)
{
    char cmd[32];

    snprintf(cmd, sizeof cmd, "exit %d", (int)(long)arg);
    for (int i = 0; i < 3; i++)
        EQ(WEXITSTATUS(system(cmd)), (long)arg);
    return NULL;
}

static void many_commands(void)
{
    struct sigaction sa;
    pthread_t t[40];

    handle(SIGINT, notes);
    for (long i = 0; i < 40; i++)
        t[i] = go(one_command, (void *)(i + 1));
    for (int i = 0; i < 40; i++)
        reap(t[i]);
    sigaction(SIGINT, NULL, &sa); /* the last to end has put it back */
    CHECK(sa.sa_handler == notes);
    sigaction(SIGQUIT, NULL, &sa);
    CHECK(sa.sa_handler == SIG_DFL);
    got[SIGINT] = 0;
    raise(SIGINT);
    EQ(got[SIGINT], 1);
}

static int pipe_fd[2];

static void *long_command(void *arg)
{
    char cmd[64];

    snprintf(cmd, sizeof cmd, "echo $$ >&%d; exec sleep 100", pipe_fd[1]);
    system(cmd);
    return arg;
}

static void cancelled_command(void)
{
    char text[32] = "";
    pthread_t t;
    pid_t p;

    EQ(pipe(pipe_fd), 0);
    t = go(long_command, NULL);
    CHECK(read(pipe_fd[0], text, sizeof text - 1) > 0);
    p = atoi(text);
    EQ(kill(p, 0), 0);
    EQ(pthread_cancel(t), 0);
    CHECK(reap(t) == PTHREAD_CANCELED);
    FAILS(kill(p, 0), ESRCH); /* killed and waited for */
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

static void child_signals(void)
{
    sigset_t s, p;

    handle(SIGCHLD, notes);
    got[SIGCHLD] = 0;
    EQ(system("exit 0"), 0);
    EQ(got[SIGCHLD], 1); /* after system, not within */
    sigemptyset(&s);
    sigaddset(&s, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    EQ(system("exit 0"), 0);
    EQ(got[SIGCHLD], 1);
    sigpending(&p);
    CHECK(sigismember(&p, SIGCHLD));
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    EQ(got[SIGCHLD], 2);
    signal(SIGCHLD, SIG_DFL);
}

/* ---- popen ---- */

static void *talks_both_ways(void *arg)
{
    char cmd[64], line[64] = "";
    FILE *f;

    snprintf(cmd, sizeof cmd, "echo %d; exit %d", (int)(long)arg, (int)(long)arg % 100);
    f = popen(cmd, "re");
    CHECK(f);
    CHECK(fgets(line, sizeof line, f));
    EQ(atoi(line), (long)arg);
    CHECK(!fgets(line, sizeof line, f));
    EQ(WEXITSTATUS(pclose(f)), (long)arg % 100);
    return NULL;
}

static void many_pipes(void)
{
    enum { N = 60 };
    pthread_t t[N];

    for (long i = 0; i < N; i++)
        t[i] = go(talks_both_ways, (void *)i);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    CHECK(popen("true", "q") == NULL);
    EQ(errno, EINVAL);
}

/* ---- daemon, which forks ---- */

static int forks_seen;
static int sv[2];

static void in_fork_child(void)
{
    forks_seen++;
}

static void *becomes_daemon(void *arg)
{
    char c, note[2] = {'0', 0};

    close(sv[0]);
    EQ(daemon(1, 1), 0);
    note[0] = (char)('0' + forks_seen);
    CHECK(gettid() == getpid() && getsid(0) == getpid());
    reap(go(talks_both_ways, (void *)9L));
    EQ(write(sv[1], note, 1), 1);
    EQ(read(sv[1], &c, 1), 1);
    exit(0);
    return arg;
}

static int daemon_from_main(void)
{
    becomes_daemon(NULL);
    return 1;
}

static int daemon_from_thread(void)
{
    reap(go(becomes_daemon, NULL));
    return 1;
}

static int daemon_after_threads(void)
{
    reap(go(talks_both_ways, (void *)8L));
    becomes_daemon(NULL);
    return 1;
}

static void try_daemon(int (*how)(void))
{
    char c = 0;

    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    EQ(in_child(how), 0);
    close(sv[1]);
    EQ(read(sv[0], &c, 1), 1);
    EQ(c, '2'); /* in_child's fork, and daemon's */
    EQ(write(sv[0], "x", 1), 1);
    EQ(read(sv[0], &c, 1), 0);
    close(sv[0]);
}

static void daemons(void)
{
    EQ(pthread_atfork(NULL, NULL, in_fork_child), 0);
    close(open("/dev/null", O_RDONLY));
    for (int i = 0; i < 2; i++) {
        try_daemon(daemon_from_main);
        try_daemon(daemon_from_thread);
        try_daemon(daemon_after_threads);
    }
}

/* ---- waiting ---- */

static void *waits4(void *arg)
{
    struct rusage ru;
    int st;

    memset(&ru, 0xff, sizeof ru);
    EQ(wait4(*(pid_t *)arg, &st, 0, &ru), *(pid_t *)arg);
    EQ(WEXITSTATUS(st), 5);
    CHECK(ru.ru_utime.tv_sec >= 0 && ru.ru_maxrss > 0);
    return NULL;
}

static void *peeks_and_waits(void *arg)
{
    siginfo_t si;

    for (int i = 0; i < 2; i++) {
        memset(&si, 0, sizeof si);
        EQ(waitid(P_PID, (id_t) * (pid_t *)arg, &si, WEXITED | (i ? 0 : WNOWAIT)), 0);
        EQ(si.si_code, CLD_EXITED);
        EQ(si.si_status, 5);
    }
    return NULL;
}

static void *stops_and_waits(void *arg)
{
    pid_t p = *(pid_t *)arg;
    int st;

    EQ(kill(p, SIGSTOP), 0);
    EQ(waitpid(p, &st, WUNTRACED), p);
    CHECK(WIFSTOPPED(st));
    EQ(kill(p, SIGCONT), 0);
    EQ(waitpid(p, &st, WCONTINUED), p);
    CHECK(WIFCONTINUED(st));
    EQ(status_of(p), 5);
    return NULL;
}

static pid_t sleeper(void)
{
    pid_t p = fork();

    if (p == 0) {
        pause_ms(60);
        _exit(5);
    }
    return p;
}

static void waits(void)
{
    void *(*const how[])(void *) = {waits4, peeks_and_waits, stops_and_waits};

    for (int i = 0; i < 3; i++) {
        pid_t p = sleeper();

        reap(go(how[i], &p));
    }
}

static void *waits_forever(void *arg)
{
    EQ(waitpid(*(pid_t *)arg, NULL, 0), 0);
    return NULL;
}

static void cancelled_wait(void)
{
    pid_t p = fork();
    pthread_t t;

    if (p == 0) {
        pause();
        _exit(0);
    }
    t = go(waits_forever, &p);
    pause_ms(20);
    EQ(pthread_cancel(t), 0);
    CHECK(reap(t) == PTHREAD_CANCELED);
    EQ(kill(p, SIGKILL), 0);
    EQ(status_of(p), 1000 + SIGKILL);
}

int main(void)
{
    CASE(interrupts);
    CASE(many_commands);
    CASE(cancelled_command);
    CASE(child_signals);
    CASE(many_pipes);
    CASE(daemons);
    CASE(waits);
    CASE(cancelled_wait);
    return 0;
}
