/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard: runs one command within a time limit and leaves none of its processes behind.
 *
 *     guard -t SECONDS -g GRACE [-o OBJECT] -r REPORT COMMAND [ARG...]
 *
 * It is the subreaper of all that the command starts, so that a descendant is found wherever
 * setsid took it and whoever its parent was.  At the limit every descendant that has OBJECT
 * mapped gets SIGQUIT, on which the object prints its goroutines; GRACE seconds later all are
 * killed.  When the command ends by itself, its descendants have two seconds to follow.
 * Exit status: the command's (128 + signal if it was killed); 124 at the limit; 123 when
 * processes were left.  REPORT then names them, one a line.  130 when guard itself is stopped.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PROCS = 8192, LINGER_S = 2, POLL_MS = 50 };
enum { EXIT_LEFT = 123, EXIT_LIMIT, EXIT_USAGE, EXIT_NO_EXEC, EXIT_STOPPED = 130 };

struct proc {
    pid_t pid;
    pid_t parent;
    char name[24];
    bool ours;
};

static struct proc procs[MAX_PROCS];
static const char *object;
static pid_t main_pid;
static int main_status;
static bool main_ended;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Fills *p from /proc/PID/stat; false if the process is gone or a zombie. */
static bool read_proc(const char *pid, struct proc *p)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool got = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    char *open = got ? strchr(line, '(') : NULL, *close = got ? strrchr(line, ')') : NULL;
    char state;
    int parent;
    if (!open || !close || sscanf(close + 1, " %c %d", &state, &parent) != 2 || state == 'Z')
        return false;
    *close = '\0';
    *p = (struct proc){.pid = atoi(pid), .parent = parent};
    snprintf(p->name, sizeof p->name, "%.20s", open + 1);
    return true;
}

/* Marks every child of a marked process until nothing changes: pids say nothing about order. */
static void mark_descendants(int n)
{
    for (bool again = true; again;) {
        again = false;
        for (int i = 0; i < n; i++) {
            bool ours = procs[i].parent == getpid();
            for (int k = 0; k < n && !ours; k++)
                ours = procs[k].ours && procs[k].pid == procs[i].parent;
            if (ours && !procs[i].ours)
                procs[i].ours = again = true;
        }
    }
}

/* Leaves our live descendants at the head of procs; returns how many they are. */
static int descendants(void)
{
    DIR *d = opendir("/proc");
    if (!d)
        return 0;
    int n = 0, kept = 0;
    for (struct dirent *e; n < MAX_PROCS && (e = readdir(d));)
        if (isdigit((unsigned char)e->d_name[0]) && read_proc(e->d_name, &procs[n]))
            n++;
    closedir(d);
    mark_descendants(n);
    for (int i = 0; i < n; i++)
        if (procs[i].ours)
            procs[kept++] = procs[i];
    return kept;
}

static bool has_object(pid_t pid)
{
    char path[64], line[4096];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *f = object ? fopen(path, "re") : NULL;
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f))
        found = strstr(line, object) != NULL;
    if (f)
        fclose(f);
    return found;
}

static void reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == main_pid) {
            main_status = status;
            main_ended = true;
        }
}

/* Sleeps until a child ends, a stop signal comes or POLL_MS pass; true for a stop signal. */
static bool nap(const sigset_t *set)
{
    struct timespec t = {.tv_nsec = POLL_MS * 1000000L};
    int sig = sigtimedwait(set, NULL, &t);
    reap();
    return sig == SIGINT || sig == SIGTERM || sig == SIGHUP;
}

static void kill_all(const sigset_t *set)
{
    for (int tries = 0; tries < 100; tries++) {
        int n = descendants();
        if (n == 0)
            return;
        for (int i = 0; i < n; i++)
            kill(procs[i].pid, SIGKILL);
        nap(set);
    }
}

static void report(const char *path, int n)
{
    FILE *f = fopen(path, "we");
    if (!f)
        return;
    for (int i = 0; i < n; i++)
        fprintf(f, "%d %s\n", (int)procs[i].pid, procs[i].name);
    fclose(f);
}

/* The limit has passed: ask for dumps, wait, kill. */
static void end_hanging(const sigset_t *set, double grace, const char *report_path)
{
    int n = descendants();
    report(report_path, n);
    bool asked = false;
    for (int i = 0; i < n; i++)
        if (has_object(procs[i].pid))
            asked = kill(procs[i].pid, SIGQUIT) == 0 || asked;
    for (double end = now() + grace; asked && now() < end;)
        nap(set);
    kill_all(set);
}

static void start(char **argv, const sigset_t *old)
{
    main_pid = fork();
    if (main_pid < 0) {
        perror("guard: fork");
        exit(EXIT_USAGE);
    }
    if (main_pid > 0)
        return;
    setsid();
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    sigprocmask(SIG_SETMASK, old, NULL);
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(EXIT_NO_EXEC);
}

/* Watches the command to its end; returns guard's own exit status. */
static int watch(const sigset_t *set, double limit, double grace, const char *report_path)
{
    for (double end = now() + limit; !main_ended;) {
        if (now() >= end) {
            end_hanging(set, grace, report_path);
            return EXIT_LIMIT;
        }
        if (nap(set)) {
            kill_all(set);
            return EXIT_STOPPED;
        }
    }
    int left = descendants();
    for (double end = now() + LINGER_S; left > 0 && now() < end; left = descendants())
        nap(set);
    if (left > 0) {
        report(report_path, left);
        kill_all(set);
        return EXIT_LEFT;
    }
    return WIFEXITED(main_status) ? WEXITSTATUS(main_status) : 128 + WTERMSIG(main_status);
}

int main(int argc, char **argv)
{
    double limit = 60, grace = 3;
    const char *report_path = "/dev/null";
    for (int opt; (opt = getopt(argc, argv, "+t:g:o:r:")) != -1;) {
        switch (opt) {
        case 't':
            limit = atof(optarg);
            break;
        case 'g':
            grace = atof(optarg);
            break;
        case 'o':
            object = optarg;
            break;
        case 'r':
            report_path = optarg;
            break;
        default:
            return EXIT_USAGE;
        }
    }
    if (optind == argc) {
        fprintf(stderr, "guard: no command\n");
        return EXIT_USAGE;
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        perror("guard: PR_SET_CHILD_SUBREAPER");
        return EXIT_USAGE;
    }
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &old);
    start(argv + optind, &old);
    return watch(&set, limit, grace, report_path);
}
