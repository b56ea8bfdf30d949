/* SPDX-License-Identifier: BSD-2-Clause */
/* A library that asks for executable stacks is loaded while threads run: from then on every thread
 * may run code on its stack, those that were there before included. */
#include "tap.h"
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>

static char dir[PATH_MAX];
static int ready, loaded;

/* Runs "return 42" from this stack. */
static int runs_on_stack(void)
{
#ifdef __x86_64__
    volatile unsigned char code[16] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */

    return ((int (*)(void))(uintptr_t)code)();
#else
    return 42;
#endif
}

static void *older(void *arg)
{
    bump(&ready);
    await(&loaded, 1);
    EQ(runs_on_stack(), 42);
    return arg;
}

static void *younger(void *arg)
{
    EQ(runs_on_stack(), 42);
    return arg;
}

static void after_dlopen(void)
{
    char path[PATH_MAX + 32];
    pthread_t old[4], young[4];
    void *lib;

    for (int i = 0; i < 4; i++)
        old[i] = go(older, NULL);
    await(&ready, 4);
    snprintf(path, sizeof path, "%s/libplug_xs.so", dir);
    lib = dlopen(path, RTLD_NOW);
    CHECK(lib);
    EQ(runs_on_stack(), 42);
    bump(&loaded);
    for (int i = 0; i < 4; i++)
        young[i] = go(younger, NULL);
    for (int i = 0; i < 4; i++) {
        reap(old[i]);
        reap(young[i]);
    }
    EQ(dlclose(lib), 0);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 1);
    snprintf(dir, sizeof dir, "%s", argv[0]);
    dirname(dir);
    CASE(after_dlopen);
    return 0;
}
