/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whose malloc it is: decided at the first call, which may come from the dynamic linker before any
 * constructor.  So the environment is read from where the kernel put it, and other objects' symbols
 * from their tables: nothing here calls dlsym, which allocates.
 *
 * Ours, but for these, where each call goes on to the one that would have answered without us:
 *   GOTHREAD=malloc=libc
 *   a sanitizer's library is loaded
 *   somebody asks jemalloc, tcmalloc or mimalloc by its own functions for memory (mallocx,
 *     tc_malloc, mi_malloc), and may give it to free.  A program that is only linked with one of
 *     them gets ours.
 *   the program defines malloc itself: then it is called directly, and what it does not define
 *     is the next one's, as a rule libc's
 */
#include "interpose/alloc.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include "core/kit/cfg.h"

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);
extern void *__libc_stack_end; /* of ld.so: where the kernel put argc */

struct gt_next gt_next = {__libc_malloc, __libc_calloc, __libc_realloc, __libc_memalign,
                          __libc_free};

/* ---- symbols of a loaded object ---- */

struct object {
    uintptr_t base;
    const ElfW(Sym) * sym;
    const char *str;
    const uint32_t *gnu; /* DT_GNU_HASH; NULL: it has none, nothing is found in it */
};

static struct object object_of(const struct link_map *lm)
{
    struct object o = {.base = lm->l_addr};
    for (const ElfW(Dyn) *d = lm->l_ld; d && d->d_tag != DT_NULL; d++) {
        /* relocated by the dynamic linker, but not in the vDSO */
        uintptr_t p = d->d_un.d_ptr < o.base ? d->d_un.d_ptr + o.base : d->d_un.d_ptr;
        if (d->d_tag == DT_SYMTAB)
            o.sym = (const ElfW(Sym) *)p;
        else if (d->d_tag == DT_STRTAB)
            o.str = (const char *)p;
        else if (d->d_tag == DT_GNU_HASH)
            o.gnu = (const uint32_t *)p;
    }
    return o;
}

/* gnu: buckets, first symbol that is hashed, words of the filter, its shift; filter; buckets;
 * hashes, the last of a bucket with its lowest bit set. */
static const ElfW(Sym) * hashed_in(const struct object *o, const char *name)
{
    uint32_t h = 5381;
    if (!o->gnu || !o->sym)
        return NULL;
    for (const char *c = name; *c; c++)
        h = h * 33 + (unsigned char)*c;
    const uint32_t *bucket = o->gnu + 4 + o->gnu[2] * 2ul, *chain = bucket + o->gnu[0];
    for (uint32_t i = bucket[h % o->gnu[0]]; i >= o->gnu[1]; i++) {
        uint32_t e = chain[i - o->gnu[1]];
        if ((e | 1) == (h | 1) && !gt_strcmp(o->str + o->sym[i].st_name, name))
            return &o->sym[i];
        if (e & 1)
            break;
    }
    return NULL;
}

static void *defined_in(const struct object *o, const char *name)
{
    const ElfW(Sym) *s = hashed_in(o, name);
    return s && s->st_shndx ? (void *)(o->base + s->st_value) : NULL;
}

/* libc first: it has nearly all that is asked for.  Objects without the hash may have anything. */
bool gt_may_be_defined(const char *name)
{
    static const struct link_map *libc;
    struct object o;
    for (const struct link_map *lm = _r_debug.r_map; !libc && lm; lm = lm->l_next) {
        o = object_of(lm);
        if (defined_in(&o, "gnu_get_libc_version"))
            libc = lm;
    }
    if (libc) {
        o = object_of(libc);
        if (defined_in(&o, name))
            return true;
    }
    uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
    for (const struct link_map *lm = _r_debug.r_map; lm; lm = lm->l_next) {
        o = object_of(lm);
        if (lm->l_ld != _DYNAMIC && lm->l_addr != vdso && (!o.gnu || defined_in(&o, name)))
            return true;
    }
    return false;
}

/* A function whose address a program takes that is not position-independent has that of the
 * program's own PLT entry, for all objects.  Calls go on to the next definition. */
static bool is_plt_entry(const struct object *o, const char *name, const void *p)
{
    const ElfW(Sym) *s = hashed_in(o, name);
    return s && !s->st_shndx && s->st_value && o->base + s->st_value == (uintptr_t)p;
}

/* Does it import one of the names?  What it does not define comes before what is hashed. */
static bool imports(const struct object *o, const char *const *names)
{
    for (uint32_t i = 1; o->gnu && o->sym && i < o->gnu[1]; i++)
        for (int k = 0; names[k]; k++)
            if (!gt_strcmp(o->str + o->sym[i].st_name, names[k]))
                return true;
    return false;
}

/* ---- the decision ---- */

static bool is_named(const struct link_map *lm, const char *const *names)
{
    const char *base = lm->l_name;
    for (const char *c = base; *c; c++)
        if (*c == '/')
            base = c + 1;
    for (int k = 0; names[k]; k++)
        if (!gt_memcmp(base, names[k], GT_MIN(gt_strlen(names[k]), gt_strlen(base) + 1)))
            return true;
    return false;
}

static const char *const sanitizers[] = {"libasan.",   "libtsan.",     "liblsan.",
                                         "libhwasan.", "libclang_rt.", NULL};
static const char *const allocators[] = {"libjemalloc", "libtcmalloc", "libmimalloc", NULL};
static const char *const own_calls[] = {"mallocx",   "rallocx",    "dallocx",   "sdallocx",
                                        "tc_malloc", "tc_free",    "mi_malloc", "mi_free",
                                        "mi_calloc", "mi_realloc", NULL};

static bool somebody_imports_own_calls(void)
{
    for (const struct link_map *lm = _r_debug.r_map; lm; lm = lm->l_next) {
        struct object o = object_of(lm);
        if (!is_named(lm, allocators) && imports(&o, own_calls))
            return true;
    }
    return false;
}

static bool go_on_to(const struct link_map *lm)
{
    struct object o = object_of(lm);
    void *m = defined_in(&o, "malloc"), *c = defined_in(&o, "calloc");
    void *r = defined_in(&o, "realloc"), *f = defined_in(&o, "free");
    void *a = defined_in(&o, "memalign");
    if (!m || !c || !r || !f)
        return false;
    gt_next = (struct gt_next){(void *(*)(size_t))m, (void *(*)(size_t, size_t))c,
                               (void *(*)(void *, size_t))r, (void *(*)(size_t, size_t))a,
                               (void (*)(void *))f};
    return true;
}

/* The first that the dynamic linker finds behind the program and this object: libc, or an allocator
 * that the program is linked with, which then also answers what we do not (malloc_usable_size). */
static void go_on_behind(void)
{
    for (const struct link_map *lm = _r_debug.r_map->l_next; lm; lm = lm->l_next)
        if (lm->l_ld != _DYNAMIC && go_on_to(lm))
            return;
}

static bool stand_aside(void)
{
    for (const struct link_map *lm = _r_debug.r_map; lm; lm = lm->l_next) {
        bool sanitizer = is_named(lm, sanitizers);
        if (!sanitizer && (!is_named(lm, allocators) || !somebody_imports_own_calls()))
            continue;
        if (!go_on_to(lm))
            continue;
        gt_warn("%s has a malloc of its own, which stays", lm->l_name);
        return true;
    }
    return false;
}

/* The name malloc, as the dynamic linker has resolved it for the program's calls: is it the one in
 * this object? */
extern __typeof__(malloc) gt_own_malloc __attribute__((visibility("hidden"))); /* alloc.c */
static bool is_ours(void)
{
    void *seen = (void *)malloc;
    __asm__("" : "+r"(seen)); /* what the dynamic linker has found, not what the compiler knows */
    struct object program = object_of(_r_debug.r_map);
    if (!is_plt_entry(&program, "malloc", seen))
        return seen == (void *)gt_own_malloc;
    for (const struct link_map *lm = _r_debug.r_map->l_next; lm; lm = lm->l_next) {
        struct object o = object_of(lm);
        if (defined_in(&o, "malloc"))
            return lm->l_ld == _DYNAMIC;
    }
    return false;
}

bool gt_alloc_decide(void)
{
    char **argv = (char **)__libc_stack_end + 1;
    while (*argv)
        argv++;
    gt_cfg_parse(&gt_cfg, argv + 1, NULL, NULL);
    gt_mem_die = gt_alloc_die;
    gt_heap_policy.limit = gt_cfg.gomemlimit;
    gt_heap_policy.lazy = !gt_cfg.madvdontneed;
    gt_alloc_debug = gt_cfg.clobberfree || gt_cfg.mallocguard || gt_cfg.allocfreetrace;
    if (gt_cfg.malloc && is_ours())
        return !stand_aside();
    go_on_behind();
    return false;
}
