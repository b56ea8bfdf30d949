/* SPDX-License-Identifier: BSD-2-Clause */
/* makecontext and its family inside threads: many arguments, uc_link, masks, generators, signals
 * and cancellation on such a stack, a context that moves from one thread to another. */
#include "tap.h"
#include <fenv.h>
#include <sched.h>
#include <signal.h>
#include <ucontext.h>

enum { SIZE = 128 * 1024 };

static __thread ucontext_t home, other;
static __thread int trace;

static void adds(int a, int b, int c, int d, int e, int f, int g, int h, int i)
{
    volatile double x __attribute__((aligned(16))) = a + b;

    trace += (int)x + c + d + e + f + g * 10 + h * 100 + i * 1000;
}

static void make(ucontext_t *uc, char *stack, ucontext_t *link)
{
    EQ(getcontext(uc), 0);
    uc->uc_stack.ss_sp = stack;
    uc->uc_stack.ss_size = SIZE;
    uc->uc_link = link;
}

static void *arguments(void *arg)
{
    char *stack = (char *)malloc(SIZE);

    trace = 0;
    make(&other, stack, &home);
    makecontext(&other, (void (*)(void))adds, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    EQ(swapcontext(&home, &other), 0);
    EQ(trace, 21 + 70 + 800 + 9000);
    free(stack);
    return arg;
}

static void with_arguments(void)
{
    arguments(NULL);
    reap(go(arguments, NULL));
}

static void counts(void)
{
    for (int i = 0; i < 1000; i++) {
        trace++;
        if (i % 100 == 0)
            sched_yield();
        EQ(swapcontext(&other, &home), 0);
    }
    trace = -1;
}

static void *generates(void *arg)
{
    char *stack = (char *)malloc(SIZE);

    trace = 0;
    make(&other, stack, &home);
    makecontext(&other, counts, 0);
    for (int i = 1; i <= 1000; i++) {
        EQ(swapcontext(&home, &other), 0);
        EQ(trace, i);
    }
    EQ(swapcontext(&home, &other), 0);
    EQ(trace, -1);
    free(stack);
    return arg;
}

static void generators(void)
{
    pthread_t t[8];

    for (int i = 0; i < 8; i++)
        t[i] = go(generates, NULL);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
}

static int blocked(int sig)
{
    sigset_t s;

    pthread_sigmask(SIG_SETMASK, NULL, &s);
    return sigismember(&s, sig);
}

static void block(int how, int sig)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, sig);
    pthread_sigmask(how, &s, NULL);
}

static volatile int hits;

static void hit(int sig)
{
    (void)sig;
    hits++;
}

static void looks_at_mask(void)
{
    EQ(blocked(SIGUSR1), 1);
    EQ(blocked(SIGUSR2), 0);
    block(SIG_BLOCK, SIGUSR2);
    raise(SIGUSR1);
    EQ(hits, 0);
} /* the link's mask comes back, and with it the pending signal */

static void *masks(void *arg)
{
    char *stack = (char *)malloc(SIZE);

    hits = 0;
    block(SIG_BLOCK, SIGUSR1);
    make(&other, stack, &home);
    block(SIG_UNBLOCK, SIGUSR1);
    makecontext(&other, looks_at_mask, 0);
    EQ(swapcontext(&home, &other), 0);
    EQ(blocked(SIGUSR1), 0);
    EQ(blocked(SIGUSR2), 0);
    EQ(hits, 1);
    raise(SIGUSR1);
    EQ(hits, 2);
    free(stack);
    return arg;
}

static void masks_follow(void)
{
    struct sigaction sa = {.sa_handler = hit};

    sigaction(SIGUSR1, &sa, NULL);
    masks(NULL);
    reap(go(masks, NULL));
}

static volatile int again;

static void *returns_twice(void *arg)
{
    ucontext_t here;

    again = 0;
    EQ(getcontext(&here), 0);
    if (again++ < 3)
        setcontext(&here);
    EQ(again, 4);
    return arg;
}

static void rounding(void)
{
    EQ(fegetround(), FE_UPWARD);
    fesetround(FE_DOWNWARD);
}

static void *float_state(void *arg)
{
    char *stack = (char *)malloc(SIZE);

    fesetround(FE_UPWARD);
    make(&other, stack, &home);
    fesetround(FE_TONEAREST);
    makecontext(&other, rounding, 0);
    EQ(swapcontext(&home, &other), 0);
    EQ(fegetround(), FE_TONEAREST);
    free(stack);
    return arg;
}

static void registers_and_rounding(void)
{
    reap(go(returns_twice, NULL));
    reap(go(float_state, NULL));
}

/* ---- one context, several threads ---- */

static ucontext_t wandering, caller;
static int seen[4], at;
static __thread int mine;

static __attribute__((noinline)) int *address_of_mine(void)
{
    int *p = &mine;

    __asm__ volatile("" : "+r"(p)); /* afresh: the thread may be another by now */
    return p;
}

static void wanders(void)
{
    for (;;) {
        seen[at++] = *address_of_mine();
        swapcontext(&wandering, &caller);
    }
}

static void *resumes(void *arg)
{
    mine = (int)(long)arg;
    EQ(swapcontext(&caller, &wandering), 0);
    return NULL;
}

static void from_thread_to_thread(void)
{
    char *stack = (char *)malloc(SIZE);

    make(&wandering, stack, NULL);
    makecontext(&wandering, wanders, 0);
    for (long i = 0; i < 4; i++)
        reap(go(resumes, (void *)(i + 10)));
    for (int i = 0; i < 4; i++)
        EQ(seen[i], i + 10);
    free(stack);
}

/* ---- the end of a thread on such a stack ---- */

static int cleaned, ready;

static void cleans(void *arg)
{
    (void)arg;
    bump(&cleaned);
}

static void exits_there(void)
{
    pthread_cleanup_push(cleans, NULL);
    bump(&ready);
    pause_ms(20000);
    pthread_cleanup_pop(0);
}

static void *on_a_stack_of_its_own(void *arg)
{
    make(&other, (char *)arg, &home);
    makecontext(&other, exits_there, 0);
    swapcontext(&home, &other);
    return NULL;
}

static void cancelled_there(void)
{
    for (int i = 0; i < 3; i++) {
        char *stack = (char *)malloc(i % 2 ? SIZE : 4 << 20); /* below or above the thread's */
        pthread_t t;

        ready = cleaned = 0;
        t = go(on_a_stack_of_its_own, stack);
        await(&ready, 1);
        pause_ms(10);
        pthread_cancel(t);
        CHECK(reap(t) == PTHREAD_CANCELED);
        EQ(cleaned, 1);
        free(stack);
    }
}

int main(void)
{
    CASE(with_arguments);
    CASE(generators);
    CASE(masks_follow);
    CASE(registers_and_rounding);
    CASE(from_thread_to_thread);
    CASE(cancelled_there);
    return 0;
}
