/* SPDX-License-Identifier: BSD-2-Clause */
/* The atomic operations that the cases use, by the compiler. */
#ifndef FOREIGN_ATOMIC_H
#define FOREIGN_ATOMIC_H
#define atomic_load_relaxed(p)         __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_load_acquire(p)         __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_store_relaxed(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_store_release(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_fetch_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define atomic_fetch_add_acquire(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQUIRE)
#define atomic_fetch_add_release(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#define atomic_fetch_add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define atomic_exchange_relaxed(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_RELAXED)
#define atomic_exchange_acquire(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define atomic_exchange_release(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
#define atomic_compare_exchange_weak_relaxed(p, e, v)                                              \
    __atomic_compare_exchange_n((p), (e), (v), 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define atomic_compare_exchange_weak_acquire(p, e, v)                                              \
    __atomic_compare_exchange_n((p), (e), (v), 1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define atomic_increment(p)           ((void)__atomic_fetch_add((p), 1, __ATOMIC_SEQ_CST))
#define atomic_increment_val(p)       __atomic_add_fetch((p), 1, __ATOMIC_SEQ_CST)
#define atomic_decrement(p)           ((void)__atomic_fetch_sub((p), 1, __ATOMIC_SEQ_CST))
#define atomic_decrement_val(p)       __atomic_sub_fetch((p), 1, __ATOMIC_SEQ_CST)
#define atomic_thread_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define atomic_thread_fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)
#define atomic_full_barrier()         __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define atomic_spin_nop()             __builtin_ia32_pause()
#endif
