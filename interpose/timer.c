/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Timers: timer_create(2), POSIX timer_settime(3p).
 *
 * One that signals a goroutine (SIGEV_THREAD_ID) signals the process for the kernel, which must not
 * see a goroutine's thread id; core knows for whom it is.
 *
 * One on the CPU-time clock of a goroutine counts, for the kernel, on the clock of the thread that
 * has made it: so that goroutine is wired until it has deleted its last, and a time on that clock
 * is moved by what the two clocks differ.  That of another goroutine is refused, as POSIX allows:
 * which kernel thread will run it is not known.
 */
#include "interpose/interpose.h"

#include "core/sched/cputime.h"
#include "core/sched/signal.h"
#include "core/sched/wire.h"
#include "interpose/pobj.h"
#include "interpose/thread.h"

#define MAX_CPU 256

static struct {
    struct gt_lock lock;
    struct {
        timer_t t;
        struct gt_g *g; /* NULL: free */
        int tid;        /* of g, which may have ended since */
    } at[MAX_CPU];      /* lock */
    _Atomic uint32_t n; /* rows in use; changed under the lock */
    _Atomic bool early; /* the first thread has made one while it was alone */
} C;

/* Notes it.  False: no room. */
static bool cpu_add(timer_t t, struct gt_g *g)
{
    bool room = false;
    gt_lock(&C.lock, GT_RANK_NONE);
    for (int i = 0; i < MAX_CPU && !room; i++)
        if (!C.at[i].g) {
            C.at[i].t = t;
            C.at[i].g = g;
            C.at[i].tid = g->tid;
            add_rlx(&C.n, 1);
            room = true;
        }
    gt_unlock(&C.lock, GT_RANK_NONE);
    return room;
}

/* Whose clock t counts; NULL: none of ours, or of one that has ended.  drop: it is deleted. */
static struct gt_g *cpu_owner(timer_t t, bool drop)
{
    struct gt_g *g = NULL;
    if (likely(load_rlx(&C.n) == 0))
        return NULL;
    gt_lock(&C.lock, GT_RANK_NONE);
    for (int i = 0; i < MAX_CPU; i++) {
        if (!C.at[i].g || C.at[i].t != t)
            continue;
        g = C.at[i].g->tid == C.at[i].tid ? C.at[i].g : NULL;
        if (drop) {
            C.at[i].g = NULL;
            sub_acqrel(&C.n, 1);
        }
        break;
    }
    gt_unlock(&C.lock, GT_RANK_NONE);
    return g;
}

static bool cpu_has(const struct gt_g *g)
{
    bool has = false;
    gt_lock(&C.lock, GT_RANK_NONE);
    for (int i = 0; i < MAX_CPU; i++)
        has |= C.at[i].g == g && C.at[i].tid == g->tid;
    gt_unlock(&C.lock, GT_RANK_NONE);
    return has;
}

static void cpu_let_go(struct gt_g *g)
{
    if (!cpu_has(g))
        gt_wire_clear(g, GT_W_TIMER);
}

void gt_timer_started(struct gt_g *g1)
{
    if (load_rlx(&C.early))
        gt_wire_set(g1, GT_W_TIMER);
}

void gt_timer_fork_child(void)
{
    gt_memset(&C, 0, sizeof(C));
}

/* SIGEV_THREAD_ID for g, else NULL. */
static int create(clockid_t clock, struct sigevent *ev, timer_t *out, struct gt_g *g)
{
    if (!g)
        return REAL(timer_create)(clock, ev, out);
    struct sigevent to_us = *ev;
    to_us.sigev_notify = SIGEV_SIGNAL;
    int r = REAL(timer_create)(clock, &to_us, out);
    if (r == 0 && gt_sig_timer((int)(intptr_t)*out, ev->sigev_signo, g) != 0) {
        REAL(timer_delete)(*out);
        return (int)gt_ret(-EAGAIN);
    }
    return r;
}

static int create_cpu(struct gt_g *self, struct sigevent *ev, timer_t *out, struct gt_g *to)
{
    gt_wire_set(self, GT_W_TIMER);
    int r = create(CLOCK_THREAD_CPUTIME_ID, ev, out, to);
    if (r == 0 && !cpu_add(*out, self)) {
        timer_delete(*out);
        r = (int)gt_ret(-EAGAIN);
    }
    if (r != 0)
        cpu_let_go(self);
    return r;
}

GT_EXPORT int timer_create(clockid_t clock, struct sigevent *ev, timer_t *out)
{
    struct gt_g *self = gt_self();
    if (!self) {
        if (clock == CLOCK_THREAD_CPUTIME_ID && !load_acq(&gt_started) && !gt_in_vfork())
            store_rlx(&C.early, true);
        return REAL(timer_create)(clock, ev, out);
    }
    bool by_id = ev && ev->sigev_notify == SIGEV_THREAD_ID;
    struct gt_g *to = by_id ? gt_g_by_tid(ev->_sigev_un._tid) : NULL;
    struct gt_g *of = clock < 0 || clock == CLOCK_THREAD_CPUTIME_ID ? gt_cpu_clock_g(clock) : NULL;
    if (of && of != self)
        return (int)gt_ret(-ENOTSUP);
    return of ? create_cpu(self, ev, out, to) : create(clock, ev, out, to);
}

GT_EXPORT int timer_settime(timer_t t, int flags, const struct itimerspec *value,
                            struct itimerspec *old)
{
    struct gt_g *g = flags & TIMER_ABSTIME ? cpu_owner(t, false) : NULL;
    if (!g || (value->it_value.tv_sec == 0 && value->it_value.tv_nsec == 0) ||
        value->it_value.tv_nsec < 0 || value->it_value.tv_nsec >= GT_SEC)
        return REAL(timer_settime)(t, flags, value, old);
    struct gt_g *self = gt_sync_enter();
    int64_t ns = value->it_value.tv_sec * GT_SEC + value->it_value.tv_nsec - gt_cpu_ahead(g);
    gt_sync_leave(self);
    struct itimerspec moved = *value;
    ns = GT_MAX(ns, 1); /* 0 would stop it */
    moved.it_value = (struct timespec){.tv_sec = ns / GT_SEC, .tv_nsec = ns % GT_SEC};
    return REAL(timer_settime)(t, flags, &moved, old);
}

GT_EXPORT int timer_delete(timer_t t)
{
    if (load_acq(&gt_started) && (uintptr_t)t < INT32_MAX) /* else libc's own, of SIGEV_THREAD */
        gt_sig_timer((int)(intptr_t)t, 0, NULL);
    struct gt_g *g = cpu_owner(t, true);
    int r = REAL(timer_delete)(t);
    if (g && g == gt_self())
        cpu_let_go(g);
    return r;
}
