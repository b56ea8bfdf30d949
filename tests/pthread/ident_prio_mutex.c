/* SPDX-License-Identifier: BSD-2-Clause */
/* Mutexes that inherit or protect a priority: types, errors, timeouts, conditions, owners that die,
 * and the priority that the kernel sees where we may use one. */
#include "tap.h"
#include <signal.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

static int may_rt;
static pthread_mutex_t m;

static void make(pthread_mutex_t *mx, int protocol, int type, int robust, int shared)
{
    pthread_mutexattr_t a;

    EQ(pthread_mutexattr_init(&a), 0);
    EQ(pthread_mutexattr_setprotocol(&a, protocol), 0);
    EQ(pthread_mutexattr_settype(&a, type), 0);
    if (robust)
        EQ(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST), 0);
    if (shared)
        EQ(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED), 0);
    if (protocol == PTHREAD_PRIO_PROTECT)
        EQ(pthread_mutexattr_setprioceiling(&a, 10), 0);
    EQ(pthread_mutex_init(mx, &a), 0);
    EQ(pthread_mutexattr_destroy(&a), 0);
}

/* The kernel's priority of the calling thread: -1 - N of a real-time one. */
static int kernel_prio(void)
{
    char buf[512], *at;
    int prio = 0;
    FILE *f = fopen("/proc/thread-self/stat", "r");

    CHECK(f != NULL);
    CHECK(fgets(buf, sizeof buf, f) != NULL);
    fclose(f);
    at = strrchr(buf, ')');
    CHECK(at != NULL);
    EQ(sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %d", &prio), 1);
    return prio;
}

static void realtime(int policy, int prio)
{
    struct sched_param p = {.sched_priority = prio};

    EQ(pthread_setschedparam(pthread_self(), policy, &p), 0);
}

/* ---- one thread ---- */

static void *others_try(void *arg)
{
    struct timespec soon = after_ms(CLOCK_REALTIME, 20);

    EQ(pthread_mutex_trylock(&m), EBUSY);
    EQ(pthread_mutex_timedlock(&m, &soon), ETIMEDOUT);
    EQ(pthread_mutex_unlock(&m), EPERM);
    return arg;
}

static void one_kind(int type, int robust, int shared)
{
    make(&m, PTHREAD_PRIO_INHERIT, type, robust, shared);
    EQ(pthread_mutex_lock(&m), 0);
    if (type == PTHREAD_MUTEX_ERRORCHECK)
        EQ(pthread_mutex_lock(&m), EDEADLK);
    if (type == PTHREAD_MUTEX_RECURSIVE) {
        EQ(pthread_mutex_lock(&m), 0);
        EQ(pthread_mutex_trylock(&m), 0);
        EQ(pthread_mutex_unlock(&m), 0);
        EQ(pthread_mutex_unlock(&m), 0);
    }
    reap(go(others_try, NULL));
    EQ(pthread_mutex_unlock(&m), 0);
    if (type != PTHREAD_MUTEX_NORMAL || robust)
        EQ(pthread_mutex_unlock(&m), EPERM);
    EQ(pthread_mutex_destroy(&m), 0);
}

static void kinds(void)
{
    for (int robust = 0; robust < 2; robust++)
        for (int shared = 0; shared < 2; shared++) {
            one_kind(PTHREAD_MUTEX_NORMAL, robust, shared);
            one_kind(PTHREAD_MUTEX_ERRORCHECK, robust, shared);
            one_kind(PTHREAD_MUTEX_RECURSIVE, robust, shared);
        }
}

/* ---- many threads, which sleep while they hold it ---- */

#define N_THREADS 24
#define N_ROUNDS  30

static long count, inside;
static pthread_cond_t ready = PTHREAD_COND_INITIALIZER;

static void *contends(void *arg)
{
    for (int i = 0; i < N_ROUNDS; i++) {
        EQ(pthread_mutex_lock(&m), 0);
        EQ(inside++, 0);
        if (i % 10 == 0)
            pause_ms(1);
        else if (i % 3 == 0)
            sched_yield();
        count++;
        inside--;
        EQ(pthread_mutex_unlock(&m), 0);
    }
    return arg;
}

static void contention(void)
{
    pthread_t t[N_THREADS];

    for (int kind = 0; kind < 2; kind++) {
        make(&m, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_NORMAL, 0, kind);
        count = 0;
        EQ(pthread_mutex_lock(&m), 0); /* held while threads come */
        for (int i = 0; i < N_THREADS; i++)
            t[i] = go(contends, NULL);
        pause_ms(5);
        EQ(pthread_mutex_unlock(&m), 0);
        for (int i = 0; i < N_THREADS; i++)
            reap(t[i]);
        EQ(count, N_THREADS * N_ROUNDS);
        EQ(pthread_mutex_destroy(&m), 0);
    }
}

static void *waits(void *arg)
{
    EQ(pthread_mutex_lock(&m), 0);
    while (count == 0)
        EQ(pthread_cond_wait(&ready, &m), 0);
    EQ(inside++, 0);
    sched_yield();
    inside--;
    EQ(pthread_mutex_unlock(&m), 0);
    return arg;
}

static void conditions(void)
{
    pthread_t t[N_THREADS];
    struct timespec soon;

    make(&m, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ERRORCHECK, 0, 0);
    count = 0;
    for (int i = 0; i < N_THREADS; i++)
        t[i] = go(waits, NULL);
    pause_ms(10);
    EQ(pthread_mutex_lock(&m), 0);
    soon = after_ms(CLOCK_REALTIME, 5);
    EQ(pthread_cond_timedwait(&ready, &m, &soon), ETIMEDOUT);
    count = 1;
    EQ(pthread_cond_broadcast(&ready), 0);
    EQ(pthread_mutex_unlock(&m), 0);
    for (int i = 0; i < N_THREADS; i++)
        reap(t[i]);
    EQ(pthread_mutex_destroy(&m), 0);
}

/* ---- the owner dies ---- */

static int held;

static void *dies_with_it(void *arg)
{
    EQ(pthread_mutex_lock(&m), 0);
    bump(&held);
    if (arg)
        pause_ms(30); /* others are waiting then */
    return NULL;
}

static void *inherits(void *arg)
{
    int e;

    await(&held, 1);
    e = pthread_mutex_lock(&m);
    CHECK(e == 0 || e == EOWNERDEAD);
    if (e == EOWNERDEAD) {
        bump((int *)arg);
        EQ(pthread_mutex_consistent(&m), 0);
    }
    EQ(pthread_mutex_unlock(&m), 0);
    return NULL;
}

static void owner_dies(void)
{
    pthread_t t[5], owner;
    int died;

    for (int waiters = 0; waiters < 2; waiters++)
        for (int round = 0; round < 5; round++) {
            make(&m, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_NORMAL, 1, round % 2);
            held = died = 0;
            owner = go(dies_with_it, (void *)(long)waiters);
            if (!waiters)
                reap(owner);
            for (int i = 0; i < 5; i++)
                t[i] = go(inherits, &died);
            if (waiters)
                reap(owner);
            for (int i = 0; i < 5; i++)
                reap(t[i]);
            EQ(died, 1);
            EQ(pthread_mutex_destroy(&m), 0);
        }
    make(&m, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_NORMAL, 1, 0);
    reap(go(dies_with_it, NULL));
    EQ(pthread_mutex_lock(&m), EOWNERDEAD);
    EQ(pthread_mutex_unlock(&m), 0); /* and not made consistent */
    EQ(pthread_mutex_lock(&m), ENOTRECOVERABLE);
    EQ(pthread_mutex_destroy(&m), 0);
}

/* A process is killed while a thread of it sleeps that holds one. */
static void *sleeps_with_it(void *arg)
{
    EQ(pthread_mutex_lock((pthread_mutex_t *)arg), 0);
    bump((int *)((char *)arg + 2048));
    pause_ms(100000);
    return NULL;
}

static void process_is_killed(void)
{
    for (int protocol = 0; protocol < 2; protocol++) {
        char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pthread_mutex_t *mx = (pthread_mutex_t *)shared;
        pid_t pid;
        int status;

        CHECK(shared != MAP_FAILED);
        make(mx, protocol ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE, PTHREAD_MUTEX_NORMAL, 1, 1);
        pid = fork();
        if (pid == 0) {
            go(sleeps_with_it, shared);
            pause_ms(100000);
        }
        await((int *)(shared + 2048), 1);
        EQ(pthread_mutex_trylock(mx), EBUSY);
        EQ(kill(pid, SIGKILL), 0);
        EQ(waitpid(pid, &status, 0), pid);
        EQ(pthread_mutex_lock(mx), EOWNERDEAD);
        EQ(pthread_mutex_consistent(mx), 0);
        EQ(pthread_mutex_unlock(mx), 0);
        munmap(shared, 4096);
    }
}

/* ---- what the kernel sees ---- */

static int lent;

static void *wants_it(void *arg)
{
    realtime(SCHED_FIFO, 20);
    bump(&held);
    EQ(pthread_mutex_lock(&m), 0);
    EQ(pthread_mutex_unlock(&m), 0);
    return arg;
}

static void *is_lent(void *arg)
{
    pthread_t t;

    EQ(pthread_mutex_lock(&m), 0);
    CHECK(kernel_prio() >= 0);
    t = go(wants_it, NULL);
    for (int i = 0; i < 2000 && kernel_prio() != -21; i++)
        pause_ms(1);
    lent = kernel_prio();
    EQ(pthread_mutex_unlock(&m), 0);
    CHECK(kernel_prio() >= 0);
    reap(t);
    return arg;
}

static void priority_is_lent(void)
{
    make(&m, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_NORMAL, 0, 0);
    if (may_rt) {
        reap(go(is_lent, NULL));
        EQ(lent, -21);
    }
    EQ(pthread_mutex_destroy(&m), 0);
}

/* ---- ceilings ---- */

static void *under_ceiling(void *arg)
{
    pthread_mutex_t low;
    int old = -1;

    realtime(SCHED_FIFO, 5);
    EQ(kernel_prio(), -6);
    make(&low, PTHREAD_PRIO_PROTECT, PTHREAD_MUTEX_NORMAL, 0, arg != NULL);
    EQ(pthread_mutex_lock(&m), 0);
    EQ(kernel_prio(), -11);
    pause_ms(2);
    sched_yield();
    EQ(kernel_prio(), -11);
    EQ(pthread_mutex_setprioceiling(&low, 7, &old), 0);
    EQ(old, 10);
    EQ(pthread_mutex_getprioceiling(&low, &old), 0);
    EQ(old, 7);
    EQ(pthread_mutex_lock(&low), 0);
    EQ(kernel_prio(), -11);
    EQ(pthread_mutex_unlock(&m), 0);
    EQ(kernel_prio(), -8);
    EQ(pthread_mutex_unlock(&low), 0);
    EQ(kernel_prio(), -6);
    realtime(SCHED_FIFO, 8);
    EQ(pthread_mutex_lock(&low), EINVAL); /* above its ceiling */
    EQ(pthread_mutex_trylock(&low), EINVAL);
    EQ(pthread_mutex_trylock(&m), 0);
    EQ(pthread_mutex_unlock(&m), 0);
    realtime(SCHED_OTHER, 0);
    EQ(pthread_mutex_destroy(&low), 0);
    return NULL;
}

static void ceilings(void)
{
    int old;

    for (long shared = 0; shared < 2; shared++) {
        make(&m, PTHREAD_PRIO_PROTECT, PTHREAD_MUTEX_NORMAL, 0, (int)shared);
        EQ(pthread_mutex_setprioceiling(&m, 0, &old), EINVAL);
        EQ(pthread_mutex_setprioceiling(&m, 100, &old), EINVAL);
        if (may_rt)
            for (int i = 0; i < 3; i++)
                reap(go(under_ceiling, (void *)shared));
        else
            CHECK(pthread_mutex_lock(&m) != 0); /* no priority to raise to it */
        EQ(pthread_mutex_destroy(&m), 0);
    }
    make(&m, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_NORMAL, 0, 0);
    EQ(pthread_mutex_setprioceiling(&m, 5, &old), EINVAL);
    EQ(pthread_mutex_destroy(&m), 0);
}

/* ---- held since before the first thread ---- */

static void *not_mine(void *arg)
{
    EQ(pthread_mutex_trylock(&m), EBUSY);
    EQ(pthread_mutex_unlock(&m), EPERM);
    return arg;
}

static void early(void)
{
    make(&m, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_NORMAL, 1, 0);
    EQ(pthread_mutex_lock(&m), 0);
    for (int i = 0; i < 10; i++)
        reap(go(not_mine, NULL));
    EQ(pthread_mutex_unlock(&m), 0);
    EQ(pthread_mutex_destroy(&m), 0);
}

int main(void)
{
    struct sched_param p = {.sched_priority = 1}, other = {.sched_priority = 0};

    may_rt = sched_setscheduler(0, SCHED_FIFO, &p) == 0;
    if (may_rt)
        EQ(sched_setscheduler(0, SCHED_OTHER, &other), 0);
    CASE(early);
    CASE(kinds);
    CASE(contention);
    CASE(conditions);
    CASE(owner_dies);
    CASE(process_is_killed);
    CASE(priority_is_lent);
    CASE(ceilings);
    return 0;
}
