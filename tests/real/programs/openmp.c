/* SPDX-License-Identifier: BSD-2-Clause */
/* Loops, critical sections, barriers, locks and tasks of OpenMP, with more threads than cores. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEAM = 8, LOOPS = 100, ROUNDS = 300, TASKS = 1000 };

static void expect(const char *what, long got, long want)
{
    if (got == want)
        return;
    printf("%s: got %ld, want %ld\n", what, got, want);
    exit(1);
}

static long reductions(void)
{
    long sum = 0;
    for (int k = 0; k < LOOPS; k++) {
#pragma omp parallel for reduction(+ : sum) num_threads(TEAM) schedule(dynamic, 8)
        for (int i = 0; i < 1000; i++)
            sum += i;
    }
    return sum;
}

static long criticals_and_barriers(void)
{
    long n = 0, torn = 0;
#pragma omp parallel num_threads(TEAM)
    for (int k = 0; k < ROUNDS; k++) {
#pragma omp critical
        n++;
#pragma omp barrier
#pragma omp single
        torn += n != (long)(k + 1) * TEAM;
    }
    expect("a barrier let a thread pass", torn, 0);
    return n;
}

static long locked(void)
{
    long n = 0;
    omp_lock_t lock;
    omp_init_lock(&lock);
#pragma omp parallel num_threads(TEAM)
    for (int k = 0; k < ROUNDS; k++) {
        omp_set_lock(&lock);
        n++;
        omp_unset_lock(&lock);
    }
    omp_destroy_lock(&lock);
    return n;
}

static long fib(int n)
{
    if (n < 2)
        return n;
    long a, b;
#pragma omp task shared(a) if (n > 8)
    a = fib(n - 1);
#pragma omp task shared(b) if (n > 8)
    b = fib(n - 2);
#pragma omp taskwait
    return a + b;
}

static long tasks(void)
{
    long done = 0, result = 0;
#pragma omp parallel num_threads(TEAM)
#pragma omp single
    {
        for (int i = 0; i < TASKS; i++) {
#pragma omp task
#pragma omp atomic
            done++;
        }
        result = fib(18);
    }
    expect("fib", result, 2584);
    return done;
}

int main(void)
{
    expect("reductions", reductions(), 499500L * LOOPS);
    expect("criticals", criticals_and_barriers(), (long)TEAM * ROUNDS);
    expect("locks", locked(), (long)TEAM * ROUNDS);
    expect("tasks", tasks(), TASKS);
    puts("all right");
    return 0;
}
