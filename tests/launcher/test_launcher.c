/* SPDX-License-Identifier: BSD-2-Clause */
/* The launcher, run as a person runs it: each test is a shell command whose output and exit status
 * are looked at. $D is the folder of the fixtures (launcher.mk builds them), $G the installed
 * launcher, $T a folder of the test's own. The object in that installation does nothing; whether
 * goroutines run is not this suite's business. */
#include <check.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static char dir[1024], tmp[64], out[1 << 16];

/* Both outputs of a command into out[]; returns its exit status. */
static int run(const char *command)
{
    char shell[2048];
    snprintf(shell, sizeof shell, "exec 2>&1; %s", command);
    FILE *p = popen(shell, "r");
    ck_assert_ptr_nonnull(p);
    size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    int status = pclose(p);
    ck_assert_msg(WIFEXITED(status), "%s: ended by signal %d", command, WTERMSIG(status));
    return WEXITSTATUS(status);
}

static void expect(const char *command, int status, const char *part)
{
    int got = run(command);
    ck_assert_msg(got == status, "%s: status %d, not %d\n%s", command, got, status, out);
    ck_assert_msg(strstr(out, part) != NULL, "%s: no \"%s\" in\n%s", command, part, out);
}

/* A refusal: the status, the reason, and nothing else than that one line. */
static void refuse(const char *command, int status, const char *part)
{
    expect(command, status, part);
    const char *end = strchr(out, '\n');
    ck_assert_msg(end != NULL && end[1] == '\0', "%s: not one line:\n%s", command, out);
    ck_assert_msg(strncmp(out, "gothread: ", 10) == 0 || strstr(out, "/gothread: ") != NULL,
                  "%s: does not say who speaks: %s", command, out);
}

static void expect_not(const char *part)
{
    ck_assert_msg(strstr(out, part) == NULL, "\"%s\" in\n%s", part, out);
}

static void find_dir(void)
{
    ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
    ck_assert_int_gt(n, 0);
    dir[n] = '\0';
    *strrchr(dir, '/') = '\0';
}

static void setup(void)
{
    char path[1200];
    static const char *const ours[] = {"LD_PRELOAD", "GOTHREAD",   "GODEBUG",    "GOMAXPROCS",
                                       "GOGC",       "GOMEMLIMIT", "GOTRACEBACK"};
    find_dir();
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        unsetenv(ours[i]);
    setenv("LC_ALL", "C", 1);
    setenv("D", dir, 1);
    snprintf(path, sizeof path, "%s/inst/bin/gothread", dir);
    setenv("G", path, 1);
    snprintf(path, sizeof path, "%s/inst/lib/gothread/libgothread.so", dir);
    setenv("O", path, 1);
    strcpy(tmp, "/tmp/gothread-launcher-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(tmp));
    ck_assert_int_eq(chmod(tmp, 0755), 0);
    setenv("T", tmp, 1);
}

static void teardown(void)
{
    run("rm -rf \"$T\"");
}

/* ---- launching ---- */

START_TEST(test_runs_the_program)
{
    char line[2400];
    expect("$G $D/plain one 'two 3' -n", 7, "argument 1: one\nargument 2: two 3\nargument 3: -n\n");
    snprintf(line, sizeof line, "LD_PRELOAD: %s\nGOTHREAD: symbolizer=%s\nGOMAXPROCS: unset\n",
             getenv("O"), getenv("G"));
    expect("$G $D/plain", 7, line);
    expect("cd $D && $G -- ./plain x", 7, "argument 0: ./plain\nargument 1: x\n");
    expect("PATH=/nowhere:$D $G plain", 7, "argument 0: plain\n");
    expect("cd $D && PATH= $G plain", 7, "argument 0: plain\n");
    expect("PATH=$T::$D; cp $D/plain $T/plain; chmod a-x $T/plain; $G plain", 7,
           "argument 0: plain");
    expect("$G sh -c 'exit 3'", 3, "");
}
END_TEST

START_TEST(test_options)
{
    expect("$G -n 4 $D/plain", 7, "GOMAXPROCS: 4\n");
    expect("GOMAXPROCS=2 $G -n4 $D/plain", 7, "GOMAXPROCS: 4\n");
    expect("$G -n auto $D/plain", 7, "GOMAXPROCS: auto\n");
    expect("$G --stats $D/plain", 7, "GOTHREAD: stats=-,symbolizer=");
    expect("$G --stats=- $D/plain", 7, "GOTHREAD: stats=-,symbolizer=");
    expect("$G --stats=/a/b $D/plain", 7, "GOTHREAD: stats=/a/b,symbolizer=");
    expect("cd /usr && $G --stats=b $D/plain", 7, "GOTHREAD: stats=/usr/b,symbolizer=");
    expect("GOTHREAD=stats,seed=5,,stats=/x,off $G --stats=/y $D/plain", 7,
           "GOTHREAD: seed=5,off,stats=/y,symbolizer=");
    expect("GOTHREAD=statsx=1 $G --stats $D/plain", 7, "GOTHREAD: statsx=1,stats=-,");
    expect("GOTHREAD=symbolizer=/another,seed=1 $G $D/plain", 7, "GOTHREAD: seed=1,symbolizer=");
    expect_not("/another");
}
END_TEST

START_TEST(test_bad_options)
{
    refuse("$G -n abc $D/plain", 125,
           "-n: GOMAXPROCS=\"abc\" ignored: want 1..1024 or auto; keeping \"auto\"");
    refuse("$G -n 0 $D/plain", 125, "\"0\"");
    refuse("$G -n -3 $D/plain", 125, "\"-3\"");
    refuse("$G -n 99999999 $D/plain", 125, "\"99999999\"");
    refuse("$G -n '' $D/plain", 125, "-n: want a number");
    refuse("$G -n $(printf %0100d 1) $D/plain", 125, "-n: want a number");
    refuse("$G -n", 125, "requires an argument");
    refuse("$G --frobnicate $D/plain", 125, "--frobnicate");
    refuse("$G -x $D/plain", 125, "'x'");
    refuse("$G", 125, "no program given");
    refuse("$G -v", 125, "no program given");
    refuse("$G --stats= $D/plain", 125, "--stats=");
    refuse("$G --stats=a,b $D/plain", 125, "without a comma");
    refuse("cd /tmp && $G --stats=$(printf %0251d 1) $D/plain", 125, "1 to 255 bytes");
}
END_TEST

START_TEST(test_preload_list)
{
    char line[2400];
    const char *o = getenv("O");
    snprintf(line, sizeof line, "LD_PRELOAD: %s:%s/libjemalloc.so.2\n", o, dir);
    expect("LD_PRELOAD=$D/libjemalloc.so.2 $G $D/plain", 7, line);
    expect("LD_PRELOAD=\"$D/libjemalloc.so.2 $O\" $G $D/plain", 7, line);
    expect("ln -s $O $T/o.so; LD_PRELOAD=:$T/o.so::$D/libjemalloc.so.2: $G $D/plain", 7, line);
    snprintf(line, sizeof line, "LD_PRELOAD: %s\n", o);
    expect("$G $G $G $D/plain", 7, line); /* the launcher under its own preload */
}
END_TEST

START_TEST(test_verbose)
{
    expect("GODEBUG=schedtrace=9 $G -v -n 3 --stats $D/plain", 7, "gothread: GOMAXPROCS=3\n");
    ck_assert_ptr_nonnull(strstr(out, "gothread: GODEBUG=schedtrace=9ms\n"));
    ck_assert_ptr_nonnull(strstr(out, "gothread: GOTHREAD=stats=-\n"));
    ck_assert_ptr_nonnull(strstr(out, "gothread: GOTHREAD=seed=0 (default)\n"));
    ck_assert_ptr_nonnull(strstr(out, "libgothread.so\n"));
    ck_assert_ptr_nonnull(strstr(out, "GOMAXPROCS: 3\n"));
}
END_TEST

START_TEST(test_missing_object)
{
    refuse("rm -rf $D/prefix; $D/lost/bin/gothread $D/plain", 125, "is neither beside");
    expect("mkdir -p $D/prefix/lib/gothread; cp $O $D/prefix/lib/gothread; "
           "$D/lost/bin/gothread $D/plain; s=$?; rm -rf $D/prefix; exit $s",
           7, "/prefix/lib/gothread/libgothread.so\n");
    /* Beside the launcher, found through a link, and only if it is a file. */
    expect("cp $G $O $T; ln -s $T/gothread $T/link; $T/link $D/plain", 7, tmp);
    refuse("rm $T/libgothread.so; mkdir $T/libgothread.so; $T/gothread $D/plain", 125, "neither");
    refuse("mkdir \"$T/a b\"; cp $G $O \"$T/a b\"; \"$T/a b/gothread\" $D/plain", 125,
           "a path with a space");
}
END_TEST

START_TEST(test_cannot_run)
{
    refuse("$G /nonexistent/program", 127, "/nonexistent/program: No such file");
    refuse("$G $D/plain/x", 127, "Not a directory");
    refuse("PATH=/usr/bin:/no $G no-such-program-at-all", 127,
           "no-such-program-at-all: No such file");
    refuse("$G ''", 127, "No such file");
    refuse("cp $D/plain $T/p; chmod a-x $T/p; $G $T/p", 126, "Permission denied");
    refuse("PATH=$T $G p", 126, "p: Permission denied");
    refuse("$G $T", 126, "Permission denied");
    refuse("$G $(printf %05000d 1)", 126, "too long");
}
END_TEST

/* ---- refusing what cannot be preloaded ---- */

static void write_file(const char *name, const void *bytes, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", tmp, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

START_TEST(test_refuses_by_link)
{
    refuse("$G $D/static", 125, "it is statically linked");
    refuse("$G $D/musl", 125, "/lib/ld-musl-x86_64.so.1, is not glibc's");
    refuse("$G $D/asaned", 125, "sanitizer runtime");
    refuse("$G $D/gobin", 125, "Go program");
    expect("$G $D/cloner", 7, "argument 0");
    expect("$G $D/mallocer", 7, "argument 0");
}
END_TEST

START_TEST(test_refuses_foreign_machines)
{
    Elf32_Ehdr i386 = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_EXEC,
                       .e_machine = EM_386,
                       .e_version = EV_CURRENT,
                       .e_ehsize = sizeof i386};
    Elf64_Ehdr ppc = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2MSB, EV_CURRENT},
                      .e_type = 0x0200,
                      .e_machine = 0x1500,
                      .e_version = 0x01000000,
                      .e_ehsize = 0x4000};
    write_file("i386", &i386, sizeof i386);
    refuse("$G $T/i386", 125, "it is a 32-bit i386 program, and this gothread is for");
    write_file("ppc", &ppc, sizeof ppc);
    refuse("$G $T/ppc", 125, "it is a 64-bit ppc64 program");
    write_file("cut", &i386, 20);
    refuse("$G $T/cut", 125, "damaged");
    i386.e_type = ET_REL;
    write_file("rel", &i386, sizeof i386);
    refuse("$G $T/rel", 125, "damaged or unusual");
    /* Cut anywhere, a program must be refused or fail to start, never upset the launcher. */
    expect("for n in 64 100 300 600 900 3000 9000; do head -c $n $D/plain >$T/c; chmod +x $T/c; "
           "$G check $T/c; echo status $?; done",
           0, "status 1");
    expect_not("status 139");
}
END_TEST

START_TEST(test_scripts)
{
    expect("printf '#!%s x\\n' $D/plain >$T/s; chmod +x $T/s; $G $T/s y", 7, "argument 1: x\n");
    refuse("printf '#! %s\\n' $D/static >$T/s; $G $T/s", 125, "static: cannot run as goroutines");
    refuse("printf '#!/no/such\\n' >$T/s; $G $T/s", 127, "its interpreter, /no/such: No such file");
    expect("printf '#!\\necho the shell\\n' >$T/s; $G $T/s", 0, "the shell\n");
    refuse("printf '#!/usr\\n' >$T/s; $G $T/s", 126, "its interpreter, /usr: Permission");
    expect("echo 'echo plain shell' >$T/s; $G $T/s", 0, "plain shell\n");
    expect(": >$T/s; $G $T/s", 0, "");
    expect("printf '#!%s' $D/plain >$T/s; $G $T/s", 7, "argument 0"); /* no newline */
}
END_TEST

START_TEST(test_scripts_of_scripts)
{
    expect("cd $T; printf '#!%s\\n' $D/plain >s0; for i in 1 2 3 4 5; do "
           "printf \"#!$T/s$((i-1))\\n\" >s$i; done; chmod +x s?; $G ./s3",
           7, "argument 0");
    refuse("$G $T/s4", 125, "scripts that run scripts");
    refuse("printf \"#!$T/loop\\n\" >$T/loop; chmod +x $T/loop; $G $T/loop", 125,
           "scripts that run scripts");
}
END_TEST

/* ---- setuid and its kin, which need root to set up ---- */

static bool can_set_rights(void)
{
    struct statvfs fs;
    if (geteuid() == 0 && statvfs(tmp, &fs) == 0 && !(fs.f_flag & ST_NOSUID))
        return true;
    fprintf(stderr, "test_launcher: setuid tests skipped: not root, or /tmp is nosuid\n");
    return false;
}

static int drop_root(const char *command)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
            _exit(99);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(98);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(test_setuid)
{
    if (!can_set_rights())
        return;
    refuse("cp $D/plain $T/u; chown 65534 $T/u; chmod 4755 $T/u; $G $T/u", 125, "the setuid bit");
    refuse("cp $D/plain $T/g; chgrp 65534 $T/g; chmod 2755 $T/g; $G $T/g", 125, "the setgid bit");
    expect("$G check $T/u", 1, "setuid: yes\n");
    expect("$G check $T/g", 1, "setgid: yes\n");
    /* Where the bit gives this caller nothing, ld.so keeps the preload. */
    expect("cp $D/plain $T/r; chmod 4755 $T/r; $G $T/r", 7, "argument 0");
    expect("$G check $T/r", 0, "setuid: yes\n");
    ck_assert_int_eq(drop_root("$G $T/u >/dev/null"), 7);
}
END_TEST

START_TEST(test_file_capabilities)
{
    /* struct vfs_cap_data, revision 2: CAP_NET_BIND_SERVICE permitted and effective */
    static const uint32_t cap[5] = {0x02000001, 1 << 10, 0, 0, 0};
    char path[128];
    if (!can_set_rights())
        return;
    run("cp $D/plain $T/c; cp $G $O $T; chmod 755 $T/*");
    snprintf(path, sizeof path, "%s/c", tmp);
    if (setxattr(path, "security.capability", cap, sizeof cap, 0) != 0) {
        fprintf(stderr, "test_launcher: capability test skipped: %s\n", strerror(errno));
        return;
    }
    expect("$T/gothread $T/c", 7, "argument 0"); /* root gains nothing by them */
    expect("$T/gothread check $T/c", 0, "file capabilities: yes\n");
    ck_assert_int_eq(setgid(65534), 0);
    ck_assert_int_eq(setuid(65534), 0);
    refuse("$T/gothread $T/c", 125, "file capabilities");
}
END_TEST

/* ---- gothread check ---- */

START_TEST(test_check_facts)
{
    expect("$G check $D/plain", 0, "can run: yes\n");
    ck_assert_ptr_nonnull(strstr(out, "dynamic: yes\n"));
    ck_assert_ptr_nonnull(strstr(out, "needs: libc.so.6\n"));
    ck_assert_ptr_nonnull(strstr(out, "calls pthread_create: not by itself"));
    ck_assert_ptr_nonnull(strstr(out, "own malloc: no\n"));
    ck_assert_ptr_nonnull(strstr(out, "calls clone: not by itself\n"));
    expect("$G check $D/static", 1, "can run: no: it is statically linked");
    ck_assert_ptr_nonnull(strstr(out, "interpreter: none\n"));
    expect("$G check $D/musl", 1, "interpreter: /lib/ld-musl-x86_64.so.1\n");
    expect("$G check $D/cloner", 0, "calls clone: yes");
    expect("$G check $D/mallocer", 0, "own malloc: yes\n");
    expect("$G check $D/jemalloced", 0, "own malloc: yes\n");
    expect("$G check $D/asaned", 1, "sanitizer runtime: yes\n");
    expect("$G check $D/gobin", 1, "Go runtime: yes\n");
    expect("$G check $D/threader", 0, "calls pthread_create: yes\n");
}
END_TEST

START_TEST(test_check_property_notes)
{
    expect("$G check $D/marked", 0, "marked for IBT: yes\nmarked for shadow stacks: yes\n");
    expect("$G check $D/plain", 0, "marked for IBT: no\nmarked for shadow stacks: no\n");
}
END_TEST

START_TEST(test_check_input)
{
    refuse("$G check /nonexistent", 127, "No such file");
    refuse("PATH=/usr/bin:/no $G check nonexistent-program", 127, "No such file");
    refuse("echo text >$T/t; chmod +x $T/t; $G check $T/t", 1, "neither an ELF file nor a script");
    refuse("chmod -x $T/t; $G check $T/t", 1, "Permission denied");
    refuse("$G check $T", 1, "Permission denied");
    refuse("printf '\\177ELFgarbage' >$T/e; chmod +x $T/e; $G check $T/e", 1, "damaged");
    refuse("$G check", 125, "usage: gothread check program");
    refuse("$G check a b", 125, "usage: gothread check program");
    expect("printf '#!%s\\n' $D/plain >$T/s; chmod +x $T/s; $G check $T/s", 0, "script of: /");
    expect("PATH=$D:$PATH $G check plain", 0, "can run: yes\n");
}
END_TEST

/* ---- help, version, man page ---- */

START_TEST(test_help)
{
    expect("$G --help", 0, "usage: gothread");
    expect("$G help", 0, "usage: gothread");
    expect("$G --version", 0, "gothread ");
    expect("$G help env", 0, "GOMAXPROCS=auto (1..1024 or auto)");
    ck_assert_ptr_nonnull(strstr(out, "Accepted; the collector"));
    ck_assert_ptr_nonnull(strstr(out, "  symbolizer=\"\""));
    for (const char *line = out; line != NULL; line = strchr(line + 1, '\n'))
        ck_assert_uint_le(strcspn(line + 1, "\n"), 80);
    refuse("$G help me", 125, "no help on \"me\"");
    refuse("$G --help >/dev/full", 125, "No space left");
}
END_TEST

START_TEST(test_man_page)
{
    expect("cat $D/../../gothread.1", 0, ".SS GOTHREAD\n");
    ck_assert_ptr_nonnull(strstr(out, ".B schedtrace\n"));
    expect_not("@");
    expect("if command -v groff >/dev/null; then groff -man -Tascii -ww -rLL=78n "
           "$D/../../gothread.1 | grep -c .; fi",
           0, "");
    expect_not("warning");
    expect_not("error");
}
END_TEST

/* ---- symbolize ---- */

/* The nth line of out, from 0, cut off there: the last is to be asked for first. */
static char *line_of(int n)
{
    char *line = out;
    while (n-- > 0) {
        line = strchr(line, '\n');
        ck_assert_ptr_nonnull(line);
        line++;
    }
    line[strcspn(line, "\n")] = '\0';
    return line;
}

static void expect_match(const char *line, const char *begin, const char *end)
{
    size_t n = strlen(line), e = strlen(end);
    ck_assert_msg(strncmp(line, begin, strlen(begin)) == 0 && n >= e &&
                      strcmp(line + n - e, end) == 0,
                  "\"%s\" is not \"%s ... %s\"", line, begin, end);
}

/* getpid, or __getpid with its line where libc's debug information is installed. */
static void expect_libc(const char *line)
{
    bool under = strncmp(line, "__", 2) == 0;
    expect_match(line + (under ? 2 : 0), "getpid+0x0", " libc.so.6");
}

START_TEST(test_symbolize)
{
    ck_assert_int_eq(run("$D/addresses | $G symbolize"), 0);
    ck_assert_str_eq(line_of(7), "??");
    ck_assert_str_eq(line_of(6), "??");
    expect_match(line_of(5), "?? anonymous+0x", "");
    expect_match(line_of(4), "__vdso_clock_gettime+0x0", " [vdso]");
    expect_libc(line_of(3));
    ck_assert_msg(strncmp(line_of(2), "work+", 5) != 0, "%s", line_of(2));
    ck_assert_ptr_nonnull(strstr(line_of(2), " addresses"));
    expect_match(line_of(1), "work+0x1 ", " addresses");
    expect_match(line_of(0), "work+0x0 ", "addresses.c:13 addresses");
}
END_TEST

START_TEST(test_symbolize_stripped)
{
    ck_assert_int_eq(run("$D/addresses-stripped | $G symbolize"), 0);
    expect_libc(line_of(3));
    expect_match(line_of(0), "?? addresses-stripped+0x", "");
    /* A file that is gone. */
    ck_assert_int_eq(run("cp $D/addresses $T/a; $T/a >$T/dump; rm $T/a; $G symbolize <$T/dump"), 0);
    expect_match(line_of(0), "?? a+0x", "");
}
END_TEST

START_TEST(test_symbolize_no_pie)
{
    ck_assert_int_eq(run("$D/addresses-nopie | $G symbolize"), 0);
    expect_match(line_of(0), "work+0x0 ", "addresses.c:13 addresses-nopie");
}
END_TEST

/* Each answer comes before the next question. */
START_TEST(test_symbolize_answers_at_once)
{
    expect("mkfifo $T/q $T/a; $G symbolize <$T/q >$T/a & exec 3>$T/q 4<$T/a; "
           "cat /proc/self/maps >&3; echo >&3; echo 10 >&3; read x <&4; echo first: $x; "
           "echo 20 >&3; read x <&4; echo second: $x; exec 3>&-; wait; echo ended",
           0, "first: ??\nsecond: ??\nended\n");
}
END_TEST

START_TEST(test_symbolize_pid)
{
    expect("mkfifo $T/f; $D/addresses wait <$T/f >$T/pc & pid=$!; exec 3>$T/f; "
           "while ! grep -q . $T/pc; do sleep 0.01; done; "
           "$G symbolize --pid $pid $(cat $T/pc) 10; exec 3>&-; wait $pid",
           0, "addresses.c:13 addresses\n??\n");
    refuse("$G symbolize --pid 4194305 10", 1, "No such file");
    refuse("$G symbolize --pid ../x 10", 125, "\"../x\" is not a process id");
    refuse("$G symbolize --pid 1", 125, "usage: gothread symbolize");
    refuse("$G symbolize x", 125, "usage: gothread symbolize");
    expect("$G symbolize </dev/null", 0, "");
    expect("printf 'no map\\n\\n1234\\n' | $G symbolize", 0, "??\n");
}
END_TEST

static TCase *launch_case(void)
{
    TCase *t = tcase_create("launch");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, test_runs_the_program);
    tcase_add_test(t, test_options);
    tcase_add_test(t, test_bad_options);
    tcase_add_test(t, test_preload_list);
    tcase_add_test(t, test_verbose);
    tcase_add_test(t, test_missing_object);
    tcase_add_test(t, test_cannot_run);
    tcase_add_test(t, test_refuses_by_link);
    tcase_add_test(t, test_refuses_foreign_machines);
    tcase_add_test(t, test_scripts);
    tcase_add_test(t, test_scripts_of_scripts);
    tcase_add_test(t, test_setuid);
    tcase_add_test(t, test_file_capabilities);
    return t;
}

static TCase *command_case(void)
{
    TCase *t = tcase_create("commands");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, test_check_facts);
    tcase_add_test(t, test_check_property_notes);
    tcase_add_test(t, test_check_input);
    tcase_add_test(t, test_help);
    tcase_add_test(t, test_man_page);
    tcase_add_test(t, test_symbolize);
    tcase_add_test(t, test_symbolize_stripped);
    tcase_add_test(t, test_symbolize_no_pie);
    tcase_add_test(t, test_symbolize_answers_at_once);
    tcase_add_test(t, test_symbolize_pid);
    return t;
}

int main(void)
{
    Suite *s = suite_create("launcher");
    suite_add_tcase(s, launch_case());
    suite_add_tcase(s, command_case());
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
