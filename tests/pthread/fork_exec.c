/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs started from threads: fork and vfork with exec, posix_spawn, system, popen; many threads
 * in waitpid; the environment, masks and descriptors that the new program gets. */
#include "proc.h"
#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>

extern char **environ;

static void *by_fork(void *arg)
{
    pid_t p = fork();

    if (p == 0) {
        execl("/bin/sh", "sh", "-c", "exit 21", (char *)NULL);
        _exit(99);
    }
    EQ(status_of(p), 21);
    return arg;
}

static void *by_vfork(void *arg)
{
    pid_t p = vfork();

    if (p == 0) {
        close(200); /* must not touch the parent's table of anything */
        execl("/bin/sh", "sh", "-c", "exit 22", (char *)NULL);
        _exit(99);
    }
    EQ(status_of(p), 22);
    p = vfork();
    if (p == 0)
        _exit(23);
    EQ(status_of(p), 23);
    return arg;
}

static void *by_spawn(void *arg)
{
    char *const argv[] = {(char *)"sh", (char *)"-c", (char *)"exit 24", NULL};
    char *const none[] = {(char *)"no-such-program", NULL};
    pid_t p;

    EQ(posix_spawn(&p, "/bin/sh", NULL, NULL, argv, environ), 0);
    EQ(status_of(p), 24);
    EQ(posix_spawnp(&p, "no-such-program-at-all", NULL, NULL, none, environ), ENOENT);
    return arg;
}

static void *by_system(void *arg)
{
    EQ(WEXITSTATUS(system("exit 25")), 25);
    return arg;
}

static void *by_popen(void *arg)
{
    char line[32] = "";
    FILE *f = popen("sleep 0.05; echo hello", "r");

    CHECK(f);
    CHECK(fgets(line, sizeof line, f));
    CHECK(strcmp(line, "hello\n") == 0);
    EQ(pclose(f), 0);
    f = popen("cat >/dev/null; exit 5", "w");
    CHECK(fputs("some input\n", f) >= 0);
    EQ(WEXITSTATUS(pclose(f)), 5);
    return arg;
}

static void from_threads(void *(*body)(void *))
{
    pthread_t t[10];

    body(NULL);
    for (int i = 0; i < 10; i++)
        t[i] = go(body, NULL);
    for (int i = 0; i < 10; i++)
        reap(t[i]);
}

static void fork_and_exec(void)
{
    from_threads(by_fork);
}

static void vfork_and_exec(void)
{
    from_threads(by_vfork);
}

static void spawn(void)
{
    from_threads(by_spawn);
}

static void system_command(void)
{
    from_threads(by_system);
}

static void pipe_command(void)
{
    from_threads(by_popen);
}

static void *waits_long(void *arg)
{
    pid_t p = fork();

    if (p == 0) {
        pause_ms(150);
        _exit((int)(long)arg);
    }
    EQ(status_of(p), (int)(long)arg);
    return NULL;
}

static int ticks, stop;

static void *ticks_on(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        bump(&ticks);
        pause_ms(1);
    }
    return arg;
}

static void many_in_waitpid(void)
{
    pthread_t t[30], ticker = go(ticks_on, NULL);

    for (long i = 0; i < 30; i++)
        t[i] = go(waits_long, (void *)i);
    for (int i = 0; i < 30; i++)
        reap(t[i]);
    bump(&stop);
    reap(ticker);
    CHECK(ticks > 20);
}

static void *exits_early(void *arg)
{
    pid_t p = fork();

    if (p == 0)
        _exit(3);
    *(pid_t *)arg = p;
    return NULL;
}

static void child_of_a_thread(void)
{
    siginfo_t si;
    pid_t p;

    reap(go(exits_early, &p)); /* waited for by another thread than its parent */
    memset(&si, 0, sizeof si);
    EQ(waitid(P_PID, (id_t)p, &si, WEXITED), 0);
    EQ(si.si_status, 3);
    FAILS(waitpid(p, NULL, 0), ECHILD);
    FAILS(waitpid(-1, NULL, WNOHANG), ECHILD);
}

static void *spawns_reader(void *arg)
{
    FILE *f = popen("kill -USR2 $$; grep ^SigBlk /proc/self/status | tr -d '[:space:]'", "r");
    char line[128] = "";

    CHECK(fgets(line, sizeof line, f));
    pclose(f);
    CHECK(strcmp(line, (const char *)arg) == 0);
    return NULL;
}

static void *blocks_and_spawns(void *arg)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    return spawns_reader(arg);
}

static void signal_mask_inherited(void)
{
    signal(SIGUSR2, SIG_IGN);
    reap(go(spawns_reader, (void *)"SigBlk:0000000000000000"));
    reap(go(blocks_and_spawns, (void *)"SigBlk:0000000000000200"));
}

static void *lists_descriptors(void *arg)
{
    char line[128] = "";
    FILE *f = popen("ls /proc/self/fd | tr '\\n' ' '", "r");

    CHECK(fgets(line, sizeof line, f));
    pclose(f);
    printf("a child sees %s\n", line); /* the same list in both runs */
    return arg;
}

static void no_descriptor_leaks(void)
{
    reap(go(lists_descriptors, NULL));
}

int main(void)
{
    CASE(fork_and_exec);
    CASE(vfork_and_exec);
    CASE(spawn);
    CASE(system_command);
    CASE(pipe_command);
    CASE(many_in_waitpid);
    CASE(child_of_a_thread);
    CASE(signal_mask_inherited);
    CASE(no_descriptor_leaks);
    return 0;
}
