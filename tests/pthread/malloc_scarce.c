/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the address space is limited: memory that was used for blocks of one size and freed serves
 * other sizes; a call that fails says ENOMEM, posix_memalign in errno, too. */
#include "tap.h"
#include <malloc.h>
#include <sys/resource.h>

enum { SLICE = 64 << 20 };

struct block {
    struct block *next;
};

static struct block *fill(size_t size, int *n)
{
    struct block *list = NULL, *b;

    for (*n = 0; (b = (struct block *)malloc(size)); ++*n) {
        b->next = list;
        list = b;
    }
    EQ(errno, ENOMEM);
    return list;
}

static void drop(struct block *list)
{
    for (struct block *next; list; list = next) {
        next = list->next;
        free(list);
    }
}

/* Of each size there must be half as much room as there was for the first. */
static void every_size(void)
{
    const size_t sizes[] = {4096, 700, 100000, 1500, 30000, 400, 9000};
    long first = 0;
    int n;

    for (int i = 0; i < 7; i++) {
        drop(fill(sizes[i], &n));
        if (i == 0)
            first = n * 4096l;
        CHECK(n * (long)(sizes[i] + 16) > first / 2);
    }
}

static void errors(void)
{
    int (*volatile call)(void **, size_t, size_t) = posix_memalign; /* gcc: errno stays as it is */
    void *p = &p;

    errno = 0;
    EQ(call(&p, 64, (size_t)1 << 40), ENOMEM);
    EQ(errno, ENOMEM);
    CHECK(p == &p);
}

/* As much more as the process has now, and SLICE. */
static void limit(void)
{
    char line[256];
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    struct rlimit r;

    CHECK(f && fgets(line, sizeof line, f) && sscanf(line, "%ld", &pages) == 1);
    fclose(f);
    r.rlim_cur = r.rlim_max = (rlim_t)pages * 4096 + SLICE;
    EQ(setrlimit(RLIMIT_AS, &r), 0);
}

static void *nothing(void *arg)
{
    return arg;
}

int main(void)
{
    reap(go(nothing, NULL)); /* what threads need is there */
    limit();
    CASE(every_size);
    CASE(errors);
    return 0;
}
