/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads: create, join, detach, exit, attributes and identity of a pthread_t, for POSIX and C11.
 * Sources: POSIX pthread_create(3p) and its neighbours; glibc's manual for the _np functions.
 *
 * A pthread_t that is not a goroutine's (a library that got glibc's own pthread_create) goes to the
 * real function. Joining waits on g->life:  ALIVE -> DEAD by the goroutine, ALIVE -> DETACHED by
 * detach; who finds the other there frees the goroutine.
 */
#include "interpose/interpose.h"

#include "core/kit/cfg.h"
#include "core/os/tcb.h"
#include "core/sched/sema.h"
#include "core/sched/wire.h"
#include "interpose/thread.h"

/* ---- attributes ---- */

static _Atomic size_t default_stack, default_guard;

static void load_defaults(void)
{
    pthread_attr_t a;
    size_t stack = 8ul << 20, guard = GT_PAGE;
    if (pthread_getattr_default_np(&a) == 0) {
        pthread_attr_getstacksize(&a, &stack);
        pthread_attr_getguardsize(&a, &guard);
        pthread_attr_destroy(&a);
    }
    if (gt_cfg.stack)
        stack = gt_cfg.stack;
    store_rlx(&default_guard, guard);
    store_rlx(&default_stack, GT_MAX(stack, 16384ul));
}

/* The program has set defaults: a thread without attributes gets all of them, as in libc. */
static _Atomic bool defaults_set;

GT_EXPORT int pthread_setattr_default_np(const pthread_attr_t *attr)
{
    int r = REAL(pthread_setattr_default_np)(attr);
    store_rlx(&default_stack, 0);
    store_rlx(&defaults_set, true);
    return r;
}

static int read_attr(const pthread_attr_t *attr, struct gt_newproc *np)
{
    void *addr;
    size_t size;
    int v;
    sigset_t set;
    if (pthread_attr_getdetachstate(attr, &v) == 0)
        np->detached = v == PTHREAD_CREATE_DETACHED;
    pthread_attr_getstacksize(attr, &np->stack);
    pthread_attr_getguardsize(attr, &np->guard);
    /* without an address glibc reports 0 - size */
    if (pthread_attr_getstack(attr, &addr, &size) == 0 && (uintptr_t)addr + size != 0) {
        np->user_stack = addr;
        np->stack = size;
    }
    if (pthread_attr_getsigmask_np(attr, &set) == 0)
        gt_memcpy(&np->sigmask, &set, sizeof(np->sigmask));
    return gt_ident_attr(attr, np);
}

/* The attributes that apply: the caller's, else the defaults that the program has set. */
static int read_attrs(const pthread_attr_t *attr, struct gt_newproc *np)
{
    pthread_attr_t defaults;
    if (attr)
        return read_attr(attr, np);
    if (!load_rlx(&defaults_set))
        return 0;
    int r = pthread_getattr_default_np(&defaults);
    if (r)
        return r;
    r = read_attr(&defaults, np);
    pthread_attr_destroy(&defaults);
    return r;
}

/* ---- create ---- */

static bool refused;

/* True for a thread that Go's runtime makes for itself. */
static bool for_go(uintptr_t pc)
{
    if (unlikely(!load_acq(&gt_started))) {
        if (!gt_real_ready)
            gt_real_resolve();
        gt_go_scan();
    } else {
        gt_dl_sync();
    }
    return gt_go_made(pc);
}

static bool stays_out(void)
{
    if (!gt_is_confined())
        return false;
    if (gt_cfg.verbose)
        gt_warn_once("this process confined itself by seccomp: its threads stay kernel threads "
                     "(1:1)");
    return true;
}

/* The caller has a filter of its own, which may not let through what an M does: its thread is one
 * of the kernel's, and so are those that such a thread makes. */
static bool is_apart(void)
{
    struct gt_g *g;
    return unlikely(gt_is_confined()) && (!(g = gt_self()) || gt_wire_is_set(g, GT_W_SECCOMP));
}

bool gt_thread_start(void)
{
    if (likely(load_acq(&gt_started)))
        return true;
    if (!gt_real_ready)
        gt_real_resolve();
    if (refused || gt_cfg.off || gt_in_vfork() || stays_out() || for_go(0)) /* 0: all Go's */
        return false;
    refused = gt_sched_start(gt_cfg.gomaxprocs ? gt_cfg.gomaxprocs : gt_ncpu()) != 0;
    if (!refused)
        gt_thread_started();
    return !refused;
}

static int create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg,
                  uintptr_t pc)
{
    struct gt_g *self = gt_self();
    if (!load_rlx(&default_stack))
        load_defaults();
    struct gt_newproc np = {.fn = fn,
                            .arg = arg,
                            .pc = pc,
                            .stack = load_rlx(&default_stack),
                            .guard = load_rlx(&default_guard)};
    if (self) {
        np.sigmask = self->sigmask;
    } else {
        sys_sigprocmask(SIG_SETMASK, NULL, &np.sigmask);
    }
    gt_ident_inherit(self, &np);
    int r = read_attrs(attr, &np);
    if (r)
        return r;
    if (self && self->wire_set & GT_W_HANDED_ON) {
        np.heir = true; /* and what else the kernel hands on is set as np.attrs says */
        np.want |= self->wire_set & GT_W_UNDOABLE;
    }
    if (self)
        gt_rt_enter(self);
    gt_thread_born();
    r = gt_newproc(&np, (void **)out);
    if (r)
        gt_thread_unborn();
    if (self)
        gt_rt_leave(self);
    return -r;
}

GT_EXPORT int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                             void *arg)
{
    uintptr_t pc = (uintptr_t)__builtin_return_address(0);
    if (for_go(pc) || !gt_thread_start() || is_apart())
        return REAL(pthread_create)(out, attr, fn, arg);
    return create(out, attr, fn, arg, pc);
}

/* ---- join ---- */

bool gt_thread_gone(pthread_t t)
{
    return load_acq(&gt_started) && gt_tid_is_goroutine(gt_tid_of((void *)t)) &&
           !gt_g_of((void *)t);
}

/* Waits until g is dead.  0, ETIMEDOUT; may be cancelled: then the claim to join is given up first.
 */
static int await_death(struct gt_g *self, struct gt_g *g, int64_t when)
{
    while (load_acq(&g->life) != GT_LIFE_DEAD) {
        struct gt_waiter w;
        struct gt_bucket *b = gt_sema_lock(&g->life);
        if (load_acq(&g->life) == GT_LIFE_DEAD) {
            gt_sema_unlock(b);
            break;
        }
        gt_sema_enqueue(b, &w, &g->life, false);
        gt_sema_unlock(b);
        enum gt_wake o = gt_sema_park(&w, GT_R_JOIN, when, self ? GT_PARK_INTR : 0);
        if (o == GT_WAKE_TIMEOUT)
            return ETIMEDOUT;
        if (o == GT_WAKE_SIGNAL && self) { /* neither cancellation nor a jump comes back */
            struct gt_g *none = NULL;
            store_rel(&g->joiner, NULL);
            gt_intr(self, true);
            if (!cas_acqrel(&g->joiner, &none, self))
                return EINVAL;
        }
    }
    return 0;
}

static struct gt_g *const foreign_joiner = (struct gt_g *)8;

/* self joins itself, or one that joins it: but not for ever if either is being cancelled. */
static bool would_deadlock(struct gt_g *self, struct gt_g *g)
{
    return !gt_cancel_wanted(self) &&
           (g == self || !(load_acq(&g->cancel) & (GT_CANCEL_PENDING | GT_CANCEL_EXITING)));
}

/* An error number; -1: not a goroutine's. */
static int join(pthread_t t, void **res, int64_t when)
{
    struct gt_g *self = gt_self(), *g = gt_g_of((void *)t), *none = NULL;
    if (!g)
        return gt_thread_gone(t) ? ESRCH : -1;
    if ((g == self || (self && load_acq(&self->joiner) == g)) && would_deadlock(self, g))
        return EDEADLK;
    if (load_acq(&g->life) == GT_LIFE_DETACHED)
        return EINVAL;
    if (self && load_acq(&g->life) != GT_LIFE_DEAD) /* as libc's: only where it waits */
        gt_testcancel(self);
    if (!cas_acqrel(&g->joiner, &none, self ? self : foreign_joiner))
        return EINVAL;
    if (self)
        gt_rt_enter(self);
    int r = await_death(self, g, when);
    if (r == 0) {
        if (res)
            *res = g->result;
        gt_gfree(g);
    } else if (r == ETIMEDOUT) {
        store_rel(&g->joiner, NULL);
    }
    if (self)
        gt_rt_leave(self);
    return r;
}

GT_EXPORT int pthread_join(pthread_t t, void **res)
{
    int r = join(t, res, GT_NEVER);
    return r >= 0 ? r : REAL(pthread_join)(t, res);
}

GT_EXPORT int pthread_tryjoin_np(pthread_t t, void **res)
{
    struct gt_g *g = gt_g_of((void *)t);
    if (!g)
        return gt_thread_gone(t) ? ESRCH : REAL(pthread_tryjoin_np)(t, res);
    return load_acq(&g->life) == GT_LIFE_DEAD       ? join(t, res, GT_NEVER)
           : load_acq(&g->life) == GT_LIFE_DETACHED ? EINVAL
                                                    : EBUSY;
}

static int clockjoin(pthread_t t, void **res, clockid_t clock, const struct timespec *abs)
{
    int64_t when = GT_NEVER;
    if (abs && !gt_deadline(clock, abs, &when))
        return EINVAL;
    return join(t, res, when);
}

GT_EXPORT int pthread_timedjoin_np(pthread_t t, void **res, const struct timespec *abs)
{
    int r = clockjoin(t, res, CLOCK_REALTIME, abs);
    return r >= 0 ? r : REAL(pthread_timedjoin_np)(t, res, abs);
}

GT_EXPORT int pthread_clockjoin_np(pthread_t t, void **res, clockid_t clock,
                                   const struct timespec *abs)
{
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return EINVAL;
    int r = clockjoin(t, res, clock, abs);
    return r >= 0 ? r : REAL(pthread_clockjoin_np)(t, res, clock, abs);
}

GT_EXPORT int pthread_detach(pthread_t t)
{
    struct gt_g *self = gt_self(), *g = gt_g_of((void *)t);
    uint32_t life = GT_LIFE_ALIVE;
    if (!g)
        return gt_thread_gone(t) ? ESRCH : REAL(pthread_detach)(t);
    if (cas_acqrel(&g->life, &life, GT_LIFE_DETACHED))
        return 0;
    if (life == GT_LIFE_DETACHED)
        return EINVAL;
    if (self)
        gt_rt_enter(self);
    gt_gfree(g);
    if (self)
        gt_rt_leave(self);
    return 0;
}

/* ---- what a pthread_t is ---- */

GT_EXPORT int pthread_getattr_np(pthread_t t, pthread_attr_t *attr)
{
    struct gt_g *g = gt_g_of((void *)t);
    if (!g)
        return REAL(pthread_getattr_np)(t, attr);
    bool first = g->flags & GT_GF_MAIN;
    int r = first ? REAL(pthread_getattr_np)(t, attr) : pthread_attr_init(attr);
    if (r)
        return r;
    if (!first) { /* what was asked for; the stack may be longer */
        char *top = gt_stack_top(g);
        size_t size = GT_MIN((size_t)(top - g->stack_lo), g->stack_asked);
        pthread_attr_setstack(attr, top - size, size);
        pthread_attr_setguardsize(attr, g->guard);
    }
    if (g->flags & GT_GF_EXPLICIT)
        pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
    if (load_rlx(&g->life) == GT_LIFE_DETACHED)
        pthread_attr_setdetachstate(attr, PTHREAD_CREATE_DETACHED);
    r = gt_ident_fill_attr(g, attr);
    if (r)
        pthread_attr_destroy(attr);
    return r;
}

GT_EXPORT pid_t gettid(void)
{
    struct gt_g *g = gt_self();
    return g ? g->tid : sys_gettid();
}

/* ---- C11 ---- */

static int thrd_code(int err)
{
    switch (err) {
    case 0:
        return thrd_success;
    case ENOMEM:
    case EAGAIN:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    }
    return thrd_error;
}

struct c11_start {
    thrd_start_t fn;
    void *arg;
};

static void *c11_main(void *arg)
{
    struct c11_start s = *(struct c11_start *)arg;
    free(arg);
    return (void *)(intptr_t)s.fn(s.arg);
}

GT_EXPORT int thrd_create(thrd_t *out, thrd_start_t fn, void *arg)
{
    if (for_go((uintptr_t)__builtin_return_address(0)) || !gt_thread_start() || is_apart())
        return REAL(thrd_create)(out, fn, arg);
    struct c11_start *s = malloc(sizeof(*s));
    if (!s)
        return thrd_nomem;
    s->fn = fn;
    s->arg = arg;
    int r = create(out, NULL, c11_main, s, (uintptr_t)__builtin_return_address(0));
    if (r)
        free(s);
    return thrd_code(r);
}

GT_EXPORT int thrd_join(thrd_t t, int *res)
{
    void *v = NULL;
    int r = pthread_join(t, &v);
    if (r == 0 && res)
        *res = (int)(intptr_t)v;
    return thrd_code(r);
}

GT_EXPORT int thrd_detach(thrd_t t)
{
    return thrd_code(pthread_detach(t));
}

GT_EXPORT void thrd_exit(int res)
{
    pthread_exit((void *)(intptr_t)res);
}
