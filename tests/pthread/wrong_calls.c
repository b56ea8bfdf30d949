/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls with arguments that are wrong: each says the same error as plain, at
 * once, and leaves what it was given usable.  In the first thread before there
 * are others, in another, and after it. */
#include "tap.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>

/* The first time each result is printed, an error number or -1 and errno; later
 * it must be the same again. */
static struct {
    long result;
    int error;
} first[400];
static int at, recorded;

static void compare(const char *call, long result, int error)
{
    error = result == -1 ? error : 0;
    CHECK(at < 400);
    if (at >= recorded) {
        first[at].result = result;
        first[at].error = error;
        recorded = at + 1;
        printf("%s: %ld %s\n", call, result, error ? strerrorname_np(error) : "");
    } else if (first[at].result != result || first[at].error != error) {
        fprintf(stderr, "%s\n", call);
        EQ(result, first[at].result);
        EQ(error, first[at].error);
    }
    at++;
}

#define E(call)                                                                                    \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long r_ = (long)(call);                                                                    \
        compare(#call, r_, errno);                                                                 \
    } while (0)

static const struct timespec bad_ns = {0, 1000000000}, neg_ns = {0, -1}, neg = {-1, 0},
                             past = {1, 0};
static void *volatile nowhere = (void *)8; /* volatile: not for the compiler to warn of */
static volatile int minus = -1, many = 5000;
static volatile nfds_t one = 1, lots = 1u << 30;
static int closed = 900;

static void mutexes(void)
{
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER, r = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
                    e = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
    pthread_mutexattr_t a;
    int x;

    E(pthread_mutexattr_init(&a));
    E(pthread_mutexattr_settype(&a, 77));
    E(pthread_mutexattr_setpshared(&a, 77));
    E(pthread_mutexattr_setrobust(&a, 77));
    E(pthread_mutexattr_setprotocol(&a, 77));
    E(pthread_mutexattr_setprioceiling(&a, 1000));
    E(pthread_mutex_getprioceiling(&m, &x));
    E(pthread_mutex_setprioceiling(&m, 5, &x));
    E(pthread_mutex_consistent(&m));
    E(pthread_mutex_unlock(&e));
    E(pthread_mutex_unlock(&r));
    E(pthread_mutex_lock(&e));
    E(pthread_mutex_lock(&e));
    E(pthread_mutex_trylock(&e));
    E(pthread_mutex_timedlock(&e, &bad_ns));
    E(pthread_mutex_destroy(&e));
    E(pthread_mutex_unlock(&e));
    E(pthread_mutex_lock(&m));
    E(pthread_mutex_timedlock(&m, &bad_ns));
    E(pthread_mutex_timedlock(&m, &neg_ns));
    E(pthread_mutex_timedlock(&m, &neg));
    E(pthread_mutex_timedlock(&m, &past));
    E(pthread_mutex_clocklock(&m, CLOCK_PROCESS_CPUTIME_ID, &past));
    E(pthread_mutex_clocklock(&m, 4711, &past));
    E(pthread_mutex_destroy(&m));
    E(pthread_mutex_unlock(&m));
    E(pthread_mutex_timedlock(&m, &bad_ns)); /* free: not looked at */
    E(pthread_mutex_unlock(&m));
    E(pthread_mutex_destroy(&m));
    E(pthread_mutex_lock(&m)); /* destroyed */
}

static void conditions(void)
{
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER, e = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
    pthread_cond_t c = PTHREAD_COND_INITIALIZER;
    pthread_condattr_t a;

    E(pthread_condattr_init(&a));
    E(pthread_condattr_setclock(&a, CLOCK_PROCESS_CPUTIME_ID));
    E(pthread_condattr_setclock(&a, 4711));
    E(pthread_condattr_setpshared(&a, 77));
    E(pthread_cond_wait(&c, &e));
    E(pthread_mutex_lock(&m));
    E(pthread_cond_timedwait(&c, &m, &bad_ns));
    E(pthread_cond_timedwait(&c, &m, &neg_ns));
    E(pthread_cond_timedwait(&c, &m, &neg));
    E(pthread_cond_timedwait(&c, &m, &past));
    E(pthread_cond_clockwait(&c, &m, 4711, &past));
    E(pthread_mutex_unlock(&m));
    E(pthread_cond_destroy(&c));
}

static void other_objects(void)
{
    pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
    pthread_barrier_t b;
    sem_t s;

    E(pthread_rwlock_wrlock(&rw));
    E(pthread_rwlock_wrlock(&rw));
    E(pthread_rwlock_rdlock(&rw));
    E(pthread_rwlock_tryrdlock(&rw));
    E(pthread_rwlock_timedrdlock(&rw, &bad_ns));
    E(pthread_rwlock_timedwrlock(&rw, &neg_ns));
    E(pthread_rwlock_clockwrlock(&rw, 4711, &past));
    E(pthread_rwlock_unlock(&rw));
    E(pthread_rwlock_destroy(&rw));
    E(pthread_barrier_init(&b, NULL, 0));
    E(pthread_barrier_init(&b, NULL, 1u << 31));
    E(pthread_barrier_init(&b, NULL, 1));
    E(pthread_barrier_wait(&b));
    E(pthread_barrier_destroy(&b));
    E(sem_init(&s, 0, 1u << 31));
    E(sem_init(&s, 0, SEM_VALUE_MAX));
    E(sem_post(&s));
    E(sem_destroy(&s));
    E(sem_init(&s, 0, 0));
    E(sem_trywait(&s));
    E(sem_timedwait(&s, &bad_ns));
    E(sem_timedwait(&s, &neg));
    E(sem_timedwait(&s, &past));
    E(sem_clockwait(&s, 4711, &past));
    E(sem_destroy(&s));
    E(sem_open("/no/such/name", 0) == SEM_FAILED);
    E(pthread_spin_init((pthread_spinlock_t *)&s, 0));
    E(pthread_spin_lock((pthread_spinlock_t *)&s));
    E(pthread_spin_trylock((pthread_spinlock_t *)&s));
}

static void *ends(void *arg)
{
    return arg;
}

static void threads(void)
{
    pthread_t t, self = pthread_self();
    pthread_attr_t a;
    struct sched_param sp = {.sched_priority = 1000};
    char name[64] = "a name that is longer than the kernel has room for", small[4];
    void *r;
    int x;

    E(pthread_join(self, &r));
    E(pthread_attr_init(&a));
    E(pthread_attr_setstacksize(&a, 1000));
    E(pthread_attr_setdetachstate(&a, 77));
    E(pthread_attr_setinheritsched(&a, 77));
    E(pthread_attr_setschedpolicy(&a, 77));
    E(pthread_attr_setscope(&a, PTHREAD_SCOPE_PROCESS));
    E(pthread_attr_setschedparam(&a, &sp));
    E(pthread_attr_setstack(&a, nowhere, 1000));
    E(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED));
    E(pthread_create(&t, NULL, ends, NULL));
    E(pthread_detach(t));
    E(pthread_create(&t, NULL, ends, NULL));
    E(pthread_clockjoin_np(t, &r, 4711, &past));
    E(pthread_kill(self, 99));
    E(pthread_kill(self, -1));
    E(pthread_sigqueue(self, 99, (union sigval){0}));
    E(pthread_setname_np(self, name));
    E(pthread_join(t, &r));
    E(pthread_getname_np(self, small, sizeof small));
    E(pthread_setschedparam(self, 77, &sp));
    E(pthread_setschedparam(self, SCHED_OTHER, &sp));
    E(pthread_setschedprio(self, 1000));
    E(pthread_setaffinity_np(self, 0, (cpu_set_t *)name));
    E(pthread_getaffinity_np(self, 1, (cpu_set_t *)name));
    E(pthread_setcancelstate(77, &x));
    E(pthread_setcanceltype(77, &x));
    E(pthread_setspecific(5000, name));
    E(pthread_getspecific(5000) == NULL);
    E(pthread_key_delete(5000));
    E(pthread_setconcurrency(-1));
    E(thrd_join(thrd_current(), &x) == thrd_error);
}

static void signals(void)
{
    struct sigaction sa = {.sa_handler = SIG_IGN};
    stack_t ss = {.ss_sp = &sa, .ss_size = 100};
    struct sigevent ev = {.sigev_notify = 77};
    sigset_t set;
    timer_t tm;
    siginfo_t si;

    sigemptyset(&set);
    E(sigaction(SIGKILL, &sa, NULL));
    E(sigaction(0, &sa, NULL));
    E(sigaction(65, &sa, NULL));
    E(sigaction(32, &sa, NULL));
    E(signal(99, SIG_IGN) == SIG_ERR);
    E(raise(99));
    E(kill(getpid(), -1));
    E(kill(1 << 29, 0));
    E(tgkill(getpid(), 1 << 29, 0));
    E(tgkill(getpid(), -1, 0));
    E(sigqueue(getpid(), 99, (union sigval){0}));
    E(sigaddset(&set, 99));
    E(pthread_sigmask(77, &set, NULL));
    E(sigprocmask(77, &set, NULL));
    E(sigtimedwait(&set, &si, &bad_ns));
    E(sigtimedwait(&set, &si, &(struct timespec){0, 1000}));
    E(sigaltstack(&ss, NULL));
    ss.ss_flags = 77;
    E(sigaltstack(&ss, NULL));
    E(timer_create(4711, NULL, &tm));
    E(timer_create(CLOCK_MONOTONIC, &ev, &tm));
    E(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 5));
    E(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 5));
}

static void time_and_files(void)
{
    struct timespec ts;
    struct epoll_event ev;
    struct iovec v = {nowhere, 1};
    struct pollfd p = {.fd = closed, .events = POLLIN};
    fd_set set;
    int fd[2], word = 0;
    char c;

    FD_ZERO(&set);
    E(nanosleep(&bad_ns, &ts));
    E(nanosleep(&neg, &ts));
    E(nanosleep((struct timespec *)nowhere, NULL));
    E(clock_nanosleep(4711, 0, &past, NULL));
    E(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &past, NULL));
    E(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &bad_ns, NULL));
    E(clock_gettime(4711, &ts));
    E(usleep(0));
    E(read(closed, &c, 1));
    E(write(closed, &c, 1));
    E(close(closed));
    E(dup2(closed, closed + 1));
    E(dup3(0, 0, 0));
    E(fcntl(closed, F_GETFL));
    E(pipe2(fd, 0x40000000));
    E(pipe(fd));
    E(read(fd[1], &c, 1));
    E(write(fd[0], &c, 1));
    E(write(fd[1], nowhere, 1));
    E(readv(fd[0], &v, minus));
    E(writev(fd[1], &v, many));
    E(writev(fd[1], &v, 1));
    E(pread(fd[0], &c, 1, 0));
    E(recv(fd[0], &c, 1, 0));
    E(accept(fd[0], NULL, NULL));
    E(connect(closed, NULL, 0));
    E(socket(4711, SOCK_STREAM, 0));
    E(poll(&p, 1, 0));
    E(p.revents);
    E(poll((struct pollfd *)nowhere, one, 0));
    E(poll(&p, lots, 0));
    E(ppoll(&p, 1, &bad_ns, NULL));
    E(select(-1, NULL, NULL, NULL, NULL));
    FD_SET(closed, &set);
    E(select(closed + 1, &set, NULL, NULL, NULL));
    E(select(0, NULL, NULL, NULL, &(struct timeval){-1, 0}));
    E(pselect(0, NULL, NULL, NULL, &neg, NULL));
    E(epoll_create1(77));
    E(epoll_create(0));
    E(epoll_wait(closed, &ev, 1, 0));
    E(epoll_wait(fd[0], &ev, 1, 0));
    E(epoll_wait(fd[0], &ev, 0, 0));
    E(epoll_ctl(fd[0], EPOLL_CTL_ADD, fd[1], &ev));
    E(waitpid(1 << 29, NULL, 0));
    E(waitpid(-1, NULL, 0x70000000));
    E(mq_open("no-slash", O_RDONLY));
    E(mq_receive(closed, &c, 1, NULL));
    E(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0));
    E(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0));
    E(syscall(SYS_futex, nowhere, FUTEX_WAIT, 0, NULL, NULL, 0));
    E(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &bad_ns, NULL, 0));
    E(syscall(SYS_futex, &word, 100, 0, NULL, NULL, 0));
    E(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0));
    E(syscall(100000));
    close(fd[0]);
    close(fd[1]);
}

static void all(void)
{
    at = 0;
    mutexes();
    conditions();
    other_objects();
    signals();
    time_and_files();
    threads();
}

static void *in_another(void *arg)
{
    all();
    return arg;
}

static void in_a_thread(void)
{
    reap(go(in_another, NULL));
}

int main(void)
{
    CASE(all); /* but for the last of it there is one thread */
    CASE(in_a_thread);
    CASE(all);
    return 0;
}
