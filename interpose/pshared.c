/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Locks that the C library and the kernel handle by themselves: process-shared ones that remember
 * their owner, robust ones, and those with a priority protocol.
 *
 * Their words hold thread ids which other processes and the kernel compare, and ours are unique in
 * one process only (PITFALLS 9).  So a goroutine is wired while it holds or tries one, and during
 * the call its thread block says the kernel's id of its M, which is unique on the machine: the
 * kernel then finds the owner to lend a priority to, and the C library the thread whose policy to
 * change.  Before and after, the block says what gettid() says (PITFALLS 10).
 *
 * Robust locks are found by the kernel, when the process dies, through the list that is registered
 * for the M: that of the goroutine which is wired to it.  It stays registered afterwards: the
 * kernel skips words of others.
 */
#include <linux/futex.h>

#include "core/os/tcb.h"
#include "interpose/pobj.h"

/* What the first thread holds while it is alone: M0's id is its own, and so is the list. */
static _Atomic int early;

static void register_list(struct gt_g *g)
{
    struct gt_m *m = g->m;
    if (m->robust_tp == g->tp)
        return;
    gt_tcb_register_robust(g->tp);
    m->robust_tp = g->tp;
}

void gt_shared_begin(struct gt_g *g, enum gt_wire_why why)
{
    if (!g)
        return;
    gt_wire(g, why);
    register_list(g);
    g->shared_calls++; /* a handler in one may make others */
    gt_tid_set(g->tp, g->m->ktid);
}

void gt_shared_end(struct gt_g *g, int held)
{
    if (!g) {
        if (held && !load_acq(&gt_started) && !gt_in_vfork())
            add_rlx(&early, held);
        return;
    }
    if (--g->shared_calls == 0)
        gt_tid_set(g->tp, g->tid);
    for (int n = 1 - held; n > 0; n--)
        gt_unwire(g);
}

void gt_shared_started(struct gt_g *g1)
{
    int n = xchg_acqrel(&early, 0);
    for (; n > 0; n--) {
        gt_wire(g1, GT_W_MUTEX);
        register_list(g1);
    }
}

void gt_pshared_fork_child(void)
{
    store_rlx(&early, 0);
}

/* ---- robust mutexes with priority inheritance whose owner ends while others wait ----
 *
 * The owner's kernel thread goes on, so it must give the lock away itself; the kernel hands it to
 * the first waiter then and forgets that its owner has died.  Here it is remembered: who gets the
 * lock in this process looks. */

#define MAX_DIED 64
static _Atomic(void *) died[MAX_DIED]; /* words; CAS */
static _Atomic uint32_t ndied;

/* On the goroutine that ends.  False: no room. */
static bool note_died(void *word)
{
    for (int i = 0; i < MAX_DIED; i++) {
        void *none = NULL;
        if (!load_rlx(&died[i]) && cas_acqrel(&died[i], &none, word)) {
            add_acqrel(&ndied, 1);
            return true;
        }
    }
    return false;
}

bool gt_owner_died(void *word)
{
    if (likely(load_acq(&ndied) == 0))
        return false;
    for (int i = 0; i < MAX_DIED; i++) {
        void *w = word;
        if (load_rlx(&died[i]) == word && cas_acqrel(&died[i], &w, NULL)) {
            sub_acqrel(&ndied, 1);
            return true;
        }
    }
    return false;
}

void gt_bury_pi(_Atomic uint32_t *word)
{
    note_died((void *)word);
    sys_futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
}
