/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Masks: what each goroutine blocks, and what Ms and sysmon block for it (signal.c has the model).
 */
#include "core/os/sys.h"
#include "core/sched/signal_int.h"
#include "core/sched/sigwatch.h"

static struct {
    uint32_t nblock[GT_NSIG + 1]; /* SIGNAL lock: goroutines that block it */
    _Atomic uint32_t nlive;
    _Atomic bool anymask; /* some goroutine has ever blocked something */
    _Atomic gt_sigset
        all_block; /* blocked by every goroutine: under the lock; pairs with await_ms */
    _Atomic uint32_t mask_want; /* bumped with each change of all_block; futex */
    _Atomic uint32_t mask_have; /* sysmon: the last one that it has taken over; futex */
    _Atomic uint32_t awaiting;  /* who are in await_ms; pairs with gt_sig_mask_done */
    _Atomic uint32_t mask_done; /* bumped when one of them may go on; futex */
    _Atomic bool watching;      /* sysmon: gt_sigwatch has its descriptors */
    gt_sigset sysmon_mask;      /* sysmon only */
} S;

gt_sigset gt_kmask_of(gt_sigset mask)
{
    return mask & ~GT_SIG_RESERVED;
}

/* sysmon, at each round: the mask that is its part. */
void gt_signal_sysmon(void)
{
    uint32_t want = load_acq(&S.mask_want);
    if (want == load_rlx(&S.mask_have))
        return;
    gt_sigset all = load_acq(&S.all_block);
    gt_sigset watched = load_acq(&S.watching) ? gt_act_handled() & ~GT_SIG_UNWATCHED : 0;
    S.sysmon_mask = (all | watched | GT_SIGBIT(SIGURG)) & ~(GT_SIGBIT(32) | GT_SIGBIT(33));
    sys_sigprocmask(SIG_SETMASK, &S.sysmon_mask, NULL);
    gt_sigwatch_set(watched & ~all);
    store_rel(&S.mask_have, want);
    gt_futex_wake(&S.mask_have, 1 << 30);
}

void gt_signal_watch(bool on)
{
    store_rel(&S.watching, on);
    gt_sigmask_changed();
}

void gt_sigmask_changed(void)
{
    add_acqrel(&S.mask_want, 1);
}

/* Waits until the other Ms block what all goroutines block now.  One that runs a goroutine has its
 * mask; one that a goroutine has left takes another's, or rests and is quiet, in an instant.  Our
 * own M blocks it already: two who wait here would wait for each other. */
static void await_ms(gt_sigset grown)
{
    struct gt_g *g = gt_self();
    grown &= GT_SIG_QUIET & ~GT_SIG_RESERVED; /* an M that rests blocks no fault */
    if (!grown)
        return;
    add_seq(&S.awaiting, 1);
    for (struct gt_m *m = load_acq(&gt_sched.allm); m; m = m->alllink)
        while (!g || m != g->m) {
            uint32_t done = load_acq(&S.mask_done);
            if (!(grown & load_seq(&S.all_block) & ~load_seq(&m->kblocked)))
                break;
            gt_futex_wait(&S.mask_done, done, GT_NEVER);
        }
    add_seq(&S.awaiting, -1u);
}

/* An M has taken a mask, or fewer signals are blocked by all. */
void gt_sig_mask_done(void)
{
    if (likely(!load_seq(&S.awaiting)))
        return;
    add_acqrel(&S.mask_done, 1);
    gt_futex_wake(&S.mask_done, INT32_MAX);
}

/* After a change under the lock: sysmon follows; what all block anew is waited for. */
static void tell_sysmon(uint32_t want, gt_sigset grown)
{
    if (!want)
        return;
    gt_sig_wake_sysmon();
    if (grown)
        gt_sig_await_round(&S.mask_have, want);
}

/* Counts a goroutine's change of mask; SIGNAL lock.  Returns the round to wait for, 0: nothing
 * changed for sysmon.  *grown: what all block since. */
static uint32_t count_mask(gt_sigset old, gt_sigset new, gt_sigset *grown)
{
    gt_sigset changed = old ^ new, all = 0, was = load_rlx(&S.all_block);
    for (int s = 1; s <= GT_NSIG; s++) {
        if (changed & GT_SIGBIT(s))
            S.nblock[s] += new &GT_SIGBIT(s) ? 1u : -1u;
        if (load_rlx(&S.nlive) && S.nblock[s] >= load_rlx(&S.nlive))
            all |= GT_SIGBIT(s);
    }
    *grown = all & ~was;
    if (all == was)
        return 0;
    store_seq(&S.all_block, all);
    gt_sig_mask_done();
    return add_acqrel(&S.mask_want, 1) + 1;
}

/* One goroutine more (+1), fewer (-1), or the same, with a new mask.  What all block since. */
static gt_sigset recount(gt_sigset old, gt_sigset new, int live)
{
    gt_sigset grown;
    gt_lock(&gt_sig_lock, GT_RANK_SIGNAL);
    add_rlx(&S.nlive, (uint32_t)live);
    uint32_t want = count_mask(old, new, &grown);
    gt_unlock(&gt_sig_lock, GT_RANK_SIGNAL);
    tell_sysmon(want, grown);
    return grown;
}

void gt_signal_newg(struct gt_g *g)
{
    if (g->sigmask)
        store_rlx(&S.anymask, true);
    if (!g->sigmask && !load_rlx(&S.all_block))
        add_rlx(&S.nlive, 1); /* nothing is blocked by all before and after: no lock */
    else
        recount(0, g->sigmask, 1);
}

void gt_sigmask_exitg(struct gt_g *g)
{
    if (!g->sigmask && !load_rlx(&S.anymask))
        add_rlx(&S.nlive, -1u);
    else if (recount(g->sigmask, 0, -1))
        gt_m_setmask(g->m, GT_SIG_QUIET); /* all others block something: not to be taken here */
}

static void set_mask_here(struct gt_g *g, gt_sigset mask)
{
    g->sigmask = mask;
    gt_m_setmask(g->m, gt_kmask_of(mask));
}

/* What is unblocked here is unblocked on this M before sysmon may take it: so this M gets all that
 * waits in the kernel, in its order.  What is blocked here sysmon blocks first, when all do. */
void gt_sigmask_set(struct gt_g *g, gt_sigset mask)
{
    gt_sigset old = g->sigmask;
    mask &= ~GT_SIG_UNBLOCKABLE;
    if (mask == old)
        return;
    if (!load_rlx(&S.anymask))
        store_rlx(&S.anymask, true);
    if (old & ~mask) {
        set_mask_here(g, old & mask);
        gt_sig_call_stranded(g);
    }
    gt_sigset grown = recount(old, mask, 0);
    if (mask & ~old)
        set_mask_here(g, mask);
    await_ms(grown);
    gt_sig_retry_held();
}

void gt_sig_setmask(struct gt_g *g, gt_sigset mask)
{
    gt_sigset unblocked = g->sigmask & ~mask;
    gt_sigmask_set(g, mask);
    if (unblocked)
        gt_sig_fetch_held(unblocked);
    if (gt_sigq_maybe(g))
        gt_run_signals(g);
}

void gt_sigmask_fork_child(void)
{
    store_rlx(&S.watching, false);
    gt_memset(S.nblock, 0, sizeof(S.nblock));
    store_rlx(&S.nlive, 0);
    store_rlx(&S.all_block, 0);
    store_rlx(&S.awaiting, 0);
}
