/* SPDX-License-Identifier: BSD-2-Clause */
/* Name look-ups from 200 threads at once, while others keep running. */
#include "tap.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/socket.h>

enum { N = 200 };

static void *looks_up(void *arg)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *ai = NULL;
    struct sockaddr_in *sin;
    char name[64];

    EQ(getaddrinfo("localhost", "80", &hints, &ai), 0);
    sin = (struct sockaddr_in *)ai->ai_addr;
    EQ(ntohl(sin->sin_addr.s_addr), INADDR_LOOPBACK);
    EQ(ntohs(sin->sin_port), 80);
    EQ(getnameinfo(ai->ai_addr, ai->ai_addrlen, name, sizeof name, NULL, 0, NI_NUMERICHOST), 0);
    CHECK(strcmp(name, "127.0.0.1") == 0);
    freeaddrinfo(ai);
    hints.ai_flags = AI_NUMERICHOST;
    EQ(getaddrinfo("not a number", NULL, &hints, &ai), EAI_NONAME);
    return arg;
}

static void *looks_up_old(void *arg)
{
    struct hostent h, *found = NULL;
    struct passwd pw, *who = NULL;
    char buf[4096];
    int err = 0;

    EQ(gethostbyname_r("localhost", &h, buf, sizeof buf, &found, &err), 0);
    CHECK(found && h.h_addrtype == AF_INET && h.h_length == 4);
    EQ(getpwuid_r(0, &pw, buf, sizeof buf, &who), 0);
    CHECK(who && strcmp(pw.pw_name, "root") == 0);
    return arg;
}

static void from_threads(void *(*body)(void *))
{
    static pthread_t t[N];

    for (int i = 0; i < N; i++)
        t[i] = go(body, NULL);
    for (int i = 0; i < N; i++)
        reap(t[i]);
}

static void address_info(void)
{
    from_threads(looks_up);
}

static void host_by_name(void)
{
    from_threads(looks_up_old);
}

int main(void)
{
    CASE(address_info);
    CASE(host_by_name);
    return 0;
}
