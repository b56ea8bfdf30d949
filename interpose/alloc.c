/* SPDX-License-Identifier: BSD-2-Clause
 *
 * malloc and its family.   Sources: POSIX malloc(3p), posix_memalign(3p); malloc(3), mallopt(3).
 *
 * Whose mcache (core/mem/mem.h) a call uses, and what keeps others away from it:
 *   a kernel thread (before the scheduler starts, foreign)   its own, gt_tls.mcache: nothing can
 *                                      interrupt it but a signal handler, which may not allocate
 *   a goroutine whose M has a P        the P's, in a runtime section: neither preempted nor
 *                                      interrupted by a handler; sysmon does not take the P
 *   a goroutine in an announced call,  one for all of them, under a lock
 *   the child of a vfork
 * Also from the dynamic linker, before any constructor, and after the last atexit handler: nothing
 * here calls libc on the way, but for errno.
 *
 * If the program keeps another malloc (allocnext.c), each call goes on to that.  That is decided at
 * the first call; no thread has gt_tls.mcache then, so the fast path loses nothing by it.
 */
#include "interpose/alloc.h"

#include "core/kit/cfg.h"

enum { UNDECIDED, OURS, NEXT };
static _Atomic uint8_t mode;

bool gt_alloc_ours(void)
{
    if (unlikely(load_acq(&mode) == UNDECIDED))
        store_rel(&mode, gt_alloc_decide() ? OURS : NEXT);
    return load_rlx(&mode) == OURS;
}

/* ---- whose mcache ---- */

struct use {              /* in two registers */
    struct gt_mcache *mc; /* NULL: no memory */
    struct gt_g *g;       /* whose runtime section is open, or NULL */
};

/* A debugging knob is set: one mcache for all, in a runtime section. */
static void use_shared_debug(struct use *u)
{
    struct gt_g *g = gt_tls.g;
    if (g && !g->is_g0) {
        u->g = g;
        store_rlx(&g->in_rt, load_rlx(&g->in_rt) + 1);
    }
    u->mc = gt_mshared_lock();
}

/* The heap's, or what a debugging knob puts around it. */
static void *take_once(const struct use *u, size_t align, size_t n, bool *zero)
{
    if (unlikely(gt_alloc_debug))
        return gt_debug_malloc(u->mc, align, n, zero);
    return align > 16 ? gt_mc_memalign(u->mc, align, n, zero) : gt_mc_malloc(u->mc, n, zero);
}

/* When the system has no more, what this mcache keeps at hand for other sizes may do. */
static void *take(const struct use *u, size_t align, size_t n, bool *zero)
{
    if (unlikely(!u->mc))
        return NULL;
    void *p = take_once(u, align, n, zero);
    if (unlikely(!p) && n <= PTRDIFF_MAX) {
        gt_mc_ask(GT_DUE_FLUSH);
        gt_mc_flush(u->mc, false);
        p = take_once(u, align, n, zero);
    }
    return p;
}

static enum gt_free give(const struct use *u, void *p)
{
    if (unlikely(!u->mc))
        return GT_FREE_OK; /* no memory for an mcache: it is lost */
    return unlikely(gt_alloc_debug) ? gt_debug_free(u->mc, p) : gt_mc_free(u->mc, p);
}

/* pc: of the caller: a goroutine that has lost its P waits for one only in the program's text. */
static struct use use_begin(uintptr_t pc)
{
    struct use u = {.mc = gt_tls.mcache, .g = gt_tls.g};
    if (unlikely(gt_alloc_debug)) {
        u.g = NULL;
        use_shared_debug(&u);
        return u;
    }
    if (u.g && !u.g->is_g0) {
        uint32_t depth = load_rlx(&u.g->in_rt);
        store_rlx(&u.g->in_rt, depth + 1);
        GT_COMPILER_BAR(); /* as in gt_rt_enter: pairs with sysmon's membarrier */
        u.mc = load_rlx(&u.g->m->mcache);
        if (unlikely(!u.mc))
            u.mc = gt_m_mcache(u.g, depth == 0 && gt_preemptible(pc));
        if (unlikely(!u.mc))
            u.mc = gt_mshared_lock();
        return u;
    }
    u.g = NULL;
    if (likely(u.mc != NULL))
        return u;
    if (gt_tls.in_vfork)
        u.mc = gt_mshared_lock();
    else
        u.mc = gt_tls.mcache = gt_mc_get(sys_gettid());
    return u;
}

/* The end of a runtime section.  True: it was the last one, and gt_rt_attend_at is due. */
static inline __attribute__((always_inline)) bool leave_rt(struct gt_g *g)
{
    uint32_t depth = load_rlx(&g->in_rt) - 1;
    GT_COMPILER_BAR();
    store_rlx(&g->in_rt, depth);
    GT_COMPILER_BAR(); /* a signal from here on finds 0, one before has set attention */
    return unlikely(load_rlx(&g->attention)) && depth == 0;
}

static void use_end(struct use u, uintptr_t pc)
{
    if (likely(u.mc != NULL) && unlikely(u.mc->shared))
        gt_mshared_unlock();
    if (u.g && leave_rt(u.g))
        gt_rt_attend_at(u.g, pc);
}

#define PC() ((uintptr_t)__builtin_return_address(0))

static GT_NOINLINE void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* ---- malloc, calloc ---- */

static GT_NOINLINE void *malloc_slow(size_t n, uintptr_t pc)
{
    bool zero;
    if (!gt_alloc_ours())
        return gt_next.malloc(n);
    struct use u = use_begin(pc);
    void *p = take(&u, 16, n, &zero);
    use_end(u, pc);
    return likely(p != NULL) ? p : no_memory();
}

static GT_NOINLINE void *attend_malloc(void *p, struct gt_g *g, uintptr_t pc, size_t n)
{
    gt_rt_attend_at(g, pc);
    return p ? p : malloc_slow(n, pc);
}

/* The usual case on a goroutine: its P's mcache, a small object.  What is seldom done ends in
 * another function, so that this one needs no frame. */
void *gt_alloc(size_t n, uintptr_t pc)
{
    struct gt_g *g = gt_tls.g;
    if (!g)
        return malloc_slow(n, pc);
    store_rlx(&g->in_rt, load_rlx(&g->in_rt) + 1);
    GT_COMPILER_BAR(); /* as in gt_rt_enter */
    struct gt_mcache *mc = load_rlx(&g->m->mcache);
    void *p = likely(mc != NULL) ? gt_mc_malloc_fast(mc, n) : NULL;
    if (unlikely(leave_rt(g)))
        return attend_malloc(p, g, pc, n);
    return likely(p != NULL) ? p : malloc_slow(n, pc);
}

extern __typeof__(malloc) gt_own_malloc
    __attribute__((alias("malloc"), copy(malloc), visibility("hidden")));

GT_EXPORT void *malloc(size_t n)
{
    void *p = gt_quick_malloc(gt_tls.mcache, n);
    return likely(p != NULL) ? p : gt_alloc(n, PC());
}

static void zero_exact(void *p, size_t n)
{
    gt_memset(p, 0, n);
}

static void *calloc_at(size_t n, uintptr_t pc)
{
    bool zero;
    struct use u = use_begin(pc);
    void *p = take(&u, 16, n, &zero);
    if (p && !zero)
        (unlikely(gt_alloc_debug) ? zero_exact : gt_zero)(p, n);
    use_end(u, pc);
    return p ? p : no_memory();
}

GT_EXPORT void *calloc(size_t n, size_t size)
{
    size_t bytes;
    if (unlikely(!gt_tls.mcache) && !gt_alloc_ours())
        return gt_next.calloc(n, size);
    if (unlikely(__builtin_mul_overflow(n, size, &bytes)))
        return no_memory();
    return calloc_at(bytes, PC());
}

/* ---- free ---- */

static GT_NOINLINE void free_slow(void *p, uintptr_t pc)
{
    if (!p)
        return;
    if (!gt_alloc_ours()) {
        gt_next.free(p);
        return;
    }
    struct use u = use_begin(pc);
    enum gt_free r = give(&u, p);
    use_end(u, pc);
    if (unlikely(r != GT_FREE_OK))
        gt_alloc_bad_free(p, r);
}

static GT_NOINLINE void attend_free(void *p, struct gt_g *g, uintptr_t pc, bool done)
{
    gt_rt_attend_at(g, pc);
    if (!done)
        free_slow(p, pc);
}

/* Not an object of the caller's own: another mcache's, or something else.  g: in whose runtime
 * section it is, or NULL. */
static GT_NOINLINE void free_others(void *p, uintptr_t pc, struct gt_g *g, struct gt_mcache *mc)
{
    bool done = likely(mc != NULL) && gt_mc_free_remote(mc, p);
    if (g && unlikely(leave_rt(g)))
        attend_free(p, g, pc, done);
    else if (!done)
        free_slow(p, pc);
}

void gt_alloc_free(void *p, uintptr_t pc)
{
    struct gt_g *g = gt_tls.g;
    struct gt_mcache *mc = gt_tls.mcache;
    if (g) {
        store_rlx(&g->in_rt, load_rlx(&g->in_rt) + 1);
        GT_COMPILER_BAR(); /* as in gt_rt_enter */
        mc = load_rlx(&g->m->mcache);
        if (likely(mc != NULL) && likely(gt_mc_free_fast(mc, p))) {
            if (unlikely(leave_rt(g)))
                attend_free(p, g, pc, true);
            return;
        }
    }
    free_others(p, pc, g, mc);
}

GT_EXPORT void free(void *p)
{
    if (!gt_quick_free(gt_tls.mcache, p))
        gt_alloc_free(p, PC());
}

void cfree(void *p);

GT_EXPORT void cfree(void *p)
{
    free(p);
}

/* ---- realloc ---- */

/* Another size where it is?  Nobody else touches a live object's span's size. */
static bool in_place(struct gt_object *o, size_t n)
{
    struct gt_span *s = o->span;
    if (s->state == GT_SPAN_SMALL)
        return n <= o->size && (n > o->size / 2 || n <= 16);
    if (n <= GT_SMALL_MAX || n >= GT_HUGE_MIN)
        return false;
    size_t slots = gt_slots(n);
    if ((slots > s->nslots || slots < s->nslots / 2) && !gt_heap_resize(s, slots))
        return false;
    s->limit = s->start + GT_ALIGN_UP(n, GT_PAGE);
    return true;
}

/* A large block that has grown will grow again: addresses for it, memory only when it does. */
static size_t with_room(size_t n)
{
    return n > GT_SMALL_MAX && n < GT_HUGE_MIN / 2 ? n + n / 4 : n;
}

static void *realloc_copy(struct gt_object *o, size_t n, uintptr_t pc)
{
    bool zero;
    void *old = o->base;
    struct use u = use_begin(pc);
    void *p = take(&u, 16, gt_alloc_debug ? n : with_room(n), &zero);
    if (p && n > GT_SMALL_MAX && n < GT_HUGE_MIN && !gt_alloc_debug)
        gt_slot_of((uintptr_t)p)->limit = (char *)p + GT_ALIGN_UP(n, GT_PAGE);
    enum gt_free r = GT_FREE_OK;
    if (p) {
        (unlikely(gt_alloc_debug) ? gt_memcpy : gt_copy)(p, old, GT_MIN(n, o->size));
        r = give(&u, old);
    }
    use_end(u, pc);
    if (unlikely(r != GT_FREE_OK))
        gt_alloc_bad_free(old, r);
    return p ? p : no_memory();
}

/* A block that has grown so far may well go on: into a mapping of its own, which grows without a
 * copy, and of whole large pages, as it is filled from the bottom. */
static void *realloc_grown(struct gt_object *o, size_t n)
{
    n = GT_ALIGN_UP(n, GT_GROWN_BY);
    void *p = gt_huge_alloc(n, 1);
    if (!p)
        return no_memory();
    sys_madvise(p, n, MADV_HUGEPAGE);
    gt_memcpy(p, o->base, o->size);
    gt_alloc_free(o->base, 0);
    return p;
}

static void *realloc_at(void *p, size_t n, uintptr_t pc)
{
    if (!p)
        return gt_alloc(n, pc);
    if (!n) {
        gt_alloc_free(p, pc);
        return NULL;
    }
    struct gt_object o = gt_heap_find(p);
    if (unlikely(o.base != p || o.what != GT_OBJ_LIVE))
        return gt_alloc_bad_realloc(p, n);
    if (unlikely(n > PTRDIFF_MAX - GT_ARENA_BYTES))
        return no_memory();
    if (unlikely(gt_alloc_debug)) {
        o.size = gt_debug_size(&o);
        return realloc_copy(&o, n, pc);
    }
    if (!o.span && n >= GT_GROWN_MIN) {
        n = GT_ALIGN_UP(n, GT_GROWN_BY);
        void *r = n == o.size ? p : gt_huge_realloc(p, n);
        return r ? r : no_memory();
    }
    if (o.span && n > o.size && n >= GT_GROWN_MIN)
        return realloc_grown(&o, n);
    if (o.span && in_place(&o, n))
        return p;
    return realloc_copy(&o, n, pc);
}

GT_EXPORT void *realloc(void *p, size_t n)
{
    if (unlikely(!gt_tls.mcache) && !gt_alloc_ours())
        return gt_next.realloc(p, n);
    return realloc_at(p, n, PC());
}

GT_EXPORT void *reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return no_memory();
    if (!gt_alloc_ours())
        return gt_next.realloc(p, bytes);
    return realloc_at(p, bytes, PC());
}

/* ---- aligned ---- */

void *gt_alloc_aligned(size_t align, size_t n, uintptr_t pc)
{
    bool zero;
    struct use u = use_begin(pc);
    void *p = take(&u, align, n, &zero);
    use_end(u, pc);
    return p;
}

/* glibc rounds an alignment up to a power of two. */
static void *memalign_at(size_t align, size_t n, uintptr_t pc)
{
    size_t a = 16;
    if (align > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    while (a < align)
        a *= 2;
    void *p = gt_alloc_aligned(a, n, pc);
    return p ? p : no_memory();
}

GT_EXPORT void *memalign(size_t align, size_t n)
{
    return gt_alloc_ours() ? memalign_at(align, n, PC()) : gt_next.memalign(align, n);
}

GT_EXPORT void *aligned_alloc(size_t align, size_t n)
{
    return gt_alloc_ours() ? memalign_at(align, n, PC()) : REAL(aligned_alloc)(align, n);
}

GT_EXPORT int posix_memalign(void **out, size_t align, size_t n)
{
    if (!gt_alloc_ours())
        return REAL(posix_memalign)(out, align, n);
    if (align % sizeof(void *) || !align || (align & (align - 1)))
        return EINVAL;
    void *p = gt_alloc_aligned(align, n, PC());
    if (!p) {
        no_memory(); /* POSIX leaves errno open; glibc sets it, and programs look */
        return ENOMEM;
    }
    *out = p;
    return 0;
}

GT_EXPORT void *valloc(size_t n)
{
    return gt_alloc_ours() ? memalign_at(GT_PAGE, n, PC()) : REAL(valloc)(n);
}

GT_EXPORT void *pvalloc(size_t n)
{
    if (!gt_alloc_ours())
        return REAL(pvalloc)(n);
    if (n > PTRDIFF_MAX)
        return no_memory();
    return memalign_at(GT_PAGE, GT_ALIGN_UP(n, GT_PAGE), PC());
}

/* ---- what else <malloc.h> has ---- */

GT_EXPORT size_t malloc_usable_size(void *p)
{
    if (!gt_alloc_ours())
        return REAL(malloc_usable_size)(p);
    if (!p)
        return 0;
    struct gt_object o = gt_heap_find(p);
    if (o.base != p || o.what != GT_OBJ_LIVE)
        return gt_alloc_foreign_size(p);
    return unlikely(gt_alloc_debug) ? gt_debug_size(&o) : o.size;
}

GT_EXPORT int malloc_trim(size_t pad)
{
    if (!gt_alloc_ours())
        return REAL(malloc_trim)(pad);
    gt_mc_ask(GT_DUE_TRIM);
    struct use u = use_begin(PC());
    size_t n = u.mc ? gt_mc_flush(u.mc, true) : 0;
    use_end(u, PC());
    return n + gt_central_trim() + gt_heap_scavenge(pad) != 0;
}

GT_EXPORT int mallopt(int param, int value)
{
    if (!gt_alloc_ours())
        return REAL(mallopt)(param, value);
    return 1; /* what glibc's parameters tune is not there */
}

GT_EXPORT struct mallinfo2 mallinfo2(void)
{
    if (!gt_alloc_ours())
        return REAL(mallinfo2)();
    struct gt_memstats st;
    struct gt_heap_sizes z;
    gt_readmemstats(&st);
    gt_heap_sizes(&z);
    return (struct mallinfo2){.arena = z.mapped - z.huge,
                              .hblkhd = z.huge,
                              .uordblks = st.HeapAlloc - z.huge,
                              .fordblks = z.mapped - st.HeapAlloc,
                              .keepcost = z.dirty};
}

GT_EXPORT struct mallinfo mallinfo(void)
{
    if (!gt_alloc_ours())
        return REAL(mallinfo)();
    struct mallinfo2 m = mallinfo2();
    return (struct mallinfo){.arena = (int)m.arena,
                             .hblkhd = (int)m.hblkhd,
                             .uordblks = (int)m.uordblks,
                             .fordblks = (int)m.fordblks,
                             .keepcost = (int)m.keepcost};
}

GT_EXPORT void malloc_stats(void)
{
    if (!gt_alloc_ours()) {
        REAL(malloc_stats)();
        return;
    }
    struct gt_memstats st;
    struct gt_heap_sizes z;
    gt_readmemstats(&st);
    gt_heap_sizes(&z);
    for (int total = 0; total < 2; total++)
        gt_printf("%s\nsystem bytes     = %10lu\nin use bytes     = %10lu\n",
                  total ? "Total (incl. mmap):" : "Arena 0:",
                  (unsigned long)(z.mapped - (total ? 0 : z.huge)),
                  (unsigned long)(st.HeapAlloc - (total ? 0 : z.huge)));
    gt_printf("max mmap bytes   = %10lu\n", (unsigned long)z.huge);
    gt_printf("HeapSys      = %lu\nHeapInuse    = %lu\nHeapAlloc    = %lu\n"
              "HeapReleased = %lu\nMallocs      = %lu\nFrees        = %lu\n",
              (unsigned long)st.HeapSys, (unsigned long)st.HeapInuse, (unsigned long)st.HeapAlloc,
              (unsigned long)st.HeapReleased, (unsigned long)st.Mallocs, (unsigned long)st.Frees);
}

static void info_sizes(FILE *f, const struct gt_memstats *st)
{
    for (int c = 1; c < GT_NCLASS; c++)
        if (st->BySize[c].Mallocs)
            fprintf(f, "<size class=\"%d\" size=\"%lu\" mallocs=\"%lu\" frees=\"%lu\"/>\n", c,
                    (unsigned long)st->BySize[c].Size, (unsigned long)st->BySize[c].Mallocs,
                    (unsigned long)st->BySize[c].Frees);
}

GT_EXPORT int malloc_info(int options, FILE *f)
{
    if (!gt_alloc_ours())
        return REAL(malloc_info)(options, f);
    if (options)
        return EINVAL;
    struct gt_memstats st;
    gt_readmemstats(&st);
    fprintf(f, "<malloc version=\"gothread\">\n<sizes>\n");
    info_sizes(f, &st);
    fprintf(f,
            "</sizes>\n<memstats HeapAlloc=\"%lu\" HeapSys=\"%lu\" HeapIdle=\"%lu\" "
            "HeapInuse=\"%lu\" HeapReleased=\"%lu\" HeapObjects=\"%lu\" Mallocs=\"%lu\" "
            "Frees=\"%lu\"/>\n</malloc>\n",
            (unsigned long)st.HeapAlloc, (unsigned long)st.HeapSys, (unsigned long)st.HeapIdle,
            (unsigned long)st.HeapInuse, (unsigned long)st.HeapReleased,
            (unsigned long)st.HeapObjects, (unsigned long)st.Mallocs, (unsigned long)st.Frees);
    return 0;
}

/* ---- fork: g's runtime section is open, or there is no goroutine ---- */

struct gt_mcache *gt_alloc_fork_before(struct gt_g *g)
{
    struct gt_mcache *mc = !g ? gt_tls.mcache : gt_alloc_ours() ? gt_m_mcache(g, false) : NULL;
    gt_mem_fork_lock();
    gt_persistent_fork_lock();
    return mc;
}

void gt_alloc_fork_alone(void)
{
    if (gt_tls.mcache)
        gt_mc_chown(gt_tls.mcache, sys_gettid());
}

void gt_alloc_fork_parent(void)
{
    gt_persistent_fork_unlock();
    gt_mem_fork_unlock();
}

void gt_alloc_fork_child(struct gt_mcache *mc)
{
    gt_persistent_fork_unlock();
    gt_mem_fork_child(mc, sys_gettid());
    gt_tls.mcache = mc;
}
