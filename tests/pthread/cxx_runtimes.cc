// SPDX-License-Identifier: BSD-2-Clause
/* The C++ library on threads, its rarer half: call_once whose function throws, timed mutexes,
 * condition_variable_any with a stop_token, promises broken and set at the thread's end, atomic
 * waits of every size, exceptions through pthread_cleanup_push and cancellation, order of
 * thread_local objects, streams of all threads. */
#include "tap.h"
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <future>
#include <iostream>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <sstream>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

template <typename F> static void in_threads(int n, F f)
{
    std::vector<std::jthread> ts;

    for (int i = 0; i < n; i++)
        ts.emplace_back([&f, i] { f(i); });
}

static void once_throws()
{
    for (int round = 0; round < 20; round++) {
        std::once_flag flag;
        std::atomic<int> tries{0}, caught{0}, done{0};

        in_threads(30, [&](int) {
            try {
                std::call_once(flag, [&] {
                    if (++tries < 4) {
                        std::this_thread::yield();
                        throw tries.load();
                    }
                    done++;
                });
                EQ(done, 1);
            } catch (int) {
                caught++;
            }
        });
        EQ(tries, 4);
        EQ(caught, 3);
        EQ(done, 1);
    }
}

static void timed()
{
    std::timed_mutex m;
    std::recursive_timed_mutex rm;
    std::shared_timed_mutex sm;

    m.lock();
    rm.lock();
    sm.lock_shared();
    in_threads(20, [&](int) {
        CHECK(!m.try_lock_for(5ms));
        CHECK(!rm.try_lock_until(std::chrono::system_clock::now() + 5ms));
        CHECK(!sm.try_lock_for(5ms));
        CHECK(sm.try_lock_shared_for(10s));
        sm.unlock_shared();
    });
    CHECK(rm.try_lock());
    rm.unlock();
    rm.unlock();
    m.unlock();
    sm.unlock_shared();
    std::atomic<int> in{0};
    in_threads(20, [&](int) {
        std::unique_lock<std::timed_mutex> l(m, 10s);
        CHECK(l.owns_lock());
        EQ(++in, 1);
        std::this_thread::yield();
        --in;
    });
}

static void stoppable_waits()
{
    std::mutex m;
    std::condition_variable_any cv;
    std::atomic<int> stopped{0}, callbacks{0};
    std::vector<std::jthread> ts;

    for (int i = 0; i < 50; i++)
        ts.emplace_back([&](std::stop_token st) {
            std::stop_callback cb(st, [&] { callbacks++; });
            std::unique_lock<std::mutex> l(m);
            CHECK(!cv.wait(l, st, [] { return false; }));
            stopped++;
        });
    std::this_thread::sleep_for(10ms);
    for (auto &t : ts)
        CHECK(t.request_stop());
    ts.clear();
    EQ(stopped, 50);
    CHECK(callbacks <= 50); /* one that is destroyed first is not called */
    std::jthread timed([&](std::stop_token st) {
        std::unique_lock<std::mutex> l(m);
        CHECK(!cv.wait_for(l, st, 5ms, [] { return false; }));
        CHECK(!st.stop_requested());
    });
    timed.join();
}

static void futures_end()
{
    std::vector<std::future<int>> fs;

    for (int i = 0; i < 100; i++) {
        std::promise<int> p;
        fs.push_back(p.get_future());
        std::thread(
            [i](std::promise<int> q) {
                if (i % 3 == 0)
                    q.set_value_at_thread_exit(i);
                else if (i % 3 == 1)
                    q.set_exception(std::make_exception_ptr(std::string("thrown")));
            },
            std::move(p))
            .detach();
    }
    for (int i = 0; i < 100; i++)
        try {
            EQ(fs[(size_t)i].get(), i);
            EQ(i % 3, 0);
        } catch (const std::string &) {
            EQ(i % 3, 1);
        } catch (const std::future_error &e) {
            CHECK(e.code() == std::future_errc::broken_promise);
            EQ(i % 3, 2);
        }
    auto lazy = std::async(std::launch::deferred, [] { return std::this_thread::get_id(); });
    CHECK(lazy.wait_for(0s) == std::future_status::deferred);
    CHECK(lazy.get() == std::this_thread::get_id());
    auto shared = std::async(std::launch::async, [] { return 5; }).share();
    in_threads(30, [&](int) { EQ(shared.get(), 5); });
}

template <typename T> static void wait_sized()
{
    std::atomic<T> a{0};
    std::atomic<int> woken{0};
    std::jthread t([&] {
        for (T want = 1; want <= 100; want++) {
            a.wait(static_cast<T>(want - 1));
            CHECK(a.load() >= want);
            woken++;
        }
    });

    for (T v = 1; v <= 100; v++) {
        a.store(v);
        a.notify_all();
        std::this_thread::yield();
    }
    t.join();
    EQ(woken, 100);
}

static void atomic_sizes()
{
    wait_sized<signed char>();
    wait_sized<short>();
    wait_sized<int>();
    wait_sized<long>();
    std::atomic_flag flag = ATOMIC_FLAG_INIT;
    std::atomic<int> n{0};
    {
        std::jthread t([&] {
            flag.wait(false);
            n++;
        });
        std::this_thread::sleep_for(1ms);
        flag.test_and_set();
        flag.notify_one();
    }
    EQ(n, 1);
}

static std::atomic<int> cleaned, destroyed;

struct counted {
    ~counted()
    {
        destroyed++;
    }
};

static void clean(void *)
{
    cleaned++;
}

static void throws_through(int i)
{
    pthread_cleanup_push(clean, nullptr);
    counted c;
    if (i % 2)
        throw i;
    pthread_cleanup_pop(1);
}

static void *cancelled_inside(void *arg)
{
    counted c;
    pthread_cleanup_push(clean, nullptr);
    try {
        counted d;
        pause();
    } catch (...) { /* a cancellation must go on */
        destroyed++;
        throw;
    }
    pthread_cleanup_pop(0);
    return arg;
}

static void cleanups()
{
    cleaned = destroyed = 0;
    in_threads(40, [](int i) {
        try {
            throws_through(i);
            EQ(i % 2, 0);
        } catch (int k) {
            EQ(k, i);
        }
    });
    EQ(cleaned, 40);
    EQ(destroyed, 40);
    cleaned = destroyed = 0;
    for (int i = 0; i < 20; i++) {
        pthread_t t = go(cancelled_inside, nullptr);
        if (i % 2)
            pause_ms(1);
        pthread_cancel(t);
        CHECK(reap(t) == PTHREAD_CANCELED);
    }
    CHECK(cleaned >= 10 && destroyed == 3 * cleaned);
}

static std::string *order;

struct named {
    char name;
    explicit named(char c) : name(c)
    {
    }
    ~named()
    {
        *order += name;
    }
};

static thread_local named first('a'), second('b');

static void thread_locals()
{
    for (int i = 0; i < 20; i++) {
        std::string text;
        order = &text;
        std::thread([] {
            static thread_local named third('c');
            CHECK(third.name == 'c' && second.name == 'b' && first.name == 'a');
            thread_local std::vector<int> v(1000, 7);
            EQ(v[999], 7);
        }).join();
        CHECK(text == "bac");
    }
    order = new std::string; /* for those of this thread, at its end */
}

static void streams()
{
    std::atomic<int> good{0};

    in_threads(300, [&](int i) {
        std::ostringstream out;
        out << i << ' ' << i * 0.5 << ' ' << std::hex << i << std::endl;
        std::istringstream in(out.str());
        int a;
        double b;
        in >> a >> b;
        good += a == i && b == i * 0.5;
        std::cerr << "";
        std::clog << std::flush;
    });
    EQ(good, 300);
}

static void pipeline()
{
    std::counting_semaphore<8> room(8);
    std::binary_semaphore end(0);
    std::barrier turn(10);
    std::latch all(10);
    std::atomic<int> through{0};

    in_threads(10, [&](int i) {
        for (int k = 0; k < 50; k++) {
            room.acquire();
            if (room.try_acquire_for(1us))
                room.release();
            through++;
            room.release();
            turn.arrive_and_wait();
        }
        all.count_down();
        all.wait();
        if (i == 0)
            end.release();
    });
    CHECK(end.try_acquire_for(10s));
    EQ(through, 500);
}

int main()
{
    CASE(once_throws);
    CASE(timed);
    CASE(stoppable_waits);
    CASE(futures_end);
    CASE(atomic_sizes);
    CASE(cleanups);
    CASE(thread_locals);
    CASE(streams);
    CASE(pipeline);
    return 0;
}
