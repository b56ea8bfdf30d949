/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Starting programs, plain or preloaded, and reading what they print (harness.h).
 */
#include "tests/bench/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int harness_spawn(struct child *child, const char *const argv[], const char *preload)
{
    int out[2];

    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    child->pid = fork();
    if (child->pid < 0) {
        int err = errno;
        close(out[0]);
        close(out[1]);
        return -err;
    }
    if (child->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        if (preload)
            setenv("LD_PRELOAD", preload, 1);
        else
            unsetenv("LD_PRELOAD");
        execvp(argv[0], (char *const *)argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(out[1]);
    child->out = out[0];
    return 0;
}

int harness_line(struct child *child, char *line, size_t size, int timeout_ms)
{
    long end = now_ms() + timeout_ms;
    size_t n = 0;
    char c;

    for (;;) {
        struct pollfd pfd = {.fd = child->out, .events = POLLIN};
        long left = end - now_ms();
        if (left <= 0 || poll(&pfd, 1, (int)left) <= 0)
            return -1;
        if (read(child->out, &c, 1) <= 0)
            return -1;
        if (c == '\n')
            break;
        if (n + 1 < size)
            line[n++] = c;
    }
    line[n] = '\0';
    return 0;
}

int harness_wait(struct child *child, int timeout_ms)
{
    const struct timespec step = {.tv_nsec = 2000000};
    long end = now_ms() + timeout_ms;
    int status, timed_out = 0;

    while (waitpid(child->pid, &status, WNOHANG) == 0) {
        if (now_ms() > end) {
            timed_out = 1;
            kill(child->pid, SIGKILL);
            waitpid(child->pid, &status, 0);
            break;
        }
        nanosleep(&step, NULL);
    }
    close(child->out);
    if (timed_out)
        return -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int harness_stop(struct child *child, int timeout_ms)
{
    kill(child->pid, SIGTERM);
    return harness_wait(child, timeout_ms);
}

int harness_run(const char *const argv[], const char *preload, char *line, size_t size,
                int timeout_ms)
{
    struct child child;
    long end = now_ms() + timeout_ms;
    int err = harness_spawn(&child, argv, preload);

    line[0] = '\0';
    if (err) {
        fprintf(stderr, "%s: cannot start: %s\n", argv[0], strerror(-err));
        return 127;
    }
    while (harness_line(&child, line, size, (int)(end - now_ms())) == 0)
        ;
    return harness_wait(&child, end > now_ms() ? (int)(end - now_ms()) : 0);
}

int harness_server(struct child *child, const char *const argv[], const char *preload)
{
    char line[128];
    int port;

    if (harness_spawn(child, argv, preload) < 0)
        return -1;
    if (harness_line(child, line, sizeof line, 10000) == 0 &&
        sscanf(line, "listening %d", &port) == 1)
        return port;
    harness_stop(child, 1000);
    return -1;
}

int harness_value(const char *line, const char *key, double *value)
{
    size_t n = strlen(key);

    for (const char *p = line; (p = strstr(p, key)); p += n) {
        if ((p == line || p[-1] == ' ') && p[n] == '=') {
            char *end;
            *value = strtod(p + n + 1, &end);
            return end == p + n + 1 ? -1 : 0;
        }
    }
    return -1;
}

static FILE *report;

int harness_report(const char *path)
{
    report = fopen(path, "we");
    if (!report)
        perror(path);
    return report ? 0 : -1;
}

void harness_say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    va_start(args, format);
    vfprintf(report, format, args);
    va_end(args);
    fflush(stdout);
    fflush(report);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double harness_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

long harness_raise_nofile(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
        return 1024;
    if (lim.rlim_max < 32768) {
        struct rlimit more = {.rlim_cur = 32768, .rlim_max = 32768};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            return 32768;
    }
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    return lim.rlim_cur > 1 << 30 ? 1 << 30 : (long)lim.rlim_cur;
}

int harness_free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int port = -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&addr, &len) == 0)
        port = ntohs(addr.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

int harness_await(int port, int timeout_ms)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct timespec step = {.tv_nsec = 10000000};

    for (long end = now_ms() + timeout_ms; now_ms() < end; nanosleep(&step, NULL)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int ok = fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0;
        if (fd >= 0)
            close(fd);
        if (ok)
            return 0;
    }
    return -1;
}
