/* SPDX-License-Identifier: BSD-2-Clause */
/* A library with thread-local variables at fixed offsets, opened while threads run: its constructor
 * and every thread that is there already see their initial values, at once, and what a thread
 * writes stays; in a fork's child, too. */
#include "proc.h"
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>

enum { N = 30 };

static char path[PATH_MAX + 64];
static int (*get)(void), (*seen)(void);
static void (*set)(int);
static int ready, loaded, done, over;

static void load(void)
{
    void *lib = dlopen(path, RTLD_NOW);

    CHECK(lib);
    get = (int (*)(void))(uintptr_t)dlsym(lib, "static_get");
    seen = (int (*)(void))(uintptr_t)dlsym(lib, "static_seen");
    set = (void (*)(int))(uintptr_t)dlsym(lib, "static_set");
    CHECK(get && seen && set);
    EQ(seen(), 42);
    EQ(get(), 7);
}

static void *was_there(void *arg)
{
    int me = (int)(long)arg;

    bump(&ready);
    await(&loaded, 1);
    EQ(get(), 42);
    set(me);
    bump(&done);
    await(&over, 1);
    EQ(get(), me);
    return NULL;
}

static void *comes_later(void *arg)
{
    EQ(get(), 42);
    set(1);
    return arg;
}

static void *loads(void *arg)
{
    load();
    bump(&loaded);
    await(&done, N);
    for (int i = 0; i < 5; i++)
        reap(go(comes_later, NULL));
    CHECK(dlopen("libm.so.6", RTLD_NOW));
    EQ(get(), 7);
    return arg;
}

static int loads_in_child(void)
{
    load();
    reap(go(comes_later, NULL));
    EQ(get(), 7);
    return 5;
}

static void *forks_and_loads(void *arg)
{
    EQ(in_child(loads_in_child), 5);
    return arg;
}

static void in_children(void)
{
    reap(go(forks_and_loads, NULL));
    forks_and_loads(NULL);
}

static void in_thread(void)
{
    pthread_t t[N];

    for (long i = 0; i < N; i++)
        t[i] = go(was_there, (void *)(i + 100));
    await(&ready, N);
    reap(go(loads, NULL));
    EQ(get(), 42);
    bump(&over);
    for (int i = 0; i < N; i++)
        reap(t[i]);
}

int main(int argc, char **argv)
{
    char dir[PATH_MAX];

    CHECK(argc >= 1);
    snprintf(dir, sizeof dir, "%s", argv[0]);
    snprintf(path, sizeof path, "%s/libstatic.so", dirname(dir));
    CASE(in_children);
    CASE(in_thread);
    return 0;
}
