/* SPDX-License-Identifier: BSD-2-Clause */
/* An ordinary program that frees what it may not; the first argument says what.  It prints the
 * address first, and "goes on" when nothing has stopped it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char *volatile p, *volatile q;

static void *keeps_a_stack(void *arg)
{
    char here[64];
    struct timespec t = {1, 0};

    q = here;
    while (arg == NULL)
        nanosleep(&t, NULL);
    return NULL;
}

static void *frees(void *arg)
{
    free(arg);
    return NULL;
}

static void in_thread(void *(*body)(void *), void *arg, int join)
{
    pthread_t t;

    if (pthread_create(&t, NULL, body, arg))
        exit(2);
    if (join)
        pthread_join(t, NULL);
}

static void say(const void *what)
{
    printf("%p\n", what);
    fflush(stdout);
}

static void do_free(void *what)
{
    say(what);
    free(what);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    void *(*volatile make)(size_t) = malloc; /* its address: see bad_free_fixed */
    char *volatile other;
    char local[64];

    p = make(100);
    other = malloc(100);
    if (!p || !other)
        return 2;
    if (!strcmp(what, "twice")) {
        free(p);
        do_free(p);
    } else if (!strcmp(what, "twice-apart")) {
        for (int i = 0; i < 1000; i++)
            free(malloc(100));
        free(p);
        free(other);
        do_free(p);
    } else if (!strcmp(what, "twice-threads")) {
        say(p);
        in_thread(frees, p, 1);
        in_thread(frees, p, 1);
        free(p);
    } else if (!strcmp(what, "large-twice")) {
        p = malloc(300000);
        free(p);
        do_free(p);
    } else if (!strcmp(what, "huge-twice")) {
        p = malloc(100 << 20);
        free(p);
        do_free(p);
    } else if (!strcmp(what, "inside")) {
        do_free(p + 24);
    } else if (!strcmp(what, "inside-large")) {
        p = malloc(300000);
        do_free(p + 70000);
    } else if (!strcmp(what, "realloc-freed")) {
        free(p);
        say(p);
        p = realloc(p, 200);
    } else if (!strcmp(what, "stack")) {
        p = local;
        do_free(p);
    } else if (!strcmp(what, "thread-stack")) {
        in_thread(keeps_a_stack, NULL, 0);
        while (!q)
            ;
        do_free(q);
    } else if (!strcmp(what, "static")) {
        static char bytes[64];
        p = bytes;
        do_free(p);
    } else if (!strcmp(what, "nowhere")) {
        p = (char *)0x123450;
        do_free(p);
    } else if (!strcmp(what, "overrun")) {
        p[100] = 1;
        do_free(p);
    } else if (!strcmp(what, "used-after")) { /* clobberfree makes it seen */
        memset(p, 7, 100);
        free(p);
        printf("%d\n", (unsigned char)p[50]);
    }
    printf("goes on\n");
    return 0;
}
