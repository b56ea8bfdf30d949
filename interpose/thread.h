/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files about threads, cancellation and processes share.
 */
#ifndef GT_INTERPOSE_THREAD_H
#define GT_INTERPOSE_THREAD_H

#include "interpose/interpose.h"

/* Threads of the program that have not ended, the first included.  The last one to end calls
 * exit(0). */
void gt_thread_born(void);
void gt_thread_unborn(void);
void gt_thread_fork_child(void);
/* Starts the scheduler if it can run here.  True when pthread_create makes goroutines. */
bool gt_thread_start(void);
/* The constructor: the calling thread is the process's first. */
void gt_thread_first(void);
/* The scheduler has just started: hooks core up. */
void gt_thread_started(void);
/* Ends the calling thread as pthread_exit's unwinding does at its end: destructors, then away. */
GT_NORETURN void gt_thread_finish(struct gt_g *g);
/* Ends the calling thread as the raw system call exit does: nothing of it is run; the last one ends
 * the process with `status`. */
GT_NORETURN void gt_thread_leave(struct gt_g *g, int status);
/* The goroutine, or the survivor of a fork that runs as a plain thread; NULL: libc's own thread. */
struct gt_g *gt_thread_self(void);
/* Was t a goroutine's, which has ended and been joined, or was detached?  Its block may be read: it
 * stays mapped in the pool of stacks, unless the program gave the stack. */
bool gt_thread_gone(pthread_t t);
/* Would a cancellation point act now? */
bool gt_cancel_wanted(const struct gt_g *g);
/* Switches cancellation off for a call that is no cancellation point; was it off already? */
bool gt_cancel_hold(struct gt_g *g);
void gt_cancel_unhold(struct gt_g *g);
/* futex(2), called by number.  g may be NULL.  A result or -errno. */
long gt_futex_call(struct gt_g *g, const long *a);
/* rt_sigaction and its like, called by number, with the kernel's types.  A result or -errno. */
long gt_raw_signal_call(struct gt_g *g, long nr, const long *a);
/* Runs fn(arg) with the thread pointer on the block that libc's list has for this kernel thread. */
long gt_on_listed(struct gt_g *g, long (*fn)(void *), void *arg);
/* Takes in what dlopen has loaded since the last time (TLS images, text ranges). */
void gt_dl_sync(void);
/* ---- goruntime.c ---- */
/* Looks for Go's runtime among what is loaded. */
void gt_go_scan(void);
/* Must the thread that the code at pc makes stay a kernel thread?  After a scan. */
bool gt_go_made(uintptr_t pc);
/* ---- ident.c ---- */
/* What a new goroutine inherits from its creator; NULL: a foreign thread. */
void gt_ident_inherit(struct gt_g *self, struct gt_newproc *np);
/* What attr says about scheduling instead.  0 or an error number of pthread_create. */
int gt_ident_attr(const pthread_attr_t *attr, struct gt_newproc *np);
/* Policy, priority and CPUs, for pthread_getattr_np.  0 or an error number. */
int gt_ident_fill_attr(struct gt_g *g, pthread_attr_t *attr);
/* A goroutine's syscall() that concerns its kernel thread: true, *r is the result, or -errno. */
bool gt_ident_syscall(struct gt_g *g, long nr, const long *a, long *r);
/* The scheduler has just started. */
void gt_ident_started(void);
/* ---- wired.c ---- */
/* The same for what wires, and for thread ids that are the caller's own. */
bool gt_wired_syscall(struct gt_g *g, long nr, const long *args, long *r);
/* The result of a call that gives this process a seccomp filter; has it had one so far? */
void gt_seccomp_set(long r);
bool gt_is_confined(void);
/* ---- clock.c ---- */
/* Is it the clock of the caller's own CPU time, which nobody can sleep on? */
bool gt_is_own_cpu_clock(clockid_t id);
/* The goroutine whose CPU time a clock counts; NULL: it is the kernel's. */
struct gt_g *gt_cpu_clock_g(clockid_t id);
/* timer.c: the scheduler has just started; a fork's child, which inherits no timers. */
void gt_timer_started(struct gt_g *g1);
void gt_timer_fork_child(void);
/* Its time, ns; -1: it has ended. */
int64_t gt_cpu_clock(struct gt_g *g);
/* A cleanup handler of the oldest form, in a buffer of the caller's: cancellation and pthread_exit
 * run it, also where the unwinder stops.  pop does not run it. */
void gt_cleanup_push(struct _pthread_cleanup_buffer *b, void (*routine)(void *), void *arg);
void gt_cleanup_pop(struct _pthread_cleanup_buffer *b);
/* libgcc_s's unwinder, loaded once. */
void *gt_libgcc(const char *name);

#endif
