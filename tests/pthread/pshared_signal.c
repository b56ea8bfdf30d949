/* SPDX-License-Identifier: BSD-2-Clause */
/* Signals and cancellation of a thread that waits on a process-shared object: its handlers run
 * while it waits, and may use such objects themselves; a cancelled wait on a condition has the
 * mutex back. */
#include "proc.h"
#include <sys/mman.h>
#include <sys/syscall.h>

enum { NORMAL, RECURSIVE, ERRORCHECK, ROBUST, INHERIT, MUTEXES };

struct shared {
    pthread_mutex_t mutex[MUTEXES], inner;
    pthread_cond_t cond;
    pthread_rwlock_t rw;
    pthread_barrier_t barrier;
    int woken, cleaned;
};

static struct shared *s;
static int ready, hits;
static pthread_t hit_on;

static void make_mutex(pthread_mutex_t *m, int kind)
{
    const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK,
                         PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE};
    pthread_mutexattr_t a;

    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_settype(&a, types[kind]);
    if (kind == ROBUST)
        pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    if (kind == INHERIT)
        pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    EQ(pthread_mutex_init(m, &a), 0);
}

/* Takes a lock of the same kind as the one that is waited for. */
static void handler(int sig)
{
    (void)sig;
    EQ(pthread_mutex_lock(&s->inner), 0);
    EQ(pthread_mutex_lock(&s->inner), 0);
    hit_on = pthread_self();
    EQ(pthread_mutex_unlock(&s->inner), 0);
    EQ(pthread_mutex_unlock(&s->inner), 0);
    bump(&hits);
}

static void set_up(void)
{
    struct sigaction sa = {.sa_handler = handler};
    pthread_condattr_t ca;
    pthread_rwlockattr_t ra;
    pthread_barrierattr_t ba;

    s = (struct shared *)mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                              -1, 0);
    CHECK(s != MAP_FAILED);
    for (int i = 0; i < MUTEXES; i++)
        make_mutex(&s->mutex[i], i);
    make_mutex(&s->inner, RECURSIVE);
    pthread_condattr_init(&ca);
    pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
    EQ(pthread_cond_init(&s->cond, &ca), 0);
    pthread_rwlockattr_init(&ra);
    pthread_rwlockattr_setpshared(&ra, PTHREAD_PROCESS_SHARED);
    EQ(pthread_rwlock_init(&s->rw, &ra), 0);
    pthread_barrierattr_init(&ba);
    pthread_barrierattr_setpshared(&ba, PTHREAD_PROCESS_SHARED);
    EQ(pthread_barrier_init(&s->barrier, &ba, 2), 0);
    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
}

static void *locks(void *arg)
{
    pthread_mutex_t *m = (pthread_mutex_t *)arg;

    bump(&ready);
    EQ(pthread_mutex_lock(m), 0);
    EQ(pthread_mutex_unlock(m), 0);
    return NULL;
}

static void *locks_in_time(void *arg)
{
    pthread_mutex_t *m = (pthread_mutex_t *)arg;
    struct timespec when = after_ms(CLOCK_REALTIME, 20000);

    bump(&ready);
    EQ(pthread_mutex_timedlock(m, &when), 0);
    EQ(pthread_mutex_unlock(m), 0);
    return NULL;
}

static void *reads(void *arg)
{
    bump(&ready);
    EQ(pthread_rwlock_rdlock(&s->rw), 0);
    EQ(pthread_rwlock_unlock(&s->rw), 0);
    return arg;
}

static void *writes(void *arg)
{
    bump(&ready);
    EQ(pthread_rwlock_wrlock(&s->rw), 0);
    EQ(pthread_rwlock_unlock(&s->rw), 0);
    return arg;
}

static void *meets(void *arg)
{
    bump(&ready);
    pthread_barrier_wait(&s->barrier);
    return arg;
}

static void *waits(void *arg)
{
    pthread_mutex_t *m = (pthread_mutex_t *)arg;

    EQ(pthread_mutex_lock(m), 0);
    bump(&ready);
    while (!s->woken)
        EQ(pthread_cond_wait(&s->cond, m), 0);
    EQ(pthread_mutex_unlock(m), 0);
    return NULL;
}

/* Starts it, lets it wait, and sends three signals, each of which must be handled meanwhile. */
static pthread_t interrupted(void *(*body)(void *), void *arg)
{
    pthread_t t;

    ready = hits = 0;
    t = go(body, arg);
    await(&ready, 1);
    for (int i = 1; i <= 3; i++) {
        pause_ms(10);
        EQ(pthread_kill(t, SIGUSR1), 0);
        await(&hits, i);
        CHECK(pthread_equal(hit_on, t));
    }
    return t;
}

static void mutexes(void)
{
    for (int i = 0; i < MUTEXES; i++) {
        pthread_t t;

        EQ(pthread_mutex_lock(&s->mutex[i]), 0);
        t = interrupted(i % 2 ? locks_in_time : locks, &s->mutex[i]);
        EQ(pthread_mutex_unlock(&s->mutex[i]), 0);
        reap(t);
    }
}

static void rwlock(void)
{
    pthread_t t;

    EQ(pthread_rwlock_wrlock(&s->rw), 0);
    t = interrupted(reads, NULL);
    EQ(pthread_rwlock_unlock(&s->rw), 0);
    reap(t);
    EQ(pthread_rwlock_rdlock(&s->rw), 0);
    t = interrupted(writes, NULL);
    EQ(pthread_rwlock_unlock(&s->rw), 0);
    reap(t);
}

static void barrier(void)
{
    pthread_t t = interrupted(meets, NULL);

    pthread_barrier_wait(&s->barrier);
    reap(t);
}

static void condition(void)
{
    for (int i = 0; i < MUTEXES; i++) {
        pthread_t t;

        s->woken = 0;
        t = interrupted(waits, &s->mutex[i]);
        EQ(pthread_mutex_lock(&s->mutex[i]), 0);
        s->woken = 1;
        EQ(pthread_cond_broadcast(&s->cond), 0);
        EQ(pthread_mutex_unlock(&s->mutex[i]), 0);
        reap(t);
    }
}

static void cleans(void *arg)
{
    s->cleaned++;
    EQ(pthread_mutex_unlock((pthread_mutex_t *)arg), 0); /* held again */
}

static void *waits_to_be_cancelled(void *arg)
{
    pthread_mutex_t *m = (pthread_mutex_t *)arg;

    EQ(pthread_mutex_lock(m), 0);
    pthread_cleanup_push(cleans, m);
    bump(&ready);
    for (;;)
        pthread_cond_wait(&s->cond, m);
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancelled(void)
{
    for (int i = 0; i < MUTEXES; i++) {
        pthread_t t;

        ready = 0;
        s->cleaned = 0;
        t = go(waits_to_be_cancelled, &s->mutex[i]);
        await(&ready, 1);
        pause_ms(10);
        EQ(pthread_mutex_lock(&s->mutex[i]), 0);
        EQ(pthread_cancel(t), 0);
        pause_ms(10);
        EQ(s->cleaned, 0); /* we have its mutex */
        EQ(pthread_mutex_unlock(&s->mutex[i]), 0);
        CHECK(reap(t) == PTHREAD_CANCELED);
        EQ(s->cleaned, 1);
        EQ(pthread_mutex_lock(&s->mutex[i]), 0);
        EQ(pthread_mutex_unlock(&s->mutex[i]), 0);
    }
}

/* After a cancelled wait the condition works as before. */
static void used_again(void)
{
    condition();
}

static void *keeps_its_id(void *arg)
{
    pid_t was = gettid();

    waits(arg);
    EQ(gettid(), was);
    EQ(syscall(SYS_gettid), was);
    return NULL;
}

static void same_thread_after(void)
{
    pthread_t t;

    s->woken = 0;
    t = interrupted(keeps_its_id, &s->mutex[ERRORCHECK]);
    EQ(pthread_mutex_lock(&s->mutex[ERRORCHECK]), 0);
    s->woken = 1;
    EQ(pthread_cond_signal(&s->cond), 0);
    EQ(pthread_mutex_unlock(&s->mutex[ERRORCHECK]), 0);
    reap(t);
}

int main(void)
{
    set_up();
    CASE(mutexes);
    CASE(rwlock);
    CASE(barrier);
    CASE(condition);
    CASE(cancelled);
    CASE(used_again);
    CASE(same_thread_after);
    return 0;
}
