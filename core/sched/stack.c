/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Stacks: address space, committed by touch, pooled by size, last in first out.
 *
 *   one reservation (stride bytes):   low  guard | stack ... | thread block  high
 *
 * Stacks are carved from slabs, so one mapping holds many.  Guards are MADV_GUARD_INSTALL marks
 * (Linux 6.13), which split no mapping and survive reuse; before that mprotect, within a budget,
 * because each costs two mappings and vm.max_map_count ends at 32,753 of them (PRIOR-ART.md, 5).
 * Beyond the budget stacks have no guard.
 *
 * Page tables: where a stack begins at a 2 MiB boundary, the guard mark and the neighbour's top
 * page lie in different page-table pages, which then cost as much as the stack.  So large stacks
 * are whole page tables, and their slabs begin 1 MiB off a 2 MiB boundary: the top page of stack i
 * and the guard of stack i+1 share one, until the guards of a slab add up to 1 MiB.  The guard lies
 * outside of what was asked for: programs compare pthread_getattr_np()'s size with that.
 *
 * Locks: STACKS, a leaf; no thread block is dropped under it.  Runs on any stack.
 */
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "core/os/tcb.h"
#include "core/sched/sched_int.h"

#define MADV_GUARD_INSTALL_ 102
#define PT_SPAN             (2ul << 20) /* what one page-table page maps */
#define SLAB_BYTES          (256ul << 20)
#define BIG_STACK           (1ul << 30)
#define MAX_POOLS           64
#define GUARD_BUDGET        8192
#define KEEP_HOT            512 /* free stacks of a size that keep their pages */

struct pool {
    size_t stride, guard;
    struct gt_stack *free; /* STACKS lock */
    uint32_t nfree;        /* STACKS lock */
    char *slab, *slab_end; /* STACKS lock: not yet carved */
};

static struct {
    struct gt_lock lock;
    struct pool pool[MAX_POOLS];
    int npool;
    struct gt_stack *descs; /* unused descriptors */
    _Atomic int guards;     /* guards made by mprotect that are mapped now */
    _Atomic bool no_madv;   /* the kernel has no guard marks */
} S;

int gt_stack_guard(char *lo, size_t n, bool *counted)
{
    *counted = false;
    if (!n)
        return 0;
    if (!load_rlx(&S.no_madv)) {
        int r = sys_madvise(lo, n, MADV_GUARD_INSTALL_);
        if (r == 0)
            return 0;
        if (r == -EINVAL)
            store_rlx(&S.no_madv, true); /* old kernel, or locked memory: mprotect from now on */
    }
    if (add_rlx(&S.guards, 1) >= GUARD_BUDGET) {
        sub_acqrel(&S.guards, 1);
        gt_warn_once("more than %d stacks: the further ones have no guard page on this kernel",
                     GUARD_BUDGET);
        return 0;
    }
    int r = sys_mprotect(lo, n, PROT_NONE);
    if (r)
        sub_acqrel(&S.guards, 1);
    *counted = r == 0;
    return r;
}

static struct pool *find_pool(size_t stride, size_t guard)
{
    for (int i = 0; i < S.npool; i++)
        if (S.pool[i].stride == stride && S.pool[i].guard == guard)
            return &S.pool[i];
    if (S.npool == MAX_POOLS)
        return NULL;
    struct pool *p = &S.pool[S.npool++];
    p->stride = stride;
    p->guard = guard;
    return p;
}

static bool big(const struct pool *p)
{
    return (p->stride - p->guard) % PT_SPAN == 0;
}

/* How much to reserve at once: little where address space is limited (RLIMIT_AS), because libc and
 * the Ms need some too; nothing for what the machine could never hold. */
static size_t slab_bytes(size_t stride)
{
    struct rlimit as;
    struct sysinfo si;
    if (stride > BIG_STACK && GT_SYS3(SYS_sysinfo, &si, 0, 0) == 0 &&
        stride > (si.totalram + si.totalswap) * si.mem_unit)
        return 0;
    if (GT_SYS6(SYS_prlimit64, 0, RLIMIT_AS, 0, &as, 0, 0) == 0 && as.rlim_cur != RLIM_INFINITY)
        return GT_MAX(GT_MIN(SLAB_BYTES, as.rlim_cur / 8), stride);
    return GT_MAX(SLAB_BYTES, stride);
}

/* A new slab for the pool: many stacks, or one where address space is scarce. */
static bool new_slab(struct pool *p)
{
    size_t n = slab_bytes(p->stride) / p->stride;
    for (; n; n /= 8) {
        size_t extra = big(p) ? PT_SPAN : 0;
        char *m = sys_mmap(NULL, n * p->stride + extra, PROT_READ | PROT_WRITE,
                           MAP_NORESERVE | MAP_STACK);
        if (gt_sys_is_err(m))
            continue;
        sys_madvise(m, n * p->stride + extra, MADV_NOHUGEPAGE);
        if (extra) { /* begin at 1 MiB past a 2 MiB boundary */
            char *at = (char *)(GT_ALIGN_DOWN((uintptr_t)m, PT_SPAN) + PT_SPAN / 2);
            at = at < m ? at + PT_SPAN : at;
            if (at > m)
                sys_munmap(m, (size_t)(at - m));
            size_t tail = (size_t)(m + n * p->stride + extra - (at + n * p->stride));
            if (tail)
                sys_munmap(at + n * p->stride, tail);
            m = at;
        }
        p->slab = m;
        p->slab_end = m + n * p->stride;
        return true;
    }
    return false;
}

/* Lock held.  All free stacks, taken out of their pools. */
static struct gt_stack *take_free(void)
{
    struct gt_stack *list = NULL;
    for (int i = 0; i < S.npool; i++) {
        struct pool *p = &S.pool[i];
        while (p->free) {
            struct gt_stack *s = p->free;
            p->free = s->next;
            s->next = list;
            list = s;
        }
        p->nfree = 0;
    }
    return list;
}

/* Gives stacks that are in no pool back to the system.  Lock not held: dropping a block goes
 * through the dynamic linker and the program's free(). */
static void drop(struct gt_stack *list)
{
    while (list) {
        struct gt_stack *s = list;
        list = s->next;
        if (s->tp)
            gt_tcb_drop(s->tp);
        sys_munmap(s->base, s->size);
        if (s->counted)
            sub_acqrel(&S.guards, 1);
        gt_lock(&S.lock, GT_RANK_STACKS);
        s->next = S.descs;
        S.descs = s;
        gt_unlock(&S.lock, GT_RANK_STACKS);
    }
}

static struct gt_stack *desc(void)
{
    struct gt_stack *s = S.descs;
    if (s)
        S.descs = s->next;
    else
        s = gt_persistent_alloc(sizeof(*s));
    return s;
}

static struct gt_stack *carve(struct pool *p)
{
    if (p->slab == p->slab_end && !new_slab(p))
        return NULL;
    struct gt_stack *s = desc();
    if (!s)
        return NULL;
    s->base = p->slab;
    s->size = p->stride;
    s->guard = p->guard;
    s->tp = NULL;
    if (gt_stack_guard(s->base, s->guard, &s->counted) != 0) {
        s->next = S.descs;
        S.descs = s;
        return NULL;
    }
    p->slab += p->stride;
    return s;
}

struct gt_stack *gt_stack_alloc(size_t size, size_t guard)
{
    guard = GT_ALIGN_UP(guard, GT_PAGE);
    size_t stride = GT_ALIGN_UP(size, GT_PAGE) + guard;
    if (size < 16384 || stride < size)
        return NULL;
    if (size >= PT_SPAN / 2)
        stride = GT_ALIGN_UP(size, PT_SPAN) + guard;
    if (stride <= guard)
        return NULL;
    for (bool again = false;; again = true) {
        gt_lock(&S.lock, GT_RANK_STACKS);
        struct pool *p = find_pool(stride, guard);
        struct gt_stack *s = p ? p->free : NULL;
        if (s) {
            p->free = s->next;
            p->nfree--;
        } else if (p) {
            s = carve(p);
        }
        /* no address space: the free stacks of all sizes go back, then once more */
        struct gt_stack *old = p && !s && !again ? take_free() : NULL;
        gt_unlock(&S.lock, GT_RANK_STACKS);
        if (!old)
            return s;
        drop(old);
    }
}

void gt_stack_free(struct gt_stack *s)
{
    gt_lock(&S.lock, GT_RANK_STACKS);
    struct pool *p = find_pool(s->size, s->guard);
    bool cold = p->nfree >= KEEP_HOT;
    if (!cold) {
        s->next = p->free;
        p->free = s;
        p->nfree++;
    }
    gt_unlock(&S.lock, GT_RANK_STACKS);
    if (!cold)
        return;
    /* many are free already: give the pages below the block back, then queue it */
    char *lo = s->base + s->guard;
    char *hi = (char *)GT_ALIGN_DOWN((uintptr_t)gt_tcb_low(s->tp), GT_PAGE);
    if (hi > lo)
        sys_madvise(lo, (size_t)(hi - lo), MADV_DONTNEED);
    gt_lock(&S.lock, GT_RANK_STACKS);
    s->next = p->free;
    p->free = s;
    p->nfree++;
    gt_unlock(&S.lock, GT_RANK_STACKS);
}

void gt_stack_fork_lock(void)
{
    gt_lock(&S.lock, GT_RANK_STACKS);
}

void gt_stack_fork_unlock(void)
{
    gt_unlock(&S.lock, GT_RANK_STACKS);
}

void gt_stack_foreach_free(void (*f)(void *tp, void *arg), void *arg)
{
    gt_lock(&S.lock, GT_RANK_STACKS);
    for (int i = 0; i < S.npool; i++)
        for (struct gt_stack *s = S.pool[i].free; s; s = s->next)
            if (s->tp)
                f(s->tp, arg);
    gt_unlock(&S.lock, GT_RANK_STACKS);
}

/* ---- executable stacks ---- */

/* Is the process's own stack executable?  The C library makes it so when a library that needs it is
 * loaded.  The line of /proc/self/maps that ends in [stack] says it. */
static bool process_stack_executable(void)
{
    static const char mark[] = "[stack]\n";
    char buf[1024], perms[4] = "";
    size_t words = 0, same = 0, at = 0;
    int fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    long n;
    bool yes = false;
    while (fd >= 0 && (n = sys_read(fd, buf, sizeof(buf))) > 0) {
        for (long i = 0; i < n; i++) {
            char c = buf[i];
            if (words == 1 && at < sizeof(perms))
                perms[at++] = c;
            same = c == mark[same] ? same + 1 : c == mark[0];
            yes |= !mark[same] && perms[2] == 'x';
            same = mark[same] ? same : 0;
            words = c == '\n' ? 0 : words + (c == ' ');
            at = words == 1 ? at : 0;
        }
    }
    if (fd >= 0)
        sys_close(fd);
    return yes;
}

bool gt_stack_allow_exec(const struct gt_g *g, uintptr_t pc)
{
    if (pc < (uintptr_t)g->stack_lo || pc >= (uintptr_t)g->stack_hi || !g->stack ||
        !process_stack_executable())
        return false;
    return sys_mprotect(g->stack_lo, (size_t)(g->stack_top - g->stack_lo),
                        PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
}
