/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Wait queues keyed by address: the one place where anything that sleeps on a word of memory waits.
 * FIFO per address.  Works on any thread: a waiter is a goroutine or a foreign thread's note.
 * Source: Go's sema.go for the shape; the ticket discipline is DESIGN.md 3 ("Waking").
 *
 * A waiter does, in this order:
 *     b = gt_sema_lock(addr); re-check the word; gt_sema_enqueue(b, &w, addr); gt_sema_unlock(b);
 *     r = gt_sema_park(&w, why, when, flags);
 * A waker changes the word first, then
 *     b = gt_sema_lock(addr); n = gt_sema_dequeue(b, addr, &wakee); ...; gt_sema_unlock(b);
 *     gt_wake(&wakee);
 * A wake is never spent on a loser: dequeue skips waiters whose ticket somebody else has won.
 */
#ifndef GT_SEMA_H
#define GT_SEMA_H

#include "core/sched/sched.h"

struct gt_waiter {
    struct gt_waiter *hnext, *hprev; /* heads of address groups in a bucket; bucket lock */
    struct gt_waiter *next, *prev;   /* ring of waiters of one address; bucket lock */
    uintptr_t addr;                  /* where it is or was queued; bucket lock (of addr) */
    bool queued;                     /* bucket lock */
    struct gt_parker *pk;
    uint64_t ticket;
    void *data;    /* the caller's: what is passed between waiter and waker */
    uint64_t bits; /* the caller's: e.g. futex bitset, mode */
};

struct gt_bucket;
/* Locks the bucket of addr.  Off a goroutine all signals of the thread stay blocked until unlock
 * (saved in the bucket). */
struct gt_bucket *gt_sema_lock(const void *addr);
void gt_sema_unlock(struct gt_bucket *b);
/* Opens a ticket for the calling thread and queues w for addr (front: before the others).
 * Bucket lock held. */
void gt_sema_enqueue(struct gt_bucket *b, struct gt_waiter *w, const void *addr, bool front);
/* Sleeps.  READY: a waker took w off the queue.  Otherwise w has been taken off here.  If a waker
 * won in the meantime the result is READY. */
enum gt_wake gt_sema_park(struct gt_waiter *w, enum gt_reason why, int64_t when, unsigned flags);
/* Takes the first waiter of addr off the queue and wins it with READY; false: none.  *out is for
 * gt_wake after unlock; before unlock, *who (may be NULL) is the waiter: its data may be written.
 */
bool gt_sema_dequeue(struct gt_bucket *b, const void *addr, struct gt_wakee *out,
                     struct gt_waiter **who);
/* First waiter of addr without taking it, or NULL; the next of the same address, or NULL. */
struct gt_waiter *gt_sema_first(struct gt_bucket *b, const void *addr);
struct gt_waiter *gt_sema_next(struct gt_bucket *b, struct gt_waiter *w);
/* Takes this waiter (any position) off and wins it with READY; false: it was lost (and is off). */
bool gt_sema_take(struct gt_bucket *b, struct gt_waiter *w, struct gt_wakee *out);
/* Moves w, still asleep, to another address's queue (tail).  Both buckets locked by the caller with
 * gt_sema_lock2, in a fixed order. */
void gt_sema_lock2(const void *a, const void *b, struct gt_bucket **ba, struct gt_bucket **bb);
void gt_sema_unlock2(struct gt_bucket *ba, struct gt_bucket *bb);
void gt_sema_requeue(struct gt_bucket *from, struct gt_bucket *to, struct gt_waiter *w,
                     const void *addr);
/* Wakes up to n waiters of addr.  Returns how many. */
int gt_sema_wake(const void *addr, int n);

#endif
