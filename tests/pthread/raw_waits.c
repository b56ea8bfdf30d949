/* SPDX-License-Identifier: BSD-2-Clause */
/* Many threads that meet again and again at a barrier which waits by a futex call of the program's
 * own instructions, where no library sees it, as those of OpenMP do.  Between two meetings some
 * sleep, some compute, some allocate: each has to get on while all the others wait unseen, asleep
 * or, for a while, in a loop that says to the CPU that it spins. */
#include "tap.h"
#include <limits.h>
#include <linux/futex.h>
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

int main(void)
{
    CASE(asleep);
    CASE(spinning);
    return 0;
}
