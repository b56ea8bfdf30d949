/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that wait in reads of a regular file for another thread of the same program, which has to
 * read a file itself before it can serve them: userfaultfd here, as FUSE would be.  No limit on how
 * many such calls run may make them wait for each other. */
#include "tap.h"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { N = 150, PAGE = 4096 };

static int file, uffd;
static char *area;

static void *reader(void *arg)
{
    char *page = area + (long)arg * PAGE;
    EQ(pread(file, page, PAGE, 0), PAGE);
    EQ(page[17], 'x');
    return NULL;
}

/* A page of zeros for the fault that comes next. */
static void serve(void)
{
    struct uffd_msg msg;
    struct pollfd p = {.fd = uffd, .events = POLLIN};
    struct uffdio_zeropage z = {.range.len = PAGE};
    char buf[PAGE];

    EQ(poll(&p, 1, -1), 1);
    EQ(read(uffd, &msg, sizeof msg), (ssize_t)sizeof msg);
    EQ(msg.event, UFFD_EVENT_PAGEFAULT);
    EQ(pread(file, buf, PAGE, 0), PAGE);
    z.range.start = msg.arg.pagefault.address & ~(uint64_t)(PAGE - 1);
    EQ(ioctl(uffd, UFFDIO_ZEROPAGE, &z), 0);
}

/* Nobody is served until many stand in the kernel, as many as a limit would allow. */
static void *server(void *arg)
{
    struct timespec ms = {0, 1000000};
    (void)arg;
    for (int i = 0; i < 200; i++)
        nanosleep(&ms, NULL);
    for (int i = 0; i < N; i++)
        serve();
    return NULL;
}

static void served_by_own_thread(void)
{
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register r = {.range.len = N * PAGE, .mode = UFFDIO_REGISTER_MODE_MISSING};
    char name[] = "/tmp/gt-disk-XXXXXX", block[PAGE];
    pthread_t t[N], s;

    uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (uffd < 0) { /* for the privileged only, on most systems */
        fprintf(stderr, "no userfaultfd: %s\n", strerror(errno));
        return;
    }
    memset(block, 'x', sizeof block);
    CHECK((file = mkstemp(name)) >= 0);
    EQ(unlink(name), 0);
    EQ(write(file, block, sizeof block), PAGE);
    area = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    r.range.start = (uint64_t)(uintptr_t)area;
    EQ(ioctl(uffd, UFFDIO_API, &api), 0);
    EQ(ioctl(uffd, UFFDIO_REGISTER, &r), 0);
    for (long i = 0; i < N; i++)
        t[i] = go(reader, (void *)i);
    s = go(server, NULL);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    reap(s);
    close(uffd);
    close(file);
}

int main(void)
{
    CASE(served_by_own_thread);
    return 0;
}
