/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Starting programs, plain or preloaded, and reading what they print.  For single-threaded callers.
 */
#ifndef TESTS_BENCH_HARNESS_H
#define TESTS_BENCH_HARNESS_H

#include <stddef.h>
#include <sys/types.h>

/* Exit status of a benchmark that this machine's limits do not allow (the usual "skipped"). */
#define HARNESS_SKIP 77

struct child {
    pid_t pid;
    int out; /* the reading end of its standard output */
};

/* Starts argv with its standard output on a pipe.  preload: the object for LD_PRELOAD; NULL: none,
 * not even an inherited one.  The child dies with us.  Returns 0 or -errno. */
int harness_spawn(struct child *child, const char *const argv[], const char *preload);

/* Reads one line, newline dropped.  Returns 0; -1 at the end of the output or after timeout_ms. */
int harness_line(struct child *child, char *line, size_t size, int timeout_ms);

/* Waits for the end.  Returns the exit status, 128 + signal, or -1 after timeout_ms: killed. */
int harness_wait(struct child *child, int timeout_ms);

/* SIGTERM, then harness_wait.  A child that is dead already is reported as it died. */
int harness_stop(struct child *child, int timeout_ms);

/* Spawns, keeps the last line of the output, waits.  Returns as harness_wait. */
int harness_run(const char *const argv[], const char *preload, char *line, size_t size,
                int timeout_ms);

/* Starts a server that prints `listening PORT`.  Returns the port, or -1: nothing is left then. */
int harness_server(struct child *child, const char *const argv[], const char *preload);

/* Finds `key=NUMBER` in a line of such pairs.  Returns 0 or -1. */
int harness_value(const char *line, const char *key, double *value);

/* Opens a report, a file at path.  Returns 0, or -1 with a message on stderr. */
int harness_report(const char *path);

/* Prints to the terminal and to the report. */
void harness_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The median of n > 0 values; sorts them. */
double harness_median(double *values, int n);

/* Raises the limit of descriptors as far as it goes, for us and our children; returns it. */
long harness_raise_nofile(void);

/* A TCP port of 127.0.0.1 that was free just now, or -1. */
int harness_free_port(void);

/* Waits until something accepts connections there.  Returns 0, or -1 after timeout_ms. */
int harness_await(int port, int timeout_ms);

#endif
