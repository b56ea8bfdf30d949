/* SPDX-License-Identifier: BSD-2-Clause */
/* What libc keeps for each thread: locale, character tables, resolver, messages of dlerror and
 * strerror, h_errno; and library calls that need stack or locks, from 500 threads. */
#include "tap.h"
#include <ctype.h>
#include <dlfcn.h>
#include <locale.h>
#include <netdb.h>
#include <regex.h>
#include <resolv.h>
#include <wchar.h>

enum { N = 500 };

static pthread_t t[N];

static void run_all(void *(*body)(void *))
{
    for (long i = 0; i < N; i++)
        t[i] = go(body, (void *)i);
    for (int i = 0; i < N; i++)
        reap(t[i]);
}

static void *ctypes(void *arg)
{
    for (int i = 0; i < 5; i++) {
        CHECK(isalpha('a') && !isalpha('1') && isdigit('7') && isspace(' '));
        EQ(toupper('q'), 'Q');
        EQ(tolower('Q'), 'q');
        sched_yield();
    }
    return arg;
}

static void character_tables(void)
{
    run_all(ctypes);
}

static locale_t utf8;

static void *own_locale(void *arg)
{
    int wide = (long)arg % 2 == 0;

    if (wide)
        CHECK(uselocale(utf8) != (locale_t)0);
    for (int i = 0; i < 10; i++) {
        wchar_t w = 0;
        mbstate_t st = {0};

        CHECK((MB_CUR_MAX > 1) == wide);
        if (wide)
            EQ(mbrtowc(&w, "\xc3\xa9", 2, &st), 2);
        sched_yield();
    }
    CHECK((uselocale((locale_t)0) == utf8) == wide);
    return NULL;
}

static void locale_of_thread(void)
{
    utf8 = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    CHECK(utf8 != (locale_t)0);
    run_all(own_locale);
    EQ(MB_CUR_MAX, 1);
    freelocale(utf8);
}

static void *own_messages(void *arg)
{
    long i = (long)arg;
    char want[64], name[64];
    const char *text, *error;

    snprintf(want, sizeof want, "Unknown error %ld", 5000 + i);
    snprintf(name, sizeof name, "/none/library-%ld.so", i);
    text = strerror((int)(5000 + i));
    CHECK(dlopen(name, RTLD_NOW) == NULL);
    h_errno = (int)i;
    sched_yield();
    usleep(1);
    CHECK(strcmp(text, want) == 0);
    error = dlerror();
    CHECK(error && strstr(error, name));
    CHECK(dlerror() == NULL);
    EQ(h_errno, i);
    return NULL;
}

static void messages_of_thread(void)
{
    run_all(own_messages);
}

static void *own_resolver(void *arg)
{
    res_state r = __res_state();

    CHECK(r != NULL);
    CHECK(arg == NULL || r != *(res_state *)arg);
    sched_yield();
    CHECK(__res_state() == r);
    return NULL;
}

static void resolver_of_thread(void)
{
    res_state main_state = __res_state();

    for (int i = 0; i < 20; i++)
        reap(go(own_resolver, &main_state));
}

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void *heavy(void *arg)
{
    int v[300];
    char text[400];
    regex_t re;
    regmatch_t m[2];
    char *save, *word;
    int words = 0;

    for (int i = 0; i < 300; i++)
        v[i] = i * 7919 % 300;
    qsort(v, 300, sizeof v[0], compare);
    for (int i = 0; i < 300; i++)
        EQ(v[i], i);
    EQ(regcomp(&re, "([a-z]+)=[0-9]+", REG_EXTENDED), 0);
    EQ(regexec(&re, "..key=42", 2, m, 0), 0);
    EQ(m[1].rm_so, 2);
    regfree(&re);
    snprintf(text, sizeof text, "%.10f %.3e %La", 1.0 / 3, 12345.678, 1.0L);
    CHECK(strncmp(text, "0.3333333333 1.235e+04 ", 23) == 0);
    CHECK(strtod("2.5e3", NULL) == 2500.0);
    strcpy(text, "one two  three");
    for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        words++;
    EQ(words, 3);
    CHECK(strcmp(strerror(ENOENT), "No such file or directory") == 0);
    return arg;
}

static void heavy_calls(void)
{
    run_all(heavy);
}

static void *formats_time(void *arg)
{
    time_t when = (time_t)(long)arg * 86400;
    struct tm tm;
    char text[32], want[32];

    gmtime_r(&when, &tm);
    EQ(timegm(&tm), when);
    strftime(text, sizeof text, "%j", &tm);
    snprintf(want, sizeof want, "%03ld", (long)arg % 365 + 1);
    if ((long)arg < 365)
        CHECK(strcmp(text, want) == 0);
    return NULL;
}

static void times(void)
{
    run_all(formats_time);
}

int main(void)
{
    CASE(character_tables);
    CASE(locale_of_thread);
    CASE(messages_of_thread);
    CASE(resolver_of_thread);
    CASE(heavy_calls);
    CASE(times);
    return 0;
}
