/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that replaces operator new and delete: the library uses its versions, in threads too.
 */
#include "tap.h"

#include <new>
#include <string>
#include <thread>
#include <vector>

static int news, deletes;

void *operator new(size_t size)
{
    bump(&news);
    void *p = malloc(size ? size : 1);
    if (!p)
        throw std::bad_alloc();
    return p;
}

void operator delete(void *p) noexcept
{
    if (p)
        bump(&deletes);
    free(p);
}

void operator delete(void *p, size_t) noexcept
{
    operator delete(p);
}

static void use(int n)
{
    std::vector<std::string> v;

    for (int i = 0; i < n; i++)
        v.push_back(std::string(static_cast<size_t>(i) + 50, 'x'));
}

static void replaced(void)
{
    int before = news;

    use(100);
    CHECK(news >= before + 100);
    EQ(news, deletes);
    delete[] new int[10]; /* the array forms call them */
    EQ(news, deletes);
    int *volatile p = new (std::nothrow) int(3);
    delete p;
    EQ(news, deletes);
}

static void replaced_in_threads(void)
{
    int before = news;
    {
        std::vector<std::thread> threads;
        for (int i = 0; i < 10; i++)
            threads.emplace_back(use, 100);
        for (auto &t : threads)
            t.join();
    }
    CHECK(news >= before + 1000);
    EQ(news, deletes);
}

int main(void)
{
    CASE(replaced);
    CASE(replaced_in_threads);
    return 0;
}
