/* SPDX-License-Identifier: BSD-2-Clause */
/* Fork handlers of a library: they run while it is loaded, and are forgotten at dlclose, also when
 * another library comes to lie where it was. */
#include "proc.h"
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>

static char path[PATH_MAX + 64];
static int counts[3], want_child;

static int child(void)
{
    return counts[2] == want_child ? 5 : 1;
}

static void expect(int prepare, int parent, int in_child_)
{
    memset(counts, 0, sizeof counts);
    want_child = in_child_;
    EQ(in_child(child), 5);
    EQ(counts[0], prepare);
    EQ(counts[1], parent);
    EQ(counts[2], 0);
}

static void *loads(void *arg)
{
    void *lib = dlopen(path, RTLD_NOW);
    void (*count_in)(int *);

    CHECK(lib);
    count_in = (void (*)(int *))(uintptr_t)dlsym(lib, "atfork_count_in");
    CHECK(count_in);
    expect(0, 0, 0);
    count_in(counts);
    expect(1, 1, 1);
    count_in(counts);
    expect(2, 2, 2);
    EQ(dlclose(lib), 0);
    lib = dlopen(path, RTLD_NOW); /* the same place, as a rule */
    CHECK(lib);
    expect(0, 0, 0);
    EQ(dlclose(lib), 0);
    expect(0, 0, 0);
    return arg;
}

static int loads_in_child(void)
{
    loads(NULL);
    reap(go(loads, NULL));
    return 6;
}

static void in_main(void)
{
    loads(NULL);
}

static void in_threads(void)
{
    for (int i = 0; i < 5; i++)
        reap(go(loads, NULL));
    EQ(in_child(loads_in_child), 6);
}

/* libc runs a handler without a lock: nobody may unmap its code meanwhile. */
static pthread_rwlock_t closing = PTHREAD_RWLOCK_INITIALIZER;

static void *forks(void *arg)
{
    for (int i = 0; i < 10; i++) {
        pthread_rwlock_rdlock(&closing);
        CHECK(in_child(child) >= 1);
        pthread_rwlock_unlock(&closing);
    }
    return arg;
}

static void *loads_and_closes(void *arg)
{
    for (int i = 0; i < 50; i++) {
        void *lib = dlopen(path, RTLD_NOW);

        CHECK(lib);
        ((void (*)(int *))(uintptr_t)dlsym(lib, "atfork_count_in"))((int *)arg);
        pthread_rwlock_wrlock(&closing);
        EQ(dlclose(lib), 0);
        pthread_rwlock_unlock(&closing);
    }
    return NULL;
}

/* Each loads its own handle, so a library's handlers may be there or not when the other forks. */
static void beside_forks(void)
{
    pthread_t t[3] = {go(forks, NULL), go(forks, NULL), go(loads_and_closes, counts)};

    for (int i = 0; i < 3; i++)
        reap(t[i]);
    expect(0, 0, 0);
}

int main(int argc, char **argv)
{
    char dir[PATH_MAX];

    CHECK(argc >= 1);
    snprintf(dir, sizeof dir, "%s", argv[0]);
    snprintf(path, sizeof path, "%s/libatfork.so", dirname(dir));
    CASE(in_main);
    CASE(in_threads);
    CASE(beside_forks);
    return 0;
}
