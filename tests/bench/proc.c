/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reads a process's use of CPU, memory and the scheduler from /proc.  RSS comes from smaps_rollup,
 * which walks the page tables: the counters in statm and status are kept per thread in batches, and
 * with thousands of threads what is still in the batches is no small part.
 */
#include "tests/bench/proc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number behind `key` at the start of a line of the file, or -1. */
static double field(const char *path, const char *key)
{
    char line[256];
    double value = -1;
    size_t n = strlen(key);
    FILE *f = fopen(path, "re");

    if (!f)
        return -1;
    while (value < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, key, n) == 0)
            value = strtod(line + n, NULL);
    fclose(f);
    return value;
}

/* utime + stime: fields 14 and 15 of stat, the 12th and 13th behind the name's closing bracket. */
static double cpu_us(pid_t pid)
{
    char path[64], line[1024];
    unsigned long user, sys;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    char *p = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    fclose(f);
    if (!p || sscanf(p + 1, "%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%lu%lu", &user, &sys) != 2)
        return -1;
    return (double)(user + sys) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

/* Voluntary and other switches of one thread; a thread that has just died counts nothing. */
static double task_switches(pid_t pid, const char *tid)
{
    char path[320], line[256];
    double sum = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, tid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f)) {
        char *p = strstr(line, "voluntary_ctxt_switches:");
        if (p)
            sum += strtod(strchr(p, ':') + 1, NULL);
    }
    fclose(f);
    return sum;
}

int proc_usage(pid_t pid, struct proc_sample *sample)
{
    char path[64];
    struct dirent *entry;

    *sample = (struct proc_sample){.cpu_us = cpu_us(pid)};
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        sample->threads++;
        sample->switches += task_switches(pid, entry->d_name);
    }
    closedir(dir);
    return sample->cpu_us < 0 || sample->threads < 1 ? -1 : 0;
}

int proc_memory(pid_t pid, struct proc_memory *memory)
{
    char rollup[64], status[64];

    snprintf(rollup, sizeof rollup, "/proc/%d/smaps_rollup", (int)pid);
    snprintf(status, sizeof status, "/proc/%d/status", (int)pid);
    memory->rss_kb = field(rollup, "Rss:");
    if (memory->rss_kb < 0) /* before Linux 4.14 */
        memory->rss_kb = field(status, "VmRSS:");
    memory->pte_kb = field(status, "VmPTE:");
    double stacks = field("/proc/meminfo", "KernelStack:");
    double objects = field("/proc/meminfo", "SUnreclaim:");
    memory->kernel_kb = stacks + objects;
    return memory->rss_kb < 0 || memory->pte_kb < 0 || stacks < 0 || objects < 0 ? -1 : 0;
}
