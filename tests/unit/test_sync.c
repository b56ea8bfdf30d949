/* SPDX-License-Identifier: BSD-2-Clause */
/* The lock algorithms of core/sched/sync.c: the words they leave behind, who is woken, and in what
 * order.  Each test runs twice: with kernel threads, which wait on notes, and with goroutines
 * beside the test's own kernel thread.  The algorithms know no difference. */
#include "tests/unit/sched_fake.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/sched/sync.h"

#define CEILING (7u << 19)

static _Atomic int step;

static int64_t in_ms(int ms)
{
    return gt_nanotime() + ms * GT_MS;
}

static void wait_for(const _Atomic int *word, int v)
{
    while (load_acq(word) != v)
        sched_yield();
}

/* Until n sleepers are queued for addr. */
static void wait_queued(const void *addr, int n)
{
    for (int have = -1; have != n; sched_yield()) {
        struct gt_bucket *b = gt_sema_lock(addr);
        have = 0;
        for (struct gt_waiter *w = gt_sema_first(b, addr); w; w = gt_sema_next(b, w))
            have++;
        gt_sema_unlock(b);
    }
}

static bool goroutines;

struct job {
    struct fake_g f;
    void *(*fn)(void *);
    void *arg, *result;
};

static void run_job(struct fake_g *f, void *arg)
{
    struct job *j = container_of(f, struct job, f);
    j->result = j->fn(arg);
}

/* Starts fn on a kernel thread or on a goroutine; end() waits for it and returns its result. */
static struct job *start(void *(*fn)(void *), void *arg)
{
    struct job *j = calloc(1, sizeof(*j));
    j->fn = fn;
    if (goroutines)
        fake_g_start(&j->f, run_job, arg);
    else
        j->f.thread = unit_start(fn, arg);
    return j;
}

static void *end(struct job *j)
{
    void *r = unit_join(j->f.thread);
    if (goroutines)
        r = j->result;
    free(j);
    return r;
}

static void *run_timers(void *arg)
{
    (void)arg;
    for (;;) {
        gt_timer_run(&fake_p, gt_nanotime());
        usleep(500);
    }
    return NULL;
}

static void with_threads(void)
{
    fake_init();
}

static void with_goroutines(void)
{
    fake_init();
    goroutines = true;
    pthread_detach(unit_start(run_timers, NULL));
}

/* ---- mutex ---- */

static void lock(_Atomic uint32_t *word)
{
    if (!gt_mutex_try(word))
        ck_assert_int_eq(gt_mutex_lock_slow(word, GT_NEVER), 0);
}

static void unlock(_Atomic uint32_t *word)
{
    if (!gt_mutex_try_unlock(word))
        gt_mutex_unlock_slow(word);
}

static void *lock_and_step(void *word)
{
    lock(word);
    add_acqrel(&step, 1);
    unlock(word);
    return NULL;
}

START_TEST(test_mutex_word)
{
    _Atomic uint32_t word = CEILING;
    ck_assert(gt_mutex_try(&word));
    ck_assert_uint_eq(word, CEILING | GT_MX_HELD);
    ck_assert(!gt_mutex_try(&word));
    ck_assert_int_eq(gt_mutex_lock_slow(&word, in_ms(5)), -ETIMEDOUT);
    ck_assert_uint_eq(word, CEILING | GT_MX_WAIT); /* until the next unlock */
    unlock(&word);
    ck_assert_uint_eq(word, CEILING);
}
END_TEST

START_TEST(test_mutex_wakes_one_then_next)
{
    _Atomic uint32_t word = 0;
    struct job *t[3];
    step = 0;
    lock(&word);
    for (int i = 0; i < 3; i++) {
        t[i] = start(lock_and_step, (void *)&word);
        wait_queued((void *)&word, i + 1);
    }
    ck_assert_uint_eq(word, GT_MX_WAIT);
    unlock(&word);
    for (int i = 0; i < 3; i++)
        end(t[i]);
    ck_assert_int_eq(step, 3);
    ck_assert_uint_eq(word, GT_MX_FREE);
}
END_TEST

/* What the C library's own slow path does. */
static void *libc_lock(void *arg)
{
    _Atomic uint32_t *word = arg;
    while (xchg_acq(word, GT_MX_LIBC) != 0) {
        store_rel(&step, 1);
        sys_futex((void *)word, FUTEX_WAIT_PRIVATE, GT_MX_LIBC, NULL, NULL, 0);
    }
    return NULL;
}

START_TEST(test_mutex_wakes_libc)
{
    _Atomic uint32_t word = 0;
    step = 0;
    lock(&word);
    struct job *l = start(libc_lock, (void *)&word);
    wait_for(&step, 1);
    struct job *t = start(lock_and_step, (void *)&word);
    wait_queued((void *)&word, 1);
    ck_assert_uint_eq(word, GT_MX_LIBC); /* never hidden by ours */
    unlock(&word);
    end(l); /* it holds the word and never unlocks */
    ck_assert(word == GT_MX_LIBC);
    unlock(&word);
    end(t);
    ck_assert_uint_eq(word, GT_MX_FREE);
}
END_TEST

static void *lock_and_keep(void *word)
{
    lock(word);
    wait_for(&step, 1);
    unlock(word);
    return NULL;
}

START_TEST(test_mutex_hands_over_to_the_starving)
{
    _Atomic uint32_t word = 0;
    int rounds = 0;
    step = 0;
    lock(&word);
    struct job *t = start(lock_and_keep, (void *)&word);
    do { /* it is woken, but we are faster: only once, then it is its turn */
        wait_queued((void *)&word, 1);
        usleep(2000);
        unlock(&word);
        rounds++;
    } while (rounds < 10 && gt_mutex_try(&word));
    ck_assert_int_le(rounds, 2);
    step = 1;
    end(t);
    ck_assert_uint_eq(word, GT_MX_FREE);
}
END_TEST

/* ---- condition variable ---- */

static struct gt_cond cond;
static _Atomic uint32_t cond_mutex;
static int order[8];

static int cond_wait(int64_t when, bool movable)
{
    struct gt_cond_waiter cw;
    gt_cond_begin(&cond, &cw, movable ? &cond_mutex : NULL);
    unlock(&cond_mutex);
    int r = gt_cond_sleep(&cond, &cw, when, 0);
    if (!gt_cond_has_mutex(&cw))
        gt_mutex_lock_queue(&cond_mutex, GT_NEVER);
    return r;
}

static void *cond_sleeper(void *arg)
{
    lock(&cond_mutex);
    ck_assert_int_eq(cond_wait(GT_NEVER, true), 0);
    order[step++] = (int)(intptr_t)arg;
    unlock(&cond_mutex);
    return NULL;
}

static void *cond_sleeper_unmoved(void *arg)
{
    (void)arg;
    lock(&cond_mutex);
    ck_assert_int_eq(cond_wait(GT_NEVER, false), 0);
    step++;
    unlock(&cond_mutex);
    return NULL;
}

START_TEST(test_cond_signals_in_order)
{
    struct job *t[4];
    step = 0;
    gt_cond_signal(&cond); /* nobody: forgotten */
    for (int i = 0; i < 4; i++) {
        t[i] = start(cond_sleeper, (void *)(intptr_t)i);
        wait_queued(&cond, i + 1);
    }
    ck_assert_uint_eq(cond.nwait, 4);
    for (int i = 0; i < 4; i++) {
        gt_cond_signal(&cond);
        ck_assert_uint_eq(cond.nwait, 3 - (unsigned)i);
        end(t[i]);
        ck_assert_int_eq(order[i], i);
    }
}
END_TEST

START_TEST(test_cond_broadcast_moves_to_the_mutex)
{
    struct job *t[5];
    step = 0;
    for (int i = 0; i < 5; i++) {
        t[i] = start(cond_sleeper, (void *)(intptr_t)i);
        wait_queued(&cond, i + 1);
    }
    lock(&cond_mutex);
    gt_cond_broadcast(&cond);
    ck_assert_uint_eq(cond.nwait, 0);
    wait_queued(&cond, 0);
    wait_queued((void *)&cond_mutex, 5); /* all asleep: none was woken in vain */
    ck_assert_uint_eq(cond_mutex, GT_MX_WAIT);
    unlock(&cond_mutex);
    for (int i = 0; i < 5; i++)
        end(t[i]);
    ck_assert_int_eq(step, 5);
    ck_assert_uint_eq(cond_mutex, GT_MX_FREE);
}
END_TEST

START_TEST(test_cond_broadcast_of_a_free_mutex)
{
    struct job *t[4];
    step = 0;
    for (int i = 0; i < 4; i++) {
        t[i] = start(i % 2 ? cond_sleeper : cond_sleeper_unmoved, (void *)(intptr_t)i);
        wait_queued(&cond, i + 1);
    }
    gt_cond_broadcast(&cond);
    for (int i = 0; i < 4; i++)
        end(t[i]);
    ck_assert_int_eq(step, 4);
    ck_assert_uint_eq(cond_mutex, GT_MX_FREE);
}
END_TEST

START_TEST(test_cond_timeout)
{
    lock(&cond_mutex);
    ck_assert_int_eq(cond_wait(in_ms(5), true), -ETIMEDOUT);
    ck_assert_int_eq(cond_wait(0, true), -ETIMEDOUT);
    ck_assert_uint_eq(cond.nwait, 0);
    ck_assert(!gt_mutex_try(&cond_mutex));
    unlock(&cond_mutex);
}
END_TEST

START_TEST(test_cond_signal_while_away)
{
    struct gt_cond_waiter cw;
    gt_cond_begin(&cond, &cw, &cond_mutex);
    struct gt_bucket *b = gt_sema_lock(&cond);
    struct gt_wakee wk;
    gt_sema_take(b, &cw.w, &wk); /* as a signal for its thread would */
    gt_sema_unlock(b);
    ck_assert(gt_cond_again(&cond, &cw)); /* nothing happened: back in the queue */
    b = gt_sema_lock(&cond);
    gt_sema_take(b, &cw.w, &wk);
    gt_sema_unlock(b);
    gt_cond_signal(&cond); /* finds nobody queued, yet is not lost */
    ck_assert_uint_eq(cond.nwait, 1);
    ck_assert(!gt_cond_again(&cond, &cw));
    ck_assert_uint_eq(cond.nwait, 0);
    gt_cond_drain(&cond); /* returns at once */
}
END_TEST

static void *cond_drainer(void *arg)
{
    (void)arg;
    gt_cond_drain(&cond);
    step = 1;
    return NULL;
}

START_TEST(test_cond_drain_waits)
{
    struct gt_cond_waiter cw;
    struct gt_wakee wk;
    step = 0;
    gt_cond_begin(&cond, &cw, NULL);
    struct gt_bucket *b = gt_sema_lock(&cond);
    gt_sema_take(b, &cw.w, &wk);
    gt_sema_unlock(b);
    struct job *t = start(cond_drainer, NULL);
    wait_queued(&cond, 1);
    ck_assert_int_eq(step, 0);
    gt_cond_forget(&cond);
    end(t);
    ck_assert_int_eq(step, 1);
}
END_TEST

/* ---- reader-writer lock ---- */

static _Atomic uint32_t rw;

static void *reader(void *arg)
{
    (void)arg;
    if (gt_rwlock_tryread(&rw, false) != 0)
        ck_assert_int_eq(gt_rwlock_read_slow(&rw, false, GT_NEVER), 0);
    add_acqrel(&step, 1);
    return NULL;
}

static void *writer(void *arg)
{
    bool prefer = arg != NULL;
    if (!gt_rwlock_trywrite(&rw))
        ck_assert_int_eq(gt_rwlock_write_slow(&rw, prefer, GT_NEVER), 0);
    add_acqrel(&step, 1);
    return NULL;
}

static void read_unlock(void)
{
    if (!gt_rwlock_tryunread(&rw))
        gt_rwlock_unlock_slow(&rw, false);
}

START_TEST(test_rwlock_word)
{
    ck_assert_int_eq(gt_rwlock_tryread(&rw, false), 0);
    ck_assert_int_eq(gt_rwlock_tryread(&rw, true), 0);
    ck_assert(!gt_rwlock_trywrite(&rw));
    ck_assert_int_eq(gt_rwlock_write_slow(&rw, true, in_ms(5)), -ETIMEDOUT);
    ck_assert_uint_eq(rw, 2); /* nothing stays that would keep readers out */
    ck_assert(gt_rwlock_tryunread(&rw) && gt_rwlock_tryunread(&rw));
    ck_assert(gt_rwlock_trywrite(&rw));
    ck_assert_int_eq(gt_rwlock_tryread(&rw, false), -EBUSY);
    ck_assert_int_eq(gt_rwlock_read_slow(&rw, false, in_ms(5)), -ETIMEDOUT);
    gt_rwlock_unlock_slow(&rw, false);
    ck_assert_uint_eq(rw, 0);
    rw = GT_RW_COUNT;
    ck_assert_int_eq(gt_rwlock_tryread(&rw, false), -EAGAIN);
    rw = 0;
}
END_TEST

START_TEST(test_rwlock_readers_come_in_together)
{
    enum { N = 50 }; /* more than one batch */
    struct job *t[N];
    step = 0;
    ck_assert(gt_rwlock_trywrite(&rw));
    for (int i = 0; i < N; i++)
        t[i] = start(reader, NULL);
    wait_queued((void *)&rw, N);
    gt_rwlock_unlock_slow(&rw, false);
    for (int i = 0; i < N; i++)
        end(t[i]);
    ck_assert_int_eq(step, N);
    ck_assert_uint_eq(rw & ~GT_RW_QUEUED, N);
    for (int i = 0; i < N; i++)
        read_unlock();
    ck_assert_uint_eq(rw, 0);
}
END_TEST

START_TEST(test_rwlock_last_reader_wakes_writer)
{
    step = 0;
    rw = 2;
    struct job *t = start(writer, NULL);
    wait_queued((void *)&rw, 1);
    ck_assert_int_eq(gt_rwlock_tryread(&rw, false), 0);     /* readers are preferred ... */
    ck_assert_int_eq(gt_rwlock_tryread(&rw, true), -EBUSY); /* ... or not */
    read_unlock();
    read_unlock();
    ck_assert_int_eq(step, 0);
    read_unlock();
    end(t);
    ck_assert(rw & GT_RW_WRITER);
    gt_rwlock_unlock_slow(&rw, false);
    ck_assert_uint_eq(rw, 0);
}
END_TEST

static void *prefer_reader(void *arg)
{
    (void)arg;
    ck_assert_int_eq(gt_rwlock_read_slow(&rw, true, GT_NEVER), 0);
    step = 1;
    return NULL;
}

static void *impatient_writer(void *arg)
{
    (void)arg;
    ck_assert_int_eq(gt_rwlock_write_slow(&rw, true, in_ms(100)), -ETIMEDOUT);
    return NULL;
}

START_TEST(test_rwlock_writer_gives_up)
{
    step = 0;
    rw = 1;
    struct job *w = start(impatient_writer, NULL);
    wait_queued((void *)&rw, 1);
    struct job *r = start(prefer_reader, NULL);
    wait_queued((void *)&rw, 2);
    ck_assert_int_eq(step, 0);
    end(w);
    end(r); /* in, though nobody has unlocked */
    ck_assert_uint_eq(rw & GT_RW_COUNT, 2);
    rw = 0;
}
END_TEST

/* ---- barrier, semaphore, once ---- */

static struct gt_barrier bar;
static _Atomic int serial;

static void *arrive(void *arg)
{
    for (int i = 0; i < (int)(intptr_t)arg; i++)
        if (gt_barrier_wait(&bar))
            add_acqrel(&serial, 1);
    return NULL;
}

START_TEST(test_barrier)
{
    enum { N = 20, ROUNDS = 200 };
    struct job *t[N];
    bar = (struct gt_barrier){.count = N};
    serial = 0;
    for (int i = 0; i < N; i++)
        t[i] = start(arrive, (void *)ROUNDS);
    for (int i = 0; i < N; i++)
        end(t[i]);
    ck_assert_int_eq(serial, ROUNDS);
    ck_assert_uint_eq(bar.behind, 0);
    ck_assert_uint_eq(bar.in, 0);
    gt_barrier_drain(&bar); /* returns at once */
    bar = (struct gt_barrier){.count = 1};
    ck_assert(gt_barrier_wait(&bar) && gt_barrier_wait(&bar));
}
END_TEST

static _Atomic uint64_t sem;

static void *sem_waiter(void *shared)
{
    ck_assert_int_eq(gt_sem_wait(&sem, shared != NULL, GT_NEVER), 0);
    add_acqrel(&step, 1);
    return NULL;
}

START_TEST(test_sem)
{
    bool shared = _i;
    sem = 1;
    step = 0;
    ck_assert(gt_sem_try(&sem));
    ck_assert(!gt_sem_try(&sem));
    ck_assert_int_eq(gt_sem_wait(&sem, shared, in_ms(5)), -ETIMEDOUT);
    ck_assert_uint_eq(sem, 0);
    struct job *t[2] = {start(sem_waiter, shared ? (void *)1 : NULL),
                        start(sem_waiter, shared ? (void *)1 : NULL)};
    while (load_acq(&sem) != 2 * GT_SEM_WAITER)
        sched_yield();
    ck_assert_int_eq(gt_sem_post(&sem, shared), 0);
    wait_for(&step, 1);
    ck_assert_int_eq(gt_sem_post(&sem, shared), 0);
    end(t[0]);
    end(t[1]);
    ck_assert_uint_eq(sem, 0);
    sem = 0x7fffffff;
    ck_assert_int_eq(gt_sem_post(&sem, shared), -EOVERFLOW);
}
END_TEST

static _Atomic uint32_t once;

static void *once_second(void *arg)
{
    (void)arg;
    bool mine = gt_once_begin(&once);
    if (mine)
        gt_once_end(&once, true);
    return (void *)(intptr_t)mine;
}

START_TEST(test_once)
{
    void *second;
    bool done = _i; /* or left by an exception: then the second one's turn */
    once = 0;
    ck_assert(gt_once_begin(&once));
    struct job *t = start(once_second, NULL);
    wait_queued((void *)&once, 1);
    gt_once_end(&once, done);
    second = end(t);
    ck_assert_int_eq((int)(intptr_t)second, !done);
    ck_assert_uint_eq(once, GT_ONCE_DONE);
    ck_assert(!gt_once_begin(&once));
}
END_TEST

START_TEST(test_once_in_a_fork_child)
{
    once = 0;
    ck_assert(gt_once_begin(&once)); /* by a thread that the child has not */
    gt_once_fork_child();
    ck_assert(gt_once_begin(&once));
    gt_once_end(&once, true);
    ck_assert(!gt_once_begin(&once));
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_TEST(test_mutex_word),
        UNIT_TEST(test_mutex_wakes_one_then_next),
        UNIT_TEST(test_mutex_wakes_libc),
        UNIT_TEST(test_mutex_hands_over_to_the_starving),
        UNIT_TEST(test_cond_signals_in_order),
        UNIT_TEST(test_cond_broadcast_moves_to_the_mutex),
        UNIT_TEST(test_cond_broadcast_of_a_free_mutex),
        UNIT_TEST(test_cond_timeout),
        UNIT_TEST(test_cond_signal_while_away),
        UNIT_TEST(test_cond_drain_waits),
        UNIT_TEST(test_rwlock_word),
        UNIT_TEST(test_rwlock_readers_come_in_together),
        UNIT_TEST(test_rwlock_last_reader_wakes_writer),
        UNIT_TEST(test_rwlock_writer_gives_up),
        UNIT_TEST(test_barrier),
        UNIT_LOOP(test_sem, 2),
        UNIT_LOOP(test_once, 2),
        UNIT_TEST(test_once_in_a_fork_child),
    };
    return UNIT_MAIN("sync", with_threads, tests) |
           UNIT_MAIN("sync_goroutines", with_goroutines, tests);
}
