/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that libc makes itself (timers, message queues, resolver, asynchronous I/O) use every
 * object together with the program's threads, wake them and are woken by them. */
#include "tap.h"
#include <aio.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netdb.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static sem_t there, back;
static int onces, calls, turn, dead_keys;

static void first(void)
{
    usleep(1000);
    bump(&onces);
}

static void key_dies(void *v)
{
    (void)v;
    bump(&dead_keys);
}

static void *doubles(void *arg)
{
    return (void *)(2 * (long)arg);
}

/* What a foreign thread does: as any thread of the program. */
static void uses_all(void)
{
    pthread_once(&once, first);
    EQ(onces, 1);
    CHECK(pthread_getspecific(key) == NULL);
    pthread_setspecific(key, &key);
    for (int i = 0; i < 20; i++) {
        pthread_rwlock_rdlock(&rw);
        pthread_rwlock_unlock(&rw);
        pthread_rwlock_wrlock(&rw);
        pthread_rwlock_unlock(&rw);
    }
    EQ((long)reap(go(doubles, (void *)21L)), 42);
    pthread_mutex_lock(&lock);
    while (turn % 2 == 0)
        pthread_cond_wait(&cond, &lock);
    turn++;
    calls++;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&lock);
    EQ(sem_post(&there), 0);
    while (sem_wait(&back) == -1)
        CHECK(errno == EINTR);
    pthread_barrier_wait(&barrier);
}

static void notified(union sigval v)
{
    EQ(v.sival_int, 17);
    uses_all();
}

/* The other side, in a thread of the program: `n` such calls. */
static void *answers(void *arg)
{
    for (long i = 0; i < (long)arg; i++) {
        pthread_mutex_lock(&lock);
        while (turn % 2 == 1)
            pthread_cond_wait(&cond, &lock);
        turn++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&lock);
        EQ(sem_wait(&there), 0);
        EQ(sem_post(&back), 0);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static struct sigevent notify(void)
{
    struct sigevent ev;

    memset(&ev, 0, sizeof ev);
    ev.sigev_notify = SIGEV_THREAD;
    ev.sigev_value.sival_int = 17;
    ev.sigev_notify_function = notified;
    return ev;
}

static void timers(void)
{
    struct sigevent ev = notify();
    struct itimerspec its = {.it_value = {0, 5000000}};
    timer_t timer;
    pthread_t t = go(answers, (void *)6L);

    EQ(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
    for (int i = 1; i <= 6; i++) {
        EQ(timer_settime(timer, 0, &its, NULL), 0);
        await(&calls, i);
    }
    reap(t);
    EQ(timer_delete(timer), 0);
    await(&dead_keys, 6);
}

static void queues(void)
{
    struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 16};
    struct sigevent ev = notify();
    char name[32], msg[16];
    mqd_t q;
    pthread_t t;

    snprintf(name, sizeof name, "/foreign-%d", getpid());
    q = mq_open(name, O_CREAT | O_RDWR, 0600, &a);
    if (q == (mqd_t)-1 && errno == ENOSYS)
        return;
    CHECK(q != (mqd_t)-1);
    mq_unlink(name);
    calls = 0;
    t = go(answers, (void *)3L);
    for (int i = 1; i <= 3; i++) {
        EQ(mq_notify(q, &ev), 0);
        EQ(mq_send(q, "hello", 6, 0), 0);
        await(&calls, i);
        EQ(mq_receive(q, msg, sizeof msg, NULL), 6);
    }
    reap(t);
    mq_close(q);
}

static void resolver(void)
{
    struct gaicb req = {.ar_name = "127.0.0.1"}, *list[] = {&req};
    struct sigevent ev = notify();
    pthread_t t;

    calls = 0;
    t = go(answers, (void *)1L);
    EQ(getaddrinfo_a(GAI_NOWAIT, list, 1, &ev), 0);
    await(&calls, 1);
    reap(t);
    EQ(gai_error(&req), 0);
    freeaddrinfo(req.ar_result);
    req.ar_result = NULL;
    EQ(getaddrinfo_a(GAI_WAIT, list, 1, NULL), 0);
    freeaddrinfo(req.ar_result);
}

static void fill(struct aiocb *cb, int fd, char *buf, int op, off_t at)
{
    memset(cb, 0, sizeof *cb);
    cb->aio_fildes = fd;
    cb->aio_buf = buf;
    cb->aio_nbytes = 8;
    cb->aio_offset = at;
    cb->aio_lio_opcode = op;
}

static void *asynchronous(void *arg)
{
    struct aiocb cb[4], *list[4];
    char buf[4][8];
    FILE *f = tmpfile();

    CHECK(f);
    for (int i = 0; i < 4; i++) {
        memset(buf[i], 'a' + i, 8);
        fill(&cb[i], fileno(f), buf[i], LIO_WRITE, i * 8);
        list[i] = &cb[i];
    }
    EQ(lio_listio(LIO_WAIT, list, 4, NULL), 0);
    for (int i = 0; i < 4; i++) {
        EQ(aio_error(&cb[i]), 0);
        EQ(aio_return(&cb[i]), 8);
        fill(&cb[i], fileno(f), buf[i], LIO_READ, (3 - i) * 8);
        EQ(aio_read(&cb[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        const struct aiocb *one[] = {&cb[i]};

        while (aio_error(&cb[i]) == EINPROGRESS)
            aio_suspend(one, 1, NULL);
        EQ(aio_return(&cb[i]), 8);
        EQ(buf[i][0], 'a' + 3 - i);
    }
    fclose(f);
    return arg;
}

static void many_asynchronous(void)
{
    pthread_t t[30];

    asynchronous(NULL);
    for (int i = 0; i < 30; i++)
        t[i] = go(asynchronous, NULL);
    for (int i = 0; i < 30; i++)
        reap(t[i]);
}

static void aio_notifies(void)
{
    struct aiocb cb, *list[] = {&cb};
    struct sigevent ev = notify();
    char buf[8] = "1234567";
    FILE *f = tmpfile();
    pthread_t t;

    calls = 0;
    t = go(answers, (void *)2L);
    fill(&cb, fileno(f), buf, LIO_WRITE, 0);
    cb.aio_sigevent = ev;
    EQ(aio_write(&cb), 0);
    await(&calls, 1);
    EQ(aio_return(&cb), 8);
    fill(&cb, fileno(f), buf, LIO_READ, 0);
    EQ(lio_listio(LIO_NOWAIT, list, 1, &ev), 0);
    await(&calls, 2);
    reap(t);
    EQ(aio_return(&cb), 8);
    fclose(f);
}

static void *cancels_itself(void *arg)
{
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return arg;
}

static void ends_thread(union sigval v)
{
    pthread_t t = go(cancels_itself, NULL);

    (void)v;
    CHECK(reap(t) == PTHREAD_CANCELED);
    bump(&calls);
    pthread_exit(NULL); /* a foreign thread may end like this */
}

static void foreign_ends(void)
{
    struct sigevent ev = notify();
    struct itimerspec its = {.it_value = {0, 1000000}};
    timer_t timer;

    calls = 0;
    ev.sigev_notify_function = ends_thread;
    EQ(timer_create(CLOCK_REALTIME, &ev, &timer), 0);
    for (int i = 1; i <= 5; i++) {
        EQ(timer_settime(timer, 0, &its, NULL), 0);
        await(&calls, i);
    }
    EQ(timer_delete(timer), 0);
}

static void forks(union sigval v)
{
    pid_t p = fork();
    int st;

    (void)v;
    if (p == 0)
        _exit((long)reap(go(doubles, (void *)4L)) == 8 ? 9 : 1);
    EQ(waitpid(p, &st, 0), p);
    EQ(WEXITSTATUS(st), 9);
    bump(&calls);
}

static void foreign_forks(void)
{
    struct sigevent ev = notify();
    struct itimerspec its = {.it_value = {0, 1000000}};
    timer_t timer;

    calls = 0;
    ev.sigev_notify_function = forks;
    EQ(timer_create(CLOCK_REALTIME, &ev, &timer), 0);
    EQ(timer_settime(timer, 0, &its, NULL), 0);
    await(&calls, 1);
    EQ(timer_delete(timer), 0);
}

int main(void)
{
    pthread_barrier_init(&barrier, NULL, 2);
    sem_init(&there, 0, 0);
    sem_init(&back, 0, 0);
    EQ(pthread_key_create(&key, key_dies), 0);
    CASE(timers);
    CASE(queues);
    CASE(resolver);
    CASE(many_asynchronous);
    CASE(aio_notifies);
    CASE(foreign_ends);
    CASE(foreign_forks);
    return 0;
}
