/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files for pthread, semaphore and C11 objects share.
 *
 * Calls on private objects run our algorithm on any thread (DESIGN.md, 7).  Process-shared ones
 * keep the C library's protocol: its own function, announced when it may block.
 */
#ifndef GT_POBJ_H
#define GT_POBJ_H

#include "core/sched/sync.h"
#include "core/sched/wire.h"
#include "interpose/interpose.h"

/* Thread id in the calling thread's block (core/os/tcb.c). */
extern int gt_tid_self(void);
/* A second exported name. */
#define GT_ALIAS(name, of)                                                                         \
    extern __typeof__(of) name __attribute__((alias(#of), copy(of), visibility("default")))

/* Who owns a lock: never changes in the life of a goroutine. */
static inline int gt_owner_self(void)
{
    struct gt_g *g = gt_self();
    return likely(g != NULL) ? g->tid : gt_tid_self();
}

/* Before a cancellation point does anything.  g may be NULL. */
static inline void gt_cancel_point(struct gt_g *g)
{
    if (g && unlikely(gt_cancel_due(g)))
        gt_testcancel(g);
}

/* A call of the C library that blocks in the kernel, announced when on a goroutine. */
#define GT_ANNOUNCED(call)                                                                         \
    ({                                                                                             \
        struct gt_g *ann_ = gt_sync_enter();                                                       \
        if (ann_)                                                                                  \
            gt_entersyscallblock(ann_);                                                            \
        __typeof__(call) ret_ = (call);                                                            \
        if (ann_) {                                                                                \
            gt_exitsyscall(ann_);                                                                  \
            gt_sig_catch_up(ann_, true);                                                           \
        }                                                                                          \
        gt_sync_leave(ann_);                                                                       \
        ret_;                                                                                      \
    })

/* The same outside any runtime section: handlers run at once while it waits. */
#define GT_ANNOUNCED_OPEN(call)                                                                    \
    ({                                                                                             \
        struct gt_g *open_ = gt_self();                                                            \
        __typeof__(call) open_ret_;                                                                \
        if (open_)                                                                                 \
            GT_REAL_ANNOUNCED(open_, open_ret_, call);                                             \
        else                                                                                       \
            open_ret_ = (call);                                                                    \
        open_ret_;                                                                                 \
    })

static inline bool gt_clock_ok(int clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}

/* abs NULL: never.  0 or EINVAL. */
static inline int gt_until(int clock, const struct timespec *abs, int64_t *when)
{
    *when = GT_NEVER;
    return !abs || gt_deadline(clock, abs, when) ? 0 : EINVAL;
}

/* ---- pshared.c ---- */
/* Around the C library's functions for locks whose word the kernel or other processes read: wires
 * the calling goroutine and gives it the kernel's thread id.  g may be NULL.  held: by how much
 * the number of such locks that it holds has changed: 1, 0 or -1. */
void gt_shared_begin(struct gt_g *g, enum gt_wire_why why);
void gt_shared_end(struct gt_g *g, int held);
/* The same as a variable that ends itself: a handler, which runs in the call, may leave it by
 * cancellation or pthread_exit. */
struct gt_shared {
    struct gt_g *g;
    int held;
};
static inline void gt_shared_leave(struct gt_shared *s)
{
    gt_shared_end(s->g, s->held);
}
#define GT_SHARED(name, on, why)                                                                   \
    struct gt_shared name __attribute__((cleanup(gt_shared_leave))) = {.g = (on)};                 \
    gt_shared_begin(name.g, why)
/* The scheduler has just started: the first goroutine is wired for what it holds already. */
void gt_shared_started(struct gt_g *g1);
void gt_pshared_fork_child(void);
/* A goroutine ends that holds a robust mutex with priority inheritance, and the kernel has waiters:
 * gives it to the first. */
void gt_bury_pi(_Atomic uint32_t *word);
/* Who has just locked one got it so: true, once. */
bool gt_owner_died(void *word);

/* ---- mutex.c, for condition variables ---- */
/* The lock word, when a waiter may be moved to its queue; NULL: not. */
_Atomic uint32_t *gt_pm_word(pthread_mutex_t *m);
/* Would unlock fail?  0 or the error number. */
int gt_pm_may_unlock(pthread_mutex_t *m);
/* Unlocks; the mutex keeps counting us as a user. */
int gt_pm_wait_unlock(pthread_mutex_t *m);
/* Locks again, in the runtime section g; handed: the word is ours already. */
int gt_pm_wait_lock(pthread_mutex_t *m, struct gt_g *g, bool handed);

/* In a fork child: the other goroutines are gone. */
void gt_futex_fork_child(void);
/* sysmon, every 10 ms: wakes parked futex waiters whose word has changed (PITFALLS 20). */
void gt_futex_recheck(void);

#endif
