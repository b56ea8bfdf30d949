/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pid_t vfork(void).  The child runs on our stack and returns from here first; what it leaves below its stack pointer
 * is gone when the parent goes on.  So nothing is kept on the stack across the call: the return address and the
 * callee-saved register that holds the goroutine live in registers, which the parent gets back from the kernel.
 */
#define SYS_vfork 58
        .section .note.GNU-stack,"",@progbits
        .text
        .globl  vfork
        .type   vfork,@function
        .globl  __vfork
        .type   __vfork,@function
        .p2align 4
vfork:
__vfork:
        .cfi_startproc
        endbr64
        subq    $8, %rsp                /* 16-byte alignment at the call */
        .cfi_adjust_cfa_offset 8
        callq   gt_vfork_enter
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        movq    %rax, %rsi              /* the goroutine, or NULL */
        popq    %rdi                    /* the return address: the child may overwrite its slot */
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rdi
        movl    $SYS_vfork, %eax
        syscall                         /* keeps rdi, rsi */
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rip, 0
        testl   %eax, %eax
        je      1f                      /* the child: back, on the same stack */
        pushq   %rax
        .cfi_adjust_cfa_offset 8
        movq    %rsi, %rdi
        callq   gt_vfork_exit
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        cmpq    $-4095, %rdi
        jae     2f
        movl    %edi, %eax
1:      ret
2:      jmp     gt_ret                  /* errno and -1 */
        .cfi_endproc
        .size   vfork, .-vfork
        .size   __vfork, .-__vfork
