/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of core/sched share among themselves.
 */
#ifndef GT_SCHED_INT_H
#define GT_SCHED_INT_H

#include "core/sched/sched.h"

struct gt_sched {
    struct gt_lock lock;                /* SCHED */
    struct gt_g *runq_head, *runq_tail; /* global queue: lock */
    _Atomic uint32_t runqsize;          /* writes under the lock; read without for a hint */
    struct gt_m *midle;                 /* lock */
    uint32_t nmidle;                    /* lock */
    struct gt_p *pidle;                 /* lock */
    _Atomic uint32_t npidle;            /* writes under the lock */
    _Atomic bool no_m;                  /* a P rests for want of an M; pairs with sysmon's look */
    _Atomic uint32_t nmspinning;        /* pairs with wakep: see sched.c */
    _Atomic int64_t lastpoll;           /* 0: somebody blocks in the poller */
    _Atomic int64_t polluntil;          /* when that one returns at the latest; 0: never */
    _Atomic uint32_t ncall;             /* Ps left in CALL by entersyscallblock */
    _Atomic uint32_t sysmonwait;        /* sysmon sleeps until pidleget */
    _Atomic uint32_t sysmon_note;
    int64_t start_ns; /* when the scheduler started, on both clocks */
    uint64_t start_cycles;
    int nprocs;
    struct gt_p *allp[GT_MAXP];
    _Atomic(struct gt_m *) allm; /* push only */
    _Atomic uint32_t mid;
    _Atomic int sysmon_ktid, maker_ktid; /* stored by themselves */
    _Atomic uint32_t nstarting; /* kernel threads of ours that have not said yet who they are */
    struct gt_m *m0;
    struct gt_g *g1;
    struct gt_g *solo; /* the survivor in a fork's child, before it starts again */
};
extern struct gt_sched gt_sched;

/* sched.c */
GT_NORETURN void gt_schedule_loop(struct gt_m *m);
void gt_mcall(struct gt_g *g, struct gt_g *(*fn)(struct gt_m *, struct gt_g *));
void gt_runqput(struct gt_p *p, struct gt_g *g, bool next);
struct gt_g *gt_runqget(struct gt_p *p);
bool gt_runqempty(struct gt_p *p);
struct gt_g *gt_runqsteal(struct gt_p *p, struct gt_p *victim, bool runnext);
void gt_globrunqput(struct gt_g *list, uint32_t n);
void gt_injectglist(struct gt_g *list);
/* Goroutines that only compute change places as seldom as in Go: each change costs them what they
 * have in the CPU's caches, with 1 MiB of cache and a mix of allocations as much as 1 ms.  False
 * when g's turn has been as long as that, when somebody waits who was woken, and when g spins, as
 * who waits may be whom it spins for.  The caller owns g's P; counts as having been asked. */
bool gt_turn_goes_on(struct gt_g *g);
/* Those at the head of the queue whose turns were up go behind the others.  The caller owns p. */
void gt_woken_first(struct gt_p *p);
void gt_wakep(void);
bool gt_startm(struct gt_p *p, bool spinning);
void gt_handoffp(struct gt_p *p);
void gt_acquirep(struct gt_m *m, struct gt_p *p);
/* The owner lets go: its P is IDLE, held by the caller. */
struct gt_p *gt_releasep(struct gt_m *m);
/* An M without a P sleeps until it is woken, at once when it has been already. */
void gt_note_sleep(struct gt_m *m);
void gt_note_wake(struct gt_m *m);
struct gt_p *gt_pidleget(void);
void gt_pidleput_locked(struct gt_p *p);
/* The M whose P the caller may use, or NULL. */
struct gt_m *gt_m_with_p(void);
/* Takes a P out of CALL (state seen in w).  False: it changed. */
bool gt_p_take(struct gt_p *p, uint64_t w);
void gt_sched_wakesysmon(void);
/* The kernel's mask for a goroutine's mask. */
gt_sigset gt_kmask_of(gt_sigset mask);
void gt_m_setmask(struct gt_m *m, gt_sigset mask);
void gt_sig_pipe_left(struct gt_m *m); /* sigpipe.c */

/* proc.c */
struct gt_m *gt_m_alloc(void);
void gt_mstart(struct gt_m *m);
bool gt_newm(struct gt_p *p, bool spinning);
int gt_maker_start(void);
void gt_maker_fork_child(void);
struct gt_m *gt_m_init_main(void *own_tp);

/* timer.c */
void gt_timer_add(struct gt_g *g, uint64_t ticket, int64_t when);
void gt_timer_del(struct gt_g *g);
/* The realtime clock was set. */
void gt_timer_clock_set(void);
/* Runs what is due on p's heap; the next deadline, INT64_MAX: none. */
int64_t gt_timer_run(struct gt_p *p, int64_t now);
/* Earliest deadline of all Ps. */
int64_t gt_timer_first(void);
void gt_wake_netpoller(int64_t when);

/* stack.c */
struct gt_stack {
    char *base;  /* lowest address, guard included */
    size_t size; /* whole reservation */
    size_t guard;
    bool counted;          /* its guard is one of those that cost a mapping */
    void *tp;              /* thread block at the top, kept across tenancies; NULL: none yet */
    struct gt_stack *next; /* pool: STACKS lock */
};
struct gt_stack *gt_stack_alloc(size_t size, size_t guard);
void gt_stack_free(struct gt_stack *s);
/* Makes the n bytes at lo fault.  0, also when the budget of such guards is used up; -errno.
 * *counted: the guard is one of that budget. */
int gt_stack_guard(char *lo, size_t n, bool *counted);
/* g faulted at pc, an address on its own stack: true if the process's stacks are executable by now,
 * and so is g's; it goes on there.  Async-signal-safe. */
bool gt_stack_allow_exec(const struct gt_g *g, uintptr_t pc);
void gt_stack_fork_lock(void);
void gt_stack_fork_unlock(void);

/* signal.c */
/* What the runtime's own kernel threads block: all but libc's 32 and 33, and faults. */
#define GT_SIG_QUIET                                                                               \
    (~(1ull << 31 | 1ull << 32 | 1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) |                    \
       1ull << (SIGFPE - 1) | 1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1) |                       \
       1ull << (SIGSYS - 1)))
void gt_signal_sysmon(void);
int gt_signal_malloc(struct gt_m *m);
void gt_signal_minit(struct gt_m *m);
void gt_signal_boot(void);
void gt_signal_boot_libc(void);
void gt_sema_fork_child(void);
void gt_signal_newg(struct gt_g *g);
void gt_sig_mask_done(void);
/* What is pending for the first thread alone when the scheduler starts becomes its goroutine's. */
void gt_signal_adopt(struct gt_g *g1);
/* sysmon, at each round: tells those again whose cancellation came too early. */
void gt_cancel_retry(void);
bool gt_cancel_unheard(void);
void gt_signal_exitg(struct gt_g *g);
/* Its record is given up: what signals keep with it. */
void gt_signal_freeg(struct gt_g *g);
void gt_signal_fork_child(struct gt_g *g);
void gt_signal_fork_lock(void);
void gt_signal_fork_unlock(void);
void gt_send_preempt(struct gt_m *m);
/* sysmon.c */
void *gt_sysmon(void *);
#endif
