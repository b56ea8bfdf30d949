/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files about processes share: the two halves of a fork around any way to do it.
 */
#ifndef GT_INTERPOSE_SPAWN_H
#define GT_INTERPOSE_SPAWN_H

#include "interpose/interpose.h"

/* Around a fork: begin takes every lock of the runtime and of the heap, end gives them back; in the
 * child only the caller is left, as a plain thread. */
struct gt_mcache;
struct gt_fork {
    struct gt_g *g; /* the caller; NULL: off a goroutine */
    bool started;   /* the scheduler runs */
    bool alone;     /* the only thread, maybe a handler in the middle of malloc or fork: no locks */
    struct gt_mcache *mcache;
};
struct gt_fork gt_fork_begin(void);
void gt_fork_end(struct gt_fork f, bool child);
/* A system call that makes a process with memory of its own.  The pid, 0 in the child, or -errno.
 */
long gt_fork_syscall(long nr, const long *a);

/* Before and after a child that shares our memory while its parent waits: see fork.c. */
struct gt_g *gt_vfork_enter(void);
void gt_vfork_exit(struct gt_g *g);

#endif
