/* SPDX-License-Identifier: BSD-2-Clause */
/* fork while others are in stdio and malloc at once, and fork by a signal handler of a process with
 * one thread that is in the middle of malloc, free or fork: neither may lock itself out. */
#include "proc.h"
#include <sys/time.h>

static int stop;
static char path[] = "/tmp/gt-fork-streams-XXXXXX";

static int is_over(void)
{
    return __atomic_load_n(&stop, __ATOMIC_SEQ_CST);
}

static void *reads_lines(void *arg)
{
    FILE *f = fopen(path, "r");

    CHECK(f);
    while (!is_over()) {
        char *line = NULL;
        size_t n = 0;

        rewind(f);
        CHECK(getline(&line, &n, f) > 0);
        free(line);
    }
    fclose(f);
    return arg;
}

static void *flushes_all(void *arg)
{
    while (!is_over())
        EQ(fflush(NULL), 0);
    return arg;
}

static int uses_streams(void)
{
    FILE *f = fopen(path, "r");
    char line[16];

    CHECK(f && fgets(line, sizeof line, f));
    EQ(fclose(f), 0);
    EQ(fflush(NULL), 0);
    free(malloc(100000));
    return 7;
}

static void *forks(void *arg)
{
    while (!is_over())
        EQ(in_child(uses_streams), 7);
    return arg;
}

static void beside_streams(void)
{
    pthread_t t[8];

    for (int i = 0; i < 8; i++)
        t[i] = go(i < 4 ? reads_lines : i < 6 ? flushes_all : forks, NULL);
    pause_ms(700);
    bump(&stop);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
}

static volatile sig_atomic_t forked;

static void forks_in_handler(int sig)
{
    int e = errno;
    pid_t p = fork();

    (void)sig;
    if (p == 0)
        _exit(3);
    EQ(status_of(p), 3);
    forked++;
    errno = e;
}

static int does_nothing(void)
{
    return 0;
}

static void in_a_handler(void)
{
    struct sigaction sa = {.sa_handler = forks_in_handler, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    void *p[100] = {0};

    EQ(sigaction(SIGALRM, &sa, NULL), 0);
    EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (unsigned i = 0; forked < 300; i++) {
        free(p[i % 100]);
        p[i % 100] = malloc(i * 7919 % 70000 + 1);
        CHECK(p[i % 100]);
        if (i % 5000 == 0)
            EQ(in_child(does_nothing), 0);
    }
    EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    for (int i = 0; i < 100; i++)
        free(p[i]);
}

int main(void)
{
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    EQ(write(fd, "one line\n", 9), 9);
    CASE(in_a_handler); /* while there is one thread */
    CASE(beside_streams);
    unlink(path);
    return 0;
}
