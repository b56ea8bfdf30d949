/* SPDX-License-Identifier: BSD-2-Clause */
/* What the C++20 library offers for threads: each part checks its own result. */
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

static void expect(const char *what, long got, long want)
{
    if (got == want)
        return;
    std::printf("%s: got %ld, want %ld\n", what, got, want);
    std::exit(1);
}

template <typename F> static void run(int n, F f)
{
    std::vector<std::thread> threads;
    for (int i = 0; i < n; i++)
        threads.emplace_back(f, i);
    for (auto &t : threads)
        t.join();
}

static std::atomic<int> alive{0};
struct counted {
    std::string text{"a text too long to be held in the object"};
    counted() { alive++; }
    ~counted() { alive--; }
};
static thread_local counted own;

static void threads_and_locals()
{
    std::atomic<long> sum{0}, bad{0};
    std::once_flag once;
    int calls = 0;
    run(500, [&](int i) {
        own.text = std::to_string(i);
        std::call_once(once, [&] { calls++; });
        std::this_thread::yield();
        bad += own.text != std::to_string(i);
        sum += i;
    });
    expect("sum", sum, 124750);
    expect("thread_local", bad, 0);
    expect("call_once", calls, 1);
    expect("thread_local destructors", alive, 0);
}

/* An exception leaves call_once to be tried by the next thread. */
static void once_that_throws()
{
    std::once_flag once;
    std::atomic<int> tries{0}, caught{0};
    run(8, [&](int) {
        try {
            std::call_once(once, [&] {
                if (++tries < 4)
                    throw std::runtime_error("not yet");
            });
        } catch (const std::runtime_error &) {
            caught++;
        }
    });
    expect("tries", tries, 4);
    expect("exceptions of call_once", caught, 3);
}

static void futures()
{
    std::vector<std::future<int>> all;
    for (int i = 0; i < 200; i++)
        all.push_back(std::async(std::launch::async, [i] {
            if (i % 10 == 3)
                throw std::runtime_error("thread " + std::to_string(i));
            return i;
        }));
    int sum = 0, caught = 0;
    for (auto &f : all) {
        try {
            sum += f.get();
        } catch (const std::runtime_error &) {
            caught++;
        }
    }
    expect("async", sum, 19900 - 1960);
    expect("exceptions of async", caught, 20);
}

static void readers_and_writers()
{
    std::shared_mutex lock;
    long a = 0, b = 0;
    std::atomic<long> torn{0};
    run(10, [&](int i) {
        for (int k = 0; k < 1500; k++) {
            if (i < 2) {
                std::unique_lock hold(lock);
                a++, b++;
            } else {
                std::shared_lock hold(lock);
                torn += a != b;
            }
        }
    });
    expect("shared_mutex", a, 3000);
    expect("a reader saw half a write", torn, 0);
}

static void conditions()
{
    std::mutex lock;
    std::condition_variable cond;
    std::deque<int> queue;
    std::atomic<long> sum{0};
    auto begin = clock_type::now();
    {
        std::unique_lock hold(lock);
        expect("wait_for", cond.wait_for(hold, 80ms, [] { return false; }), false);
    }
    expect("wait_for came early", clock_type::now() - begin < 80ms, false);
    std::thread producer([&] {
        for (int i = 0; i < 4000 + 6; i++) {
            std::lock_guard hold(lock);
            queue.push_back(i < 4000 ? i : -1);
            cond.notify_one();
        }
    });
    run(6, [&](int) {
        for (;;) {
            std::unique_lock hold(lock);
            cond.wait(hold, [&] { return !queue.empty(); });
            int x = queue.front();
            queue.pop_front();
            if (x < 0)
                return;
            sum += x;
        }
    });
    producer.join();
    expect("queue", sum, 7998000);
}

static void stop_tokens()
{
    std::atomic<int> stopped{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 20; i++)
            threads.emplace_back([&](std::stop_token token) {
                std::mutex lock;
                std::condition_variable_any cond;
                std::unique_lock hold(lock);
                cond.wait(hold, token, [] { return false; });
                stopped++;
            });
    }
    expect("jthread", stopped, 20);
}

static void timed_locks()
{
    std::timed_mutex lock;
    std::recursive_timed_mutex twice;
    std::scoped_lock hold(lock, twice);
    std::lock_guard again(twice);
    std::atomic<int> refused{0};
    run(4, [&](int) { refused += !lock.try_lock_for(30ms) && !twice.try_lock_for(30ms); });
    expect("timed mutexes", refused, 4);
}

/* These wait on futexes that libstdc++ calls itself. */
static void atomic_waits()
{
    std::latch ready(16);
    std::barrier round(16);
    std::counting_semaphore<4> few(4);
    std::atomic<int> flag{0}, inside{0}, most{0}, n{0};
    std::jthread opener([&] {
        ready.wait();
        flag = 1;
        flag.notify_all();
    });
    run(16, [&](int) {
        ready.count_down();
        flag.wait(0);
        for (int k = 0; k < 50; k++) {
            few.acquire();
            int now = ++inside, seen = most;
            while (now > seen && !most.compare_exchange_weak(seen, now))
                continue;
            inside--;
            few.release();
            round.arrive_and_wait();
            n++;
        }
    });
    expect("barrier", n, 800);
    expect("semaphore", most >= 1 && most <= 4, true);
}

int main()
{
    threads_and_locals();
    once_that_throws();
    futures();
    readers_and_writers();
    conditions();
    stop_tokens();
    timed_locks();
    atomic_waits();
    std::puts("all right");
}
