/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The list of one's own threads, /proc/self/task, as opendir and readdir show it: goroutines under
 * the ids that gettid() gives them, in the place of the runtime's kernel threads.  Threads that are
 * not ours stay.  What another process sees, and what lies under /proc/self/task/ID, is the
 * kernel's.
 *
 * A view is a snapshot, taken at opendir and rewinddir: kernel entries first, goroutines after.
 * Views are few; an opendir that finds none free shows the kernel's list.
 */
#include "interpose/io.h"

#define NVIEWS 16

struct view {
    _Atomic(DIR *) dir; /* NULL: free.  CAS by opendir, store release when the rest is ready */
    int *tids;          /* goroutines, the first left out: it has the process's id */
    size_t n, cap, next;
    struct dirent64 entry;
};
static struct view views[NVIEWS];
static DIR *const taken = (DIR *)1;

static struct view *view_of(DIR *dir)
{
    for (int i = 0; i < NVIEWS; i++)
        if (dir && load_acq(&views[i].dir) == dir)
            return &views[i];
    return NULL;
}

static bool is_own_task_dir(const char *path)
{
    char own[32];
    size_t n = gt_strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    gt_snprintf(own, sizeof(own), "/proc/%d/task", sys_getpid());
    return (n == gt_strlen(own) && !gt_memcmp(path, own, n)) ||
           (n == 15 && !gt_memcmp(path, "/proc/self/task", n));
}

static void add(struct gt_g *g, void *arg)
{
    struct view *v = arg;
    if (v->n < v->cap && !(g->flags & GT_GF_MAIN) && load_acq(&g->status) != GT_G_DEAD)
        v->tids[v->n++] = g->tid;
}

static void count(struct gt_g *g, void *arg)
{
    (void)g;
    ++*(size_t *)arg;
}

/* A new snapshot.  Without memory it has no goroutine. */
static void look(struct view *v)
{
    size_t live = 0;
    gt_foreach_g(count, &live);
    if (live + 64 > v->cap) {
        if (v->tids)
            sys_munmap(v->tids, v->cap * sizeof(*v->tids));
        v->cap = GT_ALIGN_UP((live + 64) * sizeof(*v->tids), GT_PAGE) / sizeof(*v->tids);
        v->tids = sys_mmap(NULL, v->cap * sizeof(*v->tids), PROT_READ | PROT_WRITE, 0);
        if (gt_sys_is_err(v->tids)) {
            v->tids = NULL;
            v->cap = 0;
        }
    }
    v->n = v->next = 0;
    gt_foreach_g(add, v);
}

GT_EXPORT DIR *opendir(const char *path)
{
    DIR *dir = REAL(opendir)(path), *none = NULL;
    if (likely(!dir || !gt_self() || !is_own_task_dir(path)))
        return dir;
    for (int i = 0; i < NVIEWS; i++, none = NULL)
        if (cas_acqrel(&views[i].dir, &none, taken)) {
            look(&views[i]);
            store_rel(&views[i].dir, dir);
            break;
        }
    return dir;
}

/* The number that a name is, 0: it is none. */
static int number(const char *s)
{
    int v = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (*s - '0');
    return *s ? 0 : v;
}

static struct dirent64 *next_entry(struct view *v, DIR *dir)
{
    struct dirent64 *e;
    if (v->next == 0)
        while ((e = REAL(readdir64)(dir)) != NULL)
            if (!number(e->d_name) || !gt_is_own_kthread(number(e->d_name)))
                return e;
    if (v->next == v->n)
        return NULL;
    e = &v->entry;
    int tid = v->tids[v->next++];
    e->d_ino = (ino64_t)tid;
    e->d_off = (off64_t)v->next;
    e->d_reclen = sizeof(*e);
    e->d_type = DT_DIR;
    gt_snprintf(e->d_name, sizeof(e->d_name), "%d", tid);
    return e;
}

GT_EXPORT struct dirent64 *readdir64(DIR *dir)
{
    struct view *v = view_of(dir);
    return v ? next_entry(v, dir) : REAL(readdir64)(dir);
}

_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64), "one layout");

GT_EXPORT struct dirent *readdir(DIR *dir)
{
    return (struct dirent *)readdir64(dir);
}

GT_EXPORT void rewinddir(DIR *dir)
{
    struct view *v = view_of(dir);
    REAL(rewinddir)(dir);
    if (v)
        look(v);
}

void gt_procfs_closed(DIR *dir)
{
    struct view *v = view_of(dir);
    if (v)
        store_rel(&v->dir, NULL);
}
