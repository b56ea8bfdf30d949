// SPDX-License-Identifier: BSD-2-Clause
/* The dynamic linker beside threads: thread_local objects of loaded libraries and dlclose while
 * their destructors pend, constructors that make threads, indirect functions, another namespace,
 * RTLD_NEXT, a walk of all objects while others load and unload. */
#include "tap.h"
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <link.h>
#include <math.h>

enum { N = 50 };

struct lib {
    void *handle;
    void (*report)(int *);
    int (*touch)(int);
    int (*made)(void);
    int (*chosen)(void);
};

static char path[PATH_MAX + 64];
static int live;

template <typename F> static void find(void *handle, F &f, const char *name)
{
    f = reinterpret_cast<F>(dlsym(handle, name));
    CHECK(f);
}

static void load(lib &l)
{
    l.handle = dlopen(path, RTLD_LAZY);
    if (!l.handle)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(l.handle);
    find(l.handle, l.report, "dtor_report");
    find(l.handle, l.touch, "dtor_touch");
    find(l.handle, l.made, "dtor_made");
    find(l.handle, l.chosen, "dtor_chosen");
    EQ(l.chosen(), 7);
    l.report(&live);
}

static lib one;
static int touched, let_go;

static void *touches(void *arg)
{
    EQ(one.touch((int)(long)arg), 42 + (long)arg);
    bump(&touched);
    await(&let_go, 1);
    EQ(one.touch(0), 42 + (long)arg);
    return nullptr;
}

static void objects_of_threads()
{
    pthread_t t[N];

    load(one);
    EQ(one.made(), 4);
    for (long i = 0; i < N; i++)
        t[i] = go(touches, (void *)i);
    await(&touched, N);
    EQ(live, N);
    EQ(dlclose(one.handle), 0); /* the objects keep it loaded */
    bump(&let_go);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    EQ(live, 0);
}

static void *loads(void *arg)
{
    for (int i = 0; i < 20; i++) {
        lib l;

        load(l);
        CHECK(l.touch(1) >= 43);
        EQ(dlclose(l.handle), 0);
    }
    return arg;
}

static int count(struct dl_phdr_info *info, size_t, void *arg)
{
    CHECK(info->dlpi_phnum > 0);
    ++*static_cast<int *>(arg);
    return 0;
}

static void *walks(void *arg)
{
    for (int i = 0; i < 200; i++) {
        int n = 0;

        EQ(dl_iterate_phdr(count, &n), 0);
        CHECK(n >= 3);
        try {
            throw i;
        } catch (int k) {
            EQ(k, i);
        }
    }
    return arg;
}

static void walks_and_loads()
{
    pthread_t t[12];

    for (int i = 0; i < 12; i++)
        t[i] = go(i % 3 ? walks : loads, nullptr);
    for (auto x : t)
        reap(x);
}

static void *asks_next(void *arg)
{
    typedef size_t (*length)(const char *);
    length next = reinterpret_cast<length>(dlsym(RTLD_NEXT, "strlen"));
    typedef int (*lock)(pthread_mutex_t *);
    lock real = reinterpret_cast<lock>(dlsym(RTLD_DEFAULT, "pthread_mutex_lock"));
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    Dl_info info;

    CHECK(next && real);
    EQ(next("four"), 4);
    EQ(real(&m), 0);
    EQ(pthread_mutex_trylock(&m), EBUSY);
    EQ(pthread_mutex_unlock(&m), 0);
    CHECK(dlvsym(RTLD_DEFAULT, "pthread_cond_wait", "GLIBC_2.3.2"));
    CHECK(dladdr(reinterpret_cast<void *>(asks_next), &info) && info.dli_fname);
    CHECK(!dlsym(RTLD_DEFAULT, "no_such_symbol_at_all"));
    CHECK(strstr(dlerror(), "no_such_symbol_at_all"));
    return arg;
}

static void symbols()
{
    pthread_t t[N];

    asks_next(nullptr);
    for (auto &x : t)
        x = go(asks_next, nullptr);
    for (auto x : t)
        reap(x);
}

static void *namespaces(void *arg)
{
    void *m = dlmopen(LM_ID_NEWLM, "libm.so.6", RTLD_NOW);
    double (*other)(double);

    CHECK(m);
    find(m, other, "cbrt");
    CHECK(fabs(other(27.0) - 3.0) < 1e-9);
    EQ(dlclose(m), 0);
    return arg;
}

static void another_namespace()
{
    namespaces(nullptr);
    for (int i = 0; i < 3; i++)
        reap(go(namespaces, nullptr));
}

static void *finds_by_name(void *arg)
{
    void *m = dlopen("libm.so.6", RTLD_LAZY | RTLD_NOLOAD), *none;

    CHECK(m);
    EQ(dlclose(m), 0);
    none = dlopen("libno-such-library.so.9", RTLD_NOW);
    CHECK(!none && strstr(dlerror(), "libno-such-library.so.9"));
    m = dlopen(nullptr, RTLD_NOW);
    CHECK(m);
    EQ(dlclose(m), 0);
    return arg;
}

static void by_name()
{
    pthread_t t[N];

    for (auto &x : t)
        x = go(finds_by_name, nullptr);
    for (auto x : t)
        reap(x);
}

int main(int argc, char **argv)
{
    char dir[PATH_MAX];

    CHECK(argc >= 1 && fabs(cbrt(argc * 8.0)) > 0);
    snprintf(dir, sizeof dir, "%s", argv[0]);
    snprintf(path, sizeof path, "%s/libdtor.so", dirname(dir));
    CASE(objects_of_threads);
    CASE(walks_and_loads);
    CASE(symbols);
    CASE(another_namespace);
    CASE(by_name);
    return 0;
}
