/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults in threads: a SIGSEGV handler on each thread's alternate stack that jumps out, overflow of
 * the stack caught there, siginfo and context of the fault. */
#include "tap.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { ALT = 64 * 1024 };

static __thread sigjmp_buf back;
static __thread char *alt;
static __thread void *fault_at;
static __thread int on_alt;

static void handler(int sig, siginfo_t *si, void *uc)
{
    char here;

    (void)sig;
    CHECK(((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP] != 0);
    fault_at = si->si_addr;
    on_alt = &here >= alt && &here < alt + ALT;
    siglongjmp(back, 1);
}

static void own_alternate_stack(void)
{
    stack_t s = {.ss_size = ALT}, got;

    alt = (char *)malloc(ALT);
    s.ss_sp = alt;
    EQ(sigaltstack(&s, NULL), 0);
    EQ(sigaltstack(NULL, &got), 0);
    CHECK(got.ss_sp == alt && got.ss_size == ALT && got.ss_flags == 0);
}

static void drop_alternate_stack(void)
{
    stack_t off = {.ss_flags = SS_DISABLE};

    EQ(sigaltstack(&off, NULL), 0);
    free(alt);
}

static char *forbidden;

static void *faults(void *arg)
{
    own_alternate_stack();
    for (int i = 0; i < 10; i++) {
        volatile char *p = forbidden + (long)arg;

        fault_at = NULL;
        if (sigsetjmp(back, 1) == 0) {
            *p = 1;
            CHECK(!"the store succeeded");
        }
        CHECK(fault_at == p);
        EQ(on_alt, 1);
        sched_yield();
    }
    drop_alternate_stack();
    return NULL;
}

static void jump_out(void)
{
    pthread_t t[20];

    faults(NULL);
    for (long i = 0; i < 20; i++)
        t[i] = go(faults, (void *)i);
    for (int i = 0; i < 20; i++)
        reap(t[i]);
}

static __attribute__((noinline)) int deep(volatile char *above)
{
    volatile char frame[4096];

    frame[0] = above ? above[0] : 1;
    return above == (char *)1 ? 0 : deep(frame) + frame[0];
}

static void *overflows(void *arg)
{
    own_alternate_stack();
    if (sigsetjmp(back, 1) == 0)
        EQ(deep(NULL), -1);
    EQ(on_alt, 1);
    drop_alternate_stack();
    bump((int *)arg);
    return NULL;
}

static void overflow_caught(void)
{
    int caught = 0;

    for (int i = 0; i < 5; i++) {
        pthread_attr_t a;
        pthread_t t;

        pthread_attr_init(&a);
        pthread_attr_setstacksize(&a, 256 * 1024);
        EQ(pthread_create(&t, &a, overflows, &caught), 0);
        reap(t);
        pthread_attr_destroy(&a);
    }
    EQ(caught, 5);
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    forbidden = (char *)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CASE(jump_out);
    CASE(overflow_caught);
    return 0;
}
