/* SPDX-License-Identifier: BSD-2-Clause */
/* The object's face to the dynamic linker and to glibc's objects.
 *
 * - every name in interpose/symbols.def is what a program gets, by a linked reference and by dlsym;
 * - the object exports nothing else, and no version nodes (they would hide a definition from
 *   programs that ask for another version);
 * - sizes and offsets of glibc's objects are those that the interposers rely on. */
#include "tests/run_pair.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 4096 };

static char *listed[NAMES];
static int n_listed;

static struct run run_here(const char *program, int preload)
{
    static char path[4200];
    static const char *argv[] = {path, NULL};
    struct run r = {.argv = argv, .preload = preload && run_object()};

    snprintf(path, sizeof path, "%s/%s", run_own_dir(), program);
    run_program(&r);
    ck_assert_msg(!r.timed_out && r.status == 0, "%s: %s\n%s", program, run_describe(&r),
                  run_err_tail(&r));
    return r;
}

/* Adds a line to a list, as long as there is room. */
static void note(char *list, size_t size, const char *format, ...)
{
    size_t n = strlen(list);
    va_list args;

    va_start(args, format);
    vsnprintf(list + n, size - n, format, args);
    va_end(args);
}

static int is_ours(const char *file)
{
    return strstr(file, "libgothread.so") != NULL;
}

START_TEST(every_name_is_ours)
{
    struct run r = run_here("probe", 1);
    char *save, others[8192] = "";
    int names = 0;

    for (char *l = strtok_r(r.out, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        char name[128], linked[4096], found[4096];

        ck_assert_int_eq(sscanf(l, "%127s %4095s %4095s", name, linked, found), 3);
        /* "-": only old programs can have a reference, the linker makes none now */
        if ((!is_ours(linked) && strcmp(linked, "-") != 0) || !is_ours(found))
            note(others, sizeof others, "%s: linked to %s, found in %s\n", name, linked, found);
        names++;
    }
    ck_assert_int_gt(names, 0);
    ck_assert_msg(!*others, "listed, but a program gets another one:\n%s", others);
    run_free(&r);
}
END_TEST

/* Without the object no name may be ours: the test above can fail. */
START_TEST(plain_names_are_not)
{
    struct run r = run_here("probe", 0);

    ck_assert(!is_ours(r.out));
    ck_assert_msg(*r.out, "interpose/symbols.def was not there when the probe was built");
    run_free(&r);
}
END_TEST

static void read_list(void)
{
    struct run r = run_here("probe", 0); /* its output stays: listed[] points into it */
    char *save;

    for (char *l = strtok_r(r.out, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        ck_assert_int_lt(n_listed, NAMES);
        listed[n_listed++] = strtok(l, " ");
    }
}

static int is_listed(const char *name)
{
    for (int i = 0; i < n_listed; i++)
        if (strcmp(listed[i], name) == 0)
            return 1;
    return 0;
}

START_TEST(nothing_else_is_exported)
{
    char command[4300], line[512];
    char others[8192] = "";
    int exported = 0;
    FILE *f;

    read_list();
    snprintf(command, sizeof command, "nm -D --defined-only '%s'", run_object());
    f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        char type, name[256];

        ck_assert_int_eq(sscanf(line, "%*s %c %255s", &type, name), 2);
        if (strchr(name, '@') || !is_listed(name))
            note(others, sizeof others, "%s\n", name);
        exported++;
    }
    ck_assert_msg(!*others, "exported, but not listed or under a version:\n%s", others);
    ck_assert_int_eq(pclose(f), 0);
    ck_assert_int_gt(exported, 0);
}
END_TEST

#ifdef __x86_64__
static const char objects_x86_64[] =
    "sizes mutex 40 cond 48 rwlock 56 barrier 32 sem 32 once 4 spin 4 attr 56\n"
    "sizes mtx 40 cnd 48 once_flag 4\n"
    "offsets kind 16 wrefs 36 shared 28 flags 48\n"
    "static kinds 0 1 2 3\n"
    "static zero mutex 1 cond 1 rwlock 1 once 1; writer flag 2\n"
    "kind normal 0\n"
    "kind recursive 1\n"
    "kind errorcheck 2\n"
    "kind adaptive 3\n"
    "kind shared 128\n"
    "kind robust 144\n" /* glibc makes every robust mutex a shared one */
    "kind inherit 32\n"
    "kind protect 64\n"
    "kind all 177\n"
    "cond shared 0 monotonic 0: wrefs 0\n"
    "cond shared 0 monotonic 1: wrefs 2\n"
    "cond shared 1 monotonic 0: wrefs 1\n"
    "cond shared 1 monotonic 1: wrefs 3\n"
    "shared 0: rwlock 0 barrier 0 sem 0\n"
    "shared 1: rwlock 1 barrier 1 sem 128\n";
#endif

START_TEST(objects)
{
    struct run plain = run_here("objects", 0), r = run_here("objects", 1);

#ifdef __x86_64__
    ck_assert_str_eq(plain.out, objects_x86_64);
#endif
    ck_assert_str_eq(r.out, plain.out);
    run_free(&plain);
    run_free(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("abi");
    TCase *t = tcase_create("abi");
    SRunner *runner = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_set_timeout(t, run_bound() + 30);
    tcase_add_test(t, plain_names_are_not);
    tcase_add_test(t, objects);
    if (run_object()) {
        tcase_add_test(t, every_name_is_ours);
        tcase_add_test(t, nothing_else_is_exported);
    }
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
