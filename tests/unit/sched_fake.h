/* SPDX-License-Identifier: BSD-2-Clause */
/* A fake of core/sched/sched.c, proc.c and signal.c for what lies above them: parking, timers, wait
 * queues, the poller.  A goroutine is a kernel thread that sleeps on a seat of its own between
 * gt_mcall and gt_goready; or it has no thread, and the test plays its part.  All share one P.  The
 * clock stands still when a test sets it. */
#ifndef GT_TESTS_SCHED_FAKE_H
#define GT_TESTS_SCHED_FAKE_H

#include <semaphore.h>

#include "core/sched/sched_int.h"
#include "tests/unit/unit.h"

struct fake_g {
    struct gt_g g;
    struct gt_m m;
    sem_t seat;                          /* posted by gt_goready */
    _Atomic uint32_t readied;            /* how often it was */
    _Atomic uint32_t slept;              /* how often gt_mcall left its stack for good */
    void (*before_g0)(struct fake_g *f); /* called by gt_mcall first; may be NULL */
    void (*body)(struct fake_g *f, void *arg);
    void *arg;
    pthread_t thread;
};

/* The P of all goroutines; gt_sched.allp[0].  Call fake_init first. */
extern struct gt_p fake_p;
void fake_init(void);

/* A goroutine without a thread. */
void fake_g_init(struct fake_g *f);
/* One with a thread, which runs body(f, arg) in a runtime section. */
void fake_g_start(struct fake_g *f, void (*body)(struct fake_g *f, void *arg), void *arg);
void fake_g_join(struct fake_g *f);
/* Opens a ticket of a goroutine without a thread and puts it to sleep. */
uint64_t fake_g_asleep(struct fake_g *f);
/* Sleeps, as far as others can see. */
bool fake_g_sleeps(const struct fake_g *f);

/* The clock: ns to stand at, or FAKE_REAL to run. */
#define FAKE_REAL (-1)
extern _Atomic int64_t fake_now;

/* Who was readied, oldest first (the last FAKE_LOG of them), and how many. */
#define FAKE_LOG 8192
extern struct gt_g *fake_log[FAKE_LOG];
extern uint32_t fake_nlog;

extern _Atomic uint32_t fake_wakeps, fake_breaks, fake_handlers;

#endif
