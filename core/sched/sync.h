/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Mutex, condition variable, reader-writer lock, barrier, semaphore and once, as algorithms on
 * plain words over sema.c.  They know no POSIX type, no owner and no kind: that is the interpose
 * layer's.
 *
 * All functions run on any thread; on a goroutine inside a runtime section of depth 1
 * (gt_sync_enter), because a sleeper leaves it to run signal handlers.  Errors are -errno.  when:
 * a deadline, GT_NEVER.  A function that says "interruptible" may return -EINTR: the caller looks
 * at gt_intr().  The others let handlers run and go on.
 */
#ifndef GT_SYNC_H
#define GT_SYNC_H

#include "core/sched/sema.h"
#include "core/sched/signal.h"

/* Opens a runtime section when on a goroutine; returns what gt_sync_leave needs. */
static inline struct gt_g *gt_sync_enter(void)
{
    struct gt_g *g = gt_self();
    if (likely(g != NULL))
        gt_rt_enter(g);
    return g;
}
static inline void gt_sync_leave(struct gt_g *g)
{
    if (likely(g != NULL))
        gt_rt_leave(g);
}
/* A cancellation is pending and may act now. */
static inline bool gt_cancel_due(struct gt_g *g)
{
    return load_rlx(&g->attention) & GT_ATT_CANCEL;
}

/* ---- mutex ----
 * The low two bits of the word; the others are the caller's and are kept.  0, 1 and 2 are the C
 * library's own protocol, so that its code may lock the same word; 3 is ours. */
#define GT_MX_FREE  0u
#define GT_MX_HELD  1u /* nobody waits */
#define GT_MX_LIBC  2u /* held; somebody may sleep on the word in the kernel, or in our table */
#define GT_MX_WAIT  3u /* held; somebody waits in our table */
#define GT_MX_STATE 3u
static inline bool gt_mutex_try(_Atomic uint32_t *word)
{
    uint32_t old = GT_MX_FREE;
    if (likely(cas_acq(word, &old, GT_MX_HELD)))
        return true;
    return !(old & GT_MX_STATE) && cas_acq(word, &old, old | GT_MX_HELD);
}
/* Releases a word that nobody waits for: false, it must go to gt_mutex_unlock_slow. */
static inline bool gt_mutex_try_unlock(_Atomic uint32_t *word)
{
    uint32_t old = GT_MX_HELD;
    return likely(cas_rel(word, &old, GT_MX_FREE));
}
/* After gt_mutex_try failed.  0, -ETIMEDOUT. */
int gt_mutex_lock_slow(_Atomic uint32_t *word, int64_t when);
/* Without spinning first: for who comes from a condition variable. */
int gt_mutex_lock_queue(_Atomic uint32_t *word, int64_t when);
void gt_mutex_unlock_slow(_Atomic uint32_t *word);

/* ---- condition variable ---- all zero: valid */
struct gt_cond {
    _Atomic uint32_t nwait; /* waiters that no signal has chosen; writes under the bucket lock */
    uint32_t seq;           /* bucket lock: +1 by what may concern a waiter that is off the queue */
};
struct gt_cond_waiter {
    struct gt_waiter w;
    uint32_t seq;
};
/* Becomes a waiter, before the mutex is unlocked.  word: the mutex's, to be moved to its queue by a
 * broadcast; NULL: not to be moved. */
void gt_cond_begin(struct gt_cond *c, struct gt_cond_waiter *cw, _Atomic uint32_t *word);
/* Sleeps.  0: signalled.  -ETIMEDOUT: not a waiter any more.  -EINTR: still one, but not queued:
 * next is gt_cond_again or gt_cond_forget. */
int gt_cond_sleep(struct gt_cond *c, struct gt_cond_waiter *cw, int64_t when, unsigned flags);
/* Queues again, before all others.  False: a signal came meanwhile; the wait has ended. */
bool gt_cond_again(struct gt_cond *c, struct gt_cond_waiter *cw);
void gt_cond_forget(struct gt_cond *c);
/* After gt_cond_sleep said 0: the mutex was handed over, its word is held by the caller. */
bool gt_cond_has_mutex(const struct gt_cond_waiter *cw);
void gt_cond_signal(struct gt_cond *c);
void gt_cond_broadcast(struct gt_cond *c);
/* Waits until no waiter will touch c again. */
void gt_cond_drain(struct gt_cond *c);

/* ---- reader-writer lock ---- */
#define GT_RW_WRITER 0x80000000u /* held for writing */
#define GT_RW_QUEUED 0x40000000u /* somebody waits, or did */
#define GT_RW_WRWAIT 0x20000000u /* among them a writer */
#define GT_RW_COUNT  0x1fffffffu /* readers that hold it */
static inline bool gt_rwlock_readable(uint32_t s, bool prefer_writer)
{
    return !(s & GT_RW_WRITER) && !(prefer_writer && (s & GT_RW_WRWAIT));
}
/* 0, -EBUSY, -EAGAIN (too many readers). */
int gt_rwlock_tryread(_Atomic uint32_t *s, bool prefer_writer);
bool gt_rwlock_trywrite(_Atomic uint32_t *s);
/* After the try failed.  0, -ETIMEDOUT, -EAGAIN. */
int gt_rwlock_read_slow(_Atomic uint32_t *s, bool prefer_writer, int64_t when);
int gt_rwlock_write_slow(_Atomic uint32_t *s, bool prefer_writer, int64_t when);
/* One attempt each when nobody waits; false: the slow one. */
bool gt_rwlock_tryunread(_Atomic uint32_t *s);
bool gt_rwlock_tryunwrite(_Atomic uint32_t *s);
void gt_rwlock_unlock_slow(_Atomic uint32_t *s, bool prefer_writer);

/* ---- barrier ---- in, round, count, shared lie where the C library's initialiser writes them */
struct gt_barrier {
    uint32_t in;    /* bucket lock: arrived in this round */
    uint32_t round; /* bucket lock */
    uint32_t count;
    int shared;
    uint32_t behind; /* bucket lock: threads of ended rounds that have yet to look at this object */
};
/* True for exactly one of `count` callers. */
bool gt_barrier_wait(struct gt_barrier *bar);
void gt_barrier_drain(struct gt_barrier *bar);

/* ---- semaphore ---- the C library's word: value in the low half, number of waiters in the high
 * half */
#define GT_SEM_WAITER (1ull << 32)
bool gt_sem_try(_Atomic uint64_t *sem);
/* Interruptible.  0, -ETIMEDOUT, -EINTR.  shared: waits in the kernel on the value. */
int gt_sem_wait(_Atomic uint64_t *sem, bool shared, int64_t when);
/* 0, -EOVERFLOW.  Called outside a section, which it opens itself when there is a waiter. */
int gt_sem_post(_Atomic uint64_t *sem, bool shared);

/* ---- once ---- the C library's word: 0, generation | 1 while it runs, 2 done */
#define GT_ONCE_DONE 2u
/* True: the caller must run the function, then call gt_once_end.  False: it is done. */
bool gt_once_begin(_Atomic uint32_t *ctl);
/* done false: it was left by an exception; somebody else shall try. */
void gt_once_end(_Atomic uint32_t *ctl, bool done);
/* In a fork child: who was running one is gone. */
void gt_once_fork_child(void);

#endif
