/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The slow paths of every lock (sync.h), over the wait queues of sema.c.
 *
 * One rule makes the races small: *a mark decides*.  Who gives something away (a lock, a signal, a
 * barrier round) writes a mark into the waiter while it is queued, under the bucket lock, and
 * takes it off the queue.  A sleeper whose ticket was won by its deadline or by a signal at that
 * moment takes that same lock to leave the queue, so it sees the mark and counts as served.  So a
 * gift is never lost and never given twice, and nobody has to undo anything.
 *
 * After the releasing store, only the address of an object is used (PITFALLS 16).  Where that is
 * not possible, because a waiter was away in a signal handler while it was served, the object
 * counts it and the destroying function waits for it.
 *
 * Mutexes: whoever finds the word free takes it (a woken waiter competes), because a lock that is
 * reserved for a thread that does not run yet makes convoys.  A waiter that lost once and has
 * waited a millisecond is STARVING: to such a one the lock is handed over without being free in
 * between.  Writers of an rwlock have the same rule; its readers are let in together.
 * Source: the idea of normal and starvation mode is Go's sync.Mutex.
 */
#include <linux/futex.h>
#include "core/sched/sync.h"

/* struct gt_waiter.bits */
#define MARK_STARVING  1u  /* by the waiter: hand the lock over */
#define MARK_HANDED    2u  /* the lock is yours */
#define MARK_SIGNALLED 4u  /* the wait on the condition variable is over */
#define MARK_RELEASED  8u  /* the barrier has opened */
#define MARK_WRITER    16u /* rwlock: what kind of waiter */
#define MARK_DRAIN     32u /* waits for the object to be left by all */

#define STARVE_NS   GT_MS
#define SPIN_ROUNDS 4
#define SPIN_PAUSES 30
#define WAKE_BATCH  16u

static void run_handlers(void)
{
    struct gt_g *g = gt_self();
    if (g)
        gt_run_signals(g); /* elsewhere the kernel has run them */
}

/* A mutex is no cancellation point; but a thread that asked for asynchronous cancellation is
 * cancelled anywhere. */
static void async_cancel(void)
{
    struct gt_g *g = gt_self();
    if (g && gt_cancel_due(g) && (load_rlx(&g->cancel) & GT_CANCEL_ASYNC) && gt_cancel_act)
        gt_cancel_act(g);
}

/* ---- mutex ---- */

static bool mutex_spin(_Atomic uint32_t *word)
{
    if (gt_gomaxprocs() < 2)
        return false;
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        uint32_t s = load_rlx(word) & GT_MX_STATE;
        if (s > GT_MX_HELD)
            return false; /* others wait already */
        if (s == GT_MX_FREE && gt_mutex_try(word))
            return true;
        for (int k = 0; k < SPIN_PAUSES; k++)
            gt_arch_relax();
    }
    return false;
}

/* Bucket locked.  Takes the free word, or notes in it that somebody waits. */
static bool mutex_take_or_mark(struct gt_bucket *b, _Atomic uint32_t *word)
{
    uint32_t old = load_rlx(word), new, s;
    do {
        s = old & GT_MX_STATE;
        if (s == GT_MX_LIBC)
            return false;
        new = old | GT_MX_WAIT;
        if (s == GT_MX_FREE && !gt_sema_first(b, word))
            new = old | GT_MX_HELD;
    } while (!cas_acq(word, &old, new));
    return s == GT_MX_FREE;
}

static int mutex_queue(_Atomic uint32_t *word, int64_t when, bool front)
{
    struct gt_waiter w = {0};
    int64_t since = 0;
    for (;;) {
        struct gt_bucket *b = gt_sema_lock(word);
        if (mutex_take_or_mark(b, word)) {
            gt_sema_unlock(b);
            return 0;
        }
        gt_sema_enqueue(b, &w, word, front);
        gt_sema_unlock(b);
        since = since ? since : gt_nanotime();
        enum gt_wake r = gt_sema_park(&w, GT_R_MUTEX, when, GT_PARK_INTR);
        if (w.bits & MARK_HANDED)
            return 0;
        if (r == GT_WAKE_TIMEOUT)
            return -ETIMEDOUT;
        if (r == GT_WAKE_SIGNAL) {
            async_cancel(); /* we are in no queue now; the word's waiters bit may stay */
            run_handlers();
        }
        front = true;
        if (gt_nanotime() - since > STARVE_NS)
            w.bits = MARK_STARVING;
    }
}

int gt_mutex_lock_slow(_Atomic uint32_t *word, int64_t when)
{
    return mutex_spin(word) ? 0 : mutex_queue(word, when, false);
}

int gt_mutex_lock_queue(_Atomic uint32_t *word, int64_t when)
{
    return mutex_queue(word, when, true);
}

/* Bucket locked.  Chooses who runs next: 1, *out is to be woken; 0, nobody.  *handed: the word
 * stays held, it is that waiter's now. */
static bool mutex_choose(struct gt_bucket *b, _Atomic uint32_t *word, struct gt_wakee *out,
                         bool *handed)
{
    struct gt_waiter *w;
    while ((w = gt_sema_first(b, word)) != NULL) {
        if (w->bits & MARK_STARVING) {
            w->bits |= MARK_HANDED;
            *handed = true;
            return gt_sema_take(b, w, out);
        }
        if (gt_sema_take(b, w, out))
            return true;
    }
    return false;
}

void gt_mutex_unlock_slow(_Atomic uint32_t *word)
{
    struct gt_wakee wk;
    bool handed = false;
    uint32_t old = GT_MX_HELD;
    struct gt_bucket *b = gt_sema_lock(word);
    bool won = mutex_choose(b, word, &wk, &handed);
    if (!handed)
        old = atomic_fetch_and_explicit(word, ~GT_MX_STATE, memory_order_release);
    gt_sema_unlock(b);
    if (won)
        gt_wake(&wk);
    if ((old & GT_MX_STATE) == GT_MX_LIBC)
        gt_futex_wake(word, 1);
}

/* ---- condition variable ---- */

/* Bucket locked: wakes the thread that waits for the last waiter of c to leave.  Nothing else is
 * queued. */
static bool drained(struct gt_bucket *b, const void *obj, struct gt_wakee *out)
{
    struct gt_waiter *w = gt_sema_first(b, obj);
    return w && (w->bits & MARK_DRAIN) && gt_sema_take(b, w, out);
}

void gt_cond_begin(struct gt_cond *c, struct gt_cond_waiter *cw, _Atomic uint32_t *word)
{
    cw->w.data = (void *)word;
    cw->w.bits = 0;
    struct gt_bucket *b = gt_sema_lock(c);
    cw->seq = c->seq;
    store_rlx(&c->nwait, load_rlx(&c->nwait) + 1); /* published with the unlock of the mutex */
    gt_sema_enqueue(b, &cw->w, c, false);
    gt_sema_unlock(b);
}

/* Bucket locked, released here. */
static void cond_uncount(struct gt_cond *c, struct gt_bucket *b)
{
    struct gt_wakee wk;
    uint32_t n = load_rlx(&c->nwait) - 1;
    store_rlx(&c->nwait, n);
    bool won = n == 0 && drained(b, c, &wk);
    gt_sema_unlock(b);
    if (won)
        gt_wake(&wk);
}

void gt_cond_forget(struct gt_cond *c)
{
    cond_uncount(c, gt_sema_lock(c));
}

int gt_cond_sleep(struct gt_cond *c, struct gt_cond_waiter *cw, int64_t when, unsigned flags)
{
    enum gt_wake r = gt_sema_park(&cw->w, GT_R_COND, when, flags);
    if (cw->w.bits & MARK_SIGNALLED)
        return 0;
    if (r == GT_WAKE_SIGNAL)
        return -EINTR;
    gt_cond_forget(c);
    if (cw->w.pk->g && !(load_rlx(&cw->w.pk->word) & GT_PK_ASLEEP))
        gt_gosched(cw->w.pk->g); /* the time had come before: who polls so must let others run */
    return -ETIMEDOUT;
}

bool gt_cond_again(struct gt_cond *c, struct gt_cond_waiter *cw)
{
    struct gt_bucket *b = gt_sema_lock(c);
    if (c->seq != cw->seq) {
        cond_uncount(c, b);
        return false;
    }
    gt_sema_enqueue(b, &cw->w, c, true);
    gt_sema_unlock(b);
    return true;
}

bool gt_cond_has_mutex(const struct gt_cond_waiter *cw)
{
    return cw->w.bits & MARK_HANDED;
}

void gt_cond_signal(struct gt_cond *c)
{
    struct gt_wakee wk;
    bool won = false;
    struct gt_bucket *b = gt_sema_lock(c);
    struct gt_waiter *w = gt_sema_first(b, c);
    if (w) {
        w->bits |= MARK_SIGNALLED;
        store_rlx(&c->nwait, load_rlx(&c->nwait) - 1);
        won = gt_sema_take(b, w, &wk);
    } else {
        c->seq++; /* who is in a signal handler finds this */
    }
    gt_sema_unlock(b);
    if (won)
        gt_wake(&wk);
}

/* Mutex bucket locked, waiters queued on it: true, the word is free and one of them must be woken;
 * false, whoever holds it will. */
static bool mutex_free_else_mark(_Atomic uint32_t *word)
{
    uint32_t old = load_rlx(word);
    do {
        if ((old & GT_MX_STATE) == GT_MX_FREE)
            return true;
    } while ((old & GT_MX_STATE) == GT_MX_HELD && !cas_acqrel(word, &old, old | GT_MX_WAIT));
    return false;
}

struct cond_moved {
    int n, left; /* waiters moved; left behind, as their mutex is another */
    bool won;
    struct gt_wakee wk;
};

/* Moves the waiters whose mutex is `word` to its queue, or to that of `key` when word is NULL. */
static struct cond_moved cond_move(struct gt_cond *c, _Atomic uint32_t *word, const void *key)
{
    struct gt_bucket *from, *to;
    struct gt_waiter *w, *next;
    struct cond_moved m = {0};
    gt_sema_lock2(c, key, &from, &to);
    c->seq++;
    for (w = gt_sema_first(from, c); w; w = next) {
        next = gt_sema_next(from, w);
        if (w->data != (void *)word) {
            m.left++;
            continue;
        }
        w->bits |= MARK_SIGNALLED;
        gt_sema_requeue(from, to, w, key);
        m.n++;
    }
    store_rlx(&c->nwait, load_rlx(&c->nwait) - (uint32_t)m.n);
    m.won = m.n && word && mutex_free_else_mark(word) && gt_sema_dequeue(to, word, &m.wk, NULL);
    gt_sema_unlock2(from, to);
    return m;
}

/* The first waiter's mutex; false: no waiter. */
static bool cond_first_mutex(struct gt_cond *c, _Atomic uint32_t **word)
{
    struct gt_bucket *b = gt_sema_lock(c);
    struct gt_waiter *w = gt_sema_first(b, c);
    if (w)
        *word = w->data;
    else
        c->seq++;
    gt_sema_unlock(b);
    return w != NULL;
}

void gt_cond_broadcast(struct gt_cond *c)
{
    _Atomic uint32_t *word;
    while (cond_first_mutex(c, &word)) {
        uint32_t key; /* its address is ours alone while we wake them */
        struct cond_moved m = cond_move(c, word, word ? (void *)word : (void *)&key);
        if (m.won)
            gt_wake(&m.wk);
        if (!word)
            gt_sema_wake(&key, m.n);
        if (!m.left)
            return;
    }
}

/* Sleeps until obj is no longer busy. */
static void drain(void *obj, bool (*busy)(void *obj))
{
    for (;;) {
        struct gt_waiter w = {.bits = MARK_DRAIN};
        struct gt_bucket *b = gt_sema_lock(obj);
        if (!busy(obj)) {
            gt_sema_unlock(b);
            return;
        }
        gt_sema_enqueue(b, &w, obj, true);
        gt_sema_unlock(b);
        if (gt_sema_park(&w, GT_R_NONE, GT_NEVER, GT_PARK_INTR) == GT_WAKE_SIGNAL)
            run_handlers();
    }
}

static bool cond_busy(void *obj)
{
    return load_rlx(&((struct gt_cond *)obj)->nwait) != 0;
}

void gt_cond_drain(struct gt_cond *c)
{
    drain(c, cond_busy);
}

/* ---- reader-writer lock ---- */

int gt_rwlock_tryread(_Atomic uint32_t *s, bool prefer_writer)
{
    uint32_t old = load_rlx(s);
    do {
        if (!gt_rwlock_readable(old, prefer_writer))
            return -EBUSY;
        if ((old & GT_RW_COUNT) == GT_RW_COUNT)
            return -EAGAIN;
    } while (!cas_acq(s, &old, old + 1));
    return 0;
}

bool gt_rwlock_trywrite(_Atomic uint32_t *s)
{
    uint32_t old = load_rlx(s);
    do {
        if (old & (GT_RW_WRITER | GT_RW_COUNT))
            return false;
    } while (!cas_acq(s, &old, old | GT_RW_WRITER));
    return true;
}

bool gt_rwlock_tryunread(_Atomic uint32_t *s)
{
    uint32_t old = load_rlx(s);
    do {
        if ((old & GT_RW_WRITER) || (old & GT_RW_COUNT) <= !!(old & GT_RW_QUEUED))
            return false;
    } while (!cas_rel(s, &old, old - 1));
    return true;
}

bool gt_rwlock_tryunwrite(_Atomic uint32_t *s)
{
    uint32_t old = GT_RW_WRITER;
    return cas_rel(s, &old, 0);
}

/* Who is let in when the lock is given up, and the word that says so. */
struct rw_plan {
    struct gt_waiter *writer; /* it, or else ... */
    uint32_t readers;         /* ... so many readers */
    bool handed;              /* the writer gets the lock; else it is only woken */
    uint32_t word;            /* hold and queue bits */
};

struct rw_batch {
    struct gt_wakee wk[WAKE_BATCH];
    int n;
};

static void rw_wake(const struct rw_batch *batch)
{
    for (int i = 0; i < batch->n; i++)
        gt_wake(&batch->wk[i]);
}

/* Bucket locked: looks at the queue. */
static struct rw_plan rw_plan(struct gt_bucket *b, const _Atomic uint32_t *s, bool prefer_writer)
{
    struct rw_plan p = {0};
    uint32_t nread = 0, nwrite = 0;
    for (struct gt_waiter *w = gt_sema_first(b, s); w; w = gt_sema_next(b, w)) {
        if (!(w->bits & MARK_WRITER))
            nread++;
        else if (nwrite++ == 0)
            p.writer = w;
        if (nread > WAKE_BATCH && nwrite > 1)
            break;
    }
    if (p.writer && (prefer_writer || nread == 0)) {
        nwrite--;
        p.handed = p.writer->bits & MARK_STARVING;
        p.word = p.handed ? GT_RW_WRITER : 0;
    } else {
        p.writer = NULL;
        p.word = p.readers = GT_MIN(nread, WAKE_BATCH);
        nread -= p.readers;
    }
    p.word |= nread || nwrite ? GT_RW_QUEUED : 0;
    p.word |= nwrite ? GT_RW_WRWAIT : 0;
    return p;
}

/* Bucket locked: marks and takes the first n readers. */
static void rw_take_readers(struct gt_bucket *b, const _Atomic uint32_t *s, uint32_t n,
                            struct rw_batch *batch)
{
    struct gt_waiter *w = gt_sema_first(b, s), *next;
    for (; w && n > 0; w = next) {
        next = gt_sema_next(b, w);
        if (w->bits & MARK_WRITER)
            continue;
        w->bits |= MARK_HANDED;
        batch->n += gt_sema_take(b, w, &batch->wk[batch->n]);
        n--;
    }
}

/* Bucket locked.  Readers that may come in now do: who did not fit into a batch, or was kept out
 * by a writer that has gone.  Touches the word only for the sake of the caller or of waiters. */
static void rw_admit(struct gt_bucket *b, _Atomic uint32_t *s, bool prefer_writer,
                     struct rw_batch *batch)
{
    struct rw_plan p = rw_plan(b, s, prefer_writer);
    uint32_t old = load_rlx(s), new;
    uint32_t queue = p.writer ? GT_RW_QUEUED | GT_RW_WRWAIT : p.word & ~GT_RW_COUNT;
    do {
        bool fit = !p.writer && !(old & GT_RW_WRITER);
        if (!fit && p.readers)
            queue |= GT_RW_QUEUED;
        p.readers = fit ? p.readers : 0;
        new = ((old & (GT_RW_WRITER | GT_RW_COUNT)) + p.readers) | queue;
    } while (!cas_acqrel(s, &old, new));
    rw_take_readers(b, s, p.readers, batch);
}

static void rw_admit_more(_Atomic uint32_t *s, bool prefer_writer)
{
    struct rw_batch batch = {.n = 0};
    struct gt_bucket *b = gt_sema_lock(s);
    rw_admit(b, s, prefer_writer, &batch);
    gt_sema_unlock(b);
    rw_wake(&batch);
}

/* Bucket locked, the word says what the plan wanted. */
static void rw_execute(struct gt_bucket *b, _Atomic uint32_t *s, const struct rw_plan *p,
                       bool prefer_writer, struct rw_batch *batch)
{
    struct gt_waiter *w = p->writer;
    rw_take_readers(b, s, p->readers, batch);
    if (!w)
        return;
    if (p->handed)
        w->bits |= MARK_HANDED;
    while (w) {
        bool won = gt_sema_take(b, w, &batch->wk[batch->n]);
        batch->n += won;
        if (won || p->handed)
            return;
        for (w = gt_sema_first(b, s); w && !(w->bits & MARK_WRITER);)
            w = gt_sema_next(b, w);
    }
    if (gt_sema_first(b, s)) /* all writers had given up */
        rw_admit(b, s, prefer_writer, batch);
}

void gt_rwlock_unlock_slow(_Atomic uint32_t *s, bool prefer_writer)
{
    struct rw_batch batch = {.n = 0};
    struct rw_plan p;
    struct gt_bucket *b = gt_sema_lock(s);
    uint32_t old = load_rlx(s);
    for (;;) {
        bool others = !(old & GT_RW_WRITER) && (old & GT_RW_COUNT) > 1;
        if (!others)
            p = rw_plan(b, s, prefer_writer);
        if (cas_acqrel(s, &old, others ? old - 1 : p.word)) {
            if (!others)
                rw_execute(b, s, &p, prefer_writer, &batch);
            break;
        }
    }
    gt_sema_unlock(b);
    rw_wake(&batch);
}

/* Bucket locked: one attempt; else the word says that somebody waits.  0, -EBUSY, -EAGAIN. */
static int rw_take_or_mark(_Atomic uint32_t *s, bool prefer_writer, bool writer)
{
    uint32_t bits = writer ? GT_RW_QUEUED | GT_RW_WRWAIT : GT_RW_QUEUED;
    for (;;) {
        int r = writer ? (gt_rwlock_trywrite(s) ? 0 : -EBUSY) : gt_rwlock_tryread(s, prefer_writer);
        if (r != -EBUSY)
            return r;
        uint32_t old = load_rlx(s);
        bool busy = writer ? (old & (GT_RW_WRITER | GT_RW_COUNT)) != 0
                           : !gt_rwlock_readable(old, prefer_writer);
        if (busy && cas_acqrel(s, &old, old | bits))
            return -EBUSY;
    }
}

static int rw_queue(_Atomic uint32_t *s, bool prefer_writer, bool writer, int64_t when)
{
    struct gt_waiter w = {.bits = writer ? MARK_WRITER : 0};
    int64_t since = 0;
    for (bool front = false;; front = true) {
        struct gt_bucket *b = gt_sema_lock(s);
        int e = rw_take_or_mark(s, prefer_writer, writer);
        if (e == -EBUSY)
            gt_sema_enqueue(b, &w, s, front);
        gt_sema_unlock(b);
        if (e != -EBUSY)
            return e;
        since = since ? since : gt_nanotime();
        enum gt_wake r = gt_sema_park(&w, GT_R_RWLOCK, when, GT_PARK_INTR);
        if (w.bits & MARK_HANDED)
            return 0;
        if (r == GT_WAKE_TIMEOUT)
            return -ETIMEDOUT;
        if (r == GT_WAKE_SIGNAL)
            run_handlers();
        if (gt_nanotime() - since > STARVE_NS)
            w.bits |= MARK_STARVING;
    }
}

int gt_rwlock_read_slow(_Atomic uint32_t *s, bool prefer_writer, int64_t when)
{
    int r = rw_queue(s, prefer_writer, false, when);
    uint32_t now = load_rlx(s);
    /* it is ours, so it is alive: let in who did not fit into our batch */
    if (r == 0 && (now & GT_RW_QUEUED) && gt_rwlock_readable(now, prefer_writer))
        rw_admit_more(s, prefer_writer);
    return r;
}

int gt_rwlock_write_slow(_Atomic uint32_t *s, bool prefer_writer, int64_t when)
{
    int r = rw_queue(s, prefer_writer, true, when);
    if (r != 0)
        rw_admit_more(s, prefer_writer); /* readers whom only we kept out */
    return r;
}

/* ---- barrier ----
 * The last to arrive opens the round, then moves the sleepers, marked, to a queue of its own and
 * wakes them from there: they return without a look at the object.  Who was in a signal handler at
 * that moment does look (its round is over); `behind` counts these. */

static bool barrier_unbehind(struct gt_bucket *b, struct gt_barrier *bar, uint32_t n,
                             struct gt_wakee *out)
{
    bar->behind -= n;
    return bar->behind == 0 && drained(b, bar, out);
}

static void barrier_open(struct gt_barrier *bar, uint32_t round)
{
    struct gt_bucket *from, *to;
    struct gt_waiter *w, *next;
    struct gt_wakee wk;
    uint32_t key, n = 0;
    gt_sema_lock2(bar, &key, &from, &to);
    for (w = gt_sema_first(from, bar); w; w = next) {
        next = gt_sema_next(from, w);
        if ((w->bits & MARK_DRAIN) || (uint32_t)(uintptr_t)w->data != round)
            continue;
        w->bits |= MARK_RELEASED;
        gt_sema_requeue(from, to, w, &key);
        n++;
    }
    bool won = barrier_unbehind(from, bar, n + 1, &wk);
    gt_sema_unlock2(from, to);
    if (won)
        gt_wake(&wk);
    gt_sema_wake(&key, (int)n);
}

/* Sleeps until the round is over.  Bucket locked, released here. */
static void barrier_sleep(struct gt_barrier *bar, struct gt_bucket *b, uint32_t round)
{
    struct gt_waiter w = {.data = (void *)(uintptr_t)round};
    struct gt_wakee wk;
    for (bool front = false; bar->round == round; front = true) {
        gt_sema_enqueue(b, &w, bar, front);
        gt_sema_unlock(b);
        enum gt_wake r = gt_sema_park(&w, GT_R_BARRIER, GT_NEVER, GT_PARK_INTR);
        if (w.bits & MARK_RELEASED)
            return;
        if (r == GT_WAKE_SIGNAL)
            run_handlers();
        b = gt_sema_lock(bar);
    }
    bool won = barrier_unbehind(b, bar, 1, &wk);
    gt_sema_unlock(b);
    if (won)
        gt_wake(&wk);
}

bool gt_barrier_wait(struct gt_barrier *bar)
{
    struct gt_bucket *b = gt_sema_lock(bar);
    uint32_t round = bar->round;
    if (++bar->in < bar->count) {
        barrier_sleep(bar, b, round);
        return false;
    }
    bar->in = 0;
    bar->round++;
    bar->behind += bar->count; /* ourselves included, until barrier_open is through with it */
    gt_sema_unlock(b);
    barrier_open(bar, round);
    return true;
}

static bool barrier_busy(void *obj)
{
    return ((struct gt_barrier *)obj)->behind != 0;
}

void gt_barrier_drain(struct gt_barrier *bar)
{
    drain(bar, barrier_busy);
}

/* ---- semaphore ---- */

#define SEM_VALUE(d)  ((uint32_t)(d))
#define SEM_VALUE_TOP 0x7fffffffu

/* Takes one if there is one, and with it `also` off the word. */
static bool sem_take(_Atomic uint64_t *sem, uint64_t also)
{
    uint64_t d = load_rlx(sem);
    do {
        if (SEM_VALUE(d) == 0)
            return false;
    } while (!cas_acq(sem, &d, d - 1 - also));
    return true;
}

bool gt_sem_try(_Atomic uint64_t *sem)
{
    return sem_take(sem, 0);
}

/* One sleep in the table: 0, look again; -ETIMEDOUT, -EINTR. */
static int sem_sleep(_Atomic uint64_t *sem, bool front, int64_t when)
{
    struct gt_waiter w = {0};
    struct gt_bucket *b = gt_sema_lock(sem);
    if (SEM_VALUE(load_seq(sem)) != 0) { /* pairs with the add of gt_sem_post */
        gt_sema_unlock(b);
        return 0;
    }
    gt_sema_enqueue(b, &w, sem, front);
    gt_sema_unlock(b);
    enum gt_wake r = gt_sema_park(&w, GT_R_SEM, when, GT_PARK_INTR);
    return r == GT_WAKE_READY ? 0 : r == GT_WAKE_TIMEOUT ? -ETIMEDOUT : -EINTR;
}

/* One sleep in the kernel, on the half of the word that holds the value. */
static int sem_sleep_shared(_Atomic uint64_t *sem, int64_t when)
{
    struct gt_g *g = gt_self();
    bool real = when >= 0 && (when & GT_REALTIME);
    int64_t ns = real ? when - GT_REALTIME : when;
    struct timespec ts = {.tv_sec = ns / GT_SEC, .tv_nsec = ns % GT_SEC};
    long to = when < 0 ? 0 : (long)&ts, op = FUTEX_WAIT_BITSET | (real ? FUTEX_CLOCK_REALTIME : 0);
    long r = g ? gt_syscall_blocking(g, SYS_futex, (long)sem, op, 0, to, 0, -1)
               : gt_syscall6(SYS_futex, (long)sem, op, 0, to, 0, -1);
    return r == -ETIMEDOUT || r == -EINTR ? (int)r : 0;
}

int gt_sem_wait(_Atomic uint64_t *sem, bool shared, int64_t when)
{
    add_seq(sem, GT_SEM_WAITER);
    for (bool front = false;; front = true) {
        if (sem_take(sem, GT_SEM_WAITER))
            return 0;
        int r = shared ? sem_sleep_shared(sem, when) : sem_sleep(sem, front, when);
        if (r == 0)
            continue;
        add_rlx(sem, -GT_SEM_WAITER);
        return r;
    }
}

int gt_sem_post(_Atomic uint64_t *sem, bool shared)
{
    uint64_t d = load_rlx(sem);
    do {
        if (SEM_VALUE(d) == SEM_VALUE_TOP)
            return -EOVERFLOW;
    } while (!cas_seq(sem, &d, d + 1));
    if (d < GT_SEM_WAITER)
        return 0;
    if (shared) {
        sys_futex(sem, FUTEX_WAKE, 1, NULL, NULL, 0);
    } else {
        struct gt_g *g = gt_sync_enter();
        gt_sema_wake(sem, 1);
        gt_sync_leave(g);
    }
    return 0;
}

/* ---- once ---- */

static _Atomic uint32_t once_generation = 4; /* += 4: the low bits are the state */

bool gt_once_begin(_Atomic uint32_t *ctl)
{
    for (;;) {
        uint32_t running = load_rlx(&once_generation) | 1;
        uint32_t v = load_acq(ctl);
        if (v & GT_ONCE_DONE)
            return false;
        if (v != running) {
            if (cas_acq(ctl, &v, running))
                return true;
            continue;
        }
        struct gt_waiter w = {0};
        struct gt_bucket *b = gt_sema_lock(ctl);
        if (load_acq(ctl) != running) {
            gt_sema_unlock(b);
            continue;
        }
        gt_sema_enqueue(b, &w, ctl, false);
        gt_sema_unlock(b);
        if (gt_sema_park(&w, GT_R_ONCE, GT_NEVER, GT_PARK_INTR) == GT_WAKE_SIGNAL)
            run_handlers();
    }
}

void gt_once_end(_Atomic uint32_t *ctl, bool done)
{
    store_rel(ctl, done ? GT_ONCE_DONE : 0);
    gt_sema_wake(ctl, INT32_MAX);
}

void gt_once_fork_child(void)
{
    add_rlx(&once_generation, 4);
}
