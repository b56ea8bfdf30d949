/* SPDX-License-Identifier: BSD-2-Clause */
/* oneTBB's algorithms, queues and a pipeline, with as many workers as the first argument says. */
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <tbb/tbb.h>
#include <thread>
#include <vector>

static void expect(const char *what, long got, long want)
{
    if (got == want)
        return;
    std::printf("%s: got %ld, want %ld\n", what, got, want);
    std::exit(1);
}

static void reduce_and_sort()
{
    std::vector<int> v(500000);
    std::mt19937 random(5);
    long plain = 0;
    for (int &x : v)
        plain += x = static_cast<int>(random() % 1000000);
    using range = tbb::blocked_range<std::size_t>;
    long sum = tbb::parallel_reduce(
        range(0, v.size()), 0L,
        [&](const range &r, long s) {
            for (std::size_t i = r.begin(); i < r.end(); i++)
                s += v[i];
            return s;
        },
        std::plus<long>());
    expect("parallel_reduce", sum, plain);
    tbb::parallel_sort(v.begin(), v.end());
    expect("parallel_sort", std::is_sorted(v.begin(), v.end()), true);
}

static void queues()
{
    tbb::concurrent_queue<int> queue;
    tbb::parallel_for(0, 20000, [&](int i) { queue.push(i); });
    long sum = 0;
    for (int x; queue.try_pop(x);)
        sum += x;
    expect("concurrent_queue", sum, 199990000);
    tbb::concurrent_bounded_queue<int> bounded;
    bounded.set_capacity(4);
    std::atomic<long> got{0};
    std::thread consumer([&] {
        for (int x; bounded.pop(x), x >= 0;)
            got += x;
    });
    for (int i = 0; i < 2000; i++)
        bounded.push(i);
    bounded.push(-1);
    consumer.join();
    expect("concurrent_bounded_queue", got, 1999000);
}

static void pipeline()
{
    int next = 0;
    long sum = 0;
    auto first = tbb::make_filter<void, int>(tbb::filter_mode::serial_in_order,
                                             [&](tbb::flow_control &control) {
                                                 if (next == 2000)
                                                     control.stop();
                                                 return next++;
                                             });
    auto middle = tbb::make_filter<int, long>(tbb::filter_mode::parallel,
                                              [](int x) { return 2L * x; });
    auto last = tbb::make_filter<long, void>(tbb::filter_mode::serial_in_order,
                                             [&](long x) { sum += x; });
    tbb::parallel_pipeline(8, first & middle & last);
    expect("parallel_pipeline", sum, 3998000);
}

static void nested_groups()
{
    std::atomic<int> n{0};
    tbb::task_group outer;
    for (int i = 0; i < 40; i++)
        outer.run([&] {
            tbb::task_group inner;
            for (int k = 0; k < 25; k++)
                inner.run([&] { n++; });
            inner.wait();
        });
    outer.wait();
    expect("task_group", n, 1000);
}

int main(int argc, char **argv)
{
    auto workers = static_cast<std::size_t>(argc > 1 ? std::atoi(argv[1]) : 4);
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, workers);
    for (int round = 0; round < 5; round++) {
        reduce_and_sort();
        queues();
        pipeline();
        nested_groups();
    }
    std::puts("all right");
}
