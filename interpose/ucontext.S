/* SPDX-License-Identifier: BSD-2-Clause
 *
 * getcontext, swapcontext, and what context.c needs of them in assembly: the registers of the caller
 * go to and come from ucontext_t as the C library lays it out (its ucontext.h; System V ABI 3.2.1
 * for which of them matter).  No system call: the mask is virtual.
 */
#define O_R8     40
#define O_R9     48
#define O_R12    72
#define O_R13    80
#define O_R14    88
#define O_R15    96
#define O_RDI    104
#define O_RSI    112
#define O_RBP    120
#define O_RBX    128
#define O_RDX    136
#define O_RCX    152
#define O_RSP    160
#define O_RIP    168
#define O_FPREGS 224
#define O_FPMEM  424
#define FP_MXCSR 24             /* in libc's format and in the kernel's */

        .section .note.GNU-stack,"",@progbits
        .text

#define FUNC(name)  .globl name; .type name,@function; .p2align 4; name:
#define END(name)   .size name, .-name

/* The caller's registers to *rdi: as they are after the return of the function that this opens. */
#define SAVE                                    \
        movq    %rbx, O_RBX(%rdi);              \
        movq    %rbp, O_RBP(%rdi);              \
        movq    %r12, O_R12(%rdi);              \
        movq    %r13, O_R13(%rdi);              \
        movq    %r14, O_R14(%rdi);              \
        movq    %r15, O_R15(%rdi);              \
        movq    %rdi, O_RDI(%rdi);              \
        movq    %rsi, O_RSI(%rdi);              \
        movq    %rdx, O_RDX(%rdi);              \
        movq    %rcx, O_RCX(%rdi);              \
        movq    %r8, O_R8(%rdi);                \
        movq    %r9, O_R9(%rdi);                \
        movq    (%rsp), %rcx;                   \
        movq    %rcx, O_RIP(%rdi);              \
        leaq    8(%rsp), %rcx;                  \
        movq    %rcx, O_RSP(%rdi);              \
        leaq    O_FPMEM(%rdi), %rcx;            \
        movq    %rcx, O_FPREGS(%rdi);           \
        fnstenv (%rcx);                         \
        fldenv  (%rcx);                         \
        stmxcsr FP_MXCSR+O_FPMEM(%rdi)

/* int getcontext(ucontext_t *uc) */
FUNC(getcontext)
        .cfi_startproc
        endbr64
        SAVE
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        callq   gt_context_mask
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        xorl    %eax, %eax
        ret
        .cfi_endproc
END(getcontext)

/* int swapcontext(ucontext_t *save, const ucontext_t *load) */
FUNC(swapcontext)
        .cfi_startproc
        endbr64
        SAVE
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        callq   gt_context_swap
        ud2
        .cfi_endproc
END(swapcontext)

/* void gt_context_load(const ucontext_t *uc): never returns.  fpregs points into *uc when getcontext
 * filled it, to the kernel's own format when it is a handler's. */
        .hidden gt_context_load
FUNC(gt_context_load)
        .cfi_startproc
        movq    O_FPREGS(%rdi), %rcx
        leaq    O_FPMEM(%rdi), %rdx
        testq   %rcx, %rcx
        je      2f
        cmpq    %rdx, %rcx
        jne     1f
        fldenv  (%rcx)
        jmp     3f
1:      fldcw   (%rcx)
3:      ldmxcsr FP_MXCSR(%rcx)
2:      movq    O_RSP(%rdi), %rsp       /* on the other stack from here on */
        movq    O_RBX(%rdi), %rbx
        movq    O_RBP(%rdi), %rbp
        movq    O_R12(%rdi), %r12
        movq    O_R13(%rdi), %r13
        movq    O_R14(%rdi), %r14
        movq    O_R15(%rdi), %r15
        movq    O_RIP(%rdi), %r11
        movq    O_RSI(%rdi), %rsi
        movq    O_RCX(%rdi), %rcx
        movq    O_R8(%rdi), %r8
        movq    O_R9(%rdi), %r9
        movq    O_RDX(%rdi), %rdx
        movq    O_RDI(%rdi), %rdi
        xorl    %eax, %eax
        .cfi_undefined %rip
        jmp     *%r11
        .cfi_endproc
END(gt_context_load)

/* Where the function of makecontext returns to; rbx = address of the next context's. */
        .cfi_startproc
        .cfi_undefined %rip
        nop                             /* unwinders look at the return address minus one */
        .hidden gt_context_start
FUNC(gt_context_start)
        movq    (%rbx), %rdi
        andq    $-16, %rsp
        callq   gt_context_end
        ud2
        .cfi_endproc
END(gt_context_start)
