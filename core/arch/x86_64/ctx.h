/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers shared by C and assembly: the saved context of a goroutine that is not running.
 * Read by switch.S too, so the C part is fenced off.
 */
#ifndef GT_ARCH_CTX_H
#define GT_ARCH_CTX_H

#define CTX_SP  0
#define CTX_TP  8
#define CTX_FPU 16 /* MXCSR, then the x87 control word */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct gt_ctx {
    void *sp;       /* stack pointer; below it: r15 r14 r13 r12 rbx rbp rip, low to high */
    void *tp;       /* thread pointer (FS base) of the goroutine */
    uint32_t mxcsr; /* SSE control: callee-saved by the ABI */
    uint32_t fpucw; /* x87 control word, low 16 bits */
};
_Static_assert(offsetof(struct gt_ctx, sp) == CTX_SP, "switch.S");
_Static_assert(offsetof(struct gt_ctx, tp) == CTX_TP, "switch.S");
_Static_assert(offsetof(struct gt_ctx, mxcsr) == CTX_FPU, "switch.S");

/* Words of a parked context, for a traceback. */
#define GT_CTX_R15   0
#define GT_CTX_R14   1
#define GT_CTX_R13   2
#define GT_CTX_R12   3
#define GT_CTX_RBX   4
#define GT_CTX_RBP   5
#define GT_CTX_RIP   6
#define GT_CTX_WORDS 7
#endif
#endif
