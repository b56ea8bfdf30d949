/* SPDX-License-Identifier: BSD-2-Clause */
/* What attributes do to the thread that is made with them: CPU mask, signal mask, scheduling,
 * exact stack size, and defaults set for the whole process.  What cannot be had is refused. */
#include "tap.h"
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <threads.h>

static cpu_set_t process_cpus;

static int one_cpu(void)
{
    int cpu = 0;

    while (!CPU_ISSET(cpu, &process_cpus))
        cpu++;
    return cpu;
}

static void expect_only(int cpu)
{
    cpu_set_t set, reported;
    pthread_attr_t a;

    EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    EQ(CPU_COUNT(&set), 1);
    CHECK(CPU_ISSET(cpu, &set));
    EQ(sched_getcpu(), cpu);
    EQ(pthread_getattr_np(pthread_self(), &a), 0);
    EQ(pthread_attr_getaffinity_np(&a, sizeof(reported), &reported), 0);
    CHECK(CPU_EQUAL(&set, &reported));
    EQ(pthread_attr_destroy(&a), 0);
}

static void *child_of_pinned(void *arg)
{
    expect_only(*(int *)arg);
    return NULL;
}

static void *pinned(void *arg)
{
    expect_only(*(int *)arg);
    reap(go(child_of_pinned, arg)); /* a thread inherits its maker's CPUs */
    return NULL;
}

static void cpus(void)
{
    pthread_attr_t a;
    pthread_t t;
    cpu_set_t set;
    int cpu = one_cpu();

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    EQ(pthread_attr_init(&a), 0);
    EQ(pthread_attr_setaffinity_np(&a, sizeof(set), &set), 0);
    EQ(pthread_create(&t, &a, pinned, &cpu), 0);
    reap(t);
    EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    CHECK(CPU_EQUAL(&set, &process_cpus)); /* nobody else's have changed */

    CPU_ZERO(&set);
    CPU_SET(CPU_SETSIZE - 1, &set);
    EQ(pthread_attr_setaffinity_np(&a, sizeof(set), &set), 0);
    EQ(pthread_create(&t, &a, pinned, NULL), EINVAL);
    EQ(pthread_attr_destroy(&a), 0);
}

static void bad_priority(void)
{
    pthread_attr_t a;
    pthread_t t;
    struct sched_param sp = {.sched_priority = sched_get_priority_max(SCHED_FIFO)};

    EQ(pthread_attr_init(&a), 0);
    EQ(pthread_attr_setschedpolicy(&a, SCHED_FIFO), 0);
    EQ(pthread_attr_setschedparam(&a, &sp), 0);
    EQ(pthread_attr_setschedpolicy(&a, SCHED_OTHER), 0);
    EQ(pthread_attr_setinheritsched(&a, PTHREAD_EXPLICIT_SCHED), 0);
    EQ(pthread_create(&t, &a, pinned, NULL), EINVAL);
    EQ(pthread_attr_destroy(&a), 0);
}

static void *expect_blocked(void *arg)
{
    sigset_t now;

    (void)arg;
    EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    CHECK(sigismember(&now, SIGUSR2) && !sigismember(&now, SIGUSR1));
    return NULL;
}

static int expect_blocked_c11(void *arg)
{
    expect_blocked(arg);
    return 7;
}

static void signal_mask(void)
{
    pthread_attr_t a;
    pthread_t t;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    EQ(pthread_attr_init(&a), 0);
    EQ(pthread_attr_setsigmask_np(&a, &set), 0);
    EQ(pthread_create(&t, &a, expect_blocked, NULL), 0);
    reap(t);
    EQ(pthread_attr_destroy(&a), 0);
}

enum { STACK = 1124 * 1024, GUARD = 3 };

static void *expect_defaults(void *arg)
{
    pthread_attr_t a;
    size_t size = 0, guard = 0;
    void *addr = NULL;
    int v = -1;

    EQ(pthread_getattr_np(pthread_self(), &a), 0);
    EQ(pthread_attr_getstack(&a, &addr, &size), 0);
    EQ(size, STACK);
    CHECK((char *)&a > (char *)addr && (char *)&a < (char *)addr + size);
    EQ(pthread_attr_getguardsize(&a, &guard), 0);
    EQ(guard, GUARD * getpagesize());
    EQ(pthread_attr_getdetachstate(&a, &v), 0);
    EQ(v, PTHREAD_CREATE_DETACHED);
    EQ(pthread_attr_destroy(&a), 0);
    expect_blocked(NULL);
    bump(arg);
    return NULL;
}

/* The defaults apply to threads without attributes, C11's included. */
static void process_defaults(void)
{
    pthread_attr_t a, was;
    pthread_t t;
    thrd_t c;
    sigset_t set;
    int done = 0, res = 0;

    EQ(pthread_getattr_default_np(&was), 0);
    EQ(pthread_attr_init(&a), 0);
    EQ(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED), 0);
    EQ(pthread_attr_setstacksize(&a, STACK), 0);
    EQ(pthread_attr_setguardsize(&a, GUARD * (size_t)getpagesize()), 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    EQ(pthread_attr_setsigmask_np(&a, &set), 0);
    EQ(pthread_setattr_default_np(&a), 0);
    EQ(pthread_create(&t, NULL, expect_defaults, &done), 0);
    await(&done, 1);
    EQ(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_JOINABLE), 0);
    EQ(pthread_setattr_default_np(&a), 0);
    EQ(thrd_create(&c, expect_blocked_c11, NULL), thrd_success);
    EQ(thrd_join(c, &res), thrd_success);
    EQ(res, 7);
    EQ(pthread_setattr_default_np(&was), 0);
    EQ(pthread_attr_destroy(&a), 0);
    EQ(pthread_attr_destroy(&was), 0);
}

static void *has_stack(void *arg)
{
    size_t asked = *(size_t *)arg, size = 0, guard = 0;
    void *low = NULL;
    pthread_attr_t a;

    EQ(pthread_getattr_np(pthread_self(), &a), 0);
    EQ(pthread_attr_getstack(&a, &low, &size), 0);
    EQ(pthread_attr_getguardsize(&a, &guard), 0);
    EQ(pthread_attr_destroy(&a), 0);
    CHECK(size >= asked); /* libc may take a longer one that is left over */
    EQ(guard, 4096);
    CHECK((char *)&a > (char *)low && (char *)&a < (char *)low + size);
    *(volatile char *)low = 1;
    return NULL;
}

/* The guard is not a part of what was asked for. */
static void stack_sizes(void)
{
    static size_t asked[] = {64ul << 10, 1ul << 20, 2ul << 20, 8ul << 20, 10ul << 20, 64ul << 20};

    for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
        pthread_attr_t a;
        pthread_t t;

        EQ(pthread_attr_init(&a), 0);
        EQ(pthread_attr_setstacksize(&a, asked[i]), 0);
        EQ(pthread_create(&t, &a, has_stack, &asked[i]), 0);
        EQ(pthread_join(t, NULL), 0);
        EQ(pthread_attr_destroy(&a), 0);
    }
}

int main(void)
{
    EQ(sched_getaffinity(0, sizeof(process_cpus), &process_cpus), 0);
    CASE(cpus);
    CASE(bad_priority);
    CASE(signal_mask);
    CASE(process_defaults);
    CASE(stack_sizes);
    return 0;
}
