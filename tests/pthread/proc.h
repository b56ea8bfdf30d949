/* SPDX-License-Identifier: BSD-2-Clause */
/* Child processes for the programs in this folder. */
#ifndef PROC_H
#define PROC_H

#include "tap.h"
#include <signal.h>
#include <sys/wait.h>

/* Waits for a child; its exit status, or 1000 + the signal that killed it. */
static TAP_UNUSED int status_of(pid_t p)
{
    int st = 0;

    CHECK(p > 0);
    while (waitpid(p, &st, 0) == -1)
        CHECK(errno == EINTR);
    return WIFEXITED(st) ? WEXITSTATUS(st) : 1000 + WTERMSIG(st);
}

/* Forks, runs body in the child, which ends with its result; waits for it. */
static TAP_UNUSED int in_child(int (*body)(void))
{
    pid_t p = fork();

    if (p == 0)
        _exit(body());
    return status_of(p);
}

#endif
