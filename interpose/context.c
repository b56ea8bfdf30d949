/* SPDX-License-Identifier: BSD-2-Clause
 *
 * getcontext, setcontext, makecontext, swapcontext.  Source: POSIX.1-2001 and the layout of
 * ucontext_t on this machine.
 *
 * libc's would set the kernel's signal mask behind us, also when a context ends and its successor
 * is loaded, which nobody could see; so these are ours, on every thread.  A context holds no thread
 * pointer: one that is loaded by another goroutine goes on as that one.
 */
#include "interpose/interpose.h"

#include <ucontext.h>

#include "core/sched/signal.h"

void gt_context_mask(ucontext_t *uc);
GT_NORETURN void gt_context_swap(ucontext_t *save, const ucontext_t *load);
GT_NORETURN void gt_context_end(const ucontext_t *next);
GT_NORETURN void gt_context_load(const ucontext_t *uc);
extern char gt_context_start[];

#define ARG_REGISTERS 6

/* getcontext's second half. */
void gt_context_mask(ucontext_t *uc)
{
    struct gt_g *g = gt_self();
    gt_sigset mask = 0;
    if (g)
        mask = g->sigmask;
    else
        sys_sigprocmask(SIG_SETMASK, NULL, &mask);
    gt_memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
}

static void take_mask(const ucontext_t *uc)
{
    struct gt_g *g = gt_self();
    gt_sigset mask;
    gt_memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
    if (!g) {
        sys_sigprocmask(SIG_SETMASK, &mask, NULL);
    } else if (mask != g->sigmask) {
        gt_rt_enter(g);
        gt_sig_setmask(g, mask & ~(GT_SIGBIT(32) | GT_SIGBIT(33)));
        gt_rt_leave(g);
    }
}

void gt_context_swap(ucontext_t *save, const ucontext_t *load)
{
    gt_context_mask(save);
    take_mask(load);
    gt_context_load(load);
}

GT_EXPORT int setcontext(const ucontext_t *uc)
{
    take_mask(uc);
    gt_context_load(uc);
}

/* The function of a context has returned. */
void gt_context_end(const ucontext_t *next)
{
    if (next)
        setcontext(next);
    exit(0);
}

/* Stack at the function's entry, low to high: return address, arguments beyond the sixth, address
 * of the next context, whose place rbx holds. */
static void make(ucontext_t *uc, void (*fn)(void), int argc, va_list ap)
{
    const int reg[ARG_REGISTERS] = {REG_RDI, REG_RSI, REG_RDX, REG_RCX, REG_R8, REG_R9};
    size_t more = argc > ARG_REGISTERS ? (size_t)(argc - ARG_REGISTERS) : 0;
    uintptr_t top = (uintptr_t)uc->uc_stack.ss_sp + uc->uc_stack.ss_size;
    uintptr_t *sp = (uintptr_t *)((top - (more + 1) * sizeof(*sp)) & ~15ul) - 1;
    greg_t *r = uc->uc_mcontext.gregs;
    sp[0] = (uintptr_t)gt_context_start;
    sp[more + 1] = (uintptr_t)uc->uc_link;
    r[REG_RIP] = (greg_t)(uintptr_t)fn;
    r[REG_RSP] = (greg_t)(uintptr_t)sp;
    r[REG_RBX] = (greg_t)(uintptr_t)&sp[more + 1];
    r[REG_RBP] = 0;
    for (int i = 0; i < argc; i++) {
        greg_t v = va_arg(ap, greg_t);
        if (i < ARG_REGISTERS)
            r[reg[i]] = v;
        else
            sp[1 + i - ARG_REGISTERS] = (uintptr_t)v;
    }
}

GT_EXPORT void makecontext(ucontext_t *uc, void (*fn)(void), int argc, ...)
{
    va_list ap;
    va_start(ap, argc);
    make(uc, fn, argc, ap);
    va_end(ap);
}
