/* SPDX-License-Identifier: BSD-2-Clause */
/* A program with an allocator of its own that sets itself up at its first call, with a lock held
 * that spins, and calls libc meanwhile; that call comes before any library's constructor.  If
 * something allocates for what is called there, the allocator waits for itself. */
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { SPACE = 16 << 20 };

static char *space;
static size_t used;
static int held, first_calls;

static void set_up(void)
{
    char text[64];
    pthread_key_t key;
    struct sigaction sa;
    int fd = open("/proc/self/comm", O_RDONLY);

    first_calls++;
    if (read(fd, text, sizeof text) <= 0 || close(fd) || sigaction(SIGUSR1, NULL, &sa))
        _exit(5);
    space = mmap(NULL, SPACE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    prctl(PR_GET_NAME, text);
    if (space == MAP_FAILED || pthread_key_create(&key, NULL) || sysconf(_SC_PAGESIZE) < 1)
        _exit(6);
}

void *malloc(size_t size)
{
    char *p;

    while (__atomic_exchange_n(&held, 1, __ATOMIC_ACQUIRE))
        continue;
    if (!space)
        set_up();
    p = space + used;
    used += 16 + (size + 15) / 16 * 16;
    __atomic_store_n(&held, 0, __ATOMIC_RELEASE);
    if (used > SPACE)
        _exit(3);
    *(size_t *)p = size;
    return p + 16;
}

void free(void *p)
{
    if (p && ((char *)p < space || (char *)p >= space + SPACE))
        _exit(4);
}

void *calloc(size_t n, size_t size)
{
    return malloc(n * size); /* nothing is used twice */
}

void *realloc(void *p, size_t size)
{
    void *q = malloc(size);

    if (p)
        memcpy(q, p, ((size_t *)p)[-2] < size ? ((size_t *)p)[-2] : size);
    return q;
}

void *memalign(size_t align, size_t size);
void *memalign(size_t align, size_t size)
{
    char *p = malloc(size + align);

    return p + (align - (uintptr_t)p % align) % align;
}

/* In main's object alone: before the constructors of all libraries. */
static void very_first(void)
{
    char *volatile p = malloc(10);

    free(p);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit)(void) = very_first;

static void *allocates(void *arg)
{
    free(strdup("a string of libc's"));
    return strdup(arg);
}

static void set_up_once(void)
{
    EQ(first_calls, 1);
}

static void threads_ask_us(void)
{
    static char text[] = "text";
    pthread_t t[20];

    for (int i = 0; i < 20; i++)
        t[i] = go(allocates, text);
    for (int i = 0; i < 20; i++) {
        char *s = reap(t[i]);
        CHECK(strcmp(s, text) == 0);
        free(s);
    }
}

int main(void)
{
    CASE(set_up_once);
    CASE(threads_ask_us);
    return 0;
}
