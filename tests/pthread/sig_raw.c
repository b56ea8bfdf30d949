/* SPDX-License-Identifier: BSD-2-Clause */
/* Signals to a thread that waits where no library sees it: system calls made by the program's own
 * instructions; and to one that waits inside libc. */
#include "tap.h"
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int fd[2], ready, hits;
static long result;
static pthread_t hit_on;

static void handler(int sig)
{
    (void)sig;
    hit_on = pthread_self();
    bump(&hits);
}

static long raw(long nr, long a, long b, long c)
{
    long r;

    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return r;
}

static void *reads(void *arg)
{
    char c;

    (void)arg;
    bump(&ready);
    result = raw(SYS_read, fd[0], (long)&c, 1);
    return NULL;
}

static void *polls(void *arg)
{
    struct pollfd p = {.fd = fd[0], .events = POLLIN};

    (void)arg;
    bump(&ready);
    result = raw(SYS_poll, (long)&p, 1, -1);
    return NULL;
}

static void *writes(void *arg)
{
    static char much[1 << 20];
    FILE *f = fdopen(dup(fd[1]), "w");

    (void)arg;
    bump(&ready);
    result = (long)fwrite(much, 1, sizeof much, f); /* the pipe is full: libc waits in write */
    fclose(f);
    return NULL;
}

static void try_it(void *(*body)(void *), int flags, long wait_ms)
{
    struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};
    pthread_t t;

    ready = hits = 0;
    result = -777;
    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    EQ(pipe(fd), 0);
    t = go(body, NULL);
    await(&ready, 1);
    pause_ms(wait_ms);
    EQ(pthread_kill(t, SIGUSR1), 0);
    await(&hits, 1);
    CHECK(pthread_equal(hit_on, t));
    if (body == writes) {
        static char sink[1 << 16];
        long n = 0, r;

        while (n < 1 << 20 && (r = read(fd[0], sink, sizeof sink)) > 0)
            n += r;
        EQ(n, 1 << 20);
    } else if (flags) {
        pause_ms(20);
        EQ(write(fd[1], "x", 1), 1);
    }
    reap(t);
    printf("flags %x: %ld\n", (unsigned)flags, result);
    close(fd[0]);
    close(fd[1]);
}

static void by_own_instructions(void)
{
    for (long ms = 5; ms <= 60; ms += 55) {
        try_it(reads, 0, ms);
        try_it(reads, SA_RESTART, ms);
        try_it(polls, 0, ms);
        try_it(polls, SA_RESTART, ms);
    }
}

static void inside_libc(void)
{
    try_it(writes, SA_RESTART, 5);
    try_it(writes, SA_RESTART, 60);
}

static int closed;

static void *closes(void *arg)
{
    FILE *f = (FILE *)arg;

    bump(&ready);
    result = pclose(f);
    bump(&closed);
    return NULL;
}

static void in_an_announced_call(void)
{
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    int gate[2];
    FILE *f;
    pthread_t t;

    EQ(pipe(gate), 0);
    EQ(dup2(gate[0], 9), 9);
    f = popen("read line <&9", "r"); /* until it is let go */
    ready = hits = closed = 0;
    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    t = go(closes, f);
    await(&ready, 1);
    pause_ms(30);
    EQ(pthread_kill(t, SIGUSR1), 0);
    await(&hits, 1);
    EQ(closed, 0); /* its handler runs while it waits */
    EQ(write(gate[1], "\n", 1), 1);
    reap(t);
    EQ(result, 0);
    close(9);
    close(gate[0]);
    close(gate[1]);
}

int main(void)
{
    CASE(by_own_instructions);
    CASE(inside_libc);
    CASE(in_an_announced_call);
    return 0;
}
