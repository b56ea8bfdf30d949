/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that run on small stacks of their own making: nothing is written below the stack pointer
 * that the program did not ask for, however many spin and however long; and a handler with
 * SA_ONSTACK stays off them.  (Erlang's code keeps its heap below the stack pointer.) */
#include "tap.h"

#include <signal.h>
#include <ucontext.h>

enum { N = 6, SIZE = 32768, MAY_USE = 1024, SPIN_MS = 150 };

static int stop;

struct co {
    ucontext_t back, own;
    unsigned char *stack;
    unsigned long rounds;
};

static void spin(unsigned lo, unsigned hi)
{
    struct co *c = (struct co *)((uintptr_t)hi << 32 | lo);
    unsigned long n = 0;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        n++;
    c->rounds = n;
}

static void run_co(struct co *c)
{
    c->stack = malloc(SIZE);
    CHECK(c->stack);
    memset(c->stack, 0xa5, SIZE);
    EQ(getcontext(&c->own), 0);
    c->own.uc_stack.ss_sp = c->stack;
    c->own.uc_stack.ss_size = SIZE;
    c->own.uc_link = &c->back;
    makecontext(&c->own, (void (*)(void))spin, 2, (unsigned)(uintptr_t)c,
                (unsigned)((uintptr_t)c >> 32));
    EQ(swapcontext(&c->back, &c->own), 0);
    for (int i = 0; i < SIZE - MAY_USE; i++)
        EQ(c->stack[i], 0xa5);
    CHECK(c->rounds > 0);
    free(c->stack);
}

static void *runs_co(void *arg)
{
    struct co c;

    run_co(&c);
    return arg;
}

static void spinning_coroutines(void)
{
    pthread_t t[N];

    stop = 0;
    for (int i = 0; i < N; i++)
        t[i] = go(runs_co, NULL);
    pause_ms(SPIN_MS);
    bump(&stop);
    for (int i = 0; i < N; i++)
        reap(t[i]);
}

static void *stops_later(void *arg)
{
    pause_ms(SPIN_MS);
    bump(&stop);
    return arg;
}

static void first_thread_too(void)
{
    struct co c;

    stop = 0;
    pthread_t t = go(stops_later, NULL);
    run_co(&c);
    reap(t);
}

static int handled;

static void handler(int sig)
{
    (void)sig;
    bump(&handled);
}

static void *with_altstack(void *arg)
{
    stack_t ss = {.ss_sp = malloc(65536), .ss_size = 65536};
    struct co c;

    CHECK(ss.ss_sp);
    EQ(sigaltstack(&ss, NULL), 0);
    run_co(&c);
    ss.ss_flags = SS_DISABLE;
    EQ(sigaltstack(&ss, NULL), 0);
    free(ss.ss_sp);
    return arg;
}

static void handlers_on_the_alternate_stack(void)
{
    struct sigaction a = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART};
    pthread_t t[N];

    stop = handled = 0;
    EQ(sigaction(SIGUSR1, &a, NULL), 0);
    for (int i = 0; i < N; i++)
        t[i] = go(with_altstack, NULL);
    pause_ms(20);
    for (int round = 1; round <= 5; round++) {
        for (int i = 0; i < N; i++)
            EQ(pthread_kill(t[i], SIGUSR1), 0);
        await(&handled, round * N);
    }
    bump(&stop);
    for (int i = 0; i < N; i++)
        reap(t[i]);
}

int main(void)
{
    CASE(spinning_coroutines);
    CASE(first_thread_too);
    CASE(handlers_on_the_alternate_stack);
    return 0;
}
