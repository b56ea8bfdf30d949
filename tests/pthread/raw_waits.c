/* SPDX-License-Identifier: BSD-2-Clause */
/* Many threads that meet again and again at a barrier which waits by a futex call of the program's
 * own instructions, where no library sees it, as those of OpenMP do.  Between two meetings some
 * sleep, some compute, some allocate: each has to get on while all the others wait unseen, asleep
 * or, for a while, in a loop that says to the CPU that it spins. */
#include "tap.h"
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { THREADS = 16, ROUNDS = 24 };

static int arrived, round_no, members, spins;
static long sums[THREADS];
static int errnos_kept;

static long raw_futex(int *word, int op, int val)
{
    register long timeout __asm__("r10") = 0;
    long r;

    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(SYS_futex), "D"(word), "S"(op), "d"(val), "r"(timeout)
                     : "rcx", "r11", "memory");
    return r;
}

static void meet(void)
{
    int now = __atomic_load_n(&round_no, __ATOMIC_ACQUIRE);

    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == members) {
        __atomic_store_n(&arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&round_no, now + 1, __ATOMIC_RELEASE);
        raw_futex(&round_no, FUTEX_WAKE_PRIVATE, INT_MAX);
        return;
    }
    for (int i = 0; i < spins && __atomic_load_n(&round_no, __ATOMIC_ACQUIRE) == now; i++)
        __builtin_ia32_pause();
    while (__atomic_load_n(&round_no, __ATOMIC_ACQUIRE) == now)
        raw_futex(&round_no, FUTEX_WAIT_PRIVATE, now);
}

static void work(int me, int turn)
{
    switch ((me + turn) % 4) {
    case 0:
        CHECK(usleep(1000) == 0);
        break;
    case 1:
        for (volatile int i = 0; i < 200000; i++)
            ;
        break;
    case 2:
        free(memset(malloc(3000), me, 3000));
        break;
    default:
        break;
    }
    sums[me] += turn;
}

static void *member(void *arg)
{
    int me = (int)(long)arg;

    errno = 100 + me;
    for (int i = 0; i < ROUNDS; i++) {
        work(me, i);
        meet();
        EQ(sums[(me + 1) % members], (long)i * (i + 1) / 2);
        meet();
    }
    if (errno == 100 + me)
        bump(&errnos_kept);
    return NULL;
}

static void meetings(int n, int spin)
{
    pthread_t t[THREADS];

    members = n;
    spins = spin;
    round_no = errnos_kept = 0;
    memset(sums, 0, sizeof(sums));
    for (long i = 0; i < n; i++)
        t[i] = go(member, (void *)i);
    for (int i = 0; i < n; i++)
        reap(t[i]);
    EQ(round_no, 2 * ROUNDS);
    EQ(errnos_kept, n);
}

static void asleep(void)
{
    meetings(THREADS, 0);
}

static void spinning(void)
{
    meetings(3, 100000);
}

/* What spins need not have text on both sides of it, nor text that can be read where the CPU has
 * keys for pages: a loop of generated code at the start of a page that stands alone. */
static void *look_at_page(void *page)
{
    int (*until_set)(int *) = (int (*)(int *))(uintptr_t)page;
    return (void *)(long)until_set(&round_no);
}

static void lonely_page(void)
{
    static const uint8_t loop[] = {0x8b, 0x07, /* mov (%rdi),%eax */
                                   0x85, 0xc0, /* test %eax,%eax */
                                   0x74, 0xfa, /* je back */
                                   0xc3};      /* ret */
    size_t ps = (size_t)sysconf(_SC_PAGESIZE);
    char *p = mmap(NULL, 3 * ps, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_t t[2];

    CHECK(p != MAP_FAILED);
    EQ(mprotect(p + ps, ps, PROT_READ | PROT_WRITE), 0);
    memcpy(p + ps, loop, sizeof(loop));
    EQ(mprotect(p + ps, ps, PROT_EXEC), 0);
    round_no = 0;
    for (int i = 0; i < 2; i++)
        t[i] = go(look_at_page, p + ps);
    for (int i = 0; i < 20; i++) /* each yield waits for both of them, with one P */
        sched_yield();
    __atomic_store_n(&round_no, 7, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) {
        void *r;
        EQ(pthread_join(t[i], &r), 0);
        EQ((long)r, 7);
    }
    EQ(munmap(p, 3 * ps), 0);
}

int main(void)
{
    CASE(asleep);
    CASE(spinning);
    CASE(lonely_page);
    return 0;
}
