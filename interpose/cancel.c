/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The end of a thread: pthread_exit, cancellation, cleanup handlers, destructors.
 *
 * Both pthread_exit and cancellation unwind the stack with _Unwind_ForcedUnwind of libgcc_s (loaded
 * at first need, as glibc does), so that C++ destructors and -fexceptions cleanups run.  The two
 * older C forms are chains of buffers on the stack, and run when the unwinding passes the frame
 * that holds them:
 *     __pthread_unwind_buf_t (pthread_cleanup_push in C): longjmp into it; its code calls
 * __pthread_unwind_next struct _pthread_cleanup_buffer (old binaries): routine(arg) At the stack's
 * end: C++ thread_local destructors, keys' destructors, then the goroutine is gone.
 *
 * Cancel word: DISABLED and ASYNC are written by the thread itself, PENDING by anybody, EXITING
 * once by the thread. GT_ATT_CANCEL in g->attention is kept equal to "PENDING and not DISABLED and
 * not EXITING", so that sleeps and system calls need to look at one word only.
 */
#include <unwind.h>

#include "interpose/pobj.h"
#include "interpose/thread.h"

#include "core/os/real.h"
#include "core/os/tcb.h"

typedef __typeof__(_Unwind_ForcedUnwind) forced_unwind_fn;
typedef __typeof__(_Unwind_GetCFA) get_cfa_fn;

static get_cfa_fn *get_cfa;

void *gt_libgcc(const char *name)
{
    static void *lib;
    if (!lib)
        lib = REAL(dlopen)("libgcc_s.so.1", RTLD_NOW);
    return lib ? dlsym(lib, name) : NULL;
}

struct gt_g *gt_thread_self(void)
{
    struct gt_g *g = gt_self();
    if (g)
        return g;
    g = gt_solo();
    return g && g->tp == gt_arch_get_tp() ? g : NULL;
}

/* What is public of __pthread_unwind_buf_t, and what glibc and we keep in its pad. */
struct unwind_buf {
    struct {
        __jmp_buf jb;
        int mask_was_saved;
    } saved[1];
    struct unwind_buf *prev;
};

/* ---- the first thread before the scheduler starts ---- */

/* Until then its cleanup chains and cancel state are libc's; a note of them is kept here, so that
 * its goroutine can take them over.  libc and we use the same words of a buffer. */
static struct {
    void *tp; /* the first thread's block; NULL once it is a goroutine */
    struct unwind_buf *cleanup, *outermost; /* behind the outermost is one of libc's own */
    void *old_cleanup;
    uint32_t cancel;
} first;

void gt_thread_first(void)
{
    first.tp = gt_arch_get_tp();
}

static bool is_first(void)
{
    return first.tp == gt_arch_get_tp() && !gt_in_vfork();
}

static void first_cancel(uint32_t bit, bool on)
{
    if (is_first())
        first.cancel = on ? first.cancel | bit : first.cancel & ~bit;
}

static void first_push(struct unwind_buf *b)
{
    if (!is_first())
        return;
    if (!first.cleanup)
        first.outermost = b;
    first.cleanup = b;
}

static void first_pop(struct unwind_buf *b)
{
    if (is_first())
        first.cleanup = b == first.outermost ? NULL : b->prev;
}

static void first_started(struct gt_g *g)
{
    if (!is_first())
        return;
    if (first.cleanup)
        first.outermost->prev = NULL;
    g->cleanup = first.cleanup;
    g->old_cleanup = first.old_cleanup;
    store_rlx(&g->cancel, first.cancel);
    first.tp = NULL;
}

/* ---- counting ---- */

static _Atomic int nthreads = 1;

void gt_thread_born(void)
{
    add_rlx(&nthreads, 1);
}

void gt_thread_unborn(void)
{
    sub_acqrel(&nthreads, 1);
}

void gt_thread_fork_child(void)
{
    store_rlx(&nthreads, 1);
}

/* ---- keys ---- */

static struct {
    _Atomic(void *) dtor; /* NULL: no destructor or no key; store release by create */
} keys[PTHREAD_KEYS_MAX];
static _Atomic unsigned nkeys; /* highest key with a destructor, plus one */

static void note_key(pthread_key_t k, void (*dtor)(void *))
{
    if (k >= PTHREAD_KEYS_MAX)
        return;
    store_rel(&keys[k].dtor, (void *)dtor);
    unsigned n = load_rlx(&nkeys);
    while (dtor && n <= k && !cas_rel(&nkeys, &n, k + 1))
        ;
}

GT_EXPORT int pthread_key_create(pthread_key_t *k, void (*dtor)(void *))
{
    int r = REAL(pthread_key_create)(k, dtor);
    if (r == 0)
        note_key(*k, dtor);
    return r;
}

extern __typeof__(pthread_key_create) __pthread_key_create
    __attribute__((alias("pthread_key_create"), copy(pthread_key_create), visibility("default")));

GT_EXPORT int pthread_key_delete(pthread_key_t k)
{
    note_key(k, NULL);
    return REAL(pthread_key_delete)(k);
}

GT_EXPORT int tss_create(tss_t *k, tss_dtor_t dtor)
{
    return pthread_key_create(k, dtor) == 0 ? thrd_success : thrd_error;
}

GT_EXPORT void tss_delete(tss_t k)
{
    pthread_key_delete(k);
}

/* In glibc's order: ascending keys, up to PTHREAD_DESTRUCTOR_ITERATIONS rounds. */
static void run_key_dtors(void)
{
    bool again = true;
    for (int round = 0; again && round < PTHREAD_DESTRUCTOR_ITERATIONS; round++) {
        again = false;
        unsigned n = load_acq(&nkeys);
        for (unsigned k = 0; k < n; k++) {
            void (*dtor)(void *) = (void (*)(void *))load_acq(&keys[k].dtor);
            void *v = dtor ? pthread_getspecific(k) : NULL;
            if (!v)
                continue;
            pthread_setspecific(k, NULL);
            dtor(v);
            again = true;
        }
    }
}

/* ---- the end ---- */

void gt_thread_finish(struct gt_g *g)
{
    or_acqrel(&g->cancel, GT_CANCEL_EXITING);
    and_acqrel(&g->attention, ~GT_ATT_CANCEL);
    gt_os_real.call_tls_dtors();
    run_key_dtors();
    if (load_acq(&gt_started)) { /* not the one thread of a fork's child, which has no scheduler */
        gt_rt_enter(g); /* what only this one takes, and was sent before it came to its end */
        gt_sig_catch_up(g, false);
        gt_rt_leave(g);
    }
    g->flags |= GT_GF_EXITING;
    if (sub_acqrel(&nthreads, 1) == 1)
        exit(0);
    gt_goexit(g);
}

void gt_thread_leave(struct gt_g *g, int status)
{
    or_acqrel(&g->cancel, GT_CANCEL_EXITING);
    and_acqrel(&g->attention, ~GT_ATT_CANCEL);
    g->flags |= GT_GF_EXITING;
    if (sub_acqrel(&nthreads, 1) == 1)
        gt_syscall6(SYS_exit_group, status, 0, 0, 0, 0, 0);
    gt_goexit(g);
}

static void *g_main(struct gt_g *g)
{
    errno = 0; /* libc's own TLS outlives a tenancy (tcb.c) */
    h_errno = 0;
    g->result = g->fn(g->arg);
    gt_thread_finish(g);
}

/* ---- unwinding ---- */

struct old_cleanup {
    void (*routine)(void *);
    void *arg;
    int canceltype;
    struct old_cleanup *prev;
};

static void run_chain(void **head, uintptr_t below)
{
    struct old_cleanup *o;
    while ((o = *head) != NULL && (uintptr_t)o < below) {
        *head = o->prev;
        o->routine(o->arg);
    }
}

/* The program's and those of functions of libc that are left (they unlock a stream). */
static void run_old(struct gt_g *g, uintptr_t below)
{
    void **libc = gt_tcb_cleanups(g->tp);
    run_chain(&g->old_cleanup, below);
    if (libc)
        run_chain(libc, below);
}

static _Unwind_Reason_Code stop(int version, _Unwind_Action actions, _Unwind_Exception_Class cls,
                                struct _Unwind_Exception *exc, struct _Unwind_Context *ctx,
                                void *arg)
{
    struct gt_g *g = arg;
    bool end = actions & _UA_END_OF_STACK;
    uintptr_t at = end ? UINTPTR_MAX : get_cfa(ctx);
    (void)version, (void)cls, (void)exc;
    if (!end && !(g->flags & GT_GF_MAIN) && at >= (uintptr_t)g->stack_hi - 64 &&
        at <= (uintptr_t)g->stack_top) /* not on a stack of makecontext's */
        at = UINTPTR_MAX, end = true;  /* the entry frame */
    run_old(g, at);
    struct unwind_buf *b = g->cleanup;
    if (b && (uintptr_t)b < at)
        REAL(_longjmp)((void *)b->saved[0].jb, 1);
    if (end)
        gt_thread_finish(g);
    return _URC_NO_REASON;
}

static void swallowed(_Unwind_Reason_Code reason, struct _Unwind_Exception *exc)
{
    (void)reason, (void)exc;
    gt_printf("FATAL: exception not rethrown\n");
    abort();
}

GT_NORETURN static void unwind(struct gt_g *g)
{
    static forced_unwind_fn *forced;
    if (!forced) {
        get_cfa = (get_cfa_fn *)gt_libgcc("_Unwind_GetCFA");
        forced = (forced_unwind_fn *)gt_libgcc("_Unwind_ForcedUnwind");
    }
    if (forced) {
        struct _Unwind_Exception *exc = (void *)g->unwind_exc;
        gt_memset(exc, 0, sizeof(*exc));
        exc->exception_cleanup = swallowed;
        forced(exc, stop, g);
    } else {
        gt_warn("libgcc_s.so.1 must be installed for pthread_exit and pthread_cancel to run "
                "destructors");
    }
    /* frames without unwind information: what can be run is run */
    run_old(g, UINTPTR_MAX);
    if (g->cleanup)
        REAL(_longjmp)((void *)((struct unwind_buf *)g->cleanup)->saved[0].jb, 1);
    gt_thread_finish(g);
}

_Static_assert(sizeof(struct _Unwind_Exception) <= sizeof(((struct gt_g *)0)->unwind_exc), "room");

static void leave_runtime(struct gt_g *g)
{
    and_acqrel(&g->attention, ~GT_ATT_CANCEL);
    gt_tcb_leave_point(g->tp);
    store_rlx(&g->in_rt, 0);
}

GT_EXPORT void pthread_exit(void *result)
{
    struct gt_g *g = gt_thread_self();
    if (!g) {
        REAL(pthread_exit)(result);
        __builtin_unreachable();
    }
    g->result = result;
    or_acqrel(&g->cancel, GT_CANCEL_EXITING);
    leave_runtime(g);
    unwind(g);
}

/* ---- cancellation ---- */

#define ACTS(word)                                                                                 \
    (((word) & (GT_CANCEL_PENDING | GT_CANCEL_DISABLED | GT_CANCEL_EXITING)) == GT_CANCEL_PENDING)

bool gt_cancel_wanted(const struct gt_g *g)
{
    return ACTS(load_acq(&g->cancel));
}

static void cancel_act(struct gt_g *g)
{
    if (!gt_cancel_wanted(g)) {
        and_acqrel(&g->attention, ~GT_ATT_CANCEL);
        return;
    }
    or_acqrel(&g->cancel, GT_CANCEL_EXITING);
    g->result = PTHREAD_CANCELED;
    leave_runtime(g);
    unwind(g);
}

void gt_testcancel(struct gt_g *g)
{
    if (unlikely(gt_cancel_wanted(g)))
        cancel_act(g);
}

GT_EXPORT int pthread_cancel(pthread_t t)
{
    struct gt_g *solo = gt_solo(), *g, *self;
    if (solo && solo->tp == (void *)t)
        gt_thread_start(); /* a fork's child cancels itself: cancellation points look at goroutines
                            */
    g = gt_g_of((void *)t);
    self = gt_self();
    if (!g)
        return gt_thread_gone(t) ? 0 : REAL(pthread_cancel)(t);
    gt_libgcc("_Unwind_ForcedUnwind"); /* loaded here, not in the victim */
    uint32_t w = or_acqrel(&g->cancel, GT_CANCEL_PENDING) | GT_CANCEL_PENDING;
    if (!ACTS(w))
        return 0;
    or_acqrel(&g->attention, GT_ATT_CANCEL);
    if (g == self) {
        if (w & GT_CANCEL_ASYNC)
            cancel_act(g);
        return 0;
    }
    if (self)
        gt_rt_enter(self);
    gt_kick(g);
    if (self)
        gt_rt_leave(self);
    return 0;
}

/* Sets or clears one bit of the own word; returns the old word. */
static uint32_t change(struct gt_g *g, uint32_t bit, bool on)
{
    uint32_t old = on ? or_acqrel(&g->cancel, bit) : and_acqrel(&g->cancel, ~bit);
    if (ACTS(load_acq(&g->cancel)))
        or_acqrel(&g->attention, GT_ATT_CANCEL);
    else
        and_acqrel(&g->attention, ~GT_ATT_CANCEL);
    return old;
}

static void act_if_async(struct gt_g *g)
{
    if ((load_acq(&g->cancel) & GT_CANCEL_ASYNC) && gt_cancel_wanted(g))
        cancel_act(g);
}

bool gt_cancel_hold(struct gt_g *g)
{
    return change(g, GT_CANCEL_DISABLED, true) & GT_CANCEL_DISABLED;
}

void gt_cancel_unhold(struct gt_g *g)
{
    change(g, GT_CANCEL_DISABLED, false);
    act_if_async(g);
}

GT_EXPORT int pthread_setcancelstate(int state, int *old)
{
    struct gt_g *g = gt_thread_self();
    if (!g) {
        first_cancel(GT_CANCEL_DISABLED, state == PTHREAD_CANCEL_DISABLE);
        return REAL(pthread_setcancelstate)(state, old);
    }
    if (state != PTHREAD_CANCEL_ENABLE && state != PTHREAD_CANCEL_DISABLE)
        return EINVAL;
    uint32_t w = change(g, GT_CANCEL_DISABLED, state == PTHREAD_CANCEL_DISABLE);
    if (old)
        *old = w & GT_CANCEL_DISABLED ? PTHREAD_CANCEL_DISABLE : PTHREAD_CANCEL_ENABLE;
    act_if_async(g);
    return 0;
}

GT_EXPORT int pthread_setcanceltype(int type, int *old)
{
    struct gt_g *g = gt_thread_self();
    if (!g) {
        first_cancel(GT_CANCEL_ASYNC, type == PTHREAD_CANCEL_ASYNCHRONOUS);
        return REAL(pthread_setcanceltype)(type, old);
    }
    if (type != PTHREAD_CANCEL_DEFERRED && type != PTHREAD_CANCEL_ASYNCHRONOUS)
        return EINVAL;
    uint32_t w = change(g, GT_CANCEL_ASYNC, type == PTHREAD_CANCEL_ASYNCHRONOUS);
    if (old)
        *old = w & GT_CANCEL_ASYNC ? PTHREAD_CANCEL_ASYNCHRONOUS : PTHREAD_CANCEL_DEFERRED;
    act_if_async(g);
    return 0;
}

GT_EXPORT void pthread_testcancel(void)
{
    struct gt_g *g = gt_self();
    if (g)
        gt_testcancel(g);
    else
        REAL(pthread_testcancel)();
}

/* ---- cleanup chains; called by code that the pthread_cleanup_push macros make ---- */

void __pthread_register_cancel(__pthread_unwind_buf_t *buf);
void __pthread_unregister_cancel(__pthread_unwind_buf_t *buf);
void __pthread_register_cancel_defer(__pthread_unwind_buf_t *buf);
void __pthread_unregister_cancel_restore(__pthread_unwind_buf_t *buf);
void __pthread_unwind_next(__pthread_unwind_buf_t *buf);

GT_EXPORT void __pthread_register_cancel(__pthread_unwind_buf_t *buf)
{
    struct gt_g *g = gt_thread_self();
    struct unwind_buf *b = (void *)buf;
    if (!g) {
        REAL(__pthread_register_cancel)(buf);
        first_push(b);
        return;
    }
    b->prev = g->cleanup;
    g->cleanup = b;
}

GT_EXPORT void __pthread_unregister_cancel(__pthread_unwind_buf_t *buf)
{
    struct gt_g *g = gt_thread_self();
    struct unwind_buf *b = (void *)buf;
    if (g) {
        g->cleanup = b->prev;
        return;
    }
    first_pop(b);
    REAL(__pthread_unregister_cancel)(buf);
}

/* The pad has four words: [0] prev, [2] the cancel type to restore. */
GT_EXPORT void __pthread_register_cancel_defer(__pthread_unwind_buf_t *buf)
{
    struct gt_g *g = gt_thread_self();
    if (!g) {
        REAL(__pthread_register_cancel_defer)(buf);
        first_push((void *)buf);
        return;
    }
    __pthread_register_cancel(buf);
    ((void **)&((struct unwind_buf *)(void *)buf)->prev)[2] =
        (void *)(uintptr_t)(change(g, GT_CANCEL_ASYNC, false) & GT_CANCEL_ASYNC);
}

GT_EXPORT void __pthread_unregister_cancel_restore(__pthread_unwind_buf_t *buf)
{
    struct gt_g *g = gt_thread_self();
    if (!g) {
        first_pop((void *)buf);
        REAL(__pthread_unregister_cancel_restore)(buf);
        return;
    }
    __pthread_unregister_cancel(buf);
    if (((void **)&((struct unwind_buf *)(void *)buf)->prev)[2]) {
        change(g, GT_CANCEL_ASYNC, true);
        act_if_async(g);
    }
}

GT_EXPORT void __pthread_unwind_next(__pthread_unwind_buf_t *buf)
{
    struct gt_g *g = gt_thread_self();
    if (!g) {
        REAL(__pthread_unwind_next)(buf);
        __builtin_unreachable();
    }
    g->cleanup = ((struct unwind_buf *)(void *)buf)->prev;
    unwind(g);
}

void _pthread_cleanup_push(struct old_cleanup *o, void (*routine)(void *), void *arg);
void _pthread_cleanup_pop(struct old_cleanup *o, int execute);
void _pthread_cleanup_push_defer(struct old_cleanup *o, void (*routine)(void *), void *arg);
void _pthread_cleanup_pop_restore(struct old_cleanup *o, int execute);

GT_EXPORT void _pthread_cleanup_push(struct old_cleanup *o, void (*routine)(void *), void *arg)
{
    struct gt_g *g = gt_thread_self();
    if (!g) {
        REAL(_pthread_cleanup_push)(o, routine, arg);
        if (is_first())
            first.old_cleanup = o;
        return;
    }
    o->routine = routine;
    o->arg = arg;
    o->prev = g->old_cleanup;
    g->old_cleanup = o;
}

GT_EXPORT void _pthread_cleanup_pop(struct old_cleanup *o, int execute)
{
    struct gt_g *g = gt_thread_self();
    if (!g) {
        if (is_first())
            first.old_cleanup = o->prev;
        REAL(_pthread_cleanup_pop)(o, execute);
        return;
    }
    g->old_cleanup = o->prev;
    if (execute)
        o->routine(o->arg);
}

_Static_assert(sizeof(struct old_cleanup) == sizeof(struct _pthread_cleanup_buffer), "the same");

void gt_cleanup_push(struct _pthread_cleanup_buffer *b, void (*routine)(void *), void *arg)
{
    _pthread_cleanup_push((struct old_cleanup *)b, routine, arg);
}

void gt_cleanup_pop(struct _pthread_cleanup_buffer *b)
{
    _pthread_cleanup_pop((struct old_cleanup *)b, 0);
}

GT_EXPORT void _pthread_cleanup_push_defer(struct old_cleanup *o, void (*routine)(void *),
                                           void *arg)
{
    struct gt_g *g = gt_thread_self();
    if (!g) {
        REAL(_pthread_cleanup_push_defer)(o, routine, arg);
        if (is_first())
            first.old_cleanup = o;
        return;
    }
    _pthread_cleanup_push(o, routine, arg);
    o->canceltype = change(g, GT_CANCEL_ASYNC, false) & GT_CANCEL_ASYNC ? 1 : 0;
}

GT_EXPORT void _pthread_cleanup_pop_restore(struct old_cleanup *o, int execute)
{
    struct gt_g *g = gt_thread_self();
    if (!g) {
        if (is_first())
            first.old_cleanup = o->prev;
        REAL(_pthread_cleanup_pop_restore)(o, execute);
        return;
    }
    g->old_cleanup = o->prev;
    if (o->canceltype)
        change(g, GT_CANCEL_ASYNC, true);
    if (execute)
        o->routine(o->arg);
    act_if_async(g);
}

void gt_futex_recheck(void);

void gt_thread_started(void)
{
    gt_g_main = g_main;
    gt_cancel_act = cancel_act;
    gt_recheck_hook = gt_futex_recheck;
    first_started(gt_self());
    gt_ident_started();
    gt_tcb_bury_pi = gt_bury_pi;
    gt_shared_started(gt_self());
    gt_timer_started(gt_self());
}
