/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that uses SIGURG itself: out-of-band data with F_SETOWN, sent, blocked, waited for,
 * while threads compute that are preempted. */
#include "net.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

static volatile int hits;
static int stop, urgent;
static volatile siginfo_t got;

static void handler(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)uc;
    got = *si;
    __atomic_add_fetch(&hits, 1, __ATOMIC_SEQ_CST);
}

static void *computes(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        ;
    return arg;
}

static int server, client;

static void connect_both(void)
{
    struct sockaddr_in at;
    int l = listen_tcp(1, &at);

    client = socket(AF_INET, SOCK_STREAM, 0);
    EQ(connect(client, (struct sockaddr *)&at, sizeof at), 0);
    server = accept(l, NULL, NULL);
    CHECK(server >= 0);
    close(l);
}

/* The signal may come before the byte can be read. */
static void take_urgent(char *c)
{
    while (recv(server, c, 1, MSG_OOB) != 1)
        pause_ms(1);
}

static void out_of_band(void)
{
    char c;

    connect_both();
    EQ(fcntl(server, F_SETOWN, getpid()), 0);
    for (int i = 0; i < 5; i++) {
        hits = 0;
        EQ(send(client, "!", 1, MSG_OOB), 1);
        await((int *)&hits, 1);
        take_urgent(&c);
        EQ(c, '!');
        EQ(hits, 1);
    }
    close(server);
    close(client);
}

static void *reads(void *arg)
{
    char c;

    *(long *)arg = read(server, &c, 1);
    return NULL;
}

/* The reader may pass the urgent byte before anybody asks for it: the byte is gone then. */
static void while_a_thread_reads(void)
{
    long r = -5;
    pthread_t t;

    connect_both();
    EQ(fcntl(server, F_SETOWN, getpid()), 0);
    hits = 0;
    t = go(reads, &r);
    pause_ms(20);
    EQ(send(client, "!", 1, MSG_OOB), 1);
    await((int *)&hits, 1);
    EQ(send(client, "x", 1, 0), 1);
    reap(t);
    EQ(r, 1);
    close(server);
    close(client);
}

static void sent(void)
{
    hits = 0;
    raise(SIGURG);
    EQ(hits, 1);
    EQ(got.si_code, SI_TKILL);
    EQ(pthread_kill(pthread_self(), SIGURG), 0);
    EQ(hits, 2);
    EQ(kill(getpid(), SIGURG), 0);
    EQ(hits, 3);
    EQ(got.si_code, SI_USER);
    EQ(sigqueue(getpid(), SIGURG, (union sigval){.sival_int = 9}), 0);
    EQ(hits, 4);
    EQ(got.si_value.sival_int, 9);
}

static void *blocks_and_waits(void *arg)
{
    sigset_t s, p;
    siginfo_t si;

    sigemptyset(&s);
    sigaddset(&s, SIGURG);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    hits = 0;
    raise(SIGURG);
    EQ(hits, 0);
    sigpending(&p);
    EQ(sigismember(&p, SIGURG), 1);
    EQ(sigwaitinfo(&s, &si), SIGURG);
    EQ(si.si_code, SI_USER); /* libc folds SI_TKILL into it */
    bump(&urgent);
    EQ(sigwaitinfo(&s, &si), SIGURG);
    raise(SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    EQ(hits, 1);
    return arg;
}

static void blocked(void)
{
    pthread_t t = go(blocks_and_waits, NULL);

    await(&urgent, 1);
    pause_ms(20);
    EQ(pthread_kill(t, SIGURG), 0);
    reap(t);
}

static void not_disturbed(void)
{
    hits = 0;
    pause_ms(100); /* the preemptions of the runtime are not the program's */
    EQ(hits, 0);
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
    pthread_t t[3];

    for (int i = 0; i < 3; i++)
        t[i] = go(computes, NULL);
    EQ(sigaction(SIGURG, &sa, &old), 0);
    CHECK(old.sa_handler == SIG_DFL);
    CASE(out_of_band);
    CASE(while_a_thread_reads);
    CASE(sent);
    CASE(blocked);
    CASE(not_disturbed);
    bump(&stop);
    for (int i = 0; i < 3; i++)
        reap(t[i]);
    return 0;
}
