/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams as cancellation points: where they write to their descriptor, and only there.  A thread
 * that is cancelled in one leaves it unlocked. */
#include "tap.h"
#include <fcntl.h>
#include <semaphore.h>

static FILE *null;
static sem_t go_on;
static int cleaned;

static void clean(void *arg)
{
    (void)arg;
    cleaned++;
}

static void *prints_for_ever(void *arg)
{
    pthread_cleanup_push(clean, NULL);
    for (long n = 0;; n++)
        fprintf(null, "%ld %s\n", n, (const char *)arg);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *puts_for_ever(void *arg)
{
    pthread_cleanup_push(clean, NULL);
    for (;;)
        if (fputs(arg, null) < 0 || putc('\n', null) < 0 || fwrite(arg, 1, 2, null) != 2)
            _exit(3);
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancel_writer(void *(*body)(void *), int mode)
{
    int was = cleaned;
    pthread_t t;

    null = fopen("/dev/null", "w");
    CHECK(null);
    EQ(setvbuf(null, NULL, mode, 4096), 0);
    t = go(body, (void *)(uintptr_t) "text");
    pause_ms(10);
    EQ(pthread_cancel(t), 0);
    CHECK(reap(t) == PTHREAD_CANCELED);
    EQ(cleaned, was + 1);
    EQ(ftrylockfile(null), 0); /* nobody has kept it */
    funlockfile(null);
    EQ(fclose(null), 0);
}

static void buffered(void)
{
    cancel_writer(prints_for_ever, _IOFBF);
    cancel_writer(puts_for_ever, _IOFBF);
}

static void by_lines(void)
{
    cancel_writer(prints_for_ever, _IOLBF);
    cancel_writer(puts_for_ever, _IOLBF);
}

static void unbuffered(void)
{
    cancel_writer(prints_for_ever, _IONBF);
    cancel_writer(puts_for_ever, _IONBF);
}

static void wait_for_cancel(void)
{
    int old;

    EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old), 0);
    while (sem_wait(&go_on) != 0)
        ;
    EQ(pthread_setcancelstate(old, NULL), 0);
}

static long written;

static void *into_memory(void *arg)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    CHECK(f);
    wait_for_cancel();
    for (written = 0; written < 10000; written++)
        fprintf(f, "%ld\n", written);
    fputs("end\n", f);
    fflush(f);
    pthread_testcancel();
    return arg;
}

static void *into_buffer(void *arg)
{
    wait_for_cancel();
    for (written = 0; written < 10; written++)
        fputs("short\n", null);
    fflush(null); /* here */
    return arg;
}

/* What stays in memory is none. */
static void not_before(void)
{
    pthread_t t;

    EQ(sem_init(&go_on, 0, 0), 0);
    t = go(into_memory, NULL);
    EQ(pthread_cancel(t), 0);
    EQ(sem_post(&go_on), 0);
    CHECK(reap(t) == PTHREAD_CANCELED);
    EQ(written, 10000);

    null = fopen("/dev/null", "w");
    CHECK(null);
    t = go(into_buffer, NULL);
    EQ(pthread_cancel(t), 0);
    EQ(sem_post(&go_on), 0);
    CHECK(reap(t) == PTHREAD_CANCELED);
    EQ(written, 10);
}

int main(void)
{
    CASE(buffered);
    CASE(by_lines);
    CASE(unbuffered);
    CASE(not_before);
    return 0;
}
