/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The contract that every port fulfils.  A port is finished when core/arch/<cpu>/ holds ctx.h,
 * switch.S, syscall.h, sigframe.c and each name below works as described.
 *
 * Rules for all of them: no libc call, no TLS access, errno untouched.
 */
#ifndef GT_ARCH_H
#define GT_ARCH_H

#include "core/base/base.h"
#include "core/arch/x86_64/ctx.h"
#include "core/arch/x86_64/syscall.h"

/* Saves the running context in *save, makes *load the running one: stack, callee-saved registers
 * and the thread pointer change together.  Returns when somebody loads *save again, perhaps on
 * another kernel thread.  Opaque assembly: the compiler may cache nothing of TLS across it. */
void gt_arch_switch(struct gt_ctx *save, struct gt_ctx *load);

/* Prepares ctx so that the first load calls entry() on the stack that ends at top (exclusive,
 * 16-byte aligned down), with thread pointer tp.  entry must not return.  The outermost frame
 * carries CFI that ends a backtrace. */
void gt_arch_ctx_init(struct gt_ctx *ctx, void *top, void *tp, void (*entry)(void));

/* The CPU's thread pointer. */
void *gt_arch_get_tp(void);
void gt_arch_set_tp(void *tp);
/* Chooses the fast instruction when the kernel allows it.  Called once, before the others. */
void gt_arch_tp_init(bool fsgsbase);

/* A raw system call that a signal can stop without a lost wake-up: returns -EINTR, without
 * entering the kernel, when *flag is not 0 at the entry; and gt_arch_syscall_abort() below, called
 * by a signal handler with the interrupted context, makes it return -EINTR when the interrupted
 * instruction lies between the test of the flag and the kernel.   Source: the cancellable system
 * calls of musl, the idea only. */
long gt_arch_syscall_intr(const void *flag, long nr, long a, long b, long c, long d, long e,
                          long f);
/* uc: the interrupted context (ucontext_t).  True when it lay in gt_arch_syscall_intr before the
 * system call was made, which is now left. */
bool gt_arch_syscall_abort(void *uc);

/* Copies n bytes where either side may be an address that the program got wrong: false, when it
 * faults.  Only on a goroutine.  The fault's handler calls gt_arch_copy_fault() with the
 * interrupted context: true when it was this copy, which is now left. */
bool gt_arch_copy_user(void *dst, const void *src, size_t n);
bool gt_arch_copy_fault(void *uc);

/* The interrupted instruction and stack pointer. */
uintptr_t gt_arch_uc_pc(const void *uc);
uintptr_t gt_arch_uc_sp(const void *uc);
/* The general registers, the stack pointer with them.  Stores them to seen; how many of them were
 * others there, and, *saved, how many of those that a call preserves. */
#define GT_ARCH_NREGS 16
unsigned gt_arch_uc_changed(const void *uc, uintptr_t seen[GT_ARCH_NREGS], unsigned *saved);
/* Does the code around pc hold the instruction by which a loop tells the CPU that it spins?  Only
 * on a goroutine; false where the text cannot be read. */
bool gt_arch_spins_at(uintptr_t pc);

/* Arranges that the interrupted context continues with a call of gt_sigentry_<what>: copies the
 * kernel's frame (uc, with its extended state) below sp (sp = stack to use, already beyond the red
 * zone), and changes uc to run fn(frame) there.  When fn returns, the copied frame is restored by
 * rt_sigreturn.  si may be NULL.  Returns the copy. */
struct gt_sigframe;
struct gt_sigframe *gt_arch_inject(void *uc, const void *si, uintptr_t sp,
                                   void (*fn)(struct gt_sigframe *));
/* Bytes that gt_arch_inject needs below sp for this context. */
size_t gt_arch_inject_size(const void *uc);
/* The ucontext_t and siginfo_t in a frame. */
void *gt_arch_frame_uc(struct gt_sigframe *);
void *gt_arch_frame_si(struct gt_sigframe *);

/* Saves the caller's registers as a ucontext_t (general registers and floating-point control; no
 * extended state), for a handler that is called without the kernel. */
void gt_arch_getcontext(void *uc);

/* pause / yield instruction. */
#define gt_arch_relax() __builtin_ia32_pause()
/* A cheap cycle counter, only for randomness and spinning bounds. */
static inline uint64_t gt_arch_cycles(void)
{
    return __builtin_ia32_rdtsc();
}

#endif
