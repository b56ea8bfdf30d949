/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The network poller (netpoll.h has the model and the caller's protocol).   Source: Go's netpoll.go
 * and netpoll_epoll.go for the edge-triggered registration; epoll(7).
 *
 * Records.  slot(fd) -> struct gt_pollfd, made on first use, type-stable: never freed, only reused.
 * An event carries (index, generation) of the record; one with an old generation is dropped.
 *
 *   open   in its slot; fd = the number asked for
 *   detached  closed under its waiters: out of the slot, fd = a private duplicate, closed by the
 * last put
 *
 * Why registering late is safe: EPOLL_CTL_ADD and MOD report the present readiness as an event, so
 * whoever parks after the registration is woken even when the data came before it.
 *
 * Stale registrations (PITFALLS 5): a descriptor that did not come to life through us (no OWNED
 * hint) is registered again with MOD each time somebody parks on it; one that did is trusted, and
 * its registration renewed once when somebody has waited long (gt_netpoll_recheck).
 *
 * A waiter belongs to one record, direction set and kind: I/O (woken one at a time, passed on by
 * who succeeds) or poll (all woken).  Whoever takes it off wins its ticket under the PD lock; a
 * loser takes itself off.
 *
 * While somebody waits for a time of the realtime clock, a timerfd in the same instance says when
 * that clock is set.   Source: timerfd_create(2), TFD_TIMER_CANCEL_ON_SET.
 *
 * Locks: PD, one record; readies after it is released.
 */
#include "core/sched/netpoll.h"

#include <sys/timerfd.h>

#include "core/sched/sched_int.h"
#include "core/sched/signal.h"

#define L1      1024 /* blocks of slots */
#define L2      1024 /* slots a block */
#define PDCHUNK 64
#define NEVENTS 128
#define EVENTS  (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)
#define OLD_MS  100
#define SITS    8 /* waits in the kernel: from then on it is not registered */

#define TAG_BREAK UINT64_MAX
#define TAG_CLOCK (UINT64_MAX - 1)

struct gt_pollwait {
    struct gt_pollwait *next, *prev; /* PD lock */
    struct gt_pollfd *pd;
    struct gt_parker *pk;
    uint64_t ticket;
    int64_t since;
    unsigned dirs;
    bool poll;   /* woken with all others */
    bool queued; /* PD lock */
};

typedef _Atomic(struct gt_pollfd *) slot_t;

static struct {
    int epfd, evfd;
    _Atomic int clockfd; /* -1: none yet; store release by watch_clock, under the lock */
    _Atomic bool inited;
    _Atomic(slot_t *) block[L1];
    _Atomic(struct gt_pollfd *) *index; /* record of an index; reserved address space */
    _Atomic uint32_t nindex;
    struct gt_lock lock; /* free list, the making of clockfd (leaf) */
    struct gt_pollfd *free;
    _Atomic uint32_t waiters;
    _Atomic uint32_t ndetached;
    _Atomic uint32_t breaking; /* a break is under way: xchg; pairs with the drain in netpoll */
    bool no_pwait2;
    uint32_t sweep;
} N = {.clockfd = -1};

#define MAX_INDEX (1u << 21)

/* ---- records ---- */

static slot_t *slot_of(int fd, bool make)
{
    if (fd < 0 || fd >= L1 * L2)
        return NULL;
    slot_t *b = load_acq(&N.block[fd / L2]);
    if (!b && make) {
        slot_t *fresh = gt_persistent_alloc(sizeof(slot_t) * L2);
        if (!fresh)
            return NULL;
        if (cas_acqrel(&N.block[fd / L2], &b, fresh))
            b = fresh; /* else another made it; ours is lost, once */
    }
    return b ? &b[fd % L2] : NULL;
}

static struct gt_pollfd *pd_alloc(void)
{
    gt_lock(&N.lock, GT_RANK_NONE);
    struct gt_pollfd *pd = N.free;
    if (pd)
        N.free = pd->next_free;
    gt_unlock(&N.lock, GT_RANK_NONE);
    if (pd)
        return pd;
    pd = gt_persistent_alloc(sizeof(*pd));
    if (!pd)
        return NULL;
    pd->slot = add_rlx(&N.nindex, 1);
    if (pd->slot >= MAX_INDEX)
        return NULL;
    store_rel(&N.index[pd->slot], pd);
    return pd;
}

static void pd_free(struct gt_pollfd *pd)
{
    gt_lock(&N.lock, GT_RANK_NONE);
    pd->next_free = N.free;
    N.free = pd;
    gt_unlock(&N.lock, GT_RANK_NONE);
}

/* A new life of a record: nothing known, nothing registered.  PD lock held or not yet visible. */
static void pd_reset(struct gt_pollfd *pd, int fd)
{
    pd->fd = fd;
    pd->gen++;
    pd->registered = pd->unpollable = false;
    store_rlx(&pd->detached, false);
    store_rlx(&pd->kind, GT_FD_UNKNOWN);
    store_rlx(&pd->flags, 0);
    store_rlx(&pd->hup, 0);
    add_acqrel(&pd->seq[0], 1);
    add_acqrel(&pd->seq[1], 1);
}

struct gt_pollfd *gt_netpoll_peek(int fd)
{
    slot_t *s = slot_of(fd, false);
    return s ? load_acq(s) : NULL;
}

struct gt_pollfd *gt_netpoll_get(int fd)
{
    slot_t *s = slot_of(fd, true);
    if (!s || !load_rlx(&N.inited))
        return NULL;
    for (;;) {
        struct gt_pollfd *pd = load_acq(s);
        if (!pd) {
            struct gt_pollfd *fresh = pd_alloc();
            if (!fresh)
                return NULL;
            pd_reset(fresh, fd);
            if (!cas_acqrel(s, &pd, fresh)) {
                pd_free(fresh);
                continue;
            }
            pd = fresh;
        }
        add_acqrel(&pd->refs, 1);
        if (likely(load_acq(s) == pd))
            return pd;
        gt_netpoll_put(pd); /* detached in between */
    }
}

void gt_netpoll_put(struct gt_pollfd *pd)
{
    if (likely(sub_acqrel(&pd->refs, 1) != 1) || likely(!load_acq(&pd->detached)))
        return;
    gt_lock(&pd->lock, GT_RANK_PD);
    bool last = load_rlx(&pd->detached) && load_rlx(&pd->refs) == 0;
    int fd = pd->fd;
    if (last) {
        if (pd->registered)
            sys_epoll_ctl(N.epfd, EPOLL_CTL_DEL, fd, NULL);
        pd_reset(pd, -1);
        sub_acqrel(&N.ndetached, 1);
    }
    gt_unlock(&pd->lock, GT_RANK_PD);
    if (last) {
        sys_close(fd);
        pd_free(pd);
    }
}

/* ---- registration ---- */

static int reg(struct gt_pollfd *pd)
{
    struct epoll_event ev = {.events = EVENTS, .data.u64 = (uint64_t)pd->gen << 32 | pd->slot};
    int r;
    if (pd->unpollable)
        return -EPERM;
    if (pd->registered) {
        if (load_rlx(&pd->flags) & GT_FDF_OWNED)
            return 0;
        r = sys_epoll_ctl(N.epfd, EPOLL_CTL_MOD, pd->fd, &ev);
        if (r != -ENOENT)
            return r;
    }
    r = sys_epoll_ctl(N.epfd, EPOLL_CTL_ADD, pd->fd, &ev);
    if (r == -EEXIST)
        r = sys_epoll_ctl(N.epfd, EPOLL_CTL_MOD, pd->fd, &ev);
    pd->registered = r == 0;
    pd->unpollable = r == -EPERM;
    return r;
}

/* ---- waiting ---- */

static void enqueue(struct gt_pollfd *pd, struct gt_pollwait *w)
{
    struct gt_pollwait *first = pd->waiters;
    w->pd = pd;
    w->queued = true;
    store_rlx(&pd->sits, 0);
    if (first) { /* a ring, oldest first */
        w->next = first;
        w->prev = first->prev;
        first->prev->next = w;
        first->prev = w;
    } else {
        w->next = w->prev = w;
        __atomic_store_n(&pd->waiters, w, __ATOMIC_RELAXED);
    }
}

static void dequeue(struct gt_pollfd *pd, struct gt_pollwait *w)
{
    w->queued = false;
    if (w->next == w) {
        __atomic_store_n(&pd->waiters, NULL, __ATOMIC_RELAXED);
        return;
    }
    w->prev->next = w->next;
    w->next->prev = w->prev;
    if (pd->waiters == w)
        __atomic_store_n(&pd->waiters, w->next, __ATOMIC_RELAXED);
}

/* A list of goroutines to ready, linked through schedlink. */
struct ready {
    struct gt_g *head, *tail;
    int n;
};

static bool win(struct gt_pollfd *pd, struct gt_pollwait *w, struct ready *out)
{
    struct gt_wakee wk;
    struct gt_parker *pk = w->pk;
    uint64_t t = w->ticket;
    dequeue(pd, w);
    if (!gt_park_win(pk, t, GT_WAKE_READY, &wk))
        return false;
    if (wk.g) {
        wk.g->schedlink = NULL;
        if (out->tail)
            out->tail->schedlink = wk.g;
        else
            out->head = wk.g;
        out->tail = wk.g;
        out->n++;
    }
    return true;
}

/* Wakes for direction set dirs: all poll waiters (if polls), and one I/O waiter for each direction.
 */
static void wake_dirs(struct gt_pollfd *pd, unsigned dirs, bool polls, struct ready *out)
{
    struct gt_pollwait *w = pd->waiters, *last = w ? w->prev : NULL, *next;
    unsigned io = dirs;
    for (bool more = w != NULL; more; w = next) {
        next = w->next; /* win takes off only w */
        more = w != last;
        if (w->poll ? !polls || !(w->dirs & dirs) : !(w->dirs & io))
            continue;
        unsigned took = w->poll ? 0 : w->dirs;
        if (win(pd, w, out))
            io &= ~took;
    }
}

/* One I/O waiter; edge: as an edge, which those that look later see, too. */
static void wake_io(struct gt_pollfd *pd, enum gt_polldir d, bool edge)
{
    struct ready r = {0};
    gt_lock(&pd->lock, GT_RANK_PD);
    if (edge)
        add_acqrel(&pd->seq[d], 1);
    wake_dirs(pd, 1u << d, false, &r);
    gt_unlock(&pd->lock, GT_RANK_PD);
    if (r.head)
        gt_goready(r.head, false);
}

void gt_netpoll_pass_slow(struct gt_pollfd *pd, enum gt_polldir d)
{
    wake_io(pd, d, false);
}

void gt_netpoll_again(struct gt_pollfd *pd, enum gt_polldir d)
{
    wake_io(pd, d, true);
}

void gt_netpoll_sit(struct gt_pollfd *pd, int fd)
{
    uint8_t n = load_rlx(&pd->sits);
    if (n > SITS)
        return;
    store_rlx(&pd->sits, (uint8_t)(n + 1));
    if (n < SITS)
        return;
    gt_lock(&pd->lock, GT_RANK_PD);
    if (pd->fd == fd && pd->registered && !pd->waiters) {
        sys_epoll_ctl(N.epfd, EPOLL_CTL_DEL, fd, NULL);
        pd->registered = false; /* the next who parks on it registers it again */
    }
    gt_unlock(&pd->lock, GT_RANK_PD);
}

static void forget(struct gt_pollwait *w)
{
    gt_lock(&w->pd->lock, GT_RANK_PD);
    if (w->queued)
        dequeue(w->pd, w);
    gt_unlock(&w->pd->lock, GT_RANK_PD);
}

static int outcome(enum gt_wake r)
{
    return r == GT_WAKE_READY ? 0 : r == GT_WAKE_TIMEOUT ? -ETIMEDOUT : -EINTR;
}

int gt_netpoll_wait(struct gt_pollfd *pd, enum gt_polldir d, uint32_t seq, int64_t when,
                    enum gt_reason why)
{
    struct gt_pollwait w = {.dirs = 1u << d};
    gt_lock(&pd->lock, GT_RANK_PD);
    int r = reg(pd);
    if (r != 0 || load_acq(&pd->seq[d]) != seq) {
        gt_unlock(&pd->lock, GT_RANK_PD);
        return r == 0 ? 0 : -EPERM;
    }
    w.pk = gt_parker_self();
    w.ticket = gt_park_begin(w.pk);
    enqueue(pd, &w);
    gt_unlock(&pd->lock, GT_RANK_PD);
    add_acqrel(&N.waiters, 1);
    enum gt_wake o = gt_park(w.pk, w.ticket, why, when, GT_PARK_INTR);
    sub_acqrel(&N.waiters, 1);
    forget(&w);
    if (gt_self())
        gt_sig_catch_up(gt_self(), load_rlx(&pd->kind) == GT_FD_PIPE);
    return outcome(o);
}

#define MANY 64

int gt_netpoll_wait_many(struct gt_pollreq *req, int n, int64_t when)
{
    struct gt_pollwait ws[MANY];
    int queued = 0, r = 0;
    if (n > MANY)
        return -EPERM;
    struct gt_parker *pk = gt_parker_self();
    uint64_t ticket = gt_park_begin(pk);
    for (; queued < n && r == 0; queued++) {
        struct gt_pollreq *q = &req[queued];
        struct gt_pollwait *w = &ws[queued];
        gt_memset(w, 0, sizeof(*w));
        w->pk = pk;
        w->ticket = ticket;
        w->dirs = q->dirs;
        w->poll = true;
        gt_lock(&q->pd->lock, GT_RANK_PD);
        r = reg(q->pd);
        for (int d = 0; r == 0 && d < 2; d++)
            if ((q->dirs & 1u << d) && load_acq(&q->pd->seq[d]) != q->seq[d])
                r = 1; /* it moved: look again */
        if (r == 0)
            enqueue(q->pd, w);
        gt_unlock(&q->pd->lock, GT_RANK_PD);
        if (r)
            break;
    }
    enum gt_wake o = GT_WAKE_READY;
    if (r == 0) {
        add_acqrel(&N.waiters, 1);
        o = gt_park(pk, ticket, GT_R_POLL, when, GT_PARK_INTR);
        sub_acqrel(&N.waiters, 1);
        if (gt_self())
            gt_sig_catch_up(gt_self(), true);
    }
    for (int i = 0; i < queued; i++)
        forget(&ws[i]);
    return r > 0 ? 0 : r < 0 ? -EPERM : outcome(o);
}

/* ---- life of descriptors ---- */

void gt_netpoll_opened(int fd, enum gt_fdkind kind, unsigned flags)
{
    struct gt_pollfd *pd = gt_netpoll_get(fd);
    if (!pd)
        return;
    gt_lock(&pd->lock, GT_RANK_PD);
    if (pd->registered || load_rlx(&pd->kind) != GT_FD_UNKNOWN || pd->unpollable)
        pd_reset(pd, fd);
    store_rlx(&pd->kind, kind);
    store_rlx(&pd->flags, flags);
    gt_unlock(&pd->lock, GT_RANK_PD);
    gt_netpoll_put(pd);
}

/* A private duplicate above the program's own descriptors. */
static int dup_high(int fd)
{
    for (int lo = 1 << 19; lo >= 64; lo /= 2) {
        int r = sys_fcntl(fd, F_DUPFD_CLOEXEC, lo);
        if (r >= 0)
            return r;
    }
    return sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Takes the record out of its slot, alive under a private number, for those who wait on it. */
static void detach(struct gt_pollfd *pd, slot_t *s)
{
    int fd = dup_high(pd->fd);
    if (fd < 0)
        return; /* no descriptor left: the waiters stay on the number */
    store_rel(s, NULL);
    if (pd->registered)
        sys_epoll_ctl(N.epfd, EPOLL_CTL_DEL, pd->fd, NULL);
    pd->fd = fd;
    pd->gen++;
    pd->registered = false;
    store_rel(&pd->detached, true);
    add_acqrel(&N.ndetached, 1);
    reg(pd);
}

void gt_netpoll_closing(int fd)
{
    slot_t *s = slot_of(fd, false);
    struct gt_pollfd *pd = s ? load_acq(s) : NULL;
    if (!pd)
        return;
    add_acqrel(&pd->refs, 1);
    gt_lock(&pd->lock, GT_RANK_PD);
    if (load_acq(s) == pd) {
        if (pd->waiters) {
            detach(pd, s);
        } else {
            if (pd->registered)
                sys_epoll_ctl(N.epfd, EPOLL_CTL_DEL, fd, NULL);
            pd_reset(pd, fd);
        }
    }
    gt_unlock(&pd->lock, GT_RANK_PD);
    gt_netpoll_put(pd);
}

void gt_netpoll_closing_range(unsigned lo, unsigned hi)
{
    hi = GT_MIN(hi, (unsigned)(L1 * L2 - 1));
    for (unsigned fd = lo; fd <= hi; fd++) {
        if (!load_rlx(&N.block[fd / L2]))
            fd |= L2 - 1; /* skip an empty block */
        else
            gt_netpoll_closing((int)fd);
    }
}

static bool is_detached(int fd)
{
    uint32_t n = GT_MIN(load_acq(&N.nindex), MAX_INDEX);
    for (uint32_t i = 0; i < n; i++) {
        struct gt_pollfd *pd = load_acq(&N.index[i]);
        if (pd && load_acq(&pd->detached) && pd->fd == fd)
            return true;
    }
    return false;
}

bool gt_netpoll_is_own(int fd)
{
    if (!load_rlx(&N.inited) || fd < 0)
        return false;
    if (fd == N.epfd || fd == N.evfd || fd == load_rlx(&N.clockfd))
        return true;
    return fd >= 64 && load_rlx(&N.ndetached) != 0 && is_detached(fd);
}

/* ---- polling ---- */

int gt_netpoll_move_high(int fd)
{
    int r = dup_high(fd);
    if (r < 0)
        return fd;
    sys_close(fd);
    return r;
}

static int make_fds(void)
{
    int ep = sys_epoll_create1(EPOLL_CLOEXEC), ev = sys_eventfd2(0, O_CLOEXEC | O_NONBLOCK);
    if (ep < 0 || ev < 0) {
        if (ep >= 0)
            sys_close(ep);
        if (ev >= 0)
            sys_close(ev);
        return -EMFILE;
    }
    N.epfd = gt_netpoll_move_high(ep);
    N.evfd = gt_netpoll_move_high(ev);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = TAG_BREAK};
    return sys_epoll_ctl(N.epfd, EPOLL_CTL_ADD, N.evfd, &e);
}

/* A timer that is never due.  -1: no descriptor, or not on this kernel. */
static int make_clockfd(void)
{
    int fd = sys_timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -1;
    struct itimerspec never = {.it_value.tv_sec = GT_REALTIME / GT_SEC};
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = TAG_CLOCK};
    fd = gt_netpoll_move_high(fd);
    if (sys_timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never) == 0 &&
        sys_epoll_ctl(N.epfd, EPOLL_CTL_ADD, fd, &e) == 0)
        return fd;
    sys_close(fd);
    return -1;
}

void gt_netpoll_watch_clock(void)
{
    add_acqrel(&N.waiters, 1); /* somebody polls, also when nobody is idle */
    if (likely(load_acq(&N.clockfd) >= 0) || !load_rlx(&N.inited))
        return;
    gt_lock(&N.lock, GT_RANK_NONE);
    if (load_rlx(&N.clockfd) < 0)
        store_rel(&N.clockfd, make_clockfd());
    gt_unlock(&N.lock, GT_RANK_NONE);
}

void gt_netpoll_unwatch_clock(void)
{
    sub_acqrel(&N.waiters, 1);
}

static void clock_event(void)
{
    uint64_t v;
    if (sys_read(load_acq(&N.clockfd), &v, sizeof(v)) == -ECANCELED)
        gt_timer_clock_set();
}

int gt_netpoll_init(void)
{
    if (load_rlx(&N.inited))
        return 0;
    if (!N.index) {
        void *p =
            sys_mmap(NULL, MAX_INDEX * sizeof(*N.index), PROT_READ | PROT_WRITE, MAP_NORESERVE);
        if (gt_sys_is_err(p))
            return -ENOMEM;
        N.index = p;
    }
    int r = make_fds();
    if (r)
        gt_warn("cannot make an epoll descriptor (error %d)", -r);
    else
        store_rel(&N.inited, true);
    return r;
}

bool gt_netpoll_inited(void)
{
    return load_rlx(&N.inited);
}

uint32_t gt_netpoll_waiters(void)
{
    return load_seq(&N.waiters);
}

void gt_netpoll_break(void)
{
    uint64_t one = 1;
    if (!xchg_acqrel(&N.breaking, 1))
        sys_write(N.evfd, &one, sizeof(one));
}

static void event(uint32_t events, uint64_t tag, struct ready *out)
{
    struct gt_pollfd *pd = load_acq(&N.index[(uint32_t)tag]);
    unsigned dirs = 0;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
        dirs |= 1u << GT_POLL_READ;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        dirs |= 1u << GT_POLL_WRITE;
    gt_lock(&pd->lock, GT_RANK_PD);
    if (pd->gen == (uint32_t)(tag >> 32)) {
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            store_rlx(&pd->hup, 1);
        for (int d = 0; d < 2; d++)
            if (dirs & 1u << d)
                add_acqrel(&pd->seq[d], 1);
        wake_dirs(pd, dirs, true, out);
    }
    gt_unlock(&pd->lock, GT_RANK_PD);
}

static int epoll(struct epoll_event *ev, int64_t delay_ns)
{
    if (delay_ns > 0 && !N.no_pwait2) {
        struct timespec ts = {.tv_sec = delay_ns / GT_SEC, .tv_nsec = delay_ns % GT_SEC};
        int r = sys_epoll_pwait2(N.epfd, ev, NEVENTS, &ts);
        if (r != -ENOSYS)
            return r;
        N.no_pwait2 = true; /* before Linux 5.11: milliseconds, rounded up */
    }
    int64_t ms = delay_ns < 0 ? -1 : (delay_ns + GT_MS - 1) / GT_MS;
    return sys_epoll_pwait(N.epfd, ev, NEVENTS, ms > INT32_MAX ? INT32_MAX : (int)ms);
}

struct gt_g *gt_netpoll(int64_t delay_ns)
{
    struct epoll_event ev[NEVENTS];
    struct ready out = {0};
    int n = epoll(ev, delay_ns);
    for (int i = 0; i < n; i++) {
        if (ev[i].data.u64 == TAG_CLOCK) {
            clock_event();
        } else if (ev[i].data.u64 != TAG_BREAK) {
            event(ev[i].events, ev[i].data.u64, &out);
        } else if (delay_ns != 0) {
            /* a break is for the one who blocks: a glance leaves it there */
            uint64_t v;
            sys_read(N.evfd, &v, sizeof(v));
            store_rel(&N.breaking, 0);
        }
    }
    if (out.n)
        gt_stat_add(netpoll_wakes, out.n);
    return out.head;
}

void gt_netpoll_recheck(int64_t now)
{
    uint32_t n = GT_MIN(load_acq(&N.nindex), MAX_INDEX);
    for (uint32_t i = 0; i < 256 && i < n; i++, N.sweep++) {
        struct gt_pollfd *pd = load_acq(&N.index[N.sweep % n]);
        if (!pd || !__atomic_load_n(&pd->waiters, __ATOMIC_RELAXED))
            continue;
        gt_lock(&pd->lock, GT_RANK_PD);
        struct gt_pollwait *w = pd->waiters;
        if (w && !w->since) {
            w->since = now;
        } else if (w && w->since > 0 && now - w->since > OLD_MS * GT_MS && pd->registered) {
            struct epoll_event ev = {.events = EVENTS,
                                     .data.u64 = (uint64_t)pd->gen << 32 | pd->slot};
            w->since = -1; /* once */
            if (sys_epoll_ctl(N.epfd, EPOLL_CTL_MOD, pd->fd, &ev) == -ENOENT) {
                pd->registered = false;
                reg(pd);
            }
        }
        gt_unlock(&pd->lock, GT_RANK_PD);
    }
}

void gt_netpoll_fork_child(void)
{
    if (!load_rlx(&N.inited))
        return;
    /* never epoll_ctl here: the instance is the parent's (PITFALLS 1) */
    sys_close(N.epfd);
    sys_close(N.evfd);
    if (load_rlx(&N.clockfd) >= 0)
        sys_close(load_rlx(&N.clockfd));
    store_rlx(&N.clockfd, -1);
    uint32_t n = GT_MIN(load_rlx(&N.nindex), MAX_INDEX);
    for (uint32_t i = 0; i < n; i++) {
        struct gt_pollfd *pd = load_rlx(&N.index[i]);
        if (!pd)
            continue;
        pd->waiters = NULL;
        store_rlx(&pd->lock.word, 0);
        store_rlx(&pd->refs, 0);
        if (load_rlx(&pd->detached))
            sys_close(pd->fd);
        enum gt_fdkind kind = load_rlx(&pd->kind);
        unsigned flags = load_rlx(&pd->flags) & ~GT_FDF_OWNED;
        pd_reset(pd, pd->fd);
        store_rlx(&pd->kind, kind);
        store_rlx(&pd->flags, flags);
    }
    store_rlx(&N.lock.word, 0);
    store_rlx(&N.waiters, 0);
    store_rlx(&N.ndetached, 0);
    store_rlx(&N.breaking, 0);
    store_rlx(&N.inited, false);
    gt_netpoll_init();
}

void gt_netpoll_shared(void)
{
    uint32_t n = GT_MIN(load_acq(&N.nindex), MAX_INDEX);
    for (uint32_t i = 0; i < n; i++) {
        struct gt_pollfd *pd = load_acq(&N.index[i]);
        if (pd)
            and_acqrel(&pd->flags, ~GT_FDF_OWNED);
    }
}
