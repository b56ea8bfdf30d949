// SPDX-License-Identifier: BSD-2-Clause
/* A library for loader.cc: a thread_local object whose destructor reports into the program's
 * memory, a function chosen at load time, one that makes threads in its constructor. */
#include <pthread.h>

static int *live;

struct object {
    int value = 42;

    object()
    {
        if (live)
            __atomic_add_fetch(live, 1, __ATOMIC_SEQ_CST);
    }
    ~object()
    {
        if (live)
            __atomic_sub_fetch(live, 1, __ATOMIC_SEQ_CST);
    }
};

static thread_local object own;
static int made;

extern "C" {
void dtor_report(int *where);
int dtor_touch(int add);
int dtor_made(void);
int dtor_chosen(void);

void dtor_report(int *where)
{
    live = where;
}

int dtor_touch(int add)
{
    return own.value += add;
}

int dtor_made(void)
{
    return made;
}

static int seven(void)
{
    return 7;
}

typedef int function(void);

__attribute__((used)) static function *dtor_choose(void)
{
    return seven;
}

int dtor_chosen(void) __attribute__((ifunc("dtor_choose")));
}

static void *counts(void *)
{
    __atomic_add_fetch(&made, 1, __ATOMIC_SEQ_CST);
    return nullptr;
}

__attribute__((constructor)) static void start()
{
    pthread_t t[4];

    for (auto &x : t)
        pthread_create(&x, nullptr, counts, nullptr);
    for (auto &x : t)
        pthread_join(x, nullptr);
}
