/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The constructor: configuration, real functions, exit hook.  No thread and no descriptor is made
 * here: that happens at the first pthread_create, so a program without threads, and every child
 * that inherits the preload, pays for this function only.
 */
#include "core/kit/cfg.h"
#include "core/os/os.h"
#include "core/os/real.h"
#include "core/sched/dump.h"
#include "interpose/alloc.h"
#include "interpose/interpose.h"
#include "interpose/stats.h"
#include "interpose/thread.h"
#include "preload/unwind.h"

#include <sys/auxv.h>

extern char **environ;
/* atexit(3) without an owner: libc's wrapper would tie it to an object with start files. */
extern int __cxa_atexit(void (*f)(void *), void *arg, void *dso);

static void at_exit(void *arg)
{
    (void)arg;
    gt_stats_print();
}

static void warn_line(void *arg, const char *line)
{
    (void)arg;
    gt_warn("%s", line);
}

static void describe(void)
{
    char line[GT_CFG_LINE_MAX];
    for (size_t i = 0; gt_cfg_row(i); i++) {
        gt_cfg_describe(&gt_cfg, i, line, sizeof(line));
        gt_warn("%s", line);
    }
}

__attribute__((constructor)) static void init(int argc, char **argv, char **envp)
{
    (void)argc, (void)argv;
    gt_alloc_ours(); /* it reads the environment behind argv, which main may change */
    gt_cfg_parse(&gt_cfg, envp ? envp : environ, warn_line, NULL);
    gt_real_resolve();
    gt_arch_tp_init(getauxval(AT_HWCAP2) & 2 /* HWCAP2_FSGSBASE */);
    gt_clock_init();
    gt_thread_first();
    gt_unwind_init();
    if (gt_cfg.verbose)
        describe();
    if (gt_cfg.stats[0])
        __cxa_atexit(at_exit, NULL, NULL);
}
