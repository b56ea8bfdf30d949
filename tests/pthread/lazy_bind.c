/* SPDX-License-Identifier: BSD-2-Clause */
/* Hundreds of functions are bound at their first call, by many threads at once that are preempted
 * all the time, with registers that a call by its address would keep. */
#include "tap.h"
#include <dlfcn.h>

enum { THREADS = 6, ROUNDS = 12 };

static char path[600];
static int stop;

static void *spins(void *arg)
{
    volatile double x = 1;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        x = x * 1.0000001 + 1e-9;
    return arg;
}

/* The library comes and goes, or stays for the next thread, as it happens. */
static void *opens_and_calls(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        void *lib = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
        long (*all)(long);

        CHECK(lib);
        all = (long (*)(long))dlsym(lib, "lazy_all");
        CHECK(all);
        for (int k = 0; k < 3; k++)
            EQ(all(k), k + 256);
        EQ(dlclose(lib), 0);
    }
    return arg;
}

static void under_preemption(void)
{
    pthread_t t[THREADS], s[3];

    for (int i = 0; i < 3; i++)
        s[i] = go(spins, NULL);
    for (int i = 0; i < THREADS; i++)
        t[i] = go(opens_and_calls, NULL);
    for (int i = 0; i < THREADS; i++)
        reap(t[i]);
    bump(&stop);
    for (int i = 0; i < 3; i++)
        reap(s[i]);
}

int main(void)
{
    char *slash;

    CHECK(readlink("/proc/self/exe", path, sizeof path - 20) > 0);
    slash = strrchr(path, '/');
    strcpy(slash, "/liblazy.so");
    CASE(under_preemption);
    return 0;
}
