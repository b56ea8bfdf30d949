/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frees that are not what they should be: memory of libc's own allocator goes back there; all else
 * stops the program with one message: what the address is, and where everybody is.
 *
 *   gothread: free of 0x2a..40: inside an object of 64 bytes (class 4) at 0x2a..20, +32
 *
 * libc's allocator may have given memory before ours was found (the dynamic linker's start), and
 * does to who calls __libc_malloc.  Its objects lie in the heap that brk(2) makes, or alone in a
 * mapping, 16 bytes from its start.  This is looked up in /proc/self/maps: rare and slow.
 */
#include "interpose/alloc.h"

#include "core/sched/dump.h"

void *__libc_malloc(size_t n);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

struct region {
    uintptr_t lo, hi;
    bool brk, anonymous, writable;
    char name[64];
};

static uintptr_t hex(const char **s)
{
    uintptr_t v = 0;
    for (;; (*s)++) {
        char c = **s;
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (d < 0)
            return v;
        v = v << 4 | (uintptr_t)d;
    }
}

/* One line of maps: "lo-hi rwxp offset dev inode   name". */
static void parse(const char *s, struct region *r)
{
    r->lo = hex(&s);
    s += *s == '-';
    r->hi = hex(&s);
    r->writable = *s && s[1] && s[2] == 'w';
    int fields = 0;
    for (; *s && fields < 5; s++)
        fields += *s == ' ' && s[1] != ' ';
    gt_snprintf(r->name, sizeof(r->name), "%s", s);
    r->anonymous = !*s;
    r->brk = !gt_strcmp(s, "[heap]");
}

/* The mapping that holds p.  False: none. */
static bool region_of(uintptr_t p, struct region *r)
{
    char buf[4096], line[256];
    size_t len = 0;
    long n;
    int fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    bool found = false;
    while (fd >= 0 && !found && (n = sys_read(fd, buf, sizeof(buf))) > 0)
        for (long i = 0; i < n && !found; i++) {
            if (buf[i] != '\n') {
                len += len < sizeof(line) - 1;
                line[len - 1] = buf[i];
                continue;
            }
            line[len] = '\0';
            len = 0;
            parse(line, r);
            found = p >= r->lo && p < r->hi;
        }
    if (fd >= 0)
        sys_close(fd);
    return found;
}

/* Looks like an object of libc's allocator. */
static bool is_libc(uintptr_t p, const struct region *r)
{
    if (p & 15 || !r->writable)
        return false;
    size_t head = ((size_t *)p)[-1];
    if (r->brk)
        return (head & ~15ul) >= 32 && p + (head & ~15ul) <= r->hi + 16;
    return r->anonymous && (p & (GT_PAGE - 1)) == 16 && (head & 7) == 2 &&
           !(head & ~7ul & (GT_PAGE - 1)) && p - 16 + (head & ~7ul) <= r->hi;
}

/* ---- the message ---- */

static void describe_object(char *buf, size_t n, const struct gt_object *o, uintptr_t p)
{
    static const char *const what[] = {"nothing of the heap", "an object in use", "a free object",
                                       "memory that the heap has not handed out"};
    size_t k = gt_snprintf(buf, n, "%s%s", p != (uintptr_t)o->base && o->base ? "inside " : "",
                           what[o->what]);
    if (o->base && o->size)
        gt_snprintf(buf + k, n - k, " of %lu bytes (class %u) at %p, +%lu", (unsigned long)o->size,
                    o->span ? o->span->class : 0u, o->base,
                    (unsigned long)(p - (uintptr_t)o->base));
}

struct find_stack {
    uintptr_t p;
    struct gt_g *g;
};

static void on_stack(struct gt_g *g, void *arg)
{
    struct find_stack *f = arg;
    if (g->stack_lo && f->p >= (uintptr_t)g->stack_lo && f->p < (uintptr_t)g->stack_top)
        f->g = g;
}

static void describe(char *buf, size_t n, uintptr_t p)
{
    struct gt_object o = gt_heap_find((void *)p);
    struct find_stack f = {.p = p};
    struct region r;
    gt_foreach_g(on_stack, &f);
    if (o.what != GT_OBJ_NONE)
        describe_object(buf, n, &o, p);
    else if (f.g)
        gt_snprintf(buf, n, "on the stack of goroutine %lu", (unsigned long)f.g->goid);
    else if (!region_of(p, &r))
        gt_snprintf(buf, n, "not mapped");
    else
        gt_snprintf(buf, n, "not of the heap: %s", r.name[0] ? r.name : "an anonymous mapping");
}

void gt_alloc_die(enum gt_mem_error e, const void *p)
{
    static const char *const what[] = {"double free", "invalid free",
                                       "written past the end of a block"};
    static _Atomic bool once;
    char text[256];
    if (xchg_acqrel(&once, true))
        return;
    describe(text, sizeof(text), (uintptr_t)p);
    gt_printf("gothread: %s: %p: %s\n", what[e], p, text);
    struct gt_object o = gt_heap_find(p);
    gt_debug_print(o.base ? o.base : p);
    if (!gt_self())
        gt_traceback_here();
    gt_traceback_all(gt_self());
    struct gt_ksigaction dfl = {0};
    gt_sigset set = 1ull << (SIGABRT - 1);
    sys_sigaction(SIGABRT, &dfl, NULL);
    sys_sigprocmask(SIG_UNBLOCK, &set, NULL);
    sys_tgkill(sys_getpid(), sys_gettid(), SIGABRT);
}

void gt_alloc_bad_free(void *p, enum gt_free why)
{
    struct region r;
    if (why == GT_FREE_FOREIGN && region_of((uintptr_t)p, &r) && is_libc((uintptr_t)p, &r)) {
        __libc_free(p);
        return;
    }
    bool twice = why == GT_FREE_DOUBLE || gt_heap_find(p).what == GT_OBJ_FREE;
    gt_mem_error(twice ? GT_MEM_DOUBLE : GT_MEM_WILD, p);
}

void *gt_alloc_bad_realloc(void *p, size_t n)
{
    struct region r;
    struct gt_object o = gt_heap_find(p);
    if (o.what != GT_OBJ_NONE || !region_of((uintptr_t)p, &r) || !is_libc((uintptr_t)p, &r))
        gt_mem_error(o.what == GT_OBJ_FREE ? GT_MEM_DOUBLE : GT_MEM_WILD, p);
    return __libc_realloc(p, n);
}

size_t gt_alloc_foreign_size(void *p)
{
    struct region r;
    if (gt_heap_find(p).what == GT_OBJ_NONE && region_of((uintptr_t)p, &r) &&
        is_libc((uintptr_t)p, &r))
        return REAL(malloc_usable_size)(p);
    return 0;
}
