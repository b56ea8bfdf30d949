/* SPDX-License-Identifier: BSD-2-Clause */
/* A program with an allocator of its own: it alone is asked, by libc too, whatever is preloaded. */
#include "tap.h"

#include <malloc.h>

enum { SPACE = 64 << 20 };

static _Alignas(16) char space[SPACE];
static size_t used;
static int frees;

static size_t *header(void *p)
{
    return (size_t *)p - 2;
}

static int is_ours(const void *p)
{
    return (const char *)p >= space && (const char *)p < space + SPACE;
}

void *malloc(size_t size)
{
    size_t need = 16 + (size + 15) / 16 * 16;
    char *p = space + __atomic_fetch_add(&used, need, __ATOMIC_SEQ_CST);

    if (p + need > space + SPACE)
        _exit(3);
    *(size_t *)p = size;
    return p + 16;
}

void free(void *p)
{
    if (p && !is_ours(p))
        _exit(4);
    __atomic_fetch_add(&frees, p != NULL, __ATOMIC_SEQ_CST);
}

void *calloc(size_t n, size_t size)
{
    return malloc(n * size); /* nothing is used twice */
}

void *realloc(void *p, size_t size)
{
    void *q = malloc(size);

    if (p)
        memcpy(q, p, *header(p) < size ? *header(p) : size);
    free(p);
    return q;
}

void *memalign(size_t align, size_t size)
{
    char *p = malloc(size + align);

    return p + (align - (uintptr_t)p % align) % align;
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

static void *allocates(void *arg)
{
    for (int i = 0; i < 100; i++) {
        char *s = strdup("a string of libc's");
        CHECK(is_ours(s));
        free(s);
    }
    return strdup(arg);
}

static void libc_asks_us(void)
{
    char *line = NULL;
    size_t size = 0;
    FILE *f = fopen("/proc/self/status", "r");

    CHECK(is_ours(f));
    CHECK(getline(&line, &size, f) > 0);
    CHECK(is_ours(line));
    free(line);
    fclose(f);
    CHECK(frees >= 2);
}

static void threads_ask_us(void)
{
    static char text[] = "text";
    pthread_t t[20];

    for (int i = 0; i < 20; i++)
        t[i] = go(allocates, text);
    for (int i = 0; i < 20; i++) {
        char *s = reap(t[i]);
        CHECK(is_ours(s) && strcmp(s, text) == 0);
        free(s);
    }
}

int main(void)
{
    CASE(libc_asks_us);
    CASE(threads_ask_us);
    return 0;
}
