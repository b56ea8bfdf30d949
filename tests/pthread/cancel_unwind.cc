// SPDX-License-Identifier: BSD-2-Clause
// Cancellation in C++: destructors and thread_local objects in their order, handlers of both
// languages mixed, exceptions that are in flight, catch (...) that swallows (the process aborts),
// once that is left and run again.
#include "tap.h"
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <mutex>
#include <semaphore.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>

static std::string trail;
static int ready;
static sem_t sem;

struct Mark {
    const char *what;
    explicit Mark(const char *w) : what(w)
    {
    }
    ~Mark()
    {
        trail += what;
    }
};

static void mark(void *arg)
{
    trail += static_cast<const char *>(arg);
}

static thread_local Mark *pointer;
static pthread_key_t key;

static void *all_kinds(void *arg)
{
    static thread_local Mark local("t");
    pointer = &local;
    pthread_setspecific(key, const_cast<char *>("k"));
    Mark a("a");
    pthread_cleanup_push(mark, const_cast<char *>("b"));
    Mark c("c");
    try {
        Mark d("d");
        if (arg)
            pthread_exit(arg);
        bump(&ready);
        sem_wait(&sem);
    } catch (const std::exception &) {
        trail += "wrong";
    } catch (...) {
        trail += "!";
        throw;
    }
    pthread_cleanup_pop(0);
    return nullptr;
}

static void order()
{
    int x;
    pthread_key_create(&key, mark);
    for (int i = 0; i < 3; i++) {
        ready = 0;
        trail.clear();
        pthread_t t = go(all_kinds, nullptr);
        await(&ready, 1);
        pause_ms(10);
        pthread_cancel(t);
        CHECK(reap(t) == PTHREAD_CANCELED);
        printf("cancelled: %s\n", trail.c_str());
        trail.clear();
        CHECK(reap(go(all_kinds, &x)) == &x);
        printf("exit: %s\n", trail.c_str());
    }
    pthread_key_delete(key);
}

static void *in_a_catch(void *arg)
{
    Mark a("a");
    try {
        throw std::runtime_error("x");
    } catch (const std::runtime_error &) {
        bump(&ready);
        sem_wait(&sem); // cancelled while an exception is being handled
    }
    return arg;
}

static void during_an_exception()
{
    ready = 0;
    trail.clear();
    pthread_t t = go(in_a_catch, nullptr);
    await(&ready, 1);
    pause_ms(10);
    pthread_cancel(t);
    CHECK(reap(t) == PTHREAD_CANCELED);
    CHECK(trail == "a");
}

static void *in_a_destructor_throws(void *arg)
{
    struct Inner {
        ~Inner()
        {
            try { // an exception of its own, inside the unwinding
                throw 1;
            } catch (int) {
                trail += "i";
            }
        }
    } inner;
    bump(&ready);
    sem_wait(&sem);
    return arg;
}

static void exceptions_inside()
{
    ready = 0;
    trail.clear();
    pthread_t t = go(in_a_destructor_throws, nullptr);
    await(&ready, 1);
    pause_ms(10);
    pthread_cancel(t);
    CHECK(reap(t) == PTHREAD_CANCELED);
    CHECK(trail == "i");
}

static void *swallows(void *arg)
{
    try {
        if (arg)
            pthread_exit(nullptr);
        bump(&ready);
        sem_wait(&sem);
    } catch (...) {
    }
    return nullptr;
}

static void swallowed()
{
    for (int how = 0; how < 2; how++) {
        int p[2], st;
        char text[200] = "";

        EQ(pipe(p), 0);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            dup2(p[1], 2);
            ready = 0;
            pthread_t t = go(swallows, how ? &sem : nullptr);
            if (!how) {
                await(&ready, 1);
                pause_ms(10);
                pthread_cancel(t);
            }
            reap(t);
            _exit(0);
        }
        close(p[1]);
        EQ(waitpid(pid, &st, 0), pid);
        CHECK(WIFSIGNALED(st));
        EQ(WTERMSIG(st), SIGABRT);
        CHECK(read(p[0], text, sizeof text - 1) > 0);
        CHECK(strstr(text, "FATAL: exception not rethrown") != nullptr);
        close(p[0]);
    }
}

static std::once_flag flag;
static int begun, finished;

static void *with_once(void *arg)
{
    std::call_once(flag, [] {
        bump(&begun);
        if (begun == 1)
            sem_wait(&sem);
        bump(&finished);
    });
    return arg;
}

static void once_again()
{
    pthread_t t = go(with_once, nullptr), u;

    await(&begun, 1);
    pause_ms(10);
    u = go(with_once, nullptr); // waits for the first
    pause_ms(10);
    pthread_cancel(t);
    CHECK(reap(t) == PTHREAD_CANCELED);
    reap(u);
    EQ(begun, 2);
    EQ(finished, 1);
}

static void spin(volatile long *n)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
    bump(&ready);
    for (;;)
        *n = *n + 1;
}

static void (*volatile spins)(volatile long *) = spin; // the compiler must think that it can throw

static void *computes(void *arg)
{
    Mark a("a");
    volatile long n = 0;
    spins(&n);
    return arg;
}

static void asynchronous()
{
    for (int i = 0; i < 10; i++) {
        ready = 0;
        trail.clear();
        pthread_t t = go(computes, nullptr);
        await(&ready, 1);
        pthread_cancel(t);
        CHECK(reap(t) == PTHREAD_CANCELED);
        CHECK(trail == "a");
    }
}

static void std_threads()
{
    ready = 0;
    trail.clear();
    std::thread t([] {
        Mark a("s");
        bump(&ready);
        sem_wait(&sem);
    });
    await(&ready, 1);
    pause_ms(10);
    pthread_cancel(t.native_handle());
    t.join();
    CHECK(trail == "s");
}

int main()
{
    sem_init(&sem, 0, 0);
    CASE(order);
    CASE(during_an_exception);
    CASE(exceptions_inside);
    CASE(swallowed);
    CASE(once_again);
    CASE(asynchronous);
    CASE(std_threads);
    return 0;
}
