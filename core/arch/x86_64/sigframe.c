/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Turning an interrupted context into a call: copies the kernel's signal frame onto the goroutine's
 * stack, so that the kernel's own frame can be left at once and the goroutine may park, migrate or
 * longjmp before the interrupted instruction goes on.
 *
 *   high   interrupted stack ... red zone (128 bytes)
 *          extended state (64-byte aligned; size from the frame's own header)
 *          siginfo_t
 *          ucontext_t     <- rsp when gt_arch_sigreturn runs
 *   low    return address = gt_arch_sigreturn   <- rsp at the entry of fn: rsp % 16 == 8
 *
 * Source: the kernel's arch/x86/kernel/fpu/signal.c for the extended-state header (struct
 * _fpx_sw_bytes at byte 464), System V ABI 3.2.2 for the red zone.
 */
#include <signal.h>
#include <ucontext.h>

#include "core/arch/arch.h"
#include "core/kit/kit.h"

extern char gt_arch_sysintr_begin[], gt_arch_sysintr_end[], gt_arch_sysintr_abort[];
extern char gt_arch_copy_at[], gt_arch_copy_abort[];
extern char gt_arch_entry[], gt_arch_sigreturn[];
extern unsigned char gt_arch_fast_tp;

struct gt_sigframe {
    uint64_t retaddr;
    ucontext_t uc;
    siginfo_t si;
};

/* struct _fpx_sw_bytes */
#define FPX_SW_OFFSET 464
#define FPX_MAGIC1    0x46505853u
#define FX_SIZE       512u
#define XFEATURE_PKRU (1u << 9)

void gt_arch_tp_init(bool fsgsbase)
{
    gt_arch_fast_tp = fsgsbase;
}

void gt_arch_ctx_init(struct gt_ctx *ctx, void *top, void *tp, void (*entry)(void))
{
    uintptr_t *sp = (uintptr_t *)((uintptr_t)top & ~15ul);
    *--sp = 0; /* keeps the frame's start 16-byte aligned at the call */
    *--sp = 0;
    sp -= GT_CTX_WORDS;
    gt_memset(sp, 0, GT_CTX_WORDS * sizeof(*sp));
    sp[GT_CTX_R12] = (uintptr_t)entry;
    sp[GT_CTX_RIP] = (uintptr_t)gt_arch_entry;
    ctx->sp = sp;
    ctx->tp = tp;
    ctx->mxcsr = 0x1f80; /* ABI 3.2.3: all exceptions masked, round to nearest */
    ctx->fpucw = 0x37f;
}

bool gt_arch_syscall_abort(void *ucp)
{
    ucontext_t *uc = ucp;
    uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    if (pc < (uintptr_t)gt_arch_sysintr_begin || pc >= (uintptr_t)gt_arch_sysintr_end)
        return false;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)gt_arch_sysintr_abort;
    return true;
}

bool gt_arch_copy_fault(void *ucp)
{
    greg_t *pc = &((ucontext_t *)ucp)->uc_mcontext.gregs[REG_RIP];
    if ((uintptr_t)*pc != (uintptr_t)gt_arch_copy_at)
        return false;
    *pc = (greg_t)(uintptr_t)gt_arch_copy_abort;
    return true;
}

uintptr_t gt_arch_uc_pc(const void *uc)
{
    return (uintptr_t)((const ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
}

uintptr_t gt_arch_uc_sp(const void *uc)
{
    return (uintptr_t)((const ucontext_t *)uc)->uc_mcontext.gregs[REG_RSP];
}

unsigned gt_arch_uc_changed(const void *uc, uintptr_t seen[GT_ARCH_NREGS], unsigned *saved)
{
    enum { SAVED = 7 }; /* the first so many */
    static const uint8_t regs[GT_ARCH_NREGS] = {
        REG_RSP, REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX,
        REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
    };
    unsigned changed = 0;
    for (unsigned i = 0; i < GT_ARCH_NREGS; i++) {
        uintptr_t now = (uintptr_t)((const ucontext_t *)uc)->uc_mcontext.gregs[regs[i]];
        if (i == SAVED)
            *saved = changed;
        changed += now != seen[i];
        seen[i] = now;
    }
    return changed;
}

bool gt_arch_spins_at(uintptr_t pc)
{
    enum {
        AROUND = 16
    }; /* bytes to each side: a loop of one load and one compare, and a counter */
    uint8_t text[2 * AROUND];
    if (!gt_arch_copy_user(text, (const void *)(pc - AROUND), sizeof(text)))
        return false;
    for (unsigned i = 0; i + 1 < sizeof(text); i++)
        if (text[i] == 0xf3 && text[i + 1] == 0x90) /* pause */
            return true;
    return false;
}

/* Bytes of the floating-point and extended state that the kernel saved. */
static size_t xstate_size(const void *fp)
{
    uint32_t sw[2];
    gt_memcpy(sw, (const char *)fp + FPX_SW_OFFSET, sizeof(sw));
    return sw[0] == FPX_MAGIC1 ? sw[1] : FX_SIZE;
}

size_t gt_arch_inject_size(const void *ucp)
{
    const ucontext_t *uc = ucp;
    size_t fp = uc->uc_mcontext.fpregs ? xstate_size(uc->uc_mcontext.fpregs) : 0;
    return fp + sizeof(struct gt_sigframe) + 64 + 16 + 128;
}

/* The injected function starts as any function does: x87 stack empty, default control words, vector
 * registers in their initial state (ABI 3.2.3; the kernel does the same for a handler).  Else the
 * next goroutine would inherit a full x87 stack through the context switch.  Protection keys stay.
 */
static void reset_fpu(char *fp)
{
    const uint16_t fcw = 0x37f, fsw = 0;
    const uint32_t mxcsr = 0x1f80;
    gt_memcpy(fp, &fcw, sizeof(fcw));
    gt_memcpy(fp + 2, &fsw, sizeof(fsw));
    fp[4] = 0; /* abridged tags: all empty */
    gt_memcpy(fp + 24, &mxcsr, sizeof(mxcsr));
    if (xstate_size(fp) > FX_SIZE) {
        uint64_t bv;
        gt_memcpy(&bv, fp + FX_SIZE, sizeof(bv));
        bv &= 3 | XFEATURE_PKRU;
        gt_memcpy(fp + FX_SIZE, &bv, sizeof(bv));
    }
}

struct gt_sigframe *gt_arch_inject(void *ucp, const void *si, uintptr_t sp,
                                   void (*fn)(struct gt_sigframe *))
{
    ucontext_t *uc = ucp;
    void *fp = NULL;
    if (uc->uc_mcontext.fpregs) {
        size_t n = xstate_size(uc->uc_mcontext.fpregs);
        sp = (sp - n) & ~63ul;
        fp = (void *)sp;
        gt_memcpy(fp, uc->uc_mcontext.fpregs, n);
        reset_fpu((char *)uc->uc_mcontext.fpregs);
    }
    sp = ((sp - sizeof(struct gt_sigframe)) & ~15ul) - 8;
    struct gt_sigframe *f = (struct gt_sigframe *)sp;
    f->retaddr = (uintptr_t)gt_arch_sigreturn;
    /* the kernel fills only this much of what libc calls ucontext_t */
    gt_memset(&f->uc, 0, sizeof(f->uc));
    gt_memcpy(&f->uc, uc, offsetof(ucontext_t, uc_sigmask) + sizeof(uint64_t));
    f->uc.uc_mcontext.fpregs = fp;
    if (si)
        gt_memcpy(&f->si, si, sizeof(f->si));
    else
        gt_memset(&f->si, 0, sizeof(f->si));
    greg_t *r = uc->uc_mcontext.gregs;
    r[REG_RSP] = (greg_t)sp;
    r[REG_RIP] = (greg_t)(uintptr_t)fn;
    r[REG_RDI] = (greg_t)sp;
    r[REG_RAX] = 0;
    r[REG_EFL] &= ~0x400ll; /* direction flag clear, as the ABI wants at a call */
    return f;
}

void *gt_arch_frame_uc(struct gt_sigframe *f)
{
    return &f->uc;
}

void *gt_arch_frame_si(struct gt_sigframe *f)
{
    return &f->si;
}
