/* SPDX-License-Identifier: BSD-2-Clause */
/* A handler of SIGSEGV sees the faulting instruction in its context, whatever other signals and
 * preemptions come at the same moment.  (The JVM polls for safepoints by such faults.) */
#include "tap.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { N = 4, FAULTS = 1000 };

static long page;
static int up, done, stop, faults, others;
static pthread_t t[N];

static __attribute__((noinline)) char touch(volatile char *p)
{
    return *p;
}

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
    ucontext_t *uc = ctx;
#ifdef __x86_64__
    uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#else
    uintptr_t pc = (uintptr_t)uc->uc_mcontext.pc;
#endif

    EQ(sig, SIGSEGV);
    CHECK(pc >= (uintptr_t)touch && pc < (uintptr_t)touch + 64);
    char *at = (char *)((uintptr_t)si->si_addr & ~(uintptr_t)(page - 1));
    EQ(mprotect(at, (size_t)page, PROT_READ | PROT_WRITE), 0);
    bump(&faults);
}

static void on_other(int sig)
{
    (void)sig;
    bump(&others);
}

static void *faulter(void *arg)
{
    char *p = mmap(NULL, (size_t)page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    await(&up, 1);
    for (int i = 0; i < FAULTS; i++) {
        EQ(pthread_kill(t[((long)arg + 1) % N], SIGUSR1), 0);
        EQ(touch(p), 0);
        EQ(mprotect(p, (size_t)page, PROT_NONE), 0);
    }
    munmap(p, (size_t)page);
    bump(&done);
    await(&done, N); /* the others send to this thread */
    return arg;
}

static void *spins(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        ;
    return arg;
}

static void faults_under_fire(void)
{
    struct sigaction f = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction o = {.sa_handler = on_other, .sa_flags = SA_RESTART};
    pthread_t spin = go(spins, NULL);

    page = sysconf(_SC_PAGESIZE);
    EQ(sigaction(SIGSEGV, &f, NULL), 0);
    EQ(sigaction(SIGUSR1, &o, NULL), 0);
    for (long i = 0; i < N; i++)
        t[i] = go(faulter, (void *)i);
    bump(&up);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    bump(&stop);
    reap(spin);
    CHECK(others > 0);
    EQ(faults, N * FAULTS);
}

int main(void)
{
    CASE(faults_under_fire);
    return 0;
}
