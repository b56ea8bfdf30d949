/* SPDX-License-Identifier: BSD-2-Clause */
/* A library for fork_plug.c: registers fork handlers, which count into the program's memory. */
#include <pthread.h>

void atfork_count_in(int *counts);

static int *counts;

static void prepare(void)
{
    counts[0]++;
}

static void parent(void)
{
    counts[1]++;
}

static void child(void)
{
    counts[2]++;
}

void atfork_count_in(int *where)
{
    counts = where;
    pthread_atfork(prepare, parent, child);
}
