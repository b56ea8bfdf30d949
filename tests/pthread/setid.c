/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls that libc carries out in every thread of the process: setgid and friends with one's own
 * ids, from main, from a thread, while main is parked and others run or block. */
#include "tap.h"
#include <grp.h>
#include <sys/types.h>

static int stop;

static void *parked(void *arg)
{
    await(&stop, 1);
    return arg;
}

static void *busy(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        ;
    return arg;
}

static void set_own_ids(void)
{
    uid_t r, e, s;
    gid_t rg, eg, sg;

    EQ(getresuid(&r, &e, &s), 0);
    EQ(getresgid(&rg, &eg, &sg), 0);
    EQ(setgid(getgid()), 0);
    EQ(setuid(getuid()), 0);
    EQ(setegid(getegid()), 0);
    EQ(seteuid(geteuid()), 0);
    EQ(setresuid(r, e, s), 0);
    EQ(setresgid(rg, eg, sg), 0);
    errno = 0;
    EQ(setreuid((uid_t)-1, (uid_t)-1), 0);
    EQ(errno, 0);
}

static void *sets(void *arg)
{
    for (int i = 0; i < 20; i++)
        set_own_ids();
    return arg;
}

static void alone(void)
{
    set_own_ids();
}

static void from_main(void)
{
    pthread_t t[10];

    stop = 0;
    for (int i = 0; i < 10; i++)
        t[i] = go(i < 2 ? busy : parked, NULL);
    pause_ms(20);
    sets(NULL);
    bump(&stop);
    for (int i = 0; i < 10; i++)
        reap(t[i]);
}

static void from_thread_main_joins(void)
{
    reap(go(sets, NULL));
}

static void from_threads_at_once(void)
{
    pthread_t t[8];

    for (int i = 0; i < 8; i++)
        t[i] = go(sets, NULL);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
}

/* Reads the groups file and services first: locale, memory and stdio are the caller's. */
static void *sets_groups(void *arg)
{
    for (int i = 0; i < 5; i++) {
        int r = initgroups("root", getgid());
        CHECK(r == 0 || errno == EPERM);
    }
    return arg;
}

static void groups_of_a_user(void)
{
    pthread_t t = go(sets_groups, NULL);

    sets_groups(NULL);
    reap(t);
}

int main(void)
{
    CASE(alone);
    CASE(from_main);
    CASE(from_thread_main_joins);
    CASE(from_threads_at_once);
    CASE(groups_of_a_user);
    return 0;
}
