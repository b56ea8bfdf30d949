/* SPDX-License-Identifier: BSD-2-Clause */
/* Bad input and exhaustion: one clear line, and nothing of the program's own work lost.
 *
 * Each case runs tests/fault/victim plain and preloaded at GOMAXPROCS 1 and 2 and compares; with a
 * wrong setting the preloaded run must also say exactly one line about it.  tests/fault/badfree
 * frees what it may not. */
#include "tests/run_pair.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *here(const char *name)
{
    static char path[4200];

    snprintf(path, sizeof path, "%s/%s", run_own_dir(), name);
    return path;
}

static const char *victim(void)
{
    return here("victim");
}

static struct run victim_run(const char *const *argv, const char *const *env, int procs)
{
    struct run r = {.argv = argv, .env = env, .procs = procs, .preload = procs > 0 && run_object()};

    run_program(&r);
    ck_assert_msg(!r.timed_out && r.status == 0, "%s, GOMAXPROCS=%d: %s\n%s", argv[1], procs,
                  run_describe(&r), run_err_tail(&r));
    return r;
}

static int lines(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* What the victim meets, and how many lines the object may say about it: where it can make no
 * goroutines from the start, it says so and threads stay plain. */
static const struct {
    const char *what;
    int lines;
} exhaustion[] = {{"hello", 0},     {"quiet", 0},  {"full-table", 0}, {"full-table-first", 1},
                  {"no-memory", 0}, {"blocked", 0}};

enum { EXHAUSTION = sizeof exhaustion / sizeof exhaustion[0] };

START_TEST(goes_on)
{
    const char *argv[] = {victim(), exhaustion[_i].what, NULL};
    struct run plain = victim_run(argv, NULL, 0);

    for (int procs = 1; procs <= 2; procs++) {
        struct run r = victim_run(argv, NULL, procs);

        ck_assert_str_eq(r.out, plain.out);
        ck_assert_msg(lines(r.err) <= exhaustion[_i].lines, "%s: says\n%s", argv[1], r.err);
        run_free(&r);
    }
    run_free(&plain);
}
END_TEST

/* Few kernel threads to be had: slower, but right. */
START_TEST(few_kernel_threads)
{
    static const char *const limits[] = {"GOTHREAD=maxms=4", "GOTHREAD=maxms=6",
                                         "GOTHREAD=maxms=10"};
    const char *argv[] = {victim(), _i % 2 ? "hello" : "blocked", NULL};
    const char *env[] = {limits[_i / 2], NULL};
    struct run plain = victim_run(argv, NULL, 0);

    for (int procs = 1; procs <= 2; procs++) {
        struct run r = victim_run(argv, env, procs);

        ck_assert_str_eq(r.out, plain.out);
        run_free(&r);
    }
    run_free(&plain);
}
END_TEST

static const struct {
    const char *setting, *word;
} wrong[] = {
    {"GODEBUG=nosuchkey=1", "nosuchkey"},
    {"GODEBUG=schedtrace=soon", "schedtrace"},
    {"GOTHREAD=nosuchkey=1", "nosuchkey"},
    {"GOTHREAD=stack=huge", "stack"},
    {"GOTHREAD=stack=4k", "stack"},
    {"GOTHREAD=yield=101", "yield"},
    {"GOMAXPROCS=abc", "GOMAXPROCS"},
    {"GOMAXPROCS=-3", "GOMAXPROCS"},
    {"GOMAXPROCS=999999999999", "GOMAXPROCS"},
    {"GOTRACEBACK=loud", "GOTRACEBACK"},
};

enum { WRONG = sizeof wrong / sizeof wrong[0] };

START_TEST(wrong_setting)
{
    const char *argv[] = {victim(), "hello", NULL}, *env[] = {wrong[_i].setting, NULL};
    struct run r = {.argv = argv, .env = env, .preload = true};

    run_program(&r);
    ck_assert_msg(!r.timed_out && r.status == 0, "%s: %s\n%s", wrong[_i].setting, run_describe(&r),
                  run_err_tail(&r));
    ck_assert_str_eq(r.out, "sum 4950\n");
    ck_assert_msg(lines(r.err) == 1, "%s: not one line:\n%s", wrong[_i].setting, r.err);
    ck_assert_msg(strstr(r.err, wrong[_i].word), "%s: does not name it: %s", wrong[_i].setting,
                  r.err);
    run_free(&r);
}
END_TEST

/* A file that cannot be written costs a line, not the program's status. */
START_TEST(statistics_nowhere)
{
    const char *argv[] = {victim(), "hello", NULL};
    const char *env[] = {"GOTHREAD=stats=/nonexistent/folder/file", NULL};
    struct run r = {.argv = argv, .env = env, .preload = true};

    run_program(&r);
    ck_assert_msg(!r.timed_out && r.status == 0, "%s\n%s", run_describe(&r), run_err_tail(&r));
    ck_assert_str_eq(r.out, "sum 4950\n");
    ck_assert_int_eq(lines(r.err), 1);
    ck_assert_msg(strstr(r.err, "/nonexistent/folder/file"), "%s", r.err);
    run_free(&r);
}
END_TEST

static void close_standard(void *arg)
{
    for (int fd = 0; fd <= 2; fd++)
        if ((1 << fd) & *(int *)arg)
            close(fd);
}

static void read_result(const char *path, char *text, size_t n)
{
    int fd = open(path, O_RDONLY);
    ssize_t r;

    ck_assert_int_ge(fd, 0);
    r = read(fd, text, n - 1);
    ck_assert_int_ge(r, 0);
    text[r] = '\0';
    close(fd);
    unlink(path);
}

START_TEST(nothing_open)
{
    char path[] = "/tmp/gt-fault-XXXXXX", text[100];
    const char *argv[] = {victim(), "closed", path, NULL};
    int which = 7, fd = mkstemp(path);
    struct run r = {.argv = argv,
                    .before = close_standard,
                    .arg = &which,
                    .procs = _i,
                    .preload = _i > 0 && run_object()};

    ck_assert_int_ge(fd, 0);
    close(fd);
    run_program(&r);
    ck_assert_msg(!r.timed_out && r.status == 0, "%s", run_describe(&r));
    read_result(path, text, sizeof text);
    ck_assert_str_eq(text, "ok: began with nothing open\n");
    run_free(&r);
}
END_TEST

/* One of the three closed: the others still work, also with a wrong setting to complain about. */
START_TEST(one_closed)
{
    int which = 1 << _i;
    const char *argv[] = {victim(), "hello", NULL}, *env[] = {"GODEBUG=nosuchkey=1", NULL};
    struct run r = {.argv = argv,
                    .env = env,
                    .before = close_standard,
                    .arg = &which,
                    .preload = run_object() != NULL};

    run_program(&r);
    ck_assert_msg(!r.timed_out && WIFEXITED(r.status) && WEXITSTATUS(r.status) == 0, "%s",
                  run_describe(&r));
    ck_assert_str_eq(r.out, _i == 1 ? "" : "sum 4950\n");
    ck_assert_int_eq(lines(r.err), run_object() && _i != 2);
    run_free(&r);
}
END_TEST

static void copy_file(const char *from, const char *to)
{
    char block[65536];
    int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_WRONLY, 0755);
    ssize_t n;

    ck_assert_msg(in >= 0 && out >= 0, "%s -> %s", from, to);
    while ((n = read(in, block, sizeof block)) > 0)
        ck_assert_int_eq(write(out, block, (size_t)n), n);
    close(in);
    close(out);
}

/* A wrong free stops the program with one message that names the address and what it is. */
static const struct {
    const char *what, *setting, *says, *is;
} bad_frees[] = {
    {"twice", NULL, "double free", "a free object of 112 bytes"},
    {"twice-apart", NULL, "double free", "a free object of 112 bytes"},
    {"twice-threads", NULL, "double free", "a free object of 112 bytes"},
    {"large-twice", NULL, "double free", "a free object of 303104 bytes"},
    {"huge-twice", NULL, "invalid free", "not mapped"},
    {"inside", NULL, "invalid free", "inside an object in use of 112 bytes (class 7)"},
    {"inside-large", NULL, "invalid free", "inside an object in use of 303104 bytes"},
    {"realloc-freed", NULL, "double free", "a free object of 112 bytes"},
    {"stack", NULL, "invalid free", "[stack]"},
    {"thread-stack", NULL, "invalid free", "on the stack of goroutine 2"},
    {"static", NULL, "invalid free", "not of the heap"},
    {"nowhere", NULL, "invalid free", "not mapped"},
    {"overrun", "GODEBUG=mallocguard=1", "written past the end of a block", "+100"},
    {"twice", "GODEBUG=allocfreetrace=1", "double free", "freed"},
    {"inside", "GODEBUG=allocfreetrace=1", "invalid free", "allocated"},
};

enum { BAD_FREES = sizeof bad_frees / sizeof bad_frees[0] };

START_TEST(bad_free)
{
    const char *argv[] = {here("badfree"), bad_frees[_i].what, NULL};
    const char *env[] = {bad_frees[_i].setting, NULL};
    struct run r = {.argv = argv, .env = env, .preload = true};
    char address[32] = "";

    run_program(&r);
    ck_assert_msg(!r.timed_out && WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGABRT,
                  "%s: %s\n%s", argv[1], run_describe(&r), run_err_tail(&r));
    ck_assert_msg(!strstr(r.out, "goes on"), "%s went on", argv[1]);
    ck_assert_int_eq(sscanf(r.out, "%31s", address), 1);
    ck_assert_msg(strstr(r.err, bad_frees[_i].says) && strstr(r.err, bad_frees[_i].is), "%s: %s",
                  argv[1], r.err);
    if (strcmp(argv[1], "overrun"))
        ck_assert_msg(strstr(r.err, address), "%s: %s not in %s", argv[1], address, r.err);
    run_free(&r);
}
END_TEST

/* A program that is not position-independent and takes malloc's address: it has that of its own PLT
 * entry, and yet the heap is ours. */
START_TEST(bad_free_fixed)
{
    const char *argv[] = {here("badfree_fixed"), "twice", NULL};
    struct run r = {.argv = argv, .preload = true};

    run_program(&r);
    ck_assert_msg(!r.timed_out && WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGABRT, "%s\n%s",
                  run_describe(&r), run_err_tail(&r));
    ck_assert_msg(strstr(r.err, "gothread: double free"), "%s", r.err);
    run_free(&r);
}
END_TEST

START_TEST(clobbered)
{
    const char *argv[] = {here("badfree"), "used-after", NULL};
    const char *env[] = {"GODEBUG=clobberfree=1", NULL};
    struct run r = {.argv = argv, .env = env, .preload = true};

    run_program(&r);
    ck_assert_msg(!r.timed_out && r.status == 0, "%s\n%s", run_describe(&r), run_err_tail(&r));
    ck_assert_str_eq(r.out, "223\ngoes on\n");
    run_free(&r);
}
END_TEST

/* A launcher without its object says so, and does not start the program. */
START_TEST(object_missing)
{
    char dir[] = "/tmp/gt-launcher-XXXXXX", path[64];
    const char *argv[] = {path, victim(), "hello", NULL};
    struct run r = {.argv = argv};

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/gothread", dir);
    copy_file(getenv("GT_LAUNCHER"), path);
    run_program(&r);
    unlink(path);
    rmdir(dir);
    ck_assert_msg(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 125, "%s\n%s", run_describe(&r),
                  r.err);
    ck_assert_str_eq(r.out, "");
    ck_assert_int_eq(lines(r.err), 1);
    ck_assert_msg(strstr(r.err, "libgothread.so"), "%s", r.err);
    run_free(&r);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("fault");
    TCase *t = tcase_create("fault");

    tcase_set_timeout(t, 3 * run_bound() + 30);
    suite_add_tcase(s, t);
    tcase_add_loop_test(t, goes_on, 0, EXHAUSTION);
    tcase_add_loop_test(t, nothing_open, 0, 3);
    tcase_add_loop_test(t, one_closed, 0, 3);
    if (run_object()) {
        tcase_add_loop_test(t, few_kernel_threads, 0, 6);
        tcase_add_loop_test(t, wrong_setting, 0, WRONG);
        tcase_add_test(t, statistics_nowhere);
        tcase_add_loop_test(t, bad_free, 0, BAD_FREES);
        tcase_add_test(t, bad_free_fixed);
        tcase_add_test(t, clobbered);
    }
    if (getenv("GT_LAUNCHER"))
        tcase_add_test(t, object_missing);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(make_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
