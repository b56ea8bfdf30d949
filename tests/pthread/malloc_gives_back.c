/* SPDX-License-Identifier: BSD-2-Clause */
/* What was freed goes back to the system: large blocks at once, those of a burst, of any size,
 * within ten seconds or when malloc_trim is called, from main and from threads. */
#include "tap.h"

#include <fcntl.h>
#include <malloc.h>

enum { MB = 1 << 20, LIVE_MB = 30, BURST_MB = 200, BLOCKS = 1 << 20 };

/* Without stdio: its buffers would lie at the end of glibc's heap, which then does not shrink. */
static long rss_mb(void)
{
    char text[128] = "";
    long pages = 0, resident = 0;
    int fd = open("/proc/self/statm", O_RDONLY);

    CHECK(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    EQ(sscanf(text, "%ld %ld", &pages, &resident), 2);
    return resident * 4096 / MB;
}

/* Resident memory falls to limit; returns what it is after ten seconds at most. */
static void falls_to(long limit)
{
    long end = now_ms() + 10000;

    while (rss_mb() > limit && now_ms() < end)
        pause_ms(100);
    CHECK(rss_mb() <= limit);
}

static void *touched(size_t size)
{
    char *p = malloc(size);

    CHECK(p);
    for (size_t i = 0; i < size; i += 64)
        p[i] = 1;
    return p;
}

static void large_at_once(void)
{
    long before = rss_mb();
    void *p = touched(256 * MB);

    CHECK(rss_mb() >= before + 250);
    free(p);
    CHECK(rss_mb() <= before + 10);
    p = touched(100 * MB);
    p = realloc(p, 50 * MB);
    CHECK(rss_mb() <= before + 60);
    free(p);
}

static size_t least = 64, spread = 1500;

/* Blocks of mixed sizes, so many MB; returns how many. */
static int fill(void **p, int mb)
{
    long left = (long)mb * MB;
    int n = 0;

    for (; left > 0; n++) {
        size_t size = least + (size_t)n * 9973 % spread;
        CHECK(n < BLOCKS);
        p[n] = touched(size);
        left -= (long)size;
    }
    return n;
}

static void drop(void **p, int n)
{
    for (int i = 0; i < n; i++)
        free(p[i]);
}

static void *table(void)
{
    return calloc(BLOCKS, sizeof(void *));
}

static void burst(void)
{
    void **live = table(), **p = table();
    int n_live, n;
    long with_live;

    malloc_trim(0); /* what other cases have left */
    n_live = fill(live, LIVE_MB);
    with_live = rss_mb();

    n = fill(p, BURST_MB);
    CHECK(rss_mb() >= LIVE_MB + BURST_MB - 10);
    drop(p, n);
    free(p);
    falls_to(with_live + with_live / 10 + 24);
    drop(live, n_live);
    free(live);
}

static void *bursts(void *arg)
{
    void **p = table();

    drop(p, fill(p, BURST_MB / 4));
    free(p);
    return arg;
}

static void burst_of_threads(void)
{
    pthread_t t[4];
    long before = rss_mb();

    for (int i = 0; i < 4; i++)
        t[i] = go(bursts, NULL);
    for (int i = 0; i < 4; i++)
        reap(t[i]);
    falls_to(before + 24);
}

static void medium_bursts(void)
{
    least = 8 << 10;
    spread = 24 << 10;
    burst();
    burst_of_threads();
}

static void large_bursts(void)
{
    least = 33 << 10;
    spread = 1 << 20;
    burst();
    burst_of_threads();
}

/* One block in 64 stays: whole pages between them are free. */
static void trim(void)
{
    void **p = table();
    int n = fill(p, BURST_MB);
    long full = rss_mb();

    for (int i = 0; i < n; i++)
        if (i % 64)
            free(p[i]);
    EQ(malloc_trim(0), 1);
    CHECK(rss_mb() <= full - BURST_MB * 3 / 4);
    for (int i = 0; i < n; i += 64)
        free(p[i]);
    free(p);
}

int main(void)
{
    CASE(large_at_once);
    CASE(burst);
    CASE(burst_of_threads);
    CASE(trim);
    mallopt(M_TRIM_THRESHOLD, 128 << 10); /* glibc's grow with what is freed, and it keeps more */
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    CASE(medium_bursts);
    CASE(large_bursts);
    return 0;
}
