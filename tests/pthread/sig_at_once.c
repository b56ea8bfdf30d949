/* SPDX-License-Identifier: BSD-2-Clause */
/* A handler without SA_RESTART gives no EINTR to calls that end at once, nor to those on regular
 * files: a signal that comes with such a call came before it. */
#include "tap.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

static int handled, file, child, queue, sem, listener, pair[2];
static struct sockaddr_un at = {.sun_family = AF_UNIX};

static void on_signal(int sig)
{
    (void)sig;
    __atomic_fetch_add(&handled, 1, __ATOMIC_SEQ_CST);
}

struct test {
    const char *name;
    void (*call)(void);
    int stop;
};

/* ---- the calls: each knows what it has to give ---- */

static void wait_pid(void)
{
    EQ(waitpid(child, NULL, WNOHANG), 0);
}

static void wait_any(void)
{
    EQ(wait4(-1, NULL, WNOHANG, NULL), 0);
    EQ(wait3(NULL, WNOHANG, NULL), 0);
}

static void wait_id(void)
{
    siginfo_t si;

    EQ(waitid(P_PID, (id_t)child, &si, WEXITED | WNOHANG), 0);
    EQ(waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT), 0);
}

static void lock_file(void)
{
    EQ(flock(file, LOCK_EX | LOCK_NB), 0);
    EQ(flock(file, LOCK_UN | LOCK_NB), 0);
}

static void message(void)
{
    struct {
        long type;
        char text[8];
    } m = {1, "seven"};

    FAILS(msgrcv(queue, &m, sizeof(m.text), 2, IPC_NOWAIT), ENOMSG);
    m.type = 1;
    EQ(msgsnd(queue, &m, sizeof(m.text), IPC_NOWAIT), 0);
    EQ(msgrcv(queue, &m, sizeof(m.text), 1, IPC_NOWAIT), (long)sizeof(m.text));
}

static void semaphore(void)
{
    struct sembuf down = {0, -1, IPC_NOWAIT}, up = {0, 1, IPC_NOWAIT};
    struct timespec t = {1, 0};

    FAILS(semop(sem, &down, 1), EAGAIN);
    EQ(semop(sem, &up, 1), 0);
    EQ(semop(sem, &down, 1), 0);
    FAILS(semtimedop(sem, &down, 1, &t), EAGAIN);
}

static void at_offset(void)
{
    char buf[64];
    struct iovec v = {buf, sizeof(buf)};

    EQ(pread(file, buf, sizeof(buf), 0), (long)sizeof(buf));
    EQ(pwrite(file, buf, sizeof(buf), 4096), (long)sizeof(buf));
    EQ(preadv(file, &v, 1, 0), (long)sizeof(buf));
    EQ(pwritev(file, &v, 1, 4096), (long)sizeof(buf));
}

static void in_order(void)
{
    char buf[64];

    EQ(lseek(file, 0, SEEK_SET), 0);
    EQ(read(file, buf, sizeof(buf)), (long)sizeof(buf));
    EQ(write(file, buf, sizeof(buf)), (long)sizeof(buf));
}

static void open_close(void)
{
    int fd = open("/dev/null", O_RDWR);
    int dir = open("/", O_RDONLY | O_DIRECTORY);

    CHECK(fd >= 0 && dir >= 0);
    EQ(close(fd), 0);
    EQ(close(dir), 0);
    FAILS(open("/nowhere/at/all", O_RDONLY), ENOENT);
}

static void sync_file(void)
{
    EQ(fdatasync(file), 0);
}

/* What is shared goes to the kernel. */
static void wake_nobody(void)
{
    static uint32_t word, other;

    EQ(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
    EQ(syscall(SYS_futex, &word, FUTEX_REQUEUE, 1, 1L, &other, 0), 0);
}

static void non_blocking(void)
{
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), a;
    char c = 'c';
    struct iovec v = {&c, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    EQ(connect(s, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK((a = accept(listener, NULL, NULL)) >= 0);
    EQ(close(a), 0);
    EQ(close(s), 0);
    FAILS(accept(listener, NULL, NULL), EAGAIN);
    EQ(sendmsg(pair[0], &m, 0), 1);
    EQ(recvmsg(pair[1], &m, 0), 1);
    FAILS(recvmsg(pair[1], &m, 0), EAGAIN);
    EQ(write(pair[0], &c, 1), 1);
    EQ(read(pair[1], &c, 1), 1);
    FAILS(read(pair[1], &c, 1), EAGAIN);
}

/* ---- ---- */

static void *caller(void *arg)
{
    struct test *t = arg;

    while (!__atomic_load_n(&t->stop, __ATOMIC_SEQ_CST))
        t->call();
    return NULL;
}

/* A thread calls while signals come, for half a second. */
static void under_signals(const char *name, void (*call)(void))
{
    struct test t = {name, call, 0};
    pthread_t id;
    long end = now_ms() + 500;
    unsigned n = 0;

    EQ(pthread_create(&id, NULL, caller, &t), 0);
    while (now_ms() < end) {
        EQ(pthread_kill(id, SIGUSR1), 0);
        for (volatile unsigned i = 0; i < n % 3000; i++)
            ;
        n += 17;
    }
    __atomic_store_n(&t.stop, 1, __ATOMIC_SEQ_CST);
    EQ(pthread_join(id, NULL), 0);
    CHECK(handled > 0);
    handled = 0;
    printf("ok %s\n", name);
}

int main(void)
{
    static const char zeros[8192];
    struct sigaction sa = {.sa_handler = on_signal};
    char name[] = "/tmp/sig_at_once.XXXXXX";

    sigaction(SIGUSR1, &sa, NULL);
    CHECK((file = mkstemp(name)) >= 0);
    EQ(unlink(name), 0);
    EQ(write(file, zeros, sizeof(zeros)), (long)sizeof(zeros));
    CHECK((queue = msgget(IPC_PRIVATE, 0600)) >= 0);
    CHECK((sem = semget(IPC_PRIVATE, 1, 0600)) >= 0);
    snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "gt-at-once-%d", getpid());
    CHECK((listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0);
    EQ(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    EQ(listen(listener, 5), 0);
    EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    CHECK((child = fork()) >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    under_signals("waitpid", wait_pid);
    under_signals("wait3 and wait4", wait_any);
    under_signals("waitid", wait_id);
    under_signals("flock", lock_file);
    under_signals("msgsnd and msgrcv", message);
    under_signals("semop", semaphore);
    under_signals("pread and pwrite", at_offset);
    under_signals("read and write", in_order);
    under_signals("open", open_close);
    under_signals("fdatasync", sync_file);
    under_signals("futex", wake_nobody);
    under_signals("non-blocking sockets", non_blocking);
    EQ(msgctl(queue, IPC_RMID, NULL), 0);
    EQ(semctl(sem, 0, IPC_RMID), 0);
    EQ(kill(child, SIGKILL), 0);
    EQ(waitpid(child, NULL, 0), child);
    return 0;
}
