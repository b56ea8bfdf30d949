/* SPDX-License-Identifier: BSD-2-Clause */
/* fork: from main and from threads while others run; the child makes and joins threads, forks
 * again, knows who it is; memory is copied, descriptors are shared. */
#include "proc.h"
#include <fcntl.h>
#include <semaphore.h>
#include <sys/socket.h>

static int stop, value = 1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void *busy(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        free(malloc(100));
        usleep(100);
    }
    return arg;
}

static void *echo(void *arg)
{
    pause_ms(1);
    return arg;
}

static int child_plain(void)
{
    value = 2;
    if (gettid() != getpid() || getppid() <= 1)
        return 1;
    if (!pthread_equal(pthread_self(), pthread_self()))
        return 2;
    return 33;
}

static int child_threads(void)
{
    pthread_t t[50];

    for (long i = 0; i < 50; i++)
        t[i] = go(echo, (void *)i);
    for (long i = 0; i < 50; i++)
        EQ((long)reap(t[i]), i);
    EQ(gettid(), getpid());
    return 34;
}

static int child_forks(void)
{
    reap(go(echo, NULL));
    EQ(in_child(child_threads), 34);
    EQ(in_child(child_plain), 33);
    reap(go(echo, NULL));
    return 35;
}

static void alone(void)
{
    EQ(in_child(child_plain), 33);
    EQ(value, 1);
    EQ(in_child(child_threads), 34);
    EQ(in_child(child_forks), 35);
}

static void beside_threads(void (*body)(void))
{
    pthread_t t[8];

    stop = 0;
    for (int i = 0; i < 8; i++)
        t[i] = go(busy, NULL);
    body();
    bump(&stop);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
}

static void all_kinds(void)
{
    for (int i = 0; i < 5; i++) {
        EQ(in_child(child_plain), 33);
        EQ(in_child(child_threads), 34);
        EQ(in_child(child_forks), 35);
    }
}

static void from_main(void)
{
    beside_threads(all_kinds);
}

static void *kinds_thread(void *arg)
{
    pthread_t me = pthread_self();
    pid_t p = fork();

    if (p == 0) {
        CHECK(pthread_equal(me, pthread_self()));
        _exit(child_threads());
    }
    EQ(status_of(p), 34);
    all_kinds();
    return arg;
}

static void from_thread(void)
{
    reap(go(kinds_thread, NULL));
}

static void threads_at_once(void)
{
    pthread_t t[6];

    for (int i = 0; i < 6; i++)
        t[i] = go(kinds_thread, NULL);
    for (int i = 0; i < 6; i++)
        reap(t[i]);
}

static void from_threads_at_once(void)
{
    beside_threads(threads_at_once);
}

static int child_main_returns(void)
{
    struct timespec when = after_ms(CLOCK_REALTIME, 20);

    pthread_mutex_lock(&lock);
    EQ(pthread_cond_timedwait(&cond, &lock, &when), ETIMEDOUT);
    pthread_mutex_unlock(&lock);
    exit(36);
}

static void child_waits_and_exits(void)
{
    reap(go(echo, NULL));
    EQ(in_child(child_main_returns), 36);
}

static int sv[2];

static int child_talks(void)
{
    char c;

    EQ(fcntl(sv[0], F_GETFL), O_RDWR); /* the description is as the program made it */
    EQ(read(sv[0], &c, 1), 1);
    EQ(c, 'p');
    pause_ms(20);
    EQ(write(sv[0], "c", 1), 1);
    EQ(read(sv[0], &c, 1), 1); /* must block: the parent is slow */
    return c;
}

static void *reads_byte(void *arg)
{
    char c = 0;

    EQ(read(*(int *)arg, &c, 1), 1);
    return (void *)(long)c;
}

static void shared_descriptions(void)
{
    pthread_t t;
    pid_t p;

    EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    t = go(reads_byte, &sv[1]); /* blocked in it while we fork */
    pause_ms(20);
    p = fork();
    if (p == 0)
        _exit(child_talks());
    EQ(write(sv[1], "p", 1), 1);
    EQ((long)reap(t), 'c');
    pause_ms(50);
    EQ(write(sv[1], "\x2a", 1), 1);
    EQ(status_of(p), 42);
    t = go(reads_byte, &sv[1]);
    pause_ms(10);
    EQ(write(sv[0], "z", 1), 1);
    EQ((long)reap(t), 'z');
    close(sv[0]);
    close(sv[1]);
}

static pthread_key_t key;
static __thread int tls = 5;

static int child_sees_own_data(void)
{
    return pthread_getspecific(key) == &value && tls == 6 ? 37 : 1;
}

static void *forks_with_data(void *arg)
{
    pthread_setspecific(key, &value);
    tls = 6;
    EQ(in_child(child_sees_own_data), 37);
    return arg;
}

static void thread_data_survives(void)
{
    pthread_key_create(&key, NULL);
    reap(go(forks_with_data, NULL));
}

static void *forks_and_returns(void *arg)
{
    pid_t p = fork();

    if (p == 0)
        return arg; /* the only thread ends: the process exits with 0 */
    EQ(status_of(p), 0);
    return arg;
}

static void only_thread_returns(void)
{
    reap(go(forks_and_returns, NULL));
}

int main(void)
{
    CASE(alone);
    CASE(from_main);
    CASE(from_thread);
    CASE(from_threads_at_once);
    CASE(child_waits_and_exits);
    CASE(shared_descriptions);
    CASE(thread_data_survives);
    CASE(only_thread_returns);
    return 0;
}
