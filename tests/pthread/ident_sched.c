/* SPDX-License-Identifier: BSD-2-Clause */
/* Policy and priority, niceness and CPUs of one thread: set by itself, by another, by attributes;
 * inherited; seen under its tid; and the errors.  What needs a privilege that is missing is checked
 * to fail, with the same output. */
#include "tap.h"
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static int may_rt, may_lower; /* may we use real-time policies, lower niceness? */

static void find_privileges(void)
{
    struct sched_param p = {.sched_priority = 2}, other = {.sched_priority = 0};

    may_rt = sched_setscheduler(0, SCHED_FIFO, &p) == 0;
    if (may_rt)
        EQ(sched_setscheduler(0, SCHED_OTHER, &other), 0);
    may_lower = setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) - 1) == 0;
    if (may_lower)
        EQ(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1), 0);
}

/* The kernel's own word on the calling thread. */
static int kernel_policy(void)
{
    return (int)syscall(SYS_sched_getscheduler, 0) & ~SCHED_RESET_ON_FORK;
}

static void is(pthread_t t, int policy, int prio)
{
    struct sched_param p;
    int which;

    EQ(pthread_getschedparam(t, &which, &p), 0);
    EQ(which, policy);
    EQ(p.sched_priority, prio);
}

/* ---- policy ---- */

static void *own_policy(void *arg)
{
    struct sched_param p = {.sched_priority = 3};
    pthread_t me = pthread_self();

    (void)arg;
    is(me, SCHED_OTHER, 0);
    EQ(pthread_setschedparam(me, SCHED_FIFO, &p), may_rt ? 0 : EPERM);
    if (may_rt) {
        is(me, SCHED_FIFO, 3);
        for (int i = 0; i < 20; i++)
            sched_yield();
        pause_ms(2);
        EQ(kernel_policy(), SCHED_FIFO);
        EQ(pthread_setschedprio(me, 7), 0);
        EQ(sched_getparam(0, &p), 0);
        EQ(p.sched_priority, 7);
        EQ(sched_getscheduler(gettid()), SCHED_FIFO);
        p.sched_priority = 5;
        EQ(sched_setscheduler(0, SCHED_RR, &p), 0);
        EQ(sched_getscheduler(0), SCHED_RR);
        p.sched_priority = 4;
        EQ(sched_setparam(gettid(), &p), 0);
        p.sched_priority = 0;
        EQ(sched_getparam(gettid(), &p), 0);
        EQ(p.sched_priority, 4);
    }
    p.sched_priority = 0;
    EQ(pthread_setschedparam(me, SCHED_BATCH, &p), 0);
    is(me, SCHED_BATCH, 0);
    EQ(kernel_policy(), SCHED_BATCH);
    EQ(pthread_setschedparam(me, SCHED_OTHER, &p), 0);
    EQ(kernel_policy(), SCHED_OTHER);
    return NULL;
}

static void *bad_policy(void *arg)
{
    struct sched_param p = {.sched_priority = 100};
    pthread_t t = arg ? *(pthread_t *)arg : pthread_self();

    EQ(pthread_setschedparam(t, SCHED_FIFO, &p), EINVAL);
    EQ(pthread_setschedparam(t, 77, &p), EINVAL);
    p.sched_priority = 0;
    EQ(pthread_setschedparam(t, SCHED_RR, &p), EINVAL);
    p.sched_priority = 1;
    EQ(pthread_setschedparam(t, SCHED_OTHER, &p), EINVAL);
    EQ(pthread_setschedprio(t, 9), EINVAL);
    is(t, SCHED_OTHER, 0);
    return NULL;
}

static int go_on, asked;

static void *is_asked(void *arg)
{
    struct sched_param p;

    bump(&asked);
    await(&go_on, 1);
    EQ(kernel_policy(), arg ? SCHED_RR : SCHED_OTHER);
    EQ(sched_getparam(0, &p), 0);
    EQ(p.sched_priority, arg ? 6 : 0);
    return NULL;
}

static void policy_of_others(void)
{
    struct sched_param p = {.sched_priority = 6};
    pthread_t t;

    asked = go_on = 0;
    t = go(is_asked, (void *)(long)may_rt);
    await(&asked, 1);
    EQ(pthread_setschedparam(t, SCHED_RR, &p), may_rt ? 0 : EPERM);
    is(t, may_rt ? SCHED_RR : SCHED_OTHER, may_rt ? 6 : 0);
    bump(&go_on);
    reap(t);

    asked = go_on = 0;
    t = go(is_asked, NULL);
    await(&asked, 1);
    bad_policy(&t);
    bump(&go_on);
    reap(t);
}

static void policy_of_self(void)
{
    for (int i = 0; i < 4; i++)
        reap(go(own_policy, NULL));
    own_policy(NULL); /* the first thread too */
    reap(go(bad_policy, NULL));
    bad_policy(NULL);
}

static void *inherited(void *arg)
{
    is(pthread_self(), arg ? SCHED_FIFO : SCHED_OTHER, arg ? 2 : 0);
    EQ(kernel_policy(), arg ? SCHED_FIFO : SCHED_OTHER);
    return NULL;
}

static void *inherits(void *arg)
{
    struct sched_param p = {.sched_priority = 2};

    if (may_rt)
        EQ(pthread_setschedparam(pthread_self(), SCHED_FIFO, &p), 0);
    reap(go(inherited, (void *)(long)may_rt));
    return arg;
}

static void policy_of_attributes(void)
{
    struct sched_param p = {.sched_priority = 2};
    pthread_attr_t a;
    pthread_t t;

    reap(go(inherits, NULL));
    EQ(pthread_attr_init(&a), 0);
    EQ(pthread_attr_setinheritsched(&a, PTHREAD_EXPLICIT_SCHED), 0);
    EQ(pthread_attr_setschedpolicy(&a, SCHED_FIFO), 0);
    EQ(pthread_create(&t, &a, inherited, NULL), EINVAL); /* its priority is 0 */
    EQ(pthread_attr_setschedparam(&a, &p), 0);
    if (may_rt) {
        EQ(pthread_create(&t, &a, inherited, (void *)1), 0);
        reap(t);
    } else {
        EQ(pthread_create(&t, &a, inherited, (void *)1), EPERM);
    }
    EQ(pthread_attr_setinheritsched(&a, PTHREAD_INHERIT_SCHED), 0);
    EQ(pthread_create(&t, &a, inherited, NULL), 0);
    reap(t);
    EQ(pthread_attr_destroy(&a), 0);
}

/* ---- more of them than there are processors, with work to hand over ---- */

#define N_MANY 400

static pthread_mutex_t baton = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;

static void *takes_turns(void *arg)
{
    struct sched_param p = {.sched_priority = 1};
    int me = (int)(long)arg;

    if (me % 2)
        pthread_setschedparam(pthread_self(), SCHED_RR, &p);
    pthread_mutex_lock(&baton);
    while (turn != me)
        pthread_cond_wait(&turned, &baton);
    turn++;
    pthread_cond_broadcast(&turned);
    pthread_mutex_unlock(&baton);
    return NULL;
}

static void many(void)
{
    static pthread_t t[N_MANY];

    for (long i = N_MANY; i-- > 0;)
        t[i] = go(takes_turns, (void *)i);
    for (int i = 0; i < N_MANY; i++)
        reap(t[i]);
    EQ(turn, N_MANY);
}

/* ---- niceness ---- */

static void *nicer(void *arg)
{
    int was = getpriority(PRIO_PROCESS, 0);

    errno = 0;
    EQ(nice(3), was + 3);
    EQ(getpriority(PRIO_PROCESS, 0), was + 3);
    EQ(getpriority(PRIO_PROCESS, (id_t)gettid()), was + 3);
    pause_ms(2);
    EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 20 - (was + 3));
    EQ(setpriority(PRIO_PROCESS, (id_t)gettid(), was + 5), 0);
    EQ(getpriority(PRIO_PROCESS, 0), was + 5);
    if (may_lower) {
        EQ(setpriority(PRIO_PROCESS, 0, was), 0);
    } else {
        FAILS(setpriority(PRIO_PROCESS, 0, was), EACCES);
        FAILS(nice(-1), EPERM);
    }
    EQ(getpriority(PRIO_PROCESS, (id_t)getpid()), was);
    return arg;
}

static void niceness(void)
{
    int was = getpriority(PRIO_PROCESS, 0);

    for (int i = 0; i < 5; i++)
        reap(go(nicer, NULL));
    EQ(getpriority(PRIO_PROCESS, 0), was);
    EQ(getpriority(PRIO_PROCESS, (id_t)getpid()), was);
    FAILS(setpriority(PRIO_PROCESS, 1 << 21, 0), ESRCH);
}

/* ---- CPUs ---- */

static cpu_set_t all, one, last;
static int cpu_one, cpu_last;

static void *pinned_to(void *arg)
{
    cpu_set_t *set = (cpu_set_t *)arg, got;
    int cpu = set == &one ? cpu_one : cpu_last;

    EQ(pthread_setaffinity_np(pthread_self(), sizeof *set, set), 0);
    for (int i = 0; i < 200; i++) {
        EQ(sched_getcpu(), cpu);
        if (i % 2)
            sched_yield();
        else if (i % 50 == 0)
            pause_ms(1);
    }
    EQ(sched_getaffinity(gettid(), sizeof got, &got), 0);
    CHECK(CPU_EQUAL(&got, set));
    EQ(sched_setaffinity(0, sizeof all, &all), 0);
    return NULL;
}

static void *stays_on(void *arg)
{
    cpu_set_t got;

    bump(&asked);
    await(&go_on, 1);
    EQ(sched_getcpu(), (int)(long)arg);
    EQ(pthread_getaffinity_np(pthread_self(), sizeof got, &got), 0);
    EQ(CPU_COUNT(&got), 1);
    return NULL;
}

static void cpus(void)
{
    pthread_t t[16];
    pthread_attr_t a;
    cpu_set_t got, none, wide;

    EQ(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    CPU_ZERO(&last);
    for (int i = CPU_SETSIZE; i-- > 0;)
        if (CPU_ISSET(i, &all))
            cpu_one = i;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all))
            cpu_last = i;
    CPU_SET(cpu_one, &one);
    CPU_SET(cpu_last, &last);

    for (int i = 0; i < 16; i++)
        t[i] = go(pinned_to, i % 2 ? &one : &last);
    for (int i = 0; i < 16; i++)
        reap(t[i]);

    asked = go_on = 0; /* from outside, while it waits */
    t[0] = go(stays_on, (void *)(long)cpu_last);
    await(&asked, 1);
    EQ(pthread_setaffinity_np(t[0], sizeof last, &last), 0);
    EQ(pthread_getaffinity_np(t[0], sizeof got, &got), 0);
    CHECK(CPU_EQUAL(&got, &last));
    CPU_ZERO(&none);
    EQ(pthread_setaffinity_np(t[0], sizeof none, &none), EINVAL);
    bump(&go_on);
    reap(t[0]);

    EQ(pthread_attr_init(&a), 0);
    EQ(pthread_attr_setaffinity_np(&a, sizeof last, &last), 0);
    EQ(pthread_create(&t[0], &a, stays_on, (void *)(long)cpu_last), 0);
    reap(t[0]);
    EQ(pthread_attr_setaffinity_np(&a, sizeof none, &none), 0);
    EQ(pthread_create(&t[0], &a, stays_on, NULL), EINVAL);
    EQ(pthread_attr_destroy(&a), 0);

    memset(&wide, 255, sizeof wide); /* all that there are: what we have */
    EQ(sched_setaffinity(0, sizeof wide, &wide), 0);
    EQ(sched_getaffinity(0, sizeof got, &got), 0);
    CHECK(CPU_EQUAL(&got, &all));
    FAILS(sched_setaffinity(1 << 21, sizeof all, &all), ESRCH);
    EQ(pthread_getattr_np(pthread_self(), &a), 0);
    EQ(pthread_attr_getaffinity_np(&a, sizeof got, &got), 0);
    CHECK(CPU_EQUAL(&got, &all));
    EQ(pthread_attr_destroy(&a), 0);
}

int main(void)
{
    find_privileges();
    CASE(policy_of_self);
    CASE(policy_of_others);
    CASE(policy_of_attributes);
    CASE(many);
    CASE(niceness);
    CASE(cpus);
    return 0;
}
