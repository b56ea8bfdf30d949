/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the arguments and the variables that the launcher sets, and exits with 7. Built in several
 * ways (see launcher.mk) for the launcher to look at. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef GO_SECTION
__attribute__((section(".go.buildinfo"), used)) static const char info[] = "build information";
#endif

#ifdef USE_CLONE
static int child(void *arg)
{
    return arg != NULL;
}
#endif

#ifdef USE_THREADS
static void *thread(void *arg)
{
    return arg;
}
#endif

#ifdef OWN_MALLOC
static char pool[1 << 20];

void *malloc(size_t n)
{
    static size_t used;
    size_t at = used;
    used += (n + 15) & ~(size_t)15;
    return used <= sizeof pool ? pool + at : NULL;
}

void free(void *p)
{
    (void)p;
}
#endif

int main(int argc, char **argv)
{
    static const char *const names[] = {"LD_PRELOAD", "GOTHREAD", "GOMAXPROCS"};
#ifdef USE_CLONE
    static char stack[16384];
    if (argc > 100)
        clone(child, stack + sizeof stack, 0, NULL);
#endif
#ifdef USE_THREADS
    pthread_t t;
    if (pthread_create(&t, NULL, thread, NULL) != 0 || pthread_join(t, NULL) != 0)
        return 1;
#endif
    for (int i = 0; i < argc; i++)
        printf("argument %d: %s\n", i, argv[i]);
    for (int i = 0; i < 3; i++)
        printf("%s: %s\n", names[i], getenv(names[i]) != NULL ? getenv(names[i]) : "unset");
    return 7;
}
