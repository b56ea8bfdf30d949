/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pending signals of a goroutine (sigq.c has the model).
 */
#ifndef GT_SIGQ_H
#define GT_SIGQ_H

#include "core/sched/sched_int.h"
#include "core/sched/signal.h"

struct gt_signode {
    struct gt_signode *next; /* owner of the list it is on */
    struct gt_g *to;         /* whom a kick is for; NULL: process-directed, not yet routed */
    uint32_t self;           /* its number, from 1; never changes */
    uint32_t next_free;      /* free list; read by losers of the race for it, so not a pointer */
    uint32_t epoch;          /* of the signal when it was made: gt_sigq_forget */
    uint16_t sig;            /* 0: only a kick */
    bool shared;             /* process-directed: goes to another when its taker can't */
    siginfo_t info;
    struct gt_sigact was; /* the action when the kernel gave it to us, to be run at once; or none */
};

/* A node for sig; info NULL: as tgkill sends it.  NULL: the limit (RLIMIT_SIGPENDING) or memory.
 * Async-signal-safe, any thread. */
struct gt_signode *gt_signode_get(int sig, const siginfo_t *info);
void gt_signode_put(struct gt_signode *n);
void gt_signode_push(_Atomic(struct gt_signode *) *list, struct gt_signode *n);
/* Takes a list whole, oldest first. */
struct gt_signode *gt_signode_list(_Atomic(struct gt_signode *) *list);

/* Adds n to g's pending ones; a standard signal that is pending already is dropped.  Any thread,
 * async-signal-safe.  The caller sets attention and kicks. */
void gt_sigq_add(struct gt_g *g, struct gt_signode *n);
/* Owner: takes the next one out of `set`, in the kernel's order; NULL: none. */
struct gt_signode *gt_sigq_take(struct gt_g *g, gt_sigset set);
/* Owner: takes a process-directed one out of `set`. */
struct gt_signode *gt_sigq_take_shared(struct gt_g *g, gt_sigset set);
/* Owner: process-directed signals that may be in the queue. */
gt_sigset gt_sigq_shared(struct gt_g *g);
/* Owner: what is pending. */
gt_sigset gt_sigq_set(struct gt_g *g);
/* All that is pending of sig, on every goroutine, is void: its action has become "ignore". */
void gt_sigq_forget(int sig);
/* In a fork's child, which has one goroutine: nothing is pending. */
void gt_sigq_fork_child(struct gt_g *g);

#endif
