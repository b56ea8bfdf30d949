/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The statistics that --stats prints.  Runs at the end of the process, on any thread; counters may
 * still move.
 */
#include "interpose/stats.h"
#include "interpose/alloc.h"

#include <dlfcn.h>

#include "core/kit/cfg.h"
#include "core/os/real.h"
#include "core/sched/sched.h"
#include "core/sched/sysmon.h"
#include "core/sched/wire.h"

struct sink {
    int fd;
    size_t n;
    char buf[8192];
};

static void line(struct sink *s, const char *a, const char *b, uint64_t v)
{
    if (s->n > sizeof(s->buf) - 160) {
        sys_write(s->fd, s->buf, s->n);
        s->n = 0;
    }
    s->n +=
        gt_snprintf(s->buf + s->n, sizeof(s->buf) - s->n, "%s%s: %lu\n", a, b, (unsigned long)v);
}

static void reasons(struct sink *s, const char *what, _Atomic uint64_t *counts)
{
    static const char *const names[] = {
#define X(id, name, text) #name,
        GT_REASONS(X)
#undef X
    };
    for (int i = 1; i < GT_R_COUNT; i++)
        line(s, what, names[i], load_rlx(&counts[i]));
}

static void wirings(struct sink *s)
{
    static const char *const names[] = {
#define X(id, name) #name,
        GT_WIRE_REASONS(X)
#undef X
    };
    for (int i = 0; i < GT_W_COUNT; i++)
        if (load_rlx(&gt_wire_count[i]))
            line(s, "wired.", names[i], load_rlx(&gt_wire_count[i]));
}

static void add_stack(struct gt_g *g, void *arg)
{
    if (g->stack)
        *(uint64_t *)arg += (uint64_t)(g->stack_top - g->stack_lo);
}

/* Go's MemStats.  BySize: classes that were used. */
static void memory(struct sink *s)
{
    static struct gt_memstats st;
    if (!gt_alloc_ours())
        return;
    uint64_t stacks = 0;
    gt_readmemstats(&st);
    gt_foreach_g(add_stack, &stacks);
    line(s, "HeapAlloc", "", st.HeapAlloc);
    line(s, "HeapSys", "", st.HeapSys);
    line(s, "HeapIdle", "", st.HeapIdle);
    line(s, "HeapInuse", "", st.HeapInuse);
    line(s, "HeapReleased", "", st.HeapReleased);
    line(s, "HeapObjects", "", st.HeapObjects);
    line(s, "Mallocs", "", st.Mallocs);
    line(s, "Frees", "", st.Frees);
    line(s, "TotalAlloc", "", st.TotalAlloc);
    line(s, "StackInuse", "", stacks);
    line(s, "Sys", "", st.Sys + stacks);
    for (int c = 1; c < GT_NCLASS; c++) {
        char name[32];
        gt_snprintf(name, sizeof(name), "BySize.%lu.", (unsigned long)st.BySize[c].Size);
        if (st.BySize[c].Mallocs) {
            line(s, name, "Mallocs", st.BySize[c].Mallocs);
            line(s, name, "Frees", st.BySize[c].Frees);
        }
    }
}

static void places(struct sink *s)
{
    const struct gt_unannounced *u = gt_sysmon_unannounced();
    for (int i = 0; i < GT_UNANNOUNCED && u[i].pc; i++) {
        Dl_info in;
        char name[128] = "unknown";
        if (dladdr((void *)u[i].pc, &in) && in.dli_sname)
            gt_snprintf(name, sizeof(name), "%s", in.dli_sname);
        else if (in.dli_fname)
            gt_snprintf(name, sizeof(name), "%s+0x%lx", in.dli_fname,
                        (unsigned long)(u[i].pc - (uintptr_t)in.dli_fbase));
        line(s, "unannounced.", name, u[i].count);
    }
}

void gt_stats_print(void)
{
    static _Atomic bool done;
    static struct sink s;
    if (!gt_cfg.stats[0] || xchg_acqrel(&done, true))
        return;
    bool to_err = gt_cfg.stats[0] == '-' && !gt_cfg.stats[1];
    s.fd = to_err ? 2 : sys_open(gt_cfg.stats, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (s.fd < 0) {
        gt_warn("cannot write statistics to %s (error %d)", gt_cfg.stats, -s.fd);
        return;
    }
    static const char *const names[] = {
#define X(n) #n,
        GT_STATS(X)
#undef X
    };
    for (int i = 0; i < GT_STAT_COUNT; i++)
        line(&s, names[i], "", load_rlx(&gt_stats[i]));
    reasons(&s, "parks.", gt_park_count);
    reasons(&s, "wakes.", gt_wake_count);
    wirings(&s);
    places(&s);
    memory(&s);
    sys_write(s.fd, s.buf, s.n);
    if (!to_err)
        sys_close(s.fd);
}
