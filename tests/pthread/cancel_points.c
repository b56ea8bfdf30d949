/* SPDX-License-Identifier: BSD-2-Clause */
/* POSIX's cancellation points: each is cancelled while it waits, by a request that came before it,
 * and not while cancellation is off.  Then those that are none. */
#include "waits.h"
#include <aio.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <threads.h>
#include <wchar.h>

static int file, id, child_go[2], ready;
static pid_t child;
static sem_t sem;
static pthread_mutex_t lock;
static pthread_cond_t cond;
static mtx_t mtx;
static cnd_t cnd;
static pthread_t other;
static mqd_t mq;
static char byte, name[64];
static FILE *stream;

/* ---- what is waited for: make, and let it happen ---- */

static void nothing(void)
{
}

static void put(void)
{
    EQ(write(fd[1], "x\n", 2), 2);
}

static void drop(void)
{
    close(fd[0]);
    close(fd[1]);
}

static void drop_backlog(void)
{
    drop();
    close(backlog);
}

static void make_file(void)
{
    snprintf(name, sizeof name, "/tmp/gt-can-%d", getpid());
    file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    EQ(write(file, "abc", 3), 3);
}

static void drop_file(void)
{
    close(file);
    unlink(name);
}

static void make_fifo(void)
{
    snprintf(name, sizeof name, "/tmp/gt-can-%d.fifo", getpid());
    unlink(name);
    EQ(mkfifo(name, 0600), 0);
}

static void open_fifo(void)
{
    fd[1] = open(name, O_RDWR);
}

static void drop_fifo(void)
{
    unlink(name);
}

static void drop_open_fifo(void)
{
    close(fd[1]);
    unlink(name);
}

static void make_record_lock(void)
{
    int done[2];
    char c;

    make_file();
    EQ(pipe(child_go), 0);
    EQ(pipe(done), 0);
    child = fork();
    if (child == 0) {
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        close(child_go[1]);
        fcntl(file, F_SETLK, &l);
        if (write(done[1], "x", 1) != 1 || read(child_go[0], &c, 1) != 0)
            _exit(1);
        _exit(0);
    }
    close(child_go[0]);
    EQ(read(done[0], &c, 1), 1);
    close(done[0]);
    close(done[1]);
}

static void end_child(void)
{
    close(child_go[1]);
    child_go[1] = -1;
}

static void drop_record_lock(void)
{
    if (child_go[1] >= 0)
        end_child();
    waitpid(child, NULL, 0);
    drop_file();
}

static void wait_record_lock(void)
{
    end_child();
    waitpid(child, NULL, 0);
}

static void make_child(void)
{
    EQ(pipe(child_go), 0);
    child = fork();
    if (child == 0) {
        char c;

        close(child_go[1]);
        _exit(read(child_go[0], &c, 1) != 0);
    }
    close(child_go[0]);
}

static void drop_child(void)
{
    if (child_go[1] >= 0)
        end_child();
    waitpid(child, NULL, 0);
}

static void make_queue(void)
{
    id = msgget(IPC_PRIVATE, 0600);
    CHECK(id >= 0);
}

struct message {
    long type;
    char text[8192];
};

static void put_message(void)
{
    static struct message m = {.type = 1};

    EQ(msgsnd(id, &m, 1, IPC_NOWAIT), 0);
}

static void make_full_queue(void)
{
    static struct message m = {.type = 1};

    make_queue();
    while (msgsnd(id, &m, sizeof m.text, IPC_NOWAIT) == 0)
        ;
}

static void take_message(void)
{
    static struct message m;

    CHECK(msgrcv(id, &m, sizeof m.text, 0, IPC_NOWAIT) >= 0);
}

static void drop_queue(void)
{
    msgctl(id, IPC_RMID, NULL);
}

static void make_mq(void)
{
    struct mq_attr a = {.mq_maxmsg = 1, .mq_msgsize = 8};

    snprintf(name, sizeof name, "/gt-can-%d", getpid());
    mq = mq_open(name, O_RDWR | O_CREAT, 0600, &a);
    CHECK(mq != (mqd_t)-1);
    mq_unlink(name);
}

static void put_mq(void)
{
    EQ(mq_send(mq, "x", 1, 0), 0);
}

static void make_full_mq(void)
{
    make_mq();
    put_mq();
}

static void take_mq(void)
{
    char m[8];

    EQ(mq_receive(mq, m, sizeof m, NULL), 1);
}

static void drop_mq(void)
{
    mq_close(mq);
}

static void make_sem(void)
{
    sem_init(&sem, 0, 0);
}

static void post(void)
{
    sem_post(&sem);
}

static void make_cond(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&cond, NULL);
    mtx_init(&mtx, mtx_plain);
    cnd_init(&cnd);
}

static void *rests(void *arg)
{
    sem_wait((sem_t *)arg);
    return NULL;
}

static void make_thread(void)
{
    sem_init(&sem, 0, 0);
    other = go(rests, &sem);
}

static void end_thread(void)
{
    sem_post(&sem);
    pause_ms(20);
}

static int joined;

static void drop_thread(void)
{
    sem_post(&sem);
    if (!joined)
        pthread_join(other, NULL);
    joined = 0;
}

static void block_usr2(void)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
}

static void send_usr2(void)
{
    kill(getpid(), SIGUSR2);
}

static void take_usr2(void)
{
    struct timespec none = {0, 0};
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    sigtimedwait(&s, NULL, &none);
}

static void open_stream(void)
{
    make_pipe();
    stream = fdopen(fd[0], "r");
    setvbuf(stream, NULL, _IONBF, 0);
}

static void close_stream(void)
{
    fclose(stream);
    close(fd[1]);
}

/* ---- the calls ---- */

#define CALL(fn, ...)                                                                              \
    static long c_##fn(void)                                                                       \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }

static const struct timespec twenty = {20, 0};

static struct timespec later(void)
{
    return after_ms(CLOCK_REALTIME, 20000);
}

static sigset_t usr2(void)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    return s;
}

static struct iovec vec = {&byte, 1};
static struct msghdr hdr = {.msg_iov = &vec, .msg_iovlen = 1};

CALL(read, return read(fd[0], &byte, 1))
CALL(readv, return readv(fd[0], &vec, 1))
CALL(recv, return recv(fd[0], &byte, 1, 0))
CALL(recvfrom, return recvfrom(fd[0], &byte, 1, 0, NULL, NULL))
CALL(recvmsg, return recvmsg(fd[0], &hdr, 0))
CALL(write, return write(fd[1], "x", 1))
CALL(writev, return writev(fd[1], &vec, 1))
CALL(send, return send(fd[1], "x", 1, 0))
CALL(sendto, return sendto(fd[1], "x", 1, 0, NULL, 0))
CALL(sendmsg, return sendmsg(fd[1], &hdr, 0))
CALL(accept, return close(accept(fd[0], NULL, NULL)))
CALL(connect, return connect(fd[1], (struct sockaddr *)&un_at, sizeof un_at))
CALL(poll, struct pollfd p = {.fd = fd[0], .events = POLLIN}; return poll(&p, 1, -1))
CALL(ppoll, struct pollfd p = {.fd = fd[0], .events = POLLIN}; return ppoll(&p, 1, NULL, NULL))
CALL(select, fd_set s; FD_ZERO(&s); FD_SET(fd[0], &s);
     return select(fd[0] + 1, &s, NULL, NULL, NULL))
CALL(pselect, fd_set s; FD_ZERO(&s); FD_SET(fd[0], &s);
     return pselect(fd[0] + 1, &s, NULL, NULL, NULL, NULL))
CALL(open, int f = open(name, O_RDONLY); return f < 0 ? f : close(f))
CALL(openat, int f = openat(AT_FDCWD, name, O_RDONLY); return f < 0 ? f : close(f))
CALL(creat, int f = creat(name, 0600); return f < 0 ? f : close(f))
CALL(close, return close(dup(file)))
CALL(fsync, return fsync(file))
CALL(fdatasync, return fdatasync(file))
CALL(pread, return pread(file, &byte, 1, 0))
CALL(pwrite, return pwrite(file, "x", 1, 0))
CALL(msync, static char *p;
     if (!p) p = (char *)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
     return msync(p, 4096, MS_SYNC))
CALL(setlkw, struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
     return fcntl(file, F_SETLKW, &l))
CALL(lockf, return lockf(file, F_LOCK, 0))
CALL(waitpid, return waitpid(child, NULL, 0) > 0)
CALL(wait, return wait(NULL) > 0)
CALL(waitid, siginfo_t si; return waitid(P_PID, (id_t)child, &si, WEXITED))
CALL(msgrcv, struct message m; return msgrcv(id, &m, sizeof m.text, 0, 0))
CALL(msgsnd, struct message m = {.type = 1}; return msgsnd(id, &m, sizeof m.text, 0))
CALL(mq_receive, char m[8]; return mq_receive(mq, m, sizeof m, NULL))
CALL(mq_timedreceive, char m[8]; struct timespec t = later();
     return mq_timedreceive(mq, m, sizeof m, NULL, &t))
CALL(mq_send, return mq_send(mq, "y", 1, 0))
CALL(mq_timedsend, struct timespec t = later(); return mq_timedsend(mq, "y", 1, 0, &t))
CALL(sem_wait, return sem_wait(&sem))
CALL(sem_timedwait, struct timespec t = later(); return sem_timedwait(&sem, &t))
CALL(sem_clockwait, struct timespec t = after_ms(CLOCK_MONOTONIC, 20000);
     return sem_clockwait(&sem, CLOCK_MONOTONIC, &t))
CALL(join, int r = pthread_join(other, NULL); joined = r == 0; return r)
CALL(timedjoin, struct timespec t = later(); int r = pthread_timedjoin_np(other, NULL, &t);
     joined = r == 0; return r)
CALL(sigwait, sigset_t s = usr2(); int sig; return sigwait(&s, &sig))
CALL(sigwaitinfo, sigset_t s = usr2(); return sigwaitinfo(&s, NULL) > 0)
CALL(sigtimedwait, sigset_t s = usr2(); return sigtimedwait(&s, NULL, &twenty) > 0)
CALL(sigsuspend, sigset_t s; sigfillset(&s); return sigsuspend(&s))
CALL(pause, return pause())
CALL(nanosleep, return nanosleep(&twenty, NULL))
CALL(clock_nanosleep, return clock_nanosleep(CLOCK_MONOTONIC, 0, &twenty, NULL))
CALL(sleep, return (long)sleep(20))
CALL(usleep, return usleep(20000000))
CALL(thrd_sleep, return thrd_sleep(&twenty, NULL))
CALL(
    testcancel, for (int i = 0; i < 20000; i++) {
        pthread_testcancel();
        usleep(1000);
    } return 0)
CALL(system, return system("sleep 20"))
CALL(getc, return getc(stream))
CALL(getwc, return (long)getwc(stream))
CALL(fgetws, wchar_t w[4]; return fgetws(w, 4, stream) != NULL)

static void unlocks(void *arg)
{
    EQ(pthread_mutex_unlock((pthread_mutex_t *)arg), 0);
}

static long c_cond_wait(void)
{
    int r;

    pthread_mutex_lock(&lock);
    pthread_cleanup_push(unlocks, &lock);
    r = pthread_cond_wait(&cond, &lock);
    pthread_cleanup_pop(1);
    return r;
}

static long c_cond_timedwait(void)
{
    struct timespec t = later();
    int r;

    pthread_mutex_lock(&lock);
    pthread_cleanup_push(unlocks, &lock);
    r = pthread_cond_timedwait(&cond, &lock, &t);
    pthread_cleanup_pop(1);
    return r;
}

static void unlocks_mtx(void *arg)
{
    EQ(mtx_unlock((mtx_t *)arg), thrd_success);
}

static long c_cnd_wait(void)
{
    int r;

    mtx_lock(&mtx);
    pthread_cleanup_push(unlocks_mtx, &mtx);
    r = cnd_wait(&cnd, &mtx);
    pthread_cleanup_pop(1);
    return r;
}

static long c_aio_suspend(void)
{
    static struct { /* the request of a wait that was cancelled lives on: never used again */
        struct aiocb cb;
        char c;
    } all[3], *r = all;
    const struct aiocb *list[1];

    while (r->cb.aio_buf)
        r++;
    list[0] = &r->cb;
    r->cb.aio_fildes = fd[0];
    r->cb.aio_buf = &r->c;
    r->cb.aio_nbytes = 1;
    r->cb.aio_sigevent.sigev_notify = SIGEV_NONE;
    EQ(aio_read(&r->cb), 0);
    return aio_suspend(list, 1, NULL);
}

struct point {
    const char *name;
    void (*make)(void);
    long (*call)(void);
    void (*let)(void); /* before the call: it need not wait.  NULL: it always waits */
    void (*drop)(void);
    int never_waits;
};

static const struct point points[] = {
    {"read", make_pipe, c_read, put, drop, 0},
    {"readv", make_pair, c_readv, put, drop, 0},
    {"recv", make_pair, c_recv, put, drop, 0},
    {"recvfrom", make_pair, c_recvfrom, put, drop, 0},
    {"recvmsg", make_pair, c_recvmsg, put, drop, 0},
    {"write", make_full_pipe, c_write, drain, drop, 0},
    {"writev", make_full_pair, c_writev, drain, drop, 0},
    {"send", make_full_pair, c_send, drain, drop, 0},
    {"sendto", make_full_pair, c_sendto, drain, drop, 0},
    {"sendmsg", make_full_pair, c_sendmsg, drain, drop, 0},
    {"accept", make_listener, c_accept, connect_to, drop, 0},
    {"connect", make_full_backlog, c_connect, accept_one, drop_backlog, 0},
    {"poll", make_pipe, c_poll, put, drop, 0},
    {"ppoll", make_pipe, c_ppoll, put, drop, 0},
    {"select", make_pipe, c_select, put, drop, 0},
    {"pselect", make_pipe, c_pselect, put, drop, 0},
    {"open of a FIFO", make_fifo, c_open, open_fifo, drop_fifo, 0},
    {"openat", make_file, c_openat, nothing, drop_file, 1},
    {"creat", make_file, c_creat, nothing, drop_file, 1},
    {"close", make_file, c_close, nothing, drop_file, 1},
    {"fsync", make_file, c_fsync, nothing, drop_file, 1},
    {"fdatasync", make_file, c_fdatasync, nothing, drop_file, 1},
    {"pread", make_file, c_pread, nothing, drop_file, 1},
    {"pwrite", make_file, c_pwrite, nothing, drop_file, 1},
    {"msync", nothing, c_msync, nothing, nothing, 1},
    {"fcntl F_SETLKW", make_record_lock, c_setlkw, wait_record_lock, drop_record_lock, 0},
    {"lockf", make_record_lock, c_lockf, wait_record_lock, drop_record_lock, 0},
    {"waitpid", make_child, c_waitpid, end_child, drop_child, 0},
    {"wait", make_child, c_wait, end_child, drop_child, 0},
    {"waitid", make_child, c_waitid, end_child, drop_child, 0},
    {"msgrcv", make_queue, c_msgrcv, put_message, drop_queue, 0},
    {"msgsnd", make_full_queue, c_msgsnd, take_message, drop_queue, 0},
    {"mq_receive", make_mq, c_mq_receive, put_mq, drop_mq, 0},
    {"mq_timedreceive", make_mq, c_mq_timedreceive, put_mq, drop_mq, 0},
    {"mq_send", make_full_mq, c_mq_send, take_mq, drop_mq, 0},
    {"mq_timedsend", make_full_mq, c_mq_timedsend, take_mq, drop_mq, 0},
    {"sem_wait", make_sem, c_sem_wait, post, nothing, 0},
    {"sem_timedwait", make_sem, c_sem_timedwait, post, nothing, 0},
    {"sem_clockwait", make_sem, c_sem_clockwait, post, nothing, 0},
    {"pthread_join", make_thread, c_join, end_thread, drop_thread, 0},
    {"pthread_timedjoin_np", make_thread, c_timedjoin, end_thread, drop_thread, 0},
    {"sigwait", block_usr2, c_sigwait, send_usr2, take_usr2, 0},
    {"sigwaitinfo", block_usr2, c_sigwaitinfo, send_usr2, take_usr2, 0},
    {"sigtimedwait", block_usr2, c_sigtimedwait, send_usr2, take_usr2, 0},
    {"sigsuspend", nothing, c_sigsuspend, NULL, nothing, 0},
    {"pause", nothing, c_pause, NULL, nothing, 0},
    {"nanosleep", nothing, c_nanosleep, NULL, nothing, 0},
    {"clock_nanosleep", nothing, c_clock_nanosleep, NULL, nothing, 0},
    {"sleep", nothing, c_sleep, NULL, nothing, 0},
    {"usleep", nothing, c_usleep, NULL, nothing, 0},
    {"thrd_sleep", nothing, c_thrd_sleep, NULL, nothing, 0},
    {"pthread_cond_wait", make_cond, c_cond_wait, NULL, nothing, 0},
    {"pthread_cond_timedwait", make_cond, c_cond_timedwait, NULL, nothing, 0},
    {"cnd_wait", make_cond, c_cnd_wait, NULL, nothing, 0},
    {"pthread_testcancel", nothing, c_testcancel, NULL, nothing, 0},
    {"system", nothing, c_system, NULL, nothing, 0},
    {"aio_suspend", make_pipe, c_aio_suspend, NULL, put, 0},
    {"getc", open_stream, c_getc, put, close_stream, 0},
    {"getwc", open_stream, c_getwc, put, close_stream, 0},
    {"fgetws", open_stream, c_fgetws, put, close_stream, 0},
};

enum how { WAITING, BEFORE, OFF };

static int cleaned, go_on;
static enum how how;
static long result;

static void cleans(void *arg)
{
    (void)arg;
    bump(&cleaned);
}

static void *runs(void *arg)
{
    const struct point *p = (const struct point *)arg;

    pthread_cleanup_push(cleans, NULL);
    if (how == WAITING) {
        bump(&ready);
        result = p->call();
    } else {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        bump(&ready);
        await(&go_on, 1);
        if (how == BEFORE)
            pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        result = p->call();
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    }
    pthread_cleanup_pop(0);
    return &result;
}

static void try_point(const struct point *p, enum how h)
{
    pthread_t t;
    void *r;

    how = h;
    ready = go_on = cleaned = 0;
    result = -77;
    p->make();
    if (h != WAITING && p->let)
        p->let();
    t = go(runs, (void *)p);
    await(&ready, 1);
    if (h == WAITING)
        pause_ms(30);
    EQ(pthread_cancel(t), 0);
    bump(&go_on);
    r = reap(t);
    printf("%s %s: ", p->name, h == WAITING ? "waiting" : h == BEFORE ? "before" : "off");
    if (r == PTHREAD_CANCELED) {
        printf("cancelled\n");
        EQ(cleaned, 1);
    } else {
        printf("%ld\n", result);
        EQ(cleaned, 0);
    }
    fflush(stdout);
    if (p->call == c_open && h != WAITING)
        drop_open_fifo();
    else
        p->drop();
}

/* ---- none of these ---- */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t bar;

static void *locks(void *arg)
{
    bump(&ready);
    pthread_mutex_lock(&held);
    pthread_rwlock_rdlock(&rw);
    pthread_barrier_wait(&bar);
    pthread_rwlock_unlock(&rw);
    pthread_mutex_unlock(&held);
    free(malloc(100));
    sched_yield();
    result = 5;
    pthread_testcancel();
    return arg;
}

static void no_points(void)
{
    pthread_t t;

    ready = 0;
    result = 0;
    pthread_barrier_init(&bar, NULL, 2);
    pthread_mutex_lock(&held);
    pthread_rwlock_wrlock(&rw);
    t = go(locks, NULL);
    await(&ready, 1);
    pause_ms(20);
    pthread_cancel(t);
    pause_ms(20);
    pthread_mutex_unlock(&held);
    pause_ms(20);
    pthread_rwlock_unlock(&rw);
    pause_ms(20);
    EQ(result, 0);
    pthread_barrier_wait(&bar);
    CHECK(reap(t) == PTHREAD_CANCELED);
    EQ(result, 5);
    EQ(pthread_mutex_trylock(&held), 0);
    EQ(pthread_rwlock_trywrlock(&rw), 0);
}

int main(void)
{
    const char *only = getenv("TAP");

    for (unsigned i = 0; i < sizeof points / sizeof points[0]; i++) {
        if (only && strcmp(only, points[i].name) != 0)
            continue;
        if (!points[i].never_waits)
            try_point(&points[i], WAITING);
        try_point(&points[i], BEFORE);
        if (points[i].let)
            try_point(&points[i], OFF);
    }
    CASE(no_points);
    return 0;
}
