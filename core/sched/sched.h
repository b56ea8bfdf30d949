/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the scheduler offers: start, create, park, ready, runtime sections, announced calls.
 * Names are Go's, behind our prefix; the sources are Go's proc.go, runtime2.go and preempt.go.
 */
#ifndef GT_SCHED_H
#define GT_SCHED_H

#include "core/os/os.h"
#include "core/sched/types.h"

/* ---- life of the runtime ---- */
/* True once the first pthread_create has started the scheduler. */
extern _Atomic bool gt_started;
/* Starts it: the calling thread becomes G1 on M0.  Idempotent.  Returns 0; -ENOSYS when M:N can't
 * run here (one line on stderr has said why): the caller then stays 1:1. */
int gt_sched_start(int nprocs);
/* Is nothing else ready to run in the whole process? */
bool gt_sched_idle(void);
/* Number of Ps. */
int gt_gomaxprocs(void);

/* ---- goroutines ---- */
struct gt_newproc {
    void *(*fn)(void *);
    void *arg;
    size_t stack;     /* bytes wanted, thread block excluded; 0: default */
    size_t guard;     /* bytes */
    void *user_stack; /* the program's own stack (lowest address) or NULL; then stack = its size */
    bool detached;
    uintptr_t pc; /* of the caller, for "created by" */
    gt_sigset sigmask;
    struct gt_attrs attrs;
    uint32_t want;       /* which of them are not an M's default, 1 << enum gt_wire_why */
    bool explicit_sched; /* policy and priority were asked for, not inherited */
    bool heir;           /* its kernel thread is to be a clone of the caller's */
};
/* Makes a goroutine and queues it.  *tp, its thread block and pthread_t, is stored before it can
 * run; when we return it may have ended already.  Errors: -EAGAIN (no memory for a stack, no
 * kernel thread for an heir), -EINVAL.
 */
int gt_newproc(const struct gt_newproc *np, void **tp);
/* End of the goroutine's stack, thread block included. */
char *gt_stack_top(const struct gt_g *g);
/* Ends the calling goroutine; destructors have run.  Never returns.  On g0, after the thread
 * pointer has gone back to the M, the goroutine is published as dead. */
GT_NORETURN void gt_goexit(struct gt_g *g);
/* Gives a dead, joined goroutine back to the pools. */
void gt_gfree(struct gt_g *g);
/* Is tid one of those that goroutines get?  (The first goroutine's is the process's.) */
bool gt_tid_is_goroutine(int tid);
/* Is ktid a kernel thread of the runtime's other than the process's first?  The Ms, sysmon, the
 * maker of Ms. */
bool gt_is_own_kthread(int ktid);
/* The goroutine whose thread block is tp, or NULL: not ours.  Reads the block. */
struct gt_g *gt_g_of(void *tp);
/* The live goroutine that gettid() calls so, or NULL.  A walk over all, but for the caller's own.
 */
struct gt_g *gt_g_by_tid(int tid);
/* Calls f for every goroutine that is not IDLE, under the ALLG lock. */
void gt_foreach_g(void (*f)(struct gt_g *g, void *arg), void *arg);
/* Calls f for the thread block of every pooled stack. */
void gt_stack_foreach_free(void (*f)(void *tp, void *arg), void *arg);
/* Runs on the new goroutine before fn, and after it: set by the interpose layer. */
extern void *(*gt_g_main)(struct gt_g *g);

/* ---- runtime sections ----
 * Between enter and leave the goroutine is not preempted, no user's handler runs on it, and its M
 * holds a P.  They nest.  leave may yield and may run signal handlers (user code!): hold nothing.
 */
void gt_rt_reacquire(struct gt_g *g);
/* GOTHREAD=yield=PERCENT: now and then another goroutine goes first, where one may. */
extern bool gt_random_yields;
void gt_rt_yield_now_and_then(struct gt_g *g);
void gt_rt_attend(struct gt_g *g);
/* in_rt is set: a P is needed from here on. */
static inline void gt_rt_entered(struct gt_g *g)
{
    GT_COMPILER_BAR(); /* pairs with sysmon's membarrier: in_rt is stored before the word is read */
    struct gt_m *m = g->m;
    if (unlikely(!m->p ||
                 (load_rlx(&m->p->word) & 0xffffffffull) != (uint32_t)GT_PW(GT_P_RUN, m->id, 0)))
        gt_rt_reacquire(g);
    if (unlikely(gt_random_yields))
        gt_rt_yield_now_and_then(g);
}
static inline void gt_rt_enter(struct gt_g *g)
{
    store_rlx(&g->in_rt, load_rlx(&g->in_rt) + 1);
    gt_rt_entered(g);
}
static inline void gt_rt_leave(struct gt_g *g)
{
    uint32_t d = load_rlx(&g->in_rt) - 1;
    GT_COMPILER_BAR();
    store_rlx(&g->in_rt, d);
    GT_COMPILER_BAR();
    /* whoever sets attention sends SIGURG: its handler finds in_rt 0, or ran before the store, and
     * then we see what it was about */
    if (unlikely(d == 0 && load_rlx(&g->attention)))
        gt_rt_attend(g);
}

/* In a runtime section whose m->mcache is NULL: finds the mcache of its P (makes one, if the P has
 * none yet).  may_wait: if the M has lost its P, waits for one, perhaps on another M.  NULL: there
 * is no P to use (an announced call), or no memory. */
struct gt_mcache *gt_m_mcache(struct gt_g *g, bool may_wait);
/* May a goroutine be switched out at pc: in the program's own text, not in libc's or ours? */
bool gt_preemptible(uintptr_t pc);
/* The end of a runtime section that found attention: handlers run; yields only if it may. */
void gt_rt_attend_at(struct gt_g *g, uintptr_t pc);

/* ---- park and ready ---- */
/* The parker of the calling thread: the goroutine's, or a foreign thread's own. */
struct gt_parker *gt_parker_self(void);
/* Opens a ticket: from now on a waker may win it. */
uint64_t gt_park_begin(struct gt_parker *pk);
/* Sleeps until the ticket is won or `when` passes; GT_PARK_INTR: signals and cancellation may win
 * it too (GT_WAKE_SIGNAL, at once when something is pending).  On a goroutine inside a runtime
 * section; off a goroutine it waits on the note (signals: EINTR of a foreign thread's futex counts
 * as GT_WAKE_SIGNAL only with GT_PARK_INTR).  Returns who won. */
enum gt_wake gt_park(struct gt_parker *pk, uint64_t ticket, enum gt_reason why, int64_t when,
                     unsigned flags);
#define GT_PARK_INTR 1u
/* A sleeper taken by a waker, safe to keep when the waiter's own memory is gone. */
struct gt_wakee {
    struct gt_g *g;               /* ready this goroutine */
    const _Atomic uint32_t *note; /* or wake this futex */
};
/* Tries to win the ticket with `outcome`.  False: somebody else has.  True: *w must be given to
 * gt_wake() after all locks are released. */
bool gt_park_win(struct gt_parker *pk, uint64_t ticket, enum gt_wake outcome, struct gt_wakee *w);
void gt_wake(const struct gt_wakee *w);
/* The same as win + wake. */
bool gt_park_wake(struct gt_parker *pk, uint64_t ticket, enum gt_wake outcome);

/* Makes g (state PARK, ticket won, or new) runnable.  next: in the runnext slot. */
void gt_goready(struct gt_g *g, bool next);
/* Lets others run; false when nobody else was there to run. */
bool gt_gosched(struct gt_g *g);
/* sysmon has asked for it: lets others run, or goes on. */
void gt_preempted(struct gt_g *g);
#define GT_TURNS 5 /* a turn is Go's 10 ms, and sysmon asks every 2 */
/* Goes through the scheduler in any case. */
void gt_yield(struct gt_g *g);

/* How often goroutines slept and were woken by what they waited for, by reason. */
extern _Atomic uint64_t gt_park_count[GT_R_COUNT], gt_wake_count[GT_R_COUNT];

/* ---- announced system calls ---- */
/* The P may be retaken while we are in the kernel; _block: it will block for long, let others have
 * the P at once.  Between enter and exit no runtime section is open (in_rt 0 is set for the
 * caller's depth 1), user handlers are queued and run at exit. */
void gt_entersyscall(struct gt_g *g);
void gt_entersyscallblock(struct gt_g *g);
/* A goroutine that is to be cancelled makes, or is in, a call inside libc that may be a
 * cancellation point: when it waits there, it is told again.  Async-signal-safe. */
void gt_cancel_again(void);
void gt_exitsyscall(struct gt_g *g);
/* enter + an interruptible raw system call + exit.  -EINTR: a signal is to be looked at (gt_intr).
 */
long gt_syscall_blocking(struct gt_g *g, long nr, long a, long b, long c, long d, long e, long f);

/* After -EINTR or GT_WAKE_SIGNAL inside a runtime section: runs pending handlers and acts on
 * cancellation (may not return).  restart: the call is one that SA_RESTART restarts.  Returns true
 * when the call must fail with EINTR; false: go on waiting (no handler ran, or all that ran
 * restart). The runtime section is left while handlers run. */
bool gt_intr(struct gt_g *g, bool restart);
/* Acts on a pending cancellation, if enabled (then never returns).  Set by the interpose layer. */
extern void (*gt_cancel_act)(struct gt_g *g);

/* ---- preemption, sysmon, dumps ---- */
/* Asks the M that runs g (if any) to look at g->attention. */
void gt_kick(struct gt_g *g);
/* Prints goroutines as Go does to fd 2: all, or only `only`.  Neither allocates nor locks for long.
 */
void gt_traceback_all(struct gt_g *first);
void gt_schedtrace(bool detail);

/* sysmon calls it every 10 ms while something runs: a look at what may have missed its wake.  Set
 * by the interpose layer (futexes). */
extern void (*gt_recheck_hook)(void);

/* ---- fork ---- */
/* Around the raw fork: before (on the goroutine, returns with every runtime lock held in order),
 * after in the parent, after in the child (only this goroutine and this kernel thread exist). */
void gt_fork_before(struct gt_g *g);
void gt_fork_parent(struct gt_g *g);
void gt_fork_child(struct gt_g *g);
/* The first goroutine's thread block. */
void *gt_main_tp(void);
/* The survivor in a fork's child that has not started the scheduler again, else NULL.  Its thread
 * is, to gt_self(), no goroutine. */
struct gt_g *gt_solo(void);

#endif
