/* SPDX-License-Identifier: BSD-2-Clause */
/* C++ exceptions in threads: through many frames, around blocking calls, rethrown in another
 * thread, nested, while thousands of threads throw at once; backtraces end at the thread's start.
 */
#include "tap.h"
#include <exception>
#include <execinfo.h>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int unwound;

struct Guard {
    ~Guard()
    {
        bump(&unwound);
    }
};

static int deep(int depth)
{
    Guard g;

    if (depth == 0) {
        usleep(1);
        throw std::runtime_error("from the depth");
    }
    return deep(depth - 1) + 1;
}

static void *throws(void *arg)
{
    for (int i = 0; i < 10; i++) {
        try {
            deep(20);
            CHECK(!"thrown");
        } catch (const std::runtime_error &e) {
            sched_yield(); /* a caught exception stays with its thread */
            CHECK(std::string(e.what()) == "from the depth");
            CHECK(std::uncaught_exceptions() == 0);
        }
    }
    return arg;
}

static void many_threads_throw(void)
{
    std::vector<pthread_t> t;

    unwound = 0;
    for (int i = 0; i < 500; i++)
        t.push_back(go(throws, nullptr));
    for (auto x : t)
        reap(x);
    EQ(unwound, 500 * 10 * 21);
}

static void nested(int level)
{
    try {
        throw level;
    } catch (int caught) {
        usleep(1);
        EQ(caught, level);
        if (level > 0)
            nested(level - 1);
        try {
            throw;
        } catch (int again) {
            EQ(again, level);
        }
    }
}

static void nested_in_threads(void)
{
    std::vector<std::thread> t;

    for (int i = 0; i < 50; i++)
        t.emplace_back([] { nested(10); });
    for (auto &x : t)
        x.join();
}

static void carried_to_another_thread(void)
{
    std::exception_ptr p;

    std::thread([&] {
        try {
            deep(3);
        } catch (...) {
            p = std::current_exception();
        }
    }).join();
    try {
        std::rethrow_exception(p);
    } catch (const std::runtime_error &e) {
        CHECK(std::string(e.what()) == "from the depth");
    }
}

static void guards_locks(void)
{
    std::mutex m;
    std::vector<std::thread> t;
    long n = 0;

    for (int i = 0; i < 50; i++)
        t.emplace_back([&] {
            for (int k = 0; k < 20; k++)
                try {
                    std::lock_guard l(m);
                    n++;
                    throw k;
                } catch (int) {
                }
        });
    for (auto &x : t)
        x.join();
    EQ(n, 1000);
    CHECK(m.try_lock());
    m.unlock();
}

static void *walks(void *arg)
{
    void *frames[100];
    int n = backtrace(frames, 100);

    CHECK(n >= 2 && n < 20);
    return arg;
}

static void backtrace_ends(void)
{
    for (int i = 0; i < 10; i++)
        reap(go(walks, nullptr));
}

int main()
{
    CASE(many_threads_throw);
    CASE(nested_in_threads);
    CASE(carried_to_another_thread);
    CASE(guards_locks);
    CASE(backtrace_ends);
    return 0;
}
