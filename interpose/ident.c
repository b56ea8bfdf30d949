/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a thread is to the kernel's scheduler: policy and priority, CPUs, niceness.   Sources: POSIX
 * pthread_setschedparam(3p); sched(7), setpriority(2).
 *
 * A goroutine whose attributes are the process's (gt_kattr_default) is not wired; one that has
 * others is, and they are its kernel thread's (wire.c).  g->attrs holds what the program sees:
 *
 *     the goroutine itself: wires itself, asks the kernel, and keeps what that says; unwired again
 *         when the result is the default or the kernel refused
 *     another one: the call is checked (where it must be, by a try on the caller's own thread),
 *         g->attrs and g->want change under the lock, gt_wire_ask; the goroutine takes them over
 *         (take_over) before it runs on in the program
 *     pthread_create: the same, before it first runs
 *
 * Calls on a thread id name a goroutine when it is one of ours: gettid()'s, 0 for the caller.
 *
 * Locks: IDENT, a leaf.
 */
#include "core/os/tcb.h"
#include "interpose/pobj.h"
#include "interpose/thread.h"

#include <sys/resource.h>

#define NICE_MIN   (-20)
#define NICE_MAX   19
#define MASK_BYTES sizeof(((struct gt_attrs *)0)->cpus)

static struct gt_lock lock; /* IDENT: every goroutine's attrs */

static void attrs_lock(void)
{
    gt_lock(&lock, GT_RANK_IDENT);
}

static void attrs_unlock(void)
{
    gt_unlock(&lock, GT_RANK_IDENT);
}

static struct gt_attrs attrs_of(struct gt_g *g)
{
    struct gt_g *self = gt_sync_enter();
    attrs_lock();
    struct gt_attrs a = g->attrs;
    attrs_unlock();
    gt_sync_leave(self);
    return a;
}

/* The goroutine that a thread id names, 0: the caller.  NULL: not one of ours. */
static struct gt_g *g_of_tid(pid_t tid)
{
    return tid == 0 ? gt_self() : gt_g_by_tid(tid);
}

/* ---- is it what every M has? ---- */

static uint32_t policy_bit(const struct gt_attrs *a)
{
    bool same = a->policy == gt_kattr_default.policy && a->priority == gt_kattr_default.priority;
    return same ? 0 : 1u << GT_W_POLICY;
}

static uint32_t nice_bit(const struct gt_attrs *a)
{
    return a->nice == gt_kattr_default.nice ? 0 : 1u << GT_W_NICE;
}

static void set_cpus(struct gt_attrs *a, const uint64_t cpus[16])
{
    gt_memcpy(a->cpus, cpus, MASK_BYTES);
    a->has_cpus = gt_memcmp(cpus, gt_kattr_default.cpus, MASK_BYTES) != 0;
}

static const uint64_t *cpus_of(const struct gt_attrs *a)
{
    return a->has_cpus ? a->cpus : gt_kattr_default.cpus;
}

/* ---- on the goroutine: the kernel decides ---- */

/* Through the C library, which must know: its priority-protected mutexes add their ceiling. */
static int kernel_policy(struct gt_g *g, int policy, int priority)
{
    struct sched_param sp = {.sched_priority = priority};
    gt_tid_set(g->tp, g->m->ktid);
    int e = REAL(pthread_setschedparam)((pthread_t)g->tp, policy, &sp);
    gt_tid_set(g->tp, g->tid);
    return e;
}

static int kernel_cpus(size_t n, const void *set, uint64_t got[16])
{
    gt_memset(got, 0, MASK_BYTES);
    long r = GT_SYS3(SYS_sched_setaffinity, 0, n, set);
    if (r == 0)
        GT_SYS3(SYS_sched_getaffinity, 0, MASK_BYTES, got);
    return (int)-r;
}

/* Wires g (the caller) for one attribute; settle() keeps or undoes that. */
static bool prepare(struct gt_g *g, enum gt_wire_why why)
{
    bool had = gt_wire_is_set(g, why);
    gt_rt_enter(g);
    gt_wire_set(g, why);
    return had;
}

static void settle(struct gt_g *g, enum gt_wire_why why, bool keep)
{
    if (!keep)
        gt_wire_clear(g, why);
    gt_rt_leave(g);
}

static int own_policy(struct gt_g *g, int policy, int priority)
{
    bool had = prepare(g, GT_W_POLICY);
    int e = kernel_policy(g, policy, priority);
    attrs_lock();
    if (e == 0) {
        g->attrs.policy = policy & ~SCHED_RESET_ON_FORK;
        g->attrs.priority = priority;
    }
    bool differs = policy_bit(&g->attrs);
    attrs_unlock();
    settle(g, GT_W_POLICY, e == 0 ? differs : had);
    return e;
}

static int own_cpus(struct gt_g *g, size_t n, const void *set)
{
    uint64_t got[16];
    bool had = prepare(g, GT_W_AFFINITY);
    int e = kernel_cpus(n, set, got);
    attrs_lock();
    if (e == 0)
        set_cpus(&g->attrs, got);
    bool differs = g->attrs.has_cpus;
    attrs_unlock();
    settle(g, GT_W_AFFINITY, e == 0 ? differs : had);
    return e;
}

static int own_nice(struct gt_g *g, int nice)
{
    bool had = prepare(g, GT_W_NICE);
    int e = (int)-GT_SYS3(SYS_setpriority, PRIO_PROCESS, 0, nice);
    attrs_lock();
    if (e == 0)
        g->attrs.nice = nice;
    bool differs = nice_bit(&g->attrs);
    attrs_unlock();
    settle(g, GT_W_NICE, e == 0 ? differs : had);
    return e;
}

/* gt_wire_hook: others have changed g->attrs.  What the kernel refuses now stays as it was. */
static void take_over(struct gt_g *g)
{
    uint32_t want = xchg_acqrel(&g->want, 0);
    struct gt_attrs a = attrs_of(g);
    if (want & 1u << GT_W_POLICY)
        own_policy(g, a.policy, a.priority);
    if (want & 1u << GT_W_AFFINITY)
        own_cpus(g, MASK_BYTES, cpus_of(&a));
    if (want & 1u << GT_W_NICE)
        own_nice(g, a.nice);
}

void gt_ident_started(void)
{
    gt_wire_hook = take_over;
}

/* ---- checks for another goroutine: tries on the caller's kernel thread, which is set back ---- */

static bool realtime(int policy)
{
    policy &= ~SCHED_RESET_ON_FORK;
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int check_policy(int policy, int priority)
{
    struct sched_param sp = {.sched_priority = priority}, was = {0};
    int base = policy & ~SCHED_RESET_ON_FORK;
    int lo = sched_get_priority_min(base), hi = sched_get_priority_max(base);
    if (lo < 0 || priority < lo || priority > hi)
        return EINVAL;
    if (!realtime(policy))
        return 0;
    struct gt_g *self = gt_sync_enter();
    long old = GT_SYS3(SYS_sched_getscheduler, 0, 0, 0);
    GT_SYS3(SYS_sched_getparam, 0, &was, 0);
    long r = GT_SYS3(SYS_sched_setscheduler, 0, policy, &sp);
    if (r == 0)
        GT_SYS3(SYS_sched_setscheduler, 0, old, &was);
    gt_sync_leave(self);
    return (int)-r;
}

static int check_cpus(size_t n, const void *set, uint64_t got[16])
{
    uint64_t was[16] = {0};
    struct gt_g *self = gt_sync_enter();
    GT_SYS3(SYS_sched_getaffinity, 0, sizeof(was), was);
    int e = kernel_cpus(n, set, got);
    if (e == 0)
        GT_SYS3(SYS_sched_setaffinity, 0, sizeof(was), was);
    gt_sync_leave(self);
    return e;
}

static int check_nice(int nice)
{
    struct gt_g *self = gt_sync_enter();
    int was = 20 - (int)GT_SYS3(SYS_getpriority, PRIO_PROCESS, 0, 0);
    long r = nice < was ? GT_SYS3(SYS_setpriority, PRIO_PROCESS, 0, nice) : 0;
    if (nice < was && r == 0)
        GT_SYS3(SYS_setpriority, PRIO_PROCESS, 0, was);
    gt_sync_leave(self);
    return (int)-r;
}

/* Writes the part of *a that `why` names into g and asks it to take it over. */
static void ask(struct gt_g *g, const struct gt_attrs *a, enum gt_wire_why why)
{
    struct gt_g *self = gt_sync_enter();
    attrs_lock();
    if (why == GT_W_POLICY) {
        g->attrs.policy = a->policy;
        g->attrs.priority = a->priority;
    } else if (why == GT_W_AFFINITY) {
        set_cpus(&g->attrs, a->cpus);
    } else {
        g->attrs.nice = a->nice;
    }
    or_acqrel(&g->want, 1u << why);
    attrs_unlock();
    gt_wire_ask(g);
    gt_sync_leave(self);
}

/* ---- policy and priority ---- */

static bool gone(const struct gt_g *g)
{
    return load_acq(&g->status) == GT_G_DEAD;
}

/* 0 or an error number. */
static int set_policy(struct gt_g *g, int policy, const struct sched_param *sp)
{
    if (gone(g))
        return ESRCH;
    if (!sp)
        return EINVAL;
    struct gt_attrs a = {.policy = policy, .priority = sp->sched_priority};
    if (g == gt_self()) {
        if (!gt_wire_is_set(g, GT_W_POLICY) && !policy_bit(&a))
            return 0; /* as it is */
        return own_policy(g, policy, sp->sched_priority);
    }
    int e = check_policy(policy, sp->sched_priority);
    if (e == 0) {
        a.policy = policy & ~SCHED_RESET_ON_FORK;
        ask(g, &a, GT_W_POLICY);
    }
    return e;
}

GT_EXPORT int pthread_setschedparam(pthread_t t, int policy, const struct sched_param *sp)
{
    struct gt_g *g = gt_g_of((void *)t);
    return g ? set_policy(g, policy, sp) : REAL(pthread_setschedparam)(t, policy, sp);
}

GT_EXPORT int pthread_getschedparam(pthread_t t, int *policy, struct sched_param *sp)
{
    struct gt_g *g = gt_g_of((void *)t);
    if (!g)
        return REAL(pthread_getschedparam)(t, policy, sp);
    if (gone(g))
        return ESRCH;
    struct gt_attrs a = attrs_of(g);
    *policy = a.policy;
    sp->sched_priority = a.priority;
    return 0;
}

GT_EXPORT int pthread_setschedprio(pthread_t t, int prio)
{
    struct gt_g *g = gt_g_of((void *)t);
    struct sched_param sp = {.sched_priority = prio};
    return g ? set_policy(g, attrs_of(g).policy, &sp) : REAL(pthread_setschedprio)(t, prio);
}

GT_EXPORT int sched_setscheduler(pid_t tid, int policy, const struct sched_param *sp)
{
    struct gt_g *g = g_of_tid(tid);
    return g ? (int)gt_ret(-set_policy(g, policy, sp)) : REAL(sched_setscheduler)(tid, policy, sp);
}

GT_EXPORT int sched_setparam(pid_t tid, const struct sched_param *sp)
{
    struct gt_g *g = g_of_tid(tid);
    return g ? (int)gt_ret(-set_policy(g, attrs_of(g).policy, sp)) : REAL(sched_setparam)(tid, sp);
}

GT_EXPORT int sched_getscheduler(pid_t tid)
{
    struct gt_g *g = g_of_tid(tid);
    return g ? attrs_of(g).policy : REAL(sched_getscheduler)(tid);
}

GT_EXPORT int sched_getparam(pid_t tid, struct sched_param *sp)
{
    struct gt_g *g = g_of_tid(tid);
    if (!g)
        return REAL(sched_getparam)(tid, sp);
    if (!sp)
        return (int)gt_ret(-EINVAL);
    sp->sched_priority = attrs_of(g).priority;
    return 0;
}

/* ---- CPUs ---- */

static int set_affinity(struct gt_g *g, size_t n, const void *set)
{
    struct gt_attrs a;
    if (gone(g))
        return ESRCH;
    if (g == gt_self()) {
        if (!gt_wire_is_set(g, GT_W_AFFINITY) && n >= MASK_BYTES && set &&
            !gt_memcmp(set, gt_kattr_default.cpus, MASK_BYTES))
            return 0; /* as it is */
        return own_cpus(g, n, set);
    }
    int e = check_cpus(n, set, a.cpus);
    if (e == 0)
        ask(g, &a, GT_W_AFFINITY);
    return e;
}

/* Bytes that the kernel would write, or -errno. */
static long get_affinity(struct gt_g *g, size_t n, void *set)
{
    if (gone(g))
        return -ESRCH;
    long r = GT_SYS3(SYS_sched_getaffinity, 0, n, set);
    if (r > 0) {
        struct gt_attrs a = attrs_of(g);
        gt_memcpy(set, cpus_of(&a), GT_MIN((size_t)r, MASK_BYTES));
    }
    return r;
}

/* The C library clears what the kernel has not written. */
static int get_affinity_padded(struct gt_g *g, size_t n, void *set)
{
    long r = get_affinity(g, GT_MIN(n, (size_t)INT32_MAX), set);
    if (r < 0)
        return (int)-r;
    gt_memset((char *)set + r, 0, n - (size_t)r);
    return 0;
}

GT_EXPORT int pthread_setaffinity_np(pthread_t t, size_t n, const cpu_set_t *set)
{
    struct gt_g *g = gt_g_of((void *)t);
    return g ? set_affinity(g, n, set) : REAL(pthread_setaffinity_np)(t, n, set);
}

GT_EXPORT int pthread_getaffinity_np(pthread_t t, size_t n, cpu_set_t *set)
{
    struct gt_g *g = gt_g_of((void *)t);
    return g ? get_affinity_padded(g, n, set) : REAL(pthread_getaffinity_np)(t, n, set);
}

GT_EXPORT int sched_setaffinity(pid_t tid, size_t n, const cpu_set_t *set)
{
    struct gt_g *g = g_of_tid(tid);
    return g ? (int)gt_ret(-set_affinity(g, n, set)) : REAL(sched_setaffinity)(tid, n, set);
}

GT_EXPORT int sched_getaffinity(pid_t tid, size_t n, cpu_set_t *set)
{
    struct gt_g *g = g_of_tid(tid);
    return g ? (int)gt_ret(-get_affinity_padded(g, n, set)) : REAL(sched_getaffinity)(tid, n, set);
}

/* ---- niceness ---- */

/* 0 or an error number. */
static int set_nice(struct gt_g *g, int nice)
{
    struct gt_attrs a = {.nice = GT_MIN(GT_MAX(nice, NICE_MIN), NICE_MAX)};
    if (g == gt_self()) {
        if (!gt_wire_is_set(g, GT_W_NICE) && !nice_bit(&a))
            return 0; /* as it is */
        return own_nice(g, a.nice);
    }
    int e = a.nice < attrs_of(g).nice ? check_nice(a.nice) : 0;
    if (e == 0)
        ask(g, &a, GT_W_NICE);
    return e;
}

GT_EXPORT int setpriority(__priority_which_t which, id_t who, int prio)
{
    struct gt_g *g = which == PRIO_PROCESS ? g_of_tid((pid_t)who) : NULL;
    return g ? (int)gt_ret(-set_nice(g, prio)) : REAL(setpriority)(which, who, prio);
}

GT_EXPORT int getpriority(__priority_which_t which, id_t who)
{
    struct gt_g *g = which == PRIO_PROCESS ? g_of_tid((pid_t)who) : NULL;
    return g ? attrs_of(g).nice : REAL(getpriority)(which, who);
}

GT_EXPORT int nice(int inc)
{
    struct gt_g *g = gt_self();
    if (!g)
        return REAL(nice)(inc);
    int to = GT_MIN(GT_MAX(attrs_of(g).nice + GT_MIN(GT_MAX(inc, -64), 64), NICE_MIN), NICE_MAX);
    int e = set_nice(g, to);
    return e ? (int)gt_ret(e == EACCES ? -EPERM : -e) : to;
}

/* ---- new goroutines ---- */

static int explicit_policy(const pthread_attr_t *attr, struct gt_attrs *a, bool *is_explicit)
{
    struct sched_param sp;
    int v = 0;
    if (pthread_attr_getinheritsched(attr, &v) || v != PTHREAD_EXPLICIT_SCHED)
        return 0;
    pthread_attr_getschedpolicy(attr, &a->policy);
    pthread_attr_getschedparam(attr, &sp);
    a->priority = sp.sched_priority;
    *is_explicit = true;
    return policy_bit(a) ? check_policy(a->policy, a->priority) : 0;
}

static int explicit_cpus(const pthread_attr_t *attr, struct gt_attrs *a)
{
    uint64_t cpus[16], got[16];
    if (pthread_attr_getaffinity_np(attr, sizeof(cpus), (cpu_set_t *)cpus))
        return EINVAL;
    bool none = true; /* without a set all bits are there */
    for (int i = 0; i < 16; i++)
        none &= cpus[i] == ~0ull;
    int e = none ? 0 : check_cpus(sizeof(cpus), cpus, got);
    if (!none && e == 0)
        set_cpus(a, got);
    return e;
}

/* What the new goroutine must take over before it runs. */
static uint32_t differing(const struct gt_attrs *a)
{
    return policy_bit(a) | nice_bit(a) | (a->has_cpus ? 1u << GT_W_AFFINITY : 0);
}

void gt_ident_inherit(struct gt_g *self, struct gt_newproc *np)
{
    if (self) {
        np->attrs = attrs_of(self);
    } else {
        np->attrs.policy = gt_kattr_default.policy;
        np->attrs.priority = gt_kattr_default.priority;
        np->attrs.nice = gt_kattr_default.nice;
    }
    np->want = differing(&np->attrs);
}

int gt_ident_attr(const pthread_attr_t *attr, struct gt_newproc *np)
{
    int e = explicit_policy(attr, &np->attrs, &np->explicit_sched);
    e = e ? e : explicit_cpus(attr, &np->attrs);
    np->want = differing(&np->attrs);
    return e;
}

int gt_ident_fill_attr(struct gt_g *g, pthread_attr_t *attr)
{
    struct gt_attrs a = attrs_of(g);
    struct sched_param sp = {.sched_priority = a.priority};
    pthread_attr_setschedpolicy(attr, a.policy);
    pthread_attr_setschedparam(attr, &sp);
    return pthread_attr_setaffinity_np(attr, MASK_BYTES, (const cpu_set_t *)cpus_of(&a));
}

/* ---- syscall() ---- */

#define RESULT(call)                                                                               \
    ({                                                                                             \
        long v_ = (call);                                                                          \
        v_ < 0 ? -errno : v_;                                                                      \
    })

/* sched_setattr(2) on itself: the kernel decides, then we look. */
static long own_attr(struct gt_g *g, const long *a)
{
    struct gt_kattr now;
    bool had = prepare(g, GT_W_POLICY);
    long r = GT_SYS3(SYS_sched_setattr, 0, a[1], a[2]);
    gt_kattr_read(&now);
    attrs_lock();
    g->attrs.policy = now.policy;
    g->attrs.priority = now.priority;
    g->attrs.nice = now.nice;
    bool differs = policy_bit(&g->attrs) || nice_bit(&g->attrs);
    attrs_unlock();
    settle(g, GT_W_POLICY, r == 0 ? differs : had);
    return r;
}

bool gt_ident_syscall(struct gt_g *g, long nr, const long *a, long *r)
{
    struct gt_g *of;
    switch (nr) {
    case SYS_sched_setaffinity:
        *r = RESULT(sched_setaffinity((pid_t)a[0], (size_t)a[1], (const cpu_set_t *)a[2]));
        return true;
    case SYS_sched_getaffinity:
        of = g_of_tid((pid_t)a[0]);
        *r = of ? get_affinity(of, (size_t)a[1], (void *)a[2]) : GT_SYS3(nr, a[0], a[1], a[2]);
        return true;
    case SYS_sched_setscheduler:
        *r = RESULT(sched_setscheduler((pid_t)a[0], (int)a[1], (const struct sched_param *)a[2]));
        return true;
    case SYS_sched_getscheduler:
        *r = RESULT(sched_getscheduler((pid_t)a[0]));
        return true;
    case SYS_sched_setparam:
        *r = RESULT(sched_setparam((pid_t)a[0], (const struct sched_param *)a[1]));
        return true;
    case SYS_sched_getparam:
        *r = RESULT(sched_getparam((pid_t)a[0], (struct sched_param *)a[1]));
        return true;
    case SYS_setpriority:
        *r = RESULT(setpriority((__priority_which_t)a[0], (id_t)a[1], (int)a[2]));
        return true;
    case SYS_getpriority: /* the kernel says 20 - nice */
        of = a[0] == PRIO_PROCESS ? g_of_tid((pid_t)a[1]) : NULL;
        *r = of ? 20 - attrs_of(of).nice : GT_SYS3(nr, a[0], a[1], 0);
        return true;
    case SYS_sched_setattr:
        of = g_of_tid((pid_t)a[0]);
        if (!of || of != g)
            return false;
        *r = own_attr(g, a);
        return true;
    default:
        return false;
    }
}
