/* SPDX-License-Identifier: BSD-2-Clause */
/* What Linux keeps for one thread alone: its root and directory after unshare, capabilities and ids
 * of one thread, no_new_privs, timer slack; names; stack bounds; all of it with others that run and
 * sleep beside it, and gone with the thread. */
#include "tap.h"
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int stop;

static void *busy(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        if (arg)
            pause_ms(1);
    return NULL;
}

static pthread_t around[4];

static void crowd(void)
{
    stop = 0;
    for (long i = 0; i < 4; i++)
        around[i] = go(busy, (void *)(i % 2));
}

static void crowd_leaves(void)
{
    bump(&stop);
    for (int i = 0; i < 4; i++)
        reap(around[i]);
}

static void mix(void)
{
    for (int i = 0; i < 5; i++) {
        sched_yield();
        pause_ms(1);
    }
}

/* ---- a directory of its own ---- */

static char home[4096];

static void is_home(void)
{
    char now[4096];

    CHECK(getcwd(now, sizeof now) != NULL);
    CHECK(strcmp(now, home) == 0);
}

static void *moves(void *arg)
{
    const char *dir = arg ? "/" : "/tmp";
    char now[64];

    EQ(unshare(CLONE_FS), 0);
    EQ(chdir(dir), 0);
    for (int i = 0; i < 10; i++) {
        mix();
        CHECK(getcwd(now, sizeof now) != NULL);
        CHECK(strcmp(now, dir) == 0);
    }
    return NULL;
}

static void *stays(void *arg)
{
    for (int i = 0; i < 10; i++) {
        mix();
        is_home();
    }
    return arg;
}

static void directories(void)
{
    pthread_t t[9];

    CHECK(getcwd(home, sizeof home) != NULL);
    crowd();
    for (int round = 0; round < 2; round++) {
        for (long i = 0; i < 9; i++)
            t[i] = go(i % 3 ? moves : stays, (void *)(i % 2));
        for (int i = 0; i < 9; i++)
            reap(t[i]);
    }
    crowd_leaves();
    is_home();
    EQ(unshare(0x7fffffff), -1);
    reap(go(stays, NULL));
}

/* ---- ids and capabilities ---- */

static unsigned effective(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];

    EQ(syscall(SYS_capget, &h, d), 0);
    return d[0].effective;
}

static unsigned had;

static void *drops(void *arg)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{0, 0, 0}, {0, 0, 0}};

    EQ(effective(), had);
    EQ(syscall(SYS_capset, &h, d), 0);
    for (int i = 0; i < 5; i++) {
        mix();
        EQ(effective(), 0);
    }
    return arg;
}

static void *keeps(void *arg)
{
    uid_t r, e, s;

    for (int i = 0; i < 10; i++) {
        mix();
        EQ(effective(), had);
        EQ(getresuid(&r, &e, &s), 0);
        EQ(e, geteuid());
        EQ(setfsuid((uid_t)-1), geteuid());
    }
    return arg;
}

static void *other_id(void *arg)
{
    uid_t uid = geteuid() == 0 ? 1234 : geteuid(), r, e, s;

    EQ(syscall(SYS_setresuid, -1, uid, -1), 0);
    for (int i = 0; i < 5; i++) {
        mix();
        EQ(getresuid(&r, &e, &s), 0);
        EQ(e, uid);
    }
    return arg;
}

static void credentials(void)
{
    pthread_t t[9];

    had = effective();
    crowd();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 9; i++)
            t[i] = go(i % 3 == 0 ? drops : i % 3 == 1 ? other_id : keeps, NULL);
        for (int i = 0; i < 9; i++)
            reap(t[i]);
    }
    crowd_leaves();
    keeps(NULL);
}

/* ---- prctl ---- */

static void *no_new_privs(void *arg)
{
    EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    mix();
    EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    return arg;
}

static void *plain(void *arg)
{
    mix();
    EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    return arg;
}

static void *slack(void *arg)
{
    long mine = 100000 + (long)arg * 1000;

    EQ(prctl(PR_SET_TIMERSLACK, mine), 0);
    mix();
    EQ(prctl(PR_GET_TIMERSLACK), mine);
    return NULL;
}

static void prctls(void)
{
    pthread_t t[8];

    for (long i = 0; i < 8; i++)
        t[i] = go(i % 2 ? no_new_privs : plain, NULL);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
    for (long i = 0; i < 8; i++)
        t[i] = go(slack, (void *)i);
    for (int i = 0; i < 8; i++)
        reap(t[i]);
    FAILS(prctl(-77, 0, 0, 0, 0), EINVAL);
}

/* ---- names ---- */

static void *child_of_named(void *arg)
{
    char got[16];

    EQ(pthread_getname_np(pthread_self(), got, sizeof got), 0);
    CHECK(strcmp(got, "parent-7") == 0);
    return arg;
}

static void *named(void *arg)
{
    EQ(prctl(PR_SET_NAME, "parent-7"), 0);
    reap(go(child_of_named, NULL));
    return arg;
}

static void names(void)
{
    reap(go(named, NULL));
}

/* ---- stack bounds ---- */

static void bounds(const char *here)
{
    pthread_attr_t a;
    size_t size, guard;
    void *lo;

    EQ(pthread_getattr_np(pthread_self(), &a), 0);
    EQ(pthread_attr_getstack(&a, &lo, &size), 0);
    EQ(pthread_attr_getguardsize(&a, &guard), 0);
    CHECK(here > (char *)lo && here < (char *)lo + size);
    CHECK((char *)&a > (char *)lo && (char *)&a < (char *)lo + size);
    EQ(pthread_attr_destroy(&a), 0);
}

/* Goes down to n bytes below `top`. */
static char descend(const char *top, size_t n)
{
    volatile char page[4096];

    page[0] = 1;
    if ((size_t)(top - (const char *)page) < n)
        return (char)(descend(top, n) + page[0]);
    bounds((const char *)page);
    return page[0];
}

static void *in_thread(void *arg)
{
    char here;

    bounds(&here);
    descend(&here, (size_t)(long)arg);
    return NULL;
}

static void stacks(void)
{
    static const size_t sizes[] = {65536, 262144, 1048576, 8388608};
    pthread_attr_t a;
    pthread_t t;
    char here;

    EQ(pthread_attr_init(&a), 0);
    for (int i = 0; i < 4; i++) {
        EQ(pthread_attr_setstacksize(&a, sizes[i]), 0);
        EQ(pthread_create(&t, &a, in_thread, (void *)(long)(sizes[i] * 3 / 4)), 0);
        reap(t);
    }
    EQ(pthread_attr_destroy(&a), 0);
    bounds(&here);
    descend(&here, 1 << 20);
}

int main(void)
{
    CASE(stacks);
    CASE(names);
    CASE(directories);
    CASE(credentials);
    CASE(prctls);
    return 0;
}
