/* SPDX-License-Identifier: BSD-2-Clause */
/* operator new and delete in all their forms, new handlers, exceptions, containers, thread_local
 * objects with destructors. */
#include "tap.h"

#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static bool is_aligned(const void *p, size_t align)
{
    return p && reinterpret_cast<uintptr_t>(p) % align == 0;
}

static void forms(void)
{
    for (size_t size = 0; size < 40000; size = size * 5 / 3 + 1) {
        void *p = ::operator new(size), *q = ::operator new[](size);
        void *r = ::operator new(size, std::nothrow), *s = ::operator new[](size, std::nothrow);
        CHECK(is_aligned(p, 16) && is_aligned(q, 16) && is_aligned(r, 16) && is_aligned(s, 16));
        memset(p, 1, size);
        memset(s, 2, size);
        ::operator delete(p, size);
        ::operator delete[](q, size);
        ::operator delete(r, std::nothrow);
        ::operator delete[](s, std::nothrow);
        ::operator delete(::operator new(size));
        ::operator delete[](::operator new[](size));
    }
    ::operator delete(nullptr);
    ::operator delete[](nullptr, std::nothrow);
}

static void aligned_forms(void)
{
    for (size_t a = 1; a <= 1 << 16; a *= 2) {
        auto align = std::align_val_t(a);
        for (size_t size = 1; size < 10000; size = size * 3 + 5) {
            void *p = ::operator new(size, align), *q = ::operator new[](size, align);
            void *r = ::operator new(size, align, std::nothrow);
            void *s = ::operator new[](size, align, std::nothrow);
            CHECK(is_aligned(p, a) && is_aligned(q, a) && is_aligned(r, a) && is_aligned(s, a));
            ::operator delete(p, align);
            ::operator delete[](q, size, align);
            ::operator delete(r, align, std::nothrow);
            ::operator delete[](s, align, std::nothrow);
        }
    }
}

/* Out of the compiler's sight. */
static volatile size_t huge = static_cast<size_t>(PTRDIFF_MAX) - 100;

static int handled;

static void handler()
{
    if (++handled == 3)
        std::set_new_handler(nullptr);
}

template <typename F> static bool throws_bad_alloc(F f)
{
    try {
        f();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static void failures(void)
{
    CHECK(throws_bad_alloc([] { ::operator delete(::operator new(huge)); }));
    CHECK(throws_bad_alloc([] { ::operator delete[](::operator new[](huge)); }));
    CHECK(throws_bad_alloc([] {
        ::operator delete(::operator new(huge, std::align_val_t(64)), std::align_val_t(64));
    }));
    CHECK(!::operator new(huge, std::nothrow));
    CHECK(!::operator new[](huge, std::align_val_t(64), std::nothrow));
    std::set_new_handler(handler);
    CHECK(throws_bad_alloc([] { ::operator delete(::operator new(huge)); }));
    EQ(handled, 3);
}

struct alignas(128) Wide {
    char bytes[200];
};

static void containers(void)
{
    std::vector<std::string> v;
    std::map<int, std::unique_ptr<Wide>> m;

    for (int i = 0; i < 20000; i++)
        v.push_back(std::string(static_cast<size_t>(i % 100), 'x') + std::to_string(i));
    for (int i = 0; i < 2000; i++)
        m[i * 7 % 2000] = std::make_unique<Wide>();
    for (auto &e : m)
        CHECK(is_aligned(e.second.get(), 128));
    for (int i = 0; i < 20000; i++)
        CHECK(v[static_cast<size_t>(i)].size() >= static_cast<size_t>(i % 100));
}

static int destroyed;

struct Local {
    std::string text;
    ~Local()
    {
        text += std::string(1000, 'y');
        bump(&destroyed);
    }
};

static thread_local Local local;

static void in_threads(void)
{
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<std::string>> made(30);

    for (size_t i = 0; i < made.size(); i++)
        threads.emplace_back([&made, i] {
            local.text = std::string(i * 10, 'z');
            try {
                throw std::runtime_error(std::string(2000, 'e'));
            } catch (const std::runtime_error &e) {
                made[i] = std::make_unique<std::string>(e.what());
            }
        });
    for (auto &t : threads)
        t.join();
    EQ(destroyed, 30);
    for (auto &s : made)
        EQ(s->size(), 2000);
}

int main(void)
{
    CASE(forms);
    CASE(aligned_forms);
    CASE(failures);
    CASE(containers);
    CASE(in_threads);
    return 0;
}
