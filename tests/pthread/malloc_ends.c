/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocation before anybody's constructor and after main: the program's preinit functions,
 * constructors, exit handlers, destructors, and threads that still run meanwhile.  A block of each
 * time is freed at a later one. */
#include "tap.h"

static char *early[3];
static void *late;

static char *block(char c)
{
    char *p = malloc(1000);

    CHECK(p);
    return memset(p, c, 1000);
}

static void drop(char *p, char c)
{
    for (int i = 0; i < 1000; i++)
        CHECK(p[i] == c);
    free(p);
}

/* Runs before the constructors of all objects, preloaded ones included. */
static void before_all(int argc, char **argv, char **env)
{
    (void)argc;
    (void)argv;
    (void)env;
    early[0] = block('p');
    drop(block('q'), 'q');
    free(realloc(calloc(10, 10), 100000));
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **,
                                                                              char **) = before_all;

__attribute__((constructor(101))) static void constructor(void)
{
    early[1] = block('c');
    drop(early[0], 'p');
    early[0] = block('P');
}

static void *runs_on(void *arg)
{
    for (int i = 0;; i++) {
        free(malloc((size_t)i % 5000));
        bump(arg);
    }
    return NULL;
}

static void at_exit(void)
{
    drop(early[0], 'P');
    early[2] = block('e');
    late = strdup("late");
    printf("exit handler\n");
}

__attribute__((destructor(101))) static void destructor(void)
{
    drop(early[1], 'c');
    drop(early[2], 'e');
    free(late);
    free(malloc(5 << 20));
    printf("destructor\n"); /* into a buffer that is written after this */
}

int main(void)
{
    static int rounds;

    atexit(at_exit);
    drop(block('m'), 'm');
    go(runs_on, &rounds);
    go(runs_on, &rounds);
    await(&rounds, 1000);
    printf("main ends\n");
    return 0;
}
