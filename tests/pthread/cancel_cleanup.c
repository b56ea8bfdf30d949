/* SPDX-License-Identifier: BSD-2-Clause */
/* Cleanup handlers in C, nested, popped, left by pthread_exit and by cancellation; types and states
 * and what they do to a pending request; asynchronous cancellation; what runs at the end and in
 * which order; pthread_exit from handlers and destructors; locks that stay right.  cancel_exc.c
 * is the same built with -fexceptions, where the compiler runs the handlers. */
#include "tap.h"
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#ifdef __EXCEPTIONS
#define EXCEPTIONS 1
#else
#define EXCEPTIONS 0
#endif

static char trail[256];
static int ready, go_on;
static sem_t sem;

static void mark(void *arg)
{
    strcat(trail, (const char *)arg);
}

static void expect(const char *want)
{
    if (strcmp(trail, want) != 0)
        fprintf(stderr, "trail %s, wanted %s\n", trail, want);
    EQ(strcmp(trail, want), 0);
    trail[0] = '\0';
}

static __attribute__((noinline)) void inner(int how)
{
    pthread_cleanup_push(mark, (void *)"c");
    if (how == 0)
        pthread_exit((void *)7);
    if (how == 1) {
        bump(&ready);
        sem_wait(&sem);
    }
    pthread_cleanup_pop(how == 2);
}

static void *nested(void *arg)
{
    pthread_cleanup_push(mark, (void *)"a");
    pthread_cleanup_push(mark, (void *)"b");
    inner((int)(long)arg);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(1);
    return (void *)9;
}

static void nesting(void)
{
    pthread_t t;

    CHECK(reap(go(nested, (void *)0)) == (void *)7);
    expect("cba");
    ready = 0;
    t = go(nested, (void *)1);
    await(&ready, 1);
    pause_ms(10);
    pthread_cancel(t);
    CHECK(reap(t) == PTHREAD_CANCELED);
    expect("cba");
    CHECK(reap(go(nested, (void *)2)) == (void *)9);
    expect("ca");
    CHECK(reap(go(nested, (void *)3)) == (void *)9);
    expect("a");
}

static void *in_a_loop(void *arg)
{
    for (volatile int i = 0;; i++) {
        pthread_cleanup_push(mark, (void *)"l");
        if (i == 3)
            pthread_exit(arg);
        pthread_cleanup_pop(i == 1);
    }
}

static void loops(void)
{
    reap(go(in_a_loop, NULL));
    expect("ll");
}

/* ---- states and types ---- */

static void *changes(void *arg)
{
    int old;

    EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old), 0);
    EQ(old, PTHREAD_CANCEL_ENABLE);
    EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old), 0);
    EQ(old, PTHREAD_CANCEL_DISABLE);
    EQ(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old), 0);
    EQ(old, PTHREAD_CANCEL_DEFERRED);
    EQ(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL), 0);
    EQ(pthread_setcancelstate(7, &old), EINVAL);
    EQ(pthread_setcanceltype(7, &old), EINVAL);
    bump(&ready);
    await(&go_on, 1);
    pthread_testcancel();
    mark((void *)"1");
    pthread_cleanup_push(mark, (void *)"h");
    if ((long)arg == 1) /* asynchronous first: enabling acts at once */
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    mark((void *)"2");
    if ((long)arg == 2) /* enabled first: asynchronous acts at once */
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    mark((void *)"3");
    pthread_testcancel();
    mark((void *)"4");
    pthread_cleanup_pop(0);
    return NULL;
}

static void states(void)
{
    static const char *const want[] = {"123h", "1h", "12h"};

    for (long how = 0; how < 3; how++) {
        pthread_t t;

        ready = go_on = 0;
        t = go(changes, (void *)how);
        await(&ready, 1);
        EQ(pthread_cancel(t), 0);
        EQ(pthread_cancel(t), 0); /* once is as good */
        bump(&go_on);
        CHECK(reap(t) == PTHREAD_CANCELED);
        expect(want[how]);
    }
}

static void *cancels_itself(void *arg)
{
    pthread_cleanup_push(mark, (void *)"s");
    if (arg)
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    pthread_cancel(pthread_self());
    mark((void *)"x");
    pthread_testcancel();
    mark((void *)"y");
    pthread_cleanup_pop(0);
    return NULL;
}

static void of_itself(void)
{
    CHECK(reap(go(cancels_itself, NULL)) == PTHREAD_CANCELED);
    expect("xs");
    CHECK(reap(go(cancels_itself, &sem)) == PTHREAD_CANCELED);
    expect("s");
}

static void *never_looks(void *arg)
{
    mark((void *)"n");
    return arg;
}

static void not_yet_started(void)
{
    for (int i = 0; i < 200; i++) {
        pthread_t t = go(never_looks, &sem);

        EQ(pthread_cancel(t), 0);
        CHECK(reap(t) == &sem); /* it meets no cancellation point */
        expect("n");
    }
}

static volatile double sink;

static void *computes(void *arg)
{
    double x = 1;

    pthread_cleanup_push(mark, (void *)"z");
    bump(&ready);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    for (;;)
        sink = x = x * 1.5 / 1.4999;
    pthread_cleanup_pop(0);
    return arg;
}

static void asynchronous(void)
{
    for (int i = 0; i < 20; i++) {
        pthread_t t;

        ready = 0;
        t = go(computes, NULL);
        await(&ready, 1);
        pthread_cancel(t);
        CHECK(reap(t) == PTHREAD_CANCELED);
        if (!EXCEPTIONS) /* the compiler sees no call in the loop that could end it */
            expect("z");
        trail[0] = '\0';
    }
}

/* ---- the end ---- */

static pthread_key_t key;

static void key_ends(void *arg)
{
    mark(arg);
    pthread_testcancel(); /* nothing: it is ending already */
    if (*(const char *)arg == 'k')
        pthread_setspecific(key, (void *)"K"); /* once more */
}

static void exits_again(void *arg)
{
    mark(arg);
    pthread_exit((void *)11);
}

static void *ends_twice(void *arg)
{
    (void)arg;
    pthread_setspecific(key, (void *)"k");
    pthread_cleanup_push(mark, (void *)"o");
    pthread_cleanup_push(exits_again, (void *)"e");
    pthread_exit((void *)10);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return NULL;
}

static void ends(void)
{
    pthread_key_create(&key, key_ends);
    printf("exit in a handler: %ld\n", (long)reap(go(ends_twice, NULL)));
    expect("eokK");
    pthread_key_delete(key);
}

static void key_exits(void *arg)
{
    mark(arg);
    pthread_exit((void *)12);
}

static void *with_key(void *arg)
{
    pthread_setspecific(key, (void *)"q");
    return arg;
}

static void exit_in_a_destructor(void)
{
    pthread_key_create(&key, key_exits);
    printf("exit in a destructor: %ld\n", (long)reap(go(with_key, NULL)));
    printf("%s\n", trail);
    trail[0] = '\0';
    pthread_key_delete(key);
}

/* ---- locks ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int owners;

static void unlocks(void *arg)
{
    EQ(owners, 0); /* the lock is really ours */
    owners++;
    sched_yield();
    owners--;
    EQ(pthread_mutex_unlock((pthread_mutex_t *)arg), 0);
}

static void *waits(void *arg)
{
    pthread_mutex_lock(&lock);
    pthread_cleanup_push(unlocks, &lock);
    bump(&ready);
    for (;;)
        pthread_cond_wait(&cond, &lock);
    pthread_cleanup_pop(1);
    return arg;
}

static void condition_waits(void)
{
    pthread_t t[30];

    ready = 0;
    for (int i = 0; i < 30; i++)
        t[i] = go(waits, NULL);
    await(&ready, 30);
    for (int i = 0; i < 30; i++) {
        pthread_cancel(t[i]);
        if (i % 3 == 0)
            pthread_cond_broadcast(&cond);
        else if (i % 3 == 1)
            pthread_cond_signal(&cond);
    }
    for (int i = 0; i < 30; i++)
        CHECK(reap(t[i]) == PTHREAD_CANCELED);
    EQ(pthread_mutex_trylock(&lock), 0);
    pthread_mutex_unlock(&lock);
}

/* Cancelled in the midst of stdio and malloc, deferred: nothing is left locked or broken. */
static void *prints(void *arg)
{
    FILE *f = (FILE *)arg;

    bump(&ready);
    for (;;) {
        char *p = (char *)malloc(100);
        fprintf(f, "%s %d\n", "some text", 42);
        free(p);
        fflush(f);
        pthread_testcancel();
    }
    return NULL;
}

static void in_stdio(void)
{
    FILE *f = fopen("/dev/null", "w");

    for (int i = 0; i < 100; i++) {
        pthread_t t;

        ready = 0;
        t = go(prints, f);
        await(&ready, 1);
        pthread_cancel(t);
        CHECK(reap(t) == PTHREAD_CANCELED);
        EQ(ftrylockfile(f), 0);
        funlockfile(f);
    }
    fclose(f);
    /* blocked in it: the stream is unlocked */
    int p[2];
    EQ(pipe(p), 0);
    f = fdopen(p[1], "w");
    setvbuf(f, NULL, _IONBF, 0);
    ready = 0;
    pthread_t t = go(prints, f);
    await(&ready, 1);
    pause_ms(50);
    pthread_cancel(t);
    CHECK(reap(t) == PTHREAD_CANCELED);
    EQ(ftrylockfile(f), 0);
    funlockfile(f);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    fclose(f);
}

static void *cancels_main(void *arg)
{
    pause_ms(20);
    pthread_cancel(*(pthread_t *)arg);
    pause_ms(50);
    _exit(21);
}

static void at_exit(void)
{
    _exit(22);
}

/* The first thread cancelled: the others live on; the last one's end is exit(0). */
static void the_first_thread(void)
{
    for (int how = 0; how < 2; how++) {
        int st;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid == 0) {
            static pthread_t me;

            me = pthread_self();
            if (how) {
                atexit(at_exit);
                pthread_exit(NULL);
            }
            go(cancels_main, &me);
            for (;;)
                pause();
        }
        EQ(waitpid(pid, &st, 0), pid);
        CHECK(WIFEXITED(st));
        EQ(WEXITSTATUS(st), how ? 22 : 21);
    }
}

int main(void)
{
    sem_init(&sem, 0, 0);
    CASE(nesting);
    CASE(loops);
    CASE(states);
    CASE(of_itself);
    CASE(not_yet_started);
    CASE(asynchronous);
    if (EXCEPTIONS) /* the other form calls the handler again, for ever, also plain */
        CASE(ends);
    CASE(exit_in_a_destructor);
    CASE(condition_waits);
    CASE(in_stdio);
    CASE(the_first_thread);
    return 0;
}
