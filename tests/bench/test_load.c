/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The load client must count what is right, and must notice what is wrong: a flipped byte, a byte
 * too many, a connection that is closed, a port where nobody listens, a request never answered.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/harness.h"

enum fault { FLIP, EXTRA, CLOSE };

static char line[512];

/* Runs the load client: 20 connections, 0.2 s. */
static int run_load(int port, const char *size)
{
    char text[16];
    const char *argv[] = {BENCH_BUILD "/bench/load", text, "20", "0.2", size, NULL};

    snprintf(text, sizeof text, "%d", port);
    return harness_run(argv, NULL, line, sizeof line, 20000);
}

static double value(const char *key)
{
    double v = -1;

    ck_assert_msg(harness_value(line, key, &v) == 0, "no %s in: %s", key, line);
    return v;
}

static void echo_is_clean(const char *size)
{
    const char *argv[] = {BENCH_BUILD "/examples/echo_server", NULL};
    struct child server;
    int port = harness_server(&server, argv, NULL);

    ck_assert_int_gt(port, 0);
    ck_assert_int_eq(run_load(port, size), 0);
    ck_assert(value("errors") == 0);
    ck_assert(value("conns") == 20);
    ck_assert(value("ops_s") > 0);
    ck_assert(value("p50_us") > 0 && value("p50_us") <= value("p99_us"));
    ck_assert_int_eq(harness_stop(&server, 5000), 0);
}

START_TEST(echo_small)
{
    echo_is_clean("64");
}
END_TEST

START_TEST(echo_one_byte)
{
    echo_is_clean("1");
}
END_TEST

/* More than the sockets hold: replies arrive while the request is still being sent. */
START_TEST(echo_large)
{
    echo_is_clean("3000000");
}
END_TEST

static int listener;
static enum fault fault;

/* Echoes, and does its fault to the second reply: the first that is timed, so it always comes. */
static void *bad_connection(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[256];
    ssize_t n;

    for (int i = 1; (n = read(fd, buf, 64)) > 0; i++) {
        if (i == 2 && fault == CLOSE)
            break;
        if (i == 2 && fault == FLIP)
            buf[n / 2] ^= 1;
        if (i == 2 && fault == EXTRA)
            buf[n++] = 'x';
        if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) < 0)
            break;
    }
    close(fd);
    return NULL;
}

static void *bad_server(void *arg)
{
    pthread_t thread;
    int fd;

    while ((fd = accept(listener, NULL, NULL)) >= 0)
        if (pthread_create(&thread, NULL, bad_connection, (void *)(intptr_t)fd))
            abort();
    return arg;
}

static int listen_somewhere(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;

    listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
    ck_assert_int_eq(listen(listener, 128), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
    return ntohs(addr.sin_port);
}

START_TEST(faults_are_seen)
{
    pthread_t thread;
    int port = listen_somewhere();

    fault = (enum fault)_i;
    ck_assert_int_eq(pthread_create(&thread, NULL, bad_server, NULL), 0);
    ck_assert_int_eq(run_load(port, "64"), 1);
    ck_assert(value("errors") > 0);
}
END_TEST

START_TEST(nobody_listens)
{
    ck_assert_int_eq(run_load(harness_free_port(), "64"), 1);
    ck_assert(value("errors") > 0);
    ck_assert(value("ops_s") == 0);
}
END_TEST

/* Connections are opened by the kernel, but nobody accepts them. */
START_TEST(nobody_answers)
{
    ck_assert_int_eq(run_load(listen_somewhere(), "64"), 1);
    ck_assert(value("errors") == 20);
}
END_TEST

START_TEST(wrong_usage)
{
    const char *argv[] = {BENCH_BUILD "/bench/load", "80", "0", "1", NULL};

    ck_assert_int_eq(harness_run(argv, NULL, line, sizeof line, 5000), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench_load");
    TCase *tc = tcase_create("load");
    SRunner *runner = srunner_create(suite);

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, echo_small);
    tcase_add_test(tc, echo_one_byte);
    tcase_add_test(tc, echo_large);
    tcase_add_loop_test(tc, faults_are_seen, FLIP, CLOSE + 1);
    tcase_add_test(tc, nobody_listens);
    tcase_add_test(tc, nobody_answers);
    tcase_add_test(tc, wrong_usage);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
