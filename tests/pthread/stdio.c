/* SPDX-License-Identifier: BSD-2-Clause */
/* stdio from many threads: one FILE shared by 200, streams over pipes and socket pairs, locked
 * sequences, blocked readers that hold a stream's lock. */
#include "tap.h"
#include <sys/socket.h>

enum { N = 200 };

static FILE *shared;
static pthread_t t[N];

static void *prints(void *arg)
{
    for (int i = 0; i < 20; i++)
        CHECK(fprintf(shared, "%03ld:%02d:%s\n", (long)arg, i, "the rest of the line") > 0);
    return NULL;
}

static void one_file(void)
{
    char line[64];
    int next[N] = {0}, lines = 0;

    shared = tmpfile();
    CHECK(shared);
    for (long i = 0; i < N; i++)
        t[i] = go(prints, (void *)i);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    rewind(shared);
    while (fgets(line, sizeof line, shared)) {
        int who = -1, which = -1;
        char rest[32];

        EQ(sscanf(line, "%d:%d:%31[^\n]", &who, &which, rest), 3);
        CHECK(who >= 0 && who < N && strcmp(rest, "the rest of the line") == 0);
        EQ(which, next[who]++);
        lines++;
    }
    EQ(lines, N * 20);
    fclose(shared);
}

static void *locked_sequence(void *arg)
{
    for (int i = 0; i < 10; i++) {
        flockfile(shared);
        flockfile(shared);
        for (int k = 0; k < 10; k++) {
            putc_unlocked('a' + (int)((long)arg % 26), shared);
            if (k == 5)
                sched_yield();
        }
        funlockfile(shared);
        putc('\n', shared);
        funlockfile(shared);
    }
    return NULL;
}

static void locked_sequences(void)
{
    char line[64];

    shared = tmpfile();
    for (long i = 0; i < N; i++)
        t[i] = go(locked_sequence, (void *)i);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    rewind(shared);
    while (fgets(line, sizeof line, shared)) {
        EQ(strlen(line), 11);
        for (int k = 1; k < 10; k++)
            EQ(line[k], line[0]);
    }
    fclose(shared);
}

static int sv[N][2];

static void *asks(void *arg)
{
    long i = (long)arg;
    FILE *f = fdopen(sv[i][0], "r+");
    char line[64], want[64];

    for (int k = 0; k < 10; k++) {
        EQ(fprintf(f, "q %03ld %d\n", i, k), 8);
        EQ(fflush(f), 0);
        CHECK(fgets(line, sizeof line, f));
        snprintf(want, sizeof want, "a q %03ld %d\n", i, k);
        EQ(strcmp(line, want), 0);
    }
    EQ(fclose(f), 0);
    return NULL;
}

static void *answers(void *arg)
{
    long i = (long)arg;
    FILE *in = fdopen(dup(sv[i][1]), "r"), *out = fdopen(sv[i][1], "w");
    char *line = NULL;
    size_t room = 0;
    long n = 0;

    while (getline(&line, &room, in) > 0) {
        fprintf(out, "a %s", line);
        fflush(out);
        n++;
    }
    free(line);
    fclose(in);
    fclose(out);
    return (void *)n;
}

static void conversations(void)
{
    static pthread_t a[N];

    for (long i = 0; i < N; i++) {
        EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv[i]), 0);
        a[i] = go(answers, (void *)i);
        t[i] = go(asks, (void *)i);
    }
    for (int i = 0; i < N; i++) {
        reap(t[i]);
        EQ((long)reap(a[i]), 10);
    }
}

static void *takes_line(void *arg)
{
    char line[64];

    CHECK(fgets(line, sizeof line, shared)); /* one waits in read, the others for the stream */
    bump((int *)arg);
    return NULL;
}

static void many_readers_of_one_stream(void)
{
    int p[2], got = 0;

    EQ(pipe(p), 0);
    shared = fdopen(p[0], "r");
    for (int i = 0; i < N; i++)
        t[i] = go(takes_line, &got);
    pause_ms(30);
    EQ(got, 0);
    for (int i = 0; i < N; i++)
        EQ(write(p[1], "line\n", 5), 5);
    for (int i = 0; i < N; i++)
        reap(t[i]);
    EQ(got, N);
    fclose(shared);
    close(p[1]);
}

static void *formats(void *arg)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    for (int i = 0; i < 50; i++)
        fprintf(f, "%ld %d %.3f;", (long)arg, i, i / 8.0);
    fclose(f);
    EQ(strlen(text), n);
    CHECK(n > 400);
    free(text);
    EQ(asprintf(&text, "%0*d", 300, 7), 300);
    free(text);
    return NULL;
}

static void memory_streams(void)
{
    for (long i = 0; i < N; i++)
        t[i] = go(formats, (void *)i);
    for (int i = 0; i < N; i++)
        reap(t[i]);
}

int main(void)
{
    CASE(one_file);
    CASE(locked_sequences);
    CASE(conversations);
    CASE(many_readers_of_one_stream);
    CASE(memory_streams);
    return 0;
}
