/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads that are made one after the other do not start with the last one.  Programs count on it
 * without a right to: a thread installs the handlers for what the next ones send.
 */
#include <pthread.h>
#include <stdio.h>

#define THREADS 8
#define ROUNDS  200

static int started;

static void *thread(void *arg)
{
    *(int *)arg = __atomic_fetch_add(&started, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* Did the last one start before all others? */
static int last_was_first(void)
{
    pthread_t t[THREADS];
    int at[THREADS];
    __atomic_store_n(&started, 0, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, thread, &at[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    return at[THREADS - 1] == 0;
}

int main(void)
{
    int n = 0;
    for (int i = 0; i < ROUNDS; i++)
        n += last_was_first();
    printf("the last one starts first: %s\n", n < ROUNDS / 4 ? "seldom" : "often");
    return 0;
}
