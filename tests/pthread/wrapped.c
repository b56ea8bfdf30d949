/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads in a program that has other libraries preloaded, before and after whatever was there, and
 * one that audits the dynamic linker. */
#include "proc.h"
#include <dlfcn.h>

enum { THREADS = 8, EACH = 200 };

static char self[512];
static int to[2], back[2];
static long sum;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *passes_on(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        char *p = (char *)malloc(100);

        EQ(read(to[0], p, 1), 1);
        EQ(pthread_mutex_lock(&lock), 0);
        sum += *p;
        EQ(pthread_mutex_unlock(&lock), 0);
        EQ(write(back[1], p, 1), 1);
        free(p);
    }
    return arg;
}

static int work(const char *where)
{
    int wrapped = strcmp(where, "audit") != 0;
    int (*calls)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "wrap_calls");
    pthread_t t[THREADS];
    char c = 3;

    EQ(calls != NULL, wrapped);
    EQ(pipe(to), 0);
    EQ(pipe(back), 0);
    for (int i = 0; i < THREADS; i++)
        t[i] = go(passes_on, NULL);
    for (int i = 0; i < THREADS * EACH; i++) {
        EQ(write(to[1], &c, 1), 1);
        EQ(read(back[0], &c, 1), 1);
    }
    for (int i = 0; i < THREADS; i++)
        reap(t[i]);
    EQ(sum, 3 * THREADS * EACH);
    if (!strcmp(where, "before"))
        CHECK(calls() > THREADS * EACH);
    return 5;
}

/* This program again, with the wrapper in the variable, before or after what is there. */
static void again(const char *where)
{
    const char *variable = strcmp(where, "audit") ? "LD_PRELOAD" : "LD_AUDIT";
    int first = strcmp(where, "after") != 0;
    const char *was = getenv(variable);
    char value[2048], *slash = strrchr(self, '/');
    pid_t p = fork();

    if (p == 0) {
        snprintf(value, sizeof value, "%s:%.*s/libwrap.so:%s", first || !was ? "" : was,
                 (int)(slash - self), self, first && was ? was : "");
        setenv(variable, value, 1);
        execl(self, self, where, (char *)NULL);
        _exit(99);
    }
    EQ(status_of(p), 5);
}

static void before(void)
{
    again("before");
}

static void after(void)
{
    again("after");
}

static void audited(void)
{
    again("audit");
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return work(argv[1]);
    EQ(readlink("/proc/self/exe", self, sizeof self - 1) > 0, 1);
    CASE(before);
    CASE(after);
    CASE(audited);
    return 0;
}
