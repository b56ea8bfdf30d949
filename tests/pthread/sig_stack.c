/* SPDX-License-Identifier: BSD-2-Clause */
/* sigaltstack for each thread: what it reports and refuses, SS_AUTODISARM, not inherited by new
 * threads, handlers run on it or not, recursion on it, jumps off it. */
#include "tap.h"
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

enum { SIZE = 65536 };

static __thread char *stack;
static __thread int on, flags_inside, tries, nested;
static __thread sigjmp_buf out;

static int inside(const void *p)
{
    return (const char *)p >= stack && (const char *)p < stack + SIZE;
}

static void looks(int sig, siginfo_t *si, void *ucp)
{
    stack_t s, bad = {.ss_sp = stack, .ss_size = SIZE};
    char here;

    (void)si;
    on = inside(&here);
    EQ(sigaltstack(NULL, &s), 0);
    flags_inside = s.ss_flags;
    errno = 0;
    tries = sigaltstack(&bad, NULL) == 0 ? 0 : errno;
    s = ((ucontext_t *)ucp)->uc_stack;
    CHECK(s.ss_sp == stack || (s.ss_flags & SS_DISABLE));
    if (sig == SIGUSR1 && !nested++) {
        raise(SIGUSR2);
        EQ(on, inside(&here));
    }
}

static void handle(int flags)
{
    struct sigaction sa = {.sa_sigaction = looks, .sa_flags = SA_SIGINFO | flags};

    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    EQ(sigaction(SIGUSR2, &sa, NULL), 0);
}

static void install(int flags)
{
    stack_t s = {.ss_sp = stack, .ss_size = SIZE, .ss_flags = flags};

    EQ(sigaltstack(&s, NULL), 0);
}

static void *works(void *arg)
{
    stack_t got, off = {.ss_flags = SS_DISABLE};
    stack_t strange = {.ss_size = SIZE, .ss_flags = 4};
    stack_t small = {.ss_size = 1000};

    EQ(sigaltstack(NULL, &got), 0);
    EQ(got.ss_flags, SS_DISABLE); /* also in a new thread */
    stack = (char *)malloc(SIZE);
    strange.ss_sp = small.ss_sp = stack;
    FAILS(sigaltstack(&strange, NULL), EINVAL);
    FAILS(sigaltstack(&small, NULL), ENOMEM);
    install(0);
    EQ(sigaltstack(NULL, &got), 0);
    EQ(got.ss_flags, 0);
    CHECK(got.ss_sp == stack && got.ss_size == SIZE);
    nested = 0;
    raise(SIGUSR1);
    printf("on %d flags %x tries %d\n", on, (unsigned)flags_inside, tries);
    EQ(sigaltstack(NULL, &got), 0);
    EQ(got.ss_flags, 0);
    install(SS_ONSTACK); /* accepted, as on Linux */
    EQ(sigaltstack(&off, &got), 0);
    EQ(got.ss_flags, 0);
    EQ(sigaltstack(NULL, &got), 0);
    EQ(got.ss_flags, SS_DISABLE);
    CHECK(got.ss_sp == NULL && got.ss_size == 0);
    raise(SIGUSR2);
    printf("disabled: on %d flags %x tries %d\n", on, (unsigned)flags_inside, tries);
    EQ(sigaltstack(NULL, &got), 0);
    printf("what the handler installed: flags %x\n", (unsigned)got.ss_flags);
    sigaltstack(&off, NULL);
    free(stack);
    stack = NULL;
    return arg;
}

static void with_the_flag(void)
{
    handle(SA_ONSTACK);
    works(NULL);
    reap(go(works, NULL));
}

static void without_the_flag(void)
{
    handle(0);
    reap(go(works, NULL));
}

static void *disarms(void *arg)
{
    stack_t got, off = {.ss_flags = SS_DISABLE};

    stack = (char *)malloc(SIZE);
    install((int)SS_AUTODISARM);
    EQ(sigaltstack(NULL, &got), 0);
    EQ((unsigned)got.ss_flags, SS_AUTODISARM);
    nested = 1;
    raise(SIGUSR2);
    printf("autodisarm: on %d flags %x tries %d\n", on, (unsigned)flags_inside, tries);
    EQ(sigaltstack(NULL, &got), 0);
    printf("after: %x %d\n", (unsigned)got.ss_flags, got.ss_sp == stack);
    EQ(sigaltstack(&off, NULL), 0);
    free(stack);
    return arg;
}

static void autodisarm(void)
{
    handle(SA_ONSTACK);
    disarms(NULL);
    reap(go(disarms, NULL));
}

static void leaves(int sig)
{
    char here;

    on = inside(&here);
    siglongjmp(out, sig);
}

static void *jumps_off(void *arg)
{
    stack_t got, off = {.ss_flags = SS_DISABLE};

    stack = (char *)malloc(SIZE);
    install(0);
    for (volatile int i = 0; i < 50; i++) {
        if (sigsetjmp(out, 1) == 0)
            raise(SIGUSR1);
        EQ(on, 1);
        EQ(sigaltstack(NULL, &got), 0);
        EQ(got.ss_flags, 0);
        on = 0;
        sched_yield();
    }
    EQ(sigaltstack(&off, NULL), 0);
    free(stack);
    return arg;
}

static void jumps_off_it(void)
{
    struct sigaction sa = {.sa_handler = leaves, .sa_flags = SA_ONSTACK};
    pthread_t t[4];

    sigaction(SIGUSR1, &sa, NULL);
    for (int i = 0; i < 4; i++)
        t[i] = go(jumps_off, NULL);
    for (int i = 0; i < 4; i++)
        reap(t[i]);
}

int main(void)
{
    CASE(with_the_flag);
    CASE(without_the_flag);
    CASE(autodisarm);
    CASE(jumps_off_it);
    return 0;
}
