/* SPDX-License-Identifier: BSD-2-Clause */
/* The fake thread block, for tests that look inside. */
#ifndef GT_TESTS_TCB_FAKE_H
#define GT_TESTS_TCB_FAKE_H

#include "core/sched/types.h"

struct fake_tcb {
    struct gt_tls tls;
    int tid;
    int tenancies; /* how often it was made or reset */
} GT_CACHE_ALIGN;

#endif
