/* SPDX-License-Identifier: BSD-2-Clause */
/* The head of a semaphore on 64-bit machines, which a few cases look at. */
#ifndef FOREIGN_INTERNALTYPES_H
#define FOREIGN_INTERNALTYPES_H
#include <stdint.h>
#define __HAVE_64B_ATOMICS 1
#define SEM_VALUE_MASK     (~0u)
#define SEM_NWAITERS_SHIFT 32
/* value in the low half, number of waiters in the high half */
struct new_sem {
    uint64_t data;
    int private;
    int pad;
};
#endif
