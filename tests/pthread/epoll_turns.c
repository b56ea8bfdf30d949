/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Two threads wait for one epoll set each, and two more for one that they share; another sends them
 * events one by one.  In turn nothing else runs, so that they may wait in the kernel, and others
 * compute and yield, so that they leave it to the runtime.  No event is lost at any change.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SETS = 3, WAITERS = 4, BUSY = 3, TURNS = 12, EVENTS = 40 };

static int set[SETS], event[SETS], answer;
static atomic_int busy, over;

static void *waiter(void *number)
{
    int mine = (int)(long)number < SETS ? (int)(long)number : SETS - 1;
    struct epoll_event ev;
    uint64_t n = 1;

    while (epoll_wait(set[mine], &ev, 1, -1) == 1 && !over)
        if (read(event[mine], &n, sizeof n) == sizeof n) {
            n = 1;
            write(answer, &n, sizeof n);
        }
    return NULL;
}

static void *other(void *arg)
{
    while (!over) {
        if (busy)
            sched_yield();
        else
            poll(NULL, 0, 1);
    }
    return arg;
}

static uint64_t turn(int number)
{
    uint64_t one = 1, got, sum = 0;

    busy = number % 2;
    for (int i = 0; i < EVENTS; i++) {
        write(event[i % SETS], &one, sizeof one);
        if (read(answer, &got, sizeof got) == sizeof got)
            sum += got;
    }
    return sum;
}

int main(void)
{
    pthread_t w[WAITERS], b[BUSY];
    uint64_t sum = 0, one = 1;

    answer = eventfd(0, 0);
    for (int i = 0; i < SETS; i++) {
        struct epoll_event ev = {.events = EPOLLIN};
        set[i] = epoll_create1(0);
        event[i] = eventfd(0, EFD_NONBLOCK);
        epoll_ctl(set[i], EPOLL_CTL_ADD, event[i], &ev);
    }
    for (long i = 0; i < WAITERS; i++)
        pthread_create(&w[i], NULL, waiter, (void *)i);
    for (int i = 0; i < BUSY; i++)
        pthread_create(&b[i], NULL, other, NULL);
    for (int i = 0; i < TURNS; i++)
        sum += turn(i);
    over = 1;
    for (int i = 0; i < SETS; i++)
        write(event[i], &one, sizeof one);
    for (int i = 0; i < WAITERS; i++)
        pthread_join(w[i], NULL);
    for (int i = 0; i < BUSY; i++)
        pthread_join(b[i], NULL);
    printf("%d events, %d answers\n", TURNS * EVENTS, (int)sum);
    return 0;
}
