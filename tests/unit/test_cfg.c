/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration parser: every default, every type, each wrong input, and what it says of it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/kit/cfg.h"

static struct gt_cfg c;
static char said[8][GT_CFG_LINE_MAX];
static int n_said;

static void listen(void *arg, const char *line)
{
    ck_assert_ptr_eq(arg, said);
    ck_assert_int_lt(n_said, 8);
    snprintf(said[n_said++], GT_CFG_LINE_MAX, "%s", line);
}

/* Parses up to two entries; the lines said are in said[]. */
static void parse(const char *a, const char *b)
{
    char *env[] = {(char *)(a != NULL ? a : b), (char *)(a != NULL ? b : NULL), NULL};
    n_said = 0;
    memset(&c, 0x5a, sizeof c); /* every field has to be written */
    gt_cfg_parse(&c, env, listen, said);
}

static void parse_quietly(const char *entry)
{
    parse(entry, NULL);
    ck_assert_msg(n_said == 0, "%s: %s", entry, said[0]);
}

static void expect_line(const char *entry, const char *line)
{
    parse(entry, NULL);
    ck_assert_int_eq(n_said, 1);
    ck_assert_str_eq(said[0], line);
}

static void expect_defaults(void)
{
    ck_assert_int_eq(c.gomaxprocs, 0);
    ck_assert_int_eq(c.gogc, 100);
    ck_assert_uint_eq(c.gomemlimit, INT64_MAX);
    ck_assert_int_eq(c.gotraceback, GT_TRACEBACK_ALL);
    ck_assert_int_eq(c.schedtrace_ms, 0);
    ck_assert(!c.scheddetail && !c.asyncpreemptoff && !c.allocfreetrace && !c.clobberfree);
    ck_assert(c.madvdontneed && !c.gccheckmark);
    ck_assert_int_eq(c.gctrace, 0);
    ck_assert_int_eq(c.tracebackancestors, 0);
    ck_assert_str_eq(c.stats, "");
    ck_assert_str_eq(c.symbolizer, "");
    ck_assert_uint_eq(c.stack, 0);
    ck_assert_uint_eq(c.seed, 0);
    ck_assert_int_eq(c.yield_pct, 0);
    ck_assert_int_eq(c.maxms, 0);
    ck_assert(!c.off && !c.verbose);
}

START_TEST(test_defaults)
{
    parse_quietly(NULL);
    expect_defaults();
    gt_cfg_parse(&c, NULL, NULL, NULL);
    expect_defaults();
    parse_quietly("GOMAXPROCS=");
    expect_defaults();
    parse_quietly("GODEBUG=");
    parse_quietly("GOTHREAD=,,");
    expect_defaults();
    parse_quietly("GOTHREADS=off=1"); /* somebody else's */
    parse_quietly("GOTHREAD");        /* an entry without a value */
    expect_defaults();
}
END_TEST

START_TEST(test_variables)
{
    parse_quietly("GOMAXPROCS=1");
    ck_assert_int_eq(c.gomaxprocs, 1);
    parse_quietly("GOMAXPROCS=1024");
    ck_assert_int_eq(c.gomaxprocs, 1024);
    parse_quietly("GOMAXPROCS=auto");
    ck_assert_int_eq(c.gomaxprocs, 0);
    parse_quietly("GOGC=off");
    ck_assert_int_eq(c.gogc, -1);
    parse_quietly("GOGC=50");
    ck_assert_int_eq(c.gogc, 50);
    parse_quietly("GOMEMLIMIT=off");
    ck_assert_uint_eq(c.gomemlimit, INT64_MAX);
    parse("GOMAXPROCS=3", "GOMAXPROCS=4"); /* getenv would find the first */
    ck_assert_int_eq(c.gomaxprocs, 3);
    parse("GOMAXPROCS=3", "GODEBUG=schedtrace=5");
    ck_assert_int_eq(c.gomaxprocs, 3);
    ck_assert_int_eq(c.schedtrace_ms, 5);
}
END_TEST

START_TEST(test_traceback_words)
{
    static const char *const words[] = {"none",   "0", "single", "all", "1",
                                        "system", "2", "crash",  NULL};
    static const int values[] = {GT_TRACEBACK_NONE,   GT_TRACEBACK_NONE, GT_TRACEBACK_SINGLE,
                                 GT_TRACEBACK_ALL,    GT_TRACEBACK_ALL,  GT_TRACEBACK_SYSTEM,
                                 GT_TRACEBACK_SYSTEM, GT_TRACEBACK_CRASH};
    char entry[64];
    for (int i = 0; words[i] != NULL; i++) {
        snprintf(entry, sizeof entry, "GOTRACEBACK=%s", words[i]);
        parse_quietly(entry);
        ck_assert_int_eq(c.gotraceback, values[i]);
    }
}
END_TEST

START_TEST(test_sizes)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"16384", 16384},  {"16384B", 16384},         {"64k", 65536},
                {"64K", 65536},    {"64KB", 65536},           {"64KiB", 65536},
                {"3m", 3 << 20},   {"3MiB", 3 << 20},         {"1g", 1 << 30},
                {"1GiB", 1 << 30}, {"1t", UINT64_C(1) << 40}, {"0", 0},
                {"rlimit", 0},     {"000065536", 65536}};
    static const char *const bad[] = {"",
                                      "k",
                                      "64x",
                                      "64kk",
                                      "64 k",
                                      "-1",
                                      "16383",
                                      "1.5m",
                                      "2t",
                                      "64ki",
                                      "64KiBs",
                                      "0x10000",
                                      "9223372036854775807g",
                                      "99999999999999999999"};
    char entry[80];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(entry, sizeof entry, "GOTHREAD=stack=%s", good[i].text);
        parse_quietly(entry);
        ck_assert_msg(c.stack == good[i].value, "%s: %zu", entry, c.stack);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(entry, sizeof entry, "GOTHREAD=stack=%s", bad[i]);
        parse(entry, NULL);
        ck_assert_msg(n_said == 1 && c.stack == 0, "%s: %d lines, %zu", entry, n_said, c.stack);
    }
}
END_TEST

START_TEST(test_numbers)
{
    parse_quietly("GODEBUG=schedtrace=1000,scheddetail=1");
    ck_assert_int_eq(c.schedtrace_ms, 1000);
    ck_assert(c.scheddetail);
    parse_quietly("GODEBUG=schedtrace=20ms");
    ck_assert_int_eq(c.schedtrace_ms, 20);
    parse_quietly("GODEBUG=schedtrace=2s");
    ck_assert_int_eq(c.schedtrace_ms, 2000);
    parse_quietly("GOTHREAD=seed=18446744073709551615,yield=100,maxms=40");
    ck_assert_uint_eq(c.seed, UINT64_MAX);
    ck_assert_int_eq(c.yield_pct, 100);
    ck_assert_int_eq(c.maxms, 40);
    parse_quietly("GOTHREAD=maxms=none");
    ck_assert_int_eq(c.maxms, 0);
}
END_TEST

START_TEST(test_bools)
{
    static const char *const yes[] = {"off", "off=1", "off=on", "off=yes", "off=true"};
    static const char *const no[] = {"off=0", "off=off", "off=no", "off=false"};
    char entry[64];
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        snprintf(entry, sizeof entry, "GOTHREAD=%s", yes[i]);
        parse_quietly(entry);
        ck_assert_msg(c.off, "%s", entry);
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        snprintf(entry, sizeof entry, "GOTHREAD=off,%s", no[i]); /* the last one counts */
        parse_quietly(entry);
        ck_assert_msg(!c.off, "%s", entry);
    }
}
END_TEST

START_TEST(test_strings)
{
    char entry[400];
    parse_quietly("GOTHREAD=stats=/tmp/a=b c,symbolizer=/usr/bin/x");
    ck_assert_str_eq(c.stats, "/tmp/a=b c");
    ck_assert_str_eq(c.symbolizer, "/usr/bin/x");
    parse_quietly("GOTHREAD=stats");
    ck_assert_str_eq(c.stats, "-");
    parse_quietly("GOTHREAD=stats=1");
    ck_assert_str_eq(c.stats, "-");
    parse_quietly("GOTHREAD=stats=/x,stats=0");
    ck_assert_str_eq(c.stats, "");
    parse_quietly("GOTHREAD=symbolizer=1");
    ck_assert_str_eq(c.symbolizer, "1");

    snprintf(entry, sizeof entry, "GOTHREAD=stats=%0255d", 0);
    parse_quietly(entry);
    ck_assert_uint_eq(strlen(c.stats), 255);
    snprintf(entry, sizeof entry, "GOTHREAD=stats=%0256d", 0);
    parse(entry, NULL);
    ck_assert_int_eq(n_said, 1);
    ck_assert_str_eq(c.stats, "");
    ck_assert_ptr_nonnull(strstr(said[0], "0...\" ignored: want a path"));
}
END_TEST

START_TEST(test_bad_gomaxprocs)
{
    static const char *const bad[] = {"abc", "0",  "-3", "99999999", "1025",
                                      "4x",  " 4", "-",  "+4",       "99999999999999999999999"};
    char entry[80], line[200];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(entry, sizeof entry, "GOMAXPROCS=%s", bad[i]);
        snprintf(line, sizeof line,
                 "GOMAXPROCS=\"%s\" ignored: want 1..1024 or auto; keeping \"auto\"", bad[i]);
        expect_line(entry, line);
        expect_defaults();
    }
}
END_TEST

START_TEST(test_bad_values)
{
    expect_line("GOTRACEBACK=loud", "GOTRACEBACK=\"loud\" ignored: want none, single, all, system "
                                    "or crash; keeping \"all\"");
    expect_line("GOGC=-2", "GOGC=\"-2\" ignored: want -1..2147483647 or off; keeping \"100\"");
    expect_line("GODEBUG=schedtrace=often", "GODEBUG: schedtrace=\"often\" ignored: want "
                                            "0..86400000 ms or off; keeping \"off\"");
    expect_line("GODEBUG=scheddetail=2",
                "GODEBUG: scheddetail=\"2\" ignored: want 0 or 1; keeping \"0\"");
    expect_line("GOTHREAD=stack=4k", "GOTHREAD: stack=\"4k\" ignored: want a size (k, m, g or t at "
                                     "the end) of at least 16KiB or rlimit; keeping \"rlimit\"");
    expect_line("GOTHREAD=seed", "GOTHREAD: seed=\"\" ignored: want 0..18446744073709551615; "
                                 "keeping \"0\"");
    expect_line("GOTHREAD=seed=-1", "GOTHREAD: seed=\"-1\" ignored: want 0..18446744073709551615; "
                                    "keeping \"0\"");
    expect_line("GOTHREAD=symbolizer", "GOTHREAD: symbolizer=\"\" ignored: want a path of at most "
                                       "255 bytes, without a comma; keeping \"\"");
    expect_line("GOTHREAD=yield=101",
                "GOTHREAD: yield=\"101\" ignored: want 0..100; keeping \"0\"");
    expect_line("GOTHREAD=seed=5,seed=x", "GOTHREAD: seed=\"x\" ignored: want "
                                          "0..18446744073709551615; keeping \"5\"");
    ck_assert_uint_eq(c.seed, 5);
    expect_line("GOMAXPROCS=\033[1m\n",
                "GOMAXPROCS=\"?[1m?\" ignored: want 1..1024 or auto; keeping \"auto\"");
}
END_TEST

START_TEST(test_unknown_keys)
{
    expect_line("GODEBUG=schedtrce=1",
                "GODEBUG: unknown key \"schedtrce\" ignored; the nearest is schedtrace");
    expect_line("GOTHREAD=stat=-", "GOTHREAD: unknown key \"stat\" ignored; the nearest is stats");
    expect_line("GOTHREAD=gctrace=1",
                "GOTHREAD: unknown key \"gctrace\" ignored; the nearest is gctrace of GODEBUG");
    expect_line("GODEBUG=Stack=1m",
                "GODEBUG: unknown key \"Stack\" ignored; the nearest is stack of GOTHREAD");
    expect_line("GOTHREAD==5", "GOTHREAD: unknown key \"\" ignored; the nearest is off");
    parse("GOTHREAD=sead=1,seed=2,yeld=3", "GODEBUG=x=1");
    ck_assert_int_eq(n_said, 3);
    ck_assert_uint_eq(c.seed, 2);
}
END_TEST

START_TEST(test_long_key_is_cut)
{
    char entry[2000];
    snprintf(entry, sizeof entry, "GOTHREAD=%01500d=1", 0);
    parse(entry, NULL);
    ck_assert_int_eq(n_said, 1);
    ck_assert_uint_lt(strlen(said[0]), 160);
    ck_assert_ptr_nonnull(strstr(said[0], "000...\" ignored; the nearest is "));
}
END_TEST

START_TEST(test_inert_keys)
{
    expect_line("GODEBUG=gctrace=1",
                "GODEBUG: gctrace is accepted but has no effect in this version");
    ck_assert_int_eq(c.gctrace, 1);
    expect_line("GODEBUG=gccheckmark=1,gccheckmark=1",
                "GODEBUG: gccheckmark is accepted but has no effect in this version");
    expect_line("GODEBUG=tracebackancestors=5",
                "GODEBUG: tracebackancestors is accepted but has no effect in this version");
    parse_quietly("GODEBUG=gctrace=0,allocfreetrace=1,madvdontneed=0,clobberfree=1,gccheckmark=0");
    parse_quietly("GODEBUG=tracebackancestors=0");
    parse_quietly("GOMEMLIMIT=1GiB"); /* the help says so; Go programs' environments have it */
    ck_assert_uint_eq(c.gomemlimit, 1 << 30);
}
END_TEST

START_TEST(test_no_warner)
{
    char *env[] = {(char *)"GOMAXPROCS=abc", (char *)"GODEBUG=gctrace=1,x=2",
                   (char *)"GOTHREAD=seed=x", NULL};
    gt_cfg_parse(&c, env, NULL, NULL);
    c.gctrace = 0;
    expect_defaults();
}
END_TEST

/* What is printed can be set again, and then prints the same. */
START_TEST(test_print_and_parse)
{
    static const char *const entries[] = {"GOMAXPROCS=7",
                                          "GOGC=off",
                                          "GOMEMLIMIT=3MiB",
                                          "GOTRACEBACK=crash",
                                          "GODEBUG=schedtrace=1500ms",
                                          "GODEBUG=scheddetail=1",
                                          "GOTHREAD=stats=/x",
                                          "GOTHREAD=stack=20001",
                                          "GOTHREAD=off=1",
                                          "GOTHREAD=seed=18446744073709551615"};
    char line[GT_CFG_LINE_MAX];
    for (size_t e = 0; e < sizeof entries / sizeof entries[0]; e++) {
        int found = 0, changed = 0;
        parse_quietly(entries[e]);
        for (size_t i = 0; gt_cfg_describe(&c, i, line, sizeof line) > 0; i++) {
            found += strcmp(line, entries[e]) == 0;
            changed += strstr(line, " (default)") == NULL;
        }
        ck_assert_msg(found == 1 && changed == 1, "%s: %d %d", entries[e], found, changed);
    }
}
END_TEST

START_TEST(test_small_buffers)
{
    char buf[8];
    parse_quietly(NULL);
    memset(buf, 'x', sizeof buf);
    ck_assert_uint_eq(gt_cfg_describe(&c, 0, buf, 5), 4);
    ck_assert_str_eq(buf, "GOMA");
    ck_assert_int_eq(buf[5], 'x');
    ck_assert_uint_eq(gt_cfg_describe(&c, 0, NULL, 0), 0);
    ck_assert_uint_eq(gt_cfg_value(&c, 0, buf, sizeof buf), 4);
    ck_assert_str_eq(buf, "auto");
    ck_assert_uint_eq(gt_cfg_value(&c, 1000, buf, sizeof buf), 0);
    ck_assert_str_eq(buf, "");
    ck_assert_ptr_null(gt_cfg_row(1000));
    ck_assert_uint_eq(gt_cfg_describe(&c, 1000, buf, sizeof buf), 0);
    ck_assert_uint_eq(gt_cfg_accepts(1000, buf, sizeof buf), 0);
}
END_TEST

START_TEST(test_table)
{
    const struct gt_cfg_row *r;
    char buf[GT_CFG_LINE_MAX];
    parse_quietly(NULL);
    for (size_t i = 0; (r = gt_cfg_row(i)) != NULL; i++) {
        ck_assert_msg(strlen(r->help) > 10, "%s %s: no help", r->var, r->key);
        ck_assert_uint_gt(gt_cfg_describe(&c, i, buf, sizeof buf), 0);
        ck_assert_msg(strstr(buf, " (default)") != NULL, "%s: not as its row spells it", buf);
    }
}
END_TEST

/* The parser runs before libc and below what is interposed: its object file calls nothing. Names
 * that begin with two underscores are the compiler's (a sanitizer's, say). */
START_TEST(test_calls_nothing)
{
    char self[1024], command[1200], line[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    ck_assert_int_gt(n, 0);
    self[n] = '\0';
    for (int up = 0; up < 3; up++)
        *strrchr(self, '/') = '\0';
    snprintf(command, sizeof command, "nm '%s/launcher/core/kit/cfg.o'", self);
    FILE *p = popen(command, "r");
    int defined = 0;
    while (fgets(line, sizeof line, p) != NULL) {
        const char *undefined = strstr(line, " U ");
        defined += strstr(line, " T gt_cfg_parse\n") != NULL;
        ck_assert_msg(undefined == NULL || undefined[3] == '_', "calls %s", line);
    }
    ck_assert_int_eq(pclose(p), 0);
    ck_assert_int_eq(defined, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cfg");
    TCase *t = tcase_create("cfg");
    tcase_add_test(t, test_defaults);
    tcase_add_test(t, test_variables);
    tcase_add_test(t, test_traceback_words);
    tcase_add_test(t, test_sizes);
    tcase_add_test(t, test_numbers);
    tcase_add_test(t, test_bools);
    tcase_add_test(t, test_strings);
    tcase_add_test(t, test_bad_gomaxprocs);
    tcase_add_test(t, test_bad_values);
    tcase_add_test(t, test_unknown_keys);
    tcase_add_test(t, test_long_key_is_cut);
    tcase_add_test(t, test_inert_keys);
    tcase_add_test(t, test_no_warner);
    tcase_add_test(t, test_print_and_parse);
    tcase_add_test(t, test_small_buffers);
    tcase_add_test(t, test_table);
    tcase_add_test(t, test_calls_nothing);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
