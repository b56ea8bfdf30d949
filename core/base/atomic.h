/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One named macro per (operation, order) pair that we use, so that every shared access says its
 * order.  A plain access to an _Atomic field is not used: it would be seq_cst by accident.
 */
#ifndef GT_ATOMIC_H
#define GT_ATOMIC_H

#include <stdatomic.h>

#define load_rlx(p)       atomic_load_explicit((p), memory_order_relaxed)
#define load_acq(p)       atomic_load_explicit((p), memory_order_acquire)
#define load_seq(p)       atomic_load_explicit((p), memory_order_seq_cst)
#define store_rlx(p, v)   atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_rel(p, v)   atomic_store_explicit((p), (v), memory_order_release)
#define store_seq(p, v)   atomic_store_explicit((p), (v), memory_order_seq_cst)
#define add_rlx(p, v)     atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define add_acqrel(p, v)  atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define add_seq(p, v)     atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define sub_acqrel(p, v)  atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define or_acqrel(p, v)   atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define and_acqrel(p, v)  atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)
#define xchg_acq(p, v)    atomic_exchange_explicit((p), (v), memory_order_acquire)
#define xchg_rel(p, v)    atomic_exchange_explicit((p), (v), memory_order_release)
#define xchg_acqrel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
/* Compare and swap; *(old) is refreshed on failure. */
#define cas_acq(p, old, new)                                                                       \
    atomic_compare_exchange_strong_explicit((p), (old), (new), memory_order_acquire,               \
                                            memory_order_relaxed)
#define cas_rel(p, old, new)                                                                       \
    atomic_compare_exchange_strong_explicit((p), (old), (new), memory_order_release,               \
                                            memory_order_relaxed)
#define cas_acqrel(p, old, new)                                                                    \
    atomic_compare_exchange_strong_explicit((p), (old), (new), memory_order_acq_rel,               \
                                            memory_order_acquire)
#define cas_seq(p, old, new)                                                                       \
    atomic_compare_exchange_strong_explicit((p), (old), (new), memory_order_seq_cst,               \
                                            memory_order_seq_cst)
#define fence_seq() atomic_thread_fence(memory_order_seq_cst)

#endif
