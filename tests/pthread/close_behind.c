/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors closed through a path that is not close(), their numbers used again at once: data on
 * the new description must still wake a blocked thread. */
#include "net.h"
#include <dirent.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

static void *reads_byte(void *arg)
{
    char c = 0;
    ssize_t r = read(*(int *)arg, &c, 1);

    EQ(r, 1);
    return (void *)(long)c;
}

/* A thread blocks in fd, gets its byte; so the number is known to whoever keeps a table. */
static void use(int fd, int peer)
{
    pthread_t t = go(reads_byte, &fd);

    pause_ms(5);
    EQ(write(peer, "u", 1), 1);
    EQ((long)reap(t), 'u');
}

/* A fresh pair, moved so that its first end has the number want. */
static void pair_at(int want, int sv[2])
{
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    if (sv[1] == want) {
        int d = sv[0];

        sv[0] = sv[1];
        sv[1] = d;
    }
    EQ(sv[0], want);
}

static void old_pair(int sv[2])
{
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    use(sv[0], sv[1]);
}

static void finish(int old[2], int sv[2])
{
    use(sv[0], sv[1]);
    use(sv[1], sv[0]);
    close(sv[0]);
    close(sv[1]);
    close(old[1]);
}

static void by_fclose(void)
{
    int old[2], sv[2];

    for (int i = 0; i < 5; i++) {
        FILE *f;

        old_pair(old);
        f = fdopen(old[0], "r+");
        CHECK(f);
        EQ(fclose(f), 0);
        pair_at(old[0], sv);
        finish(old, sv);
    }
}

static void by_dup2(void)
{
    int old[2], sv[2], other[2];

    old_pair(old);
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
    EQ(dup2(other[0], old[0]), old[0]);
    close(other[0]);
    use(old[0], other[1]);
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    EQ(dup3(sv[0], old[0], O_CLOEXEC), old[0]);
    close(sv[0]);
    sv[0] = old[0];
    close(other[1]);
    finish(old, sv);
}

static void by_close_range(void)
{
    int old[2], sv[2];

    old_pair(old);
    EQ(close_range((unsigned)old[0], (unsigned)old[0], 0), 0);
    pair_at(old[0], sv);
    finish(old, sv);
}

static void by_closefrom(void)
{
    int old[2], sv[2], high;

    old_pair(old);
    high = fcntl(old[0], F_DUPFD, 200);
    close(old[0]);
    use(high, old[1]);
    closefrom(high);
    EQ(fcntl(high, F_GETFD), -1);
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    EQ(dup2(sv[0], high), high);
    close(sv[0]);
    sv[0] = high;
    finish(old, sv);
}

static void by_system_call(void)
{
    int old[2], sv[2];

    for (int i = 0; i < 5; i++) {
        old_pair(old);
        EQ(syscall(SYS_close, old[0]), 0);
        pair_at(old[0], sv);
        finish(old, sv);
    }
}

static void by_freopen(void)
{
    int old[2], sv[2];
    FILE *f;

    old_pair(old);
    f = fdopen(old[0], "r");
    f = freopen("/dev/null", "r", f);
    CHECK(f);
    EQ(fclose(f), 0);
    pair_at(old[0], sv);
    finish(old, sv);
}

static void by_closedir(void)
{
    int sv[2], number;
    DIR *d = opendir("/");

    CHECK(d);
    number = dirfd(d);
    EQ(closedir(d), 0);
    pair_at(number, sv);
    use(sv[0], sv[1]);
    close(sv[0]);
    close(sv[1]);
}

static void description_lives_on(void)
{
    int old[2], sv[2], copy;

    old_pair(old);
    copy = dup(old[0]);
    close(old[0]);
    pair_at(old[0], sv);
    EQ(write(old[1], "stale", 5), 5); /* an event for a description that has another number now */
    use(sv[0], sv[1]);
    for (int i = 0; i < 5; i++)
        EQ((long)reads_byte(&copy), "stale"[i]);
    use(copy, old[1]);
    close(copy);
    finish(old, sv);
}

static void numbers_used_again(void)
{
    int old[2], sv[2];

    for (int i = 0; i < 20; i++) {
        old_pair(old);
        close(old[0]);
        if (i % 2) {
            EQ(pipe(sv), 0);
            EQ(sv[0], old[0]);
            use(sv[0], sv[1]);
            close(sv[0]);
            close(sv[1]);
            close(old[1]);
        } else {
            pair_at(old[0], sv);
            finish(old, sv);
        }
    }
}

static void own_epoll_closed(void)
{
    int sv[2], ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN};

    EQ(epoll_wait(ep, &e, 1, 10), 0);
    close(ep);
    pair_at(ep, sv);
    use(sv[0], sv[1]);
    close(sv[0]);
    close(sv[1]);
}

int main(void)
{
    CASE(by_fclose);
    CASE(by_dup2);
    CASE(by_close_range);
    CASE(by_closefrom);
    CASE(by_system_call);
    CASE(by_freopen);
    CASE(by_closedir);
    CASE(description_lives_on);
    CASE(numbers_used_again);
    CASE(own_epoll_closed);
    return 0;
}
