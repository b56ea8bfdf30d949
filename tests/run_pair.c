/* SPDX-License-Identifier: BSD-2-Clause */
/* One child process at a time; its outputs go to memory files, so that a program that is killed
 * loses nothing and no pipe can fill up.  The child leads a process group of its own. */
#include "tests/run_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAIL = 3000, GRACE_MS = 3000 };

static void die(const char *what)
{
    perror(what);
    exit(2);
}

const char *run_object(void)
{
    const char *so = getenv("GT_SO");

    return so && *so ? so : NULL;
}

int run_bound(void)
{
    const char *s = getenv("GT_TEST_BOUND");
    int n = s ? atoi(s) : 0;

    return n > 0 ? n : 60;
}

static void set_environment(const struct run *r)
{
    static const char *const ours[] = {"LD_PRELOAD", "GOMAXPROCS", "GODEBUG", "GOTHREAD"};
    char n[16];

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        unsetenv(ours[i]);
    if (r->preload)
        setenv("LD_PRELOAD", run_object(), 1);
    if (r->procs > 0) {
        snprintf(n, sizeof n, "%d", r->procs);
        setenv("GOMAXPROCS", n, 1);
    }
    for (const char *const *e = r->env; e && *e; e++)
        putenv((char *)(size_t)*e);
}

/* Whoever started the tests may ignore or block signals; the programs start as from a shell. */
static void default_signals(void)
{
    sigset_t none;

    for (int sig = 1; sig <= SIGRTMAX; sig++)
        signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: input from nowhere, output to the memory files, nothing else open. */
static _Noreturn void become(const struct run *r, int out, int err)
{
    struct rlimit no_core = {0, 0};
    int in = open("/dev/null", O_RDONLY);

    setpgid(0, 0);
    setrlimit(RLIMIT_CORE, &no_core);
    default_signals();
    if (in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    closefrom(3);
    set_environment(r);
    if (r->before)
        r->before(r->arg);
    execv(r->argv[0], (char *const *)(size_t)r->argv);
    dprintf(2, "%s: %s\n", r->argv[0], strerror(errno));
    _exit(127);
}

static bool ends_within(int pidfd, int ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int n;

    do
        n = poll(&p, 1, ms);
    while (n == -1 && errno == EINTR);
    return n == 1;
}

static void await_end(struct run *r, pid_t pid)
{
    int bound_s = r->bound_s ? r->bound_s : run_bound(), pidfd = pidfd_open(pid, 0);

    if (pidfd == -1)
        die("pidfd_open");
    if (!ends_within(pidfd, bound_s * 1000)) {
        r->timed_out = true;
        kill(pid, SIGQUIT);
        ends_within(pidfd, GRACE_MS);
    }
    kill(-pid, SIGKILL);
    while (waitpid(pid, &r->status, 0) == -1)
        if (errno != EINTR)
            die("waitpid");
    kill(-pid, SIGKILL);
    close(pidfd);
}

static char *contents(int fd, size_t *len)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = malloc((size_t)size + 1);

    if (!text || pread(fd, text, (size_t)size, 0) != size)
        die("reading a program's output");
    text[size] = '\0';
    *len = (size_t)size;
    close(fd);
    return text;
}

void run_program(struct run *r)
{
    int out = memfd_create("stdout", MFD_CLOEXEC), err = memfd_create("stderr", MFD_CLOEXEC);
    pid_t pid;

    if (out == -1 || err == -1)
        die("memfd_create");
    fcntl(out, F_SETFL, O_APPEND);
    fcntl(err, F_SETFL, O_APPEND);
    r->timed_out = false;
    fflush(NULL);
    pid = fork();
    if (pid == -1)
        die("fork");
    if (pid == 0)
        become(r, out, err);
    await_end(r, pid);
    r->out = contents(out, &r->out_len);
    r->err = contents(err, &r->err_len);
}

void run_free(struct run *r)
{
    free(r->out);
    free(r->err);
    r->out = r->err = NULL;
}

const char *run_describe(const struct run *r)
{
    static char text[64];

    if (r->timed_out)
        snprintf(text, sizeof text, "no end within %d s", r->bound_s ? r->bound_s : run_bound());
    else if (WIFSIGNALED(r->status))
        snprintf(text, sizeof text, "signal %d", WTERMSIG(r->status));
    else
        snprintf(text, sizeof text, "exit %d", WEXITSTATUS(r->status));
    return text;
}

const char *run_err_tail(const struct run *r)
{
    const char *line;

    if (r->err_len <= TAIL)
        return r->err;
    line = strchr(r->err + r->err_len - TAIL, '\n');
    return line ? line + 1 : r->err + r->err_len - TAIL;
}

const char *run_own_dir(void)
{
    static char dir[4096];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);

    if (n <= 0)
        die("/proc/self/exe");
    dir[n] = '\0';
    *strrchr(dir, '/') = '\0';
    return dir;
}
