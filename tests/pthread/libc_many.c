/* SPDX-License-Identifier: BSD-2-Clause */
/* Two thousand threads at once inside libc: streams, databases of users and hosts, locales,
 * sorting, patterns, directories, temporary files, conversions, back traces, the environment; and
 * the calls that need much stack, on the default stacks. */
#include "tap.h"
#include <dirent.h>
#include <execinfo.h>
#include <fcntl.h>
#include <iconv.h>
#include <locale.h>
#include <netdb.h>
#include <pwd.h>
#include <regex.h>
#include <spawn.h>
#include <sys/wait.h>
#include <syslog.h>
#include <wchar.h>

enum { N = 2000 };

static pthread_t t[N];
static pthread_barrier_t start;
static FILE *shared;

static void run_all(void *(*body)(void *), int n)
{
    pthread_barrier_init(&start, NULL, (unsigned)n);
    for (long i = 0; i < n; i++)
        t[i] = go(body, (void *)i);
    for (int i = 0; i < n; i++)
        reap(t[i]);
    pthread_barrier_destroy(&start);
}

/* ---- streams ---- */

static void *writes_lines(void *arg)
{
    pthread_barrier_wait(&start);
    for (int i = 0; i < 5; i++)
        CHECK(fprintf(shared, "%05ld %d %s\n", (long)arg, i, "some text to fill the line") > 0);
    return NULL;
}

static int seen[N][5];

static void *reads_lines(void *arg)
{
    char line[128];

    pthread_barrier_wait(&start);
    for (int i = 0; i < 5; i++) {
        long who;
        int nr;

        CHECK(fgets(line, sizeof line, shared));
        EQ(sscanf(line, "%ld %d", &who, &nr), 2);
        bump(&seen[who][nr]);
    }
    return arg;
}

static void *counts_chars(void *arg)
{
    long n = 0;

    flockfile(shared);
    rewind(shared);
    while (getc_unlocked(shared) != EOF)
        n++;
    funlockfile(shared);
    EQ(n, N * 5 * 35L);
    return arg;
}

static void one_stream(void)
{
    shared = tmpfile();
    CHECK(shared);
    run_all(writes_lines, N);
    rewind(shared);
    run_all(reads_lines, N);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 5; k++)
            EQ(seen[i][k], 1);
    run_all(counts_chars, 50);
    fclose(shared);
}

static void *own_stream(void *arg)
{
    char want[32], line[32] = "", *mem = NULL;
    size_t size;
    FILE *f;

    pthread_barrier_wait(&start);
    snprintf(want, sizeof want, "thread %ld\n", (long)arg);
    f = (long)arg % 8 ? open_memstream(&mem, &size) : tmpfile();
    CHECK(f);
    fputs(want, f);
    fflush(f);
    if (!mem) {
        rewind(f);
        CHECK(fgets(line, sizeof line, f));
    } else {
        memcpy(line, mem, size);
    }
    CHECK(strcmp(line, want) == 0);
    fclose(f);
    free(mem);
    return NULL;
}

static void own_streams(void)
{
    run_all(own_stream, N);
}

/* ---- databases ---- */

static void *looks_up(void *arg)
{
    struct addrinfo hints, *ai = NULL;
    struct passwd pw, *res = NULL, *shared_pw;
    char buf[4096];

    pthread_barrier_wait(&start);
    memset(&hints, 0, sizeof hints);
    hints.ai_flags = AI_NUMERICHOST;
    hints.ai_socktype = SOCK_STREAM;
    EQ(getaddrinfo("127.0.0.1", "80", &hints, &ai), 0);
    EQ(ai->ai_family, AF_INET);
    freeaddrinfo(ai);
    EQ(getaddrinfo("localhost", NULL, NULL, &ai), 0);
    freeaddrinfo(ai);
    EQ(getpwnam_r("root", &pw, buf, sizeof buf, &res), 0);
    CHECK(res && pw.pw_uid == 0);
    EQ(getpwnam_r("no-such-user", &pw, buf, sizeof buf, &res), 0);
    CHECK(!res);
    shared_pw = getpwnam("root");
    CHECK(shared_pw && shared_pw->pw_uid == 0);
    return arg;
}

static void databases(void)
{
    run_all(looks_up, 500);
}

static void *logs(void *arg)
{
    pthread_barrier_wait(&start);
    syslog(LOG_DEBUG, "message %ld of a test: %m", (long)arg);
    return NULL;
}

static void system_log(void)
{
    openlog("libc_many", LOG_NDELAY, LOG_USER);
    run_all(logs, N);
    closelog();
}

/* ---- locales ---- */

static void *locales(void *arg)
{
    locale_t l = newlocale(LC_ALL_MASK, (long)arg % 2 ? "C.UTF-8" : "C", (locale_t)0), d;
    char text[16];

    CHECK(l);
    pthread_barrier_wait(&start);
    uselocale(l);
    for (int i = 0; i < 5; i++) {
        EQ(wctomb(text, L'\u00e9') > 0, (long)arg % 2);
        sched_yield();
        CHECK(setlocale(LC_CTYPE, NULL));
        d = duplocale(l);
        CHECK(d);
        freelocale(d);
    }
    uselocale(LC_GLOBAL_LOCALE);
    freelocale(l);
    return NULL;
}

static void *sets_locale(void *arg)
{
    CHECK(setlocale(LC_ALL, (long)arg % 2 ? "C" : "C.UTF-8"));
    CHECK(strcmp(strerror(ENOENT), "No such file or directory") == 0);
    return NULL;
}

static void all_locales(void)
{
    run_all(locales, N);
    for (int i = 0; i < 3; i++)
        for (long k = 0; k < 100; k++) {
            t[k] = go(sets_locale, (void *)k);
            reap(t[k]);
        }
    CHECK(setlocale(LC_ALL, "C"));
}

/* ---- much stack, much work ---- */

struct big {
    char pad[60];
    int key;
};

static int by_key(const void *a, const void *b)
{
    return ((const struct big *)a)->key - ((const struct big *)b)->key;
}

static void *sorts(void *arg)
{
    struct big v[200];

    for (int i = 0; i < 200; i++)
        v[i].key = (i * 7919 + (int)(long)arg) % 200;
    pthread_barrier_wait(&start);
    qsort(v, 200, sizeof v[0], by_key);
    for (int i = 1; i < 200; i++)
        CHECK(v[i - 1].key <= v[i].key);
    return NULL;
}

static void *matches(void *arg)
{
    regex_t re;
    regmatch_t m[3];
    char text[600];

    memset(text, 'a', sizeof text);
    strcpy(text + 500, "key=value-17;");
    pthread_barrier_wait(&start);
    EQ(regcomp(&re, "(([a-z]+)=[a-z]+-[0-9]+;)|(x(y*z)*)+", REG_EXTENDED | REG_ICASE), 0);
    EQ(regexec(&re, text, 3, m, 0), 0);
    EQ(m[0].rm_eo, 513);
    regfree(&re);
    return arg;
}

static void *prints_long(void *arg)
{
    static const char format[] = "%.300Lf|%La|%5000d|%.*Lg";
    char *text = NULL;

    pthread_barrier_wait(&start);
    CHECK(asprintf(&text, format, 1e4000L, 1.5L, 7, 1000, 1.0L / 3) > 9000);
    free(text);
    return arg;
}

static void *traces(void *arg)
{
    void *pc[32];

    pthread_barrier_wait(&start);
    for (int i = 0; i < 3; i++) {
        int n = backtrace(pc, 32);
        char **names = backtrace_symbols(pc, n);

        CHECK(n >= 1 && n < 32);
        CHECK(names);
        free(names);
    }
    return arg;
}

static void heavy(void)
{
    run_all(sorts, N);
    run_all(matches, 300);
    run_all(prints_long, N);
    run_all(traces, N);
}

/* ---- files ---- */

static void *walks(void *arg)
{
    DIR *d;
    struct dirent *e;
    int root = 0;

    pthread_barrier_wait(&start);
    d = opendir("/");
    CHECK(d);
    while ((e = readdir(d)))
        root += strcmp(e->d_name, "etc") == 0;
    EQ(root, 1);
    EQ(closedir(d), 0);
    return arg;
}

static void *temporary(void *arg)
{
    char name[] = "/tmp/libc_manyXXXXXX", back[16] = "";
    int fd;

    pthread_barrier_wait(&start);
    fd = mkstemp(name);
    CHECK(fd >= 0);
    EQ(unlink(name), 0);
    EQ(pwrite(fd, "0123456789", 10, 100), 10);
    EQ(pread(fd, back, 4, 103), 4);
    CHECK(strcmp(back, "3456") == 0);
    EQ(close(fd), 0);
    return arg;
}

static void *converts(void *arg)
{
    char in[] = "gr\xc3\xbc\xc3\x9f", out[32] = "", *pi = in, *po = out;
    size_t ni = strlen(in), no = sizeof out;
    iconv_t cd;

    pthread_barrier_wait(&start);
    cd = iconv_open("UTF-16LE", "UTF-8");
    CHECK(cd != (iconv_t)-1);
    EQ(iconv(cd, &pi, &ni, &po, &no), 0);
    EQ(po - out, 8);
    EQ(iconv_close(cd), 0);
    return arg;
}

static void files(void)
{
    run_all(walks, 400);
    run_all(temporary, 400);
    run_all(converts, N);
}

/* ---- shared state of libc that must survive ---- */

static void *environs(void *arg)
{
    char name[32], value[32];

    snprintf(name, sizeof name, "LIBC_MANY_%ld", (long)arg);
    snprintf(value, sizeof value, "value %ld", (long)arg);
    pthread_barrier_wait(&start);
    EQ(setenv(name, value, 1), 0);
    EQ(unsetenv("LIBC_MANY_NONE"), 0);
    rand();
    random();
    return NULL;
}

static void *spawns(void *arg)
{
    char *const argv[] = {(char *)"true", NULL};
    int st;
    pid_t p;

    pthread_barrier_wait(&start);
    EQ(posix_spawn(&p, "/bin/true", NULL, NULL, argv, NULL), 0);
    EQ(waitpid(p, &st, 0), p);
    EQ(st, 0);
    return arg;
}

static void *pipes(void *arg)
{
    char line[32] = "";
    FILE *f;

    pthread_barrier_wait(&start);
    f = popen("echo text", "r");
    CHECK(f && fgets(line, sizeof line, f));
    CHECK(strcmp(line, "text\n") == 0);
    EQ(pclose(f), 0);
    return arg;
}

static void the_rest(void)
{
    run_all(environs, 300);
    for (int i = 0; i < 300; i++) {
        char name[32], value[32];

        snprintf(name, sizeof name, "LIBC_MANY_%d", i);
        snprintf(value, sizeof value, "value %d", i);
        CHECK(getenv(name) && strcmp(getenv(name), value) == 0);
    }
    run_all(spawns, 200);
    run_all(pipes, 50);
}

int main(void)
{
    CASE(one_stream);
    CASE(own_streams);
    CASE(databases);
    CASE(system_log);
    CASE(all_locales);
    CASE(heavy);
    CASE(files);
    CASE(the_rest);
    return 0;
}
