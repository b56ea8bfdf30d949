/* SPDX-License-Identifier: BSD-2-Clause */
/* malloc and its family as glibc 2.36 has them: errno, limits, alignment, what is misused, what the
 * statistics say, and the functions of libc whose results are freed by the program. */
#include "tap.h"

#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <stddef.h>
#include <wchar.h>

/* Out of the compiler's sight: it knows these functions and would warn, or leave calls out. */
static void *(*volatile do_malloc)(size_t) = malloc;
static void *(*volatile do_calloc)(size_t, size_t) = calloc;
static void *(*volatile do_realloc)(void *, size_t) = realloc;
static void *(*volatile do_reallocarray)(void *, size_t, size_t) = reallocarray;
static void *(*volatile do_aligned_alloc)(size_t, size_t) = aligned_alloc;
static void *(*volatile do_memalign)(size_t, size_t) = memalign;
static void (*volatile do_free)(void *) = free;

static void is_refused(void *p, int err)
{
    EQ(errno, err);
    CHECK(!p);
    errno = 0;
}

static void too_much(void)
{
    static const size_t sizes[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096,
                                   SIZE_MAX - 100, SIZE_MAX};
    void *p = do_malloc(100), *q = &q;

    memset(p, 'p', 100);
    errno = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        is_refused(do_malloc(sizes[i]), ENOMEM);
        is_refused(do_calloc(1, sizes[i]), ENOMEM);
        is_refused(do_calloc(sizes[i], 1), ENOMEM);
        is_refused(do_realloc(NULL, sizes[i]), ENOMEM);
        is_refused(do_realloc(p, sizes[i]), ENOMEM);
        is_refused(do_reallocarray(p, sizes[i], 1), ENOMEM);
        is_refused(do_aligned_alloc(64, sizes[i]), ENOMEM);
        is_refused(do_memalign(4096, sizes[i]), ENOMEM);
        is_refused(valloc(sizes[i]), ENOMEM);
        is_refused(pvalloc(sizes[i]), ENOMEM);
        EQ(posix_memalign(&q, 64, sizes[i]), ENOMEM);
        CHECK(q == &q);
        errno = 0;
    }
    for (int i = 0; i < 100; i++)
        EQ(((char *)p)[i], 'p');
    free(p);
}

static void overflowing_product(void)
{
    size_t half = (size_t)1 << 33;

    errno = 0;
    is_refused(do_calloc(half, half), ENOMEM);
    is_refused(do_calloc(SIZE_MAX / 2, 3), ENOMEM);
    is_refused(do_calloc(3, SIZE_MAX / 2), ENOMEM);
    is_refused(do_reallocarray(NULL, half, half), ENOMEM);
    is_refused(do_reallocarray(NULL, SIZE_MAX / 16, 17), ENOMEM);
}

static void nothing(void)
{
    void *p[8];

    p[0] = do_malloc(0);
    p[1] = do_malloc(0);
    p[2] = do_calloc(0, 7);
    p[3] = do_calloc(7, 0);
    p[4] = do_realloc(NULL, 0);
    p[5] = do_aligned_alloc(64, 0);
    p[6] = do_reallocarray(NULL, 0, 9);
    EQ(posix_memalign(&p[7], 32, 0), 0);
    for (int i = 0; i < 8; i++) {
        CHECK(p[i]);
        for (int k = 0; k < i; k++)
            CHECK(p[i] != p[k]);
    }
    for (int i = 0; i < 8; i++)
        free(p[i]);
    free(NULL);
    EQ(malloc_usable_size(NULL), 0);
}

static void alignment(void)
{
    for (size_t size = 0; size < 3000; size += size < 600 ? 1 : 37) {
        char *m = do_malloc(size), *c = do_calloc(1, size), *r = do_realloc(do_malloc(1), size + 1);
        EQ((uintptr_t)m % 16 + (uintptr_t)c % 16 + (uintptr_t)r % 16, 0);
        EQ(_Alignof(max_align_t), 16);
        CHECK(malloc_usable_size(m) >= size && malloc_usable_size(r) >= size + 1);
        memset(m, 1, malloc_usable_size(m));
        memset(r, 2, malloc_usable_size(r));
        free(m);
        free(c);
        free(r);
    }
    for (size_t align = 1; align <= 1 << 22; align *= 2) {
        for (size_t size = 1; size < 100000; size = size * 3 + 1) {
            char *p = do_memalign(align, size), *q = do_aligned_alloc(align, size);
            EQ((uintptr_t)p % align + (uintptr_t)q % align, 0);
            EQ((uintptr_t)p % 16 + (uintptr_t)q % 16, 0);
            p[0] = p[size - 1] = q[0] = q[size - 1] = 3;
            p = do_realloc(p, size + 100);
            EQ(p[0] + p[size - 1], 6);
            free(p);
            free(q);
        }
    }
}

/* glibc 2.36: aligned_alloc is memalign, which rounds a strange alignment up. */
static void strange_alignment(void)
{
    static const size_t given[] = {0, 1, 3, 17, 24, 33, 100, 3000, 5000};
    static const size_t got[] = {16, 16, 16, 32, 32, 64, 128, 4096, 8192};
    static const size_t bad[] = {0, 1, 2, 3, 4, 12, 24, 7, 100};
    void *p = &p;

    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        char *a = do_aligned_alloc(given[i], 50), *m = do_memalign(given[i], 50);
        EQ((uintptr_t)a % got[i] + (uintptr_t)m % got[i], 0);
        free(a);
        free(m);
    }
    errno = 0;
    is_refused(do_aligned_alloc(SIZE_MAX, 10), EINVAL);
    is_refused(do_memalign(SIZE_MAX / 2 + 2, 10), EINVAL);
    is_refused(do_memalign(SIZE_MAX / 2 + 1, 10), ENOMEM);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        EQ(posix_memalign(&p, bad[i], 10), EINVAL);
        CHECK(p == &p);
    }
}

static void page_sized(void)
{
    char *v = valloc(10), *p = pvalloc(10), *q = pvalloc(4097);

    EQ((uintptr_t)v % 4096 + (uintptr_t)p % 4096 + (uintptr_t)q % 4096, 0);
    CHECK(malloc_usable_size(p) >= 4096);
    CHECK(malloc_usable_size(q) >= 8192);
    memset(q, 1, 8192);
    free(v);
    free(p);
    free(q);
}

static void check_run(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i += n < 100000 ? 1 : 511)
        EQ(p[i], (unsigned char)(i * 7 + (i >> 9)));
}

static void resizing(void)
{
    static const size_t sizes[] = {1,        10,      24,    25,     100,    1000,    1025,
                                   5000,     32768,   40000, 131072, 200000, 1 << 20, 5 << 20,
                                   64 << 20, 3 << 20, 70000, 9000,   600,    17,      1};
    unsigned char *p = NULL;
    size_t have = 0;

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        p = do_realloc(p, sizes[s]);
        CHECK(p && (uintptr_t)p % 16 == 0);
        check_run(p, have < sizes[s] ? have : sizes[s]);
        have = sizes[s];
        for (size_t i = 0; i < have; i++)
            p[i] = (unsigned char)(i * 7 + (i >> 9));
    }
    errno = 77;
    CHECK(!do_realloc(p, 0)); /* frees it, as glibc does */
    EQ(errno, 77);
    p = do_malloc(20);
    CHECK(!do_reallocarray(p, 0, 8));
    EQ(errno, 77);
}

/* Also those that are large enough to be given back to the system. */
static void free_keeps_errno(void)
{
    void *p[64];
    size_t size = 1;

    for (int i = 0; i < 64; i++, size += size / 3 + 1)
        p[i] = do_malloc(size);
    errno = 4711;
    for (int i = 0; i < 64; i++)
        do_free(p[i]);
    do_free(NULL);
    EQ(errno, 4711);
}

static void calloc_after_use(void)
{
    static const size_t sizes[] = {1, 24, 100, 1000, 5000, 33000, 200000, 3 << 20, 40 << 20};

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (int round = 0; round < 4; round++) {
            char *p = do_malloc(sizes[s]), *c;
            memset(p, 0xff, sizes[s]);
            free(p);
            c = do_calloc(1, sizes[s]);
            for (size_t i = 0; i < sizes[s]; i++)
                CHECK(c[i] == 0);
            memset(c, 0xff, sizes[s]);
            free(c);
        }
    }
}

static size_t in_use(void)
{
    struct mallinfo2 m = mallinfo2();

    CHECK(m.arena + m.hblkhd >= m.uordblks);
    return m.uordblks + m.hblkhd;
}

static void statistics(void)
{
    enum { N = 2000, SIZE = 5000, MB = 1 << 20 };
    static void *p[N];
    size_t before = in_use(), with, after;
    char *text = NULL;
    FILE *f = open_memstream(&text, &after);

    for (int i = 0; i < N; i++)
        p[i] = do_malloc(SIZE);
    with = in_use();
    CHECK(with - before >= (size_t)N * SIZE - MB);
    CHECK(with - before <= (size_t)N * SIZE * 5 / 4 + MB);
    for (int i = 0; i < N; i++)
        free(p[i]);
    CHECK(in_use() <= before + MB);
    EQ(malloc_info(0, f), 0);
    EQ(malloc_info(1, f), EINVAL);
    fclose(f);
    EQ(strncmp(text, "<malloc", 7), 0);
    CHECK(strstr(text, "</malloc>"));
    free(text);
    malloc_stats(); /* on standard error */
}

static void options(void)
{
    EQ(mallopt(M_MMAP_THRESHOLD, 256 << 10), 1);
    EQ(mallopt(M_TRIM_THRESHOLD, 256 << 10), 1);
    EQ(mallopt(M_TOP_PAD, 0), 1);
    EQ(mallopt(M_ARENA_MAX, 4), 1);
    int r = malloc_trim(0);
    CHECK(r == 0 || r == 1);
}

static void strings(void)
{
    char *line = NULL, *out = NULL;
    size_t size = 0;
    FILE *f = tmpfile();

    fprintf(f, "%0*d\nsecond\n", 5000, 1);
    rewind(f);
    EQ(getline(&line, &size, f), 5001);
    CHECK(size > 5001 && malloc_usable_size(line) >= size);
    EQ(getdelim(&line, &size, 'd', f), 6);
    line = do_realloc(line, 10);
    EQ(strncmp(line, "second", 6), 0);
    free(line);
    fclose(f);
    EQ(asprintf(&out, "%s-%d", "text", 5), 6);
    free(out);
    out = strdup("a string");
    out = do_realloc(out, 1000);
    EQ(strcmp(out, "a string"), 0);
    free(out);
    free(strndup("a string", 3));
    free(wcsdup(L"wide"));
    free(realpath("/usr/../usr", NULL));
    free(getcwd(NULL, 0));
}

static void directories(void)
{
    struct dirent **names;
    int n = scandir("/", &names, NULL, alphasort);

    CHECK(n > 2);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

/* For old programs only: the linker does not find it. */
static void old_name(void)
{
    void (*cfree)(void *) = (void (*)(void *))(uintptr_t)dlsym(RTLD_DEFAULT, "cfree");

    if (cfree)
        cfree(do_malloc(100));
}

int main(void)
{
    CASE(nothing);
    CASE(too_much);
    CASE(overflowing_product);
    CASE(alignment);
    CASE(strange_alignment);
    CASE(page_sized);
    CASE(resizing);
    CASE(free_keeps_errno);
    CASE(calloc_after_use);
    CASE(statistics);
    CASE(options);
    CASE(strings);
    CASE(directories);
    CASE(old_name);
    return 0;
}
