/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How many calls on regular files run at once: softly limited, so that goroutines which wait for a
 * disk are not as many kernel threads.  DESIGN.md 3.
 */
#ifndef GT_DISK_H
#define GT_DISK_H

#include "core/sched/sched.h"

#define GT_DISK_SLOTS 64

/* gt_syscall_blocking for a call that only a disk can hold up: waits for a slot first.  In a
 * runtime section. */
long gt_disk_syscall(struct gt_g *g, long nr, long a, long b, long c, long d, long e, long f);

/* Is system call nr one for seekable files only, whatever its descriptor?  Inline: sched.c asks
 * too, which is tested without this module. */
static inline bool gt_disk_call(long nr)
{
    switch (nr) {
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_preadv:
    case SYS_pwritev:
    case SYS_preadv2:
    case SYS_pwritev2:
    case SYS_fsync:
    case SYS_fdatasync:
        return true;
    }
    return false;
}

/* A slot, waited for as long as it takes (no signal ends it: it is a part of the call); and back.
 */
void gt_disk_begin(void);
void gt_disk_end(void);

/* Does somebody wait for a slot?  Then sysmon calls recheck every 10 ms, and does not sleep. */
bool gt_disk_waiting(void);
void gt_disk_recheck(void);

/* In a fork's child: nobody else is in a call. */
void gt_disk_fork_child(void);

#endif
