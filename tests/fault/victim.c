/* SPDX-License-Identifier: BSD-2-Clause */
/* An ordinary program that meets exhaustion; the first argument says which kind.  It must go on
 * working, with the errors that the manual promises. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "victim.c:%d: not so: %s: %s\n", __LINE__, #cond, strerror(errno));    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static pthread_t go(void *(*body)(void *), void *arg)
{
    pthread_t t;

    MUST(pthread_create(&t, NULL, body, arg) == 0);
    return t;
}

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static void *gives_back(void *arg)
{
    pause_ms(1);
    return arg;
}

static void hello(void)
{
    pthread_t t[100];
    long sum = 0;

    for (long i = 0; i < 100; i++)
        t[i] = go(gives_back, (void *)i);
    for (int i = 0; i < 100; i++) {
        void *r;

        MUST(pthread_join(t[i], &r) == 0);
        sum += (long)r;
    }
    printf("sum %ld\n", sum);
}

static void *reads_byte(void *arg)
{
    char c = 0;

    MUST(read(*(int *)arg, &c, 1) == 1);
    return (void *)(long)c;
}

static void *writes_byte(void *arg)
{
    pause_ms(20);
    MUST(write(*(int *)arg, "w", 1) == 1);
    return NULL;
}

/* A thread parks in a read, another one wakes it. */
static void park_and_wake(int in, int out)
{
    void *r;
    pthread_t reader = go(reads_byte, &in), writer = go(writes_byte, &out);

    MUST(pthread_join(reader, &r) == 0 && (long)r == 'w');
    MUST(pthread_join(writer, NULL) == 0);
}

static int fill_table(void)
{
    struct rlimit few = {64, 64};
    int last = -1, fd;

    MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
    while ((fd = dup(0)) >= 0)
        last = fd;
    MUST(errno == EMFILE);
    MUST(last > 0);
    return last;
}

#define NO_MORE(call)                                                                              \
    do {                                                                                           \
        errno = 0;                                                                                 \
        MUST((call) == -1 && errno == EMFILE);                                                     \
    } while (0)

static void everything_refused(int listener)
{
    int fd[2];

    NO_MORE(socket(AF_INET, SOCK_STREAM, 0));
    NO_MORE(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
    NO_MORE(pipe(fd));
    NO_MORE(open("/dev/null", O_RDONLY));
    NO_MORE(eventfd(0, 0));
    NO_MORE(epoll_create1(0));
    NO_MORE(accept(listener, NULL, NULL));
}

static int connected_listener(int *client)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0);

    *client = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 4) == 0);
    MUST(getsockname(l, (struct sockaddr *)&a, &n) == 0);
    MUST(connect(*client, (struct sockaddr *)&a, sizeof a) == 0);
    return l;
}

static void full_table(int threads_before)
{
    int seen[2], unseen[2], client, l, last, a;

    MUST(pipe(seen) == 0);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, unseen) == 0);
    l = connected_listener(&client);
    if (threads_before)
        park_and_wake(seen[0], seen[1]);
    last = fill_table();
    everything_refused(l);
    park_and_wake(seen[0], seen[1]);
    park_and_wake(unseen[0], unseen[1]);
    everything_refused(l);
    MUST(close(last) == 0);
    a = accept(l, NULL, NULL);
    MUST(a == last);
    NO_MORE(dup(0));
    park_and_wake(a, client);
    printf("ok: went on with a full table\n");
}

static long address_space_kb(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kb = 0;

    while (fgets(line, sizeof line, f))
        sscanf(line, "VmSize: %ld", &kb);
    fclose(f);
    MUST(kb > 0);
    return kb;
}

static int opened;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void *waits(void *arg)
{
    pthread_mutex_lock(&lock);
    while (!opened)
        pthread_cond_wait(&cond, &lock);
    pthread_mutex_unlock(&lock);
    return arg;
}

/* Threads until no stack can be had; then they end, and there is room again. */
static void no_memory(void)
{
    struct rlimit r;
    pthread_attr_t a;
    pthread_t t[64];
    int n = 0, err = 0;

    hello(); /* so that the first threads are behind us, whatever they needed */
    r.rlim_cur = r.rlim_max = (rlim_t)(address_space_kb() + 512 * 1024) * 1024;
    MUST(setrlimit(RLIMIT_AS, &r) == 0);
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 64 << 20);
    while (n < 64 && (err = pthread_create(&t[n], &a, waits, NULL)) == 0)
        n++;
    MUST(err == EAGAIN);
    MUST(n >= 2);
    MUST(malloc(1 << 30) == NULL && errno == ENOMEM);
    pthread_mutex_lock(&lock);
    opened = 1;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < n; i++)
        MUST(pthread_join(t[i], NULL) == 0);
    pthread_attr_setstacksize(&a, 1 << 20);
    for (int i = 0; i < 50; i++)
        MUST(pthread_create(&t[i], &a, gives_back, NULL) == 0);
    for (int i = 0; i < 50; i++)
        MUST(pthread_join(t[i], NULL) == 0);
    printf("ok: went on without memory\n");
}

static void *waits_for_child(void *arg)
{
    int st;
    pid_t p = fork();

    if (p == 0) {
        pause_ms(100);
        _exit(9);
    }
    MUST(waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 9);
    return arg;
}

static void *ping_pongs(void *arg)
{
    int p[2];

    MUST(pipe(p) == 0);
    for (int i = 0; i < 20; i++)
        park_and_wake(p[0], p[1]);
    close(p[0]);
    close(p[1]);
    return arg;
}

/* More threads blocked in the kernel than there may be kernel threads. */
static void blocked_in_kernel(void)
{
    pthread_t t[30];

    for (int i = 0; i < 30; i++)
        t[i] = go(i % 3 ? waits_for_child : ping_pongs, NULL);
    for (int i = 0; i < 30; i++)
        MUST(pthread_join(t[i], NULL) == 0);
    printf("ok: all came back\n");
}

/* Started with 0, 1 and 2 closed: the first descriptors are those, as ever. */
static void nothing_open(const char *path)
{
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600), p[2];

    if (fd != 0 || pipe(p) != 0 || p[0] != 1 || p[1] != 2)
        _exit(2);
    for (int i = 0; i < 5; i++)
        park_and_wake(p[0], p[1]);
    if (write(fd, "ok: began with nothing open\n", 28) != 28)
        _exit(3);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "hello") == 0)
        hello();
    else if (strcmp(what, "quiet") == 0)
        printf("no thread\n");
    else if (strcmp(what, "full-table") == 0)
        full_table(1);
    else if (strcmp(what, "full-table-first") == 0)
        full_table(0);
    else if (strcmp(what, "no-memory") == 0)
        no_memory();
    else if (strcmp(what, "blocked") == 0)
        blocked_in_kernel();
    else if (strcmp(what, "closed") == 0 && argc > 2)
        nothing_open(argv[2]);
    else
        return 64;
    return 0;
}
