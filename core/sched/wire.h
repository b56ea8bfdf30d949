/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Goroutines that own a kernel thread.  See wire.c.
 */
#ifndef GT_WIRE_H
#define GT_WIRE_H

#include "core/sched/types.h"

/* Why a goroutine is wired: wired.NAME in --stats.  X(id, name) */
#define GT_WIRE_REASONS(X)                                                                         \
    X(MUTEX, mutex)   /* holds a process-shared, robust or priority mutex */                       \
    X(RWLOCK, rwlock) /* holds a process-shared reader-writer lock */                              \
    X(POLICY, policy) /* a scheduling policy or priority that is not the process's */              \
    X(AFFINITY, affinity)                                                                          \
    X(NICE, nice)                                                                                  \
    X(IOPRIO, ioprio)                                                                              \
    X(TIMER, timer) /* a timer that the kernel counts on its thread, or sends to it */             \
    X(CREDENTIALS, credentials)                                                                    \
    X(NAMESPACE, namespace)                                                                        \
    X(FORK, fork) /* holds the C library's lock of streams while it forks */                       \
    X(PRCTL, prctl)                                                                                \
    X(SECCOMP, seccomp) /* a filter of its own, or no_new_privs */                                 \
    X(OTHER, other)     /* ptrace, perf_event_open, NUMA policy, a robust list, PDEATHSIG */
enum gt_wire_why {
#define X(id, name) GT_W_##id,
    GT_WIRE_REASONS(X)
#undef X
        GT_W_COUNT
};
extern _Atomic uint64_t gt_wire_count[GT_W_COUNT];

/* What a kernel thread has of its own and can be set back. */
struct gt_kattr {
    int policy, priority, nice, ioprio;
    uint64_t cpus[16];
};
/* What every M has that runs unwired goroutines: the process's at the start. */
extern struct gt_kattr gt_kattr_default;
/* Reads the calling thread's. */
void gt_kattr_read(struct gt_kattr *a);

/* Wires the calling goroutine to the M it is on, until as many calls of gt_unwire.  In or out of a
 * runtime section; does not block. */
void gt_wire(struct gt_g *g, enum gt_wire_why why);
void gt_unwire(struct gt_g *g);
/* The same for a state that is there or not: not counted, no effect when it is so already. */
void gt_wire_set(struct gt_g *g, enum gt_wire_why why);
void gt_wire_clear(struct gt_g *g, enum gt_wire_why why);
static inline bool gt_wire_is_set(const struct gt_g *g, enum gt_wire_why why)
{
    return g->wire_set >> why & 1;
}
/* The goroutine ends, in a runtime section: its M gets back what all have, or is never used again.
 */
void gt_wire_exit(struct gt_g *g);

/* What the kernel's clone hands on to a new thread and no other kernel thread has. */
#define GT_W_HANDED_ON                                                                             \
    (1u << GT_W_CREDENTIALS | 1u << GT_W_NAMESPACE | 1u << GT_W_PRCTL | 1u << GT_W_SECCOMP)
/* What the kernel can undo. */
#define GT_W_UNDOABLE                                                                              \
    (1u << GT_W_POLICY | 1u << GT_W_AFFINITY | 1u << GT_W_NICE | 1u << GT_W_IOPRIO)
/* g, which has not run, is wired to m, whose kernel thread is about to be cloned from by's. */
void gt_wire_heir(struct gt_g *g, struct gt_m *m, const struct gt_g *by);
/* ... and could not be. */
void gt_wire_no_heir(struct gt_g *g, struct gt_m *m);

/* Another thread wants the goroutine to take over what it has written into g->want: gt_wire_hook
 * runs on it as soon as it looks. */
void gt_wire_ask(struct gt_g *g);
extern void (*gt_wire_hook)(struct gt_g *g);

/* ---- for sched.c, on g0 ---- */
/* M has dequeued g, which is wired to another: that one gets the P. */
void gt_wire_start(struct gt_m *m, struct gt_g *g);
/* M's goroutine does not run: gives the P away and sleeps until it does.  Returns it; NULL: the M
 * is free again. */
struct gt_g *gt_wire_stop(struct gt_m *m);

#endif
