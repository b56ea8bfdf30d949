/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Two threads hand a ball to each other with a mutex and a condition variable: every hand-over is
 * a sleep and a wake-up.  `pingpong [ROUNDS]`, by default 10,000, prints how often the
 * ball came back.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum side { PING, PONG };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static enum side turn = PING;
static long rounds = 10000;
static long returned;

static void *play(void *arg)
{
    enum side me = *(enum side *)arg;

    pthread_mutex_lock(&lock);
    for (long i = 0; i < rounds; i++) {
        while (turn != me)
            pthread_cond_wait(&turned, &lock);
        returned += me == PONG;
        turn = me == PING ? PONG : PING;
        pthread_cond_signal(&turned);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

int main(int argc, char **argv)
{
    enum side sides[2] = {PING, PONG};
    pthread_t threads[2];

    if (argc > 1)
        rounds = atol(argv[1]);
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, play, &sides[i]))
            return 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("the ball came back %ld times\n", returned);
    return returned == rounds ? 0 : 1;
}
