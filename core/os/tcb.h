/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Thread blocks: the C library's per-thread memory (struct pthread and static TLS), one for each
 * goroutine. The only interface to what glibc keeps there; everybody else sees `void *tp`, the
 * value of the thread pointer, which is also the pthread_t.  A unit test links tcb_fake.c instead.
 */
#ifndef GT_TCB_H
#define GT_TCB_H

#include "core/base/atomic.h"
#include "core/base/base.h"

struct gt_tls;

/* Learns the layout.  Creates and joins two real threads (DESIGN.md, 4).  0, or -ENOSYS after one
 * line on stderr: an unexplained difference, a missing symbol. */
int gt_tcb_init(void);
/* Bytes of a block, alignment included: taken from the top of a stack. */
size_t gt_tcb_size(void);
/* Builds a block at the top of [lo, top); lo is the stack's lowest usable address.  The memory of
 * the block must be zero or an older block's.  Returns tp, or NULL: no memory for the DTV.  tid:
 * its thread id. */
void *gt_tcb_make(char *lo, char *top, int tid);
/* A new tenancy of a block made before: everything but libc's own caches is as new.  May be NULL as
 * above. */
void *gt_tcb_reset(void *tp, char *lo, char *top, int tid);
/* The block's memory is about to go: frees what hangs on it. */
void gt_tcb_drop(void *tp);
/* Lowest address of the block: where the stack begins (exclusive). */
char *gt_tcb_low(void *tp);

/* Run on the block itself, at the begin and at the end of a tenancy (PITFALLS 14). */
void gt_tcb_begin(void);
void gt_tcb_end(void);
/* At the end, for each robust word with priority inheritance that has waiters in the kernel: gives
 * it to the first.  Set by the interpose layer. */
extern void (*gt_tcb_bury_pi)(_Atomic uint32_t *word);

/* Thread id in the running thread's block, or in another's. */
int gt_tid_self(void);
int gt_tid_of(void *tp);
void gt_tid_set(void *tp, int tid);
/* Where a block keeps it: what the kernel clears when a plain thread is gone. */
int *gt_tid_word(void *tp);
/* Our thread-local variables in another block. */
struct gt_tls *gt_tls_of(void *tp);

/* Moves the kernel's registrations (rseq, robust list, clear-tid) of the calling thread, whose
 * block is `from`, to the block `to`. */
void gt_tcb_move_kernel(void *from, void *to);

/* The kernel is to look at this block's robust mutexes when the calling thread dies. */
void gt_tcb_register_robust(void *tp);

/* Block `to` takes the place of `from` in libc's list of threads; `from` is linked to itself.  Only
 * while the process has one thread (PITFALLS 2: signal 33 and fork then meet a block that nobody
 * else runs on). */
void gt_tcb_replace(void *from, void *to);

/* After a dlopen or dlclose: forgets modules that have gone and copies the images of new static-TLS
 * modules into every block that each() names. each(arg, f, farg) must call f(tp, farg) for all live
 * and pooled blocks. */
void gt_tcb_dlopen_fix(void (*each)(void (*f)(void *tp, void *farg), void *farg));
/* Around a dlopen: the caller's block is on libc's list meanwhile, so that the dynamic linker
 * itself fills in the static TLS of what it loads, before constructors run.  begin: false when it
 * is there already, or when libc's list is not known; else end must follow. */
bool gt_tcb_dlopen_begin(void *tp);
void gt_tcb_dlopen_end(void *tp);
/* Whether tp is there, which it then is no longer: setuid waits for every listed thread whose id
 * the kernel knows, and the first goroutine's block would not answer. */
bool gt_tcb_hide(void *tp);
void gt_tcb_show(void *tp);
/* In a fork's child: libc has made its list anew, and robust mutexes that are held are the
 * parent's.
 */
void gt_tcb_forget_list(void *tp);
/* Around a fork: the lock of the module table is free in the child. */
void gt_tcb_fork_lock(void);
void gt_tcb_fork_unlock(void);

/* Is the thread of this block inside a cancellation point of libc's own (which makes cancellation
 * asynchronous for as long as it waits), with cancellation not switched off by libc? */
bool gt_tcb_in_point(const void *tp);
void gt_tcb_leave_point(void *tp);
/* libc's chain of struct _pthread_cleanup_buffer: head; NULL: not known. */
void **gt_tcb_cleanups(void *tp);

#endif
