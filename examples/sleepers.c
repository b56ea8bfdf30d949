/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Many threads that do almost nothing: each naps five times for 20 ms and counts its wake-ups.
 * `sleepers [THREADS]`; the default is 2,000.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAPS = 5, NAP_US = 20000 };

static atomic_long wakeups;

static void *sleeper(void *arg)
{
    for (int i = 0; i < NAPS; i++) {
        usleep(NAP_US);
        atomic_fetch_add(&wakeups, 1);
    }
    return arg;
}

int main(int argc, char **argv)
{
    long n = argc > 1 ? atol(argv[1]) : 2000;
    pthread_t *threads = calloc((size_t)n, sizeof *threads);

    if (!threads)
        return 1;
    for (long i = 0; i < n; i++) {
        int err = pthread_create(&threads[i], NULL, sleeper, NULL);
        if (err) {
            fprintf(stderr, "sleepers: thread %ld: %s\n", i, strerror(err));
            return 1;
        }
    }
    for (long i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    printf("%ld threads woke up %ld times\n", n, atomic_load(&wakeups));
    return atomic_load(&wakeups) == n * NAPS ? 0 : 1;
}
