/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who a goroutine is to other processes, in a lock that they share and that remembers its owner.
 *
 * Our thread ids are only unique in one process, so two processes would take each other for the
 * owner (PITFALLS 9).  While a goroutine holds or tries such a lock it has an identity that is
 * unique on the machine: (pid, slot), above all thread ids of the kernel and of ours, and within
 * the 30 bits that the words of robust mutexes have.  The C library reads it as the tid in the
 * thread block, where it stands only during the call.
 */
#include "core/os/tcb.h"
#include "interpose/pobj.h"

#define NSLOTS    128
#define SLOT_BITS 7
#define ID_BASE   0x20000000

static struct {
    struct gt_lock lock;
    struct {
        struct gt_g *g;
        int pid, uses; /* locks that are held or tried; another process's pid: free */
    } slot[NSLOTS];    /* lock */
} ids;

/* Lock held.  The goroutine's slot, else a free one, or -1. */
static int find_slot(struct gt_g *g, int pid)
{
    int free = -1;
    for (int i = 0; i < NSLOTS; i++) {
        bool used = ids.slot[i].uses > 0 && ids.slot[i].pid == pid;
        if (used && ids.slot[i].g == g)
            return i;
        if (!used)
            free = i;
    }
    if (free >= 0) {
        ids.slot[free].g = g;
        ids.slot[free].pid = pid;
        ids.slot[free].uses = 0;
    }
    return free;
}

/* Changes the number of uses; the slot, or -1: none is free. */
static int use_slot(struct gt_g *g, int change)
{
    int pid = sys_getpid();
    gt_rt_enter(g);
    gt_lock(&ids.lock, GT_RANK_MAKER);
    int i = find_slot(g, pid);
    if (i >= 0)
        ids.slot[i].uses += change;
    gt_unlock(&ids.lock, GT_RANK_MAKER);
    gt_rt_leave(g);
    return i;
}

static bool is_unique(const struct gt_g *g)
{
    return g->tid == sys_getpid(); /* the process's first thread */
}

void gt_shared_begin(struct gt_g *g)
{
    int i;
    if (!g || is_unique(g))
        return;
    while ((i = use_slot(g, 1)) < 0)
        sched_yield();
    gt_tid_set(g->tp, ID_BASE | sys_getpid() << SLOT_BITS | i);
}

void gt_shared_end(struct gt_g *g, int uses)
{
    if (!g || is_unique(g))
        return;
    gt_tid_set(g->tp, g->tid);
    use_slot(g, uses - 1);
}

void gt_pshared_fork_child(void)
{
    gt_memset(&ids, 0, sizeof(ids));
}
