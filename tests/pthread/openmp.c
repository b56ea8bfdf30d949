/* SPDX-License-Identifier: BSD-2-Clause */
/* OpenMP: parallel loops, reductions, tasks, nested teams, ordered, critical sections, locks,
 * teams made by several threads at once, and a team in a fork's child. */
#include "proc.h"
#include <omp.h>

static long sum(long n)
{
    long total = 0;

#pragma omp parallel for reduction(+ : total) schedule(dynamic, 16) num_threads(4)
    for (long i = 0; i < n; i++)
        total += i;
    return total;
}

static void loops(void)
{
    for (int i = 0; i < 200; i++)
        EQ(sum(1000), 1000 * 999 / 2);
}

static long fib(int n)
{
    long a, b;

    if (n < 2)
        return n;
    if (n < 8)
        return fib(n - 1) + fib(n - 2);
#pragma omp task shared(a)
    a = fib(n - 1);
#pragma omp task shared(b)
    b = fib(n - 2);
#pragma omp taskwait
    return a + b;
}

static void tasks(void)
{
    long r = 0;

#pragma omp parallel num_threads(4)
#pragma omp single
    r = fib(18);
    EQ(r, 2584);
}

static void nested(void)
{
    int inner = 0, level = 0;

    omp_set_max_active_levels(2);
#pragma omp parallel num_threads(3)
    {
#pragma omp parallel num_threads(3)
        {
#pragma omp atomic
            inner++;
#pragma omp critical
            level = omp_get_level();
        }
    }
    EQ(inner, 9);
    EQ(level, 2);
}

static void sections(void)
{
    omp_lock_t lock;
    int in_order = 0, locked = 0, barriers = 0;

    omp_init_lock(&lock);
#pragma omp parallel num_threads(4)
    {
#pragma omp for ordered schedule(static, 1)
        for (int i = 0; i < 100; i++) {
#pragma omp ordered
            {
                EQ(in_order, i);
                in_order++;
            }
        }
        for (int i = 0; i < 100; i++) {
            omp_set_lock(&lock);
            locked++;
            omp_unset_lock(&lock);
        }
        for (int i = 0; i < 50; i++) {
#pragma omp barrier
#pragma omp single
            barriers++;
        }
    }
    EQ(locked, 400);
    EQ(barriers, 50);
    omp_destroy_lock(&lock);
}

static void *own_team(void *arg)
{
    for (int i = 0; i < 20; i++)
        EQ(sum(500), 500 * 499 / 2);
    return arg;
}

static void teams_of_threads(void)
{
    pthread_t t[8];

    for (int i = 0; i < 8; i++)
        t[i] = go(own_team, NULL);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
}

static int child_of_thread(void)
{
    return sum(100) == 100 * 99 / 2 ? 3 : 1;
}

static void *forks(void *arg)
{
    EQ(in_child(child_of_thread), 3); /* this thread has had no team yet */
    return arg;
}

static void in_child_process(void)
{
    reap(go(forks, NULL));
}

int main(void)
{
    CASE(loops);
    CASE(tasks);
    CASE(nested);
    CASE(sections);
    CASE(teams_of_threads);
    CASE(in_child_process);
    return 0;
}
