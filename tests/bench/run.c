/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `make bench`: runs each benchmark plain and preloaded in turn, in pairs and in alternating order,
 * so that both see the same machine, and prints the medians.  "better" is how many times better
 * the preloaded run was (less time, memory, CPU; more operations a second): the median of the
 * pairs' own ratios, with the lowest and the highest.  Where a Go equivalent was built it runs
 * beside each pair.
 *
 * Run from the repository's root.  Environment:
 *     GT_SO          the object to preload
 *     BENCH          names, or starts of names, of the benchmarks to run, with commas; all
 *     BENCH_PAIRS    pairs (5)
 *     BENCH_SECS     seconds that a run measures (1)
 *     BENCH_PRELOAD  none: both halves of a pair run plain, to see the noise of the harness
 *     BENCH_STRICT   1: a missed target is a failure
 * Exit status: 1 when a run failed; a missed target is only marked.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/bench/harness.h"

#define BIN            BENCH_BUILD "/bench/"
#define ECHO_SERVER    BENCH_BUILD "/examples/echo_server"
#define MEMCACHED_PATH "/usr/bin/memcached"
#define GOBENCH        BIN "gobench"

enum { MAX_PAIRS = 99, METRICS = 3 };
enum variant { PLAIN, PRELOADED, GO, VARIANTS };
enum kind { MICRO, ECHO, MEMCACHED };

/* One number of a benchmark, one row of the table. */
struct metric {
    const char *key, *label, *unit;
    int more_is_better;
    double target; /* "better" must reach this; 0: no target */
};

struct bench {
    const char *name;
    enum kind kind;
    int conns; /* ECHO, MEMCACHED */
    struct metric metrics[METRICS];
};

/* clang-format off */
static const struct bench benches[] = {
    {"create_batch", MICRO, 0, {{"ns_per_op", "create+join, 1,000 at a time", "ns", 0, 20}}},
    {"create_one", MICRO, 0, {{"ns_per_op", "create+join, one by one", "ns", 0, 20}}},
    {"yield_2", MICRO, 0, {{"ns_per_op", "sched_yield, 2 threads", "ns", 0, 0}}},
    {"yield_64", MICRO, 0, {{"ns_per_op", "sched_yield, 64 threads", "ns", 0, 0}}},
    {"pingpong_cond", MICRO, 0, {{"ns_per_op", "ping-pong, mutex+cond", "ns", 0, 8}}},
    {"pingpong_sem", MICRO, 0, {{"ns_per_op", "ping-pong, semaphores", "ns", 0, 0}}},
    {"pingpong_pipe", MICRO, 0, {{"ns_per_op", "ping-pong, pipes", "ns", 0, 0}}},
    {"mutex_1", MICRO, 0, {{"ns_per_op", "mutex, uncontended", "ns", 0, 1 / 1.2}}},
    {"mutex_2", MICRO, 0, {{"ns_per_op", "mutex, 2 threads", "ns", 0, 0}}},
    {"mutex_64", MICRO, 0, {{"ns_per_op", "mutex, 64 threads", "ns", 0, 0}}},
    {"mutex_1000", MICRO, 0, {{"ns_per_op", "mutex, 1,000 threads", "ns", 0, 0}}},
    {"sleepers", MICRO, 0, {{"ops_s", "10,000 sleepers, wake-ups", "/s", 1, 0},
                            {"cpu_ns_per_op", "10,000 sleepers, CPU each", "ns", 0, 0}}},
    {"rss_parked", MICRO, 0, {{"rss_bytes", "parked thread, RSS", "B", 0, 0},
                              {"pte_bytes", "parked thread, page tables", "B", 0, 0},
                              {"all_bytes", "parked thread, all memory", "B", 0, 0}}},
    {"echo_100", ECHO, 100, {{"ops_s", "echo, 100 connections", "/s", 1, 0},
                             {"p99_us", "echo, 100 connections, p99", "us", 0, 0}}},
    {"echo_1000", ECHO, 1000, {{"ops_s", "echo, 1,000 connections", "/s", 1, 1.3},
                               {"p99_us", "echo, 1,000 connections, p99", "us", 0, 0}}},
    {"echo_10000", ECHO, 10000, {{"ops_s", "echo, 10,000 connections", "/s", 1, 0},
                                 {"p99_us", "echo, 10,000 connections, p99", "us", 0, 0}}},
    {"memcached", MEMCACHED, 200, {{"ops_s", "memcached -t 4, 200 clients", "/s", 1, 0.9}}},
};
/* clang-format on */

enum { BENCHES = sizeof benches / sizeof benches[0] };

/* What the pairs of one benchmark gave. */
struct result {
    double values[METRICS][VARIANTS][MAX_PAIRS];
    int count[VARIANTS]; /* pairs of each variant; 0: not run */
    int status;          /* of the run that ended it early, 0 otherwise */
    enum variant failed; /* which it was */
};

static const char *preload; /* NULL: BENCH_PRELOAD=none */
static const char *names[VARIANTS] = {"plain", "gothread", "go"};
static double secs = 1.0;
static int pairs = 5;
static int with_go;
static int failures, misses, skips;

/* ---- one run ---- */

static int timeout_ms(void)
{
    return (int)(secs * 10000) + 30000;
}

static int run_micro(const struct bench *b, enum variant v, char *line, size_t size)
{
    char time[32];
    const char *argv[] = {v == GO ? GOBENCH : BIN "bench", b->name, time, NULL};

    snprintf(time, sizeof time, "%g", secs);
    return harness_run(argv, v == PRELOADED ? preload : NULL, line, size, timeout_ms());
}

/* Loads the server behind `port`, stops it; returns the first of the two bad statuses. */
static int load(const struct bench *b, struct child *server, int port, char *line, size_t size)
{
    char port_text[16], conns[16], time[32];
    const char *argv[] = {BIN "load", port_text, conns, time, NULL, NULL};

    if (b->kind == MEMCACHED)
        argv[4] = "--mc"; /* getopt finds options behind the arguments, too */
    snprintf(port_text, sizeof port_text, "%d", port);
    snprintf(conns, sizeof conns, "%d", b->conns);
    snprintf(time, sizeof time, "%g", secs);
    int status = harness_run(argv, NULL, line, size, timeout_ms());
    int stopped = harness_stop(server, 10000);
    if (stopped)
        fprintf(stderr, "bench: %s: the server ended with status %d\n", b->name, stopped);
    return status ? status : stopped;
}

static int run_echo(const struct bench *b, enum variant v, char *line, size_t size)
{
    const char *plain[] = {ECHO_SERVER, NULL};
    const char *go[] = {GOBENCH, "echo_server", NULL};
    struct child server;
    int port = harness_server(&server, v == GO ? go : plain, v == PRELOADED ? preload : NULL);

    if (port < 0) {
        fprintf(stderr, "bench: %s: the server did not start\n", b->name);
        return 1;
    }
    return load(b, &server, port, line, size);
}

static int run_memcached(const struct bench *b, enum variant v, char *line, size_t size)
{
    char port[16];
    const char *argv[] = {MEMCACHED_PATH, "-u", "root", "-l", "127.0.0.1",
                          "-t",           "4",  "-p",   port, NULL};
    struct child server;

    if (access(MEMCACHED_PATH, X_OK) < 0)
        return HARNESS_SKIP;
    int number = harness_free_port();
    snprintf(port, sizeof port, "%d", number);
    if (number < 0 || harness_spawn(&server, argv, v == PRELOADED ? preload : NULL) < 0)
        return 1;
    if (harness_await(number, 5000) < 0)
        fprintf(stderr, "bench: memcached does not listen\n");
    return load(b, &server, number, line, size);
}

/* Runs one variant once and stores its numbers.  Returns the status: 0, HARNESS_SKIP, or failed. */
static int run_once(const struct bench *b, enum variant v, struct result *r)
{
    char line[512];
    int status = b->kind == MICRO  ? run_micro(b, v, line, sizeof line)
                 : b->kind == ECHO ? run_echo(b, v, line, sizeof line)
                                   : run_memcached(b, v, line, sizeof line);

    if (status)
        return status;
    for (int i = 0; i < METRICS && b->metrics[i].key; i++) {
        double *value = &r->values[i][v][r->count[v]];
        if (harness_value(line, b->metrics[i].key, value) < 0) {
            fprintf(stderr, "bench: %s printed no %s: %s\n", b->name, b->metrics[i].key, line);
            return 1;
        }
    }
    r->count[v]++;
    return 0;
}

/* The pairs of one benchmark; odd pairs run in the opposite order.  Stops at the first failure. */
static void run_pairs(const struct bench *b, struct result *r)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < pairs; i++) {
        for (int half = 0; half < 2; half++) {
            r->failed = (half ^ (i & 1)) ? PRELOADED : PLAIN;
            r->status = run_once(b, r->failed, r);
            if (r->status)
                return;
        }
        /* a comparison, not a subject: where Go's run fails its column has fewer values or none */
        if (with_go && b->kind != MEMCACHED && r->count[GO] == i)
            run_once(b, GO, r);
    }
}

/* ---- the table ---- */

/* Numbers keep three digits at least. */
static const char *number(double value, char text[static 24])
{
    snprintf(text, 24, value < 100 && value != (long)value ? "%.1f" : "%.0f", value);
    return text;
}

static double ratio(const struct metric *m, double plain, double preloaded)
{
    double worse = m->more_is_better ? plain : preloaded;
    double better = m->more_is_better ? preloaded : plain;

    return better / (worse > 0 ? worse : 1e-9);
}

static void print_metric(const struct metric *m, double values[VARIANTS][MAX_PAIRS], int n,
                         int n_go)
{
    double ratios[MAX_PAIRS];
    char cells[VARIANTS][24], range[40], target[32] = "";

    for (int i = 0; i < n; i++)
        ratios[i] = ratio(m, values[PLAIN][i], values[PRELOADED][i]);
    double better = harness_median(ratios, n);
    snprintf(range, sizeof range, "%.2f..%.2f", ratios[0], ratios[n - 1]);
    if (m->target > 0 && preload) {
        int missed = better < m->target;
        misses += missed;
        snprintf(target, sizeof target, ">= %.3g %s", m->target, missed ? "MISSED" : "ok");
    }
    for (int v = PLAIN; v <= PRELOADED; v++)
        number(harness_median(values[v], n), cells[v]);
    if (n_go > 0)
        number(harness_median(values[GO], n_go), cells[GO]);
    else
        strcpy(cells[GO], "-");
    harness_say("%-30s %-3s %11s %11s %8.2fx %-16s %-15s %11s\n", m->label, m->unit, cells[PLAIN],
                cells[PRELOADED], better, range, target, cells[GO]);
}

static const char *explain(int status, char text[static 48])
{
    if (status == -1)
        snprintf(text, 48, "hung, killed after %d s", timeout_ms() / 1000);
    else if (status > 128)
        snprintf(text, 48, "died of signal %d", status - 128);
    else
        snprintf(text, 48, "exit status %d", status);
    return text;
}

/* What this machine cannot do plain is skipped; anything else that went wrong is a failure. */
static void print_result(const struct bench *b, struct result *r)
{
    char why[48];

    if (r->status == HARNESS_SKIP && r->failed == PLAIN) {
        skips++;
        harness_say("%-30s     skipped: %s\n", b->name,
                    b->kind == MEMCACHED ? "not installed" : "beyond this machine's limits");
    } else if (r->status) {
        failures++;
        harness_say("%-30s     FAILED %s: %s\n", b->name, names[r->failed],
                    explain(r->status, why));
    } else {
        for (int i = 0; i < METRICS && b->metrics[i].key; i++)
            print_metric(&b->metrics[i], r->values[i], r->count[PLAIN], r->count[GO]);
    }
}

static void print_head(void)
{
    struct utsname host;
    cpu_set_t cpus;

    uname(&host);
    sched_getaffinity(0, sizeof cpus, &cpus);
    harness_say("Linux %s, %d CPUs, %d pairs of %g s, %s\n", host.release, CPU_COUNT(&cpus), pairs,
                secs, preload ? preload : "nothing preloaded: both columns are plain");
    harness_say("%-30s %-3s %11s %11s %9s %-16s %-15s %11s\n", "benchmark", "", names[PLAIN],
                names[PRELOADED], "better", "from..to", "target", with_go ? names[GO] : "");
}

/* ---- options ---- */

static int is_name(const char *word, size_t n)
{
    for (size_t i = 0; i < BENCHES; i++)
        if (strncmp(word, benches[i].name, n) == 0 && benches[i].name[n] == '\0')
            return 1;
    return 0;
}

/* Is the benchmark's name among the words of BENCH, or does it start with one that is no name? */
static int selected(const char *name)
{
    const char *p = getenv("BENCH");

    if (!p || !*p)
        return 1;
    for (size_t n; *p; p += n + (p[n] == ',')) {
        n = strcspn(p, ",");
        if (n > 0 && strncmp(p, name, n) == 0 && (name[n] == '\0' || !is_name(p, n)))
            return 1;
    }
    return 0;
}

/* Returns how many benchmarks are selected; when none is, says which there are. */
static int count_selected(void)
{
    int n = 0;

    for (size_t i = 0; i < BENCHES; i++)
        n += selected(benches[i].name);
    if (n == 0) {
        fprintf(stderr, "bench: BENCH selects nothing; there are:");
        for (size_t i = 0; i < BENCHES; i++)
            fprintf(stderr, " %s", benches[i].name);
        fprintf(stderr, "\n");
    }
    return n;
}

static int options(void)
{
    const char *so = getenv("GT_SO"), *mode = getenv("BENCH_PRELOAD");
    const char *p = getenv("BENCH_PAIRS"), *s = getenv("BENCH_SECS");

    pairs = p && *p ? atoi(p) : pairs;
    secs = s && *s ? atof(s) : secs;
    if (pairs < 1 || pairs > MAX_PAIRS || secs <= 0) {
        fprintf(stderr, "bench: BENCH_PAIRS must be 1 to %d, BENCH_SECS positive\n", MAX_PAIRS);
        return -1;
    }
    with_go = access(GOBENCH, X_OK) == 0;
    if (mode && strcmp(mode, "none") == 0) {
        names[PRELOADED] = "plain again";
        return 0;
    }
    preload = so ? realpath(so, NULL) : NULL;
    if (!preload) {
        fprintf(stderr, "bench: the object GT_SO=%s: %s (BENCH_PRELOAD=none runs plain twice)\n",
                so ? so : "", so ? strerror(errno) : "not set");
        return -1;
    }
    return 0;
}

int main(void)
{
    static struct result result;
    const char *strict = getenv("BENCH_STRICT");
    int ran = 0;

    if (options() < 0 || count_selected() == 0)
        return 1;
    if (harness_report(BENCH_BUILD "/bench.txt") < 0)
        return 1;
    harness_raise_nofile();
    print_head();
    for (size_t i = 0; i < BENCHES; i++) {
        if (!selected(benches[i].name))
            continue;
        run_pairs(&benches[i], &result);
        print_result(&benches[i], &result);
        ran++;
    }
    harness_say("benchmarks: %d, failed: %d, skipped: %d, targets missed: %d\n", ran, failures,
                skips, misses);
    return failures || (misses && strict && strcmp(strict, "1") == 0);
}
