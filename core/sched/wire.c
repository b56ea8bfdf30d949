/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Wired goroutines: what only a kernel thread can have.   Source: Go's LockOSThread (stoplockedm,
 * startlockedm in proc.go).
 *
 * A goroutine that holds such a thing is wired to the M that it runs on: it runs nowhere else, and
 * the M runs nobody else.  It needs a P like all others.
 *
 *     G free, M free --gt_wire, gt_wire_set: g->wiredm = m, m->wiredg = g--> wired (n uses, set)
 *     M new, G made by a wired one that has what clone hands on (GT_W_HANDED_ON) --gt_wire_heir:
 *         M is cloned from that one's, and starts in gt_wire_stop--> wired
 *     wired --gt_unwire, gt_wire_clear: no use and no bit left--> both free
 *     wired --exit--> M free, set back to gt_kattr_default;  or SPOILED: asleep for ever
 *
 *     wired, G:    RUN -------park, yield-----> PARK, READY in a queue
 *            M:    runs G     hands its P on    asleep on its note, on no idle list (gt_wire_stop)
 *                  ^                                |
 *                  |   M2 dequeues G: M2's P is m->nextp, the note is set (gt_wire_start)
 *                  +--------------------------------+      M2 goes to rest without a P
 *
 * The pair is written by G on M only, or before both exist for others, so neither needs a lock:
 * whoever dequeues G got it from a queue that G was put on later.  A note that is set before M
 * sleeps is found.
 *
 * The number of Ms is not bounded: n wired goroutines have n Ms, as they would without us.
 * Attributes that the kernel can undo (policy, affinity, nice, ioprio) are undone when the
 * goroutine ends; an M with anything else (namespaces, credentials, seccomp) is spoiled.  It does
 * not exit, because signals and io_uring requests may hang on it (PITFALLS 12).
 *
 * Rejected: to change the M's attributes at each switch (two system calls and perhaps a migration a
 * switch); to apply them from afar (the target may leave its M at that moment): gt_wire_ask.
 */
#include "core/sched/wire.h"

#include <linux/ioprio.h>
#include <sched.h>
#include <sys/resource.h>

#include "core/sched/sched_int.h"

_Atomic uint64_t gt_wire_count[GT_W_COUNT];
struct gt_kattr gt_kattr_default;
void (*gt_wire_hook)(struct gt_g *g);

/* ---- attributes of the kernel thread ---- */

void gt_kattr_read(struct gt_kattr *a)
{
    struct sched_param sp = {0};
    gt_memset(a, 0, sizeof(*a));
    int policy = (int)GT_SYS3(SYS_sched_getscheduler, 0, 0, 0);
    a->policy = policy < 0 ? SCHED_OTHER : policy & ~SCHED_RESET_ON_FORK;
    GT_SYS3(SYS_sched_getparam, 0, &sp, 0);
    a->priority = sp.sched_priority;
    a->nice =
        20 - (int)GT_SYS3(SYS_getpriority, PRIO_PROCESS, 0, 0); /* the kernel says 20 - nice */
    a->ioprio = (int)GT_SYS3(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0, 0);
    GT_SYS3(SYS_sched_getaffinity, 0, sizeof(a->cpus), a->cpus);
}

/* Sets the calling kernel thread back.  False: the kernel refused something. */
static bool set_back(uint32_t bits)
{
    const struct gt_kattr *d = &gt_kattr_default;
    struct sched_param sp = {.sched_priority = d->priority};
    long r = 0;
    if (bits & (1u << GT_W_POLICY | 1u << GT_W_MUTEX)) /* a mutex may have lent its ceiling */
        r |= GT_SYS3(SYS_sched_setscheduler, 0, d->policy, &sp);
    if (bits & 1u << GT_W_AFFINITY)
        r |= GT_SYS3(SYS_sched_setaffinity, 0, sizeof(d->cpus), d->cpus);
    if (bits & 1u << GT_W_NICE)
        r |= GT_SYS3(SYS_setpriority, PRIO_PROCESS, 0, d->nice);
    if (bits & 1u << GT_W_IOPRIO)
        r |= GT_SYS3(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, d->ioprio);
    return r == 0 && !(bits & ~(GT_W_UNDOABLE | 1u << GT_W_MUTEX));
}

/* ---- on the goroutine ---- */

static void join_m(struct gt_g *g, enum gt_wire_why why)
{
    if (g->wires <= 1) /* not for each lock that it takes while it holds one */
        add_rlx(&gt_wire_count[why], 1);
    if (g->wiredm)
        return;
    g->wiredm = g->m;
    g->m->wiredg = g;
}

static void leave_m(struct gt_g *g)
{
    if (g->wires || g->wire_set || !g->wiredm)
        return;
    g->wiredm->wiredg = NULL;
    g->wiredm = NULL;
}

void gt_wire(struct gt_g *g, enum gt_wire_why why)
{
    gt_rt_enter(g);
    g->wires++;
    join_m(g, why);
    gt_rt_leave(g);
}

void gt_unwire(struct gt_g *g)
{
    gt_rt_enter(g);
    if (g->wires) /* 0: the lock was taken before a fork, by another */
        g->wires--;
    leave_m(g);
    gt_rt_leave(g);
}

void gt_wire_set(struct gt_g *g, enum gt_wire_why why)
{
    gt_rt_enter(g);
    if (!gt_wire_is_set(g, why)) {
        g->wire_set |= 1u << why;
        join_m(g, why);
    }
    gt_rt_leave(g);
}

void gt_wire_clear(struct gt_g *g, enum gt_wire_why why)
{
    gt_rt_enter(g);
    g->wire_set &= ~(1u << why);
    leave_m(g);
    gt_rt_leave(g);
}

static void count_set(const struct gt_g *g, uint64_t by)
{
    for (int i = 0; i < GT_W_COUNT; i++)
        if (g->wire_set >> i & 1)
            add_rlx(&gt_wire_count[i], by);
}

void gt_wire_heir(struct gt_g *g, struct gt_m *m, const struct gt_g *by)
{
    g->wire_set = by->wire_set & GT_W_HANDED_ON;
    g->wiredm = m;
    m->wiredg = g;
    count_set(g, 1);
}

void gt_wire_no_heir(struct gt_g *g, struct gt_m *m)
{
    count_set(g, (uint64_t)-1);
    g->wire_set = 0;
    g->wiredm = NULL;
    m->wiredg = NULL;
}

void gt_wire_exit(struct gt_g *g)
{
    struct gt_m *m = g->wiredm;
    if (!m)
        return;
    m->spoiled = !set_back(g->wire_set | (g->wires ? 1u << GT_W_MUTEX : 0));
    g->wires = g->wire_set = 0;
    leave_m(g);
}

void gt_wire_ask(struct gt_g *g)
{
    or_acqrel(&g->attention, GT_ATT_WIRE);
    fence_seq(); /* pairs with gt_rt_leave: it looks at attention before in_rt is 0 again */
    struct gt_m *m = g->m;
    /* who sleeps in the kernel looks when it enters the runtime; a signal would be an EINTR to it
     */
    if (m && load_acq(&m->curg) == g && load_rlx(&g->in_rt) == 0 &&
        gt_kthread_state(m->ktid) == 'R')
        gt_send_preempt(m);
}

/* ---- on g0 ---- */

void gt_wire_start(struct gt_m *m, struct gt_g *g)
{
    struct gt_m *to = g->wiredm;
    gt_assert(to != m && to->wiredg == g);
    to->nextp = gt_releasep(m);
    gt_note_wake(to);
}

struct gt_g *gt_wire_stop(struct gt_m *m)
{
    if (m->p)
        gt_handoffp(gt_releasep(m));
    m->cpu_idle = true;
    gt_m_setmask(m, GT_SIG_QUIET);
    do
        gt_note_sleep(m);
    while (m->spoiled);
    gt_acquirep(m, m->nextp);
    m->nextp = NULL;
    return m->wiredg;
}
