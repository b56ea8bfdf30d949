/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tracebacks of goroutines, as Go prints them, to fd 2.  Neither allocates nor takes a lock.
 */
#ifndef GT_DUMP_H
#define GT_DUMP_H

#include "core/sched/sched.h"

/* A fatal signal: one line, goroutines as GOTRACEBACK says, then the default action is armed: when
 * the handler returns the process dies as it would have.  uc: the interrupted context. */
void gt_dump_crash(int sig, const siginfo_t *si, void *uc);

/* The caller's stack; and program counters that gt_unwind has found: names, or numbers. */
void gt_traceback_here(void);
void gt_traceback_pcs(const uintptr_t *pcs, int n);

/* Walks a stack from a saved context (pc, sp, callee-saved registers): fills pcs, returns how many.
 * Set by the boot code (libunwind); NULL: only the first pc is printed. */
extern int (*gt_unwind)(const void *uc, uintptr_t *pcs, int max);
/* Names for n PCs (the first as it is, the others return addresses): lines of text into out.
 * Returns its length, 0: no names.  Set by the boot code; may be NULL. */
extern int (*gt_symbolize)(const uintptr_t *pcs, int n, char *out, size_t size);

#endif
