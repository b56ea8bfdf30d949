/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pending signals of a goroutine.
 *
 *   inbox   pushed by anybody, also in a signal handler (CAS); taken whole by the owner
 *   queue   the owner's: sorted as the kernel dequeues: thread-directed before process-directed,
 *           faults first, then by number, equal ones in the order of their coming
 *
 * A standard signal is pending at most once for the thread and once for the process: two bit sets
 * say so, set before the push and cleared when the node is taken, so a storm of them costs no
 * memory.  Real-time signals all queue, up to RLIMIT_SIGPENDING as in the kernel.
 *
 * Nodes come from chunks that are never given back, through a free list of numbers with a tag
 * against reuse in between.  No lock, no libc: all of it runs in signal handlers too.
 */
#include "core/sched/sigq.h"

#include <sys/resource.h>

#include "core/sched/signal.h"

#define CHUNK   2048ul
#define NCHUNK  64u
#define FIRSTRT 32 /* 32 and 33 are libc's; the others above are real-time */

static struct {
    _Atomic(struct gt_signode *) chunk[NCHUNK]; /* CAS NULL -> nodes, once */
    _Atomic uint64_t free;                      /* tag << 32 | number of the first; CAS */
    _Atomic uint32_t used;
    _Atomic uint32_t limit;     /* RLIMIT_SIGPENDING; 0: not asked yet */
    _Atomic uint32_t epoch[65]; /* of each signal: gt_sigq_forget */
} Q;

static struct gt_signode *node(uint32_t number)
{
    return load_acq(&Q.chunk[(number - 1) / CHUNK]) + (number - 1) % CHUNK;
}

/* Pushes a chain of free nodes. */
static void free_push(struct gt_signode *first, struct gt_signode *last)
{
    uint64_t head = load_rlx(&Q.free);
    do
        __atomic_store_n(&last->next_free, (uint32_t)head, __ATOMIC_RELAXED);
    while (!cas_rel(&Q.free, &head, (head & ~0xffffffffull) + (1ull << 32) + first->self));
}

/* One more chunk.  False: no more, or no memory. */
static bool grow(void)
{
    uint32_t k = 0;
    while (k < NCHUNK && load_acq(&Q.chunk[k]))
        k++;
    if (k == NCHUNK)
        return false;
    struct gt_signode *c = sys_mmap(NULL, CHUNK * sizeof(*c), PROT_READ | PROT_WRITE, 0);
    if (gt_sys_is_err(c))
        return false;
    for (uint32_t i = 0; i < CHUNK; i++) {
        c[i].self = (uint32_t)(k * CHUNK + i + 1);
        c[i].next_free = c[i].self + 1;
    }
    struct gt_signode *none = NULL;
    if (cas_acqrel(&Q.chunk[k], &none, c))
        free_push(c, c + CHUNK - 1);
    else
        sys_munmap(c, CHUNK * sizeof(*c));
    return true;
}

static struct gt_signode *free_pop(void)
{
    uint64_t head = load_acq(&Q.free);
    for (;;) {
        uint32_t number = (uint32_t)head;
        if (!number) {
            if (!grow())
                return NULL;
            head = load_acq(&Q.free);
            continue;
        }
        struct gt_signode *n = node(number);
        uint32_t next = __atomic_load_n(&n->next_free, __ATOMIC_RELAXED);
        if (cas_acqrel(&Q.free, &head, (head & ~0xffffffffull) + (1ull << 32) + next))
            return n;
    }
}

static uint32_t limit(void)
{
    uint32_t n = load_rlx(&Q.limit);
    if (!n) {
        struct rlimit r = {0, 0};
        GT_SYS6(SYS_prlimit64, 0, RLIMIT_SIGPENDING, NULL, &r, 0, 0);
        n = (uint32_t)GT_MAX(GT_MIN(r.rlim_cur, NCHUNK * CHUNK), 1ul);
        store_rlx(&Q.limit, n);
    }
    return n;
}

struct gt_signode *gt_signode_get(int sig, const siginfo_t *info)
{
    if (add_rlx(&Q.used, 1) >= limit() && sig >= FIRSTRT) {
        sub_acqrel(&Q.used, 1);
        return NULL;
    }
    struct gt_signode *n = free_pop();
    if (!n) {
        sub_acqrel(&Q.used, 1);
        return NULL;
    }
    n->sig = (uint16_t)sig;
    n->to = NULL;
    n->shared = false;
    n->was.handler = NULL;
    n->epoch = load_acq(&Q.epoch[sig]);
    if (info) {
        n->info = *info;
    } else {
        gt_memset(&n->info, 0, sizeof(n->info));
        n->info.si_signo = sig;
        n->info.si_code = SI_TKILL;
        n->info.si_pid = sys_getpid();
    }
    return n;
}

void gt_signode_put(struct gt_signode *n)
{
    sub_acqrel(&Q.used, 1);
    free_push(n, n);
}

void gt_signode_push(_Atomic(struct gt_signode *) *list, struct gt_signode *n)
{
    struct gt_signode *old = load_rlx(list);
    do
        n->next = old;
    while (!cas_rel(list, &old, n));
}

struct gt_signode *gt_signode_list(_Atomic(struct gt_signode *) *list)
{
    struct gt_signode *n = xchg_acq(list, NULL), *rev = NULL;
    while (n) {
        struct gt_signode *next = n->next;
        n->next = rev;
        rev = n;
        n = next;
    }
    return rev;
}

/* ---- one goroutine's ---- */

static gt_sigset bit_of(const struct gt_signode *n)
{
    return n->sig < FIRSTRT ? GT_SIGBIT(n->sig) : 0;
}

void gt_sigq_add(struct gt_g *g, struct gt_signode *n)
{
    gt_sigset bit = bit_of(n);
    add_acqrel(&g->sigcame, 1);
    if (bit && (or_acqrel(&g->sigpend[n->shared], bit) & bit))
        gt_signode_put(n); /* whoever set the bit pushes, or has pushed */
    else
        gt_signode_push(&g->siginbox, n);
}

static uint32_t rank(const struct gt_signode *n)
{
    return (uint32_t)n->shared << 8 | (GT_SIG_SYNC & GT_SIGBIT(n->sig) ? 0 : 128u) | n->sig;
}

/* Moves the inbox into the queue. */
static void drain(struct gt_g *g)
{
    struct gt_signode *n = gt_signode_list(&g->siginbox);
    while (n) {
        struct gt_signode *next = n->next, **at = &g->sigq;
        if (g->sigq && rank(g->sigqlast) <= rank(n))
            at = &g->sigqlast->next;
        else
            while (*at && rank(*at) <= rank(n))
                at = &(*at)->next;
        n->next = *at;
        *at = n;
        if (!n->next)
            g->sigqlast = n;
        g->sigqset[n->shared] |= GT_SIGBIT(n->sig);
        n = next;
    }
}

static bool is_void(const struct gt_signode *n)
{
    return n->epoch != load_acq(&Q.epoch[n->sig]);
}

/* Takes the one behind *at out; `before` is the one ahead of it, or NULL. */
static struct gt_signode *cut(struct gt_g *g, struct gt_signode **at, struct gt_signode *before)
{
    struct gt_signode *n = *at;
    *at = n->next;
    if (g->sigqlast == n)
        g->sigqlast = before;
    if (!is_void(n)) /* else the bit is another's by now */
        and_acqrel(&g->sigpend[n->shared], ~bit_of(n));
    return n;
}

/* sigqset says what may be in the queue, so that thousands of one blocked signal cost nothing. */
static struct gt_signode *take_of(struct gt_g *g, gt_sigset set, bool shared_only)
{
    struct gt_signode **at = &g->sigq, *before = NULL;
    drain(g);
    if (!(set & (g->sigqset[1] | (shared_only ? 0 : g->sigqset[0]))))
        return NULL;
    while (*at) {
        struct gt_signode *n = *at;
        if (is_void(n))
            gt_signode_put(cut(g, at, before));
        else if ((set & GT_SIGBIT(n->sig)) && (n->shared || !shared_only))
            return cut(g, at, before);
        else
            before = n, at = &n->next;
    }
    g->sigqset[1] &= ~set;
    if (!shared_only)
        g->sigqset[0] &= ~set;
    return NULL;
}

struct gt_signode *gt_sigq_take(struct gt_g *g, gt_sigset set)
{
    return gt_sigq_maybe(g) ? take_of(g, set, false) : NULL;
}

struct gt_signode *gt_sigq_take_shared(struct gt_g *g, gt_sigset set)
{
    return gt_sigq_maybe(g) ? take_of(g, set, true) : NULL;
}

gt_sigset gt_sigq_shared(struct gt_g *g)
{
    drain(g);
    return g->sigqset[1];
}

gt_sigset gt_sigq_set(struct gt_g *g)
{
    gt_sigset set = 0;
    drain(g);
    for (struct gt_signode *n = g->sigq; n; n = n->next)
        if (!is_void(n))
            set |= GT_SIGBIT(n->sig);
    return set;
}

static void clear_bit(struct gt_g *g, void *arg)
{
    gt_sigset bit = *(gt_sigset *)arg;
    and_acqrel(&g->sigpend[0], ~bit);
    and_acqrel(&g->sigpend[1], ~bit);
}

void gt_sigq_forget(int sig)
{
    gt_sigset bit = sig < FIRSTRT ? GT_SIGBIT(sig) : 0;
    add_acqrel(&Q.epoch[sig], 1);
    if (bit) /* the next one queues again, beside a void one */
        gt_foreach_g(clear_bit, &bit);
}

/* The survivor, if it is one of ours, starts with nothing pending. */
static void survivor(struct gt_g *g)
{
    g->sigq = g->sigqlast = NULL;
    store_rlx(&g->stranded, false);
    g->sigqset[0] = g->sigqset[1] = 0;
    store_rlx(&g->siginbox, NULL);
    store_rlx(&g->sigpend[0], 0);
    store_rlx(&g->sigpend[1], 0);
}

void gt_sigq_fork_child(struct gt_g *g)
{
    if (g)
        survivor(g);
    if (!load_rlx(&Q.used))
        return;
    store_rlx(&Q.used, 0); /* those of the goroutines that are not here, too */
    store_rlx(&Q.free, 0);
    for (uint32_t k = 0; k < NCHUNK && load_rlx(&Q.chunk[k]); k++) {
        struct gt_signode *c = load_rlx(&Q.chunk[k]);
        for (uint32_t i = 0; i < CHUNK; i++)
            c[i].next_free = c[i].self + 1;
        free_push(c, c + CHUNK - 1);
    }
}
