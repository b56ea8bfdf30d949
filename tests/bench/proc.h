/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the kernel says a process has used: read from /proc, for any process of the same user.
 */
#ifndef TESTS_BENCH_PROC_H
#define TESTS_BENCH_PROC_H

#include <sys/types.h>

struct proc_sample {
    double cpu_us;   /* user + system time of all its threads, dead ones too; 10 ms steps */
    double switches; /* context switches of its living threads, voluntary and not */
    double threads;  /* kernel threads alive */
};

struct proc_memory {
    double rss_kb; /* resident pages, counted exactly (smaps_rollup) */
    double pte_kb; /* page tables */
    /* stacks of the kernel's and what it cannot take back of its own objects, of all processes: a
     * difference says what many threads cost, on a machine where little else begins or ends */
    double kernel_kb;
};

/* Both return 0, or -1 when the process is gone or may not be looked at. */
int proc_usage(pid_t pid, struct proc_sample *sample);
int proc_memory(pid_t pid, struct proc_memory *memory);

#endif
