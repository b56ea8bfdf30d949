/* SPDX-License-Identifier: BSD-2-Clause */
/* A library for wrapped.c, to be preloaded: stands before functions of the C library and goes on to
 * the next ones, as tracers and leak checkers do.  Loaded by LD_AUDIT, it watches symbols being
 * bound, as debugging aids do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

int wrap_calls(void);
unsigned la_version(unsigned version);

static int calls;
static __thread int depth;

#define NEXT(name)                                                                                 \
    static __typeof__(&name) next;                                                                 \
    if (!next)                                                                                     \
        next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                         \
    __atomic_add_fetch(&calls, depth++ == 0, __ATOMIC_SEQ_CST)

int wrap_calls(void)
{
    return __atomic_load_n(&calls, __ATOMIC_SEQ_CST);
}

void *malloc(size_t n)
{
    NEXT(malloc);
    void *p = next(n);
    depth--;
    return p;
}

void free(void *p)
{
    NEXT(free);
    next(p);
    depth--;
}

ssize_t read(int fd, void *buf, size_t n)
{
    NEXT(read);
    ssize_t r = next(fd, buf, n);
    depth--;
    return r;
}

int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
    NEXT(pthread_create);
    int r = next(t, a, fn, arg);
    depth--;
    return r;
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
    NEXT(pthread_mutex_lock);
    int r = next(m);
    depth--;
    return r;
}

unsigned la_version(unsigned version)
{
    return version;
}
