/* SPDX-License-Identifier: BSD-2-Clause */
/* What a forked child has and has not: mask, pending signals, timers, alternate stack, identity,
 * stream buffers, locks of others; and every way in which it can end. */
#include "proc.h"
#include <fcntl.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>

static void from_main_and_thread(void *(*body)(void *))
{
    body(NULL);
    reap(go(body, NULL));
    reap(go(body, NULL));
}

static sigset_t set_of(int a, int b)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, a);
    if (b)
        sigaddset(&s, b);
    return s;
}

/* ---- signals ---- */

static int none_pending(void)
{
    sigset_t p, m;

    sigpending(&p);
    pthread_sigmask(SIG_SETMASK, NULL, &m);
    for (int sig = 1; sig < 32; sig++) {
        EQ(sigismember(&p, sig), 0);
        EQ(sigismember(&m, sig), sig == SIGUSR1 || sig == SIGUSR2);
    }
    return 3;
}

static void *pends(void *arg)
{
    sigset_t s = set_of(SIGUSR1, SIGUSR2), p;
    int sig;

    pthread_sigmask(SIG_BLOCK, &s, NULL);
    raise(SIGUSR1);
    EQ(in_child(none_pending), 3);
    sigpending(&p);
    CHECK(sigismember(&p, SIGUSR1));
    EQ(sigwait(&s, &sig), 0);
    EQ(sig, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    return arg;
}

static void pending_and_mask(void)
{
    from_main_and_thread(pends);
}

static volatile sig_atomic_t hits;
static pthread_t hit_thread;

static void on_signal(int sig)
{
    (void)sig;
    hits++;
    hit_thread = pthread_self();
}

static int takes_signals(void)
{
    sigset_t s = set_of(SIGUSR1, 0), old, p;
    struct timespec zero = {0, 0}, second = {1, 0};
    int sig;

    hits = 0;
    raise(SIGUSR1);
    EQ(hits, 1);
    kill(getpid(), SIGUSR1);
    EQ(hits, 2);
    EQ(pthread_kill(pthread_self(), SIGUSR1), 0);
    EQ(hits, 3);
    CHECK(pthread_equal(hit_thread, pthread_self()));
    pthread_sigmask(SIG_BLOCK, &s, &old);
    raise(SIGUSR1);
    EQ(hits, 3);
    sigpending(&p);
    CHECK(sigismember(&p, SIGUSR1));
    EQ(sigwait(&s, &sig), 0);
    FAILS(sigtimedwait(&s, NULL, &zero), EAGAIN);
    raise(SIGUSR1);
    FAILS(sigsuspend(&old), EINTR);
    EQ(hits, 4);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    ualarm(20000, 0);
    FAILS(nanosleep(&second, NULL), EINTR);
    EQ(hits, 5);
    return 4;
}

static void *idles(void *arg)
{
    await((int *)arg, 1);
    return NULL;
}

static int takes_signals_with_threads(void)
{
    int stop = 0;
    pthread_t t = go(idles, &stop);

    EQ(takes_signals(), 4);
    bump(&stop);
    reap(t);
    return takes_signals() + 1;
}

static void *signals_thread(void *arg)
{
    EQ(in_child(takes_signals), 4);
    EQ(in_child(takes_signals_with_threads), 5);
    return arg;
}

static void handlers_run_in_child(void)
{
    struct sigaction sa = {.sa_handler = on_signal};

    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGALRM, &sa, NULL);
    from_main_and_thread(signals_thread);
}

static char alt[65536] __attribute__((aligned(16)));
static volatile int on_alt;

static void notes_stack(int sig)
{
    char here;

    (void)sig;
    on_alt = &here > alt && &here < alt + sizeof alt;
}

static int has_alternate_stack(void)
{
    stack_t ss;

    EQ(sigaltstack(NULL, &ss), 0);
    CHECK(ss.ss_sp == alt && ss.ss_size == sizeof alt);
    on_alt = 0;
    raise(SIGUSR2);
    return on_alt ? 6 : 1;
}

static void *sets_alternate_stack(void *arg)
{
    stack_t ss = {.ss_sp = alt, .ss_size = sizeof alt}, old;

    EQ(sigaltstack(&ss, &old), 0);
    EQ(in_child(has_alternate_stack), 6);
    EQ(has_alternate_stack(), 6);
    ss.ss_flags = SS_DISABLE;
    EQ(sigaltstack(&ss, NULL), 0);
    return arg;
}

static void alternate_stack(void)
{
    struct sigaction sa = {.sa_handler = notes_stack, .sa_flags = SA_ONSTACK};

    sigaction(SIGUSR2, &sa, NULL);
    from_main_and_thread(sets_alternate_stack);
}

/* ---- timers ---- */

static timer_t timer;

static int no_timers(void)
{
    struct itimerval it;
    struct itimerspec ts;

    EQ(getitimer(ITIMER_REAL, &it), 0);
    EQ(it.it_value.tv_sec, 0);
    EQ(it.it_value.tv_usec, 0);
    EQ(alarm(0), 0);
    EQ(timer_gettime(timer, &ts), -1);
    return 7;
}

static void *sets_timers(void *arg)
{
    struct sigevent ev = {.sigev_notify = SIGEV_NONE};
    struct itimerspec ts = {.it_value = {100, 0}};

    EQ(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
    EQ(timer_settime(timer, 0, &ts, NULL), 0);
    alarm(100);
    EQ(in_child(no_timers), 7);
    CHECK(alarm(0) > 50);
    EQ(timer_delete(timer), 0);
    return arg;
}

static void timers_stay_behind(void)
{
    from_main_and_thread(sets_timers);
}

/* ---- identity ---- */

static pid_t parent;
static pthread_t forker;

static int knows_itself(void)
{
    char name[16] = "", path[64];
    pthread_attr_t a;
    void *lo;
    size_t size;
    pid_t me = getpid();

    CHECK(me != parent && getppid() == parent && gettid() == me);
    CHECK(pthread_equal(forker, pthread_self()));
    snprintf(path, sizeof path, "/proc/self/task/%d", me);
    EQ(access(path, F_OK), 0);
    EQ(pthread_setname_np(pthread_self(), "youngster"), 0);
    EQ(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK(strcmp(name, "youngster") == 0);
    EQ(pthread_getattr_np(pthread_self(), &a), 0);
    EQ(pthread_attr_getstack(&a, &lo, &size), 0);
    CHECK((char *)&a > (char *)lo && (char *)&a < (char *)lo + size);
    pthread_attr_destroy(&a);
    EQ(kill(me, 0), 0);
    EQ(pthread_kill(pthread_self(), 0), 0);
    return 8;
}

static int grandchild_knows_itself(void)
{
    parent = getpid();
    return in_child(knows_itself) == 8 ? 9 : 1;
}

static void *asks_identity(void *arg)
{
    parent = getpid();
    forker = pthread_self();
    EQ(in_child(knows_itself), 8);
    EQ(in_child(grandchild_knows_itself), 9);
    return arg;
}

static void identity(void)
{
    from_main_and_thread(asks_identity);
}

/* ---- streams ---- */

static FILE *file;

static int buffered_exit(void)
{
    fputs("child;", file);
    exit(10);
}

static void *writes_buffered(void *arg)
{
    char text[64] = "";

    file = tmpfile();
    CHECK(file);
    fputs("both;", file);
    EQ(in_child(buffered_exit), 10);
    fputs("parent;", file);
    fflush(file);
    rewind(file);
    CHECK(fgets(text, sizeof text, file));
    CHECK(strcmp(text, "both;child;both;parent;") == 0);
    fclose(file);
    return arg;
}

static void stream_buffers(void)
{
    from_main_and_thread(writes_buffered);
}

/* ---- locks of others ---- */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, mine;
static int taken, let_go;

static void *holds(void *arg)
{
    pthread_mutex_lock(&held);
    flockfile(file);
    bump(&taken);
    await(&let_go, 1);
    funlockfile(file);
    pthread_mutex_unlock(&held);
    return arg;
}

static int sees_locks(void)
{
    EQ(pthread_mutex_trylock(&held), EBUSY);
    EQ(pthread_mutex_unlock(&mine), 0);
    EQ(pthread_mutex_lock(&mine), 0);
    fputs("x", file); /* libc frees its streams' locks in the child */
    return 11;
}

static void locks_of_others(void)
{
    pthread_t t;

    file = tmpfile();
    pthread_mutex_init(&mine, NULL);
    t = go(holds, NULL);
    await(&taken, 1);
    pthread_mutex_lock(&mine);
    EQ(in_child(sees_locks), 11);
    pthread_mutex_unlock(&mine);
    bump(&let_go);
    reap(t);
    fclose(file);
}

static pthread_mutex_t *robust;

static int leaves_robust_alone(void)
{
    pthread_exit(NULL);
}

static void *holds_robust(void *arg)
{
    EQ(pthread_mutex_lock(robust), 0);
    EQ(in_child(leaves_robust_alone), 0);
    EQ(pthread_mutex_trylock(robust), EBUSY);
    EQ(pthread_mutex_unlock(robust), 0);
    EQ(pthread_mutex_lock(robust), 0);
    EQ(pthread_mutex_unlock(robust), 0);
    return arg;
}

static void robust_mutex_stays_with_parent(void)
{
    pthread_mutexattr_t a;

    robust = (pthread_mutex_t *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                                     -1, 0);
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    EQ(pthread_mutex_init(robust, &a), 0);
    from_main_and_thread(holds_robust);
}

/* ---- ways to end ---- */

static pthread_key_t key;
static int report[2];

static void key_dies(void *v)
{
    EQ(write(report[1], (char *)v, 1), 1);
}

static void cleans(void *v)
{
    EQ(write(report[1], (char *)v, 1), 1);
}

static int ends_by_pthread_exit(void)
{
    pthread_setspecific(key, (void *)(uintptr_t) "k");
    pthread_cleanup_push(cleans, (void *)(uintptr_t) "c");
    pthread_exit((void *)77L);
    pthread_cleanup_pop(0);
    return 1;
}

static int ends_by_cancel(void)
{
    pthread_setspecific(key, (void *)(uintptr_t) "K");
    pthread_cleanup_push(cleans, (void *)(uintptr_t) "C");
    EQ(pthread_cancel(pthread_self()), 0);
    pthread_testcancel();
    pthread_cleanup_pop(0);
    return 1;
}

static void *nothing(void *arg)
{
    return arg;
}

/* The chain of cleanup handlers and the cancel state outlive the first thread that it makes. */
static int cleans_after_threads(void)
{
    int old;

    pthread_cleanup_push(cleans, (void *)(uintptr_t) "1");
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    reap(go(nothing, NULL));
    pthread_cancel(pthread_self());
    pthread_testcancel();
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    EQ(old, PTHREAD_CANCEL_DISABLE);
    pthread_cleanup_push(cleans, (void *)(uintptr_t) "2");
    usleep(1);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return 1;
}

static int cancelled_in_sleep(void)
{
    pthread_cleanup_push(cleans, (void *)(uintptr_t) "s");
    EQ(pthread_cancel(pthread_self()), 0);
    sleep(10);
    pthread_cleanup_pop(0);
    return 1;
}

static void *exits_late(void *arg)
{
    pause_ms(20);
    EQ(write(report[1], "t", 1), 1);
    return arg;
}

static int main_leaves_thread(void)
{
    go(exits_late, NULL);
    pthread_setspecific(key, (void *)(uintptr_t) "m");
    pthread_exit(NULL);
}

static int ends_by_exec(void)
{
    execl("/bin/sh", "sh", "-c", "exit 12", (char *)NULL);
    return 1;
}

static int ends_by_quick_exit(void)
{
    quick_exit(13);
}

static int ends_by_abort(void)
{
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    abort();
}

static int ends_by_signal(void)
{
    signal(SIGTERM, SIG_DFL);
    kill(getpid(), SIGTERM);
    return 1;
}

static const char *reported(void)
{
    static char text[16];
    ssize_t n = read(report[0], text, sizeof text - 1);

    text[n < 0 ? 0 : n] = 0;
    return text;
}

static void *ends(void *arg)
{
    EQ(in_child(ends_by_pthread_exit), 0);
    CHECK(strcmp(reported(), "ck") == 0);
    EQ(in_child(ends_by_cancel), 0);
    CHECK(strcmp(reported(), "CK") == 0);
    EQ(in_child(cleans_after_threads), 0);
    CHECK(strcmp(reported(), "21") == 0);
    EQ(in_child(cancelled_in_sleep), 0);
    CHECK(strcmp(reported(), "s") == 0);
    EQ(in_child(main_leaves_thread), 0);
    CHECK(strcmp(reported(), "mt") == 0);
    EQ(in_child(ends_by_exec), 12);
    EQ(in_child(ends_by_quick_exit), 13);
    EQ(in_child(ends_by_signal), 1000 + SIGTERM);
    return arg;
}

static void all_ends(void)
{
    EQ(pipe2(report, O_NONBLOCK), 0);
    EQ(pthread_key_create(&key, key_dies), 0);
    from_main_and_thread(ends);
    from_main_and_thread(ends);
}

static void *aborts(void *arg)
{
    EQ(in_child(ends_by_abort), 1000 + SIGABRT);
    return arg;
}

static void abort_in_child(void)
{
    from_main_and_thread(aborts);
}

/* ---- waits without threads in the child ---- */

static int waits_alone(void)
{
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t c = PTHREAD_COND_INITIALIZER;
    pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
    struct timespec when = after_ms(CLOCK_REALTIME, 20);
    sem_t sem;

    EQ(sem_init(&sem, 0, 1), 0);
    EQ(sem_wait(&sem), 0);
    FAILS(sem_timedwait(&sem, &when), ETIMEDOUT);
    pthread_mutex_lock(&m);
    when = after_ms(CLOCK_REALTIME, 20);
    EQ(pthread_cond_timedwait(&c, &m, &when), ETIMEDOUT);
    EQ(pthread_mutex_timedlock(&m, &when), ETIMEDOUT);
    EQ(pthread_rwlock_wrlock(&rw), 0);
    EQ(pthread_rwlock_rdlock(&rw), EDEADLK);
    EQ(pthread_rwlock_unlock(&rw), 0);
    usleep(1000);
    sched_yield();
    return 14;
}

static void *waits_thread(void *arg)
{
    EQ(in_child(waits_alone), 14);
    return arg;
}

static void waits_in_child(void)
{
    from_main_and_thread(waits_thread);
}

int main(void)
{
    CASE(pending_and_mask);
    CASE(handlers_run_in_child);
    CASE(alternate_stack);
    CASE(timers_stay_behind);
    CASE(identity);
    CASE(stream_buffers);
    CASE(locks_of_others);
    CASE(robust_mutex_stays_with_parent);
    CASE(all_ends);
    CASE(abort_in_child);
    CASE(waits_in_child);
    return 0;
}
