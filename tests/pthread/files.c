/* SPDX-License-Identifier: BSD-2-Clause */
/* Regular files from many threads: data, sync, appends, locks between open descriptions. */
#include "tap.h"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { N = 32 };

static char dir[] = "/tmp/gt-files-XXXXXX";

static const char *path(char *buf, size_t n, const char *name, long i)
{
    snprintf(buf, n, "%s/%s-%ld", dir, name, i);
    return buf;
}

static void *own_file(void *arg)
{
    char name[64], block[8192], back[8192];
    struct stat st;
    int fd = open(path(name, sizeof name, "own", (long)arg), O_CREAT | O_RDWR, 0600);

    CHECK(fd >= 0);
    memset(block, (int)(long)arg, sizeof block);
    for (int i = 0; i < 10; i++) {
        EQ(write(fd, block, sizeof block), (ssize_t)sizeof block);
        if (i == 5)
            EQ(fdatasync(fd), 0);
    }
    EQ(fsync(fd), 0);
    for (int i = 9; i >= 0; i--) {
        EQ(pread(fd, back, sizeof back, i * (off_t)sizeof back), (ssize_t)sizeof back);
        EQ(memcmp(back, block, sizeof back), 0);
    }
    EQ(pwrite(fd, "xyz", 3, 1 << 20), 3);
    EQ(fstat(fd, &st), 0);
    EQ(st.st_size, (1 << 20) + 3);
    EQ(ftruncate(fd, 5), 0);
    EQ(lseek(fd, 0, SEEK_END), 5);
    EQ(read(fd, back, 1), 0);
    EQ(close(fd), 0);
    EQ(unlink(name), 0);
    return NULL;
}

static void own_files(void)
{
    pthread_t t[N];

    for (long i = 0; i < N; i++)
        t[i] = go(own_file, (void *)i);
    for (int i = 0; i < N; i++)
        reap(t[i]);
}

static int shared;

static void *appends(void *arg)
{
    char line[16];

    for (int i = 0; i < 50; i++) {
        struct iovec v[2] = {{line, 15}, {(void *)"\n", 1}};

        snprintf(line, sizeof line, "%04ld %04d abcde", (long)arg, i);
        EQ(writev(shared, v, 2), 16);
    }
    return NULL;
}

static void appended_lines_whole(void)
{
    char name[64], line[17] = "";
    int next[N] = {0};
    pthread_t t[N];

    shared = open(path(name, sizeof name, "log", 0), O_CREAT | O_RDWR | O_APPEND, 0600);
    for (long i = 0; i < N; i++)
        t[i] = go(appends, (void *)i);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    EQ(lseek(shared, 0, SEEK_SET), 0);
    for (int i = 0; i < N * 50; i++) {
        int who = -1, which = -1;

        EQ(read(shared, line, 16), 16);
        EQ(sscanf(line, "%d %d abcde", &who, &which), 2);
        CHECK(who >= 0 && who < N);
        EQ(which, next[who]++);
    }
    close(shared);
    unlink(name);
}

static int inside, entered;

static void enter(void)
{
    EQ(__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST), 1);
    usleep(500);
    bump(&entered);
    __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
}

static void *flocks(void *arg)
{
    int fd = open((const char *)arg, O_RDWR);

    for (int i = 0; i < 5; i++) {
        EQ(flock(fd, LOCK_EX), 0);
        enter();
        EQ(flock(fd, LOCK_UN), 0);
    }
    close(fd);
    return NULL;
}

static void *record_locks(void *arg)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    int fd = open((const char *)arg, O_RDWR);

    for (int i = 0; i < 5; i++) {
        l.l_type = F_WRLCK;
        EQ(fcntl(fd, F_OFD_SETLKW, &l), 0);
        enter();
        l.l_type = F_UNLCK;
        EQ(fcntl(fd, F_OFD_SETLK, &l), 0);
    }
    close(fd);
    return NULL;
}

static void exclusion_by(void *(*body)(void *))
{
    char name[64];
    pthread_t t[16];
    int fd = open(path(name, sizeof name, "lock", 0), O_CREAT | O_RDWR, 0600);

    entered = 0;
    for (int i = 0; i < 16; i++)
        t[i] = go(body, name);
    for (int i = 0; i < 16; i++)
        reap(t[i]);
    EQ(entered, 80);
    close(fd);
    unlink(name);
}

static void flock_between_threads(void)
{
    exclusion_by(flocks);
}

static void record_locks_between_threads(void)
{
    exclusion_by(record_locks);
}

static void lock_errors(void)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char name[64];
    int a = open(path(name, sizeof name, "lock", 1), O_CREAT | O_RDWR, 0600);
    int b = open(name, O_RDWR);

    EQ(flock(a, LOCK_EX), 0);
    FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    EQ(flock(a, LOCK_UN), 0);
    EQ(fcntl(a, F_OFD_SETLK, &l), 0);
    l.l_type = F_WRLCK;
    FAILS(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
    EQ(close(a), 0);
    l.l_pid = 0;
    EQ(fcntl(b, F_OFD_SETLK, &l), 0);
    EQ(lockf(b, F_TLOCK, 0), -1); /* a lock of the process against one of the description */
    close(b);
    unlink(name);
}

int main(void)
{
    CHECK(mkdtemp(dir));
    CASE(own_files);
    CASE(appended_lines_whole);
    CASE(flock_between_threads);
    CASE(record_locks_between_threads);
    CASE(lock_errors);
    EQ(rmdir(dir), 0);
    return 0;
}
