/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The futex calls that a program makes through syscall().
 *
 * A private wait of a goroutine parks in the table of waiters by address; every private wake looks
 * there first and passes what is left of its count to the kernel, where foreign threads and inline
 * waiters sleep.  All other operations are announced system calls.  A wake that never comes here
 * (an inline system call, clear_child_tid) is caught by gt_futex_recheck(): parked waiters are
 * listed, and a waiter whose word has changed is woken, which futex(2) allows.
 *
 * Locks: waits.lock, a leaf, guards the list only; it is never held together with a bucket.
 */
#include <linux/futex.h>
#include "interpose/pobj.h"
#include "interpose/thread.h"

#define RECHECK_BATCH   64
#define RECHECK_MAX_GAP 8u /* ticks of sysmon between two looks at one waiter, at most */

struct fwait {
    struct gt_waiter w; /* bits: the bitset; data: the expected value */
    const uint32_t *uaddr;
    struct fwait *next, *prev; /* waits.lock */
    uint32_t due, seen, gap;   /* waits.lock: ticks of gt_futex_recheck */
};

static struct {
    struct gt_lock lock;
    struct fwait *first, *last; /* lock: not looked at for longest first */
    _Atomic uint32_t n;         /* writes under the lock */
} waits;

static void list_cut(struct fwait *f)
{
    *(f->prev ? &f->prev->next : &waits.first) = f->next;
    *(f->next ? &f->next->prev : &waits.last) = f->prev;
}

static void list_append(struct fwait *f)
{
    f->next = NULL;
    f->prev = waits.last;
    *(waits.last ? &waits.last->next : &waits.first) = f;
    waits.last = f;
}

static void list_prepend(struct fwait *f)
{
    f->prev = NULL;
    f->next = waits.first;
    *(waits.first ? &waits.first->prev : &waits.last) = f;
    waits.first = f;
}

static void waits_add(struct fwait *f)
{
    f->due = f->seen = f->gap = 0;
    gt_lock(&waits.lock, GT_RANK_MAKER);
    list_prepend(f);
    store_rlx(&waits.n, load_rlx(&waits.n) + 1);
    gt_unlock(&waits.lock, GT_RANK_MAKER);
}

static void waits_remove(struct fwait *f)
{
    gt_lock(&waits.lock, GT_RANK_MAKER);
    list_cut(f);
    store_rlx(&waits.n, load_rlx(&waits.n) - 1);
    gt_unlock(&waits.lock, GT_RANK_MAKER);
}

void gt_futex_fork_child(void)
{
    gt_memset(&waits, 0, sizeof(waits));
}

/* ---- waking what is parked ---- */

static bool matches(const struct gt_waiter *w, uint32_t bits)
{
    return w->bits & bits;
}

/* Bucket locked: how many waiters match. */
static int count_parked(struct gt_bucket *b, const uint32_t *uaddr, uint32_t bits)
{
    int n = 0;
    for (struct gt_waiter *w = gt_sema_first(b, uaddr); w; w = gt_sema_next(b, w))
        n += matches(w, bits);
    return n;
}

/* Takes the first waiter that matches.  Bucket locked. */
static bool take_parked(struct gt_bucket *b, const uint32_t *uaddr, uint32_t bits,
                        struct gt_wakee *out)
{
    struct gt_waiter *w = gt_sema_first(b, uaddr), *next;
    for (; w; w = next) {
        next = gt_sema_next(b, w);
        if (matches(w, bits) && gt_sema_take(b, w, out))
            return true;
    }
    return false;
}

/* Wakes up to n; never one that came after the call. */
static int wake_parked(const uint32_t *uaddr, int n, uint32_t bits)
{
    struct gt_g *g = gt_sync_enter();
    int done = 0, max = n;
    while (done < max) {
        struct gt_wakee wk;
        struct gt_bucket *b = gt_sema_lock(uaddr);
        if (done == 0)
            max = GT_MIN(n, count_parked(b, uaddr, bits));
        bool won = max > 0 && take_parked(b, uaddr, bits, &wk);
        gt_sema_unlock(b);
        if (!won)
            break;
        gt_wake(&wk);
        done++;
    }
    gt_sync_leave(g);
    return done;
}

static bool aligned(const void *uaddr)
{
    return ((uintptr_t)uaddr & 3) == 0;
}

static long futex_wake(const uint32_t *uaddr, int n, uint32_t bits)
{
    if (!aligned(uaddr) || bits == 0)
        return -EINVAL;
    n = GT_MAX(n, 1); /* the kernel counts after it has woken one */
    int done = wake_parked(uaddr, n, bits);
    if (done == n)
        return done;
    long r = sys_futex(uaddr, FUTEX_WAKE_BITSET_PRIVATE, (uint32_t)(n - done), NULL, NULL, bits);
    return r >= 0 ? r + done : done > 0 ? done : r;
}

/* ---- waiting ---- */

/* A signal has ended a sleep.  True: the call must fail with EINTR.  No cancellation point, but for
 * an asynchronous one. */
static bool wait_interrupted(struct gt_g *g, bool restart)
{
    if (load_rlx(&g->cancel) & GT_CANCEL_ASYNC)
        gt_testcancel(g);
    if (!gt_cancel_due(g))
        return gt_intr(g, restart);
    uint32_t seq = g->sigseq;
    gt_run_signals(g);
    return !restart && g->sigseq != seq;
}

static bool word_differs(const uint32_t *uaddr, uint32_t val)
{
    return load_seq((const _Atomic uint32_t *)uaddr) != val;
}

static long wait_parked(struct gt_g *g, const uint32_t *uaddr, uint32_t val, int64_t when,
                        uint32_t bits)
{
    struct fwait f = {.uaddr = uaddr, .w = {.bits = bits, .data = (void *)(uintptr_t)val}};
    for (;;) {
        struct gt_bucket *b = gt_sema_lock(uaddr);
        if (word_differs(uaddr, val)) {
            gt_sema_unlock(b);
            return -EAGAIN;
        }
        gt_sema_enqueue(b, &f.w, uaddr, false);
        gt_sema_unlock(b);
        waits_add(&f);
        enum gt_wake r = gt_sema_park(&f.w, GT_R_FUTEX, when, GT_PARK_INTR);
        waits_remove(&f);
        if (r == GT_WAKE_READY)
            return 0;
        if (r == GT_WAKE_TIMEOUT)
            return -ETIMEDOUT;
        if (wait_interrupted(g, when < 0))
            return -EINTR;
    }
}

static long futex_wait(struct gt_g *g, const uint32_t *uaddr, int op, uint32_t val,
                       const struct timespec *ts, uint32_t bits)
{
    int64_t when = GT_NEVER;
    if (!aligned(uaddr) || bits == 0)
        return -EINVAL;
    if ((uintptr_t)uaddr < GT_PAGE)
        return -EFAULT;
    if (ts && (ts->tv_sec < 0 || (unsigned long)ts->tv_nsec >= GT_SEC))
        return -EINVAL;
    if (ts && (op & FUTEX_CMD_MASK) == FUTEX_WAIT)
        when = gt_deadline_rel(ts);
    else if (ts)
        gt_deadline(op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, ts, &when);
    gt_rt_enter(g);
    long r = wait_parked(g, uaddr, val, when, bits);
    gt_rt_leave(g);
    return r;
}

/* ---- requeue, wake with an operation ---- */

struct requeue {
    const uint32_t *from, *to;
    int nwake, nmove; /* counted down */
    bool compare;
    uint32_t expect;
};

/* Wakes one or moves all that are parked.  Returns how many; -EAGAIN.  *won: *out is to be woken.
 */
static long requeue_step(struct requeue *q, struct gt_wakee *out, bool *won)
{
    struct gt_bucket *bf, *bt;
    struct gt_waiter *w;
    long n = 0;
    *won = false;
    gt_sema_lock2(q->from, q->to, &bf, &bt);
    if (q->compare && word_differs(q->from, q->expect)) {
        n = -EAGAIN;
    } else if (q->nwake > 0) {
        *won = take_parked(bf, q->from, ~0u, out);
        q->nwake -= *won;
        n = *won;
    } else if (q->from != q->to) {
        for (; q->nmove > 0 && (w = gt_sema_first(bf, q->from)) != NULL; q->nmove--, n++)
            gt_sema_requeue(bf, bt, w, q->to);
    }
    gt_sema_unlock2(bf, bt);
    return n;
}

static long requeue_parked(struct requeue *q)
{
    struct gt_g *g = gt_sync_enter();
    long total = 0, n;
    bool won;
    do {
        struct gt_wakee wk;
        n = requeue_step(q, &wk, &won);
        if (won)
            gt_wake(&wk);
        total += GT_MAX(n, 0);
    } while (won);
    gt_sync_leave(g);
    return n < 0 && total == 0 ? n : total;
}

static long futex_requeue(const uint32_t *uaddr, int op, uint32_t val, long val2,
                          const uint32_t *uaddr2, uint32_t val3)
{
    struct requeue q = {.from = uaddr,
                        .to = uaddr2,
                        .nwake = (int)val,
                        .nmove = (int)val2,
                        .compare = (op & FUTEX_CMD_MASK) == FUTEX_CMP_REQUEUE,
                        .expect = val3};
    if (!aligned(uaddr) || !aligned(uaddr2) || q.nwake < 0 || q.nmove < 0)
        return -EINVAL;
    long done = requeue_parked(&q);
    if (done < 0 || (q.nwake == 0 && q.nmove == 0))
        return done;
    long r = GT_SYS6(SYS_futex, uaddr, op, q.nwake, q.nmove, uaddr2, val3);
    return r >= 0 ? r + done : done > 0 ? done : r;
}

/* The operation of FUTEX_WAKE_OP on the second word; the result: does the comparison hold?
 * Source: futex(2), "FUTEX_WAKE_OP". */
static int wake_op(_Atomic uint32_t *word, uint32_t code)
{
    uint32_t op = code >> 28 & 7, arg = code >> 12 & 0xfff, cmp = code >> 24 & 15, old, new;
    int cmparg = (int)(code << 20) >> 20;
    arg = (uint32_t)((int)(arg << 20) >> 20);
    if (code >> 28 & FUTEX_OP_OPARG_SHIFT)
        arg = 1u << (arg & 31);
    if (op > FUTEX_OP_XOR || cmp > FUTEX_OP_CMP_GE)
        return -ENOSYS;
    old = load_rlx(word);
    do {
        const uint32_t result[] = {arg, old + arg, old | arg, old & ~arg, old ^ arg};
        new = result[op];
    } while (!cas_seq(word, &old, new));
    int v = (int)old;
    const bool holds[] = {v == cmparg, v != cmparg, v<cmparg, v <= cmparg, v> cmparg, v >= cmparg};
    return holds[cmp];
}

static long futex_wake_op(const uint32_t *uaddr, uint32_t val, long val2, uint32_t *uaddr2,
                          uint32_t val3)
{
    if (!aligned(uaddr) || !aligned(uaddr2))
        return -EINVAL;
    int holds = wake_op((_Atomic uint32_t *)uaddr2, val3);
    if (holds < 0)
        return holds;
    long n = futex_wake(uaddr, (int)val, ~0u), m = 0;
    if (n >= 0 && holds)
        m = futex_wake(uaddr2, (int)val2, ~0u);
    return n < 0 ? n : m < 0 ? m : n + m;
}

/* ---- words that changed unheard ---- */

struct recheck {
    struct iovec word[RECHECK_BATCH];
    uint32_t expect[RECHECK_BATCH], now[RECHECK_BATCH];
    int n;
};

/* The next waiters that are due; those looked at go to the end of the list. */
static void recheck_collect(struct recheck *rc, uint32_t tick)
{
    struct fwait *f;
    rc->n = 0;
    gt_lock(&waits.lock, GT_RANK_MAKER);
    while (rc->n < RECHECK_BATCH && (f = waits.first) != NULL && f->seen != tick) {
        list_cut(f);
        list_append(f);
        f->seen = tick;
        if ((int32_t)(tick - f->due) < 0 && f->gap)
            continue;
        f->gap = GT_MIN(f->gap ? f->gap * 2 : 1u, RECHECK_MAX_GAP);
        f->due = tick + f->gap;
        rc->word[rc->n] = (struct iovec){(void *)f->uaddr, sizeof(uint32_t)};
        rc->expect[rc->n] = (uint32_t)(uintptr_t)f->w.data;
        rc->n++;
    }
    gt_unlock(&waits.lock, GT_RANK_MAKER);
}

/* Reads the words through the kernel: memory that has been unmapped must not kill us. */
static void recheck_read(struct recheck *rc)
{
    gt_memcpy(rc->now, rc->expect, sizeof(rc->now));
    for (int at = 0; at < rc->n; at++) {
        struct iovec to = {&rc->now[at], (size_t)(rc->n - at) * sizeof(uint32_t)};
        long r = GT_SYS6(SYS_process_vm_readv, sys_getpid(), &to, 1, &rc->word[at], rc->n - at, 0);
        if (r == -EPERM || r == -ENOSYS) { /* forbidden here: trust the program */
            for (; at < rc->n; at++)
                rc->now[at] = load_rlx((const _Atomic uint32_t *)rc->word[at].iov_base);
            return;
        }
        at += r > 0 ? (int)(r / (long)sizeof(uint32_t)) : 0; /* and skip the one that failed */
    }
}

/* Wakes who waits for uaddr to differ from val. */
static void recheck_wake(const uint32_t *uaddr, uint32_t val)
{
    struct gt_wakee wk;
    bool won;
    do {
        struct gt_bucket *b = gt_sema_lock(uaddr);
        struct gt_waiter *w = gt_sema_first(b, uaddr);
        while (w && (w->bits == 0 || w->data != (void *)(uintptr_t)val))
            w = gt_sema_next(b, w);
        won = w && gt_sema_take(b, w, &wk);
        gt_sema_unlock(b);
        if (won)
            gt_wake(&wk);
    } while (won);
}

void gt_futex_recheck(void)
{
    static uint32_t tick; /* sysmon's only */
    struct recheck rc;
    if (load_rlx(&waits.n) == 0)
        return;
    tick += tick + 1 == 0 ? 2 : 1; /* 0: never seen */
    do {
        recheck_collect(&rc, tick);
        recheck_read(&rc);
        for (int i = 0; i < rc.n; i++)
            if (rc.now[i] != rc.expect[i])
                recheck_wake(rc.word[i].iov_base, rc.expect[i]);
    } while (rc.n == RECHECK_BATCH);
}

/* ---- the call itself ---- */

/* Does it never wait?  Then no signal ends it. */
static bool futex_at_once(int cmd)
{
    return cmd != FUTEX_WAIT && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI &&
           cmd != FUTEX_LOCK_PI && cmd != FUTEX_LOCK_PI2;
}

/* A futex call that sleeps where we do not look. */
static long futex_announced(struct gt_g *g, const long *a)
{
    int cmd = (int)a[1] & FUTEX_CMD_MASK;
    if (futex_at_once(cmd)) {
        gt_rt_enter(g);
        long done = gt_syscall6(SYS_futex, a[0], a[1], a[2], a[3], a[4], a[5]);
        gt_rt_leave(g);
        return done;
    }
    bool restart = (cmd == FUTEX_WAIT || cmd == FUTEX_WAIT_BITSET) && !a[3];
    long r;
    /* a deferred cancellation must not end the call, and would, each time, were it not held off */
    bool was = (load_acq(&g->cancel) & GT_CANCEL_ASYNC) || gt_cancel_hold(g);
    gt_rt_enter(g);
    do {
        r = gt_syscall_blocking(g, SYS_futex, a[0], a[1], a[2], a[3], a[4], a[5]);
    } while (r == -EINTR && !wait_interrupted(g, restart) && restart);
    gt_rt_leave(g);
    if (!was)
        gt_cancel_unhold(g);
    return r;
}

static long futex_private(struct gt_g *g, const long *a)
{
    uint32_t *uaddr = (uint32_t *)a[0], *uaddr2 = (uint32_t *)a[4];
    uint32_t val = (uint32_t)a[2], val3 = (uint32_t)a[5];
    int op = (int)a[1], cmd = op & FUTEX_CMD_MASK;
    switch (cmd) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        if (!g)
            break;
        return futex_wait(g, uaddr, op, val, (const struct timespec *)a[3],
                          cmd == FUTEX_WAIT ? ~0u : val3);
    case FUTEX_WAKE:
        return futex_wake(uaddr, (int)val, ~0u);
    case FUTEX_WAKE_BITSET:
        return futex_wake(uaddr, (int)val, val3);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(uaddr, op, val, a[3], uaddr2, val3);
    case FUTEX_WAKE_OP:
        return futex_wake_op(uaddr, val, a[3], uaddr2, val3);
    default:
        break;
    }
    return g ? futex_announced(g, a) : gt_syscall6(SYS_futex, a[0], op, a[2], a[3], a[4], a[5]);
}

long gt_futex_call(struct gt_g *g, const long *a)
{
    if (!load_acq(&gt_started))
        return gt_syscall6(SYS_futex, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (a[1] & FUTEX_PRIVATE_FLAG)
        return futex_private(g, a);
    return g ? futex_announced(g, a) : gt_syscall6(SYS_futex, a[0], a[1], a[2], a[3], a[4], a[5]);
}
