/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The toolkit of core: locks, messages, fatal errors, statistics, small memory routines.
 */
#ifndef GT_KIT_H
#define GT_KIT_H

#include <stdarg.h>
#include "core/base/atomic.h"
#include "core/base/base.h"

/* ---- locks ----
 * A futex lock that spins briefly.  Held only inside the runtime, by code that is neither
 * preempted nor interrupted by a user's handler.  Lock order, top to bottom; never two of one rank:
 *   DLFIX    os/tcb.c        list of thread blocks, TLS modules
 *   PD       sched/netpoll.c one descriptor's waiters
 *   SEMA     sched/sema.c    one hash bucket
 *   SIGNAL   sched/sigact.c  actions of signals, counts of masks
 *   SCHED    sched/sched.c   global queue, idle lists
 *   ALLG     sched/proc.c    list of all goroutines
 *   TIMERS   sched/timer.c   one P's heap
 *   STACKS   sched/stack.c   stack pools
 *   IDENT    interpose/ident.c what a goroutine's scheduling attributes are (leaf)
 *   MAKER    sched/proc.c    requests for kernel threads (leaf)
 *   MSHARED  mem/mcache.c    the mcache of whoever has none
 *   CENTRAL  mem/mcentral.c  spans of one class
 *   HEAP     mem/mheap.c     arenas, huge objects (leaf)
 */
enum gt_rank {
    GT_RANK_NONE,
    GT_RANK_DLFIX,
    GT_RANK_PD,
    GT_RANK_SEMA,
    GT_RANK_SIGNAL,
    GT_RANK_SCHED,
    GT_RANK_ALLG,
    GT_RANK_TIMERS,
    GT_RANK_STACKS,
    GT_RANK_IDENT,
    GT_RANK_MAKER,
    GT_RANK_MSHARED,
    GT_RANK_CENTRAL,
    GT_RANK_HEAP,
};
struct gt_lock {
    _Atomic uint32_t word; /* 0 free, 1 held, 2 held and somebody sleeps; acquire/release pair */
};
void gt_lock(struct gt_lock *l, enum gt_rank rank);
bool gt_trylock(struct gt_lock *l, enum gt_rank rank);
void gt_unlock(struct gt_lock *l, enum gt_rank rank);

/* ---- memory and text, our own: core calls no libc ---- */
void gt_memcpy(void *dst, const void *src, size_t n);
void gt_memset(void *dst, int c, size_t n);
int gt_memcmp(const void *a, const void *b, size_t n);
size_t gt_strlen(const char *s);
int gt_strcmp(const char *a, const char *b);
/* printf into a buffer: %d %u %ld %lu %llu %lld %x %lx %p %s %c %%, widths and 0-fill.  Always ends
 * with NUL; returns the length that was written. */
size_t gt_snprintf(char *buf, size_t n, const char *fmt, ...) GT_PRINTF(3, 4);
size_t gt_vsnprintf(char *buf, size_t n, const char *fmt, va_list ap);
/* One write(2) of one formatted line to stderr.  Async-signal-safe. */
void gt_printf(const char *fmt, ...) GT_PRINTF(1, 2);
/* "gothread: ..." on stderr.  warn_once: once per call site (flag: a static bool). */
void gt_warn(const char *fmt, ...) GT_PRINTF(1, 2);
#define gt_warn_once(...)                                                                          \
    do {                                                                                           \
        static _Atomic bool gt_warned_;                                                            \
        if (!xchg_acqrel(&gt_warned_, true))                                                       \
            gt_warn(__VA_ARGS__);                                                                  \
    } while (0)
/* Our bug or a broken kernel promise: message, all goroutines, abort. */
GT_NORETURN void gt_fatal(const char *what, long a, long b);
/* Called by gt_fatal before it aborts; set by the boot code.  May be NULL. */
extern void (*gt_fatal_dump)(void);
#define gt_assert(c)                                                                               \
    do {                                                                                           \
        if (unlikely(!(c)))                                                                        \
            gt_fatal("assertion failed: " #c " at line", __LINE__, 0);                             \
    } while (0)

/* Zeroed memory that is never given back, from mmap in chunks.  NULL when there is none. */
void *gt_persistent_alloc(size_t n);
/* Around fork: the child must find its lock free. */
void gt_persistent_fork_lock(void);
void gt_persistent_fork_unlock(void);

/* A fast pseudo-random number; per caller state. */
static inline uint64_t gt_rand(uint64_t *s)
{
    uint64_t x = *s;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *s = x;
}

/* ---- statistics ----  one relaxed counter each; X(name in --stats) */
/* clang-format off */
#define GT_STATS(X)                                                                                \
    X(goroutines_created) X(goroutines_live) X(goroutines_peak) X(ms_made) X(ms_peak)              \
    X(steals) X(preemptions) X(netpoll_wakes) X(announced_syscalls) X(p_retakes)                   \
    X(unannounced_blocks) X(foreign_threads) X(signals_delivered) X(timers_fired)
/* clang-format on */
enum gt_stat {
#define X(n) GT_STAT_##n,
    GT_STATS(X)
#undef X
        GT_STAT_COUNT
};
extern _Atomic uint64_t gt_stats[GT_STAT_COUNT];
#define gt_stat_add(n, v) add_rlx(&gt_stats[GT_STAT_##n], (uint64_t)(v))
#define gt_stat_get(n)    load_rlx(&gt_stats[GT_STAT_##n])

#endif
