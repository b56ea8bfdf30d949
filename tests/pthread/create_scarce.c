/* SPDX-License-Identifier: BSD-2-Clause */
/* A process with hardly any address space left, or no room for another thread, makes its first
 * thread: that works, or fails with EAGAIN or ENOMEM, and the process goes on. */
#include "proc.h"
#include <sys/resource.h>

static size_t slack;

static void *gives_back(void *arg)
{
    return arg;
}

static long mapped(void)
{
    char line[256];
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    CHECK(f && fgets(line, sizeof line, f) && sscanf(line, "%ld", &pages) == 1);
    fclose(f);
    return pages * 4096;
}

static int makes_threads(void)
{
    struct rlimit r = {0, 0};
    pthread_t t;
    void *got;

    r.rlim_cur = r.rlim_max = (rlim_t)mapped() + slack;
    if (setrlimit(RLIMIT_AS, &r))
        return 1;
    for (int i = 0; i < 3; i++) {
        int e = pthread_create(&t, NULL, gives_back, &slack);

        if (e != 0 && e != EAGAIN && e != ENOMEM)
            return 2;
        if (e == 0 && (pthread_join(t, &got) != 0 || got != &slack))
            return 3;
    }
    return 0;
}

static void little_memory(void)
{
    for (slack = 0; slack < 24u << 20; slack += slack < 1 << 20 ? 64 << 10 : 700 << 10)
        EQ(in_child(makes_threads), 0);
    for (slack = 24u << 20; slack < 200u << 20; slack += 11 << 20)
        EQ(in_child(makes_threads), 0);
}

int main(void)
{
    CASE(little_memory);
    return 0;
}
