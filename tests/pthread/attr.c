/* SPDX-License-Identifier: BSD-2-Clause */
/* Thread attributes: getters give back what was set, wrong values are refused, and a running
 * thread has the stack, size and detach state that it was made with. */
#include "tap.h"
#include <limits.h>
#include <sched.h>
#include <sys/mman.h>

static void defaults(void)
{
    pthread_attr_t a;
    size_t size = 0, guard = 0;
    int v = -1;
    struct sched_param sp;

    EQ(pthread_attr_init(&a), 0);
    EQ(pthread_attr_getdetachstate(&a, &v), 0);
    EQ(v, PTHREAD_CREATE_JOINABLE);
    EQ(pthread_attr_getstacksize(&a, &size), 0);
    CHECK(size >= 65536);
    EQ(pthread_attr_getguardsize(&a, &guard), 0);
    EQ(guard, sysconf(_SC_PAGESIZE));
    EQ(pthread_attr_getinheritsched(&a, &v), 0);
    EQ(v, PTHREAD_INHERIT_SCHED);
    EQ(pthread_attr_getschedpolicy(&a, &v), 0);
    EQ(v, SCHED_OTHER);
    EQ(pthread_attr_getscope(&a, &v), 0);
    EQ(v, PTHREAD_SCOPE_SYSTEM);
    EQ(pthread_attr_getschedparam(&a, &sp), 0);
    EQ(sp.sched_priority, 0);
    EQ(pthread_attr_destroy(&a), 0);
}

static void round_trip(void)
{
    pthread_attr_t a;
    size_t size;
    int v;

    pthread_attr_init(&a);
    EQ(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED), 0);
    pthread_attr_getdetachstate(&a, &v);
    EQ(v, PTHREAD_CREATE_DETACHED);
    EQ(pthread_attr_setstacksize(&a, 300 * 1024), 0);
    pthread_attr_getstacksize(&a, &size);
    EQ(size, 300 * 1024);
    EQ(pthread_attr_setguardsize(&a, 3 * 4096), 0);
    pthread_attr_getguardsize(&a, &size);
    EQ(size, 3 * 4096);
    EQ(pthread_attr_setinheritsched(&a, PTHREAD_EXPLICIT_SCHED), 0);
    pthread_attr_getinheritsched(&a, &v);
    EQ(v, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_destroy(&a);
}

static void refused(void)
{
    pthread_attr_t a;

    pthread_attr_init(&a);
    EQ(pthread_attr_setdetachstate(&a, 77), EINVAL);
    EQ(pthread_attr_setstacksize(&a, PTHREAD_STACK_MIN - 1), EINVAL);
    EQ(pthread_attr_setscope(&a, PTHREAD_SCOPE_PROCESS), ENOTSUP);
    EQ(pthread_attr_setscope(&a, 77), EINVAL);
    EQ(pthread_attr_setinheritsched(&a, 77), EINVAL);
    EQ(pthread_attr_setschedpolicy(&a, 77), EINVAL);
    pthread_attr_destroy(&a);
}

struct bounds {
    char *low;
    size_t size;
    size_t guard;
    int detached;
    char *local;
};

static struct bounds *ask(struct bounds *b)
{
    pthread_attr_t a;
    char here;
    void *low;

    EQ(pthread_getattr_np(pthread_self(), &a), 0);
    EQ(pthread_attr_getstack(&a, &low, &b->size), 0);
    EQ(pthread_attr_getguardsize(&a, &b->guard), 0);
    EQ(pthread_attr_getdetachstate(&a, &b->detached), 0);
    b->low = (char *)low;
    b->local = (char *)(uintptr_t)&here;
    CHECK(b->local >= b->low && b->local < b->low + b->size);
    EQ(pthread_attr_destroy(&a), 0);
    return b;
}

static void *ask_in_thread(void *arg)
{
    return ask((struct bounds *)arg);
}

static void getattr_self(void)
{
    struct bounds b;
    pthread_attr_t a;
    pthread_t t;

    ask(&b);
    reap(go(ask_in_thread, &b));
    EQ(b.detached, PTHREAD_CREATE_JOINABLE);
    CHECK(b.size >= 64 * 1024);
    pthread_attr_init(&a);
    for (size_t size = 128 * 1024; size <= 16 << 20; size *= 4) {
        EQ(pthread_attr_setstacksize(&a, size), 0);
        EQ(pthread_create(&t, &a, ask_in_thread, &b), 0);
        reap(t);
        CHECK(b.size >= size - 16384); /* may be more: a larger stack was used again */
    }
    pthread_attr_destroy(&a);
}

static int stop;

static void *waits(void *arg)
{
    ask((struct bounds *)arg);
    await(&stop, 1);
    return NULL;
}

static void getattr_other(void)
{
    struct bounds b = {0};
    pthread_attr_t a;
    pthread_t t = go(waits, &b);
    void *low;
    size_t size;

    pause_ms(30);
    EQ(pthread_getattr_np(t, &a), 0);
    EQ(pthread_attr_getstack(&a, &low, &size), 0);
    CHECK(low == b.low);
    EQ(size, b.size);
    pthread_attr_destroy(&a);
    bump(&stop);
    reap(t);
}

static void *fill(void *arg)
{
    volatile char page[4096];

    for (size_t i = 0; i < sizeof page; i++)
        page[i] = (char)i;
    (void)ask((struct bounds *)arg);
    return (void *)(uintptr_t)(page[17] == 17);
}

static void own_stack(void)
{
    size_t size = 256 * 1024;
    pthread_attr_t a;
    struct bounds b;
    pthread_t t;

    for (int i = 0; i < 200; i++) {
        char *m =
            (char *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        CHECK(m != MAP_FAILED);
        pthread_attr_init(&a);
        EQ(pthread_attr_setstack(&a, m, size), 0);
        EQ(pthread_create(&t, &a, fill, &b), 0);
        EQ((long)reap(t), 1);
        CHECK(b.low == m && b.size == size);
        EQ(munmap(m, size), 0); /* joined: the stack is ours again, at once */
        pthread_attr_destroy(&a);
    }
}

static void own_stack_twice(void)
{
    size_t size = 128 * 1024;
    char *m = (char *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t a;
    struct bounds b;
    pthread_t t;

    pthread_attr_init(&a);
    EQ(pthread_attr_setstack(&a, m, size), 0);
    for (int i = 0; i < 100; i++) {
        EQ(pthread_create(&t, &a, fill, &b), 0);
        reap(t);
        memset(m, 0x5a, size);
    }
    for (size_t i = 0; i < size; i++)
        CHECK(m[i] == 0x5a);
    munmap(m, size);
    pthread_attr_destroy(&a);
}

static void *small(void *arg)
{
    volatile char local[512];

    local[0] = 1;
    sched_yield();
    return local[0] == 1 ? arg : NULL;
}

static void smallest_stack(void)
{
    pthread_attr_t a;
    pthread_t t[50];
    int x;

    pthread_attr_init(&a);
    EQ(pthread_attr_setstacksize(&a, PTHREAD_STACK_MIN), 0);
    for (int i = 0; i < 50; i++)
        EQ(pthread_create(&t[i], &a, small, &x), 0);
    for (int i = 0; i < 50; i++)
        CHECK(reap(t[i]) == &x);
    pthread_attr_destroy(&a);
}

static void default_attr(void)
{
    pthread_attr_t old, a;
    struct bounds b;
    size_t size;

    EQ(pthread_getattr_default_np(&old), 0);
    EQ(pthread_attr_init(&a), 0);
    EQ(pthread_attr_setstacksize(&a, 1 << 20), 0);
    EQ(pthread_setattr_default_np(&a), 0);
    reap(go(ask_in_thread, &b));
    CHECK(b.size >= (1 << 20) - 16384 && b.size <= 4 << 20); /* maybe one used again */
    pthread_attr_destroy(&a);
    pthread_attr_init(&a);
    pthread_attr_getstacksize(&a, &size);
    EQ(size, 1 << 20);
    EQ(pthread_setattr_default_np(&old), 0);
    pthread_attr_destroy(&a);
    pthread_attr_destroy(&old);
}

static void *runs_on(void *arg)
{
    cpu_set_t set;

    EQ(pthread_getaffinity_np(pthread_self(), sizeof set, &set), 0);
    CHECK(CPU_EQUAL(&set, (cpu_set_t *)arg));
    return NULL;
}

static void affinity_attr(void)
{
    cpu_set_t set, got;
    pthread_attr_t a;
    pthread_t t;

    EQ(sched_getaffinity(0, sizeof set, &set), 0);
    pthread_attr_init(&a);
    EQ(pthread_attr_setaffinity_np(&a, sizeof set, &set), 0);
    EQ(pthread_attr_getaffinity_np(&a, sizeof got, &got), 0);
    CHECK(CPU_EQUAL(&set, &got));
    EQ(pthread_create(&t, &a, runs_on, &set), 0);
    reap(t);
    pthread_attr_destroy(&a);
}

int main(void)
{
    CASE(defaults);
    CASE(round_trip);
    CASE(refused);
    CASE(getattr_self);
    CASE(getattr_other);
    CASE(own_stack);
    CASE(own_stack_twice);
    CASE(smallest_stack);
    CASE(default_attr);
    CASE(affinity_attr);
    return 0;
}
