/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `make demo`: the echo server of examples/, one thread per connection, plain and under the
 * launcher, with 2,000 connections of tests/bench/load; then Python's threaded server in the same
 * way.  Prints one table, and what the runtime itself counted.
 *
 *     demo LAUNCHER        from the repository's root; LAUNCHER `none` runs plain twice
 *
 * DEMO_CONNS (2000) and DEMO_SECS (4) change the load.  Exit status 1 when anything failed: a
 * server that died or did not end cleanly, a wrong byte, threads that were no goroutines.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/harness.h"

#define ECHO_SERVER BENCH_BUILD "/examples/echo_server"
#define LOAD        BENCH_BUILD "/bench/load"
#define STATS       BENCH_BUILD "/bench/demo.stats"
#define PYTHON      "/usr/bin/python3"

enum { HEADROOM = 100 }; /* descriptors besides the connections, on either side */

static const struct column {
    const char *key, *title;
    double scale;
    int digits, more_is_better;
} columns[] = {
    {"ops_s", "requests/s", 1, 0, 1},       {"p50_us", "p50 ms", 1e-3, 2, 0},
    {"p99_us", "p99 ms", 1e-3, 2, 0},       {"rss_kb", "RSS MB", 1.0 / 1024, 1, 0},
    {"threads", "kernel threads", 1, 0, 0}, {"switches", "ctx switches", 1, 0, 0},
    {"cpu_us_op", "CPU us/req", 1, 1, 0},
};

enum { COLUMNS = sizeof columns / sizeof columns[0] };

struct row {
    double values[COLUMNS];
};

static const char *launcher; /* NULL: none */
static const char *secs = "4";

/* Loads the server; fills the row.  Returns 0 or -1. */
static int load(const struct child *server, int port, int conns, const char *time, struct row *row)
{
    char pid[16], port_text[16], conns_text[16], line[512];
    const char *argv[] = {LOAD, "--pid", pid, port_text, conns_text, time, NULL};

    snprintf(pid, sizeof pid, "%d", (int)server->pid);
    snprintf(port_text, sizeof port_text, "%d", port);
    snprintf(conns_text, sizeof conns_text, "%d", conns);
    int status = harness_run(argv, NULL, line, sizeof line, 40000 + (int)(atof(time) * 1000));
    if (status) {
        fprintf(stderr, "demo: the load client ended with status %d: %s\n", status, line);
        return -1;
    }
    for (int i = 0; i < COLUMNS; i++)
        if (harness_value(line, columns[i].key, &row->values[i]) < 0)
            return -1;
    return 0;
}

/* Starts the server, under the launcher or not, loads it, ends it. */
static int measure(const char *const server_argv[], int with_launcher, int conns, const char *time,
                   struct row *row)
{
    const char *argv[8];
    struct child server;
    int n = 0;

    if (with_launcher && launcher) {
        argv[n++] = launcher;
        argv[n++] = "--stats=" STATS;
    }
    while ((argv[n] = *server_argv++))
        n++;
    int port = harness_server(&server, argv, NULL);
    if (port < 0) {
        fprintf(stderr, "demo: %s did not start\n", argv[0]);
        return -1;
    }
    int failed = load(&server, port, conns, time, row);
    int status = harness_stop(&server, 10000);
    if (status)
        fprintf(stderr, "demo: the server ended with status %d, not 0%s\n", status,
                status == -1 ? ": it did not heed SIGTERM and was killed" : "");
    return failed || status ? -1 : 0;
}

static void print_row(const char *name, const struct row *row)
{
    printf("  %-9s", name);
    for (int i = 0; i < COLUMNS; i++)
        printf(" %14.*f", columns[i].digits, row->values[i] * columns[i].scale);
    printf("\n");
}

static void print_ratio(const struct row *plain, const struct row *other)
{
    printf("  %-9s", "better");
    for (int i = 0; i < COLUMNS; i++) {
        double a = plain->values[i], b = other->values[i];
        double times = columns[i].more_is_better ? b / a : a / b;
        if (a > 0 && b > 0)
            printf(" %13.*fx", times < 100 ? 2 : 0, times);
        else
            printf(" %14s", "-");
    }
    printf("\n");
}

/* Both runs of one server, and its part of the table. */
static int compare(const char *title, const char *const argv[], int conns, const char *time)
{
    struct row plain, other;

    printf("%s, %d connections\n", title, conns);
    fflush(stdout);
    if (measure(argv, 0, conns, time, &plain) < 0)
        return -1;
    print_row("plain", &plain);
    fflush(stdout);
    if (measure(argv, 1, conns, time, &other) < 0)
        return -1;
    print_row(launcher ? "gothread" : "again", &other);
    print_ratio(&plain, &other);
    return 0;
}

/* Shows three lines of --stats: the goroutines, the kernel threads, the most frequent park. */
static int print_stats(int conns)
{
    char line[256], name[128], reason[128] = "";
    double value, goroutines = 0, ms = 0, parks = 0;
    FILE *f = fopen(STATS, "re");

    if (!f) {
        perror("demo: " STATS);
        return -1;
    }
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%127[^:]: %lf", name, &value) != 2)
            continue;
        if (strcmp(name, "goroutines_peak") == 0)
            goroutines = value;
        else if (strcmp(name, "ms_peak") == 0)
            ms = value;
        else if (strncmp(name, "parks.", 6) == 0 && value > parks) {
            parks = value;
            strcpy(reason, name);
        }
    }
    fclose(f);
    printf("  --stats of this run:\n    goroutines_peak: %.0f\n    ms_peak: %.0f\n    %s: %.0f\n",
           goroutines, ms, *reason ? reason : "parks", parks);
    if (goroutines < conns) {
        fprintf(stderr, "demo: %.0f goroutines for %d connections: threads stayed threads\n",
                goroutines, conns);
        return -1;
    }
    return 0;
}

/* As many connections as asked for, or as descriptors allow. */
static int connections(int wanted)
{
    long limit = harness_raise_nofile();

    if (wanted + HEADROOM <= limit)
        return wanted;
    printf("note: only %ld descriptors are allowed (ulimit -n): %ld connections, not %d\n", limit,
           limit - HEADROOM, wanted);
    return (int)(limit - HEADROOM);
}

int main(int argc, char **argv)
{
    const char *echo[] = {ECHO_SERVER, NULL};
    const char *python[] = {PYTHON, "tests/bench/echo_server.py", NULL};
    const char *env_conns = getenv("DEMO_CONNS"), *env_secs = getenv("DEMO_SECS");

    if (argc != 2) {
        fprintf(stderr, "usage: demo LAUNCHER\n");
        return 2;
    }
    launcher = strcmp(argv[1], "none") == 0 ? NULL : argv[1];
    secs = env_secs && *env_secs ? env_secs : secs;
    int conns = connections(env_conns && *env_conns ? atoi(env_conns) : 2000);

    remove(STATS);
    printf("  %-9s", "");
    for (int i = 0; i < COLUMNS; i++)
        printf(" %14s", columns[i].title);
    printf("\n");
    if (compare("examples/echo_server.c, a thread per connection", echo, conns, secs) < 0)
        return 1;
    if (launcher && print_stats(conns) < 0)
        return 1;
    if (access(PYTHON, X_OK) < 0)
        printf("python3 is not installed: no second server\n");
    else if (compare("Debian's python3, socketserver.ThreadingTCPServer", python,
                     conns < 500 ? conns : 500, secs) < 0)
        return 1;
    printf("better: how many times more requests/s, or less of the other columns\n"
           "ctx switches: of all threads, in the whole run\n");
    return 0;
}
