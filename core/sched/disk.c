/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The soft cap on calls that wait for a disk.  Such a call cannot park: it takes a kernel thread
 * for as long as it lasts, and a thousand goroutines in fsync would be a thousand kernel threads.
 * GT_DISK_SLOTS of them run, the others queue.
 *
 * A hard cap would be a bound on Ms, which deadlocks: the file may be served by a goroutine of the
 * same process that waits in this queue (FUSE, userfaultfd; PITFALLS 15).  So, when somebody waits
 * and no call has ended for 10 ms, sysmon lends one slot more; the next call that ends pays it
 * back.
 *
 *              begin: free--                  end: lent--, or free++
 *     free  ----------------->  in a call  ----------------------------> free
 *       ^      sysmon: lent++, free++ while calls stand still
 *
 * No wake-up is lost: end adds the slot before it reads `waiting`, begin counts itself in `waiting`
 * before it tries again under the bucket's lock, and wakers take that lock.
 */
#include "core/sched/disk.h"

#include "core/sched/sched_int.h"
#include "core/sched/sema.h"

static struct {
    _Atomic int32_t free;     /* slots; seq_cst in end, pairs with waiting in begin */
    _Atomic uint32_t waiting; /* goroutines in the queue, or about to be; see free */
    _Atomic uint32_t ended;   /* calls that ended while somebody waited; sysmon compares */
    _Atomic int32_t lent;     /* slots that sysmon has added and end has not taken back */
} D = {.free = GT_DISK_SLOTS};

/* Takes one of *n if there is one. */
static bool take(_Atomic int32_t *n)
{
    int32_t v = load_seq(n);
    while (v > 0)
        if (cas_acqrel(n, &v, v - 1))
            return true;
    return false;
}

static void wait_slot(void)
{
    struct gt_waiter w = {0};
    add_seq(&D.waiting, 1);
    for (;;) {
        struct gt_bucket *b = gt_sema_lock(&D.free);
        if (take(&D.free)) {
            gt_sema_unlock(b);
            break;
        }
        gt_sema_enqueue(b, &w, &D.free, false);
        gt_sema_unlock(b);
        gt_sema_park(&w, GT_R_DISK, GT_NEVER, 0);
    }
    sub_acqrel(&D.waiting, 1);
}

void gt_disk_begin(void)
{
    if (unlikely(!take(&D.free)))
        wait_slot();
}

void gt_disk_end(void)
{
    if (unlikely(load_seq(&D.waiting)))
        add_acqrel(&D.ended, 1);
    if (unlikely(load_rlx(&D.lent) > 0) && take(&D.lent))
        return;
    add_seq(&D.free, 1);
    if (unlikely(load_seq(&D.waiting)))
        gt_sema_wake(&D.free, 1);
}

bool gt_disk_waiting(void)
{
    return load_seq(&D.waiting) != 0;
}

void gt_disk_recheck(void)
{
    static uint32_t seen;
    uint32_t ended = load_acq(&D.ended);
    if (gt_disk_waiting() && ended == seen) {
        add_acqrel(&D.lent, 1);
        add_seq(&D.free, 1);
        gt_sema_wake(&D.free, 1);
    }
    seen = ended;
}

void gt_disk_fork_child(void)
{
    store_rlx(&D.free, GT_DISK_SLOTS);
    store_rlx(&D.waiting, 0);
    store_rlx(&D.lent, 0);
}

long gt_disk_syscall(struct gt_g *g, long nr, long a, long b, long c, long d, long e, long f)
{
    gt_disk_begin();
    long r = gt_syscall_blocking(g, nr, a, b, c, d, e, f);
    gt_disk_end();
    return r;
}
