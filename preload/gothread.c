/* SPDX-License-Identifier: BSD-2-Clause */
/* The launcher: `gothread [options] program [arguments]` puts libgothread.so in front of LD_PRELOAD
 * and becomes the program. It stays out of the way of everything else: the object reads its
 * configuration from the environment, so all that an option does is to set a variable. What cannot
 * be preloaded is refused here, in one line, since ld.so would start it without us and say nothing.
 * Exit statuses are those of env(1): 125 ours, 126 cannot be executed, 127 not found. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/kit/cfg.h"
#include "preload/check_elf.h"
#include "preload/symbolize.h"

enum { EXIT_OURS = 125, EXIT_NOEXEC = 126, EXIT_NOTFOUND = 127, SCRIPT_LEVELS = 4 };

static const char object_name[] = "libgothread.so";

struct options {
    const char *procs; /* -n */
    const char *stats; /* --stats: "-" or a file */
    bool verbose;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("gothread: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* ---- finding things ---- */

/* Our own path into self, and its folder's length into *dir; false when /proc does not say. */
static bool find_self(char self[PATH_MAX], size_t *dir)
{
    ssize_t n = readlink("/proc/self/exe", self, PATH_MAX - 1);
    if (n <= 0)
        return false;
    self[n] = '\0';
    *dir = (size_t)(strrchr(self, '/') - self);
    return true;
}

static bool is_readable_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}

/* Finds the object: beside the launcher (a build), in ../lib/gothread (an installation, wherever it
 * was moved to), where `make install` would put it. */
static bool find_object(char object[PATH_MAX])
{
    char self[PATH_MAX], path[PATH_MAX + 64];
    size_t dir;
    if (find_self(self, &dir)) {
        snprintf(path, sizeof path, "%.*s/%s", (int)dir, self, object_name);
        if (is_readable_file(path) && realpath(path, object) != NULL)
            return true;
        snprintf(path, sizeof path, "%.*s/../lib/gothread/%s", (int)dir, self, object_name);
        if (is_readable_file(path) && realpath(path, object) != NULL)
            return true;
    }
    snprintf(object, PATH_MAX, "%s/%s", GT_LIBDIR, object_name);
    return is_readable_file(object);
}

/* 0 when path can be executed, else the errno that exec would give. */
static int exec_error(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EACCES;
    return access(path, X_OK) == 0 ? 0 : errno;
}

/* Looks a program up as execvp does, into path. Returns 0 or an errno. */
static int find_program(const char *name, char path[PATH_MAX])
{
    const char *list = getenv("PATH");
    int err = ENOENT;
    if (name[0] == '\0' || strlen(name) >= PATH_MAX)
        return name[0] == '\0' ? ENOENT : ENAMETOOLONG;
    if (strchr(name, '/') != NULL) {
        snprintf(path, PATH_MAX, "%s", name);
        return exec_error(path);
    }
    for (list = list != NULL ? list : "/bin:/usr/bin";; list++) {
        size_t n = strcspn(list, ":");
        int used = snprintf(path, PATH_MAX, "%.*s%s%s", (int)n, list, n > 0 ? "/" : "./", name);
        int e = used < PATH_MAX ? exec_error(path) : ENAMETOOLONG;
        if (e == 0)
            return 0;
        if (e == EACCES)
            err = EACCES;
        list += n;
        if (*list == '\0')
            return err;
    }
}

static int find_failed(const char *name, int err)
{
    say("%s: %s", name, strerror(err));
    return err == ENOENT || err == ENOTDIR ? EXIT_NOTFOUND : EXIT_NOEXEC;
}

/* ---- what a program is ---- */

/* The interpreter that a script names in its first line, into interp; a file that is neither ELF
 * nor such a script (*script says) is run by the shell. False when the file cannot be read. */
static bool script_interpreter(const char *path, char interp[PATH_MAX], bool *script)
{
    char line[PATH_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    if (n < 0)
        return false;
    line[n] = '\0';
    line[strcspn(line, "\n")] = '\0';
    const char *name = strncmp(line, "#!", 2) == 0 ? line + 2 : "";
    name += strspn(name, " \t");
    *script = name[0] != '\0';
    if (!*script)
        name = "/bin/sh";
    snprintf(interp, PATH_MAX, "%.*s", (int)strcspn(name, " \t"), name);
    return true;
}

/* Reads the program that would really be loaded for path: the file, or its script's interpreter.
 * loaded   its path; PATH_MAX bytes
 * strict   a file that only exec's way out, the shell, would make sense of is an error
 * Returns  0, or an exit status after a line on stderr; unreadable programs pass with kind ERRNO,
 *          since exec does not need to read them.                                                */
static int read_program(const char *path, char *loaded, struct gt_elf *e, enum gt_elf_kind *kind,
                        bool strict)
{
    char next[PATH_MAX];
    snprintf(loaded, PATH_MAX, "%s", path);
    for (int level = 0;; level++) {
        *kind = gt_elf_read(loaded, e);
        if (*kind == GT_ELF_BROKEN) {
            say("%s: not a program that can run here: a damaged or unusual ELF file", loaded);
            return EXIT_OURS;
        }
        bool script = false;
        if (*kind != GT_ELF_OTHER || !script_interpreter(loaded, next, &script))
            return 0;
        if (strict && !script) {
            say("%s: neither an ELF file nor a script", loaded);
            return EXIT_OURS;
        }
        if (level == SCRIPT_LEVELS) {
            say("%s: scripts that run scripts, more than %d deep", path, SCRIPT_LEVELS);
            return EXIT_OURS;
        }
        int err = exec_error(next);
        if (err != 0) {
            say("%s: its interpreter, %s: %s", loaded, next, strerror(err));
            return err == ENOENT || err == ENOTDIR ? EXIT_NOTFOUND : EXIT_NOEXEC;
        }
        snprintf(loaded, PATH_MAX, "%s", next);
    }
}

/* 0 when the object can be preloaded into the program, else an exit status after a line. */
static int check_before_exec(const char *path)
{
    char loaded[PATH_MAX], why[512];
    struct gt_elf e;
    enum gt_elf_kind kind;
    int status = read_program(path, loaded, &e, &kind, false);
    if (status != 0 || kind == GT_ELF_ERRNO || !gt_elf_refused(&e, why, sizeof why))
        return status;
    say("%s: cannot run as goroutines: %s", loaded, why);
    return EXIT_OURS;
}

/* ---- the environment of the program ---- */

static bool set_env(const char *name, const char *value)
{
    if (setenv(name, value, 1) == 0)
        return true;
    say("%s: %s", name, strerror(errno));
    return false;
}

/* Is one entry of LD_PRELOAD the object, under whatever name? */
static bool is_object(const char *entry, const char *object)
{
    struct stat a, b;
    return strcmp(entry, object) == 0 || (stat(entry, &a) == 0 && stat(object, &b) == 0 &&
                                          a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

/* The object first, then what was there, without other mentions of the object. */
static bool set_preload(const char *object)
{
    const char *old = getenv("LD_PRELOAD");
    if (strpbrk(object, " :") != NULL) {
        say("%s: LD_PRELOAD cannot hold a path with a space or a colon", object);
        return false;
    }
    char *copy = strdup(old != NULL ? old : ""), *save = NULL;
    char *list = malloc(strlen(object) + (old != NULL ? strlen(old) : 0) + 2);
    if (copy == NULL || list == NULL) {
        say("%s", strerror(ENOMEM));
        free(copy);
        free(list);
        return false;
    }
    char *end = stpcpy(list, object);
    for (char *s = strtok_r(copy, " :", &save); s != NULL; s = strtok_r(NULL, " :", &save))
        if (!is_object(s, object))
            end = stpcpy(stpcpy(end, ":"), s);
    bool ok = set_env("LD_PRELOAD", list);
    free(list);
    free(copy);
    return ok;
}

/* Sets one key of GOTHREAD; the other keys keep their values and order. */
static bool set_gothread(const char *key, const char *value)
{
    const char *old = getenv("GOTHREAD");
    size_t n = strlen(key);
    char *copy = strdup(old != NULL ? old : ""), *save = NULL;
    char *list = malloc((old != NULL ? strlen(old) : 0) + n + strlen(value) + 3);
    if (copy == NULL || list == NULL) {
        say("%s", strerror(ENOMEM));
        free(copy);
        free(list);
        return false;
    }
    char *end = list;
    for (char *s = strtok_r(copy, ",", &save); s != NULL; s = strtok_r(NULL, ",", &save))
        if (strncmp(s, key, n) != 0 || (s[n] != '=' && s[n] != '\0'))
            end = stpcpy(stpcpy(end, s), ",");
    stpcpy(stpcpy(stpcpy(end, key), "="), value);
    bool ok = set_env("GOTHREAD", list);
    free(list);
    free(copy);
    return ok;
}

/* The program may change its folder, so the statistics file is named from the root. */
static bool set_stats(const char *file)
{
    char path[PATH_MAX] = "", cwd[PATH_MAX];
    if (strcmp(file, "-") == 0)
        return set_gothread("stats", file);
    if (file[0] != '/' && getcwd(cwd, sizeof cwd) == NULL) {
        say("--stats=%s: the current folder: %s", file, strerror(errno));
        return false;
    }
    int n = snprintf(path, sizeof path, "%s%s%s", file[0] != '/' ? cwd : "",
                     file[0] != '/' ? "/" : "", file);
    if (n >= GT_CFG_STR_MAX || strchr(path, ',') != NULL || file[0] == '\0') {
        say("--stats=%s: want a path of 1 to %d bytes without a comma (here: %s)", file,
            GT_CFG_STR_MAX - 1, path);
        return false;
    }
    return set_gothread("stats", path);
}

static void set_symbolizer(void)
{
    char self[PATH_MAX];
    size_t dir;
    if (find_self(self, &dir) && strlen(self) < GT_CFG_STR_MAX && strchr(self, ',') == NULL)
        set_gothread("symbolizer", self);
    else
        say("this launcher's own path cannot be passed on; crash dumps will lack names");
}

static void say_option(void *arg, const char *line)
{
    *(bool *)arg = true;
    say("-n: %s", line);
}

/* Checks -n as the object would check the variable, but refuses what it would only warn of. */
static bool set_procs(const char *procs)
{
    struct gt_cfg c;
    char entry[64];
    bool bad = false;
    int n = snprintf(entry, sizeof entry, "GOMAXPROCS=%s", procs);
    char *env[] = {entry, NULL};
    if (procs[0] == '\0' || n >= (int)sizeof entry) {
        say("-n: want a number of processors");
        return false;
    }
    gt_cfg_parse(&c, env, say_option, &bad);
    return !bad && set_env("GOMAXPROCS", procs);
}

static void print_config(const char *program, const char *object)
{
    char line[GT_CFG_LINE_MAX];
    struct gt_cfg c;
    gt_cfg_parse(&c, environ, NULL, NULL); /* what is wrong, the object says */
    say("program %s", program);
    say("object %s", object);
    for (size_t i = 0; gt_cfg_describe(&c, i, line, sizeof line) > 0; i++)
        say("%s", line);
}

static int launch(const struct options *o, char **argv)
{
    char path[PATH_MAX], object[PATH_MAX];
    if (!find_object(object)) {
        say("%s is neither beside this launcher, nor in ../lib/gothread, nor in %s", object_name,
            GT_LIBDIR);
        return EXIT_OURS;
    }
    int err = find_program(argv[0], path);
    if (err != 0)
        return find_failed(argv[0], err);
    int status = check_before_exec(path);
    if (status != 0)
        return status;
    if ((o->procs != NULL && !set_procs(o->procs)) || (o->stats != NULL && !set_stats(o->stats)) ||
        !set_preload(object))
        return EXIT_OURS;
    set_symbolizer();
    if (o->verbose)
        print_config(path, object);
    execvp(path, argv);
    return find_failed(argv[0], errno);
}

/* ---- commands ---- */

static const char usage[] =
    "usage: gothread [-n N] [--stats[=FILE]] [-v] program [argument ...]\n"
    "       gothread check program\n"
    "       gothread symbolize [--pid PID address ...]\n"
    "       gothread help [env]\n"
    "\n"
    "Runs an unmodified program with its threads as goroutines.\n"
    "\n"
    "  -n N            run at most N goroutines at once (sets GOMAXPROCS)\n"
    "  --stats[=FILE]  write counters at exit, on standard error or to FILE\n"
    "  -v              print the effective configuration first\n"
    "  --version       print the version\n"
    "  --help          print this\n"
    "\n"
    "A program named like a command (check, symbolize, help) is run by its path.\n"
    "Variables and debugging keys: gothread help env\n";

static int run_check(const char *name)
{
    char path[PATH_MAX], loaded[PATH_MAX], why[512];
    struct gt_elf e;
    enum gt_elf_kind kind;
    int err = find_program(name, path);
    if (err != 0)
        return find_failed(name, err) == EXIT_NOTFOUND ? EXIT_NOTFOUND : 1;
    int status = read_program(path, loaded, &e, &kind, true);
    if (status != 0)
        return status == EXIT_NOTFOUND ? EXIT_NOTFOUND : 1;
    if (kind == GT_ELF_ERRNO) {
        say("%s: %s", loaded, strerror(errno));
        return 1;
    }
    printf("file: %s\n", path);
    if (strcmp(path, loaded) != 0)
        printf("script of: %s\n", loaded);
    gt_elf_print(&e, stdout);
    bool refused = gt_elf_refused(&e, why, sizeof why);
    printf("can run: %s%s\n", refused ? "no: " : "yes", refused ? why : "");
    return refused ? 1 : 0;
}

static int run_symbolize(int argc, char **argv)
{
    if (argc == 0)
        return gt_symbolize_filter(stdin, stdout);
    if (argc >= 3 && strcmp(argv[0], "--pid") == 0)
        return gt_symbolize_pid(argv[1], argv + 2, argc - 2, stdout);
    say("usage: gothread symbolize [--pid PID address ...]");
    return EXIT_OURS;
}

/* Prints text in lines of at most 78 columns, each after `indent` spaces. */
static void print_wrapped(const char *text, int indent)
{
    int column = 0;
    while (*text != '\0') {
        int n = (int)strcspn(text, " ");
        if (column > 0 && column + 1 + n > 78) {
            putchar('\n');
            column = 0;
        }
        column += printf("%*s%.*s", column == 0 ? indent : 1, "", n, text);
        text += n;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static const char list_help[] = "a comma-separated list of key=value:";

/* True for the first row of a variable that is a list of keys. */
static bool begins_list(size_t i)
{
    const struct gt_cfg_row *r = gt_cfg_row(i);
    return r->key[0] != '\0' && (i == 0 || strcmp(gt_cfg_row(i - 1)->var, r->var) != 0);
}

static void help_env(void)
{
    char accepts[GT_CFG_LINE_MAX], line[2 * GT_CFG_LINE_MAX];
    const struct gt_cfg_row *r;
    for (size_t i = 0; (r = gt_cfg_row(i)) != NULL; i++) {
        int indent = r->key[0] != '\0' ? 2 : 0;
        if (begins_list(i))
            printf("%s: %s\n", r->var, list_help);
        gt_cfg_accepts(i, accepts, sizeof accepts);
        snprintf(line, sizeof line, "%s=%s  (%s)%s", indent > 0 ? r->key : r->var,
                 r->def[0] != '\0' ? r->def : "\"\"", accepts,
                 r->flags & GT_CFG_INERT ? " [no effect in this version]" : "");
        print_wrapped(line, indent);
        print_wrapped(r->help, indent + 6);
    }
    puts("\nShown are the defaults. A value or key that is not understood is ignored with a\n"
         "warning.");
}

/* Text for roff: what it would take for quotes, hyphens and commands is spelt out. */
static void print_roff(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '`')
            fputs("\\(ga", stdout);
        else if (*text == '\'')
            fputs("\\(aq", stdout);
        else
            putchar(*text);
    }
}

/* The ENVIRONMENT section of the man page; the build puts it where the page says. */
static void help_man(void)
{
    char accepts[GT_CFG_LINE_MAX];
    const struct gt_cfg_row *r;
    for (size_t i = 0; (r = gt_cfg_row(i)) != NULL; i++) {
        if (begins_list(i))
            printf(".SS %s\n%c%s\n", r->var, list_help[0] - 'a' + 'A', list_help + 1);
        gt_cfg_accepts(i, accepts, sizeof accepts);
        printf(".TP\n.B %s\n", r->key[0] != '\0' ? r->key : r->var);
        print_roff(r->help);
        printf("%s\nTakes ", r->flags & GT_CFG_INERT ? "\nNo effect in this version." : "");
        print_roff(accepts);
        printf(".\nDefault: %s.\n", r->def[0] != '\0' ? r->def : "none");
    }
}

static int run_help(const char *topic)
{
    if (topic == NULL)
        fputs(usage, stdout);
    else if (strcmp(topic, "env") == 0)
        help_env();
    else if (strcmp(topic, "man") == 0)
        help_man();
    else {
        say("no help on \"%s\"; there is: help, help env", topic);
        return EXIT_OURS;
    }
    return 0;
}

/* Runs a command; -1 when argv is none. */
static int run_command(int argc, char **argv)
{
    if (strcmp(argv[0], "help") == 0)
        return run_help(argc > 1 ? argv[1] : NULL);
    if (strcmp(argv[0], "symbolize") == 0)
        return run_symbolize(argc - 1, argv + 1);
    if (strcmp(argv[0], "check") != 0)
        return -1;
    if (argc == 2)
        return run_check(argv[1]);
    say("usage: gothread check program");
    return EXIT_OURS;
}

static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    say("standard output: %s", strerror(errno));
    return EXIT_OURS;
}

int main(int argc, char **argv)
{
    enum { OPT_STATS = 256, OPT_VERSION, OPT_HELP };
    static const struct option longs[] = {{"stats", optional_argument, NULL, OPT_STATS},
                                          {"version", no_argument, NULL, OPT_VERSION},
                                          {"help", no_argument, NULL, OPT_HELP},
                                          {NULL, 0, NULL, 0}};
    struct options o = {0};
    int status = argc > 1 ? run_command(argc - 1, argv + 1) : -1;
    if (status >= 0)
        return finish(status);
    for (int opt; (opt = getopt_long(argc, argv, "+n:v", longs, NULL)) != -1;) {
        switch (opt) {
        case 'n':
            o.procs = optarg;
            break;
        case 'v':
            o.verbose = true;
            break;
        case OPT_STATS:
            o.stats = optarg != NULL ? optarg : "-";
            break;
        case OPT_VERSION:
            printf("gothread %s\n", GT_VERSION);
            return finish(0);
        case OPT_HELP:
            return finish(run_help(NULL));
        default:
            return EXIT_OURS; /* getopt has said what is wrong */
        }
    }
    if (optind < argc)
        return launch(&o, argv + optind);
    say("no program given; see gothread --help");
    return EXIT_OURS;
}
