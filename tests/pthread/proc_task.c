/* SPDX-License-Identifier: BSD-2-Clause */
/* /proc/self/task lists the process's threads under the ids that gettid() gives: those that live,
 * no others; an ended thread that nobody has joined yet is not there. */
#include "tap.h"
#include <dirent.h>

enum { N = 50 };

static pid_t tid[N];
static int up, stop;

static void *parked(void *arg)
{
    tid[(long)arg] = gettid();
    bump(&up);
    await(&stop, 1);
    return arg;
}

/* How many threads are listed; seen[i]: thread i is. */
static int list(DIR *d, int seen[N])
{
    struct dirent *e;
    int n = 0, first = 0;

    memset(seen, 0, N * sizeof *seen);
    while ((e = readdir(d)) != NULL) {
        pid_t id = atoi(e->d_name);

        if (e->d_name[0] == '.')
            continue;
        n++;
        first += id == getpid();
        for (int i = 0; i < N; i++)
            seen[i] += id == tid[i];
    }
    EQ(first, 1);
    return n;
}

static void all_that_live(void)
{
    pthread_t t[N];
    int seen[N];
    DIR *d;

    for (long i = 0; i < N; i++)
        t[i] = go(parked, (void *)i);
    await(&up, N);
    d = opendir("/proc/self/task");
    CHECK(d);
    EQ(list(d, seen), N + 1);
    for (int i = 0; i < N; i++)
        EQ(seen[i], 1);
    bump(&stop);
    do { /* they end at their own pace */
        rewinddir(d);
        pause_ms(1);
    } while (list(d, seen) > 1);
    EQ(closedir(d), 0);
    for (int i = 0; i < N; i++)
        EQ((long)reap(t[i]), i);
}

static void by_number(void)
{
    char path[64];
    int seen[N];
    DIR *d;

    snprintf(path, sizeof path, "/proc/%d/task/", (int)getpid());
    d = opendir(path);
    CHECK(d);
    EQ(list(d, seen), 1);
    EQ(closedir(d), 0);
    d = opendir("/proc/self"); /* no other directory is touched */
    CHECK(d);
    for (up = 0; readdir(d);)
        up++;
    CHECK(up > 20);
    EQ(closedir(d), 0);
}

int main(void)
{
    CASE(all_that_live);
    CASE(by_number);
    return 0;
}
