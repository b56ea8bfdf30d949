/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Services of the kernel that are more than one call: futex waits, clocks, kernel threads.
 * Everything here may run on any stack; nothing allocates.
 */
#ifndef GT_OS_H
#define GT_OS_H

#include <time.h>

#include "core/base/atomic.h"
#include "core/base/base.h"

/* Sleeps while *word == val, until woken or the deadline (GT_NEVER, GT_REALTIME: base.h).
 * Returns 0 (woken, or spuriously), -EAGAIN (word differed), -ETIMEDOUT, -EINTR.
 * Source: futex(2), FUTEX_WAIT_BITSET takes an absolute time. */
int gt_futex_wait(const _Atomic uint32_t *word, uint32_t val, int64_t when);
/* Wakes up to n sleepers.  The word may have been unmapped: only the address is used. */
int gt_futex_wake(const _Atomic uint32_t *word, int n);

/* Monotonic nanoseconds, through the vDSO (resolved at boot; before that by system call). */
int64_t gt_nanotime(void);
void gt_clock_init(void);
/* clock_gettime through the vDSO, before gt_clock_init by system call.  0 or -errno. */
extern int (*gt_vdso_gettime)(clockid_t, struct timespec *);
/* A deadline in monotonic ns, as the clocks stand now. */
int64_t gt_deadline_ns(int64_t when);

/* CPUs in the affinity mask, limited by the cgroup quota (rounded up), at least 1. */
int gt_ncpu(void);

/* Starts a kernel thread with all signals blocked, detached, that runs fn(arg) for ever.  Uses
 * the C library's own pthread_create, so the thread has an ordinary thread block and is known to
 * libc's thread list.  stack: bytes.  Returns 0 or -errno.  Takes locks of the C library: only
 * the thread maker and the boot call it (DESIGN.md, 3). */
int gt_kthread_start(void *(*fn)(void *), void *arg, size_t stack);

/* State letter of a kernel thread of this process from /proc (R S D T Z ...), or 0. */
char gt_kthread_state(int tid);
/* What is pending for one kernel thread of this process alone (SigPnd); 0 also without /proc. */
uint64_t gt_kthread_pending(int tid);

#endif
