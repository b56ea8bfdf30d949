/* SPDX-License-Identifier: BSD-2-Clause */
/* lockf, fcntl(F_SETLKW) and its open-file-description form wait for a lock that another process
 * holds: they are cancelled there, and get the lock when it is free. */
#include "tap.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static int fd, started;

static int by_lockf(void)
{
    return lockf(fd, F_LOCK, 1);
}

static int by_fcntl(void)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

    return fcntl(fd, F_SETLKW, &fl);
}

static int by_ofd(void)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

    return fcntl(fd, F_OFD_SETLKW, &fl);
}

static void *locks(void *arg)
{
    int (*lock)(void) = (int (*)(void))(uintptr_t)arg;

    bump(&started);
    return (void *)(long)(lock() == 0 ? 7 : 8);
}

static pid_t holder(void)
{
    int up[2];
    char c;
    pid_t pid;

    EQ(pipe(up), 0);
    pid = fork();
    if (pid == 0) {
        if (lockf(fd, F_LOCK, 1) != 0 || write(up[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    CHECK(pid > 0);
    EQ(read(up[0], &c, 1), 1);
    close(up[0]);
    close(up[1]);
    return pid;
}

static void cancel_one(int (*lock)(void))
{
    pid_t pid = holder();
    pthread_t t;
    int status;

    started = 0;
    t = go(locks, (void *)(uintptr_t)lock);
    await(&started, 1);
    pause_ms(30); /* it waits in the kernel, or is about to */
    EQ(pthread_cancel(t), 0);
    CHECK(reap(t) == PTHREAD_CANCELED);

    t = go(locks, (void *)(uintptr_t)lock);
    pause_ms(10);
    EQ(kill(pid, SIGKILL), 0);
    EQ((long)reap(t), 7);
    EQ(waitpid(pid, &status, 0), pid);
    EQ(lockf(fd, F_ULOCK, 1), 0);
}

static void in_lockf(void)
{
    cancel_one(by_lockf);
}

static void in_fcntl(void)
{
    cancel_one(by_fcntl);
}

static void in_ofd(void)
{
    cancel_one(by_ofd);
}

int main(void)
{
    char name[] = "/tmp/cancel_lockf.XXXXXX";

    fd = mkstemp(name);
    CHECK(fd >= 0);
    unlink(name);
    CASE(in_lockf);
    CASE(in_fcntl);
    CASE(in_ofd);
    return 0;
}
