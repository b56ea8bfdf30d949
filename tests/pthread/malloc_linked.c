/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that is linked with an allocator (libheap.c), which it asks for more than malloc and
 * free.  One allocator must answer all: whichever is preloaded, or, with GOTHREAD=malloc=libc, the
 * one that would without a preload. */
#include "tap.h"

#include <malloc.h>

static void *use(void *arg)
{
    for (size_t n = 1; n < 2000; n += 37) {
        char *s = malloc(n), *a = aligned_alloc(64, n), *t, *m;
        void *p;

        memset(s, 'x', n);
        s[n - 1] = 0;
        EQ((uintptr_t)a % 64, 0);
        CHECK(malloc_usable_size(s) >= n && malloc_usable_size(a) >= n);
        EQ(posix_memalign(&p, 32, n), 0);
        CHECK(malloc_usable_size(p) >= n);
        t = strdup(s);
        CHECK(malloc_usable_size(t) >= n);
        EQ(asprintf(&m, "%s!", s), (int)n);
        CHECK(malloc_usable_size(m) >= n + 1);
        s = realloc(s, 2 * n);
        CHECK(malloc_usable_size(s) >= 2 * n && s[n - 1] == 0);
        free(s);
        free(a);
        free(p);
        free(t);
        free(m);
    }
    return arg;
}

int main(int argc, char **argv)
{
    enum { N = 8 };
    pthread_t t[N];
    char env[1000];
    const char *was = getenv("GOTHREAD");

    for (int i = 0; i < N; i++)
        EQ(pthread_create(&t[i], NULL, use, NULL), 0);
    for (int i = 0; i < N; i++)
        EQ(pthread_join(t[i], NULL), 0);
    printf("ok %s\n", argc > 1 ? argv[1] : "default");
    if (argc > 1)
        return 0;
    fflush(stdout);
    snprintf(env, sizeof(env), "%s%smalloc=libc", was ? was : "", was ? "," : "");
    setenv("GOTHREAD", env, 1);
    execl("/proc/self/exe", argv[0], "libc", NULL);
    return 1;
}
