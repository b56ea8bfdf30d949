/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The prime sieve as a chain of threads: each thread owns one prime, drops its multiples and passes
 * the other numbers on to the next thread through a one-place box (two semaphores).
 * `sieve [COUNT]` prints the first COUNT primes, ten a line; the default is 100.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

/* A place for one number: `empty` is posted when it may be filled, `full` when it may be taken. */
struct box {
    sem_t empty, full;
    int value;
};

/* One link of the chain; the last one takes its number and reads no further. */
struct link {
    struct box *in, *out; /* out is NULL in the last link */
    int prime;
    pthread_t thread;
};

static void put(struct box *box, int value)
{
    sem_wait(&box->empty);
    box->value = value;
    sem_post(&box->full);
}

static int take(struct box *box)
{
    sem_wait(&box->full);
    int value = box->value;
    sem_post(&box->empty);
    return value;
}

/* The first number to arrive is prime; 0 ends the chain, link by link. */
static void *sieve(void *arg)
{
    struct link *link = arg;
    int n;

    link->prime = take(link->in);
    while ((n = take(link->in)) != 0)
        if (link->out && n % link->prime != 0)
            put(link->out, n);
    if (link->out)
        put(link->out, 0);
    return NULL;
}

/* The count-th prime is below this: p(n) < n (ln n + ln ln n) for n >= 6, and ln n < log2 n. */
static int upper_bound(int count)
{
    int log2 = 1;

    while (count >> log2)
        log2++;
    return count * (log2 + 2) + 10;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 100;
    struct box *boxes = calloc((size_t)count, sizeof *boxes);
    struct link *links = calloc((size_t)count, sizeof *links);

    if (count < 1 || !boxes || !links)
        return 1;
    for (int i = 0; i < count; i++) {
        sem_init(&boxes[i].empty, 0, 1);
        sem_init(&boxes[i].full, 0, 0);
        links[i] = (struct link){.in = &boxes[i], .out = i + 1 < count ? &boxes[i + 1] : NULL};
    }
    for (int i = 0; i < count; i++)
        if (pthread_create(&links[i].thread, NULL, sieve, &links[i]))
            return 1;
    for (int n = 2; n < upper_bound(count); n++)
        put(&boxes[0], n);
    put(&boxes[0], 0);
    for (int i = 0; i < count; i++) {
        pthread_join(links[i].thread, NULL);
        printf("%d%c", links[i].prime, i % 10 == 9 || i + 1 == count ? '\n' : ' ');
    }
    free(boxes);
    free(links);
    return 0;
}
