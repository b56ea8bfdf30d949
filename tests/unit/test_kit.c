/* SPDX-License-Identifier: BSD-2-Clause */
/* core/kit and core/os: text, memory, locks, messages, persistent memory; futex, clock, kernel
 * threads. */
#include "tests/unit/unit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/kit/kit.h"
#include "core/os/os.h"
#include "core/os/sys.h"

/* ---- text ---- */

/* The formats that both know must come out the same.  The format is no literal: that is the point.
 */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#define SAME(fmt, ...)                                                                             \
    do {                                                                                           \
        char ours_[256], theirs_[256];                                                             \
        size_t n_ = gt_snprintf(ours_, sizeof(ours_), fmt, __VA_ARGS__);                           \
        snprintf(theirs_, sizeof(theirs_), fmt, __VA_ARGS__);                                      \
        ck_assert_str_eq(ours_, theirs_);                                                          \
        ck_assert_uint_eq(n_, strlen(theirs_));                                                    \
    } while (0)

static void same_numbers(long v)
{
    int i = (int)v;
    SAME("%d|%1d|%5d|%20d|%05d|%020d", i, i, i, i, i, i);
    SAME("%u|%12u|%012u", (unsigned)i, (unsigned)i, (unsigned)i);
    SAME("%x|%8x|%08x", (unsigned)i, (unsigned)i, (unsigned)i);
    SAME("%ld|%25ld|%025ld|%lld", v, v, v, (long long)v);
    SAME("%lu|%zu|%llu|%lx|%018lx", (unsigned long)v, (size_t)v, (unsigned long long)v,
         (unsigned long)v, (unsigned long)v);
}

START_TEST(test_snprintf_numbers)
{
    static const long edge[] = {0,       1,         9,        10,        -1,       -9,
                                INT_MAX, INT_MIN,   LONG_MAX, LONG_MIN,  UINT_MAX, 1l << 32,
                                -10,     123456789, -99999,   4294967295};
    uint64_t seed = unit_seed("test_snprintf_numbers");
    for (size_t i = 0; i < GT_ARRAY_LEN(edge); i++)
        same_numbers(edge[i]);
    for (int i = 0; i < 2000; i++)
        same_numbers((long)(gt_rand(&seed) >> (i % 64)));
}
END_TEST

START_TEST(test_snprintf_words)
{
    SAME("%s%s %s", "", "a", "bc");
    SAME("%c%c%%%c", 'x', 'y', 'z');
    SAME("%p", (void *)same_numbers);
    SAME("[%d:%s:%lx]%%", -3, "goroutine", 0xfeedfacecafel);
    char b[64];
    const char *volatile none = NULL;
    ck_assert_uint_eq(gt_snprintf(b, sizeof(b), "%s", none), 6);
    ck_assert_str_eq(b, "(null)");
    ck_assert_uint_eq(gt_snprintf(b, sizeof(b), "%p", NULL), 3);
    ck_assert_str_eq(b, "0x0");
    ck_assert_uint_eq(gt_snprintf(b, sizeof(b), "%s", ""), 0);
    ck_assert_str_eq(b, "");
}
END_TEST

/* A format that ends too early or asks for what we don't know must not read on. */
START_TEST(test_snprintf_odd_formats)
{
    static const struct {
        const char *fmt, *want;
    } odd[] = {{"100%", "100"}, {"%", ""}, {"%5", ""}, {"%l", ""}, {"%q!", "q!"}, {"%%", "%"}};
    char b[64];
    for (size_t i = 0; i < GT_ARRAY_LEN(odd); i++) {
        const char *volatile fmt = odd[i].fmt;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
        ck_assert_uint_eq(gt_snprintf(b, sizeof(b), fmt), strlen(odd[i].want));
#pragma GCC diagnostic pop
        ck_assert_str_eq(b, odd[i].want);
    }
}
END_TEST

START_TEST(test_snprintf_cuts)
{
    const char *full = "-0042 text 0xdeadbeef";
    char b[64];
    for (size_t n = 0; n < sizeof(b); n++) {
        memset(b, '#', sizeof(b));
        size_t r = gt_snprintf(b, n, "%05d %s %p", -42, "text", (void *)0xdeadbeef);
        size_t want = n == 0 ? 0 : GT_MIN(n - 1, strlen(full));
        ck_assert_uint_eq(r, want);
        ck_assert_int_eq(memcmp(b, full, want), 0);
        ck_assert(n == 0 || b[want] == '\0');
        for (size_t i = n; i < sizeof(b); i++)
            ck_assert_int_eq(b[i], '#'); /* nothing beyond */
    }
}
END_TEST

/* Puts a pipe in the place of fd 2; what was written there is read by output_end. */
static int stderr_was, capture[2];

static void output_begin(void)
{
    stderr_was = dup(2);
    ck_assert_int_eq(pipe(capture), 0);
    dup2(capture[1], 2);
}

static size_t output_end(char *buf, size_t n)
{
    dup2(stderr_was, 2);
    close(capture[1]);
    ssize_t r = read(capture[0], buf, n - 1);
    close(capture[0]);
    ck_assert_int_ge(r, 0);
    buf[r] = '\0';
    return (size_t)r;
}

START_TEST(test_messages)
{
    char b[4096], big[3000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    output_begin();
    gt_warn("%s is %d", "it", 7);
    gt_printf("plain %lu\n", 8ul);
    for (int i = 0; i < 3; i++)
        gt_warn_once("once");
    output_end(b, sizeof(b));
    ck_assert_str_eq(b, "gothread: it is 7\nplain 8\ngothread: once\n");
    output_begin();
    gt_warn("%s", big);
    size_t n = output_end(b, sizeof(b));
    ck_assert_uint_le(n, 1024); /* cut, but a line all the same */
    ck_assert_uint_ge(n, 1000);
    ck_assert_int_eq(b[n - 1], '\n');
    ck_assert_ptr_eq(strchr(b, '\n'), b + n - 1);
}
END_TEST

static void dump(void)
{
    gt_printf("dumped\n");
    gt_fatal("again", 3, 4); /* a fault in the dump: no second one */
}

START_TEST(test_fatal)
{
    char b[512];
    output_begin();
    pid_t child = fork();
    if (child == 0) {
        gt_fatal_dump = dump;
        signal(SIGABRT, SIG_IGN);
        sigset_t abrt;
        sigemptyset(&abrt);
        sigaddset(&abrt, SIGABRT);
        sigprocmask(SIG_BLOCK, &abrt, NULL);
        gt_fatal("first", 1, -2);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    output_end(b, sizeof(b));
    ck_assert_str_eq(b, "gothread: fatal error: first 1 -2\ndumped\n"
                        "gothread: fatal error: again 3 4\n");
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

static void assertion(void)
{
    int fd = open("/dev/null", O_WRONLY);
    dup2(fd, 2);
    gt_assert(1 + 1 == 2);
    gt_assert(fd < 0);
}

START_TEST(test_assert)
{
    assertion();
}
END_TEST

/* ---- memory ---- */

/* The names that the compiler calls by itself; ours in this binary.  Through pointers, or it would
 * not call them. */
static void *(*volatile fn_memmove)(void *, const void *, size_t) = memmove;
static void *(*volatile fn_memcpy)(void *restrict, const void *restrict, size_t) = memcpy;
static void *(*volatile fn_memset)(void *, int, size_t) = memset;
static int (*volatile fn_memcmp)(const void *, const void *, size_t) = memcmp;

#define AREA 160

/* One assertion for many bytes: each costs. */
static bool all_are(const unsigned char *p, size_t n, unsigned char v)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != v)
            return false;
    return true;
}

static void fill(unsigned char *b)
{
    for (int i = 0; i < AREA; i++)
        b[i] = (unsigned char)(i * 7 + 1);
}

/* b must be what fill() made but for [to, to + n), which holds what was at from. */
static void expect_moved(const unsigned char *b, size_t to, size_t from, size_t n)
{
    unsigned char was[AREA];
    size_t good = 0;
    fill(was);
    for (size_t i = 0; i < AREA; i++)
        good += b[i] == (i >= to && i - to < n ? was[from + i - to] : was[i]);
    ck_assert_uint_eq(good, AREA);
}

START_TEST(test_memmove)
{
    unsigned char b[AREA];
    for (size_t n = 0; n <= 70; n++) {
        for (size_t to = 0; to < 24; to++) {
            fill(b);
            ck_assert_ptr_eq(fn_memmove(b + to, b + 12, n), b + to);
            expect_moved(b, to, 12, n);
        }
        fill(b);
        ck_assert_ptr_eq(fn_memcpy(b + 1, b + 80, n), b + 1);
        expect_moved(b, 1, 80, n);
        fill(b);
        gt_memcpy(b + 80, b + 3, n);
        expect_moved(b, 80, 3, n);
    }
}
END_TEST

START_TEST(test_memset)
{
    unsigned char b[AREA];
    for (size_t n = 0; n <= 70; n++) {
        for (size_t at = 0; at < 9; at++) {
            memset(b, 0x11, sizeof(b));
            if (n & 1)
                ck_assert_ptr_eq(fn_memset(b + at, 0x1ab, n), b + at);
            else
                gt_memset(b + at, 0x1ab, n);
            ck_assert(all_are(b, at, 0x11) && all_are(b + at, n, 0xab));
            ck_assert(all_are(b + at + n, sizeof(b) - at - n, 0x11));
        }
    }
}
END_TEST

START_TEST(test_compare)
{
    unsigned char a[70] = {0}, b[70] = {0};
    ck_assert_int_eq(fn_memcmp(a, "x", 0), 0);
    for (size_t n = 1; n <= sizeof(a); n++) {
        ck_assert_int_eq(fn_memcmp(a, b, n), 0);
        b[n - 1] = 0x80; /* above: compared as unsigned */
        ck_assert_int_lt(fn_memcmp(a, b, n), 0);
        ck_assert_int_gt(gt_memcmp(b, a, n), 0);
        ck_assert_int_eq(gt_memcmp(a, b, n - 1), 0);
        b[n - 1] = 0;
    }
    ck_assert_int_eq(gt_strcmp("", ""), 0);
    ck_assert_int_eq(gt_strcmp("same", "same"), 0);
    ck_assert_int_lt(gt_strcmp("same", "samf"), 0);
    ck_assert_int_lt(gt_strcmp("sam", "same"), 0);
    ck_assert_int_gt(gt_strcmp("same", ""), 0);
    ck_assert_int_gt(gt_strcmp("\xff", "a"), 0);
    ck_assert_uint_eq(gt_strlen(""), 0);
    ck_assert_uint_eq(gt_strlen("four"), 4);
}
END_TEST

#define PIECES 600
struct piece {
    unsigned char *at;
    size_t n;
};

static void *take_pieces(void *arg)
{
    struct piece *p = arg;
    for (size_t i = 0; i < PIECES; i++) {
        p[i].n = 1 + i * 37 % 3000;
        p[i].at = gt_persistent_alloc(p[i].n);
        ck_assert_ptr_nonnull(p[i].at);
        ck_assert_uint_eq((uintptr_t)p[i].at % GT_CACHE_LINE, 0);
        ck_assert(all_are(p[i].at, p[i].n, 0));
        memset(p[i].at, 0xff, p[i].n); /* a later piece that overlaps is not zero */
    }
    return NULL;
}

START_TEST(test_persistent)
{
    static struct piece pieces[4][PIECES];
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = unit_start(take_pieces, pieces[i]);
    for (int i = 0; i < 4; i++)
        unit_join(t[i]);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < PIECES; k++)
            ck_assert(all_are(pieces[i][k].at, pieces[i][k].n, 0xff));
    unsigned char *huge = gt_persistent_alloc(3 << 20); /* more than a chunk */
    ck_assert(all_are(huge, 3 << 20, 0));
}
END_TEST

START_TEST(test_persistent_runs_out)
{
    struct rlimit old, none = {.rlim_cur = 0};
    if (UNIT_SANITIZED)
        return; /* it would have no memory either */
    void *before = gt_persistent_alloc(64);
    getrlimit(RLIMIT_AS, &old);
    none.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_AS, &none);
    void *big = gt_persistent_alloc(1 << 20);
    void *small = gt_persistent_alloc(64); /* what is left of the chunk still serves */
    setrlimit(RLIMIT_AS, &old);
    ck_assert_ptr_nonnull(before);
    ck_assert_ptr_null(big);
    ck_assert_ptr_nonnull(small);
    ck_assert_ptr_nonnull(gt_persistent_alloc(1 << 20));
}
END_TEST

/* ---- locks ---- */

static struct gt_lock lock;
static uint64_t guarded; /* plain: the lock alone protects it */

static void *count_up(void *arg)
{
    for (long i = 0; i < (long)(intptr_t)arg; i++) {
        if (i % 3 || !gt_trylock(&lock, GT_RANK_NONE))
            gt_lock(&lock, GT_RANK_NONE);
        guarded++;
        if (i % 512 == 0)
            sched_yield(); /* long enough for others to sleep */
        gt_unlock(&lock, GT_RANK_NONE);
    }
    return NULL;
}

START_TEST(test_lock_contended)
{
    enum { THREADS = 6 };
    pthread_t t[THREADS];
    intptr_t rounds = UNIT_STEPS(50000);
    for (int i = 0; i < THREADS; i++)
        t[i] = unit_start(count_up, (void *)rounds);
    for (int i = 0; i < THREADS; i++)
        unit_join(t[i]);
    ck_assert_uint_eq(guarded, (uint64_t)rounds * THREADS);
    ck_assert_uint_eq(load_rlx(&lock.word), 0);
}
END_TEST

static void *lock_once(void *arg)
{
    (void)arg;
    gt_lock(&lock, GT_RANK_NONE);
    guarded = 1;
    gt_unlock(&lock, GT_RANK_NONE);
    return NULL;
}

START_TEST(test_lock_sleeps)
{
    ck_assert(gt_trylock(&lock, GT_RANK_NONE));
    ck_assert(!gt_trylock(&lock, GT_RANK_NONE));
    ck_assert_uint_eq(load_rlx(&lock.word), 1);
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        t[i] = unit_start(lock_once, NULL);
    UNIT_UNTIL(load_rlx(&lock.word) == 2); /* one sleeps, or is about to */
    ck_assert_uint_eq(guarded, 0);
    gt_unlock(&lock, GT_RANK_NONE);
    for (int i = 0; i < 3; i++)
        unit_join(t[i]); /* each sleeper wakes the next */
    ck_assert_uint_eq(guarded, 1);
    ck_assert_uint_eq(load_rlx(&lock.word), 0);
}
END_TEST

#ifdef GT_DEBUG
/* Debug builds keep the order of locks: later ranks after earlier ones, no two of one. */
START_TEST(test_lock_order)
{
    static const enum gt_rank wrong[][2] = {{GT_RANK_SCHED, GT_RANK_SEMA},
                                            {GT_RANK_MAKER, GT_RANK_DLFIX},
                                            {GT_RANK_TIMERS, GT_RANK_TIMERS}};
    struct gt_lock a = {0}, b = {0}, any = {0};
    gt_lock(&a, GT_RANK_PD);
    gt_lock(&any, GT_RANK_NONE); /* of no rank: always */
    gt_lock(&b, GT_RANK_STACKS);
    gt_unlock(&a, GT_RANK_PD);
    gt_unlock(&b, GT_RANK_STACKS);
    gt_unlock(&any, GT_RANK_NONE);
    gt_lock(&b, GT_RANK_DLFIX);
    gt_unlock(&b, GT_RANK_DLFIX);
    dup2(open("/dev/null", O_WRONLY), 2);
    gt_lock(&a, wrong[_i][0]);
    gt_lock(&b, wrong[_i][1]);
}
END_TEST
#endif

/* ---- services of the kernel ---- */

static int64_t libc_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * GT_SEC + ts.tv_nsec;
}

START_TEST(test_clock)
{
    if (_i)
        gt_clock_init(); /* the vDSO; before, the system call */
    for (int i = 0; i < 1000; i++) {
        int64_t before = libc_now(), now = gt_nanotime(), after = libc_now();
        ck_assert_int_le(before, now);
        ck_assert_int_le(now, after);
    }
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    int64_t a = gt_deadline_ns((ts.tv_sec * GT_SEC + ts.tv_nsec) | GT_REALTIME);
    ck_assert_int_lt(llabs(libc_now() - a), GT_SEC);
    ck_assert_int_eq(gt_deadline_ns(GT_REALTIME), 0); /* long past */
    ck_assert_int_eq(gt_deadline_ns(77), 77);
    ck_assert_int_eq(gt_deadline_ns(GT_NEVER), GT_NEVER);
}
END_TEST

static void *futex_sleeper(void *word)
{
    while (load_acq((_Atomic uint32_t *)word) == 0)
        gt_futex_wait(word, 0, GT_NEVER);
    return NULL;
}

START_TEST(test_futex)
{
    static _Atomic uint32_t word;
    ck_assert_int_eq(gt_futex_wait(&word, 1, GT_NEVER), -EAGAIN);
    ck_assert_int_eq(gt_futex_wait(&word, 0, 0), -ETIMEDOUT);
    int64_t when = gt_nanotime() + 20 * GT_MS;
    ck_assert_int_eq(gt_futex_wait(&word, 0, when), -ETIMEDOUT);
    ck_assert_int_ge(gt_nanotime(), when);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    when = ts.tv_sec * GT_SEC + ts.tv_nsec + 20 * GT_MS;
    ck_assert_int_eq(gt_futex_wait(&word, 0, when | GT_REALTIME), -ETIMEDOUT);
    clock_gettime(CLOCK_REALTIME, &ts);
    ck_assert_int_ge(ts.tv_sec * GT_SEC + ts.tv_nsec, when);
    ck_assert_int_eq(gt_futex_wake(&word, 1), 0);
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        t[i] = unit_start(futex_sleeper, (void *)&word);
    for (int woken = 0; woken < 2;) /* they go back to sleep: the word has not changed */
        woken += gt_futex_wake(&word, 1);
    store_rel(&word, 1);
    gt_futex_wake(&word, INT_MAX);
    for (int i = 0; i < 3; i++)
        unit_join(t[i]);
    ck_assert_int_eq(gt_futex_wake((_Atomic uint32_t *)NULL, 1), 0); /* the address only */
}
END_TEST

static _Atomic int odd_tid;

static void *odd_name(void *word)
{
    prctl(PR_SET_NAME, "a) R (b");
    store_rel(&odd_tid, sys_gettid());
    return futex_sleeper(word);
}

START_TEST(test_kthread_state)
{
    static _Atomic uint32_t word;
    pthread_t t = unit_start(odd_name, (void *)&word);
    UNIT_UNTIL(load_acq(&odd_tid));
    UNIT_UNTIL(gt_kthread_state(load_acq(&odd_tid)) == 'S');
    ck_assert_int_eq(gt_kthread_state(sys_gettid()), 'R');
    store_rel(&word, 1);
    gt_futex_wake(&word, 1);
    unit_join(t);
    UNIT_UNTIL(gt_kthread_state(load_acq(&odd_tid)) == 0);
}
END_TEST

START_TEST(test_ncpu)
{
    cpu_set_t one, all;
    ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    ck_assert_int_ge(gt_ncpu(), 1);
    ck_assert_int_le(gt_ncpu(), CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (int i = 0; CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    ck_assert_int_eq(gt_ncpu(), 1);
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        UNIT_TEST(test_snprintf_numbers),
        UNIT_TEST(test_snprintf_words),
        UNIT_TEST(test_snprintf_odd_formats),
        UNIT_TEST(test_snprintf_cuts),
        UNIT_TEST(test_messages),
        UNIT_TEST(test_fatal),
        UNIT_DEATH(test_assert, SIGABRT),
        UNIT_TEST(test_memmove),
        UNIT_TEST(test_memset),
        UNIT_TEST(test_compare),
        UNIT_TEST(test_persistent),
        UNIT_TEST(test_persistent_runs_out),
        UNIT_TEST(test_lock_contended),
        UNIT_TEST(test_lock_sleeps),
#ifdef GT_DEBUG
        {test_lock_order, SIGABRT, 3},
#endif
        UNIT_LOOP(test_clock, 2),
        UNIT_TEST(test_futex),
        UNIT_TEST(test_kthread_state),
        UNIT_TEST(test_ncpu),
    };
    return UNIT_MAIN("kit", NULL, tests);
}
