/* SPDX-License-Identifier: BSD-2-Clause */
/* See unit.h.  Also the pointers to the C library that core is given, and the sanitizers' options.
 */
#include "tests/unit/unit.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <time.h>

#include "core/kit/kit.h"
#include "core/os/real.h"

#define TIMEOUT_S 60

struct gt_os_real gt_os_real = {
    .pthread_create = pthread_create,
    .pthread_join = pthread_join,
    .getauxval = getauxval,
};

/* Core's memory is mapped for good: nothing to look for at the end.  A fault is the test's own. */
#define OPTIONS "detect_leaks=0:handle_segv=0:handle_abort=0"
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return OPTIONS;
}
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return OPTIONS ":halt_on_error=1:atexit_sleep_ms=0";
}
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
    return "halt_on_error=1:print_stacktrace=1";
}

int unit_main(const char *name, void (*setup)(void), const struct unit_test *tests, int n)
{
    const char *only = getenv("T");
    if (only && *only && fnmatch(only, name, 0) != 0)
        return EXIT_SUCCESS;
    Suite *s = suite_create(name);
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, TIMEOUT_S);
    if (setup)
        tcase_add_checked_fixture(t, setup, NULL);
    for (int i = 0; i < n; i++)
        tcase_add_loop_test_raise_signal(t, tests[i].test, tests[i].signal, 0, tests[i].loops);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

uint64_t unit_seed(const char *test)
{
    const char *given = getenv("SEED");
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    uint64_t seed = (uint64_t)ts.tv_sec * 1000003u + (uint64_t)ts.tv_nsec;
    if (given && *given)
        seed = strtoull(given, NULL, 0);
    seed |= seed == 0;
    fprintf(stderr, "%s: SEED=%llu\n", test, (unsigned long long)seed);
    return seed;
}

uint32_t unit_below(uint64_t *seed, uint32_t n)
{
    return (uint32_t)(gt_rand(seed) >> 16) % n;
}

pthread_t unit_start(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    ck_assert_int_eq(pthread_create(&t, NULL, fn, arg), 0);
    return t;
}

void *unit_join(pthread_t t)
{
    void *r;
    ck_assert_int_eq(pthread_join(t, &r), 0);
    return r;
}
