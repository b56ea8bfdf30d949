/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an address is, sizes, statistics: reads of the heap that work without an owner.
 */
#include "core/mem/mem.h"

/* An object of a small span, by its index; what it is now. */
GT_RACES static void find_small(struct gt_object *o, const struct gt_span *s, uintptr_t p)
{
    size_t size = (size_t)s->units * 16, i = (p - (uintptr_t)s->start) / size;
    char *base = s->start + i * size;
    if (base >= s->limit)
        return;
    o->base = base;
    o->size = size;
    o->what = gt_span_is_free(s, (uint32_t)i) ? GT_OBJ_FREE : GT_OBJ_LIVE;
}

struct gt_object gt_heap_find(const void *ptr)
{
    uintptr_t p = (uintptr_t)ptr;
    struct gt_object o = {.base = NULL};
    unsigned kind =
        p >> GT_ARENA_SHIFT < GT_VA_ARENAS ? load_rlx(&gt_arena_kind[p >> GT_ARENA_SHIFT]) : 0;
    if (kind == GT_ARENA_HUGE) {
        o.size = gt_huge_find(ptr, &o.base);
        o.what = o.size ? GT_OBJ_LIVE : GT_OBJ_NEVER;
    } else if (kind == GT_ARENA_SMALL) {
        struct gt_span *s = o.span = gt_span_of(p);
        o.what = GT_OBJ_NEVER;
        if (s && s->state == GT_SPAN_SMALL) {
            find_small(&o, s, p);
        } else if (s) {
            o.base = s->start;
            o.size = (size_t)(s->limit - s->start);
            o.what = s->state == GT_SPAN_LARGE ? GT_OBJ_LIVE : GT_OBJ_FREE;
        }
    }
    return o;
}

size_t gt_usable(const void *p)
{
    struct gt_object o = gt_heap_find(p);
    return o.base == p && o.what == GT_OBJ_LIVE ? o.size : 0;
}

static void add_live(struct gt_span *s, void *arg)
{
    struct gt_memstats *st = arg;
    uint64_t nmalloc = s->nmalloc, nfree = s->nfree;
    if (s->state == GT_SPAN_SMALL) {
        for (uint32_t w = 0; w * 64 < s->count; w++)
            nfree += gt_popcount(load_rlx(&s->bits[w].remote));
        st->BySize[s->class].Mallocs += nmalloc;
        st->BySize[s->class].Frees += nfree;
        st->HeapAlloc += (nmalloc - nfree) * s->units * 16;
    } else if (s->state == GT_SPAN_LARGE) {
        st->HeapAlloc += (uint64_t)(s->limit - s->start);
        st->HeapObjects++;
    }
}

GT_RACES static uint64_t kept_count(const struct gt_of_class *k)
{
    uint64_t n = 0;
    for (const struct gt_kept *e = k->top; e && e[-1].at; e--)
        n++;
    return n;
}

static void add_gone(struct gt_memstats *st, const struct gt_mcache *mc)
{
    st->BySize[0].Mallocs += mc->of[0].again;
    st->BySize[0].Frees += mc->of[0].again;
    for (unsigned n = 1; n <= GT_LARGE_SLOTS; n++)
        st->BySize[0].Frees += mc->nlarge[n];
    for (unsigned c = 1; c < GT_NCLASS; c++) {
        uint64_t kept = kept_count(&mc->of[c]); /* in use for their spans, but free */
        st->BySize[c].Mallocs += mc->nmalloc[c] + mc->of[c].again;
        st->BySize[c].Frees += mc->nfree[c] + mc->of[c].again + kept;
        st->HeapAlloc -= kept * gt_classes[c].size;
    }
}

void gt_readmemstats(struct gt_memstats *st)
{
    struct gt_heap_sizes z;
    gt_memset(st, 0, sizeof(*st));
    gt_heap_each_span(add_live, st);
    for (struct gt_mcache *mc = gt_mc_all(); mc; mc = mc->alllink)
        add_gone(st, mc);
    add_gone(st, &gt_central);
    gt_heap_sizes(&z);
    st->BySize[0].Mallocs += z.nmalloc;
    st->BySize[0].Frees += z.nfree;
    for (unsigned c = 0; c < GT_NCLASS; c++) {
        st->BySize[c].Size = gt_classes[c].size;
        st->Mallocs += st->BySize[c].Mallocs;
        st->Frees += st->BySize[c].Frees;
        st->TotalAlloc += st->BySize[c].Mallocs * gt_classes[c].size;
        st->HeapObjects += c ? st->BySize[c].Mallocs - st->BySize[c].Frees : 0;
    }
    st->HeapAlloc += z.huge;
    st->TotalAlloc += z.large_bytes;
    st->HeapSys = st->Sys = z.mapped;
    st->HeapInuse = z.used;
    st->HeapIdle = z.mapped - z.used;
    st->HeapReleased = st->HeapIdle - z.dirty;
}

void (*gt_mem_die)(enum gt_mem_error e, const void *p);

void gt_mem_error(enum gt_mem_error e, const void *p)
{
    if (gt_mem_die)
        gt_mem_die(e, p);
    gt_fatal("heap error at", (long)p, (long)e);
}
