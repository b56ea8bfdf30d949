/* SPDX-License-Identifier: BSD-2-Clause */
/* The stress program, small: a few seconds plain and preloaded at GOMAXPROCS 1, 2 and 4, with and
 * without random yields.  GT_STRESS_SEED repeats a run. */
#include "tests/run_pair.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    int procs;
    const char *threads, *env;
} runs[] = {
    {0, "1000", NULL}, /* the plain one */
    {1, "2000", NULL}, {2, "2000", NULL}, {4, "2000", NULL}, {2, "500", "GOTHREAD=yield=5"},
};

enum { RUNS = sizeof runs / sizeof runs[0] };

static char seed[32];

START_TEST(small)
{
    const char *env[] = {runs[_i].env, NULL};
    char path[4200];
    const char *argv[] = {path,        "--seed", seed, "--threads", runs[_i].threads,
                          "--seconds", "3",      NULL};
    struct run r = {
        .argv = argv, .env = env, .procs = runs[_i].procs, .preload = _i > 0 && run_object()};

    snprintf(path, sizeof path, "%s/stress", run_own_dir());
    run_program(&r);
    ck_assert_msg(!r.timed_out && r.status == 0, "seed %s, GOMAXPROCS=%d: %s\n%s", seed, r.procs,
                  run_describe(&r), run_err_tail(&r));
    ck_assert_msg(strstr(r.out, "ok: every sum is right\n"), "seed %s: %s", seed, r.out);
    run_free(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stress");
    TCase *t = tcase_create("small");
    SRunner *runner = srunner_create(s);
    const char *given = getenv("GT_STRESS_SEED");
    int failed;

    snprintf(seed, sizeof seed, "%s", given ? given : "");
    if (!given)
        snprintf(seed, sizeof seed, "%ld", (long)time(NULL) & 0xffffff);
    printf("stress seed %s\n", seed);
    tcase_set_timeout(t, run_bound() + 30);
    tcase_add_loop_test(t, small, 0, run_object() ? RUNS : 1);
    suite_add_tcase(s, t);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
