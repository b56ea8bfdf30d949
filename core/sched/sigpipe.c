/* SPDX-License-Identifier: BSD-2-Clause
 *
 * SIGPIPE belongs to the thread that wrote.  When that one blocks it, the kernel keeps it for the
 * kernel thread, and another goroutine there would get it.  So it moves to its owner: at once where
 * the write is a call of ours; else (one within stdio) before the kernel thread's mask lets it
 * through, from m->piper, the last goroutine there that blocked it.  Where all that run there block
 * it, it stays in the kernel: to look at each switch would cost more than the switch.  Its thread
 * may have ended: then nobody gets it, as plain.
 */
#include "core/os/sys.h"
#include "core/sched/sched_int.h"
#include "core/sched/signal.h"

/* For a write of our own; it looks like a kill(). */
static bool is_of_write(const siginfo_t *si)
{
    return si->si_code == SI_USER && si->si_pid == sys_getpid();
}

void gt_sig_take_pipe(struct gt_g *g)
{
    gt_sigset set = GT_SIGBIT(SIGPIPE);
    siginfo_t si;
    int r;
    do {
        r = sys_sigtake(&set, &si);
    } while (r == -EINTR);
    if (r != SIGPIPE)
        return;
    if (!is_of_write(&si)) /* the process's: it stays in the kernel */
        sys_kill(sys_getpid(), SIGPIPE);
    else if (g && (g->sigmask & set))
        gt_sig_send(g, SIGPIPE, &si);
}

void gt_sig_pipe_left(struct gt_m *m)
{
    struct gt_g *g = m->piper;
    m->piper = NULL;
    gt_sig_take_pipe(g->tid == m->piper_tid && load_acq(&g->status) != GT_G_IDLE ? g : NULL);
}
