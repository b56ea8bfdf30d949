/* SPDX-License-Identifier: BSD-2-Clause */
/* A task that shares the memory, made by clone() before the process has made any thread, on a small
 * stack; then threads beside such tasks. */
#include "proc.h"
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>

static int counted;

static int counts(void *arg)
{
    __atomic_add_fetch(&counted, *(int *)arg, __ATOMIC_SEQ_CST);
    return 1;
}

static void make_task_and_wait(int by)
{
    char stack[4096] __attribute__((aligned(16)));
    pid_t alive = 1, now;

    CHECK(clone(counts, stack + sizeof stack,
                CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_CHILD_CLEARTID, &by, NULL, NULL,
                &alive) > 0);
    while ((now = __atomic_load_n(&alive, __ATOMIC_SEQ_CST)) != 0)
        syscall(SYS_futex, &alive, FUTEX_WAIT, now, NULL, NULL, 0);
}

static void *makes_tasks(void *arg)
{
    for (int i = 0; i < 20; i++)
        make_task_and_wait(1);
    return arg;
}

static void before_any_thread(void)
{
    make_task_and_wait(7);
    EQ(counted, 7);
}

static void beside_threads(void)
{
    pthread_t t[4];

    counted = 0;
    for (int i = 0; i < 4; i++)
        t[i] = go(makes_tasks, NULL);
    for (int i = 0; i < 4; i++)
        reap(t[i]);
    EQ(counted, 80);
}

int main(void)
{
    CASE(before_any_thread);
    CASE(beside_threads);
    return 0;
}
