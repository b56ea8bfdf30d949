/* SPDX-License-Identifier: BSD-2-Clause */
/* fork while others allocate: the child allocates at once, frees what the parent made, makes
 * threads; atfork handlers allocate, too. */
#include "tap.h"

#include <spawn.h>
#include <sys/wait.h>

enum { KEPT = 500 };

static char *kept[KEPT];
static int stop, handlers;

static void child_ends_well(pid_t pid)
{
    int status;

    CHECK(pid > 0);
    EQ(waitpid(pid, &status, 0), pid);
    EQ(status, 0);
}

static void churn(int rounds)
{
    void *p[50] = {0};

    for (int i = 0; i < rounds; i++) {
        int at = i * 7 % 50;
        free(p[at]);
        p[at] = malloc(1 + (size_t)(i * 613) % (i % 100 ? 2000 : 200000));
        CHECK(p[at]);
        memset(p[at], i, 1);
    }
    for (int i = 0; i < 50; i++)
        free(p[i]);
}

static void *churns(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        churn(200);
    return arg;
}

static void *churns_once(void *arg)
{
    churn(2000);
    return arg;
}

static void make_kept(void)
{
    for (int i = 0; i < KEPT; i++) {
        kept[i] = malloc((size_t)i * 20 + 1);
        memset(kept[i], i, (size_t)i * 20 + 1);
    }
}

static void drop_kept(void)
{
    for (int i = 0; i < KEPT; i++) {
        EQ(kept[i][0], (char)i);
        EQ(kept[i][i * 20], (char)i);
        free(kept[i]);
    }
}

static _Noreturn void be_child(int n)
{
    pthread_t t[4];

    churn(300);
    drop_kept();
    free(malloc(10 << 20));
    for (int i = 0; i < 4 && n % 4 == 0; i++)
        t[i] = go(churns_once, NULL);
    for (int i = 0; i < 4 && n % 4 == 0; i++)
        reap(t[i]);
    if (n % 8 == 0) { /* a child of the child */
        pid_t pid = fork();
        churn(100);
        if (pid == 0)
            _exit(0);
        child_ends_well(pid);
    }
    _exit(0);
}

static void fork_often(int times)
{
    for (int i = 0; i < times; i++) {
        pid_t pid = fork();
        if (pid == 0)
            be_child(i);
        churn(50);
        child_ends_well(pid);
    }
}

static void alone(void)
{
    fork_often(20);
}

static void *forks(void *arg)
{
    fork_often(8);
    return arg;
}

static void beside_others(void)
{
    pthread_t t[6];

    for (int i = 0; i < 6; i++)
        t[i] = go(churns, NULL);
    fork_often(12);
    reap(go(forks, NULL));
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 6; i++)
        reap(t[i]);
    stop = 0;
}

static char *from_prepare;

static void prepare(void)
{
    from_prepare = strdup("from prepare");
    churn(50);
}

static void after(void)
{
    churn(50);
    EQ(strcmp(from_prepare, "from prepare"), 0);
    free(from_prepare);
    handlers++;
}

static void in_handlers(void)
{
    EQ(pthread_atfork(prepare, after, after), 0);
    beside_others();
    EQ(handlers, 20);
}

static void spawns(void)
{
    char *argv[] = {(char *)(uintptr_t) "/bin/true", NULL};
    pthread_t t = go(churns, NULL);
    pid_t pid;

    for (int i = 0; i < 10; i++) {
        EQ(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
        child_ends_well(pid);
    }
    EQ(system("exit 0"), 0);
    FILE *f = popen("echo text", "r");
    char line[10];
    CHECK(fgets(line, sizeof line, f));
    EQ(pclose(f), 0);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    reap(t);
}

int main(void)
{
    make_kept();
    CASE(alone);
    CASE(beside_others);
    CASE(in_handlers);
    CASE(spawns);
    drop_kept();
    return 0;
}
