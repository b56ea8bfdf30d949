/* SPDX-License-Identifier: BSD-2-Clause */
/* What a handler is told (siginfo), for each way to send; on which thread it runs; what sigaction
 * gives back; flags: SA_RESETHAND, SA_NODEFER, sa_mask, SA_NOCLDWAIT. */
#include "tap.h"
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static int count;
static volatile int depth, deepest; /* raise() is said not to call back */
static siginfo_t got;
static pthread_t ran_on;
static pid_t ran_tid;
static sigset_t mask_inside;

static void handler(int sig, siginfo_t *si, void *uc)
{
    CHECK(uc != NULL);
    EQ(si->si_signo, sig);
    got = *si;
    ran_on = pthread_self();
    ran_tid = gettid();
    pthread_sigmask(SIG_SETMASK, NULL, &mask_inside);
    bump(&count);
}

static void handle(int sig, int flags)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

    sigemptyset(&sa.sa_mask);
    EQ(sigaction(sig, &sa, NULL), 0);
    __atomic_store_n(&count, 0, __ATOMIC_SEQ_CST);
    memset(&got, 0, sizeof got);
}

static int go_on;

static void *waits(void *arg)
{
    *(pid_t *)arg = gettid();
    bump(&go_on);
    while (__atomic_load_n(&go_on, __ATOMIC_SEQ_CST) != 2)
        pause_ms(1);
    return NULL;
}

static void sent_to_a_thread(void)
{
    pid_t tid = 0;
    union sigval v = {.sival_int = 4711};

    go_on = 0;
    pthread_t t = go(waits, &tid);

    await(&go_on, 1);
    handle(SIGUSR1, 0);
    EQ(pthread_kill(t, SIGUSR1), 0);
    await(&count, 1);
    EQ(got.si_code, SI_TKILL);
    EQ(got.si_pid, getpid());
    EQ(got.si_uid, getuid());
    CHECK(pthread_equal(ran_on, t));
    EQ(ran_tid, tid);
    EQ(tgkill(getpid(), tid, SIGUSR1), 0);
    await(&count, 2);
    EQ(got.si_code, SI_TKILL);
    EQ(ran_tid, tid);
    EQ(syscall(SYS_tgkill, getpid(), tid, SIGUSR1), 0);
    await(&count, 3);
    EQ(got.si_code, SI_TKILL);
    EQ(ran_tid, tid);
    EQ(syscall(SYS_tkill, tid, SIGUSR1), 0);
    await(&count, 4);
    EQ(ran_tid, tid);
    handle(SIGRTMIN + 3, 0);
    EQ(pthread_sigqueue(t, SIGRTMIN + 3, v), 0);
    await(&count, 1);
    EQ(got.si_code, SI_QUEUE);
    EQ(got.si_value.sival_int, 4711);
    EQ(got.si_pid, getpid());
    CHECK(pthread_equal(ran_on, t));
    FAILS(tgkill(getpid(), tid, 65), EINVAL);
    FAILS(tgkill(getpid(), 0x3ffffff, SIGUSR1), ESRCH);
    EQ(tgkill(getpid(), tid, 0), 0);
    EQ(pthread_kill(t, 0), 0);
    EQ(pthread_kill(t, 65), EINVAL);
    EQ(pthread_kill(t, -1), EINVAL);
    EQ(pthread_kill(t, 32), EINVAL);
    bump(&go_on);
    reap(t);
}

static void sent_to_the_process(void)
{
    union sigval v = {.sival_ptr = &count};

    handle(SIGUSR2, 0);
    EQ(kill(getpid(), SIGUSR2), 0);
    EQ(count, 1);
    EQ(got.si_code, SI_USER);
    EQ(got.si_pid, getpid());
    EQ(got.si_uid, getuid());
    handle(SIGUSR2, 0);
    EQ(sigqueue(getpid(), SIGUSR2, v), 0);
    EQ(count, 1);
    EQ(got.si_code, SI_QUEUE);
    CHECK(got.si_value.sival_ptr == &count);
    EQ(got.si_pid, getpid());
    handle(SIGUSR2, 0);
    EQ(raise(SIGUSR2), 0);
    EQ(count, 1);
    EQ(got.si_code, SI_TKILL);
    EQ(got.si_pid, getpid());
    CHECK(pthread_equal(ran_on, pthread_self()));
    pid_t pid = fork();
    if (pid == 0) {
        kill(getppid(), SIGUSR2);
        _exit(7);
    }
    await(&count, 2);
    EQ(got.si_code, SI_USER);
    EQ(got.si_pid, pid);
    EQ(waitpid(pid, NULL, 0), pid);
}

static void children(void)
{
    int st;

    handle(SIGCHLD, SA_RESTART);
    pid_t pid = fork();
    if (pid == 0)
        _exit(42);
    await(&count, 1);
    EQ(got.si_code, CLD_EXITED);
    EQ(got.si_pid, pid);
    EQ(got.si_status, 42);
    EQ(waitpid(pid, &st, 0), pid);
    handle(SIGCHLD, SA_RESTART);
    pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    kill(pid, SIGTERM);
    await(&count, 1);
    EQ(got.si_code, CLD_KILLED);
    EQ(got.si_status, SIGTERM);
    EQ(waitpid(pid, &st, 0), pid);
    handle(SIGCHLD, SA_NOCLDWAIT);
    pid = fork();
    if (pid == 0)
        _exit(0);
    while (waitpid(pid, &st, 0) == -1 && errno == EINTR) /* by its own SIGCHLD, perhaps */
        ;
    EQ(errno, ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

static void alarms(void)
{
    struct itimerval it = {.it_value = {.tv_usec = 20000}}, left;

    handle(SIGALRM, 0);
    EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
    await(&count, 1);
    EQ(got.si_code, SI_KERNEL);
    EQ(getitimer(ITIMER_REAL, &left), 0);
    EQ(left.it_value.tv_usec, 0);
    alarm(100);
    CHECK(alarm(0) >= 99);
}

static void none(int sig)
{
    (void)sig;
}

static void read_back(void)
{
    struct sigaction sa = {.sa_handler = none, .sa_flags = SA_RESTART | SA_NODEFER | SA_ONSTACK},
                     old;

    sigfillset(&sa.sa_mask);
    EQ(sigaction(SIGHUP, &sa, NULL), 0);
    EQ(sigaction(SIGHUP, NULL, &old), 0);
    CHECK(old.sa_handler == none);
    EQ(old.sa_flags & (SA_RESTART | SA_NODEFER | SA_ONSTACK | SA_SIGINFO | SA_RESETHAND),
       SA_RESTART | SA_NODEFER | SA_ONSTACK);
    CHECK(sigismember(&old.sa_mask, SIGTERM));
    CHECK(!sigismember(&old.sa_mask, SIGKILL));
    CHECK(!sigismember(&old.sa_mask, SIGSTOP));
    CHECK(signal(SIGHUP, SIG_IGN) == none);
    CHECK(signal(SIGHUP, SIG_DFL) == SIG_IGN);
    EQ(sigaction(SIGHUP, NULL, &old), 0);
    EQ(old.sa_flags & SA_RESTART, SA_RESTART);
    FAILS(sigaction(SIGKILL, &sa, NULL), EINVAL);
    FAILS(sigaction(SIGSTOP, &sa, NULL), EINVAL);
    EQ(sigaction(SIGKILL, NULL, &old), 0);
    CHECK(old.sa_handler == SIG_DFL);
    FAILS(sigaction(0, NULL, &old), EINVAL);
    FAILS(sigaction(65, NULL, &old), EINVAL);
    FAILS(sigaction(32, NULL, &old), EINVAL);
    CHECK(signal(SIGKILL, none) == SIG_ERR);
    EQ(errno, EINVAL);
}

static void once_only(void)
{
    struct sigaction old;

    handle(SIGUSR1, SA_RESETHAND);
    raise(SIGUSR1);
    EQ(count, 1);
    EQ(sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_handler == SIG_DFL);
    EQ(old.sa_flags & (SA_RESETHAND | SA_SIGINFO), SA_RESETHAND | SA_SIGINFO);
}

static void nests(int sig)
{
    depth++;
    deepest = depth > deepest ? depth : deepest;
    bump(&count);
    if (__atomic_load_n(&count, __ATOMIC_SEQ_CST) < 5)
        raise(sig);
    depth--;
}

static void deferred_or_not(void)
{
    struct sigaction sa = {.sa_handler = nests};

    count = deepest = 0;
    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    raise(SIGUSR1);
    EQ(count, 5);
    EQ(deepest, 1);
    sa.sa_flags = SA_NODEFER;
    count = deepest = 0;
    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    raise(SIGUSR1);
    EQ(count, 5);
    EQ(deepest, 5);
}

static void mask_in_the_handler(void)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigset_t now;

    sigemptyset(&sa.sa_mask);
    sigaddset(&sa.sa_mask, SIGUSR2);
    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    raise(SIGUSR1);
    CHECK(sigismember(&mask_inside, SIGUSR1));
    CHECK(sigismember(&mask_inside, SIGUSR2));
    CHECK(!sigismember(&mask_inside, SIGTERM));
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    CHECK(!sigismember(&now, SIGUSR1) && !sigismember(&now, SIGUSR2));
    sa.sa_flags |= SA_NODEFER;
    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    raise(SIGUSR1);
    CHECK(!sigismember(&mask_inside, SIGUSR1));
    CHECK(sigismember(&mask_inside, SIGUSR2));
}

/* A handler that changes the mask in its context. */
static void blocks_for_good(int sig, siginfo_t *si, void *ucp)
{
    (void)sig, (void)si;
    sigaddset(&((ucontext_t *)ucp)->uc_sigmask, SIGTERM);
}

static void mask_from_the_context(void)
{
    struct sigaction sa = {.sa_sigaction = blocks_for_good, .sa_flags = SA_SIGINFO};
    sigset_t now;

    EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    raise(SIGUSR1);
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    CHECK(sigismember(&now, SIGTERM));
    sigemptyset(&now);
    pthread_sigmask(SIG_SETMASK, &now, NULL);
}

static void *all_again(void *arg)
{
    sent_to_a_thread();
    once_only();
    deferred_or_not();
    mask_in_the_handler();
    mask_from_the_context();
    return arg;
}

static void on_a_thread(void)
{
    reap(go(all_again, NULL));
}

static void *nothing(void *arg)
{
    return arg;
}

int main(void)
{
    reap(go(nothing, NULL));
    CASE(sent_to_a_thread);
    CASE(sent_to_the_process);
    CASE(children);
    CASE(alarms);
    CASE(read_back);
    CASE(once_only);
    CASE(deferred_or_not);
    CASE(mask_in_the_handler);
    CASE(mask_from_the_context);
    CASE(on_a_thread);
    return 0;
}
