/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dlopen and dlclose beside goroutines: a library with static TLS that is loaded late must be
 * imaged in every goroutine's block, which the dynamic linker does not know; text ranges change
 * too.   Source: PRIOR-ART.md, 2.4.
 *
 * libc looks at the return address of its dlopen to find the library that calls.  Where the search
 * depends on that, dl_stub.S jumps to it, and what it loaded is taken in at the next dlopen and
 * before a block is used again (pthread_create).  Else it is called from here: the caller's block
 * is filled in by the dynamic linker itself, all others when it returns.
 */
#include "interpose/interpose.h"

#include "core/os/tcb.h"
#include "core/sched/signal.h"
#include "interpose/pobj.h"
#include "interpose/thread.h"

#include <link.h>

static _Atomic bool dirty; /* something may have been loaded since the last sync */

struct each {
    void (*f)(void *tp, void *farg);
    void *farg;
};

static void one(struct gt_g *g, void *arg)
{
    struct each *e = arg;
    if (g->tp)
        e->f(g->tp, e->farg);
}

static void each_block(void (*f)(void *tp, void *farg), void *farg)
{
    struct each e = {f, farg};
    if (gt_solo())
        return; /* in a fork's child: others are nobody's, and pooled blocks are imaged when used */
    gt_foreach_g(one, &e);
    gt_stack_foreach_free(f, farg);
}

void gt_dl_sync(void)
{
    if (likely(!load_rlx(&dirty)) || (!load_acq(&gt_started) && !gt_solo()))
        return;
    store_rlx(&dirty, false);
    gt_tcb_dlopen_fix(each_block);
    gt_sig_ranges_init();
    gt_go_scan();
}

/* ---- dlopen ---- */

struct opening {
    struct gt_g *g;
    void *tp; /* on libc's list for the time being, or NULL */
};

/* Also when a constructor ends the thread. */
static void opening_end(struct opening *o)
{
    int err = errno;
    store_rlx(&dirty, true);
    gt_dl_sync();
    if (o->tp) {
        gt_sync_enter();
        gt_tcb_dlopen_end(o->tp);
        gt_sync_leave(o->g);
    }
    errno = err;
}

static void opening_begin(struct opening *o)
{
    gt_dl_sync();
    store_rlx(&dirty, true);
    struct gt_g *self = gt_thread_self();
    gt_sync_enter();
    if (self && gt_tcb_dlopen_begin(self->tp))
        o->tp = self->tp;
    gt_sync_leave(o->g);
}

static void *dlopen_here(const char *file, int mode)
{
    struct opening o __attribute__((cleanup(opening_end))) = {.g = gt_self()};
    opening_begin(&o);
    return REAL(dlopen)(file, mode);
}

static void *dlmopen_here(Lmid_t space, const char *file, int mode)
{
    struct opening o __attribute__((cleanup(opening_end))) = {.g = gt_self()};
    opening_begin(&o);
    return REAL(dlmopen)(space, file, mode);
}

static bool has_tag(const struct link_map *lm, int64_t tag)
{
    for (const ElfW(Dyn) *d = lm->l_ld; d && d->d_tag != DT_NULL; d++)
        if (d->d_tag == tag)
            return true;
    return false;
}

/* Does the search for file depend on who asks?  It does for a bare name, when the caller's library
 * has a RUNPATH or any has an RPATH, and for $ORIGIN.   Source: ld.so(8). */
static bool caller_matters(const char *file, void *caller)
{
    Dl_info in;
    struct link_map *lm = NULL;
    bool bare = file && *file;
    for (const char *p = file; p && *p; p++) {
        if (*p == '$')
            return true;
        bare &= *p != '/';
    }
    if (!bare)
        return false;
    if (!dladdr1(caller, &in, (void **)&lm, RTLD_DL_LINKMAP) || !lm || has_tag(lm, DT_RUNPATH))
        return true;
    for (lm = _r_debug.r_map; lm; lm = lm->l_next)
        if (has_tag(lm, DT_RPATH))
            return true;
    return false;
}

/* The stubs jump to what these return. */
void *gt_dlopen_enter(const char *file, int mode, void *unused, void *caller);
void *gt_dlmopen_enter(Lmid_t space, const char *file, int mode, void *caller);

static void *late(void *real)
{
    gt_dl_sync();
    store_rlx(&dirty, true);
    return real;
}

void *gt_dlopen_enter(const char *file, int mode, void *unused, void *caller)
{
    (void)mode, (void)unused;
    if ((load_acq(&gt_started) || gt_solo()) && !caller_matters(file, caller))
        return (void *)dlopen_here;
    return late((void *)REAL(dlopen));
}

void *gt_dlmopen_enter(Lmid_t space, const char *file, int mode, void *caller)
{
    (void)space, (void)mode;
    if ((load_acq(&gt_started) || gt_solo()) && !caller_matters(file, caller))
        return (void *)dlmopen_here;
    return late((void *)REAL(dlmopen));
}

GT_EXPORT int dlclose(void *lib)
{
    int r = REAL(dlclose)(lib);
    store_rlx(&dirty, true);
    gt_dl_sync(); /* now: before a library can come into the place of one that has gone */
    return r;
}
