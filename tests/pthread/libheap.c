/* SPDX-License-Identifier: BSD-2-Clause */
/* An allocator for malloc_linked.c, as jemalloc is for redis: a number before each block says that
 * it is from here, and whoever is asked about another's ends the process. */
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SPACE = 64 << 20, MAGIC = 0x68656170 };

struct header {
    uint64_t magic;
    size_t size;
};

static _Alignas(16) char space[SPACE];
static size_t used;

static struct header *header(void *p)
{
    struct header *h = (struct header *)p - 1;

    if ((char *)p < space || (char *)p >= space + SPACE || h->magic != MAGIC)
        _exit(4);
    return h;
}

void *memalign(size_t align, size_t size)
{
    size_t need = (sizeof(struct header) + size + align + 15) & ~(size_t)15;
    char *p = space + __atomic_fetch_add(&used, need, __ATOMIC_SEQ_CST);

    if (p + need > space + SPACE)
        _exit(3);
    p += sizeof(struct header);
    p += -(uintptr_t)p & (align - 1);
    ((struct header *)p)[-1] = (struct header){.magic = MAGIC, .size = size};
    return p;
}

void *malloc(size_t size)
{
    return memalign(16, size);
}

void free(void *p)
{
    if (p)
        header(p);
}

void *calloc(size_t n, size_t size)
{
    return malloc(n * size); /* nothing is used twice */
}

void *realloc(void *p, size_t size)
{
    void *q = malloc(size);

    if (p)
        memcpy(q, p, header(p)->size < size ? header(p)->size : size);
    return q;
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
    *p = memalign(align, size);
    return 0;
}

size_t malloc_usable_size(void *p)
{
    return p ? header(p)->size : 0;
}
