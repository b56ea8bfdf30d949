/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `make bench-malloc`: time and peak memory of allocator workloads and of real programs under each
 * allocator, preloaded in turn.  A round runs a subject once under every allocator, beginning with
 * another one each time, so that all see the same machine; the figures are medians of the rounds.
 * Two tables in Markdown, time and peak RSS, go to the terminal and to build/bench_malloc.txt.
 *
 * gothread has two columns: its allocator alone (off: threads stay kernel threads), and
 * under goroutines.  A subject without threads never starts the scheduler, so it runs once for
 * both.
 *
 * "best" is the best of the four others; the ratio behind a figure of gothread is to it, less is
 * better.  The geometric means are of the ratios to glibc, over all subjects that every column has.
 *
 * Run from the repository's root.  Environment:
 *     GT_SO        the object to preload; unset: only the others are run
 *     BENCH        shell patterns with commas: the subjects to run; all
 *     PAIRS        rounds (5)
 *     PERCENT      amount of work, but the servers' (100)
 *     BENCH_CLOCK  wall (the default), or cpu: user and system time, for a machine that is not idle
 *     BENCH_STRICT 1: a missed target is a failure
 * Exit status: 1 when a run failed; a missed target is only marked.
 */
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/harness.h"

#define DIR    BENCH_BUILD "/bench_malloc/"
#define WORK   DIR "work"
#define REPORT BENCH_BUILD "/bench_malloc.txt"

enum { MAX_PAIRS = 99, OTHERS = 4, ARGS = 8, BOUND_S = 300 };
enum { GLIBC, JEMALLOC, TCMALLOC, MIMALLOC, GT_PLAIN, GT_GOROUTINES, COLUMNS };
enum { TIME, RSS, METRICS };

static struct {
    const char *name, *pattern; /* where its object is */
    const char *knobs;          /* GOTHREAD */
    char *object;               /* to preload; NULL: nothing, or the column is missing */
    int there;
} columns[COLUMNS] = {
    [GLIBC] = {.name = "glibc", .there = 1},
    [JEMALLOC] = {.name = "jemalloc", .pattern = "/usr/lib/*/libjemalloc.so.2"},
    [TCMALLOC] = {.name = "tcmalloc", .pattern = "/usr/lib/*/libtcmalloc_minimal.so.4"},
    [MIMALLOC] = {.name = "mimalloc", .pattern = "/usr/lib/*/libmimalloc.so.2*"},
    [GT_PLAIN] = {.name = "gothread", .knobs = "malloc=go,off"},
    [GT_GOROUTINES] = {.name = "goroutines", .knobs = "malloc=go"},
};

/* In argv, "@NAME" is the input file that `gen` makes by the row of inputs; "%" is PERCENT. */
struct subject {
    const char *name, *what;
    int threads; /* it has some */
    const char *argv[ARGS];
};

#define OWN(name, threads, what)                                                                   \
    {                                                                                              \
        name, what, threads,                                                                       \
        {                                                                                          \
            WORK, name, "%"                                                                        \
        }                                                                                          \
    }
#define SERVER(name, what)                                                                         \
    {                                                                                              \
        name, what, 1,                                                                             \
        {                                                                                          \
            "tests/bench_malloc/server.sh", name, DIR "data"                                       \
        }                                                                                          \
    }

#define BUILD_AND_DROP                                                                             \
    "a = [(i, str(i)) for i in range(1250000)]\n"                                                  \
    "d = {i: [i] for i in range(600000)}\n"                                                        \
    "del a, d\n"

/* clang-format off */
static const struct subject subjects[] = {
    OWN("simple", 0, "one size at a time"),
    OWN("thread", 1, "random slots, 4 threads"),
    OWN("larson", 1, "blocks handed to new threads"),
    OWN("xmalloc", 1, "2 producers, 2 consumers"),
    OWN("mstress", 1, "kept and swapped, 4 threads"),
    OWN("rptest", 1, "half freed by others"),
    OWN("cache_scratch", 1, "passive false sharing"),
    OWN("cache_thrash", 1, "active false sharing"),
    OWN("sh6", 0, "small sizes of all ages"),
    OWN("sh8", 1, "the same in 4 threads"),
    OWN("calloc", 0, "arrays that are read"),
    OWN("realloc", 0, "strings and vectors that grow"),
    OWN("large", 0, "32 KiB to 8 MiB"),
    OWN("alloc_test_1", 0, "2^16 slots"),
    OWN("alloc_test_n", 1, "2^16 slots each, 4 threads"),
    {"python", "builds and drops 5 million objects", 0,
     {"env", "PYTHONMALLOC=malloc", "/usr/bin/python3", "-S", "-c", BUILD_AND_DROP}},
    {"cc1", "gcc -O2, 100 functions", 0, {"cc1", "-quiet", "-O2", "@source", "-o", "/dev/null"}},
    {"sort", "1 GB", 1, {"sort", "--parallel=2", "-o", DIR "data/sorted", "@lines"}},
    SERVER("redis", "redis-benchmark"),
    SERVER("mariadbd", "sysbench oltp_read_write, 16 threads"),
};

static const struct { const char *name, *kind; int amount; } inputs[] = {
    {"@source", "source", 100},
    {"@lines", "lines", 1024},
};
/* clang-format on */

enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };

static double values[SUBJECTS][METRICS][COLUMNS][MAX_PAIRS];
static double medians[SUBJECTS][METRICS][COLUMNS]; /* 0: none */
static int pairs = 5, by_cpu, failures, misses;
static const char *percent = "100";

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- one run ---- */

struct figures {
    double wall_s, cpu_s, rss_kb;
};

/* Waits for the end of a child and reads what the kernel says it used, its own children included.
 * Returns the exit status, 128 + signal, or -1 when it had to be killed. */
static int take(struct child *child, struct figures *f)
{
    struct rusage ru;
    int status, timed_out = 0, fd = pidfd_open(child->pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (fd >= 0 && poll(&p, 1, BOUND_S * 1000) == 0) {
        timed_out = 1;
        kill(child->pid, SIGKILL);
    }
    wait4(child->pid, &status, 0, &ru);
    if (fd >= 0)
        close(fd);
    f->cpu_s = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
               (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
    f->rss_kb = (double)ru.ru_maxrss;
    if (timed_out)
        return -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The compiler proper, without the driver that starts it. */
static const char *cc1(void)
{
    static char path[512];
    FILE *f = path[0] ? NULL : popen("gcc -print-prog-name=cc1 2>/dev/null", "re");

    if (f) {
        if (!fgets(path, sizeof path, f))
            path[0] = '\0';
        path[strcspn(path, "\n")] = '\0';
        pclose(f);
    }
    return path;
}

/* The file that an argument "@NAME" stands for; made when it is not there. */
static const char *input(const char *name)
{
    static char path[sizeof inputs / sizeof inputs[0]][256];
    char command[1024];
    size_t i = 0;
    int amount;

    while (strcmp(name, inputs[i].name) != 0)
        i++;
    amount = inputs[i].amount * atoi(percent) / 100 + 1;
    snprintf(path[i], sizeof path[i], DIR "data/%s%d.c", inputs[i].kind, amount);
    snprintf(command, sizeof command, DIR "gen %s %d >%s.new && mv %s.new %s", inputs[i].kind,
             amount, path[i], path[i], path[i]);
    if (access(path[i], R_OK) < 0 && system(command) != 0)
        fprintf(stderr, "bench-malloc: cannot make %s\n", path[i]);
    return path[i];
}

static void arguments(const struct subject *s, const char *argv[ARGS + 1])
{
    int i;

    for (i = 0; i < ARGS && s->argv[i]; i++) {
        argv[i] = s->argv[i];
        if (argv[i][0] == '@')
            argv[i] = input(argv[i]);
        else if (strcmp(argv[i], "%") == 0)
            argv[i] = percent;
        else if (strcmp(argv[i], "cc1") == 0)
            argv[i] = cc1();
    }
    argv[i] = NULL;
}

static int is_server(const struct subject *s)
{
    return strstr(s->argv[0], "server.sh") != NULL;
}

/* A server's script preloads by itself, and says what the client's work took and the server used.
 */
static int run_server(const char *const argv[], const char *object, struct figures *f)
{
    char line[512];
    int status;

    setenv("BENCH_OBJECT", object ? object : "", 1);
    status = harness_run(argv, NULL, line, sizeof line, BOUND_S * 1000);
    if (status)
        return status;
    if (harness_value(line, "wall_s", &f->wall_s) || harness_value(line, "cpu_s", &f->cpu_s) ||
        harness_value(line, "rss_kb", &f->rss_kb)) {
        fprintf(stderr, "bench-malloc: strange line from a server's script: %s\n", line);
        return 1;
    }
    return 0;
}

static int run_once(const struct subject *s, int column, struct figures *f)
{
    const char *argv[ARGS + 1];
    struct child child;
    double begin;
    int err;

    arguments(s, argv);
    if (columns[column].knobs)
        setenv("GOTHREAD", columns[column].knobs, 1);
    else
        unsetenv("GOTHREAD");
    if (is_server(s))
        return run_server(argv, columns[column].object, f);
    begin = now_s();
    err = harness_spawn(&child, argv, columns[column].object);
    if (err)
        return 127;
    err = take(&child, f);
    f->wall_s = now_s() - begin;
    close(child.out);
    return err;
}

/* ---- all runs of a subject ---- */

static int is_column_of(const struct subject *s, int column)
{
    return columns[column].there && (s->threads || column != GT_GOROUTINES);
}

static void fill_medians(int subject)
{
    const struct subject *s = &subjects[subject];

    for (int m = 0; m < METRICS; m++) {
        for (int c = 0; c < COLUMNS; c++)
            if (is_column_of(s, c))
                medians[subject][m][c] = harness_median(values[subject][m][c], pairs);
        if (!s->threads)
            medians[subject][m][GT_GOROUTINES] = medians[subject][m][GT_PLAIN];
    }
}

/* Returns 0, HARNESS_SKIP, or the status of the run that failed. */
static int run_subject(int subject)
{
    const struct subject *s = &subjects[subject];

    for (int round = 0; round < pairs; round++) {
        for (int i = 0; i < COLUMNS; i++) {
            struct figures f;
            int column = (round + i) % COLUMNS, status;
            if (!is_column_of(s, column))
                continue;
            status = run_once(s, column, &f);
            if (status) {
                fprintf(stderr, "bench-malloc: %s under %s: status %d\n", s->name,
                        columns[column].name, status);
                return status;
            }
            values[subject][TIME][column][round] = by_cpu ? f.cpu_s : f.wall_s;
            values[subject][RSS][column][round] = f.rss_kb / 1024;
        }
    }
    fill_medians(subject);
    return 0;
}

/* Is what it runs there?  Servers' scripts say so themselves. */
static int is_installed(const struct subject *s)
{
    const char *program = strcmp(s->argv[0], "env") == 0   ? s->argv[2]
                          : strcmp(s->argv[0], "cc1") == 0 ? cc1()
                                                           : s->argv[0];

    return strchr(program, '/') ? access(program, X_OK) == 0 : 1;
}

static void run_all(const int selected[SUBJECTS])
{
    for (int i = 0; i < SUBJECTS; i++) {
        int status;
        if (!selected[i])
            continue;
        fprintf(stderr, "%s\n", subjects[i].name);
        status = is_installed(&subjects[i]) ? run_subject(i) : HARNESS_SKIP;
        if (status == HARNESS_SKIP)
            harness_say("%s: skipped, not installed\n", subjects[i].name);
        else if (status)
            harness_say("%s: FAILED, status %d\n", subjects[i].name, status);
        failures += status && status != HARNESS_SKIP;
    }
}

/* ---- the tables ---- */

static double best_of_others(int subject, int metric)
{
    double best = 0;

    for (int c = 0; c < OTHERS; c++) {
        double value = medians[subject][metric][c];
        if (value > 0 && (best == 0 || value < best))
            best = value;
    }
    return best;
}

static void print_cell(int subject, int metric, int column)
{
    double value = medians[subject][metric][column], best = best_of_others(subject, metric);

    if (column == GT_GOROUTINES && !subjects[subject].threads)
        harness_say(" = |");
    else if (value <= 0)
        harness_say(" - |");
    else if (column >= OTHERS)
        harness_say(metric == TIME ? " %.3f (%.2f) |" : " %.1f (%.2f) |", value, value / best);
    else
        harness_say(metric == TIME ? " %.3f |" : " %.1f |", value);
}

/* The geometric mean of a column's ratios to glibc's.  0: there is none. */
static double mean(int metric, int column)
{
    double sum = 0;
    int n = 0;

    for (int i = 0; i < SUBJECTS; i++) {
        if (medians[i][metric][GLIBC] <= 0 || medians[i][metric][column] <= 0)
            continue;
        sum += log(medians[i][metric][column] / medians[i][metric][GLIBC]);
        n++;
    }
    return n ? exp(sum / n) : 0;
}

static void print_table(int metric)
{
    harness_say("\n| %s | |", metric == RSS ? "peak RSS, MiB" : by_cpu ? "CPU time, s" : "time, s");
    for (int c = 0; c < COLUMNS; c++)
        harness_say(" %s |", columns[c].name);
    harness_say("\n|---|---|");
    for (int c = 0; c < COLUMNS; c++)
        harness_say("--:|");
    for (int i = 0; i < SUBJECTS; i++) {
        if (best_of_others(i, metric) == 0)
            continue;
        harness_say("\n| %s | %s |", subjects[i].name, subjects[i].what);
        for (int c = 0; c < COLUMNS; c++)
            print_cell(i, metric, c);
    }
    harness_say("\n| geometric mean | to glibc's |");
    for (int c = 0; c < COLUMNS; c++)
        mean(metric, c) > 0 ? harness_say(" %.3f |", mean(metric, c)) : harness_say(" - |");
    harness_say("\n");
}

static void verdict(const char *what, double value, double limit)
{
    int missed = value > limit;

    misses += missed;
    harness_say("- %s: %.3f, at most %.3f: %s\n", what, value, limit, missed ? "MISSED" : "ok");
}

static void judge(int column)
{
    double least[] = {mean(TIME, MIMALLOC), mean(TIME, TCMALLOC)}, worst = 0;
    const char *where = "nowhere";

    for (int i = 0; i < SUBJECTS; i++) {
        double best = best_of_others(i, TIME);
        if (best > 0 && medians[i][TIME][column] / best > worst) {
            worst = medians[i][TIME][column] / best;
            where = subjects[i].name;
        }
    }
    if (worst == 0)
        return;
    harness_say("\n%s:\n",
                column == GT_PLAIN ? "gothread as a plain allocator" : "gothread with goroutines");
    if (least[0] > 0)
        verdict("geometric mean of time, mimalloc's", mean(TIME, column), least[0]);
    if (least[1] > 0)
        verdict("geometric mean of time, tcmalloc's", mean(TIME, column), least[1]);
    harness_say("- worst subject: %s\n", where);
    verdict("its time to the best of the four", worst, 1.25);
    verdict("geometric mean of peak RSS, glibc's", mean(RSS, column), 1);
}

/* ---- options ---- */

/* NAME's pattern is one of those in BENCH, or BENCH is empty. */
static int is_selected(const char *name)
{
    const char *list = getenv("BENCH");
    char words[512];

    if (!list || !*list)
        return 1;
    snprintf(words, sizeof words, "%s", list);
    for (char *w = strtok(words, ", "); w; w = strtok(NULL, ", "))
        if (fnmatch(w, name, 0) == 0)
            return 1;
    return 0;
}

static void find_objects(void)
{
    const char *so = getenv("GT_SO");
    glob_t found;

    for (int c = 0; c < OTHERS; c++) {
        if (!columns[c].pattern || glob(columns[c].pattern, 0, NULL, &found))
            continue;
        columns[c].object = strdup(found.gl_pathv[0]);
        columns[c].there = 1;
        globfree(&found);
    }
    for (int c = OTHERS; c < COLUMNS; c++) {
        columns[c].object = so && *so ? realpath(so, NULL) : NULL;
        columns[c].there = columns[c].object != NULL;
    }
    for (int c = 0; c < COLUMNS; c++)
        if (!columns[c].there)
            harness_say("%s: not there\n", columns[c].name);
}

static void print_head(void)
{
    struct utsname host;
    cpu_set_t cpus;
    double load[1] = {0};

    uname(&host);
    sched_getaffinity(0, sizeof cpus, &cpus);
    getloadavg(load, 1);
    harness_say("Linux %s, %d CPUs, load %.1f at the start; medians of %d rounds\n", host.release,
                CPU_COUNT(&cpus), load[0], pairs);
}

static int options(void)
{
    const char *p = getenv("PAIRS"), *amount = getenv("PERCENT"), *clock = getenv("BENCH_CLOCK");

    pairs = p && *p ? atoi(p) : pairs;
    percent = amount && *amount ? amount : percent;
    by_cpu = clock && strcmp(clock, "cpu") == 0;
    if (pairs < 1 || pairs > MAX_PAIRS || atol(percent) < 1) {
        fprintf(stderr, "bench-malloc: PAIRS must be 1 to %d, PERCENT positive\n", MAX_PAIRS);
        return -1;
    }
    mkdir(DIR "data", 0755);
    return harness_report(REPORT);
}

int main(void)
{
    const char *strict = getenv("BENCH_STRICT");
    int selected[SUBJECTS], count = 0;

    for (int i = 0; i < SUBJECTS; i++)
        count += selected[i] = is_selected(subjects[i].name);
    if (count == 0) {
        fprintf(stderr, "bench-malloc: BENCH selects nothing; there are:");
        for (int i = 0; i < SUBJECTS; i++)
            fprintf(stderr, " %s", subjects[i].name);
        fprintf(stderr, "\n");
        return 1;
    }
    if (options() < 0)
        return 1;
    print_head();
    find_objects();
    run_all(selected);
    for (int m = 0; m < METRICS; m++)
        print_table(m);
    judge(GT_PLAIN);
    judge(GT_GOROUTINES);
    harness_say("\nfailed: %d, targets missed: %d\n", failures, misses);
    return failures || (misses && strict && strcmp(strict, "1") == 0);
}
