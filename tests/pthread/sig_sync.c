/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults of a thread's own code: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP with their siginfo, on
 * the thread that caused them; recovery by a jump, by a changed context, by mapping the page;
 * faults inside libc, in a handler, sent by another, and when blocked or ignored. */
#include "tap.h"
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>

static __thread sigjmp_buf out;
static __thread siginfo_t got;
static __thread pthread_t on;
static __thread long trapno;

static void jumps(int sig, siginfo_t *si, void *uc)
{
    got = *si;
    on = pthread_self();
    trapno = ((ucontext_t *)uc)->uc_mcontext.gregs[REG_TRAPNO];
    siglongjmp(out, sig);
}

static void handle(int sig, void (*h)(int, siginfo_t *, void *), int flags)
{
    struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO | flags};

    EQ(sigaction(sig, &sa, NULL), 0);
}

static char *no_access, *read_only, *beyond;
static volatile int zero;
static int faults_shown[1];

static void f_unmapped(void)
{
    volatile char *p = (char *)(uintptr_t)(zero + 8);

    *p = 1;
}

static void f_forbidden(void)
{
    no_access[100] = 1;
}

static void f_read_only(void)
{
    read_only[7] = 1;
}

static void f_beyond_the_file(void)
{
    beyond[4096 + 5] = 1;
}

static void f_divide(void)
{
    zero = 4711 / zero;
}

static void f_illegal(void)
{
    __asm__ volatile("ud2");
}

static void f_breakpoint(void)
{
    __asm__ volatile("int3");
}

static void f_not_canonical(void)
{
    volatile char *p = (char *)(0x8000000000000000ul + (uintptr_t)zero);

    *p = 1;
}

static void f_jump_away(void)
{
    ((void (*)(void))(uintptr_t)no_access)();
}

static void f_in_libc(void)
{
    memset(no_access, 1, 300);
}

static const struct fault {
    const char *name;
    void (*cause)(void);
    int sig;
} faults[] = {
    {"unmapped", f_unmapped, SIGSEGV},     {"forbidden", f_forbidden, SIGSEGV},
    {"read only", f_read_only, SIGSEGV},   {"beyond the file", f_beyond_the_file, SIGBUS},
    {"division", f_divide, SIGFPE},        {"illegal", f_illegal, SIGILL},
    {"breakpoint", f_breakpoint, SIGTRAP}, {"not canonical", f_not_canonical, SIGSEGV},
    {"jump away", f_jump_away, SIGSEGV},   {"in libc", f_in_libc, SIGSEGV},
};

enum { FAULTS = sizeof faults / sizeof faults[0] };

static long offset(const void *p)
{
    const char *c = (const char *)p, *base[] = {no_access, read_only, beyond};

    for (int i = 0; i < 3; i++)
        if (c >= base[i] && c < base[i] + 8192)
            return c - base[i];
    return (uintptr_t)p < 4096 ? (long)(uintptr_t)p : -1;
}

static void *causes_all(void *arg)
{
    for (volatile int i = 0; i < FAULTS; i++) {
        int sig = sigsetjmp(out, 1);

        if (sig == 0) {
            faults[i].cause();
            CHECK(!"no fault");
        }
        EQ(sig, faults[i].sig);
        EQ(got.si_signo, sig);
        CHECK(pthread_equal(on, pthread_self()));
        if (arg)
            printf("%s: code %d at %ld trap %ld\n", faults[i].name, got.si_code,
                   offset(got.si_addr), trapno);
        sched_yield();
    }
    return NULL;
}

static void all_at_once(void)
{
    pthread_t t[10];

    handle(SIGSEGV, jumps, 0);
    handle(SIGBUS, jumps, 0);
    handle(SIGFPE, jumps, 0);
    handle(SIGILL, jumps, 0);
    handle(SIGTRAP, jumps, 0);
    causes_all(NULL);
    reap(go(causes_all, faults_shown));
    for (int i = 0; i < 10; i++)
        t[i] = go(causes_all, NULL);
    for (int i = 0; i < 10; i++)
        reap(t[i]);
}

/* ---- recovery without a jump ---- */

static void skips(int sig, siginfo_t *si, void *ucp)
{
    ucontext_t *uc = (ucontext_t *)ucp;

    (void)sig, (void)si;
    uc->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
    uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void *context_changed(void *arg)
{
    for (int i = 0; i < 100; i++) {
        long r = 0;
        double x = i * 1.5;

        __asm__ volatile("ud2" : "+a"(r));
        EQ(r, 4711);
        CHECK(x == i * 1.5);
    }
    return arg;
}

static void maps(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)uc;
    EQ(mprotect((void *)((uintptr_t)si->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE), 0);
}

static char *lazy;

static void *page_by_page(void *arg)
{
    char *mine = lazy + (long)arg * 64 * 4096;

    for (int i = 0; i < 64; i++)
        mine[i * 4096] = (char)i;
    for (int i = 0; i < 64; i++)
        EQ(mine[i * 4096], i);
    return NULL;
}

static void recovered(void)
{
    pthread_t t[8];

    handle(SIGILL, skips, 0);
    context_changed(NULL);
    reap(go(context_changed, NULL));
    handle(SIGSEGV, maps, 0);
    lazy = (char *)mmap(NULL, 8 * 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long i = 0; i < 8; i++)
        t[i] = go(page_by_page, (void *)i);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
}

/* ---- a fault inside a handler; one that is sent ---- */

static void faults_itself(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)si, (void)uc;
    no_access[1] = 1;
}

static void *in_a_handler(void *arg)
{
    if (sigsetjmp(out, 1) == 0) {
        raise(SIGUSR1);
        CHECK(!"no fault");
    }
    EQ(got.si_code, SEGV_ACCERR);
    sigset_t s;
    pthread_sigmask(SIG_SETMASK, NULL, &s);
    CHECK(!sigismember(&s, SIGUSR1) && !sigismember(&s, SIGSEGV));
    return arg;
}

static int sent;

static void is_sent(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)uc;
    EQ(si->si_code, SI_TKILL);
    bump(&sent);
}

static void nested_and_sent(void)
{
    handle(SIGSEGV, jumps, 0);
    handle(SIGUSR1, faults_itself, 0);
    in_a_handler(NULL);
    reap(go(in_a_handler, NULL));
    handle(SIGSEGV, is_sent, 0);
    handle(SIGFPE, is_sent, 0);
    raise(SIGSEGV);
    raise(SIGFPE);
    EQ(sent, 2);
}

/* ---- those that kill ---- */

static void *blocked_fault(void *arg)
{
    sigset_t s;

    sigfillset(&s);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    no_access[0] = 1;
    return arg;
}

static void *plain_fault(void *arg)
{
    no_access[0] = 1;
    return arg;
}

static void *trap(void *arg)
{
    __asm__ volatile("int3");
    return arg;
}

static void dies(void *(*body)(void *), void (*h)(int), int sig)
{
    int st;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        freopen("/dev/null", "w", stderr);
        signal(SIGSEGV, h);
        signal(SIGTRAP, h);
        reap(go(body, NULL));
        _exit(0);
    }
    EQ(waitpid(pid, &st, 0), pid);
    CHECK(WIFSIGNALED(st));
    EQ(WTERMSIG(st), sig);
}

static void returns(int sig)
{
    (void)sig;
}

static void killed(void)
{
    dies(plain_fault, SIG_DFL, SIGSEGV);
    dies(plain_fault, SIG_IGN, SIGSEGV);
    dies(blocked_fault, returns, SIGSEGV);
    dies(blocked_fault, SIG_IGN, SIGSEGV);
    dies(trap, SIG_DFL, SIGTRAP);
}

int main(void)
{
    char path[] = "/tmp/gt-sync-XXXXXX";
    int fd = mkstemp(path);

    unlink(path);
    EQ(ftruncate(fd, 4096), 0);
    no_access = (char *)mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    read_only = (char *)mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    beyond = (char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CASE(all_at_once);
    CASE(recovered);
    CASE(nested_and_sent);
    CASE(killed);
    return 0;
}
