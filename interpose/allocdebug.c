/* SPDX-License-Identifier: BSD-2-Clause
 *
 * GODEBUG=clobberfree=1, mallocguard=1, allocfreetrace=1.  With any of them every call takes the
 * slow path and the mcache behind a lock: what is here needs no other protection.
 *
 *   clobberfree     what is freed is overwritten with 0xdf
 *   mallocguard     a block's rest, 16 bytes at least, holds a pattern, and its last word the size
 *                   that was asked for; free and realloc look at both.
 *                       | n bytes | 0xca 0xca ... | n xor secret |
 *   allocfreetrace  who allocated and who freed an address last is kept, for the message of a
 *                   failure: a table by address, where a newer entry replaces an older one
 */
#include "interpose/alloc.h"

#include <ucontext.h>

#include "core/kit/cfg.h"
#include "core/sched/dump.h"

#define CANARY  0xca
#define GUARD   16
#define SECRET  0x9e3779b97f4a7c15ull
#define ENTRIES (1u << 16)
#define DEPTH   12

bool gt_alloc_debug;

struct trace {
    uintptr_t pcs[DEPTH];
    uint64_t goid;
    int n;
};
static struct entry {
    uintptr_t p;
    struct trace made, freed;
} * table;

/* ---- who ---- */

static struct entry *entry_of(const void *p)
{
    if (!table) {
        void *m =
            sys_mmap(NULL, sizeof(struct entry) * ENTRIES, PROT_READ | PROT_WRITE, MAP_NORESERVE);
        if (gt_sys_is_err(m))
            return NULL;
        table = m;
    }
    return &table[((uintptr_t)p >> 4) * SECRET >> 48];
}

static void note(struct trace *t)
{
    ucontext_t uc;
    gt_memset(&uc, 0, sizeof(uc));
    gt_arch_getcontext(&uc);
    t->goid = gt_self() ? gt_self()->goid : 0;
    t->n = gt_unwind ? gt_unwind(&uc, t->pcs, DEPTH) : 0;
}

static void print(const char *what, const struct trace *t)
{
    if (!t->n)
        return;
    if (t->goid)
        gt_printf("%s by goroutine %lu:\n", what, (unsigned long)t->goid);
    else
        gt_printf("%s:\n", what);
    gt_traceback_pcs(t->pcs, t->n);
}

void gt_debug_print(const void *p)
{
    struct entry *e = gt_cfg.allocfreetrace ? entry_of(p) : NULL;
    if (!e || e->p != (uintptr_t)p)
        return;
    print("allocated", &e->made);
    print("freed", &e->freed);
}

/* ---- guard ---- */

static size_t *size_word(const struct gt_object *o)
{
    return (size_t *)(o->base + o->size) - 1;
}

static size_t asked_for(const struct gt_object *o)
{
    return gt_cfg.mallocguard ? *size_word(o) ^ SECRET : o->size;
}

/* The first byte of the rest that is not as it was; NULL: none. */
static char *damaged(const struct gt_object *o)
{
    size_t n = asked_for(o);
    if (n > o->size - GUARD)
        return (char *)size_word(o);
    for (char *c = o->base + n; c < (char *)size_word(o); c++)
        if (*(unsigned char *)c != CANARY)
            return c;
    return NULL;
}

size_t gt_debug_size(const struct gt_object *o)
{
    if (!gt_cfg.mallocguard)
        return o->size;
    char *bad = damaged(o);
    if (bad)
        gt_mem_error(GT_MEM_OVERRUN, bad);
    return asked_for(o);
}

/* ---- around the heap ---- */

void *gt_debug_malloc(struct gt_mcache *mc, size_t align, size_t n, bool *zero)
{
    size_t all = gt_cfg.mallocguard ? n + GUARD : n;
    void *p = all < n ? NULL : gt_mc_memalign(mc, align, all, zero);
    if (!p)
        return NULL;
    struct gt_object o = gt_heap_find(p);
    if (gt_cfg.mallocguard) {
        gt_memset(o.base + n, CANARY, o.size - n - sizeof(size_t));
        *size_word(&o) = n ^ SECRET;
    }
    struct entry *e = gt_cfg.allocfreetrace ? entry_of(p) : NULL;
    if (e) {
        e->p = (uintptr_t)p;
        e->freed.n = 0;
        note(&e->made);
    }
    return p;
}

enum gt_free gt_debug_free(struct gt_mcache *mc, void *p)
{
    struct gt_object o = gt_heap_find(p);
    if (o.what == GT_OBJ_LIVE && o.base == p) {
        gt_debug_size(&o);
        if (gt_cfg.clobberfree)
            gt_memset(p, 0xdf, o.size);
        struct entry *e = gt_cfg.allocfreetrace ? entry_of(p) : NULL;
        if (e) {
            if (e->p != (uintptr_t)p)
                e->made.n = 0;
            e->p = (uintptr_t)p;
            note(&e->freed);
        }
    }
    return gt_mc_free(mc, p);
}
