/* SPDX-License-Identifier: BSD-2-Clause */
/* The C++20 standard library on threads: thread, jthread, async, futures, mutexes, shared_mutex,
 * condition variables, semaphores, latches, barriers, atomic waits, thread_local objects. */
#include "tap.h"
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <numeric>
#include <semaphore>
#include <shared_mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

template <typename F> static void in_threads(int n, F f)
{
    std::vector<std::thread> ts;

    for (int i = 0; i < n; i++)
        ts.emplace_back(f, i);
    for (auto &t : ts)
        t.join();
}

static void threads(void)
{
    std::atomic<long> sum{0};

    in_threads(200, [&](int i) { sum += i; });
    EQ(sum, 199 * 200 / 2);
    std::thread t([] {});
    CHECK(t.get_id() != std::this_thread::get_id());
    t.join();
    CHECK(!t.joinable());
}

static void futures(void)
{
    std::vector<std::future<int>> fs;
    int sum = 0;

    for (int i = 0; i < 50; i++)
        fs.push_back(std::async(std::launch::async, [i] {
            std::this_thread::sleep_for(1ms);
            return i;
        }));
    for (auto &f : fs)
        sum += f.get();
    EQ(sum, 49 * 50 / 2);
    std::promise<std::string> p;
    auto f = p.get_future();
    CHECK(f.wait_for(10ms) == std::future_status::timeout);
    std::thread t([&] { p.set_value("hello"); });
    CHECK(f.get() == "hello");
    t.join();
    auto bad = std::async(std::launch::async, []() -> int { throw std::runtime_error("no"); });
    try {
        bad.get();
        CHECK(!"thrown");
    } catch (const std::runtime_error &e) {
        CHECK(std::string(e.what()) == "no");
    }
}

static void mutexes(void)
{
    std::mutex m;
    std::recursive_mutex r;
    std::timed_mutex timed;
    long n = 0;

    in_threads(20, [&](int) {
        for (int i = 0; i < 200; i++) {
            std::scoped_lock both(m, r);
            std::lock_guard again(r);
            n++;
        }
    });
    EQ(n, 4000);
    timed.lock();
    std::thread t([&] { CHECK(!timed.try_lock_for(10ms)); });
    t.join();
    timed.unlock();
}

static void shared_mutexes(void)
{
    std::shared_mutex m;
    std::shared_timed_mutex tm;
    long a = 0, b = 0;

    in_threads(30, [&](int i) {
        for (int k = 0; k < 100; k++)
            if (i % 5 == 0) {
                std::unique_lock l(m);
                a++;
                std::this_thread::yield();
                b++;
            } else {
                std::shared_lock l(m);
                EQ(a, b);
            }
    });
    EQ(a, 600);
    std::shared_lock l(tm);
    std::thread t([&] {
        CHECK(!tm.try_lock_for(10ms));
        CHECK(tm.try_lock_shared_for(10ms));
        tm.unlock_shared();
    });
    t.join();
}

static void once(void)
{
    std::once_flag flag;
    std::atomic<int> begun{0}, done{0};

    in_threads(50, [&](int) {
        try {
            std::call_once(flag, [&] {
                std::this_thread::sleep_for(1ms);
                if (++begun < 3)
                    throw 1; /* the next caller tries again */
                ++done;
            });
            EQ(done, 1);
        } catch (int) {
        }
    });
    EQ(begun, 3);
    EQ(done, 1);
}

static void conditions(void)
{
    std::mutex m;
    std::shared_mutex sm;
    std::condition_variable cv;
    std::condition_variable_any any;
    bool ready = false;
    int seen = 0;

    {
        std::unique_lock l(m);
        CHECK(cv.wait_for(l, 10ms) == std::cv_status::timeout);
        CHECK(!cv.wait_until(l, std::chrono::system_clock::now() + 10ms, [] { return false; }));
    }
    std::thread waker([&] {
        std::this_thread::sleep_for(20ms);
        std::unique_lock l(sm);
        ready = true;
        any.notify_all();
    });
    in_threads(50, [&](int) {
        {
            std::shared_lock l(sm);
            any.wait(l, [&] { return ready; });
        }
        std::lock_guard l(m);
        seen++;
    });
    waker.join();
    EQ(seen, 50);
}

static void semaphores(void)
{
    std::counting_semaphore<10> s(3);
    std::binary_semaphore b(0);
    std::atomic<int> inside{0};

    in_threads(30, [&](int) {
        for (int i = 0; i < 10; i++) {
            s.acquire();
            CHECK(++inside <= 3);
            std::this_thread::yield();
            --inside;
            s.release();
        }
    });
    CHECK(!b.try_acquire_for(10ms));
    std::thread t([&] { b.release(); });
    b.acquire();
    t.join();
}

static void latches_and_barriers(void)
{
    std::latch latch(20);
    std::atomic<int> arrived{0}, phases{0};
    std::barrier barrier(20, [&]() noexcept { ++phases; });

    in_threads(20, [&](int) {
        ++arrived;
        latch.arrive_and_wait();
        EQ(arrived, 20);
        for (int i = 0; i < 50; i++)
            barrier.arrive_and_wait();
    });
    EQ(phases, 50);
}

static void atomic_waits(void)
{
    std::atomic<int> turn{0};

    in_threads(2, [&](int me) {
        for (int i = 0; i < 1000; i++) {
            int t;

            while ((t = turn.load()) % 2 != me)
                turn.wait(t);
            turn.fetch_add(1);
            turn.notify_all();
        }
    });
    EQ(turn, 2000);
}

static void stop_tokens(void)
{
    std::atomic<int> stopped{0};

    {
        std::vector<std::jthread> ts;
        for (int i = 0; i < 20; i++)
            ts.emplace_back([&](std::stop_token st) {
                std::mutex m;
                std::condition_variable_any cv;
                std::unique_lock l(m);

                cv.wait(l, st, [] { return false; });
                ++stopped;
            });
    }
    EQ(stopped, 20);
}

static std::atomic<int> made{0}, destroyed{0};
static std::string order;
static pthread_key_t key;

struct Local {
    std::string text = "a string long enough to live on the heap, really";
    Local()
    {
        ++made;
    }
    ~Local()
    {
        order += 'o';
        ++destroyed;
    }
};

static thread_local Local local;

static void thread_locals(void)
{
    EQ(pthread_key_create(&key, [](void *) { order += 'k'; }), 0);
    std::thread([] {
        pthread_setspecific(key, &key);
        CHECK(local.text.size() > 20);
    }).join();
    CHECK(order == "ok"); /* objects of the thread before keys */
    for (int i = 0; i < 50; i++)
        std::thread([] { local.text += "x"; }).join();
    EQ(made, 51);
    EQ(destroyed, 51);
    pthread_key_delete(key);
}

int main()
{
    CASE(threads);
    CASE(futures);
    CASE(mutexes);
    CASE(shared_mutexes);
    CASE(once);
    CASE(conditions);
    CASE(semaphores);
    CASE(latches_and_barriers);
    CASE(atomic_waits);
    CASE(stop_tokens);
    CASE(thread_locals);
    return 0;
}
