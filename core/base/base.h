/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words everything else is written in: integer types, helpers, visibility.
 * Includes compiler headers only; calls nothing.
 */
#ifndef GT_BASE_H
#define GT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define GT_EXPORT       __attribute__((visibility("default")))
#define GT_NOINLINE     __attribute__((noinline))
#define GT_NORETURN     __attribute__((noreturn))
#define GT_PRINTF(f, a) __attribute__((format(printf, f, a)))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define GT_ARRAY_LEN(a)                 (sizeof(a) / sizeof((a)[0]))
#define GT_ALIGN_UP(x, a)               (((x) + (a)-1) & ~((a)-1))
#define GT_ALIGN_DOWN(x, a)             ((x) & ~((a)-1))
/* Each argument is evaluated once: a clock or an atomic may differ the second time. */
#ifdef __cppcheck__ /* it cannot read a statement in an expression */
#define GT_MIN(a, b) ((a) < (b) ? (a) : (b))
#define GT_MAX(a, b) ((a) > (b) ? (a) : (b))
#else
#define GT_PICK_(a, op, b, x, y)                                                                   \
    ({                                                                                             \
        __auto_type x = (a);                                                                       \
        __auto_type y = (b);                                                                       \
        x op y ? x : y;                                                                            \
    })
#define GT_NAME__(n) pick_##n
#define GT_NAME_(n)  GT_NAME__(n)
#define GT_MIN(a, b) GT_PICK_(a, <, b, GT_NAME_(__COUNTER__), GT_NAME_(__COUNTER__))
#define GT_MAX(a, b) GT_PICK_(a, >, b, GT_NAME_(__COUNTER__), GT_NAME_(__COUNTER__))
#endif

#define GT_CACHE_LINE     64
#define GT_CACHE_ALIGN    __attribute__((aligned(GT_CACHE_LINE)))
#define GT_PAGE           4096ul
#define GT_COMPILER_BAR() __asm__ volatile("" ::: "memory")

/* Nanoseconds on the monotonic clock.  A deadline is absolute; negative = never.  With GT_REALTIME
 * added it is one on the realtime clock, and follows when that clock is set. */
#define GT_NEVER    ((int64_t)-1)
#define GT_REALTIME ((int64_t)1 << 62)
#define GT_MS       1000000ll
#define GT_US       1000ll
#define GT_SEC      1000000000ll

/* Bits that are set.  The builtin is a call of the compiler's library on the oldest CPUs. */
static inline unsigned gt_popcount(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)(x * 0x0101010101010101u >> 56);
}

#endif
