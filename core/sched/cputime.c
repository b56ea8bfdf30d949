/* SPDX-License-Identifier: BSD-2-Clause
 *
 * CPU time of goroutines.  The kernel counts it by kernel thread (M), and reading its clock costs
 * several context switches; the cycle counter is cheap, but it runs on while the kernel has taken
 * the CPU away.  So both:
 *
 *     kernel's clock of M    |--------------- window ---------------|
 *     who ran on M           | A | B | A | C |      A               |
 *                            ^ read           short: by cycles      ^ read: A gets the rest
 *
 * A short run is charged by cycles.  When the runs since the last reading exceed GT_CPU_WINDOW,
 * or somebody asks for the time of the goroutine that runs, the clock is read, and that goroutine
 * is charged with all that the window holds and nobody else was charged with, but never with more
 * than the time since it was switched in.  So the sum is the kernel's, a long run is exact, an
 * interval between two questions within one run is exact, and a single run's error is below a
 * window.  What g0 uses in the search for work is nobody's: gt_cpu_resume.
 *
 * Rejected: the kernel's clock at each switch (twice its cost); counting only goroutines that
 * somebody has asked about (the first answer would be wrong).
 *
 * m->cpu_cyc is a sequence lock as well: odd while its M changes the others.  All fields of an M
 * are written by that M alone, those of a G by the M that runs it.
 */
#include "core/sched/cputime.h"

#include "core/sched/sched_int.h"

#define RATE_SHIFT  24
#define RATE_SETTLE (100 * GT_MS)
#define SLACK_SHIFT 6 /* the cycle counter may be wrong by 1/64 */
#define SLACK_NS    2000
#define MAX_TRIES   64

static struct {
    _Atomic uint64_t mult; /* ns = cycles * mult >> RATE_SHIFT */
    _Atomic bool settled;
} rate;

static uint64_t measure_rate(void)
{
    uint64_t ns = (uint64_t)(gt_nanotime() - gt_sched.start_ns);
    uint64_t cycles = gt_arch_cycles() - gt_sched.start_cycles;
    bool settled = ns > RATE_SETTLE;
    for (; ns >> (63 - RATE_SHIFT); ns >>= 1)
        cycles >>= 1;
    if (!cycles)
        return 1ull << RATE_SHIFT;
    uint64_t m = (ns << RATE_SHIFT) / cycles;
    store_rlx(&rate.mult, m);
    if (settled)
        store_rel(&rate.settled, true);
    return m;
}

static int64_t to_ns(uint64_t cycles)
{
    uint64_t m = load_acq(&rate.settled) ? load_rlx(&rate.mult) : measure_rate();
    return (int64_t)((unsigned __int128)cycles * m >> RATE_SHIFT);
}

static int64_t kernel_clock(clockid_t id)
{
    struct timespec ts = {0, 0};
    if (GT_SYS3(SYS_clock_gettime, id, &ts, 0) != 0)
        return -1;
    return ts.tv_sec * GT_SEC + ts.tv_nsec;
}

/* What a goroutine has used of a window: never more than the time that it has run for. */
static int64_t share(int64_t clock, int64_t read, uint64_t win, uint64_t ran)
{
    int64_t used = clock - read - to_ns(win), most = to_ns(ran);
    most += (most >> SLACK_SHIFT) + SLACK_NS;
    return used < 0 ? 0 : GT_MIN(used, most);
}

/* Opens the window anew.  add: ns for g, which may be NULL. */
static void reopen(struct gt_m *m, struct gt_g *g, int64_t clock, int64_t add)
{
    uint64_t now = gt_arch_cycles() | 1;
    store_rlx(&m->cpu_cyc, now);
    atomic_thread_fence(memory_order_release);
    store_rlx(&m->cpu_win, 0);
    store_rlx(&m->cpu_read, clock);
    if (g)
        store_rlx(&g->cpu_ns, load_rlx(&g->cpu_ns) + add);
    store_rel(&m->cpu_cyc, now + 1); /* pairs with gt_cpu_time */
}

void gt_cpu_begin(struct gt_m *m)
{
    reopen(m, NULL, kernel_clock(CLOCK_THREAD_CPUTIME_ID), 0);
    m->cpu_idle = false;
}

void gt_cpu_sync(struct gt_m *m, struct gt_g *g)
{
    int64_t clock = kernel_clock(CLOCK_THREAD_CPUTIME_ID);
    uint64_t ran = gt_arch_cycles() - load_rlx(&m->cpu_cyc);
    reopen(m, g, clock, share(clock, load_rlx(&m->cpu_read), load_rlx(&m->cpu_win), ran));
}

void gt_cpu_resume(struct gt_m *m)
{
    uint64_t now = gt_arch_cycles();
    m->cpu_idle = false;
    if (now - load_rlx(&m->cpu_cyc) >= GT_CPU_WINDOW)
        gt_cpu_begin(m);
    else
        store_rel(&m->cpu_cyc, (now | 1) + 1);
}

static int64_t total(const struct gt_g *g)
{
    return load_rlx(&g->cpu_ns) + to_ns(load_rlx(&g->cpu_cyc));
}

/* One try.  -1: g was switched meanwhile. */
static int64_t look(struct gt_g *g)
{
    struct gt_m *m = g->m;
    if (!m || load_acq(&m->curg) != g)
        return load_acq(&g->status) == GT_G_RUN || load_acq(&g->status) == GT_G_CALL ? -1
                                                                                     : total(g);
    uint64_t seq = load_acq(&m->cpu_cyc);
    int64_t sum = total(g), read = load_rlx(&m->cpu_read);
    uint64_t win = load_rlx(&m->cpu_win);
    int64_t clock = kernel_clock((clockid_t)(~(unsigned)m->ktid << 3 | 6));
    sum += share(clock, read, win, gt_arch_cycles() - seq);
    atomic_thread_fence(memory_order_acquire);
    bool same = !(seq & 1) && load_rlx(&m->cpu_cyc) == seq && load_rlx(&m->curg) == g;
    return same ? sum : -1;
}

int64_t gt_cpu_time(struct gt_g *g)
{
    int64_t t = -1;
    struct gt_g *self = gt_self();
    if (self && g == self) {
        gt_cpu_sync(g->m, g);
        t = total(g);
    }
    for (int i = 0; t < 0 && i < MAX_TRIES; i++)
        t = look(g);
    uint32_t st = load_acq(&g->status);
    if (st == GT_G_DEAD || st == GT_G_IDLE)
        return -1;
    t = t < 0 ? total(g) : t;
    int64_t seen = load_rlx(&g->cpu_seen);
    while (seen < t && !cas_rel(&g->cpu_seen, &seen, t))
        ;
    return GT_MAX(seen, t);
}

int64_t gt_cpu_ahead(struct gt_g *g)
{
    struct gt_m *m = g->wiredm;
    int64_t t = gt_cpu_time(g);
    int64_t clock = m && t >= 0 ? kernel_clock((clockid_t)(~(unsigned)m->ktid << 3 | 6)) : -1;
    return clock < 0 ? 0 : t - clock;
}
