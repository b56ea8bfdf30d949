/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sysmon: a kernel thread without a P that looks after the rest.   Source: Go's sysmon and retake.
 *
 * Each tick (20 us while Ps are taken, backing off to 10 ms, to 2 ms while somebody waits for a P;
 * asleep while every P is idle):
 *   - a P in CALL for a whole tick, with work waiting: taken and handed on;
 *   - a P whose schedtick has not moved for 10 ms (2 ms when others wait, 0.1 to 0.2 ms when its
 * goroutine did the same before: slice()), whose goroutine makes short calls: it is told to let
 * others run when it next leaves the runtime;
 *   - one that makes no calls, either: its M runs (state R): SIGURG, if others wait to
 * run; or it sleeps in a call that nobody announced (S, D): taken without a signal, which the
 * program would see as EINTR (PITFALLS 8): CAS RUN -> CLAIM;  membarrier;  in_rt still 0 and the
 * same goroutine -> CAS CLAIM -> IDLE: it is ours else CAS CLAIM -> RUN.   The M, at its next
 * runtime section: in_rt = 1, then looks at the word.
 *   - Ps with work for which no kernel thread could be made: another try every 10 ms;
 *   - the network, if nobody polled it for 10 ms; overdue timers; signals to hand on; stale
 * registrations; calls that hold all slots of the disk and do not end (disk.h).
 *
 * Runs with all signals blocked; takes SCHED and PD locks shortly.
 */
#include "core/kit/cfg.h"
#include "core/mem/mem.h"
#include "core/sched/disk.h"
#include "core/sched/netpoll.h"
#include "core/sched/sched_int.h"
#include "core/sched/sigwatch.h"
#include "core/sched/sysmon.h"

#define TICK_MIN     (20 * GT_US)
#define TICK_MAX     (10 * GT_MS)
#define SLICE        (10 * GT_MS)
#define SLICE_SHARED (SLICE / GT_TURNS)
#define SLICE_WOKEN  (500 * GT_US)
#define SLICE_SPIN   (200 * GT_US)
#define SLICE_SLEEP  (100 * GT_US)
#define RETRY        (200 * GT_US) /* after a preemption that may have been refused */
#define POLL         (10 * GT_MS)  /* how often descriptors are looked at, as in Go; */
#define POLL_BUSY    GT_MS         /* and while no P is idle, whose M would do it */
#define IDLE_SLEEP   (100 * GT_MS) /* all Ps idle for so long: sleep until one is not */

#define EXPECTED 8 /* looks in vain, before sleepers without notice are not expected any more */

static struct {
    struct gt_unannounced at[GT_UNANNOUNCED];
    int expected; /* counts down from EXPECTED since one was found */
} U;

const struct gt_unannounced *gt_sysmon_unannounced(void)
{
    return U.at;
}

/* Notes where a goroutine was found blocked: the pc of /proc/self/task/TID/syscall, its last field.
 */
static void note_unannounced(int ktid)
{
    char path[64], buf[256];
    gt_snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", ktid);
    int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    long n = sys_read(fd, buf, sizeof(buf) - 1);
    sys_close(fd);
    uintptr_t pc = 0;
    long i = n - 1;
    while (i > 0 && buf[i] != 'x')
        i--;
    for (i++; i > 0 && i < n; i++) {
        char c = buf[i];
        int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (v < 0)
            break;
        pc = pc << 4 | (uintptr_t)v;
    }
    for (int k = 0; pc && k < GT_UNANNOUNCED; k++)
        if (!U.at[k].pc || U.at[k].pc == pc) {
            U.at[k].pc = pc;
            U.at[k].count++;
            return;
        }
}

static struct gt_m *m_of(uint32_t id)
{
    struct gt_m *m = load_acq(&gt_sched.allm);
    while (m && m->id != id)
        m = m->alllink;
    return m;
}

/* The M sleeps in the kernel without having said so: takes its P. */
static bool claim(struct gt_p *p, uint64_t w, struct gt_m *m)
{
    uint64_t c = GT_PW(GT_P_CLAIM, m->id, GT_PW_SEQ(w) + 1);
    struct gt_g *g = load_acq(&m->curg);
    if (!g || load_rlx(&g->in_rt) || !cas_seq(&p->word, &w, c))
        return false;
    store_rlx(&m->mcache, NULL);
    sys_membarrier(8 /* PRIVATE_EXPEDITED: pairs with gt_rt_enter's plain store of in_rt */);
    bool asleep = load_acq(&m->curg) == g && load_acq(&g->in_rt) == 0;
    if (asleep) {
        char st = gt_kthread_state(m->ktid);
        asleep = st == 'S' || st == 'D';
    }
    uint64_t to =
        asleep ? GT_PW(GT_P_IDLE, 0, GT_PW_SEQ(c) + 1) : GT_PW(GT_P_RUN, m->id, GT_PW_SEQ(c) + 1);
    if (!cas_seq(&p->word, &c, to) || !asleep)
        return false;
    g->unannounced++;
    gt_stat_add(unannounced_blocks, 1);
    note_unannounced(m->ktid);
    if (load_rlx(&g->attention) & GT_ATT_CANCEL) /* asked for before a call inside libc waited */
        gt_send_preempt(m);
    gt_handoffp(p);
    return true;
}

/* How long a goroutine may run unseen.  With others behind it, queued or with a deadline that has
 * passed, half as long as the kernel would give it: it is asked then, and goes on when nobody is
 * behind it who was woken (gt_preempted).  Shorter when a descriptor or the time has woken somebody
 * whom no P has taken: the kernel would let him run at once.  And much shorter when it was found at
 * the same place each time, with the same in its registers, or in a loop that says so (pause): a
 * thread that spins for one that waits for its P costs a whole slice for each hand-over (redis' I/O
 * threads with one P).  A loop that works has other registers each time; short slices would only
 * cost it what it has in the CPU's caches.  Where one was found asleep others will be soon, and
 * itself again: libgomp's threads at a barrier wait by futex calls of their own instructions, and
 * the next in line would wait for each in turn.  So the first look is early then. */
static int64_t slice(struct gt_p *p, uint64_t w, int64_t now)
{
    bool woken = load_rlx(&gt_sched.runqsize) || gt_timer_first() <= now;
    if (gt_runqempty(p) && !woken)
        return SLICE;
    struct gt_m *m = m_of(GT_PW_M(w));
    struct gt_g *g = m ? load_acq(&m->curg) : NULL;
    if (!p->looked && (U.expected || (g && g->unannounced >= 2)))
        return SLICE_SLEEP;
    if (g && load_rlx(&g->spins) >= 2)
        return SLICE_SPIN;
    return woken ? SLICE_WOKEN : SLICE_SHARED;
}

/* What sysmon found: how soon it looks again. */
enum found {
    FOUND_NOTHING,
    FOUND_BUSY, /* it has told a goroutine to let others run: did that, in RETRY? */
    FOUND_P,    /* it has taken a P, or a goroutine spins for another one */
};

static enum found look_at_running(struct gt_p *p, uint64_t w, int64_t now)
{
    struct gt_m *m = m_of(GT_PW_M(w));
    if (!m)
        return FOUND_NOTHING;
    char st = gt_kthread_state(m->ktid);
    if (st == 'S' || st == 'D') {
        if (!claim(p, w, m))
            return FOUND_NOTHING;
        U.expected = EXPECTED;
        return FOUND_P;
    }
    if (gt_sched_idle() && gt_timer_first() > now && !gt_netpoll_waiters())
        return FOUND_NOTHING; /* nobody would profit */
    struct gt_g *g = load_acq(&m->curg);
    if (!g)
        return FOUND_NOTHING;
    if (p->asked && !(load_rlx(&g->attention) & GT_ATT_PREEMPT)) { /* it has heard, and goes on */
        p->asked = false;
        if (p->doubted && load_rlx(&g->spins) != 1)
            return FOUND_NOTHING;
        p->doubted = true; /* to be found at the same place once more */
        p->seen_when = now - slice(p, w, now) + RETRY;
        return FOUND_BUSY;
    }
    bool early = !p->looked && (U.expected || g->unannounced >= 2);
    g->unannounced = 0;
    if (early) { /* not asleep this time: it gets the rest of its slice */
        p->looked = true;
        p->seen_when = now - SLICE_SLEEP;
        U.expected -= U.expected > 0;
        return FOUND_NOTHING;
    }
    int64_t given = slice(p, w, now);
    or_acqrel(&g->attention, GT_ATT_PREEMPT);
    if (!gt_cfg.asyncpreemptoff && load_rlx(&g->in_rt) == 0) {
        gt_send_preempt(m);
        /* refused where it is in a library that may hold a lock: ask again soon */
        p->seen_when = now - given + RETRY;
        p->asked = true;
    }
    return given == SLICE_SPIN ? FOUND_P : FOUND_BUSY;
}

static bool retake_call(struct gt_p *p, uint64_t w, int64_t now)
{
    bool others = load_seq(&gt_sched.nmspinning) + load_seq(&gt_sched.npidle) > 0;
    if (gt_runqempty(p) && (others || !load_seq(&gt_sched.runqsize)) && now - p->seen_when < SLICE)
        return false;
    if (gt_runqempty(p) && gt_sched_idle() && load_rlx(&p->when0) == INT64_MAX && others)
        return false; /* nobody wants it: let it come back cheaply */
    if (!gt_p_take(p, w))
        return false;
    gt_stat_add(p_retakes, 1);
    gt_handoffp(p);
    return true;
}

/* A goroutine that makes one short call after another is in another call, or between two, at each
 * look.  Its turn ends nevertheless: at its next way out of the runtime. */
static enum found end_turn(struct gt_p *p, uint64_t w, int64_t now)
{
    if (gt_sched_idle() || now - p->turn_when < slice(p, w, now))
        return FOUND_NOTHING;
    struct gt_m *m = m_of(GT_PW_M(w));
    struct gt_g *g = m ? load_acq(&m->curg) : NULL;
    if (!g)
        return FOUND_NOTHING;
    p->turn_when = now;
    or_acqrel(&g->attention, GT_ATT_PREEMPT);
    return FOUND_BUSY;
}

static enum found look_at(struct gt_p *p, int64_t now)
{
    uint64_t w = load_acq(&p->word);
    uint32_t tick = load_rlx(&p->schedtick), state = GT_PW_STATE(w);
    if (state != GT_P_CALL && state != GT_P_RUN)
        return FOUND_NOTHING;
    bool turn = p->seen_tick == tick, stays = turn && p->seen_seq == GT_PW_SEQ(w);
    p->seen_tick = tick;
    p->seen_seq = GT_PW_SEQ(w);
    if (!turn)
        p->turn_when = now;
    if (!stays) {
        p->seen_when = now;
        p->asked = p->looked = p->doubted = false;
        return turn ? end_turn(p, w, now) : FOUND_NOTHING;
    }
    if (state == GT_P_CALL)
        return retake_call(p, w, now) ? FOUND_P : FOUND_NOTHING;
    if (now - p->seen_when < slice(p, w, now))
        return FOUND_NOTHING;
    p->seen_when = now;
    return look_at_running(p, w, now);
}

static enum found retake(int64_t now)
{
    enum found most = FOUND_NOTHING, f;
    for (int i = 0; i < gt_sched.nprocs; i++) {
        f = look_at(gt_sched.allp[i], now);
        most = GT_MAX(most, f);
    }
    return most;
}

static void poll_network(int64_t now)
{
    int64_t last = load_rlx(&gt_sched.lastpoll);
    int64_t every = load_rlx(&gt_sched.npidle) ? POLL : POLL_BUSY;
    if (!gt_netpoll_inited() || !gt_netpoll_waiters() || last == 0 || last + every > now ||
        !cas_acqrel(&gt_sched.lastpoll, &last, now))
        return;
    gt_injectglist(gt_netpoll(0));
}

void (*gt_recheck_hook)(void);

/* What Ps that are idle keep at hand: the memory that others gave back to them, too. */
static void flush_idle_ps(void)
{
    struct gt_p *list = NULL, *p;
    while ((p = gt_pidleget()) != NULL) {
        p->link = list;
        list = p;
    }
    while (list) {
        p = list;
        list = p->link;
        if (p->mcache)
            gt_mc_attend(p->mcache);
        gt_handoffp(p);
    }
}

/* Once a second every owner gives up what it keeps, ten times a second the heap gives back. */
static void look_after_memory(int64_t now, bool idle)
{
    static int64_t flushed, given;
    if (!gt_cfg.malloc || (now - given < 100 * GT_MS && !idle))
        return;
    given = now;
    if (now - flushed >= GT_SEC || idle) {
        flushed = now;
        gt_mc_ask(GT_DUE_FLUSH);
        flush_idle_ps();
        gt_mc_flush_idle();
        gt_central_collect();
    }
    gt_heap_background(idle);
}

/* A P rests because no kernel thread could be had, and there is work. */
static bool lacks_m(void)
{
    return load_seq(&gt_sched.no_m) && !gt_sched_idle();
}

static void every_10ms(int64_t now)
{
    static int64_t last, last_trace;
    if (now - last < 10 * GT_MS)
        return;
    last = now;
    if (lacks_m()) {
        store_seq(&gt_sched.no_m, false);
        gt_wakep(); /* an M that sleeps by now, else the maker tries again */
    }
    if (gt_recheck_hook)
        gt_recheck_hook();
    gt_netpoll_recheck(now);
    look_after_memory(now, false);
    gt_disk_recheck();
    if (gt_cfg.schedtrace_ms && now - last_trace >= gt_cfg.schedtrace_ms * GT_MS) {
        last_trace = now;
        gt_schedtrace(gt_cfg.scheddetail);
    }
}

static bool all_idle(void)
{
    return load_seq(&gt_sched.npidle) == (uint32_t)gt_sched.nprocs && !gt_disk_waiting() &&
           !lacks_m();
}

/* How long sysmon may sleep: while no P is idle, somebody may be ready, or woken soon. */
static int64_t longest_sleep(void)
{
    if (load_rlx(&gt_sched.npidle))
        return TICK_MAX;
    if (gt_netpoll_waiters() || gt_timer_first() < gt_nanotime() + TICK_MAX)
        return POLL_BUSY;
    return gt_sched_idle() ? TICK_MAX : SLICE_SHARED;
}

/* Sleeps while every P is idle; pidleget and signals wake it. */
static void deep_sleep(void)
{
    uint32_t n = load_acq(&gt_sched.sysmon_note);
    store_seq(&gt_sched.sysmonwait, 1);
    gt_signal_sysmon(); /* what came before n was read */
    gt_sig_route();
    if (all_idle() && !gt_cancel_unheard())
        gt_sysmon_sleep(n, gt_cfg.schedtrace_ms ? gt_nanotime() + gt_cfg.schedtrace_ms * GT_MS
                                                : GT_NEVER);
    store_rlx(&gt_sched.sysmonwait, 0);
}

void *gt_sysmon(void *arg)
{
    int64_t delay = TICK_MIN, idle_since = 0;
    int quiet = 0;
    enum found found = FOUND_NOTHING;
    (void)arg;
    gt_tls.runtime = true;
    store_rlx(&gt_sched.sysmon_ktid, sys_gettid());
    sub_acqrel(&gt_sched.nstarting, 1);
    while (!load_acq(&gt_started))
        sys_nanosleep(50 * GT_US);
    for (;;) {
        delay = quiet == 0 ? TICK_MIN : quiet > 50 ? GT_MIN(delay * 2, TICK_MAX) : delay;
        if (delay > POLL_BUSY)
            delay = GT_MIN(delay, longest_sleep());
        uint32_t note = load_acq(&gt_sched.sysmon_note);
        gt_signal_sysmon();
        gt_sig_route();
        gt_sysmon_sleep(note, gt_nanotime() + (found == FOUND_BUSY ? GT_MIN(delay, RETRY) : delay));
        gt_sig_route(); /* at once: it may be what woke us */
        int64_t now = gt_nanotime();
        if (!all_idle())
            idle_since = 0;
        else if (!idle_since)
            idle_since = now;
        else if (now - idle_since > IDLE_SLEEP) {
            look_after_memory(now, true);
            deep_sleep();
            quiet = 0;
            idle_since = 0;
            continue;
        }
        poll_network(now);
        gt_cancel_retry();
        if (gt_timer_first() + GT_MS < now)
            gt_wakep();
        found = retake(now);
        quiet = found == FOUND_P ? 0 : quiet + 1;
        every_10ms(now);
    }
    return NULL;
}
