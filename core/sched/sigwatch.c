/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sysmon's sleep, which a signal of the process ends too.
 *
 * A signal that is sent to the process goes to the M that runs a goroutine which does not block it:
 * the kernel has no other choice, as Ms that rest block it, and so does sysmon.  So the handler
 * runs before that goroutine does anything else.  What no M takes stays pending in the kernel, and
 * a signalfd wakes sysmon for it:
 *
 *   pending  --an M runs a goroutine that takes it-->  taken there (sigtake.c, took)
 *      |
 *      +--sysmon sees that no M will take it, counts itself in (S.taking), dequeues it, queues
 *         it on its taker, counts itself out-->  queued
 *
 * A goroutine whose wait has ended finds the signal in one of these states, never between them: it
 * is still pending, and then its M gets it with the goroutine's mask; or somebody is counted in,
 * for whom it waits (gt_sig_catch_up); or it is queued.  Were sysmon to have a handler run for it,
 * there would be a time between the kernel's taking it from the queue and the handler's first
 * instruction in which nobody could know of it.
 *
 * Without the descriptors (none is left, or the program has closed ours) sysmon blocks only what
 * all goroutines block, and takes signals by the trampoline.
 */
#include "core/sched/sigwatch.h"

#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "core/sched/netpoll.h"
#include "core/sched/sched_int.h"

#define AFTER_M (100 * GT_US) /* a signal is left to an M: look again */

static struct {
    int sigfd, evfd;
    _Atomic bool up; /* both are there; sysmon stores, then reads the note; wakers the other way */
    gt_sigset set;   /* sysmon only: what sigfd shows */
    bool left;       /* sysmon only: what is pending was left to an M */
} W = {.sigfd = -1, .evfd = -1};

static void drop(int *fd)
{
    if (*fd >= 0)
        sys_close(*fd);
    *fd = -1;
}

void gt_sigwatch_init(void)
{
    W.set = 0;
    W.left = false;
    int sig = sys_signalfd4(-1, &W.set, SFD_CLOEXEC | SFD_NONBLOCK);
    int ev = sys_eventfd2(0, EFD_CLOEXEC | EFD_NONBLOCK);
    W.sigfd = sig < 0 ? -1 : gt_netpoll_move_high(sig);
    W.evfd = ev < 0 ? -1 : gt_netpoll_move_high(ev);
    if (sig < 0 || ev < 0) {
        drop(&W.sigfd);
        drop(&W.evfd);
        return;
    }
    store_seq(&W.up, true);
    gt_signal_watch(true);
}

void gt_sigwatch_fork_child(void)
{
    store_rlx(&W.up, false);
    drop(&W.sigfd);
    drop(&W.evfd);
}

/* They are not ours any more: not to be closed. */
static void down(void)
{
    store_seq(&W.up, false);
    W.sigfd = W.evfd = -1;
    gt_signal_watch(false);
}

void gt_sigwatch_set(gt_sigset set)
{
    if (set == W.set || !load_rlx(&W.up))
        return;
    W.set = set;
    if (sys_signalfd4(W.sigfd, &set, 0) < 0)
        down();
}

void gt_sysmon_sleep(uint32_t note, int64_t when)
{
    if (unlikely(!load_rlx(&W.up))) {
        gt_futex_wait(&gt_sched.sysmon_note, note, when);
        return;
    }
    struct pollfd p[2] = {{.fd = W.evfd, .events = POLLIN}, {.fd = W.sigfd, .events = POLLIN}};
    int64_t now = gt_nanotime(), until = W.left ? GT_MIN(when, now + AFTER_M) : when;
    int64_t ns = GT_MAX(until - now, 0);
    struct timespec ts = {.tv_sec = ns / GT_SEC, .tv_nsec = ns % GT_SEC};
    int n = load_seq(&gt_sched.sysmon_note) != note
                ? 0
                : sys_ppoll(p, W.left ? 1 : 2, until == GT_NEVER ? NULL : &ts);
    if (n > 0 && ((p[0].revents | p[1].revents) & (POLLNVAL | POLLERR))) {
        down();
        return;
    }
    uint64_t v;
    if (n > 0 && p[0].revents)
        sys_read(W.evfd, &v, sizeof(v));
    if (W.left || (n > 0 && p[1].revents))
        W.left = gt_sig_fetch(W.set);
}

void gt_sysmon_wake(void)
{
    uint64_t one = 1;
    add_seq(&gt_sched.sysmon_note, 1);
    if (likely(load_seq(&W.up)))
        sys_write(W.evfd, &one, sizeof(one));
    else
        gt_futex_wake(&gt_sched.sysmon_note, 1);
}

bool gt_sigwatch_is_own(int fd)
{
    return load_rlx(&W.up) && (fd == W.sigfd || fd == W.evfd);
}
