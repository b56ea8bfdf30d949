/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs every program of this folder plain, then preloaded at GOMAXPROCS 1, 2 and 4, and compares
 * how it ends and what it prints.  One Check test for each program and each of its runs.
 *
 *   T=pattern        only the programs whose name matches (a shell pattern)
 *   GT_TEST_BOUND=s  seconds that a program may take
 *   GT_SO unset      plain twice: the programs must be right and repeat themselves
 *
 * NAME.env beside a program: lines "KEY=value" for its environment, and "@expect exit=N",
 * "@expect signal=N", "@bound SECONDS" for the suite.  Outputs of a run that failed are kept as
 * NAME.RUN.out and NAME.RUN.err in the folder of the programs. */
#include "tests/run_pair.h"

#include <check.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

static const char *const programs[] = {
#define P(name) name,
#include "programs.inc"
#undef P
};

enum { PROGRAMS = sizeof programs / sizeof programs[0], RUNS = 4, OUT_MAX = 16384, VARS = 16 };

static const int procs_of_run[RUNS] = {0, 1, 2, 4};

/* What the plain run gave, kept in shared memory: each Check test is a process of its own. */
struct plain {
    int good; /* it ended as expected */
    char out[OUT_MAX];
};

static struct plain *plain;

struct sidecar {
    const char *env[VARS + 1];
    int vars, bound_s, exit_status, signal;
    char text[4096];
};

static void take_line(struct sidecar *s, char *line)
{
    if (sscanf(line, "@expect exit=%d", &s->exit_status) == 1 ||
        sscanf(line, "@expect signal=%d", &s->signal) == 1 ||
        sscanf(line, "@bound %d", &s->bound_s) == 1)
        return;
    ck_assert_msg(*line != '@' && strchr(line, '='), "strange line in a .env file: %s", line);
    ck_assert_int_lt(s->vars, VARS);
    s->env[s->vars++] = line;
}

static void read_sidecar(const char *name, struct sidecar *s)
{
    char path[4200];
    FILE *f;
    size_t n;

    memset(s, 0, sizeof *s);
    snprintf(path, sizeof path, "%s/%s.env", run_own_dir(), name);
    f = fopen(path, "r");
    if (!f)
        return;
    n = fread(s->text, 1, sizeof s->text - 1, f);
    s->text[n] = '\0';
    fclose(f);
    for (char *line = strtok(s->text, "\n"); line; line = strtok(NULL, "\n"))
        take_line(s, line);
}

/* Keeps an output of a run that failed; without text removes what an earlier one left. */
static void keep(const char *name, int run, const char *what, const char *text)
{
    char path[4300];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s.%s%d.%s", run_own_dir(), name, run ? "p" : "plain",
             procs_of_run[run], what);
    f = text ? fopen(path, "w") : NULL;
    if (f) {
        fputs(text, f);
        fclose(f);
    } else {
        remove(path);
    }
}

static int ended_as_expected(const struct run *r, const struct sidecar *s)
{
    if (r->timed_out)
        return 0;
    if (s->signal)
        return WIFSIGNALED(r->status) && WTERMSIG(r->status) == s->signal;
    return WIFEXITED(r->status) && WEXITSTATUS(r->status) == s->exit_status;
}

/* The plain run must end as expected; each later one like it, with the same output. */
static void judge(int program, int run, const struct run *r, const struct sidecar *s)
{
    struct plain *p = &plain[program];
    const char *name = programs[program], *how = !run           ? "plain"
                                                 : run_object() ? "preloaded"
                                                                : "plain again";
    int good = ended_as_expected(r, s), same;

    if (run == 0) {
        ck_assert_uint_lt(r->out_len, OUT_MAX);
        strcpy(p->out, r->out);
        p->good = good;
    } else {
        ck_assert_msg(p->good, "%s: its plain run failed", name);
    }
    same = good && strcmp(p->out, r->out) == 0;
    keep(name, run, "out", same ? NULL : r->out);
    keep(name, run, "err", same ? NULL : r->err);
    if (same)
        return;
    ck_assert_msg(good, "%s, %s, GOMAXPROCS=%d: %s\n%s", name, how, procs_of_run[run],
                  run_describe(r), run_err_tail(r));
    const char *got = r->out, *want = p->out; /* from the line on that differs */
    for (const char *a = got, *b = want; *a && *a == *b; a++, b++)
        if (*a == '\n')
            got = a + 1, want = b + 1;
    ck_abort_msg("%s, %s, GOMAXPROCS=%d: other output than plain:\n%.500s\n-- plain:\n%.500s", name,
                 how, procs_of_run[run], got, want);
}

START_TEST(one_run)
{
    int program = _i / RUNS, run = _i % RUNS;
    struct sidecar s;
    char path[4200];
    const char *argv[] = {path, NULL};
    struct run r = {.argv = argv, .preload = run > 0 && run_object()};

    read_sidecar(programs[program], &s);
    snprintf(path, sizeof path, "%s/%s", run_own_dir(), programs[program]);
    r.env = s.env;
    r.procs = procs_of_run[run];
    r.bound_s = s.bound_s;
    run_program(&r);
    judge(program, run, &r, &s);
    run_free(&r);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("pthread");
    TCase *t = tcase_create("programs");
    const char *only = getenv("T");
    int runs = run_object() ? RUNS : 2;

    tcase_set_timeout(t, 4 * run_bound() + 30);
    for (int i = 0; i < PROGRAMS; i++)
        if (!only || !*only || fnmatch(only, programs[i], 0) == 0)
            tcase_add_loop_test(t, one_run, i * RUNS, i * RUNS + runs);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *runner;
    int failed;

    plain = mmap(NULL, PROGRAMS * sizeof *plain, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (plain == MAP_FAILED)
        return 2;
    if (!run_object())
        fprintf(stderr, "pthread: GT_SO is not set, so every program runs plain twice\n");
    runner = srunner_create(make_suite());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
