/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the malloc family share, and fork.c needs.
 */
#ifndef GT_INTERPOSE_ALLOC_H
#define GT_INTERPOSE_ALLOC_H

#include "core/mem/mem.h"
#include "interpose/interpose.h"

/* Is the program's malloc ours?  Decides at the first call. */
bool gt_alloc_ours(void);
/* malloc and free for a caller at pc. */
void *gt_alloc(size_t n, uintptr_t pc);
void gt_alloc_free(void *p, uintptr_t pc);
/* align: a power of two.  NULL: no memory; errno untouched. */
void *gt_alloc_aligned(size_t align, size_t n, uintptr_t pc);

/* The usual case of malloc and free for a kernel thread; NULL, false: not so.  The rest of a call
 * is in a function of its own, so that these few instructions need no frame. */
static inline __attribute__((always_inline)) void *gt_quick_malloc(struct gt_mcache *mc, size_t n)
{
    return likely(mc != NULL) ? gt_mc_malloc_fast(mc, n) : NULL;
}

static inline __attribute__((always_inline)) bool gt_quick_free(struct gt_mcache *mc, void *p)
{
    return likely(mc != NULL) && likely(gt_mc_free_fast(mc, p));
}

/* allocnext.c: reads the configuration and decides; true: ours.  Else gt_next has what to call. */
bool gt_alloc_decide(void);
/* allocnext.c: false: no object that is loaded, but this one, defines name.  Without an allocation,
 * which a look-up of the dynamic linker's makes for its message when it finds nothing. */
bool gt_may_be_defined(const char *name);
extern struct gt_next {
    void *(*malloc)(size_t n);
    void *(*calloc)(size_t n, size_t size);
    void *(*realloc)(void *p, size_t n);
    void *(*memalign)(size_t align, size_t n);
    void (*free)(void *p);
} gt_next;

/* allocdebug.c: gt_alloc_debug: a knob is set; then these stand around the heap's functions. */
extern bool gt_alloc_debug;
void *gt_debug_malloc(struct gt_mcache *mc, size_t align, size_t n, bool *zero);
enum gt_free gt_debug_free(struct gt_mcache *mc, void *p);
/* The size that was asked for, if that is known; stops the program when the block was overrun. */
size_t gt_debug_size(const struct gt_object *o);
/* Who allocated and freed p last. */
void gt_debug_print(const void *p);

/* allocbad.c: what was not ours, or wrong */
void gt_alloc_bad_free(void *p, enum gt_free why);
void *gt_alloc_bad_realloc(void *p, size_t n);
size_t gt_alloc_foreign_size(void *p);
void gt_alloc_die(enum gt_mem_error e, const void *p);

/* Around fork, in a runtime section of g, or g NULL.  Returns the caller's mcache. */
struct gt_mcache *gt_alloc_fork_before(struct gt_g *g);
void gt_alloc_fork_parent(void);
/* In the child of a process with one thread, where nothing was locked: the mcache stays its own. */
void gt_alloc_fork_alone(void);
void gt_alloc_fork_child(struct gt_mcache *mc);

#endif
