/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Our own memcpy and friends.  The compiler emits calls to these names by itself; defined hidden
 * here, they never reach libc (PITFALLS 6: a goroutine must not be switched out in libc's text
 * while the runtime works, and core calls nothing that we interpose).  Plain loops and rep movs:
 * none is on a hot path.
 */
#include "core/kit/kit.h"
#include "core/os/sys.h"

#define HIDDEN __attribute__((visibility("hidden"), used))

HIDDEN void *memcpy(void *restrict dst, const void *restrict src, size_t n);
HIDDEN void *memmove(void *dst, const void *src, size_t n);
HIDDEN void *memset(void *dst, int c, size_t n);
HIDDEN int memcmp(const void *a, const void *b, size_t n);
HIDDEN size_t strlen(const char *s);

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    void *d = dst;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n) : : "memory");
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    char *d = dst;
    const char *s = src;
    if (d <= s || d >= s + n)
        return memcpy(dst, src, n);
    while (n--)
        d[n] = s[n];
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    void *d = dst;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

size_t strlen(const char *s)
{
    const char *e = s;
    while (*e)
        e++;
    return (size_t)(e - s);
}

void gt_memcpy(void *dst, const void *src, size_t n)
{
    memcpy(dst, src, n);
}

void gt_memset(void *dst, int c, size_t n)
{
    memset(dst, c, n);
}

int gt_memcmp(const void *a, const void *b, size_t n)
{
    return memcmp(a, b, n);
}

size_t gt_strlen(const char *s)
{
    return strlen(s);
}

int gt_strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}

#define CHUNK (256ul << 10)

static struct gt_lock lock;

void *gt_persistent_alloc(size_t n)
{
    static char *at, *end;
    n = GT_ALIGN_UP(n, (size_t)GT_CACHE_LINE);
    gt_lock(&lock, GT_RANK_NONE);
    if ((size_t)(end - at) < n) {
        size_t want = GT_MAX(CHUNK, GT_ALIGN_UP(n, GT_PAGE));
        char *p = sys_mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_NORESERVE);
        if (gt_sys_is_err(p)) {
            gt_unlock(&lock, GT_RANK_NONE);
            return NULL;
        }
        at = p;
        end = p + want;
    }
    void *r = at;
    at += n;
    gt_unlock(&lock, GT_RANK_NONE);
    return r;
}

void gt_persistent_fork_lock(void)
{
    gt_lock(&lock, GT_RANK_NONE);
}

void gt_persistent_fork_unlock(void)
{
    gt_unlock(&lock, GT_RANK_NONE);
}
