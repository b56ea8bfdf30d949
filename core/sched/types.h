/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The shared types of the scheduler: G (goroutine), M (kernel thread), P (the right to run one
 * G), as in Go's runtime2.go.  No code beyond one-line accessors.
 *
 * G states.  Exactly one party owns each state; only it may leave it.
 *   state    owner                       on a queue?  its stack is in use by
 *   IDLE     the free lists              no           nobody
 *   READY    whoever dequeues it         yes, one     nobody
 *   RUN      its M                       no           its M
 *   CALL     its M (the P may be gone)   no           its M, in the kernel
 *   PARK     the winner of its ticket    no           nobody
 *   DEAD     the joiner                  no           nobody (block kept for pthread_join)
 * Edges:  IDLE->READY (newproc)  READY->RUN (execute)  RUN->READY (yield, preemption)
 *         RUN->PARK (gopark)     PARK->READY (goready) RUN->CALL, CALL->RUN (system call)
 *         CALL->READY (system call ended, no P)        RUN->DEAD, DEAD->IDLE (exit, join)
 *
 * P ownership is one 64-bit word {state, m, seq}; every change is a CAS that bumps seq.
 *   IDLE      on sched.pidle            RUN    its M runs Go code of it
 *   CALL      its M is in an announced system call: sysmon or a waker may take it
 *   CLAIM     sysmon asks whether its M sleeps in a call that nobody announced (P8)
 *   STOP      held by stop-the-world
 */
#ifndef GT_TYPES_H
#define GT_TYPES_H

#include "core/arch/arch.h"
#include "core/base/atomic.h"
#include "core/kit/kit.h"
#include "core/os/sys.h"

struct gt_m;
struct gt_p;
struct gt_mcache;

enum gt_gstatus { GT_G_IDLE, GT_G_READY, GT_G_RUN, GT_G_CALL, GT_G_PARK, GT_G_DEAD };

/* Why a goroutine waits: shown in tracebacks, counted in --stats.  X(id, name, text) */
#define GT_REASONS(X)                                                                              \
    X(NONE, none, "waiting")                                                                       \
    X(MUTEX, mutex, "mutex wait")                                                                  \
    X(COND, cond, "cond wait")                                                                     \
    X(RWLOCK, rwlock, "rwlock wait")                                                               \
    X(BARRIER, barrier, "barrier wait")                                                            \
    X(SEM, sem, "semaphore wait")                                                                  \
    X(ONCE, once, "once wait")                                                                     \
    X(JOIN, join, "join wait")                                                                     \
    X(SLEEP, sleep, "sleep")                                                                       \
    X(FUTEX, futex, "futex wait")                                                                  \
    X(IO_READ, io_read, "IO read")                                                                 \
    X(IO_WRITE, io_write, "IO write")                                                              \
    X(POLL, poll, "poll wait")                                                                     \
    X(SIGNAL, signal, "signal wait")                                                               \
    X(DISK, disk, "disk wait")                                                                     \
    X(SPIN, spin, "spin wait")
enum gt_reason {
#define X(id, name, text) GT_R_##id,
    GT_REASONS(X)
#undef X
        GT_R_COUNT
};

/* Outcome of a park: who won the ticket. */
enum gt_wake {
    GT_WAKE_OPEN = 0,    /* nobody yet */
    GT_WAKE_READY = 1,   /* what was waited for */
    GT_WAKE_TIMEOUT = 2, /* the deadline */
    GT_WAKE_SIGNAL = 3,  /* a signal handler must run, or cancellation was asked for */
};

/* The ticket of one sleep.  A parker belongs to a goroutine or to a foreign kernel thread.
 *   word = seq << 8 | asleep << 4 | outcome.   Sleeping begins with outcome OPEN and a new seq;
 *   waking is one CAS OPEN -> outcome.  The sleeper sets `asleep` when it has left its stack:
 *   a waker that finds it set must ready the goroutine, one that does not need do nothing more. */
#define GT_PK_OUTCOME 0x0full
#define GT_PK_ASLEEP  0x10ull
#define GT_PK_SEQ     (~0xffull)
struct gt_parker {
    _Atomic uint64_t word; /* acq_rel CAS by wakers; pairs with gt_park_finish */
    struct gt_g *g;        /* NULL: a foreign thread, which sleeps on note */
    _Atomic uint32_t note; /* futex word of a foreign sleeper: bumped by the waker */
};

/* A timer of a sleeping goroutine; lives in its G. */
struct gt_timer {
    int64_t when;             /* heap lock: monotonic ns */
    int64_t asked;            /* heap lock: the deadline as it was given */
    uint64_t ticket;          /* heap lock */
    _Atomic(struct gt_p *) p; /* whose heap holds it; NULL: none.  Changed under that heap's lock */
    uint32_t idx;             /* heap lock: slot in the heap */
};

struct gt_g {
    struct gt_ctx ctx;          /* valid unless running */
    struct gt_m *m;             /* the M that runs it; owner of the state */
    _Atomic uint32_t status;    /* enum gt_gstatus; store release by the owner */
    _Atomic uint32_t in_rt;     /* depth of runtime sections; own thread writes, sysmon reads
                                   after membarrier (P8) */
    _Atomic uint32_t attention; /* 1 preempt, 2 signals, 4 cancel, 8 wire: set by others, acted on
                                   when the runtime is left; pairs with gt_rt_leave */
    uint32_t flags;             /* GT_GF_*: owner only */
    struct gt_parker pk;
    struct gt_timer timer;
    struct gt_g *schedlink; /* next in a queue: owner of the queue */
    uint64_t goid;
    int tid;                   /* what gettid() says */
    void *tp;                  /* thread block = pthread_t */
    char *stack_lo, *stack_hi; /* usable stack: [lo, hi); hi excludes the thread block */
    char *stack_top;           /* end of the stack, thread block included */
    size_t guard;              /* bytes of guard below stack_lo */
    size_t stack_asked;        /* bytes that the program asked for, thread block included */
    struct gt_stack *stack;    /* pool entry; NULL: the program's or the process's own */
    void *(*fn)(void *);
    void *arg;
    void *result;
    uintptr_t call_pc, call_sp, call_bp; /* where it entered its system call: for tracebacks */
    uint64_t parent;                     /* goid of the creator */
    uintptr_t created_pc;                /* return address of pthread_create */
    _Atomic uint64_t intr_ticket;        /* the ticket that signals may win now, 0: none; or'ed with
                                            the GT_ATT_* bits that may.  Owner writes, gt_kick reads */
    _Atomic uint32_t waitreason;         /* enum gt_reason; written before parking */
    uint64_t waitsince;                  /* cycles, when it left its stack; 0: not measured */
    _Atomic uint64_t cpu_cyc; /* CPU time of short runs, cycles: see cputime.c.  Written by its M */
    uint64_t nvcsw, nivcsw;   /* how often it slept, was preempted: owner */
    _Atomic int64_t cpu_ns;   /* the rest of its CPU time, by the kernel's clock.  By its M */
    _Atomic int64_t cpu_seen; /* the most that anybody was told; CAS */
    struct gt_g *alllink;     /* list of all Gs: ALLG lock */

    /* life and join: SEMA bucket of &g->life */
    _Atomic uint32_t life;         /* GT_LIFE_*; futex-like word that joiners wait on */
    _Atomic(struct gt_g *) joiner; /* who joins it; CAS */

    /* signals: see signal.c */
    gt_sigset sigmask;                     /* owner */
    _Atomic(struct gt_signode *) siginbox; /* pushed by anybody (CAS), taken whole by the owner */
    struct gt_signode *sigq, *sigqlast;    /* owner: pending, in the order of sigq.c */
    _Atomic bool stranded;    /* owner sets: signals of the process lie here that nobody takes */
    _Atomic uint32_t sigcame; /* how many were ever queued; pairs with sigtold */
    uint32_t sigtold;         /* owner: of those, seen by an edge-triggered epoll set */
    gt_sigset sigqset[2];     /* owner: what may be in sigq: for the thread; process */
    _Atomic gt_sigset sigpend[2]; /* standard signals pending for the thread; taken for
                                     the process.  Senders set, the owner clears */
    stack_t altstack;             /* virtual alternate stack: owner */
    char *aside;                  /* where it is preempted when it runs on a stack of the
                                     program's own making: owner; made at first need */
    uint32_t sigseq;              /* handlers that have run: owner */
    _Atomic gt_sigset waitset;    /* what sigwait waits for; 0: not in sigwait */

    /* cancellation */
    _Atomic uint32_t cancel; /* GT_CANCEL_* bits */
    void *cleanup;           /* chain of __pthread_unwind_buf_t: owner */
    uintptr_t clear_tid;     /* cleared and woken at its end, as the program has asked for with
                                set_tid_address; 0: it has not; 1: nothing.  Owner */
    void *old_cleanup;       /* chain of struct _pthread_cleanup_buffer: owner */
    uint64_t unwind_exc[8];  /* the forced unwind's exception object: owner */

    char name[16];
    uint64_t rand;                      /* for yield=PERCENT */
    uintptr_t spin_pc;                  /* where it was preempted last: owner */
    uintptr_t spin_regs[GT_ARCH_NREGS]; /* and with what in its registers: owner */
    _Atomic uint32_t spins; /* so often in a row about alike: it may be spinning for one that waits
                               for its P; sysmon reads */
    uint32_t unannounced;   /* so often in a row was it found blocked without notice: sysmon */
    uint32_t turn, heard;   /* its P's schedtick, and how often it has gone on in that turn though
                               it was asked to let others run: owner */
    _Atomic bool spent; /* it is queued because its turn was up: stored before it is queued, read
                           by who owns the queue and finds it there (runq, release) */
    bool is_g0;
    /* wiring: see wire.c */
    struct gt_m *wiredm;   /* it runs on this M only; NULL: anywhere.  Owner */
    uint32_t wires;        /* uses: owner */
    uint32_t shared_calls; /* of the C library, with the kernel's thread id in the block: owner */
    uint32_t wire_set;     /* states, 1 << enum gt_wire_why: owner */
    _Atomic uint32_t want; /* what others have changed below, 1 << enum gt_wire_why; pairs with
                              GT_ATT_WIRE */
    struct gt_attrs {      /* as the program sees them: IDENT lock */
        int policy, priority, nice;
        uint64_t cpus[16]; /* when has_cpus */
        bool has_cpus;
        int slack; /* timer slack, ns */
    } attrs;
};
#define GT_GF_MAIN     1u  /* the process's first thread */
#define GT_GF_USERSTK  2u  /* runs on a stack of the program */
#define GT_GF_EXITING  4u  /* destructors run: no more cancellation */
#define GT_GF_NCALL    8u  /* counted in gt_sched.ncall */
#define GT_GF_EXPLICIT 16u /* its scheduling attributes were asked for, not inherited */

#define GT_LIFE_ALIVE    0u
#define GT_LIFE_DETACHED 1u
#define GT_LIFE_DEAD     2u
#define GT_LIFE_JOINED   4u

#define GT_CANCEL_DISABLED 1u
#define GT_CANCEL_ASYNC    2u
#define GT_CANCEL_PENDING  4u
#define GT_CANCEL_EXITING  8u

#define GT_ATT_PREEMPT 1u
#define GT_ATT_SIGNAL  2u
#define GT_ATT_CANCEL  4u
#define GT_ATT_WIRE    8u

/* The only thread-local variables.  g is NULL off a goroutine (before start, on a foreign thread,
 * in a vfork child), the M's g0 on g0. */
struct gt_tls {
    struct gt_g *g;      /* who runs */
    struct gt_g *owner;  /* whose block this is (pthread_t -> G); never changes in a tenancy */
    struct gt_parker pk; /* a foreign thread's own */
    bool foreign_counted;
    bool runtime;             /* a kernel thread of the runtime's own: sysmon, the maker */
    bool in_vfork;            /* the child of a vfork runs on this block */
    bool own_files;           /* a task that shares our memory but not the descriptors */
    bool own_actions;         /* and not the signals' actions */
    struct gt_mcache *mcache; /* a kernel thread's; on a goroutine's block NULL: see m->mcache */
};
extern __thread struct gt_tls gt_tls __attribute__((tls_model("initial-exec")));

/* The goroutine that runs this code, or NULL when not on one (then: real.* or a note). */
static inline struct gt_g *gt_self(void)
{
    struct gt_g *g = gt_tls.g;
    return likely(g != NULL) && unlikely(g->is_g0) ? NULL : g;
}

#define GT_P_IDLE            0u
#define GT_P_RUN             1u
#define GT_P_CALL            2u
#define GT_P_CLAIM           3u
#define GT_P_STOP            4u
#define GT_PW(state, m, seq) ((uint64_t)(state) | (uint64_t)(m) << 4 | (uint64_t)(seq) << 32)
#define GT_PW_STATE(w)       ((uint32_t)((w)&15))
#define GT_PW_M(w)           ((uint32_t)((w) >> 4) & 0x0fffffffu)
#define GT_PW_SEQ(w)         ((uint32_t)((w) >> 32))

#define GT_RUNQ 256
#define GT_MAXP 1024

struct gt_p {
    _Atomic uint64_t word; /* see above; CAS acq_rel */
    uint32_t id;
    struct gt_p *link;                    /* pidle list: SCHED lock */
    _Atomic uint32_t schedtick;           /* +1 at each execute; sysmon reads */
    GT_CACHE_ALIGN _Atomic uint32_t head; /* any M, CAS acq_rel: takes slots */
    _Atomic uint32_t tail;                /* owner only, store release: publishes slots */
    _Atomic(struct gt_g *) runnext;       /* owner stores; any M CASes to NULL */
    _Atomic(struct gt_g *) runq[GT_RUNQ]; /* owner writes [tail]; readable in [head, tail) */
    uint64_t rand;
    struct gt_mcache *mcache; /* the owner M's to use; NULL until it is needed */
    /* timers: 4-ary heap */
    GT_CACHE_ALIGN struct gt_lock timers_lock;
    struct gt_g **heap;      /* TIMERS lock */
    uint32_t nheap, capheap; /* TIMERS lock */
    _Atomic int64_t when0;   /* earliest deadline, INT64_MAX: none; store under the lock */
    /* sysmon's own notes */
    uint32_t seen_tick; /* whose turn it is */
    uint32_t seen_seq;
    int64_t turn_when; /* since when it was seen_tick, and both */
    int64_t seen_when;
    bool asked;   /* its goroutine, by a signal, since seen_when */
    bool looked;  /* early, and it was not asleep, since it was seen first in this turn */
    bool doubted; /* it goes on in this turn: it was looked at again soon, whether it spins */
};

struct gt_m {
    struct gt_g g0;                     /* scheduler context; ctx of the M's own stack */
    struct gt_p *p;                     /* owner M only */
    _Atomic(struct gt_mcache *) mcache; /* its P's, while the P is in RUN and the M may use it
                                           without a look at the word; NULL: look.  Owner M; sysmon
                                           stores NULL before its membarrier */
    _Atomic(struct gt_g *) curg;        /* who runs on it; sysmon and dumps read */
    /* CPU time: see cputime.c.  Written by itself, read by anybody */
    _Atomic uint64_t cpu_cyc; /* cycle counter at the last switch; odd: the others change */
    _Atomic uint64_t cpu_win; /* cycles charged since cpu_read */
    _Atomic int64_t cpu_read; /* its kernel clock at the last reading, ns */
    bool cpu_idle;            /* it has searched for work since: owner */
    uint32_t id;              /* > 0 */
    int ktid;
    void *listed_tp;            /* the block that glibc's list has for this kernel thread */
    struct gt_g *piper;         /* the last that blocked SIGPIPE, NULL: it was looked for since */
    int piper_tid;              /* which it was then */
    gt_sigset kmask;            /* what the kernel's mask is now: owner */
    _Atomic gt_sigset kblocked; /* what it certainly blocks; pairs with sigmask.c, await_ms */
    struct gt_g *wiredg;        /* it runs this goroutine only; written by it.  See wire.c */
    bool spoiled;               /* it can't be used any more: owner */
    void *robust_tp;            /* whose robust list the kernel has: owner */
    bool spinning;
    bool nextspin;          /* start spinning when p is handed over */
    bool spare;             /* made in advance, without a P */
    _Atomic uint32_t ready; /* futex: a spare is on the idle list; pairs with the maker */
    struct gt_p *nextp;     /* handed over by startm; published by the note */
    _Atomic uint32_t note;  /* futex: 1 = go */
    struct gt_m *link;      /* idle list: SCHED lock */
    struct gt_m *alllink;   /* all Ms, push only */
    uint64_t rand;
    char *sigstack;                                     /* alternate stack for signals */
    struct gt_g *(*g0fn)(struct gt_m *, struct gt_g *); /* mcall: what to run on g0 */
    struct gt_g *g0arg;
};

#endif
