/* SPDX-License-Identifier: BSD-2-Clause */
/* Every call that signal(7) names, interrupted by a handler with and without SA_RESTART while a
 * thread waits in it: what it returns is printed, so the plain run is the judge.  A call that goes
 * on is then given what it waits for. */
#include "waits.h"
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>

static int ready, over, handled, id, lock_fd, child_go[2];
static pid_t child;
static sem_t sem;
static int word;
static char fifo[64];
static pthread_t victim;

static void handler(int sig)
{
    (void)sig;
    bump(&handled);
}

/* ---- the calls ---- */

static char byte;

static long c_read(void)
{
    return read(fd[0], &byte, 1);
}

static long c_readv(void)
{
    struct iovec v = {&byte, 1};

    return readv(fd[0], &v, 1);
}

static long c_raw_read(void)
{
    return syscall(SYS_read, fd[0], &byte, 1);
}

static long c_recv(void)
{
    return recv(fd[0], &byte, 1, 0);
}

static long c_recvfrom(void)
{
    return recvfrom(fd[0], &byte, 1, 0, NULL, NULL);
}

static long c_recvmsg(void)
{
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    return recvmsg(fd[0], &m, 0);
}

static long c_recvmmsg(void)
{
    struct iovec v = {&byte, 1};
    struct mmsghdr m = {.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}};

    return recvmmsg(fd[0], &m, 1, 0, NULL);
}

static void put_byte(void)
{
    EQ(write(fd[1], "x", 1), 1);
}

static void make_datagrams(void)
{
    EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
}

static void make_timed_pair(void)
{
    struct timeval t = {20, 0};

    make_pair();
    EQ(setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), 0);
    EQ(setsockopt(fd[1], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t), 0);
}

static void make_full_timed_pair(void)
{
    make_timed_pair();
    fill();
}

static long c_write(void)
{
    return write(fd[1], "y", 1);
}

static long c_send(void)
{
    return send(fd[1], "y", 1, 0);
}

static long c_sendmsg(void)
{
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    return sendmsg(fd[1], &m, 0);
}

static void make_timed_listener(void)
{
    struct timeval t = {20, 0};

    make_listener();
    EQ(setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), 0);
}

static long c_accept(void)
{
    return accept(fd[0], NULL, NULL) >= 0 ? 1 : -1;
}

static long c_connect(void)
{
    return connect(fd[1], (struct sockaddr *)&un_at, sizeof un_at);
}

static long c_poll(void)
{
    struct pollfd p = {.fd = fd[0], .events = POLLIN};

    return poll(&p, 1, 20000);
}

static long c_ppoll(void)
{
    struct pollfd p = {.fd = fd[0], .events = POLLIN};

    return ppoll(&p, 1, NULL, NULL);
}

static long c_raw_poll(void)
{
    struct pollfd p = {.fd = fd[0], .events = POLLIN};

    return syscall(SYS_poll, &p, 1, 20000);
}

static long c_select(void)
{
    fd_set s;

    FD_ZERO(&s);
    FD_SET(fd[0], &s);
    return select(fd[0] + 1, &s, NULL, NULL, NULL);
}

static long c_pselect(void)
{
    struct timespec t = {20, 0};
    fd_set s;

    FD_ZERO(&s);
    FD_SET(fd[0], &s);
    return pselect(fd[0] + 1, &s, NULL, NULL, &t, NULL);
}

static long in_epoll(int how)
{
    struct epoll_event e = {.events = EPOLLIN};
    struct timespec t = {20, 0};
    int ep = epoll_create1(0);
    long r;

    epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e);
    r = how == 0   ? epoll_wait(ep, &e, 1, -1)
        : how == 1 ? epoll_pwait(ep, &e, 1, 20000, NULL)
                   : epoll_pwait2(ep, &e, 1, &t, NULL);
    int err = errno;
    close(ep);
    errno = err;
    return r;
}

static long c_epoll_wait(void)
{
    return in_epoll(0);
}

static long c_epoll_pwait(void)
{
    return in_epoll(1);
}

static long c_epoll_pwait2(void)
{
    return in_epoll(2);
}

static void make_eventfd(void)
{
    fd[0] = fd[1] = eventfd(0, 0);
}

static long c_eventfd(void)
{
    uint64_t v;

    return read(fd[0], &v, 8);
}

static void put_event(void)
{
    uint64_t v = 1;

    EQ(write(fd[1], &v, 8), 8);
}

static void make_sem(void)
{
    sem_init(&sem, 0, 0);
    fd[0] = fd[1] = -1;
}

static long c_sem_wait(void)
{
    return sem_wait(&sem);
}

static long c_sem_timedwait(void)
{
    struct timespec t = after_ms(CLOCK_REALTIME, 20000);

    return sem_timedwait(&sem, &t);
}

static long c_sem_clockwait(void)
{
    struct timespec t = after_ms(CLOCK_MONOTONIC, 20000);

    return sem_clockwait(&sem, CLOCK_MONOTONIC, &t);
}

static void post(void)
{
    sem_post(&sem);
}

static void make_word(void)
{
    word = 0;
    fd[0] = fd[1] = -1;
}

static long c_futex(void)
{
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static long c_futex_shared(void)
{
    return syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static long c_futex_timed(void)
{
    struct timespec t = {20, 0};

    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
}

static void wake_word(void)
{
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &word, FUTEX_WAKE, 10, NULL, NULL, 0);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0);
}

static void make_queue(void)
{
    id = msgget(IPC_PRIVATE, 0600);
    CHECK(id >= 0);
    fd[0] = fd[1] = -1;
}

struct message {
    long type;
    char c;
};

static long c_msgrcv(void)
{
    struct message m;

    return msgrcv(id, &m, 1, 0, 0);
}

static void drop_queue(void)
{
    msgctl(id, IPC_RMID, NULL);
}

static void make_semaphores(void)
{
    id = semget(IPC_PRIVATE, 1, 0600);
    CHECK(id >= 0);
    fd[0] = fd[1] = -1;
}

static long c_semop(void)
{
    struct sembuf b = {0, -1, 0};

    return semop(id, &b, 1);
}

static long c_semtimedop(void)
{
    struct sembuf b = {0, -1, 0};
    struct timespec t = {20, 0};

    return semtimedop(id, &b, 1, &t);
}

static void drop_semaphores(void)
{
    semctl(id, 0, IPC_RMID);
}

static void make_child(void)
{
    fd[0] = fd[1] = -1;
    EQ(pipe(child_go), 0);
    child = fork();
    if (child == 0) {
        char c;

        close(child_go[1]);
        _exit(read(child_go[0], &c, 1) != 0);
    }
    close(child_go[0]);
}

static void end_child(void)
{
    close(child_go[1]);
}

static long c_waitpid(void)
{
    return waitpid(child, NULL, 0) > 0 ? 1 : -1;
}

static long c_wait4(void)
{
    return wait4(child, NULL, 0, NULL) > 0 ? 1 : -1;
}

static long c_waitid(void)
{
    siginfo_t si;

    return waitid(P_PID, (id_t)child, &si, WEXITED);
}

static void make_lock(void)
{
    char path[64];

    snprintf(path, sizeof path, "/tmp/gt-sig-%d.lock", getpid());
    fd[0] = open(path, O_RDWR | O_CREAT, 0600);
    lock_fd = open(path, O_RDWR);
    fd[1] = -1;
    unlink(path);
    EQ(flock(lock_fd, LOCK_EX), 0);
}

static long c_flock(void)
{
    return flock(fd[0], LOCK_EX);
}

static void unlock(void)
{
    close(lock_fd);
}

static void make_record_lock(void)
{
    make_lock();
    EQ(pipe(child_go), 0);
    int done[2];
    char c;

    EQ(pipe(done), 0);
    child = fork();
    if (child == 0) {
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        close(child_go[1]);
        fcntl(lock_fd, F_SETLK, &l);
        if (write(done[1], "x", 1) != 1 || read(child_go[0], &c, 1) != 0)
            _exit(1);
        _exit(0);
    }
    close(child_go[0]);
    EQ(read(done[0], &c, 1), 1);
    close(done[0]);
    close(done[1]);
}

static long c_setlkw(void)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd[0], F_SETLKW, &l);
}

static long c_lockf(void)
{
    return lockf(fd[0], F_LOCK, 0);
}

static void end_record_lock(void)
{
    close(child_go[1]);
    EQ(waitpid(child, NULL, 0), child);
    close(lock_fd);
}

static void make_fifo(void)
{
    snprintf(fifo, sizeof fifo, "/tmp/gt-sig-%d.fifo", getpid());
    EQ(mkfifo(fifo, 0600), 0);
    fd[0] = fd[1] = -1;
}

static long c_open_fifo(void)
{
    int f = open(fifo, O_RDONLY);

    return f < 0 ? -1 : close(f);
}

static void open_fifo(void)
{
    close(open(fifo, O_WRONLY));
    unlink(fifo);
}

static mqd_t mq;

static void make_mq(void)
{
    struct mq_attr a = {.mq_maxmsg = 1, .mq_msgsize = 8};
    char name[32];

    snprintf(name, sizeof name, "/gt-sig-%d", getpid());
    mq = mq_open(name, O_RDWR | O_CREAT, 0600, &a);
    CHECK(mq != (mqd_t)-1);
    mq_unlink(name);
    fd[0] = fd[1] = -1;
}

static long c_mq_receive(void)
{
    char m[8];

    return mq_receive(mq, m, sizeof m, NULL);
}

static long c_mq_timedreceive(void)
{
    struct timespec t = after_ms(CLOCK_REALTIME, 20000);
    char m[8];

    return mq_timedreceive(mq, m, sizeof m, NULL, &t);
}

static void put_message(void)
{
    mq_send(mq, "x", 1, 0);
    mq_close(mq);
}

static void nothing(void)
{
    fd[0] = fd[1] = -1;
}

static long c_nanosleep(void)
{
    struct timespec t = {20, 0}, left = {0, 0};
    long r = nanosleep(&t, &left);

    if (r == -1 && errno == EINTR) {
        CHECK(left.tv_sec < 20 && left.tv_sec >= 15);
        errno = EINTR;
    }
    return r;
}

static long c_raw_nanosleep(void)
{
    struct timespec t = {20, 0}, left = {0, 0};
    long r = syscall(SYS_nanosleep, &t, &left);

    if (r == -1 && errno == EINTR) {
        CHECK(left.tv_sec < 20 && left.tv_sec >= 15);
        errno = EINTR;
    }
    return r;
}

static long c_clock_nanosleep(void)
{
    struct timespec t = {20, 0}, left = {0, 0};

    errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &left);
    CHECK(left.tv_sec < 20 && left.tv_sec >= 15);
    return errno ? -1 : 0;
}

static long c_clock_nanosleep_abs(void)
{
    struct timespec t = after_ms(CLOCK_REALTIME, 20000);

    errno = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, &t);
    return errno ? -1 : 0;
}

static long c_sleep(void)
{
    unsigned left = sleep(20);

    CHECK(left >= 15 && left <= 20);
    errno = EINTR;
    return -1;
}

static long c_usleep(void)
{
    return usleep(20000000);
}

static long c_thrd_sleep(void)
{
    struct timespec t = {20, 0};

    errno = EINTR;
    return thrd_sleep(&t, NULL);
}

static long c_pause(void)
{
    return pause();
}

static long c_sigsuspend(void)
{
    sigset_t s;

    sigemptyset(&s);
    return sigsuspend(&s);
}

static long c_sigtimedwait(void)
{
    struct timespec t = {20, 0};
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    return sigtimedwait(&s, NULL, &t);
}

static long c_sigwaitinfo(void)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    return sigwaitinfo(&s, NULL);
}

struct call {
    const char *name;
    void (*make)(void);
    long (*call)(void);
    void (*release)(void);
};

static const struct call calls[] = {
    {"read", make_pipe, c_read, put_byte},
    {"readv", make_pipe, c_readv, put_byte},
    {"syscall(read)", make_pipe, c_raw_read, put_byte},
    {"read of a socket", make_pair, c_read, put_byte},
    {"recv", make_pair, c_recv, put_byte},
    {"recvfrom", make_datagrams, c_recvfrom, put_byte},
    {"recvmsg", make_pair, c_recvmsg, put_byte},
    {"recvmmsg", make_datagrams, c_recvmmsg, put_byte},
    {"recv with a time-out", make_timed_pair, c_recv, put_byte},
    {"read with a time-out", make_timed_pair, c_read, put_byte},
    {"write", make_full_pipe, c_write, drain},
    {"send", make_full_pair, c_send, drain},
    {"sendmsg", make_full_pair, c_sendmsg, drain},
    {"send with a time-out", make_full_timed_pair, c_send, drain},
    {"accept", make_listener, c_accept, connect_to},
    {"accept with a time-out", make_timed_listener, c_accept, connect_to},
    {"connect", make_full_backlog, c_connect, accept_one},
    {"poll", make_pipe, c_poll, put_byte},
    {"syscall(poll)", make_pipe, c_raw_poll, put_byte},
    {"ppoll", make_pipe, c_ppoll, put_byte},
    {"select", make_pipe, c_select, put_byte},
    {"pselect", make_pipe, c_pselect, put_byte},
    {"epoll_wait", make_pipe, c_epoll_wait, put_byte},
    {"epoll_pwait", make_pipe, c_epoll_pwait, put_byte},
    {"epoll_pwait2", make_pipe, c_epoll_pwait2, put_byte},
    {"eventfd", make_eventfd, c_eventfd, put_event},
    {"sem_wait", make_sem, c_sem_wait, post},
    {"sem_timedwait", make_sem, c_sem_timedwait, post},
    {"sem_clockwait", make_sem, c_sem_clockwait, post},
    {"futex", make_word, c_futex, wake_word},
    {"futex, shared", make_word, c_futex_shared, wake_word},
    {"futex, timed", make_word, c_futex_timed, wake_word},
    {"msgrcv", make_queue, c_msgrcv, drop_queue},
    {"semop", make_semaphores, c_semop, drop_semaphores},
    {"semtimedop", make_semaphores, c_semtimedop, drop_semaphores},
    {"mq_receive", make_mq, c_mq_receive, put_message},
    {"mq_timedreceive", make_mq, c_mq_timedreceive, put_message},
    {"waitpid", make_child, c_waitpid, end_child},
    {"wait4", make_child, c_wait4, end_child},
    {"waitid", make_child, c_waitid, end_child},
    {"flock", make_lock, c_flock, unlock},
    {"fcntl F_SETLKW", make_record_lock, c_setlkw, end_record_lock},
    {"lockf", make_record_lock, c_lockf, end_record_lock},
    {"open of a FIFO", make_fifo, c_open_fifo, open_fifo},
    {"nanosleep", nothing, c_nanosleep, nothing},
    {"syscall(nanosleep)", nothing, c_raw_nanosleep, nothing},
    {"clock_nanosleep", nothing, c_clock_nanosleep, nothing},
    {"clock_nanosleep absolute", nothing, c_clock_nanosleep_abs, nothing},
    {"sleep", nothing, c_sleep, nothing},
    {"usleep", nothing, c_usleep, nothing},
    {"thrd_sleep", nothing, c_thrd_sleep, nothing},
    {"pause", nothing, c_pause, nothing},
    {"sigsuspend", nothing, c_sigsuspend, nothing},
    {"sigtimedwait", nothing, c_sigtimedwait, nothing},
    {"sigwaitinfo", nothing, c_sigwaitinfo, nothing},
};

static long result;
static int error;

static void *runs(void *arg)
{
    const struct call *c = (const struct call *)arg;

    bump(&ready);
    errno = 0;
    result = c->call();
    error = result == -1 ? errno : 0;
    bump(&over);
    return NULL;
}

/* Unblocking a FIFO's open needs the other end only when the open still waits. */
static void clean_up(const struct call *c)
{
    if (c->release == open_fifo)
        unlink(fifo);
    else if (c->release == drop_queue || c->release == drop_semaphores || c->release == end_child ||
             c->release == unlock || c->release == end_record_lock)
        c->release();
    else if (c->release == put_message)
        mq_close(mq);
    if (c->release == end_child)
        waitpid(child, NULL, 0);
    if (c->release == accept_one)
        close(backlog);
}

static void try_call(const struct call *c, int flags)
{
    struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};
    const char *only = getenv("TAP");

    if (only && strcmp(only, c->name) != 0)
        return;
    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    ready = over = handled = 0;
    c->make();
    victim = go(runs, (void *)c);
    await(&ready, 1);
    pause_ms(40);
    EQ(pthread_kill(victim, SIGUSR1), 0);
    await(&handled, 1);
    pause_ms(20);
    if (__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
        clean_up(c);
    } else {
        printf("goes on, then ");
        c->release();
    }
    reap(victim);
    printf("%s%s: %ld %s\n", c->name, flags ? ", SA_RESTART" : "", result,
           error ? strerror(error) : "");
    fflush(stdout);
    close(fd[0]);
    if (fd[1] != fd[0])
        close(fd[1]);
}

int main(void)
{
    for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        try_call(&calls[i], 0);
        try_call(&calls[i], SA_RESTART);
    }
    return 0;
}
