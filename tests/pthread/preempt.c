/* SPDX-License-Identifier: BSD-2-Clause */
/* More threads that spin and call nothing than there are processors: the others go on, and what a
 * spinning thread keeps in registers and below its stack pointer is not disturbed. */
#include "tap.h"

#include <semaphore.h>
#include <fenv.h>
#include <math.h>
#include <sched.h>
#include <sys/socket.h>

static int stop, flag;

static void *spins(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        ;
    return arg;
}

static pthread_t spinner[64];
static int spinners;

static void start_spinners(void)
{
    cpu_set_t set;

    EQ(sched_getaffinity(0, sizeof set, &set), 0);
    spinners = CPU_COUNT(&set) + 2;
    if (spinners > 10)
        spinners = 10;
    if (spinners < 6)
        spinners = 6; /* GOMAXPROCS may be larger than the count of processors */
    stop = 0;
    for (int i = 0; i < spinners; i++)
        spinner[i] = go(spins, NULL);
}

static void stop_spinners(void)
{
    bump(&stop);
    for (int i = 0; i < spinners; i++)
        reap(spinner[i]);
}

static void *makes_progress(void *arg)
{
    int sv[2];
    char c = 'x';

    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    for (int i = 0; i < 10; i++) {
        pause_ms(1);
        EQ(write(sv[0], &c, 1), 1);
        EQ(read(sv[1], &c, 1), 1);
        sched_yield();
    }
    close(sv[0]);
    close(sv[1]);
    return arg;
}

static void others_go_on(void)
{
    start_spinners();
    reap(go(makes_progress, NULL));
    makes_progress(NULL);
    stop_spinners();
}

static void *sets_flag(void *arg)
{
    __atomic_store_n(&flag, 1, __ATOMIC_RELEASE);
    return arg;
}

static void *waits_for_flag(void *arg)
{
    while (!__atomic_load_n(&flag, __ATOMIC_ACQUIRE))
        ;
    return arg;
}

static void flag_of_a_later_thread(void)
{
    pthread_t t[6];

    for (int i = 0; i < 6; i++)
        t[i] = go(waits_for_flag, NULL);
    reap(go(sets_flag, NULL));
    for (int i = 0; i < 6; i++)
        reap(t[i]);
}

/* Integer and floating-point sums kept in registers, each thread its own. */
static void *computes(void *arg)
{
    double x = 1.0 + (double)(long)arg / 1000, want = 0, sum = 0;
    uint64_t h = 14695981039346656037u, want_h = 0;

    for (int round = 0; round < 30 && !__atomic_load_n(&stop, __ATOMIC_RELAXED); round++) {
        sum = 0;
        h = (uint64_t)(long)arg;
        for (int i = 1; i <= 300000; i++) {
            sum += sqrt(x * i) / (i + x);
            h = (h ^ (uint64_t)i) * 1099511628211u;
        }
        if (round == 0) {
            want = sum;
            want_h = h;
        }
        CHECK(sum == want);
        CHECK(h == want_h);
    }
    return NULL;
}

static void results_of_arithmetic(void)
{
    pthread_t t[8];

    stop = 0;
    for (long i = 0; i < 8; i++)
        t[i] = go(computes, (void *)i);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
}

static sem_t ping, pong;

static void *hands_over(void *arg)
{
    sem_t *mine = arg ? &ping : &pong, *other = arg ? &pong : &ping;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        sem_post(other);
        sem_wait(mine);
    }
    sem_post(other);
    return NULL;
}

static void *stops_them(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++)
        sched_yield(); /* to the end of the queue, behind the two */
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* Two threads that wake each other without end leave room for a third. */
static void beside_two_that_hand_over(void)
{
    pthread_t a, b;

    stop = 0;
    sem_init(&ping, 0, 0);
    sem_init(&pong, 0, 0);
    a = go(hands_over, NULL);
    b = go(hands_over, &ping);
    reap(go(stops_them, NULL));
    reap(a);
    reap(b);
}

static void *rounds_its_way(void *arg)
{
    const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    int mode = modes[(long)arg % 4];
    volatile double one = 1, three = 3;
    long double want_l;
    double want;

    EQ(fegetround(), FE_TONEAREST);
    EQ(fesetround(mode), 0);
    want = one / three;
    want_l = (long double)one / three;
    for (int i = 0; i < 3000000; i++)
        CHECK(one / three == want && (long double)one / three == want_l);
    sched_yield();
    EQ(fegetround(), mode);
    return NULL;
}

static void rounding_modes(void)
{
    pthread_t t[8];

    for (long i = 0; i < 8; i++)
        t[i] = go(rounds_its_way, (void *)i);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
    EQ(fegetround(), FE_TONEAREST);
}

#ifdef __x86_64__
/* Fills registers with a value, spins without a call, and reports whether all still hold it. */
static int vectors_hold(long value, long turns)
{
    long lost = 0;

    __asm__ volatile("movq %1, %%xmm0\n\tpunpcklqdq %%xmm0, %%xmm0\n\t"
                     "movdqa %%xmm0, %%xmm3\n\tmovdqa %%xmm0, %%xmm8\n\tmovdqa %%xmm0, %%xmm15\n\t"
                     "1: dec %2\n\tjnz 1b\n\t"
                     "pxor %%xmm0, %%xmm3\n\tpxor %%xmm0, %%xmm8\n\tpxor %%xmm0, %%xmm15\n\t"
                     "por %%xmm3, %%xmm8\n\tpor %%xmm8, %%xmm15\n\t"
                     "movq %%xmm15, %0\n\tmovq %%xmm0, %%r8\n\txor %1, %%r8\n\tor %%r8, %0\n\t"
                     : "=&r"(lost), "+r"(value), "+r"(turns)
                     :
                     : "xmm0", "xmm3", "xmm8", "xmm15", "r8", "cc");
    return lost == 0;
}

__attribute__((target("avx2"))) static int wide_vectors_hold(long value, long turns)
{
    long lost = 0;

    __asm__ volatile(
        "vmovq %1, %%xmm1\n\tvpbroadcastq %%xmm1, %%ymm1\n\tvmovdqa %%ymm1, %%ymm14\n\t"
        "1: dec %2\n\tjnz 1b\n\t"
        "vextracti128 $1, %%ymm14, %%xmm2\n\tvpxor %%xmm1, %%xmm2, %%xmm2\n\t"
        "vmovq %%xmm2, %0\n\tvmovq %%xmm14, %%r8\n\txor %1, %%r8\n\tor %%r8, %0\n\t"
        "vzeroupper\n\t"
        : "=&r"(lost), "+r"(value), "+r"(turns)
        :
        : "xmm1", "xmm2", "xmm14", "r8", "cc");
    return lost == 0;
}

/* A leaf function may use 128 bytes below the stack pointer; flags and registers stay too. */
static int red_zone_holds(long value, long turns)
{
    long lost;

    __asm__ volatile("mov %1, -8(%%rsp)\n\tmov %1, -64(%%rsp)\n\tmov %1, -128(%%rsp)\n\t"
                     "mov %1, %%r15\n\tmov %1, %%rbx\n\t"
                     "1: dec %2\n\tjnz 1b\n\t"
                     "xor %1, %%r15\n\txor %1, %%rbx\n\tor %%r15, %%rbx\n\t"
                     "mov %%rbx, %0\n\t"
                     "mov -8(%%rsp), %%r15\n\txor %1, %%r15\n\tor %%r15, %0\n\t"
                     "mov -64(%%rsp), %%r15\n\txor %1, %%r15\n\tor %%r15, %0\n\t"
                     "mov -128(%%rsp), %%r15\n\txor %1, %%r15\n\tor %%r15, %0\n\t"
                     : "=&r"(lost), "+r"(value), "+r"(turns)
                     :
                     : "r15", "rbx", "cc", "memory");
    return lost == 0;
}

static void *keeps_registers(void *arg)
{
    long value = 0x0123456789abcdef ^ (long)arg << 32 ^ (long)arg;
    int wide = __builtin_cpu_supports("avx2");

    for (int i = 0; i < 4; i++) {
        CHECK(vectors_hold(value, 20000000));
        CHECK(red_zone_holds(value, 20000000));
        if (wide)
            CHECK(wide_vectors_hold(value, 20000000));
    }
    return NULL;
}

static void registers(void)
{
    pthread_t t[6];

    for (long i = 0; i < 6; i++)
        t[i] = go(keeps_registers, (void *)(i + 1));
    for (int i = 0; i < 6; i++)
        reap(t[i]);
}
#endif

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void *sorts(void *arg)
{
    enum { N = 100000 };
    int *v = (int *)malloc(N * sizeof *v);

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            v[i] = (int)((long)i * 7919 % N);
        qsort(v, N, sizeof *v, compare);
        for (int i = 0; i < N; i++)
            EQ(v[i], i);
    }
    free(v);
    return arg;
}

static void inside_library_calls(void)
{
    pthread_t t[8];

    for (int i = 0; i < 8; i++)
        t[i] = go(sorts, NULL);
    makes_progress(NULL);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
}

int main(void)
{
    CASE(others_go_on);
    CASE(flag_of_a_later_thread);
    CASE(results_of_arithmetic);
    CASE(beside_two_that_hand_over);
    CASE(rounding_modes);
#ifdef __x86_64__
    CASE(registers);
#endif
    CASE(inside_library_calls);
    return 0;
}
