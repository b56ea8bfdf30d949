/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tracebacks: the compiler's own unwinder walks the stack inside the process; `gothread symbolize`,
 * started at the first dump, names the PCs: it gets this process's maps and then one PC a line
 * through a pipe (PITFALLS 19: libdw in a crashing process would allocate and lock).  Without the
 * helper bare PCs are printed.
 *
 * The unwinder is libgcc_eh.a, linked in under other names (unwind.syms), its few libc references
 * bound to the stubs below: it finds its tables by _dl_find_object, which takes no lock.  Not
 * libunwind: Debian's archive of it is not position-independent and cannot be linked into a shared
 * object.
 *
 * Walking from a saved context: gt_arch_unwind_from() calls us with a return address whose CFI says
 * "all registers are in this ucontext", so that the unwinder steps from our frame into the
 * interrupted one.
 *
 * Runs in a signal frame, on 64 KiB of stack; one dump at a time (gt_dump_crash holds the turn).
 */
#include <unwind.h>

#include "preload/unwind.h"

#include "core/kit/cfg.h"
#include "core/sched/dump.h"

/* ---- the unwinder's surroundings ---- */

typedef _Unwind_Reason_Code (*trace_fn)(struct _Unwind_Context *, void *);
_Unwind_Reason_Code gt_uw_backtrace(trace_fn f, void *arg);
_Unwind_Ptr gt_uw_get_ip(struct _Unwind_Context *ctx);
int gt_uw_once(int *once, void (*fn)(void));
int gt_uw_lock(void *m);
int gt_uw_unlock(void *m);
int gt_uw_key_create(void *k);
void *gt_uw_malloc(size_t n);
void gt_uw_free(void *p);
GT_NORETURN void gt_uw_abort(void);
void gt_arch_unwind_from(const void *uc, void (*fn)(void *), void *arg);

int gt_uw_once(int *once, void (*fn)(void))
{
    if (!*once)
        fn();
    *once = 2;
    return 0;
}

int gt_uw_lock(void *m)
{
    (void)m;
    return 0;
}

int gt_uw_unlock(void *m)
{
    return gt_uw_lock(m);
}

/* Its presence says "threads are there"; it is not called. */
int gt_uw_key_create(void *k)
{
    return gt_uw_lock(k);
}

/* Only asked for when frames are registered by hand, which nobody can do with this copy. */
void *gt_uw_malloc(size_t n)
{
    (void)n;
    return NULL;
}

void gt_uw_free(void *p)
{
    (void)p;
}

void gt_uw_abort(void)
{
    gt_fatal("the unwinder met a register rule that it does not know", 0, 0);
}

struct walk {
    uintptr_t *pcs;
    int n, max;
    int skip; /* our own frames above the context */
};

static _Unwind_Reason_Code frame(struct _Unwind_Context *ctx, void *arg)
{
    struct walk *w = arg;
    uintptr_t pc = gt_uw_get_ip(ctx);
    if (w->skip > 0) {
        w->skip--;
        return _URC_NO_REASON;
    }
    if (w->n == w->max || !pc)
        return _URC_END_OF_STACK;
    w->pcs[w->n++] = pc;
    return _URC_NO_REASON;
}

static GT_NOINLINE void do_walk(void *arg)
{
    gt_uw_backtrace(frame, arg);
    GT_COMPILER_BAR(); /* no tail call: this frame is counted in skip */
}

static int walk(const void *uc, uintptr_t *pcs, int max)
{
    struct walk w = {.pcs = pcs, .max = max, .skip = 2};
    gt_arch_unwind_from(uc, do_walk, &w);
    return w.n;
}

/* ---- the helper ---- */

static int to_helper = -1, from_helper = -1;

GT_NORETURN static void child(int in, int out)
{
    char *argv[] = {gt_cfg.symbolizer, "symbolize", NULL};
    char *envp[] = {NULL};
    GT_SYS3(SYS_dup3, in, 0, 0);
    GT_SYS3(SYS_dup3, out, 1, 0);
    GT_SYS3(SYS_execve, gt_cfg.symbolizer, argv, envp);
    for (;;)
        GT_SYS3(SYS_exit_group, 127, 0, 0);
}

static void send_maps(void)
{
    char buf[4096];
    long n;
    int fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    while (fd >= 0 && (n = sys_read(fd, buf, sizeof(buf))) > 0)
        sys_write(to_helper, buf, (size_t)n);
    if (fd >= 0)
        sys_close(fd);
    sys_write(to_helper, "\n", 1);
}

static bool start_helper(void)
{
    static bool tried;
    int a[2], b[2];
    if (tried || !gt_cfg.symbolizer[0])
        return to_helper >= 0;
    tried = true;
    if (GT_SYS3(SYS_pipe2, a, O_CLOEXEC, 0) < 0 || GT_SYS3(SYS_pipe2, b, O_CLOEXEC, 0) < 0)
        return false;
    /* a plain fork by system call: libc's would take locks */
    long pid = GT_SYS6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
    if (pid == 0)
        child(a[0], b[1]);
    sys_close(a[0]);
    sys_close(b[1]);
    if (pid < 0)
        return false;
    to_helper = a[1];
    from_helper = b[0];
    send_maps();
    return true;
}

/* Reads one line of the answer; two seconds at most. */
static size_t answer(char *out, size_t size)
{
    size_t n = 0;
    while (n + 1 < size) {
        struct pollfd p = {.fd = from_helper, .events = POLLIN};
        if (sys_poll(&p, 1, 2000) <= 0 || sys_read(from_helper, out + n, 1) <= 0) {
            sys_close(to_helper);
            to_helper = -1;
            return 0;
        }
        if (out[n++] == '\n')
            break;
    }
    out[n] = '\0';
    return n;
}

static int symbolize(const uintptr_t *pcs, int n, char *out, size_t size)
{
    size_t at = 0;
    if (!start_helper())
        return 0;
    for (int i = 0; i < n && at + 300 < size; i++) {
        char q[32];
        size_t k = gt_snprintf(q, sizeof(q), "%lx%s\n", (unsigned long)pcs[i], i ? " r" : "");
        if (to_helper < 0 || sys_write(to_helper, q, k) < 0)
            return 0;
        at += gt_snprintf(out + at, size - at, "\t%lx ", (unsigned long)pcs[i]);
        size_t got = answer(out + at, size - at);
        if (!got)
            return 0;
        at += got;
    }
    return (int)at;
}

void gt_unwind_init(void)
{
    gt_unwind = walk;
    gt_symbolize = symbolize;
}
