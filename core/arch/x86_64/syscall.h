/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Raw system calls.  Number in rax, arguments in rdi rsi rdx r10 r8 r9 (r10, because the
 * instruction itself overwrites rcx and r11); result in rax, -4095..-1 is -errno.
 * Source: System V ABI AMD64 supplement, A.2.1; syscall(2).
 */
#ifndef GT_ARCH_SYSCALL_H
#define GT_ARCH_SYSCALL_H

#ifdef __clang_analyzer__ /* it does not see that the kernel writes through the arguments */
long gt_syscall6(long nr, long a, long b, long c, long d, long e, long f);
long gt_syscall3(long nr, long a, long b, long c);
#else
static inline long gt_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
    long ret;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

static inline long gt_syscall3(long nr, long a, long b, long c)
{
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}
#endif

#endif
