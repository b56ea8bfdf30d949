/* SPDX-License-Identifier: BSD-2-Clause */
/* See sched_fake.h.  Linked with --wrap=gt_nanotime. */
#include "tests/unit/sched_fake.h"

#include "core/sched/netpoll.h"
#include "core/sched/signal.h"

struct gt_sched gt_sched;
_Atomic bool gt_started;
struct gt_p fake_p;
_Atomic int64_t fake_now = FAKE_REAL;
_Atomic uint32_t fake_wakeps, fake_breaks, fake_handlers;
struct gt_g *fake_log[FAKE_LOG];
uint32_t fake_nlog;
void (*gt_cancel_act)(struct gt_g *g);
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

int64_t __real_gt_nanotime(void);
int64_t __wrap_gt_nanotime(void);
int64_t __wrap_gt_nanotime(void)
{
    int64_t t = load_acq(&fake_now);
    return t == FAKE_REAL ? __real_gt_nanotime() : t;
}

void fake_init(void)
{
    store_rlx(&fake_p.when0, INT64_MAX);
    store_rlx(&fake_p.word, GT_PW(GT_P_RUN, 1, 1)); /* all Ms have the number 1 */
    gt_sched.allp[0] = &fake_p;
    gt_sched.nprocs = 1;
    store_rlx(&gt_sched.lastpoll, 1);
    store_rel(&gt_started, true);
}

void fake_g_init(struct fake_g *f)
{
    *f = (struct fake_g){.g = {.m = &f->m, .pk = {.g = &f->g}}, .m = {.p = &fake_p, .id = 1}};
    store_rlx(&f->g.in_rt, 1);
    store_rlx(&f->g.status, GT_G_RUN);
    ck_assert_int_eq(sem_init(&f->seat, 0, 0), 0);
}

static void *g_thread(void *arg)
{
    struct fake_g *f = arg;
    gt_tls.g = &f->g;
    f->body(f, f->arg);
    gt_tls.g = NULL;
    return NULL;
}

void fake_g_start(struct fake_g *f, void (*body)(struct fake_g *f, void *arg), void *arg)
{
    fake_g_init(f);
    f->body = body;
    f->arg = arg;
    f->thread = unit_start(g_thread, f);
}

void fake_g_join(struct fake_g *f)
{
    unit_join(f->thread);
}

uint64_t fake_g_asleep(struct fake_g *f)
{
    uint64_t t = gt_park_begin(&f->g.pk);
    store_rlx(&f->g.status, GT_G_PARK);
    or_acqrel(&f->g.pk.word, GT_PK_ASLEEP);
    return t;
}

bool fake_g_sleeps(const struct fake_g *f)
{
    uint64_t v = load_acq(&f->g.pk.word);
    return (v & GT_PK_ASLEEP) && !(v & GT_PK_OUTCOME);
}

static struct fake_g *fake_of(struct gt_g *g)
{
    return container_of(g, struct fake_g, g);
}

/* ---- what sched.c does ---- */

void gt_mcall(struct gt_g *g, struct gt_g *(*fn)(struct gt_m *, struct gt_g *))
{
    struct fake_g *f = fake_of(g);
    if (f->before_g0)
        f->before_g0(f);
    if (!fn(&f->m, g)) {
        add_acqrel(&f->slept, 1);
        while (sem_wait(&f->seat) != 0)
            ;
    }
    g->m = &f->m;
    store_rel(&g->status, GT_G_RUN);
}

/* Whoever readies a goroutine must have found it asleep, and only one may. */
void gt_goready(struct gt_g *g, bool next)
{
    uint32_t parked = GT_G_PARK;
    struct fake_g *f = fake_of(g);
    (void)next;
    ck_assert(load_acq(&g->pk.word) & GT_PK_ASLEEP);
    ck_assert(cas_acqrel(&g->status, &parked, GT_G_READY));
    pthread_mutex_lock(&log_lock);
    fake_log[fake_nlog++ % FAKE_LOG] = g;
    pthread_mutex_unlock(&log_lock);
    add_acqrel(&f->readied, 1);
    sem_post(&f->seat);
}

bool gt_gosched(struct gt_g *g)
{
    (void)g;
    sched_yield();
    return true;
}

int gt_gomaxprocs(void)
{
    return 2;
}

void gt_wakep(void)
{
    add_acqrel(&fake_wakeps, 1);
}

/* Weak: the poller's own suite links the real one. */
__attribute__((weak)) void gt_netpoll_break(void)
{
    add_acqrel(&fake_breaks, 1);
}

__attribute__((weak)) void gt_netpoll_watch_clock(void)
{
}

__attribute__((weak)) void gt_netpoll_unwatch_clock(void)
{
}

bool gt_random_yields;

void gt_rt_yield_now_and_then(struct gt_g *g)
{
    gt_gosched(g);
}

/* They have a P as long as they live. */
void gt_rt_reacquire(struct gt_g *g)
{
    ck_abort_msg("goroutine %p is without a P", (void *)g);
}

long gt_syscall_blocking(struct gt_g *g, long nr, long a, long b, long c, long d, long e, long f)
{
    (void)g;
    return gt_syscall6(nr, a, b, c, d, e, f);
}

/* ---- what signal.c does ---- */

void gt_rt_attend(struct gt_g *g)
{
    and_acqrel(&g->attention, 0);
}

void gt_sig_catch_up(struct gt_g *g, bool near)
{
    (void)g, (void)near;
}

void gt_run_signals(struct gt_g *g)
{
    and_acqrel(&g->attention, ~GT_ATT_SIGNAL);
    add_acqrel(&fake_handlers, 1);
}
