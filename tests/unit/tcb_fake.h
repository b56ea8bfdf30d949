/* SPDX-License-Identifier: BSD-2-Clause */
/* The fake thread block, for tests that look inside. */
#ifndef GT_TESTS_TCB_FAKE_H
#define GT_TESTS_TCB_FAKE_H

#include "core/sched/types.h"

#define FAKE_TCB_LIVE 0x7cb7cb

struct fake_tcb {
    int tid;
    int live;   /* FAKE_TCB_LIVE */
    int visits; /* the test's */
} GT_CACHE_ALIGN;

/* How many blocks were dropped. */
extern _Atomic int fake_drops;

#endif
