/* SPDX-License-Identifier: BSD-2-Clause */
/* One thread has changed its own ids behind libc: setresuid for the process then cannot succeed in
 * all threads, and libc aborts.  The program's handler of SIGABRT runs.  (Needs root, else does
 * nothing and prints the same.) */
#include "tap.h"
#include <signal.h>
#include <sys/syscall.h>

static int step;

static void aborted(int sig)
{
    static const char text[] = "ok aborted\n";
    static _Atomic int others;

    if (others++) /* more than one thread may find that the ids differ, and abort */
        pause();
    _exit(sig == SIGABRT && write(1, text, sizeof text - 1) > 0 ? 0 : 1);
}

static void *changes_itself(void *arg)
{
    CHECK(syscall(SYS_setresuid, 2001, 2002, 2003) == 0);
    bump(&step);
    await(&step, 2);
    return arg;
}

int main(void)
{
    if (geteuid() != 0)
        aborted(SIGABRT);
    go(changes_itself, NULL);
    await(&step, 1);
    CHECK(signal(SIGABRT, aborted) != SIG_ERR);
    CHECK(setresuid(1001, 1002, 1003) == 0);
    fprintf(stderr, "setresuid returned\n");
    return 1;
}
