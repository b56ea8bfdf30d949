/* SPDX-License-Identifier: BSD-2-Clause */
/* The few lines that every program in this folder shares: a check that ends the process, a case
 * that prints "ok NAME", threads, time.  System headers only, C and C++ alike.
 *
 * Standard output is compared between a plain and a preloaded run, so it never holds times,
 * addresses or numbers that depend on the schedule.  TAP=name runs one case alone. */
#ifndef TAP_H
#define TAP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TAP_UNUSED __attribute__((unused))

/* Ends the process with status 1 when cond does not hold. */
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            tap_fail(__FILE__, __LINE__, #cond, 0, 0);                                             \
    } while (0)

/* Like CHECK(got == want), and shows both numbers. */
#define EQ(got, want)                                                                              \
    do {                                                                                           \
        long tap_got = (long)(got), tap_want = (long)(want);                                       \
        if (tap_got != tap_want)                                                                   \
            tap_fail(__FILE__, __LINE__, #got " == " #want, tap_got, tap_want);                    \
    } while (0)

/* The call returns -1 with this errno. */
#define FAILS(call, err)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EQ(call, -1);                                                                              \
        EQ(errno, err);                                                                            \
    } while (0)

#define CASE(f) tap_case(#f, f)

static TAP_UNUSED void tap_fail(const char *file, int line, const char *what, long got, long want)
{
    int err = errno;

    fprintf(stderr, "%s:%d: not so: %s (got %ld, want %ld; errno %d %s)\n", file, line, what, got,
            want, err, strerror(err));
    fflush(stdout);
    _exit(1);
}

static TAP_UNUSED void tap_case(const char *name, void (*body)(void))
{
    const char *only = getenv("TAP");

    if (only && strcmp(only, name) != 0)
        return;
    body();
    printf("ok %s\n", name);
    fflush(stdout);
}

/* Starts a thread. */
static TAP_UNUSED pthread_t go(void *(*body)(void *), void *arg)
{
    pthread_t t;

    EQ(pthread_create(&t, NULL, body, arg), 0);
    return t;
}

/* Joins a thread and gives its result. */
static TAP_UNUSED void *reap(pthread_t t)
{
    void *result = NULL;

    EQ(pthread_join(t, &result), 0);
    return result;
}

/* Monotonic milliseconds. */
static TAP_UNUSED long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Sleeps at least ms milliseconds, whatever signals come. */
static TAP_UNUSED void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    while (nanosleep(&t, &t) == -1)
        CHECK(errno == EINTR);
}

/* The time ms from now (or before, if negative) on a clock. */
static TAP_UNUSED struct timespec after_ms(clockid_t clock, long ms)
{
    struct timespec t;
    int64_t ns;

    clock_gettime(clock, &t);
    ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec + (int64_t)ms * 1000000;
    t.tv_sec = ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
}

/* Waits until *word is at least want; the others get the processor meanwhile. */
static TAP_UNUSED void await(int *word, int want)
{
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) < want)
        pause_ms(1);
}

static TAP_UNUSED void bump(int *word)
{
    __atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
}

#endif
