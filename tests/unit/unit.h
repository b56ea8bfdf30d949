/* SPDX-License-Identifier: BSD-2-Clause */
/* What the unit suites share: the main function's body, a seed, threads, waiting for a condition.
 */
#ifndef GT_TESTS_UNIT_H
#define GT_TESTS_UNIT_H

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/* Runs a suite of one case, forked, and returns main's exit status.  The environment variable T, a
 * pattern, leaves the suite out when it does not match its name. */
struct unit_test {
    const TTest *test;
    int signal; /* that ends it, as it should; 0: none */
    int loops;  /* how often, with _i from 0 */
};
/* clang-format off */
#define UNIT_TEST(t)          {(t), 0, 1}
#define UNIT_LOOP(t, n)       {(t), 0, (n)}
#define UNIT_DEATH(t, signal) {(t), (signal), 1}
/* clang-format on */
int unit_main(const char *name, void (*setup)(void), const struct unit_test *tests, int n);
#define UNIT_MAIN(name, setup, tests)                                                              \
    unit_main(name, setup, tests, (int)(sizeof(tests) / sizeof((tests)[0])))

/* The seed of a test of random steps: SEED of the environment, else of the clock; printed with the
 * test's name.  Never 0. */
uint64_t unit_seed(const char *test);
/* A number below n, from the state that unit_seed began. */
uint32_t unit_below(uint64_t *seed, uint32_t n);

pthread_t unit_start(void *(*fn)(void *), void *arg);
void *unit_join(pthread_t t);

/* Waits for a condition that another thread makes true; Check's time limit ends it otherwise. */
#define UNIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        while (!(condition))                                                                       \
            sched_yield();                                                                         \
    } while (0)

/* Built with a sanitizer, whose shadow memory is no business of a limit on address space? */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNIT_SANITIZED true
#else
#define UNIT_SANITIZED false
#endif
/* Steps of a long test: fewer where each costs more. */
#define UNIT_STEPS(n) (UNIT_SANITIZED ? (n) / 5 : (n))

#endif
