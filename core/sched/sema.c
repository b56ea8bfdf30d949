/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Address-keyed wait queues (sema.h has the protocol).
 *
 * A bucket holds a list of *heads*, one for each address that has waiters; a head is the first
 * waiter, and the others of its address hang off it in a ring, oldest first.  So finding an address
 * costs the number of distinct addresses in the bucket, and taking, adding and removing a waiter is
 * O(1).
 *
 *   bucket.heads -> w(addr A) -> w(addr B) -> ...     (hnext, hprev)
 *                    ring A: w, w', w''               (next, prev)
 *
 * Rejected: one list for a bucket (ten thousand waiters of one address hide the others); a treap as
 * Go has it (the load factor is small: 1024 buckets).
 *
 * Locks: one SEMA lock a bucket, two of them only by gt_sema_lock2 in address order.  Off a
 * goroutine all signals are blocked while one is held, because a handler there may call sem_post.
 */
#include "core/sched/sema.h"

#define NBUCKETS 1024

struct gt_bucket {
    struct gt_lock lock;
    bool masked;             /* lock: the holder blocked its signals */
    gt_sigset saved;         /* lock: the holder's mask before */
    struct gt_waiter *heads; /* lock */
} GT_CACHE_ALIGN;

static struct gt_bucket table[NBUCKETS];

static struct gt_bucket *bucket_of(const void *addr)
{
    uint64_t h = ((uintptr_t)addr >> 2) * 0x9e3779b97f4a7c15ull;
    return &table[h >> 54];
}

static void lock_bucket(struct gt_bucket *b)
{
    bool foreign = gt_tls.g == NULL;
    gt_sigset all = ~0ull, saved = 0;
    if (unlikely(foreign))
        sys_sigprocmask(SIG_SETMASK, &all, &saved);
    gt_lock(&b->lock, GT_RANK_SEMA);
    b->masked = foreign;
    b->saved = saved;
}

struct gt_bucket *gt_sema_lock(const void *addr)
{
    struct gt_bucket *b = bucket_of(addr);
    lock_bucket(b);
    return b;
}

void gt_sema_unlock(struct gt_bucket *b)
{
    bool masked = b->masked;
    gt_sigset saved = b->saved;
    gt_unlock(&b->lock, GT_RANK_SEMA);
    if (unlikely(masked))
        sys_sigprocmask(SIG_SETMASK, &saved, NULL);
}

void gt_sema_lock2(const void *a, const void *b, struct gt_bucket **ba, struct gt_bucket **bb)
{
    *ba = bucket_of(a);
    *bb = bucket_of(b);
    lock_bucket(*ba < *bb ? *ba : *bb);
    if (*ba != *bb)
        lock_bucket(*ba < *bb ? *bb : *ba);
}

void gt_sema_unlock2(struct gt_bucket *ba, struct gt_bucket *bb)
{
    /* the one locked first holds the mask to restore: unlock it last */
    if (ba != bb)
        gt_sema_unlock(ba < bb ? bb : ba);
    gt_sema_unlock(ba < bb ? ba : bb);
}

struct gt_waiter *gt_sema_first(struct gt_bucket *b, const void *addr)
{
    struct gt_waiter *w = b->heads;
    while (w && w->addr != (uintptr_t)addr)
        w = w->hnext;
    return w;
}

static bool is_head(const struct gt_bucket *b, const struct gt_waiter *w)
{
    return w->hprev != NULL || b->heads == w;
}

struct gt_waiter *gt_sema_next(struct gt_bucket *b, struct gt_waiter *w)
{
    return is_head(b, w->next) ? NULL : w->next;
}

static void head_replace(struct gt_bucket *b, struct gt_waiter *old, struct gt_waiter *new)
{
    struct gt_waiter *n = old->hnext, *p = old->hprev;
    old->hnext = old->hprev = NULL;
    if (new) {
        new->hnext = n;
        new->hprev = p;
        n = n ? (n->hprev = new, new) : new;
    } else if (n) {
        n->hprev = p;
    }
    if (p)
        p->hnext = n;
    else
        b->heads = n;
}

static void link_waiter(struct gt_bucket *b, struct gt_waiter *w, const void *addr, bool front)
{
    struct gt_waiter *h = gt_sema_first(b, addr);
    __atomic_store_n(&w->addr, (uintptr_t)addr, __ATOMIC_RELAXED);
    w->queued = true;
    w->hnext = w->hprev = NULL;
    if (!h) {
        w->next = w->prev = w;
        w->hnext = b->heads;
        if (b->heads)
            b->heads->hprev = w;
        b->heads = w;
        return;
    }
    w->next = h;
    w->prev = h->prev;
    h->prev->next = w;
    h->prev = w;
    if (front)
        head_replace(b, h, w);
}

static void unlink_waiter(struct gt_bucket *b, struct gt_waiter *w)
{
    struct gt_waiter *n = w->next;
    if (is_head(b, w))
        head_replace(b, w, n == w ? NULL : n);
    w->prev->next = n;
    n->prev = w->prev;
    w->next = w->prev = w;
    w->queued = false;
}

void gt_sema_enqueue(struct gt_bucket *b, struct gt_waiter *w, const void *addr, bool front)
{
    w->pk = gt_parker_self();
    w->ticket = gt_park_begin(w->pk);
    link_waiter(b, w, addr, front);
}

bool gt_sema_take(struct gt_bucket *b, struct gt_waiter *w, struct gt_wakee *out)
{
    unlink_waiter(b, w);
    /* under the bucket lock: the loser of this race takes it before its stack goes */
    return gt_park_win(w->pk, w->ticket, GT_WAKE_READY, out);
}

bool gt_sema_dequeue(struct gt_bucket *b, const void *addr, struct gt_wakee *out,
                     struct gt_waiter **who)
{
    struct gt_waiter *w;
    while ((w = gt_sema_first(b, addr)) != NULL) {
        if (gt_sema_take(b, w, out)) {
            if (who)
                *who = w;
            return true;
        }
    }
    return false;
}

void gt_sema_requeue(struct gt_bucket *from, struct gt_bucket *to, struct gt_waiter *w,
                     const void *addr)
{
    unlink_waiter(from, w);
    link_waiter(to, w, addr, false);
}

/* Locks the bucket that w is or was queued in last (it may be moved to another address meanwhile).
 */
static struct gt_bucket *lock_where(struct gt_waiter *w)
{
    for (;;) {
        uintptr_t a = __atomic_load_n(&w->addr, __ATOMIC_RELAXED);
        struct gt_bucket *b = bucket_of((void *)a);
        lock_bucket(b);
        if (__atomic_load_n(&w->addr, __ATOMIC_RELAXED) == a)
            return b;
        gt_sema_unlock(b);
    }
}

enum gt_wake gt_sema_park(struct gt_waiter *w, enum gt_reason why, int64_t when, unsigned flags)
{
    enum gt_wake r = gt_park(w->pk, w->ticket, why, when, flags);
    /* A goroutine that really slept was readied after the waker let go of the bucket, and of w. */
    if (likely(r == GT_WAKE_READY && w->pk->g && (load_rlx(&w->pk->word) & GT_PK_ASLEEP)))
        return r;
    /* Otherwise the waker may still hold w: meet it at the lock; and a loser takes itself off. */
    struct gt_bucket *b = lock_where(w);
    if (w->queued)
        unlink_waiter(b, w);
    gt_sema_unlock(b);
    return r;
}

int gt_sema_wake(const void *addr, int n)
{
    int done = 0;
    while (done < n) {
        struct gt_wakee wk;
        struct gt_bucket *b = gt_sema_lock(addr);
        bool ok = gt_sema_dequeue(b, addr, &wk, NULL);
        gt_sema_unlock(b);
        if (!ok)
            break;
        gt_wake(&wk);
        done++;
    }
    return done;
}

/* In a fork's child every waiter is gone. */
void gt_sema_fork_child(void);
void gt_sema_fork_child(void)
{
    gt_memset(table, 0, sizeof(table));
}
