/* SPDX-License-Identifier: BSD-2-Clause */
/* A thousand posix_spawn calls in a row from several threads, with every file action and every
 * attribute; the new program says whether it got what was asked for. */
#include "proc.h"
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/stat.h>

extern char **environ;

enum { THREADS = 4, EACH = 250 };

static char self[512];

/* ---- the new program ---- */

static int is_default(int sig)
{
    struct sigaction sa;

    return sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL;
}

static int looks_around(int n)
{
    sigset_t mask;
    char cwd[64], text[16] = "";

    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    EQ(sigismember(&mask, SIGUSR1), n % 2);
    EQ(sigismember(&mask, SIGUSR2), !(n % 2));
    CHECK(is_default(SIGHUP));
    EQ(is_default(SIGPIPE), n % 2); /* ignored by who made us, and set to default by half */
    EQ(getpgrp() == getpid(), n % 4 < 2);
    EQ(getsid(0) == getpid(), n % 4 == 0);
    EQ(sched_getscheduler(0), SCHED_OTHER);
    EQ(strcmp(getcwd(cwd, sizeof cwd), "/"), 0);
    EQ(fcntl(70, F_GETFD), -1);
    EQ(fcntl(71, F_GETFD), 0);
    EQ(fcntl(90, F_GETFD), -1);
    EQ(read(72, text, sizeof text), 5);
    EQ(strcmp(text, "input"), 0);
    EQ(write(71, "done", 4), 4);
    return n % 100;
}

/* ---- who makes them ---- */

static void set_attributes(posix_spawnattr_t *at, int n)
{
    struct sched_param sp = {0};
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_RESETIDS |
                POSIX_SPAWN_SETSCHEDPARAM | POSIX_SPAWN_SETSCHEDULER;
    sigset_t set;

    EQ(posix_spawnattr_init(at), 0);
    sigemptyset(&set);
    sigaddset(&set, n % 2 ? SIGUSR1 : SIGUSR2);
    EQ(posix_spawnattr_setsigmask(at, &set), 0);
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    if (n % 2)
        sigaddset(&set, SIGPIPE);
    EQ(posix_spawnattr_setsigdefault(at, &set), 0);
    EQ(posix_spawnattr_setschedpolicy(at, SCHED_OTHER), 0);
    EQ(posix_spawnattr_setschedparam(at, &sp), 0);
    EQ(posix_spawnattr_setpgroup(at, 0), 0);
    if (n % 4 == 0)
        flags |= POSIX_SPAWN_SETSID;
    if (n % 4 == 1)
        flags |= POSIX_SPAWN_SETPGROUP;
    EQ(posix_spawnattr_setflags(at, (short)flags), 0);
}

static void set_actions(posix_spawn_file_actions_t *fa, const char *input, const int out[2])
{
    EQ(posix_spawn_file_actions_init(fa), 0);
    EQ(posix_spawn_file_actions_adddup2(fa, out[1], 71), 0);
    EQ(posix_spawn_file_actions_addopen(fa, 70, "/dev/null", O_RDONLY, 0), 0);
    EQ(posix_spawn_file_actions_addopen(fa, 72, input, O_RDONLY, 0), 0);
    EQ(posix_spawn_file_actions_addclose(fa, 70), 0);
    EQ(posix_spawn_file_actions_adddup2(fa, out[1], 90), 0);
    EQ(posix_spawn_file_actions_addclosefrom_np(fa, 80), 0);
    EQ(posix_spawn_file_actions_addchdir_np(fa, "/"), 0);
}

static void one(int n, const char *input)
{
    char number[16];
    char *const argv[] = {self, number, NULL};
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t at;
    char text[8] = "";
    int out[2];
    pid_t p;

    snprintf(number, sizeof number, "%d", n);
    EQ(pipe2(out, O_CLOEXEC), 0);
    set_attributes(&at, n);
    set_actions(&fa, input, out);
    EQ(posix_spawn(&p, n % 5 ? self : "/no/such/program", &fa, &at, argv, environ),
       n % 5 ? 0 : ENOENT);
    if (n % 5 == 0)
        EQ(posix_spawnp(&p, self, &fa, &at, argv, environ), 0);
    close(out[1]);
    EQ(read(out[0], text, sizeof text), 4);
    EQ(strcmp(text, "done"), 0);
    EQ(read(out[0], text, sizeof text), 0);
    EQ(status_of(p), n % 100);
    close(out[0]);
    EQ(posix_spawn_file_actions_destroy(&fa), 0);
    EQ(posix_spawnattr_destroy(&at), 0);
}

static char input[] = "/tmp/gt-spawn-XXXXXX";

static void *many(void *arg)
{
    for (int i = 0; i < EACH; i++)
        one((int)(long)arg * EACH + i, input);
    return NULL;
}

static void in_a_row(void)
{
    pthread_t t[THREADS];
    int fd = mkstemp(input);

    EQ(write(fd, "input", 5), 5);
    close(fd);
    signal(SIGPIPE, SIG_IGN);
    for (long i = 0; i < THREADS; i++)
        t[i] = go(many, (void *)i);
    for (int i = 0; i < THREADS; i++)
        reap(t[i]);
    unlink(input);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return looks_around(atoi(argv[1]));
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    CASE(in_a_row);
    return 0;
}
