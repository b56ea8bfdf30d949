/* SPDX-License-Identifier: BSD-2-Clause */
/* Random traces over the whole allocation API; an ordinary program.
 *
 *   fuzz [--seed S] [--threads N] [--ops N | --secs T] [--fail-nth N [--fail-count K]] [--limit MB]
 *        [--foreign] [--no-fork]
 *
 * Each of N lanes (0: one, on the main thread, and no thread is ever made) repeats: draw an
 * operation from its own generator, which the seed and the lane's number give, and carry it out on
 * one of its objects.  Lanes hand objects to each other through a common table.  The thread of a
 * lane ends after a while, and another one, that it starts, goes on with its objects.  Now and then
 * it forks: the child checks what it finds, allocates and frees, alone or with threads.
 *
 * Checked for each object: alignment, usable size, that it lies in no other live object, that
 * calloc's is zero, that its contents are what was last written whenever it is looked at, resized
 * or freed; that failures are NULL with ENOMEM (EINVAL for a wrong alignment); that free keeps
 * errno.
 *
 * --fail-nth N: the Nth call of mmap, munmap, mremap, madvise or brk, counted from when main has
 * made a first thread, fails with ENOMEM, and the K - 1 after it.  A process that we fork
 * beforehand decides on each call, which a seccomp filter hands to it.  --limit MB: RLIMIT_AS is
 * what is mapped plus so much. In both the program must go on; there a NULL with ENOMEM is fine,
 * and pthread_create's EAGAIN.
 * --foreign: other allocators, to try this program on: alignment is not judged (mimalloc 2.0.9 and
 * jemalloc 5.3.0 get some wrong), nor errno; jemalloc has no pvalloc.
 *
 * Output: the seed first; at the end the number of operations, and of memory calls that were
 * counted ("calls N").  Exit status 0, or 1 with one line of what was wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "failing.h"

enum { SLOTS = 400, COMMON = 200, LANES_MAX = 256, LIVE_MAX = 32 << 20, CANARY = 4321 };

/* How an object was made: what may free it, and with what it is checked. */
enum kind { C, NEW, NEW_ARRAY, NEW_ALIGNED, NEW_ARRAY_ALIGNED };

struct object {
    unsigned char *at; /* NULL: no object */
    size_t size, align;
    uint64_t id; /* the contents are made from it */
    enum kind kind;
};

struct lane {
    struct object *slot[SLOTS];
    uint64_t rng;
    long ops, live; /* live: bytes of its objects, about */
    long left;      /* operations that are still to be done, with --ops */
    int number, is_child;
};

static struct object objects[LANES_MAX * SLOTS + COMMON];
static _Atomic(struct object *) common[COMMON];
static struct lane lanes[LANES_MAX];
static _Atomic uint64_t last_id;
static _Atomic long all_ops, failed_allocations;

static uint64_t seed;
static long ops_each, secs, limit_mb, fail_nth, fail_count = 1;
static int threads = 4, foreign, no_fork, may_fail;
static time_t ends_at;

static _Noreturn void wrong(const char *what, const struct object *o)
{
    char text[256];
    int n = snprintf(text, sizeof text,
                     "fuzz: seed %lu, process %d: %s: object %p size %zu align %zu kind %d id %lu, "
                     "errno %d\n",
                     seed, getpid(), what, o ? (void *)o->at : NULL, o ? o->size : 0,
                     o ? o->align : 0, o ? (int)o->kind : 0, o ? o->id : 0, errno);

    if (write(2, text, (size_t)n) != n)
        _exit(2);
    if (getenv("FUZZ_ABORT"))
        abort();
    _exit(1);
}

#define MUST(cond, o)                                                                              \
    do {                                                                                           \
        if (!(cond))                                                                               \
            wrong(#cond, o);                                                                       \
    } while (0)

/* ---- random numbers ---- */

static uint32_t next(struct lane *l)
{
    l->rng = l->rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(l->rng >> 32);
}

static uint32_t below(struct lane *l, uint32_t n)
{
    return (uint32_t)((uint64_t)next(l) * n >> 32);
}

static size_t draw_size(struct lane *l)
{
    uint32_t what = below(l, 1000);

    if (what < 500)
        return below(l, 129);
    if (what < 750)
        return below(l, 1100);
    if (what < 900)
        return below(l, 34000);
    if (what < 960) /* about a power of two, or a multiple of the page */
        return ((size_t)8 << below(l, 15)) + below(l, 33) - (below(l, 2) ? 8 : 0);
    if (what < 980)
        return (size_t)4096 * (1 + below(l, 40)) + below(l, 3) - 1;
    if (what < 998)
        return below(l, 1 << 20);
    return below(l, 24 << 20);
}

/* ---- no two objects overlap: a bit for each 8 bytes of the address space, set while live ---- */

enum { REGION = 1 << 20, WORDS = REGION / 8 / 64, MID = 1 << 13, ROOT = 1 << 14 };

struct region {
    _Atomic uint64_t bits[WORDS];
};
struct mid {
    _Atomic(struct region *) region[MID];
};

static _Atomic(struct mid *) root[ROOT];
static _Atomic size_t arena_used;
static _Alignas(64) char arena[192 << 20]; /* never written: never paged in */

/* Zeroed memory that no allocator knows.  Two threads that race for one entry waste a piece. */
static void *own_memory(size_t size)
{
    size_t at = atomic_fetch_add(&arena_used, size);

    MUST(at + size <= sizeof arena, NULL);
    return arena + at;
}

static struct region *region_of(uintptr_t address)
{
    uintptr_t n = address / REGION;
    struct mid *m, *none_m = NULL;
    struct region *r, *none_r = NULL;

    MUST(n / MID < ROOT, NULL);
    m = atomic_load(&root[n / MID]);
    if (!m) {
        m = own_memory(sizeof *m);
        if (!atomic_compare_exchange_strong(&root[n / MID], &none_m, m))
            m = none_m;
    }
    r = atomic_load(&m->region[n % MID]);
    if (!r) {
        r = own_memory(sizeof *r);
        if (!atomic_compare_exchange_strong(&m->region[n % MID], &none_r, r))
            r = none_r;
    }
    return r;
}

/* Sets or clears the bits of an object; all must have been the other way. */
static void mark(const struct object *o, int live)
{
    uintptr_t at = (uintptr_t)o->at / 8, end = ((uintptr_t)o->at + (o->size ? o->size : 1) + 7) / 8;

    while (at < end) {
        uintptr_t in_word = 64 - at % 64, n = end - at < in_word ? end - at : in_word;
        uint64_t bits = (n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << at % 64;
        _Atomic uint64_t *word = &region_of(at * 8)->bits[at / 64 % WORDS];
        uint64_t old = live ? atomic_fetch_or(word, bits) : atomic_fetch_and(word, ~bits);
        if (live ? (old & bits) != 0 : (old & bits) != bits)
            wrong(live ? "overlaps a live object" : "its place is not marked", o);
        at += n;
    }
}

/* ---- contents ---- */

enum { ALL_UP_TO = 16384, STRIDE = 1024 };

static unsigned char byte_of(const struct object *o, size_t i)
{
    return (unsigned char)((o->id * 0x9e3779b97f4a7c15u + i * 31) >> 24) ^ (unsigned char)i;
}

/* Of a large object: its first and last bytes, and one in each STRIDE. */
static size_t step_at(const struct object *o, size_t i)
{
    return o->size <= ALL_UP_TO || i < 256 || i + 256 >= o->size ? 1 : STRIDE / 2;
}

static void fill(struct object *o)
{
    for (size_t i = 0; i < o->size; i += step_at(o, i))
        o->at[i] = byte_of(o, i);
}

static void verify(const struct object *o)
{
    for (size_t i = 0; o->at && i < o->size; i += step_at(o, i))
        if (o->at[i] != byte_of(o, i))
            wrong("contents changed", o);
}

/* What is left of `old` in an object that was resized from it. */
static void verify_moved(const struct object *o, const struct object *old)
{
    size_t n = old->size < o->size ? old->size : o->size;

    for (size_t i = 0; i < n; i += step_at(old, i))
        if (o->at[i] != byte_of(old, i))
            wrong("realloc lost contents", o);
}

static void verify_zero(const struct object *o)
{
    for (size_t i = 0; i < o->size; i += o->size <= 1 << 16 ? 1 : i % 4096 < 64 ? 8 : 128)
        if (o->at[i])
            wrong("calloc's memory is not zero", o);
}

/* ---- making objects ---- */

/* NULL is right only where memory may be short, and says ENOMEM. */
static int failed(void *p, struct object *o)
{
    if (p)
        return 0;
    if (!may_fail && o->size < (size_t)1 << 30)
        wrong("no memory", o);
    MUST(errno == ENOMEM, o);
    atomic_fetch_add_explicit(&failed_allocations, 1, memory_order_relaxed);
    o->at = NULL;
    return 1;
}

/* The object has just been made at p: judges it and fills it. */
static void adopt(struct lane *l, struct object *o, void *p)
{
    size_t usable;

    if (failed(p, o))
        return;
    o->at = p;
    o->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed);
    if (o->align < 16)
        o->align = 16;
    MUST((uintptr_t)p % (foreign ? 8 : o->align) == 0, o);
    usable = malloc_usable_size(p);
    MUST(usable >= o->size, o);
    if (o->kind == C && usable < 4096 && below(l, 4) == 0)
        o->size = usable; /* a program may use all of it */
    mark(o, 1);
    fill(o);
    l->live += (long)o->size;
}

static size_t draw_align(struct lane *l)
{
    return (size_t)1 << (below(l, 50) ? 3 + below(l, 10) : 13 + below(l, 9));
}

static void make_malloc(struct lane *l, struct object *o)
{
    adopt(l, o, malloc(o->size));
}

static void make_calloc(struct lane *l, struct object *o)
{
    size_t unit = 1 + below(l, 40);
    void *p;

    o->size = o->size / unit * unit;
    p = calloc(o->size / unit, unit);
    if (p) {
        o->at = p;
        verify_zero(o);
    }
    adopt(l, o, p);
}

static void make_aligned(struct lane *l, struct object *o)
{
    void *p = o;
    int err;

    o->align = draw_align(l);
    switch (below(l, 5)) {
    case 0:
        return adopt(l, o, aligned_alloc(o->align, o->size));
    case 1:
        return adopt(l, o, memalign(o->align, o->size));
    case 2:
        o->align = 4096;
        return adopt(l, o, valloc(o->size));
    case 3:
        o->align = 4096;
        return adopt(l, o, foreign ? valloc(o->size) : pvalloc(o->size));
    default:
        errno = CANARY;
        err = posix_memalign(&p, o->align, o->size);
        if (!err)
            return adopt(l, o, p);
        MUST(p == (void *)o, o); /* untouched */
        errno = err;
        adopt(l, o, NULL);
    }
}

static void make_reallocarray(struct lane *l, struct object *o)
{
    size_t unit = 1 + below(l, 24);

    o->size = (o->size / unit + 1) * unit;
    adopt(l, o, reallocarray(NULL, o->size / unit, unit));
}

/* Functions of libc that allocate.  Their results are checked, then overwritten as any object. */
static void make_string(struct lane *l, struct object *o)
{
    char text[300];
    char *p = NULL;
    size_t n = below(l, sizeof text - 1);

    memset(text, 'a' + (int)below(l, 26), n);
    text[n] = '\0';
    o->size = n + 1;
    errno = ENOMEM; /* asprintf does not promise one */
    if (below(l, 2))
        p = below(l, 2) ? strdup(text) : strndup(text, n + 5);
    else if (asprintf(&p, "%s", text) < 0)
        p = NULL;
    if (p)
        MUST(strcmp(p, text) == 0, o);
    adopt(l, o, p);
}

/* operator new, in its forms.  The references to std::nothrow are to an object without members. */
void *_Znwm(size_t);
void *_Znam(size_t);
void *_ZnwmRKSt9nothrow_t(size_t, const char *);
void *_ZnamRKSt9nothrow_t(size_t, const char *);
void *_ZnwmSt11align_val_t(size_t, size_t);
void *_ZnamSt11align_val_t(size_t, size_t);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t, size_t, const char *);
void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t, size_t, const char *);
void _ZdlPv(void *);
void _ZdaPv(void *);
void _ZdlPvm(void *, size_t);
void _ZdaPvm(void *, size_t);
void _ZdlPvRKSt9nothrow_t(void *, const char *);
void _ZdaPvRKSt9nothrow_t(void *, const char *);
void _ZdlPvSt11align_val_t(void *, size_t);
void _ZdaPvSt11align_val_t(void *, size_t);
void _ZdlPvmSt11align_val_t(void *, size_t, size_t);
void _ZdaPvmSt11align_val_t(void *, size_t, size_t);
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *, size_t, const char *);
void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *, size_t, const char *);

static const char nothrow;

static void make_new(struct lane *l, struct object *o)
{
    int throwing = !may_fail && below(l, 2), array = (int)below(l, 2);
    void *p;

    o->kind = array ? NEW_ARRAY : NEW;
    errno = ENOMEM; /* an operator does not promise one */
    if (throwing)
        p = array ? _Znam(o->size) : _Znwm(o->size);
    else
        p = array ? _ZnamRKSt9nothrow_t(o->size, &nothrow) : _ZnwmRKSt9nothrow_t(o->size, &nothrow);
    adopt(l, o, p);
}

static void make_new_aligned(struct lane *l, struct object *o)
{
    int throwing = !may_fail && below(l, 2), array = (int)below(l, 2);
    size_t align = draw_align(l) * 2;
    void *p;

    o->kind = array ? NEW_ARRAY_ALIGNED : NEW_ALIGNED;
    o->align = align;
    errno = ENOMEM;
    if (throwing)
        p = array ? _ZnamSt11align_val_t(o->size, align) : _ZnwmSt11align_val_t(o->size, align);
    else
        p = array ? _ZnamSt11align_val_tRKSt9nothrow_t(o->size, align, &nothrow)
                  : _ZnwmSt11align_val_tRKSt9nothrow_t(o->size, align, &nothrow);
    adopt(l, o, p);
}

static void make(struct lane *l, struct object *o)
{
    static void (*const ways[])(struct lane *, struct object *) = {
        make_malloc,  make_malloc,       make_malloc, make_malloc, make_calloc,
        make_aligned, make_reallocarray, make_string, make_new,    make_new_aligned,
    };

    *o = (struct object){.size = draw_size(l)};
    ways[below(l, sizeof ways / sizeof ways[0])](l, o);
}

/* ---- freeing and resizing them ---- */

static void delete_one(struct lane *l, struct object *o)
{
    int array = o->kind == NEW_ARRAY;

    switch (below(l, 3)) {
    case 0:
        return array ? _ZdaPv(o->at) : _ZdlPv(o->at);
    case 1:
        return array ? _ZdaPvm(o->at, o->size) : _ZdlPvm(o->at, o->size);
    default:
        return array ? _ZdaPvRKSt9nothrow_t(o->at, &nothrow)
                     : _ZdlPvRKSt9nothrow_t(o->at, &nothrow);
    }
}

static void delete_aligned(struct lane *l, struct object *o)
{
    int array = o->kind == NEW_ARRAY_ALIGNED;

    switch (below(l, 3)) {
    case 0:
        return array ? _ZdaPvSt11align_val_t(o->at, o->align)
                     : _ZdlPvSt11align_val_t(o->at, o->align);
    case 1:
        return array ? _ZdaPvmSt11align_val_t(o->at, o->size, o->align)
                     : _ZdlPvmSt11align_val_t(o->at, o->size, o->align);
    default:
        return array ? _ZdaPvSt11align_val_tRKSt9nothrow_t(o->at, o->align, &nothrow)
                     : _ZdlPvSt11align_val_tRKSt9nothrow_t(o->at, o->align, &nothrow);
    }
}

static void drop(struct lane *l, struct object *o)
{
    if (!o->at)
        return;
    verify(o);
    mark(o, 0);
    l->live -= (long)o->size;
    errno = CANARY;
    if (o->kind == C)
        free(o->at);
    else if (o->kind <= NEW_ARRAY)
        delete_one(l, o);
    else
        delete_aligned(l, o);
    MUST(errno == CANARY || foreign, o);
    o->at = NULL;
}

static void resize(struct lane *l, struct object *o)
{
    struct object old = *o;
    size_t size = below(l, 3) ? draw_size(l) : o->size + below(l, 200);
    void *p;

    if (!o->at || o->kind != C)
        return;
    verify(o);
    mark(o, 0);
    o->size = size;
    o->align = 0;
    errno = CANARY;
    p = below(l, 8) ? realloc(old.at, size) : reallocarray(old.at, size, 1);
    if (!p && size == 0) { /* freed */
        MUST(errno == CANARY || foreign, &old);
        l->live -= (long)old.size;
        o->at = NULL;
        return;
    }
    if (failed(p, o)) { /* the old one is as it was */
        *o = old;
        mark(o, 1);
        verify(o);
        return;
    }
    o->at = p;
    verify_moved(o, &old);
    l->live -= (long)old.size;
    adopt(l, o, p);
}

/* ---- what must fail, and what only asks ---- */

/* Sizes that no allocator can give, out of the compiler's sight. */
static void *ask_too_much(struct lane *l)
{
    volatile size_t huge = (size_t)PTRDIFF_MAX + 1 + (below(l, 2) ? next(l) : 0);
    volatile size_t much = (size_t)1 << (33 + below(l, 31));

    errno = CANARY;
    switch (below(l, 5)) {
    case 0:
        return malloc(huge);
    case 1:
        return calloc(much, much);
    case 2:
        return reallocarray(NULL, much, much);
    case 3:
        return memalign(64, huge);
    default:
        errno = ENOMEM; /* an operator does not promise it */
        return _ZnwmRKSt9nothrow_t(huge, &nothrow);
    }
}

static void refuse(struct lane *l)
{
    size_t odd = 3 + 8 * below(l, 9);
    void *p = ask_too_much(l);

    MUST(!p && (errno == ENOMEM || foreign), NULL);
    p = &odd;
    MUST(posix_memalign(&p, odd, 10) == EINVAL && p == &odd, NULL);
}

/* A live object is as it was when it could not be made larger. */
static void refuse_resize(struct object *o)
{
    volatile size_t huge = (size_t)PTRDIFF_MAX + 1;

    if (!o->at || o->kind != C)
        return;
    errno = CANARY;
    MUST(!realloc(o->at, huge) && (errno == ENOMEM || foreign), o);
    verify(o);
}

static void ask(struct lane *l)
{
    char *line = NULL;
    size_t size = 0;
    FILE *f;

    switch (below(l, 40)) {
    case 0:
        malloc_trim(below(l, 2) ? 0 : 1 << 20);
        break;
    case 1:
        MUST(mallinfo2().uordblks < (size_t)1 << 40, NULL);
        break;
    case 2:
        mallopt(M_TRIM_THRESHOLD, 128 << 10);
        break;
    case 3: /* buffers of stdio, a line that grows */
        f = fopen("/proc/self/status", "r");
        while (f && getline(&line, &size, f) > 0)
            ;
        free(line);
        if (f)
            fclose(f);
        break;
    case 4:
        f = open_memstream(&line, &size);
        if (f) {
            int n = fprintf(f, "%0*d", (int)below(l, 9000), 7);
            if (fclose(f) == 0 && line && n > 0) /* the stream may have had no memory to grow */
                MUST(size > 0 && line[size - 1] == '7', NULL);
        }
        free(line);
        break;
    case 5:
        free(NULL);
        free(wcsdup(L"a wide string"));
        break;
    default:
        break;
    }
}

/* ---- lanes ---- */

/* Puts an object of ours into the common table and takes the one that was there. */
static void hand_over(struct lane *l, uint32_t slot)
{
    struct object *o = l->slot[slot], *theirs;

    l->live -= o->at ? (long)o->size : 0;
    theirs = atomic_exchange(&common[below(l, COMMON)], o);
    verify(theirs);
    l->live += theirs->at ? (long)theirs->size : 0;
    l->slot[slot] = theirs;
}

static void fork_and_check(struct lane *l);

static void step(struct lane *l)
{
    uint32_t slot = below(l, SLOTS), what = below(l, 1000);
    struct object *o = l->slot[slot];

    l->ops++;
    if (what < 550 || l->live > LIVE_MAX) {
        if (o->at)
            drop(l, o);
        else if (l->live <= LIVE_MAX)
            make(l, o);
    } else if (what < 750) {
        resize(l, o);
    } else if (what < 900) {
        hand_over(l, slot);
    } else if (what < 960) {
        verify(o);
    } else if (what < 970) {
        refuse(l);
    } else if (what < 975) {
        refuse_resize(o);
    } else if (what < 999 || next(l) % 8) {
        ask(l);
    } else if (!no_fork && !l->is_child) {
        fork_and_check(l);
    }
}

static void drop_all(struct lane *l)
{
    for (int i = 0; i < SLOTS; i++)
        drop(l, l->slot[i]);
}

static void *helps_child(void *arg)
{
    struct lane *l = arg;

    for (int i = 0; i < 200; i++)
        step(l);
    drop_all(l);
    return NULL;
}

/* In the child: ours and what lies in the common table is as it was; the other lanes' objects are
 * in the middle of anything.  It goes on alone, some of them with a thread. */
static _Noreturn void be_child(struct lane *l)
{
    static struct object more[SLOTS];
    static struct lane extra;
    pthread_t t;

    l->is_child = extra.is_child = 1;
    for (int i = 0; i < COMMON; i++)
        verify(atomic_load(&common[i]));
    for (int i = 0; i < SLOTS; i++) {
        verify(l->slot[i]);
        extra.slot[i] = &more[i];
    }
    extra.rng = l->rng ^ 0xc0ffee;
    int has_thread =
        threads > 0 && below(l, 2) && pthread_create(&t, NULL, helps_child, &extra) == 0;
    for (int i = 0; i < 300; i++)
        step(l);
    drop_all(l);
    if (has_thread)
        pthread_join(t, NULL);
    _exit(0);
}

static void fork_and_check(struct lane *l)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        be_child(l);
    if (pid < 0) {
        MUST(errno == ENOMEM || errno == EAGAIN, NULL);
        return;
    }
    while (waitpid(pid, &status, 0) < 0)
        MUST(errno == EINTR, NULL);
    if (status) {
        fprintf(stderr, "fuzz: seed %lu: the child ended with status 0x%x\n", seed, status);
        wrong("a forked child failed", NULL);
    }
    next(l); /* the child's numbers are not ours */
}

static int is_over(struct lane *l)
{
    return ops_each ? l->left-- <= 0 : time(NULL) >= ends_at;
}

/* ---- threads ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static int running;
static pthread_key_t key;

/* Runs when a thread ends: it may allocate as ever. */
static void at_thread_end(void *p)
{
    struct object o = {.size = 100};

    free(p);
    if (!failed(p = malloc(o.size), &o))
        free(p);
}

static void lane_ends(struct lane *l)
{
    atomic_fetch_add(&all_ops, l->ops);
    drop_all(l);
    pthread_mutex_lock(&lock);
    if (--running == 0)
        pthread_cond_signal(&ended);
    pthread_mutex_unlock(&lock);
}

/* A lane's thread, up to its end or to that of the lane. */
static void *lane_body(void *arg)
{
    struct lane *l = arg;
    pthread_t heir;

    pthread_setspecific(key, malloc(50));
    for (;;) {
        for (long quota = 500 + below(l, 8000); quota > 0; quota--) {
            if (quota % 64 == 0 && is_over(l)) {
                lane_ends(l);
                return NULL;
            }
            step(l);
        }
        int err = pthread_create(&heir, NULL, lane_body, l);
        if (err == 0) {
            pthread_detach(heir);
            return NULL;
        }
        MUST(may_fail && err == EAGAIN, NULL); /* goes on itself */
    }
}

static void *comes_and_goes(void *arg)
{
    return arg;
}

/* What the first thread of a process needs once is not what is to fail. */
static void make_first_thread(void)
{
    pthread_t t;

    MUST(pthread_create(&t, NULL, comes_and_goes, NULL) == 0 && pthread_join(t, NULL) == 0, NULL);
}

static void run_threads(void)
{
    pthread_t first;

    running = threads;
    for (int i = 0; i < threads; i++) {
        int err = pthread_create(&first, NULL, lane_body, &lanes[i]);
        if (err == 0) {
            pthread_detach(first);
            continue;
        }
        MUST(may_fail && err == EAGAIN, NULL);
        lane_ends(&lanes[i]);
    }
    pthread_mutex_lock(&lock);
    while (running > 0)
        pthread_cond_wait(&ended, &lock);
    pthread_mutex_unlock(&lock);
}

static void run_alone(void)
{
    running = 1;
    while (lanes[0].ops % 64 || !is_over(&lanes[0]))
        step(&lanes[0]);
    lane_ends(&lanes[0]);
}

/* ---- start and end ---- */

static void prepare(void)
{
    struct object *o = objects;

    for (int i = 0; i < COMMON; i++)
        atomic_store(&common[i], o++);
    for (int n = 0; n < (threads ? threads : 1); n++) {
        lanes[n].number = n;
        lanes[n].left = ops_each / 64 + 1;
        lanes[n].rng = (seed + (uint64_t)n) * 0x9e3779b97f4a7c15u;
        for (int i = 0; i < SLOTS; i++)
            lanes[n].slot[i] = o++;
    }
    ends_at = time(NULL) + secs;
    pthread_key_create(&key, at_thread_end);
}

static void limit_address_space(void)
{
    struct rlimit r;
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    MUST(f && fscanf(f, "%lu", &pages) == 1, NULL);
    fclose(f);
    r.rlim_cur = r.rlim_max = pages * 4096 + ((rlim_t)limit_mb << 20);
    MUST(setrlimit(RLIMIT_AS, &r) == 0, NULL);
}

static void options(int argc, char **argv)
{
    static const struct option all[] = {
        {"seed", 1, NULL, 's'},       {"threads", 1, NULL, 't'}, {"ops", 1, NULL, 'o'},
        {"secs", 1, NULL, 'T'},       {"limit", 1, NULL, 'l'},   {"fail-nth", 1, NULL, 'n'},
        {"fail-count", 1, NULL, 'c'}, {"foreign", 0, NULL, 'f'}, {"no-fork", 0, NULL, 'F'},
        {NULL, 0, NULL, 0},
    };
    int c;

    seed = (uint64_t)time(NULL) * 1000 + (uint64_t)getpid() % 1000;
    while ((c = getopt_long(argc, argv, "", all, NULL)) != -1) {
        long n = optarg ? atol(optarg) : 0;
        switch (c) {
        case 's':
            seed = strtoul(optarg, NULL, 10);
            break;
        case 't':
            threads = n < 0 ? 0 : n > LANES_MAX ? LANES_MAX : (int)n;
            break;
        case 'o':
            ops_each = n;
            break;
        case 'T':
            secs = n;
            break;
        case 'l':
            limit_mb = n;
            break;
        case 'n':
            fail_nth = n;
            break;
        case 'c':
            fail_count = n;
            break;
        case 'f':
            foreign = 1;
            break;
        case 'F':
            no_fork = 1;
            break;
        default:
            exit(64);
        }
    }
    if (!ops_each && !secs)
        ops_each = 20000;
    may_fail = limit_mb || fail_nth;
}

int main(int argc, char **argv)
{
    struct object last = {0};

    options(argc, argv);
    printf("seed %lu\n", seed);
    fflush(stdout);
    prepare();
    if (threads)
        make_first_thread();
    if (fail_nth)
        failing_start(fail_nth, fail_count);
    if (limit_mb)
        limit_address_space();
    if (threads)
        run_threads();
    else
        run_alone();
    for (int i = 0; i < COMMON; i++)
        drop(&lanes[0], atomic_load(&common[i]));
    last.size = 100; /* all is free again, so there is some */
    MUST((last.at = malloc(last.size)) || fail_nth, &last);
    free(last.at);
    if (fail_nth)
        printf("calls %ld\n", failing_count());
    printf("ok: %ld operations, %ld refused\n", atomic_load(&all_ops),
           atomic_load(&failed_allocations));
    return 0;
}
