/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Micro benchmarks: an ordinary pthread program that is run plain and preloaded by tests/bench/run.
 *
 *     bench NAME [SECS]
 *
 * runs NAME for about SECS seconds (1) and prints one line of key=value pairs; ns_per_op is the
 * time the process as a whole needs for one operation.  Every benchmark also checks what it did
 * (counts, turns, values) and exits 1 when that is wrong; 77 when the machine refuses that many
 * threads. Work is done by created threads, never by main, so that main's own ways do not show.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/harness.h"
#include "tests/bench/proc.h"

enum { MANY = 10000, BATCH = 1000, NAP_US = 100000 };

static double secs = 1.0;
static atomic_int stop;

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench: wrong: %s\n", what);
    exit(1);
}

static void create(pthread_t *thread, void *(*fn)(void *), void *arg)
{
    int err = pthread_create(thread, NULL, fn, arg);

    if (err) {
        fprintf(stderr, "bench: pthread_create: %s\n", strerror(err));
        exit(err == EAGAIN ? HARNESS_SKIP : 1);
    }
}

static void print_ns(double elapsed, uint64_t ops)
{
    check(ops > 0, "nothing was done");
    printf("ns_per_op=%.1f ops=%llu\n", elapsed * 1e9 / (double)ops, (unsigned long long)ops);
}

/* ---- create and join ---- */

static void *identity(void *arg)
{
    return arg;
}

/* Creates n threads, then joins them, until the time is over. */
static void create_join(int n)
{
    static pthread_t threads[BATCH];
    uint64_t ops = 0;
    double begin = now_s(), end = begin + secs;
    void *ret;

    while (now_s() < end) {
        for (int i = 0; i < n; i++)
            create(&threads[i], identity, &threads[i]);
        for (int i = 0; i < n; i++) {
            check(pthread_join(threads[i], &ret) == 0 && ret == &threads[i], "join");
            ops++;
        }
    }
    print_ns(now_s() - begin, ops);
}

/* ---- n workers for a fixed time ---- */

struct worker {
    _Alignas(64) uint64_t count;
    pthread_t thread;
};

static pthread_barrier_t ready;

/* Lets n threads run `loop` until `stop` is set.  Returns what they counted; *elapsed: the time. */
static uint64_t run_workers(int n, void *(*loop)(void *), double *elapsed)
{
    struct worker *workers = aligned_alloc(64, (size_t)n * sizeof *workers);
    uint64_t sum = 0;

    check(workers != NULL, "no memory");
    memset(workers, 0, (size_t)n * sizeof *workers);
    pthread_barrier_init(&ready, NULL, (unsigned)n + 1);
    for (int i = 0; i < n; i++)
        create(&workers[i].thread, loop, &workers[i]);
    pthread_barrier_wait(&ready);
    double begin = now_s();
    while (now_s() < begin + secs)
        usleep(10000);
    atomic_store(&stop, 1);
    *elapsed = now_s() - begin;
    for (int i = 0; i < n; i++) {
        pthread_join(workers[i].thread, NULL);
        sum += workers[i].count;
    }
    free(workers);
    return sum;
}

static void *yield_loop(void *arg)
{
    struct worker *w = arg;

    pthread_barrier_wait(&ready);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        sched_yield();
        w->count++;
    }
    return NULL;
}

static void yield(int n)
{
    double elapsed;
    uint64_t ops = run_workers(n, yield_loop, &elapsed);

    print_ns(elapsed, ops);
}

/* ---- mutex ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t guarded; /* only changed under the lock, without atomics */

/* About 20 ns of work that the compiler keeps. */
static void some_work(void)
{
    for (volatile int i = 0; i < 10; i++)
        ;
}

static void *contend_loop(void *arg)
{
    struct worker *w = arg;

    pthread_barrier_wait(&ready);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        pthread_mutex_lock(&lock);
        some_work();
        guarded++;
        pthread_mutex_unlock(&lock);
        some_work();
        w->count++;
    }
    return NULL;
}

static void mutex_contended(int n)
{
    double elapsed;
    uint64_t ops = run_workers(n, contend_loop, &elapsed);

    check(ops == guarded, "two threads were inside the mutex");
    print_ns(elapsed, ops);
}

static void *uncontended_loop(void *arg)
{
    struct worker *w = arg;

    pthread_barrier_wait(&ready);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        pthread_mutex_lock(&lock);
        guarded++;
        pthread_mutex_unlock(&lock);
        w->count++;
    }
    return NULL;
}

static void mutex_uncontended(int n)
{
    double elapsed;
    uint64_t ops = run_workers(n, uncontended_loop, &elapsed);

    check(ops == guarded, "locks and counts differ");
    print_ns(elapsed, ops);
}

/* ---- ping-pong: an operation is a round trip, two hand-overs ---- */

static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static sem_t to_pong, to_ping;
static int pipe_to_pong[2], pipe_to_ping[2];
static char turn;       /* whose turn it is: 'i' or 'o'; 'q': the game is over */
static uint64_t rounds; /* counted by the side that starts */

static void pass_cond(char me, char next)
{
    while (turn != me && turn != 'q')
        pthread_cond_wait(&turned, &lock);
    if (turn != 'q')
        turn = next;
    pthread_cond_signal(&turned);
}

static void *cond_ping(void *arg)
{
    double end = now_s() + secs;

    pthread_mutex_lock(&lock);
    do {
        pass_cond('i', 'o');
        rounds++;
    } while (rounds % 16 || now_s() < end);
    pass_cond('i', 'q');
    pthread_mutex_unlock(&lock);
    return arg;
}

static void *cond_pong(void *arg)
{
    uint64_t *answered = arg;

    pthread_mutex_lock(&lock);
    while (turn != 'q') {
        pass_cond('o', 'i');
        *answered += turn == 'i';
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void *sem_ping(void *arg)
{
    double end = now_s() + secs;

    do {
        turn = 'o';
        sem_post(&to_pong);
        sem_wait(&to_ping);
        check(turn == 'i', "a semaphore let two go at once");
        rounds++;
    } while (rounds % 16 || now_s() < end);
    turn = 'q';
    sem_post(&to_pong);
    return arg;
}

static void *sem_pong(void *arg)
{
    uint64_t *answered = arg;

    for (;;) {
        sem_wait(&to_pong);
        if (turn == 'q')
            return NULL;
        turn = 'i';
        ++*answered;
        sem_post(&to_ping);
    }
}

static void *pipe_ping(void *arg)
{
    double end = now_s() + secs;

    do {
        char sent = (char)rounds, back = 0;
        check(write(pipe_to_pong[1], &sent, 1) == 1, "write to a pipe");
        check(read(pipe_to_ping[0], &back, 1) == 1 && back == sent, "the pipe's answer");
        rounds++;
    } while (rounds % 16 || now_s() < end);
    close(pipe_to_pong[1]);
    return arg;
}

static void *pipe_pong(void *arg)
{
    uint64_t *answered = arg;
    char c;

    while (read(pipe_to_pong[0], &c, 1) == 1) {
        check(write(pipe_to_ping[1], &c, 1) == 1, "write to a pipe");
        ++*answered;
    }
    return NULL;
}

static void ping_pong(void *(*ping)(void *), void *(*pong)(void *))
{
    pthread_t a, b;
    uint64_t answered = 0;
    double begin = now_s();

    turn = 'i';
    create(&b, pong, &answered);
    create(&a, ping, NULL);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    double elapsed = now_s() - begin;
    check(answered == rounds, "not every ping was answered");
    print_ns(elapsed, rounds);
}

static void ping_pong_cond(int n)
{
    (void)n;
    ping_pong(cond_ping, cond_pong);
}

static void ping_pong_sem(int n)
{
    (void)n;
    sem_init(&to_pong, 0, 0);
    sem_init(&to_ping, 0, 0);
    ping_pong(sem_ping, sem_pong);
}

static void ping_pong_pipe(int n)
{
    (void)n;
    check(pipe(pipe_to_pong) == 0 && pipe(pipe_to_ping) == 0, "pipe");
    ping_pong(pipe_ping, pipe_pong);
}

/* ---- many threads that do little ---- */

static atomic_ulong naps;

static void *sleeper(void *arg)
{
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        usleep(NAP_US);
        atomic_fetch_add_explicit(&naps, 1, memory_order_relaxed);
    }
    return arg;
}

static double cpu_s(void)
{
    struct rusage ru;

    getrusage(RUSAGE_SELF, &ru);
    return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
           (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* Wake-ups a second of n threads that nap 100 ms (at best n * 10), and the CPU time for each. */
static void sleepers(int n)
{
    static pthread_t threads[MANY];

    for (int i = 0; i < n; i++)
        create(&threads[i], sleeper, NULL);
    usleep(2 * NAP_US);
    unsigned long naps_before = atomic_load(&naps);
    double begin = now_s(), cpu_before = cpu_s();
    while (now_s() < begin + secs)
        usleep(10000);
    double woken = (double)(atomic_load(&naps) - naps_before);
    double cpu = cpu_s() - cpu_before, elapsed = now_s() - begin;
    atomic_store(&stop, 1);
    for (int i = 0; i < n; i++)
        check(pthread_join(threads[i], NULL) == 0, "join");
    check(woken > 0, "nobody woke up");
    check(woken <= (double)n * (elapsed / (NAP_US / 1e6) + 2), "woken too early");
    printf("ops_s=%.0f cpu_ns_per_op=%.0f\n", woken / elapsed, cpu * 1e9 / woken);
}

static int parked, opened;

static void *park(void *arg)
{
    pthread_mutex_lock(&lock);
    parked++;
    while (!opened)
        pthread_cond_wait(&turned, &lock);
    parked--;
    pthread_mutex_unlock(&lock);
    return arg;
}

/* Memory that each of n threads waiting on a condition variable takes: (RSS now - before) / n.  One
 * thread has come and gone before, so that what a process pays once is not counted. */
static void rss_parked(int n)
{
    static pthread_t threads[MANY];
    struct proc_memory before, after;

    create(&threads[0], identity, NULL);
    pthread_join(threads[0], NULL);
    check(proc_memory(getpid(), &before) == 0, "cannot read /proc");
    for (int i = 0; i < n; i++)
        create(&threads[i], park, NULL);
    for (int all = 0; !all;) {
        usleep(1000);
        pthread_mutex_lock(&lock); /* those who counted and let go of the lock are waiting */
        all = parked == n;
        pthread_mutex_unlock(&lock);
    }
    check(proc_memory(getpid(), &after) == 0, "cannot read /proc");
    pthread_mutex_lock(&lock);
    opened = 1;
    pthread_cond_broadcast(&turned);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < n; i++)
        check(pthread_join(threads[i], NULL) == 0, "join");
    check(parked == 0, "not everybody came back");
    double rss = (after.rss_kb - before.rss_kb) * 1024 / n;
    double pte = (after.pte_kb - before.pte_kb) * 1024 / n;
    double kernel = (after.kernel_kb - before.kernel_kb) * 1024 / n;
    printf("rss_bytes=%.0f pte_bytes=%.0f all_bytes=%.0f\n", rss, pte, rss + pte + kernel);
}

/* ---- the list ---- */

static const struct {
    const char *name;
    void (*run)(int n);
    int n;
} benchmarks[] = {
    {"create_batch", create_join, BATCH},
    {"create_one", create_join, 1},
    {"yield_2", yield, 2},
    {"yield_64", yield, 64},
    {"pingpong_cond", ping_pong_cond, 0},
    {"pingpong_sem", ping_pong_sem, 0},
    {"pingpong_pipe", ping_pong_pipe, 0},
    {"mutex_1", mutex_uncontended, 1},
    {"mutex_2", mutex_contended, 2},
    {"mutex_64", mutex_contended, 64},
    {"mutex_1000", mutex_contended, 1000},
    {"sleepers", sleepers, MANY},
    {"rss_parked", rss_parked, MANY},
};

int main(int argc, char **argv)
{
    size_t count = sizeof benchmarks / sizeof benchmarks[0];

    if (argc > 2)
        secs = atof(argv[2]);
    for (size_t i = 0; argc > 1 && secs > 0 && i < count; i++) {
        if (strcmp(argv[1], benchmarks[i].name) == 0) {
            benchmarks[i].run(benchmarks[i].n);
            return 0;
        }
    }
    fprintf(stderr, "usage: bench NAME [SECS]; NAME is one of:");
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, " %s", benchmarks[i].name);
    fprintf(stderr, "\n");
    return 2;
}
