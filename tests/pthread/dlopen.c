/* SPDX-License-Identifier: BSD-2-Clause */
/* Libraries loaded while threads run: each thread, older and newer, sees the initial values of
 * their thread-local variables; their constructors and destructors make and join threads; after
 * dlclose and another dlopen the statics are fresh. */
#include "tap.h"
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>

enum { N = 20 };

struct plug {
    void *handle;
    int (*get)(void);
    void (*set)(int);
    int (*loads)(void);
};

static char dir[PATH_MAX];

static void load(struct plug *p, const char *name)
{
    char path[PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    p->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!p->handle)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(p->handle);
    p->get = (int (*)(void))(uintptr_t)dlsym(p->handle, "plug_get");
    p->set = (void (*)(int))(uintptr_t)dlsym(p->handle, "plug_set");
    p->loads = (int (*)(void))(uintptr_t)dlsym(p->handle, "plug_loads");
    CHECK(p->get && p->set && p->loads);
}

static struct plug plug;
static int ready, loaded;

static void *uses(void *arg)
{
    int me = (int)(long)arg;

    bump(&ready);
    await(&loaded, 1);
    EQ(plug.get(), 42);
    plug.set(me);
    for (int i = 0; i < 10; i++) {
        usleep(100);
        EQ(plug.get(), 2 * me);
    }
    return NULL;
}

static void *loads_it(void *arg)
{
    load(&plug, (const char *)arg);
    return NULL;
}

static void with(const char *name)
{
    pthread_t old[N], young[N];

    ready = loaded = 0;
    for (long i = 0; i < N; i++)
        old[i] = go(uses, (void *)(i + 1));
    await(&ready, N);
    reap(go(loads_it, (void *)(uintptr_t)name));
    EQ(plug.get(), 42);
    bump(&loaded);
    for (long i = 0; i < N; i++)
        young[i] = go(uses, (void *)(i + 100));
    for (int i = 0; i < N; i++) {
        reap(old[i]);
        reap(young[i]);
    }
    EQ(plug.get(), 42);
}

static void dynamic_model(void)
{
    with("libplug_gd.so");
    EQ(dlclose(plug.handle), 0);
}

static int turn;

static void *uses_each(void *arg)
{
    for (int i = 1; i <= 4; i++) {
        await(&turn, 2 * i - 1);
        EQ(plug.get(), 42);
        plug.set(9 * i);
        EQ(plug.get(), 18 * i);
        bump(&turn);
    }
    return arg;
}

/* A library that comes into the place of one that has gone is fresh in older threads too. */
static void initial_exec_again(void)
{
    pthread_t t = go(uses_each, NULL);

    for (int i = 1; i <= 4; i++) {
        load(&plug, "libplug_ie.so");
        EQ(plug.get(), 42);
        plug.set(5);
        bump(&turn);
        await(&turn, 2 * i);
        EQ(dlclose(plug.handle), 0);
    }
    reap(t);
}

static void initial_exec_model(void)
{
    with("libplug_ie.so");
}

static void fresh_after_reload(void)
{
    for (int i = 0; i < 5; i++) {
        struct plug p;

        load(&p, "libplug_gd.so");
        EQ(p.loads(), 1);
        EQ(p.loads(), 2);
        EQ(p.get(), 42);
        p.set(7);
        EQ(dlclose(p.handle), 0); /* its destructor joins its thread */
    }
}

static void *opens_and_closes(void *arg)
{
    for (int i = 0; i < 10; i++) {
        struct plug p;

        load(&p, "libplug_gd.so");
        p.set(5);
        EQ(p.get(), 10);
        EQ(dlclose(p.handle), 0);
    }
    return arg;
}

static void from_threads_at_once(void)
{
    pthread_t t[8];

    for (int i = 0; i < 8; i++)
        t[i] = go(opens_and_closes, NULL);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 1);
    snprintf(dir, sizeof dir, "%s", argv[0]);
    dirname(dir);
    CASE(dynamic_model);
    CASE(initial_exec_again);
    CASE(initial_exec_model);
    CASE(fresh_after_reload);
    CASE(from_threads_at_once);
    return 0;
}
