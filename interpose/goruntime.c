/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Programs and libraries that have Go's own runtime in them.  It is an M:N scheduler on kernel
 * threads: it asks the kernel for its thread's id, signal mask, alternate stack and handlers by
 * instructions of its own, and stops a thread by tgkill to that id.  Nobody can stand between, and
 * a thread that moves from one kernel thread to another is then never stopped: its collector waits
 * for ever.  So the threads that such code makes stay kernel threads, which are welcome beside
 * goroutines; and in a program whose main file is Go's there are no goroutines at all.
 *
 * It is known by the note that Go's linker writes (name "Go", type 4: the build's id).   Source:
 * Go's cmd/link, runtime/os_linux.go (minit, signalM).
 */
#include "interpose/interpose.h"

#include <elf.h>
#include <link.h>

#include "core/os/real.h"
#include "interpose/thread.h"

#define MAX_OBJECTS   16
#define GO_BUILDID    4
#define ALIGN_NOTE(x) GT_ALIGN_UP((size_t)(x), 4ul)

struct text {
    uintptr_t lo, hi;
};

/* Objects are added under the lock; the store release of n publishes one. */
static struct {
    struct gt_lock lock; /* DLFIX */
    struct text object[MAX_OBJECTS];
    _Atomic int n;
    _Atomic bool main_is_go;
} O;

static bool has_note(const char *at, size_t size)
{
    ElfW(Nhdr) h;
    while (size >= sizeof(h)) {
        gt_memcpy(&h, at, sizeof(h));
        size_t whole = sizeof(h) + ALIGN_NOTE(h.n_namesz) + ALIGN_NOTE(h.n_descsz);
        if (h.n_type == GO_BUILDID && h.n_namesz == 4 && !gt_memcmp(at + sizeof(h), "Go\0", 4))
            return true;
        if (whole > size)
            break;
        at += whole;
        size -= whole;
    }
    return false;
}

struct scan {
    int seen; /* objects before this one: the first is the program */
    int found;
    struct text object[MAX_OBJECTS];
};

static int look(struct dl_phdr_info *in, size_t size, void *arg)
{
    struct scan *s = arg;
    bool go = false;
    (void)size;
    for (int i = 0; i < in->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &in->dlpi_phdr[i];
        if (ph->p_type == PT_NOTE)
            go |= has_note((const char *)in->dlpi_addr + ph->p_vaddr, ph->p_memsz);
    }
    if (s->seen++ == 0 && go)
        store_rlx(&O.main_is_go, true); /* n is stored after it */
    for (int i = 0; go && i < in->dlpi_phnum && s->found < MAX_OBJECTS; i++) {
        const ElfW(Phdr) *ph = &in->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
            continue;
        s->object[s->found].lo = in->dlpi_addr + ph->p_vaddr;
        s->object[s->found++].hi = in->dlpi_addr + ph->p_vaddr + ph->p_memsz;
    }
    return 0;
}

void gt_go_scan(void)
{
    struct scan s = {0};
    gt_os_real.dl_iterate_phdr(look, &s); /* takes the loader's lock: before ours */
    gt_lock(&O.lock, GT_RANK_DLFIX);
    gt_memcpy(O.object, s.object, sizeof(O.object));
    store_rel(&O.n, s.found);
    gt_unlock(&O.lock, GT_RANK_DLFIX);
}

bool gt_go_made(uintptr_t pc)
{
    int n = load_acq(&O.n);
    if (likely(n == 0))
        return false;
    if (load_rlx(&O.main_is_go)) {
        gt_warn_once("this is a Go program: its threads stay kernel threads (1:1)");
        return true;
    }
    for (int i = 0; i < n; i++)
        if (pc >= O.object[i].lo && pc < O.object[i].hi)
            return true;
    return false;
}
