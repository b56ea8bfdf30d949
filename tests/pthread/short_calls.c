/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread that makes one short call after another does not keep the CPU to itself: another one,
 * which it has woken, stops it.  With one P that ends only when its turn does. */
#include "tap.h"
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int file, null, zero, epoll, child, pair[2];
static char byte;
static sem_t woken;

static void c_pread(void)
{
    EQ(pread(file, &byte, 1, 0), 1);
}

static void c_pwrite(void)
{
    EQ(pwrite(file, &byte, 1, 0), 1);
}

static void c_read(void)
{
    EQ(read(zero, &byte, 1), 1);
}

static void c_write(void)
{
    EQ(write(null, &byte, 1), 1);
}

static void c_open(void)
{
    EQ(close(open("/dev/null", O_RDONLY)), 0);
}

static void c_send(void)
{
    EQ(send(pair[0], &byte, 1, 0), 1);
    EQ(recv(pair[1], &byte, 1, 0), 1);
}

static void c_recv(void)
{
    FAILS(recv(pair[0], &byte, 1, MSG_DONTWAIT), EAGAIN);
}

static void c_poll(void)
{
    struct pollfd p = {.fd = pair[0], .events = POLLIN};

    EQ(poll(&p, 1, 0), 0);
}

static void c_epoll(void)
{
    struct epoll_event e;

    EQ(epoll_wait(epoll, &e, 1, 0), 0);
}

static void c_waitpid(void)
{
    EQ(waitpid(child, NULL, WNOHANG), 0);
}

static void c_flock(void)
{
    EQ(flock(file, LOCK_EX), 0);
    EQ(flock(file, LOCK_UN), 0);
}

static void c_stat(void)
{
    struct stat st;

    EQ(fstat(file, &st), 0);
}

static void c_getppid(void)
{
    CHECK(getppid() >= 0);
}

static void c_sem(void)
{
    FAILS(sem_trywait(&woken), EAGAIN);
}

static void c_malloc(void)
{
    free(malloc(100));
}

struct call {
    const char *name;
    void (*fn)(void);
    sem_t go;
    int stop;
};

static void *caller(void *arg)
{
    struct call *c = arg;

    EQ(sem_post(&c->go), 0);
    while (!__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE))
        c->fn();
    return NULL;
}

int main(void)
{
    static struct call calls[] = {
        {.name = "pread", .fn = c_pread},   {.name = "pwrite", .fn = c_pwrite},
        {.name = "read", .fn = c_read},     {.name = "write", .fn = c_write},
        {.name = "open", .fn = c_open},     {.name = "send", .fn = c_send},
        {.name = "recv", .fn = c_recv},     {.name = "poll", .fn = c_poll},
        {.name = "epoll", .fn = c_epoll},   {.name = "waitpid", .fn = c_waitpid},
        {.name = "flock", .fn = c_flock},   {.name = "fstat", .fn = c_stat},
        {.name = "sem", .fn = c_sem},       {.name = "getppid", .fn = c_getppid},
        {.name = "malloc", .fn = c_malloc},
    };
    char name[] = "/tmp/short_calls.XXXXXX";

    CHECK((file = mkstemp(name)) >= 0);
    EQ(unlink(name), 0);
    EQ(write(file, "x", 1), 1);
    CHECK((null = open("/dev/null", O_WRONLY)) >= 0);
    CHECK((zero = open("/dev/zero", O_RDONLY)) >= 0);
    CHECK((epoll = epoll_create1(0)) >= 0);
    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    EQ(sem_init(&woken, 0, 0), 0);
    CHECK((child = fork()) >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct call *c = &calls[i];
        pthread_t t;

        EQ(sem_init(&c->go, 0, 0), 0);
        EQ(pthread_create(&t, NULL, caller, c), 0);
        EQ(sem_wait(&c->go), 0);
        __atomic_store_n(&c->stop, 1, __ATOMIC_RELEASE);
        EQ(pthread_join(t, NULL), 0);
        printf("ok %s\n", c->name);
    }
    EQ(kill(child, SIGKILL), 0);
    EQ(waitpid(child, NULL, 0), child);
    return 0;
}
