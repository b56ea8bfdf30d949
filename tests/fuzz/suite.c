/* SPDX-License-Identifier: BSD-2-Clause */
/* The allocation fuzzer, short: plain and preloaded, with and without threads, with little address
 * space, and with the Nth call for memory failing.  FUZZ_SEED repeats a run. */
#include "tests/run_pair.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { ARGS = 12, SKIP = 77 };

struct mode {
    int procs; /* 0: plain */
    const char *env, *args;
};

#define GO "GOTHREAD=malloc=go"

static const struct mode modes[] = {
    {0, NULL, "--threads 0 --ops 60000"},
    {0, NULL, "--threads 4 --ops 20000"},
    {0, NULL, "--threads 4 --ops 20000 --limit 48"},
    {2, GO, "--threads 0 --ops 100000"},
    {1, GO, "--threads 4 --ops 40000"},
    {2, GO, "--threads 4 --ops 40000"},
    {4, GO, "--threads 16 --ops 10000"},
    {2, GO ",off", "--threads 4 --ops 40000"},
    {2, GO ",yield=10", "--threads 8 --ops 5000"},
    {2, GO, "--threads 0 --ops 40000 --limit 48"},
    {2, GO, "--threads 4 --ops 20000 --limit 200"},
    {2, "GOTHREAD=malloc=libc", "--threads 4 --ops 20000 --no-fork"},
};

/* The Nth call fails, for N from 1 up to each of these sizes of step; the last has many fail. */
static const struct mode failing[] = {
    {0, NULL, "--threads 2 --ops 1500 --no-fork"},
    {2, GO, "--threads 0 --ops 1500"},
    {2, GO, "--threads 2 --ops 1500"},
    {2, GO, "--threads 2 --ops 1500 --fail-count 50"},
};

enum { MODES = sizeof modes / sizeof modes[0], FAILING = sizeof failing / sizeof failing[0] };

static char seed[32];

/* Runs the fuzzer; more is put behind the mode's arguments.  Returns its exit status, 0 or SKIP. */
static int fuzz(const struct mode *m, const char *more, char *out, size_t size)
{
    const char *argv[ARGS * 2] = {0}, *env[] = {m->env, NULL};
    char path[4200], line[256];
    struct run r = {.argv = argv, .env = env, .procs = m->procs};
    int n = 0;

    r.preload = m->procs > 0 && run_object();
    snprintf(path, sizeof path, "%s/fuzz", run_own_dir());
    snprintf(line, sizeof line, "--seed %s %s %s", seed, m->args, more);
    argv[n++] = path;
    for (char *w = strtok(line, " "); w && n < 2 * ARGS - 1; w = strtok(NULL, " "))
        argv[n++] = w;
    run_program(&r);
    if (WIFEXITED(r.status) && WEXITSTATUS(r.status) == SKIP && !r.timed_out) {
        run_free(&r);
        return SKIP;
    }
    ck_assert_msg(!r.timed_out && r.status == 0, "fuzz --seed %s %s %s, GOMAXPROCS=%d %s: %s\n%s%s",
                  seed, m->args, more, m->procs, m->env ? m->env : "", run_describe(&r), r.out,
                  run_err_tail(&r));
    ck_assert_msg(strstr(r.out, "\nok: "), "%s", r.out);
    snprintf(out, size, "%s", r.out);
    run_free(&r);
    return 0;
}

START_TEST(short_run)
{
    char out[512];

    fuzz(&modes[_i], "", out, sizeof out);
}
END_TEST

/* Each of the first calls, then fewer and fewer, until a run has less than N. */
START_TEST(nth_call_fails)
{
    char out[512], more[64];
    long calls;

    for (long n = 1, step = 1;; n += step) {
        snprintf(more, sizeof more, "--fail-nth %ld", n);
        if (fuzz(&failing[_i], more, out, sizeof out) == SKIP)
            return;
        ck_assert_msg(sscanf(strstr(out, "calls"), "calls %ld", &calls) == 1, "%s", out);
        if (calls < n)
            return;
        if (n >= 20)
            step = n / 8;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fuzz");
    TCase *t = tcase_create("malloc");
    SRunner *runner = srunner_create(s);
    const char *given = getenv("FUZZ_SEED");
    int failed;

    snprintf(seed, sizeof seed, "%s", given && *given ? given : "");
    if (!*seed)
        snprintf(seed, sizeof seed, "%ld", (long)time(NULL) & 0xffffff);
    printf("fuzz seed %s\n", seed);
    tcase_set_timeout(t, 3 * run_bound());
    tcase_add_loop_test(t, short_run, 0, MODES);
    tcase_add_loop_test(t, nth_call_fails, 0, FAILING);
    suite_add_tcase(s, t);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
