/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a program, plain or preloaded, to its end or to a bound, and keeps its status and output.
 * Used by the suites that compare the two runs of one unmodified program. */
#ifndef GT_TESTS_RUN_PAIR_H
#define GT_TESTS_RUN_PAIR_H

#include <stdbool.h>
#include <stddef.h>

struct run {
    /* What to run; argv[0] is a path. */
    const char *const *argv;
    const char *const *env;    /* "KEY=value" to set, NULL-terminated; may be NULL        */
    bool preload;              /* with the object that GT_SO names                        */
    int procs;                 /* GOMAXPROCS; 0 leaves it unset                           */
    int bound_s;               /* seconds after which it is ended; 0 is the usual bound   */
    void (*before)(void *arg); /* runs in the child right before exec; may be NULL        */
    void *arg;

    /* What came of it.  out and err end with a NUL and are freed by run_free. */
    int status; /* as waitpid gives it */
    bool timed_out;
    char *out, *err;
    size_t out_len, err_len;
};

/* The object to preload, from GT_SO; NULL when it is not set: then suites run plain twice. */
const char *run_object(void);

/* The bound in seconds: GT_TEST_BOUND, else 60. */
int run_bound(void);

/* Runs r.  At the bound: SIGQUIT, on which the object prints all goroutines, three seconds, then
 * SIGKILL.  What the program left running in its process group is killed in any case. */
void run_program(struct run *r);
void run_free(struct run *r);

/* "exit 3", "signal 11", "no end within 60 s", in static storage. */
const char *run_describe(const struct run *r);

/* The last bytes of its standard error, from the beginning of a line. */
const char *run_err_tail(const struct run *r);

/* The folder of the running program, without a slash at the end; in static storage. */
const char *run_own_dir(void);

#endif
