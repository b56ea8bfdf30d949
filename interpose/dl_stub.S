/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dlopen and dlmopen.  libc looks at the address that its dlopen returns to, to find the caller's library (RUNPATH, the
 * namespace): a C function in between would make us the caller.  So these note the event and jump.
 */
        .section .note.GNU-stack,"",@progbits
        .text
        .macro  STUB name
        .globl  \name
        .type   \name,@function
        .p2align 4
\name:
        .cfi_startproc
        endbr64
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        movq    24(%rsp), %rcx          /* the caller */
        callq   gt_\name\()_enter       /* returns the function to go on in */
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *%rax
        .cfi_endproc
        .size   \name, .-\name
        .endm

        STUB dlopen
        STUB dlmopen
