/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sysmon's sleep, which a signal of the process ends too (sigwatch.c has the model).
 */
#ifndef GT_SIGWATCH_H
#define GT_SIGWATCH_H

#include "core/sched/signal.h"

/* Before sysmon runs: makes the descriptors.  None to be had: sysmon takes its signals
 * as any thread does. */
void gt_sigwatch_init(void);
/* In a fork's child, before anything else there may open or close a descriptor. */
void gt_sigwatch_fork_child(void);
/* sysmon: from now on a signal of `set` that is pending and that no M takes is given to
 * gt_sig_fetch by gt_sysmon_sleep. */
void gt_sigwatch_set(gt_sigset set);
/* sysmon: sleeps until it is woken after `note` was read, or `when` (gt_nanotime), or a signal
 * comes. */
void gt_sysmon_sleep(uint32_t note, int64_t when);
/* Ends that sleep.  Any thread, async-signal-safe. */
void gt_sysmon_wake(void);
/* Is it one of the descriptors? */
bool gt_sigwatch_is_own(int fd);

#endif
