/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tracebacks for core/sched/dump.c: stacks walked by libunwind, names by the symbolizer, a helper
 * process.
 */
#ifndef GT_UNWIND_H
#define GT_UNWIND_H

/* Hooks both into core.  Allocates nothing. */
void gt_unwind_init(void);

#endif
