/* SPDX-License-Identifier: BSD-2-Clause */
/* Process-shared objects with a program on the other side that nothing is preloaded into: who
 * waits and who wakes, in both directions; timed waits; owners that end, are cancelled or killed
 * with a robust mutex. */
#include "proc.h"
#include <fcntl.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/mman.h>

extern char **environ;

enum { NORMAL, RECURSIVE, ERRORCHECK, ROBUST, MUTEXES, ROUNDS = 200, HELD = 6 };

struct shared {
    pthread_mutex_t mutex[MUTEXES], held[HELD];
    pthread_cond_t cond, mono;
    pthread_rwlock_t rw;
    pthread_barrier_t barrier;
    sem_t there, back;
    int turn, count[MUTEXES], stage, go_on;
};

static struct shared *s;
static char self[512], fd_text[16];
static int parked_at[2];

/* ---- set-up ---- */

static void make_mutexes(void)
{
    const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK,
                         PTHREAD_MUTEX_NORMAL};
    pthread_mutexattr_t a;

    for (int i = 0; i < MUTEXES; i++) {
        pthread_mutexattr_init(&a);
        pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_settype(&a, types[i]);
        if (i == ROBUST)
            pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
        EQ(pthread_mutex_init(&s->mutex[i], &a), 0);
    }
    for (int i = 0; i < HELD; i++) /* a is still the robust one's */
        EQ(pthread_mutex_init(&s->held[i], &a), 0);
}

static void set_up(void)
{
    pthread_condattr_t ca;
    pthread_rwlockattr_t ra;
    pthread_barrierattr_t ba;
    int fd = memfd_create("shared", 0);

    EQ(ftruncate(fd, sizeof *s), 0);
    s = (struct shared *)mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(s != MAP_FAILED);
    snprintf(fd_text, sizeof fd_text, "%d", fd);
    make_mutexes();
    pthread_condattr_init(&ca);
    pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
    EQ(pthread_cond_init(&s->cond, &ca), 0);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    EQ(pthread_cond_init(&s->mono, &ca), 0);
    pthread_rwlockattr_init(&ra);
    pthread_rwlockattr_setpshared(&ra, PTHREAD_PROCESS_SHARED);
    EQ(pthread_rwlock_init(&s->rw, &ra), 0);
    pthread_barrierattr_init(&ba);
    pthread_barrierattr_setpshared(&ba, PTHREAD_PROCESS_SHARED);
    EQ(pthread_barrier_init(&s->barrier, &ba, 2), 0);
    EQ(sem_init(&s->there, 1, 0), 0);
    EQ(sem_init(&s->back, 1, 0), 0);
}

/* The other program: this one, with nothing preloaded, in the role `what`. */
static pid_t other(const char *what)
{
    char *const argv[] = {self, (char *)(uintptr_t)what, fd_text, NULL};
    char *env[64];
    int n = 0;
    pid_t p;

    for (char **e = environ; *e && n < 63; e++)
        if (strncmp(*e, "LD_PRELOAD=", 11) != 0)
            env[n++] = *e;
    env[n] = NULL;
    EQ(posix_spawn(&p, self, NULL, NULL, argv, env), 0);
    return p;
}

/* ---- the two sides of each game; me is 0 here and 1 there ---- */

static void play_cond(int me, pthread_cond_t *cond, int timed)
{
    pthread_mutex_t *m = &s->mutex[s->stage];

    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_mutex_lock(m) == 0);
        while (s->turn != me) {
            struct timespec when = after_ms(timed ? CLOCK_MONOTONIC : CLOCK_REALTIME, 20000);

            EQ(timed ? pthread_cond_timedwait(cond, m, &when) : pthread_cond_wait(cond, m), 0);
        }
        s->turn = !me;
        pthread_cond_broadcast(cond);
        EQ(pthread_mutex_unlock(m), 0);
    }
}

static void play_sem(sem_t *wait, sem_t *post)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct timespec when = after_ms(CLOCK_REALTIME, 20000);

        EQ(sem_post(post), 0);
        EQ(i % 2 ? sem_wait(wait) : sem_timedwait(wait, &when), 0);
    }
}

static void play_barrier(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        int r = pthread_barrier_wait(&s->barrier);

        CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
    }
}

static void play_locks(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < MUTEXES; k++) {
            struct timespec when = after_ms(CLOCK_REALTIME, 20000);

            EQ(i % 3 ? pthread_mutex_lock(&s->mutex[k])
                     : pthread_mutex_timedlock(&s->mutex[k], &when),
               0);
            s->count[k]++;
            if (i % 50 == 0)
                usleep(50);
            EQ(pthread_mutex_unlock(&s->mutex[k]), 0);
        }
        EQ(i % 4 ? pthread_rwlock_rdlock(&s->rw) : pthread_rwlock_wrlock(&s->rw), 0);
        EQ(pthread_rwlock_unlock(&s->rw), 0);
    }
}

static void hold(void)
{
    for (int k = 1; k < MUTEXES; k++)
        EQ(pthread_mutex_lock(&s->mutex[k]), 0);
    EQ(pthread_rwlock_wrlock(&s->rw), 0);
}

static void release(void)
{
    for (int k = 1; k < MUTEXES; k++)
        EQ(pthread_mutex_unlock(&s->mutex[k]), 0);
    EQ(pthread_rwlock_unlock(&s->rw), 0);
}

/* What the side that does not hold them finds. */
static void find_held(void)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 10);

    for (int k = 1; k < MUTEXES; k++) {
        EQ(pthread_mutex_trylock(&s->mutex[k]), EBUSY);
        EQ(pthread_mutex_timedlock(&s->mutex[k], &when), ETIMEDOUT);
        EQ(pthread_mutex_unlock(&s->mutex[k]), EPERM);
    }
    EQ(pthread_rwlock_tryrdlock(&s->rw), EBUSY);
    EQ(pthread_rwlock_timedwrlock(&s->rw, &when), ETIMEDOUT);
}

static void expect_dead(void)
{
    EQ(pthread_mutex_lock(&s->mutex[ROBUST]), EOWNERDEAD);
    EQ(pthread_mutex_consistent(&s->mutex[ROBUST]), 0);
    EQ(pthread_mutex_unlock(&s->mutex[ROBUST]), 0);
}

/* All of held[], whose owners are killed while we wait for the first. */
static void expect_all_dead(void)
{
    sem_post(&s->back);
    for (int i = 0; i < HELD; i++) {
        EQ(pthread_mutex_lock(&s->held[i]), EOWNERDEAD);
        EQ(pthread_mutex_consistent(&s->held[i]), 0);
        EQ(pthread_mutex_unlock(&s->held[i]), 0);
    }
}

static int plays(const char *role)
{
    if (!strcmp(role, "all-dead"))
        expect_all_dead();
    else if (!strcmp(role, "cond"))
        play_cond(1, &s->cond, 0);
    else if (!strcmp(role, "mono"))
        play_cond(1, &s->mono, 1);
    else if (!strcmp(role, "sem"))
        play_sem(&s->there, &s->back);
    else if (!strcmp(role, "barrier"))
        play_barrier();
    else if (!strcmp(role, "locks"))
        play_locks();
    else if (!strcmp(role, "find"))
        find_held();
    else if (!strcmp(role, "dead"))
        expect_dead();
    else if (!strcmp(role, "die")) {
        EQ(pthread_mutex_lock(&s->mutex[ROBUST]), 0);
        sem_post(&s->there);
        pause_ms(30);
        kill(getpid(), SIGKILL);
    } else if (!strcmp(role, "hold")) {
        hold();
        sem_post(&s->there);
        sem_wait(&s->back);
        release();
    } else {
        return 1;
    }
    return 0;
}

/* ---- this side ---- */

static void *here(void *arg)
{
    return (void *)(long)plays((const char *)arg);
}

static void *here_cond(void *arg)
{
    play_cond(0, arg ? &s->mono : &s->cond, arg != NULL);
    return NULL;
}

static void *here_sem(void *arg)
{
    play_sem(&s->back, &s->there);
    return arg;
}

static void game(const char *role, void *(*body)(void *), void *arg)
{
    pid_t p = other(role);
    pthread_t t = go(body, arg);

    CHECK(reap(t) == NULL);
    EQ(status_of(p), 0);
}

static void conditions(void)
{
    for (s->stage = 0; s->stage < MUTEXES; s->stage++) {
        s->turn = s->stage % 2;
        game("cond", here_cond, NULL);
        game("mono", here_cond, s);
    }
}

static void semaphores(void)
{
    game("sem", here_sem, NULL);
}

static void barriers(void)
{
    game("barrier", here, (void *)(uintptr_t) "barrier");
}

static void locks(void)
{
    pid_t p[2] = {other("locks"), other("locks")};
    pthread_t t[4];

    for (int i = 0; i < 4; i++)
        t[i] = go(here, (void *)(uintptr_t) "locks");
    for (int i = 0; i < 4; i++)
        reap(t[i]);
    for (int i = 0; i < 2; i++)
        EQ(status_of(p[i]), 0);
    for (int k = 0; k < MUTEXES; k++)
        EQ(s->count[k], 6 * ROUNDS);
}

static void *holds_while_other_looks(void *arg)
{
    hold();
    EQ(status_of(other("find")), 0);
    release();
    return arg;
}

static void *looks_while_other_holds(void *arg)
{
    pid_t p = other("hold");

    sem_wait(&s->there);
    find_held();
    sem_post(&s->back);
    EQ(status_of(p), 0);
    hold();
    release();
    return arg;
}

static void owners(void)
{
    reap(go(holds_while_other_looks, NULL));
    reap(go(looks_while_other_holds, NULL));
    holds_while_other_looks(NULL);
    looks_while_other_holds(NULL);
}

static void *other_dies(void *arg)
{
    pid_t p = other("die");

    sem_wait(&s->there);
    expect_dead(); /* waits until then */
    EQ(status_of(p), 1000 + SIGKILL);
    return arg;
}

static void *ends_with_it(void *arg)
{
    EQ(pthread_mutex_lock(&s->mutex[ROBUST]), 0);
    return arg;
}

static void *waits_with_it(void *arg)
{
    EQ(pthread_mutex_lock(&s->mutex[ROBUST]), 0);
    sem_post(&s->there);
    pause();
    return arg;
}

static void threads_end(void)
{
    pthread_t t;

    reap(go(other_dies, NULL));
    reap(go(ends_with_it, NULL));
    EQ(status_of(other("dead")), 0);
    t = go(waits_with_it, NULL);
    sem_wait(&s->there);
    pthread_cancel(t);
    reap(t);
    EQ(status_of(other("dead")), 0);
}

static void *leaves_child_with_threads(void *arg)
{
    pid_t p;

    EQ(pthread_mutex_lock(&s->mutex[ROBUST]), 0);
    p = fork();
    if (p == 0) {
        go(here, (void *)(uintptr_t) "nothing");
        go(here, (void *)(uintptr_t) "nothing");
        pthread_exit(NULL); /* not the last, and holds nothing */
    }
    EQ(status_of(p), 0);
    EQ(pthread_mutex_trylock(&s->mutex[NORMAL]), 0);
    EQ(pthread_mutex_unlock(&s->mutex[NORMAL]), 0);
    EQ(status_of(other("find")) != 0, 1); /* only the robust one is held */
    EQ(pthread_mutex_unlock(&s->mutex[ROBUST]), 0);
    EQ(pthread_mutex_lock(&s->mutex[ROBUST]), 0);
    EQ(pthread_mutex_unlock(&s->mutex[ROBUST]), 0);
    return arg;
}

static void *holds_and_parks(void *arg)
{
    static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
    long i = (long)arg;
    char byte;

    EQ(pthread_mutex_lock(&s->held[i]), 0);
    if (i == 0) { /* locked twice, once free again in between */
        EQ(pthread_mutex_unlock(&s->held[i]), 0);
        EQ(pthread_mutex_lock(&s->held[i]), 0);
    }
    sem_post(&s->there);
    if (i % 3 == 0)
        return (void *)read(parked_at[0], &byte, 1);
    if (i % 3 == 1)
        pause_ms(100000);
    pthread_mutex_lock(&m);
    for (;;)
        pthread_cond_wait(&c, &m);
}

/* A process is killed whose threads hold robust mutexes and wait for something else. */
static void killed_while_parked(void)
{
    pid_t p, waiter;

    EQ(pipe(parked_at), 0);
    p = fork();
    if (p == 0) {
        for (long i = 1; i < HELD; i++)
            go(holds_and_parks, (void *)i);
        holds_and_parks(0);
    }
    for (int i = 0; i < HELD; i++)
        sem_wait(&s->there);
    waiter = other("all-dead");
    sem_wait(&s->back);
    pause_ms(20);
    EQ(kill(p, SIGKILL), 0);
    EQ(status_of(waiter), 0);
    EQ(status_of(p), 1000 + SIGKILL);
}

static void fork_holds_nothing(void)
{
    fclose(stderr); /* of the one that is to find otherwise */
    reap(go(leaves_child_with_threads, NULL));
}

static void not_recovered(void)
{
    pthread_mutex_t *m = &s->mutex[ROBUST];

    reap(go(ends_with_it, NULL));
    EQ(pthread_mutex_trylock(m), EOWNERDEAD);
    EQ(pthread_mutex_unlock(m), 0);
    EQ(pthread_mutex_lock(m), ENOTRECOVERABLE);
    EQ(status_of(other("dead")), 1);
    EQ(pthread_mutex_destroy(m), 0);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        s = (struct shared *)mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED,
                                  atoi(argv[2]), 0);
        return s == MAP_FAILED ? 2 : plays(argv[1]);
    }
    snprintf(self, sizeof self, "%s", argv[0]);
    set_up();
    CASE(conditions);
    CASE(semaphores);
    CASE(barriers);
    CASE(locks);
    CASE(owners);
    CASE(threads_end);
    CASE(killed_while_parked);
    CASE(fork_holds_nothing);
    CASE(not_recovered);
    return 0;
}
