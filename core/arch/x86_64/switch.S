/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Context switch, thread pointer, first frame of a goroutine, interruptible system call, and the
 * return from an injected call.  x86-64, System V ABI (AMD64 supplement 3.2.1: rbx rbp r12-r15, MXCSR
 * control bits and the x87 control word belong to the caller).
 */
#define __ASSEMBLER__ 1
#include "core/arch/x86_64/ctx.h"

#define SYS_rt_sigreturn 15
#define SYS_arch_prctl   158
#define ARCH_SET_FS      0x1002
#define ARCH_GET_FS      0x1003

        .section .note.GNU-stack,"",@progbits
        .text

#define FUNC(name)  .globl name; .hidden name; .type name,@function; .p2align 4; name:
#define END(name)   .size name, .-name

/* void gt_arch_switch(struct gt_ctx *save, struct gt_ctx *load)
 * in:    rdi = save (running), rsi = load (parked)    out: returns to load's caller on load's stack
 * keeps: rbx rbp r12-r15, MXCSR, x87 CW; the call itself makes all else dead
 * frame at CTX_SP, low to high: r15 r14 r13 r12 rbx rbp rip
 * Left by pop+jmp, not ret: the return predictor holds the other goroutine's callers. */
FUNC(gt_arch_switch)
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        stmxcsr CTX_FPU(%rdi)
        fnstcw  CTX_FPU+4(%rdi)
        movq    %rsp, CTX_SP(%rdi)      /* from here save may be resumed */
        movq    CTX_SP(%rsi), %rsp      /* on load's stack from here on */
        movq    CTX_TP(%rsi), %rdx
        cmpb    $0, gt_arch_fast_tp(%rip)
        je      2f
        wrfsbase %rdx                   /* and with load's thread pointer */
1:      ldmxcsr CTX_FPU(%rsi)
        fldcw   CTX_FPU+4(%rsi)
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        .cfi_restore %r15
        .cfi_restore %r14
        .cfi_restore %r13
        .cfi_restore %r12
        .cfi_restore %rbx
        .cfi_restore %rbp
        popq    %rcx
        .cfi_def_cfa %rsp, 0
        .cfi_register %rip, %rcx
        jmp     *%rcx
2:      movq    %rsi, %rbx              /* rbx is reloaded from load's frame below */
        movl    $ARCH_SET_FS, %edi
        movq    %rdx, %rsi
        movl    $SYS_arch_prctl, %eax
        syscall
        movq    %rbx, %rsi
        jmp     1b
        .cfi_endproc
END(gt_arch_switch)

/* The first frame: r12 = entry(), which never returns.  No caller: rip is undefined. */
FUNC(gt_arch_entry)
        .cfi_startproc
        .cfi_undefined %rip
        xorl    %ebp, %ebp
        callq   *%r12
        ud2
        .cfi_endproc
END(gt_arch_entry)

/* void *gt_arch_get_tp(void) */
FUNC(gt_arch_get_tp)
        .cfi_startproc
        endbr64
        movq    %fs:0x10, %rax          /* tcbhead_t.self: the block knows its address */
        ret
        .cfi_endproc
END(gt_arch_get_tp)

/* void gt_arch_set_tp(void *tp) */
FUNC(gt_arch_set_tp)
        .cfi_startproc
        endbr64
        cmpb    $0, gt_arch_fast_tp(%rip)
        je      1f
        wrfsbase %rdi
        ret
1:      movq    %rdi, %rsi
        movl    $ARCH_SET_FS, %edi
        movl    $SYS_arch_prctl, %eax
        syscall
        ret
        .cfi_endproc
END(gt_arch_set_tp)

/* long gt_arch_syscall_intr(const void *flag, long nr, a, b, c, d, e, f)
 * in: rdi = flag, rsi = nr, rdx a, rcx b, r8 c, r9 d, stack e f.  Bits 2 and 4 of *flag: leave. */
FUNC(gt_arch_syscall_intr)
        .cfi_startproc
        endbr64
        movq    %rdi, %r11
        movq    %rsi, %rax
        movq    %rdx, %rdi
        movq    %rcx, %rsi
        movq    %r8, %rdx
        movq    %r9, %r10
        movq    8(%rsp), %r8
        movq    16(%rsp), %r9
        .globl  gt_arch_sysintr_begin
        .hidden gt_arch_sysintr_begin
gt_arch_sysintr_begin:
        testl   $6, (%r11)
        jne     gt_arch_sysintr_abort
        syscall
        .globl  gt_arch_sysintr_end
        .hidden gt_arch_sysintr_end
gt_arch_sysintr_end:
        ret
        .globl  gt_arch_sysintr_abort
        .hidden gt_arch_sysintr_abort
gt_arch_sysintr_abort:
        movq    $-4, %rax               /* -EINTR */
        ret
        .cfi_endproc
END(gt_arch_syscall_intr)

/* Where an injected function returns to, and a handler that the kernel called (gt_arch_restorer):
 * rsp = the ucontext of the frame, at the same distance in both.  The kernel takes every register
 * from there.  Each one is described by an expression, so unwinders step through. */
#define SLEB2(n) (((n) & 0x7f) | 0x80), ((n) >> 7)
#define REG(r, off) .cfi_escape 0x10, r, 3, 0x77, SLEB2(off)
        .p2align 4
        .cfi_startproc simple
        .cfi_signal_frame
        .cfi_escape 0x0f, 4, 0x77, SLEB2(160), 0x06
        REG(8, 40)
        REG(9, 48)
        REG(10, 56)
        REG(11, 64)
        REG(12, 72)
        REG(13, 80)
        REG(14, 88)
        REG(15, 96)
        REG(5, 104)
        REG(4, 112)
        REG(6, 120)
        REG(3, 128)
        REG(1, 136)
        REG(0, 144)
        REG(2, 152)
        REG(16, 168)
        nop                             /* unwinders look at the return address minus one */
FUNC(gt_arch_sigreturn)
        .globl  gt_arch_restorer
        .hidden gt_arch_restorer
        .type   gt_arch_restorer,@function
gt_arch_restorer:
        movq    $SYS_rt_sigreturn, %rax
        syscall
        ud2
        .cfi_endproc
END(gt_arch_sigreturn)

/* void gt_arch_unwind_from(const void *uc, void (*fn)(void *), void *arg): calls fn(arg) so that an unwinder finds the
 * registers of *uc in the caller: here rbx = uc, and each register is an expression over it. */
#define REGB(r, off) .cfi_escape 0x10, r, 3, 0x73, SLEB2(off)
FUNC(gt_arch_unwind_from)
        .cfi_startproc simple
        .cfi_signal_frame
        .cfi_def_cfa %rsp, 8
        endbr64
        pushq   %rbx
        movq    %rdi, %rbx
        movq    %rdx, %rdi
        .cfi_escape 0x0f, 4, 0x73, SLEB2(160), 0x06
        REGB(8, 40)
        REGB(9, 48)
        REGB(10, 56)
        REGB(11, 64)
        REGB(12, 72)
        REGB(13, 80)
        REGB(14, 88)
        REGB(15, 96)
        REGB(5, 104)
        REGB(4, 112)
        REGB(6, 120)
        REGB(3, 128)
        REGB(1, 136)
        REGB(0, 144)
        REGB(2, 152)
        REGB(16, 168)
        callq   *%rsi
        popq    %rbx
        ret
        .cfi_endproc
END(gt_arch_unwind_from)

/* bool gt_arch_copy_user(void *dst, const void *src, size_t n): true when all n bytes were copied.  The handler of
 * faults leaves for the abort label when the interrupted instruction is the copy. */
FUNC(gt_arch_copy_user)
        .cfi_startproc
        endbr64
        movq    %rdx, %rcx
        .globl  gt_arch_copy_at
        .hidden gt_arch_copy_at
gt_arch_copy_at:
        rep movsb
        movl    $1, %eax
        ret
        .globl  gt_arch_copy_abort
        .hidden gt_arch_copy_abort
gt_arch_copy_abort:
        xorl    %eax, %eax
        ret
        .cfi_endproc
END(gt_arch_copy_user)

/* void gt_arch_getcontext(void *uc): general registers as the caller has them after the return. */
FUNC(gt_arch_getcontext)
        .cfi_startproc
        endbr64
        movq    %r8, 40(%rdi)
        movq    %r9, 48(%rdi)
        movq    %r10, 56(%rdi)
        movq    %r11, 64(%rdi)
        movq    %r12, 72(%rdi)
        movq    %r13, 80(%rdi)
        movq    %r14, 88(%rdi)
        movq    %r15, 96(%rdi)
        movq    %rdi, 104(%rdi)
        movq    %rsi, 112(%rdi)
        movq    %rbp, 120(%rdi)
        movq    %rbx, 128(%rdi)
        movq    %rdx, 136(%rdi)
        movq    %rax, 144(%rdi)
        movq    %rcx, 152(%rdi)
        leaq    8(%rsp), %rax
        movq    %rax, 160(%rdi)
        movq    (%rsp), %rax
        movq    %rax, 168(%rdi)
        ret
        .cfi_endproc
END(gt_arch_getcontext)

/* void gt_arch_call_on(void *sp, void (*fn)(void *), void *arg): calls fn(arg) on the stack that ends
 * at sp and comes back. */
FUNC(gt_arch_call_on)
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        andq    $-16, %rdi
        movq    %rdi, %rsp
        movq    %rdx, %rdi
        callq   *%rsi
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
END(gt_arch_call_on)

        .data
        .globl  gt_arch_fast_tp
        .hidden gt_arch_fast_tp
        .type   gt_arch_fast_tp,@object
gt_arch_fast_tp:
        .byte   0
        .size   gt_arch_fast_tp, 1
