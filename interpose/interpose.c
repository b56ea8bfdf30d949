/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of real functions, the errno boundary, time conversion: what all interposed functions
 * use.
 *
 * Each pointer comes from dlvsym with the version that symbols.def names, else dlsym, both after us
 * in search order.  A function that this libc does not have stays NULL: nobody can have called it
 * through us either.  It is not looked up: a look-up that fails allocates its message, and who
 * calls us first may be the program's own malloc, with its lock held, while it initialises itself.
 */
#include "interpose/interpose.h"

#include <link.h>

#include "core/os/real.h"
#include "core/os/tcb.h"
#include "interpose/alloc.h"

struct gt_real gt_real;
bool gt_real_ready;
struct gt_os_real gt_os_real;

static void *find(const char *name, const char *version)
{
    if (!gt_may_be_defined(name))
        return NULL;
    void *p = version ? dlvsym(RTLD_NEXT, name, version) : NULL;
    return p ? p : dlsym(RTLD_NEXT, name);
}

static void **resp_here(void)
{
    return dlsym(RTLD_DEFAULT, "__resp");
}

static void resolve_os(void)
{
    struct gt_os_real *r = &gt_os_real;
#define OS(field, name) r->field = (__typeof__(r->field))find(name, NULL)
    OS(pthread_create, "pthread_create");
    OS(pthread_join, "pthread_join");
    OS(pthread_attr_init, "pthread_attr_init");
    OS(pthread_attr_destroy, "pthread_attr_destroy");
    OS(pthread_attr_setstack, "pthread_attr_setstack");
    OS(pthread_attr_setstacksize, "pthread_attr_setstacksize");
    OS(pthread_attr_setdetachstate, "pthread_attr_setdetachstate");
    OS(getauxval, "getauxval");
    r->free = free; /* whoever's malloc the C library calls: this one knows */
    OS(dl_iterate_phdr, "dl_iterate_phdr");
    OS(dl_allocate_tls, "_dl_allocate_tls");
    OS(dl_deallocate_tls, "_dl_deallocate_tls");
    OS(dl_get_tls_static_info, "_dl_get_tls_static_info");
    OS(ctype_init, "__ctype_init");
    OS(call_tls_dtors, "__call_tls_dtors");
    OS(res_nclose, "__res_nclose");
    OS(uselocale, "uselocale");
    OS(pthread_setcancelstate, "pthread_setcancelstate");
    OS(pthread_setcanceltype, "pthread_setcanceltype");
    OS(cleanup_push, "_pthread_cleanup_push");
    OS(cleanup_pop, "_pthread_cleanup_pop");
    OS(db_sizeof_pthread, "_thread_db_sizeof_pthread");
    OS(db_tid, "_thread_db_pthread_tid");
    OS(db_list, "_thread_db_pthread_list");
    OS(db_specific, "_thread_db_pthread_specific");
    OS(db_l_tls_offset, "_thread_db_link_map_l_tls_offset");
    OS(db_stack_user, "_thread_db_rtld_global__dl_stack_user");
    OS(rtld_global, "_rtld_global");
    OS(rseq_offset, "__rseq_offset");
    OS(rseq_size, "__rseq_size");
#undef OS
    r->resp_here = resp_here;
}

/* Name and version (empty: the default one) of each slot of gt_real, in its order.  Text, and a
 * loop over it: as one call after the other they were the largest function of the object, 20 KiB
 * that every process touches. */
static const char slots[] =
#pragma push_macro("NULL")
#undef NULL
#define NULL                          ""
#define X(ret, name, params, version) #name "\0" version "\0"
#include "interpose/symbols.def"
#undef X
#pragma pop_macro("NULL")
    ;

/* Should a look-up allocate after all, the allocator may call us (jemalloc makes a key): what
 * allocators need comes first, and a call from within finds it there. */
void gt_real_resolve(void)
{
    static bool busy;
    if (gt_real_ready || busy)
        return;
    busy = true;
    gt_real.pthread_key_create =
        (__typeof__(gt_real.pthread_key_create))find("pthread_key_create", NULL);
    gt_real.sigaction = (__typeof__(gt_real.sigaction))find("sigaction", NULL);
    gt_real.__register_atfork =
        (__typeof__(gt_real.__register_atfork))find("__register_atfork", NULL);
    resolve_os();
    const char *name = slots;
    for (size_t i = 0; i < sizeof(gt_real) / sizeof(void *); i++) {
        const char *version = name + gt_strlen(name) + 1;
        ((void **)&gt_real)[i] = find(name, *version ? version : NULL);
        name = version + gt_strlen(version) + 1;
    }
    gt_real_ready = true;
}

GT_NOINLINE long gt_ret(long r)
{
    if (likely(r >= 0 || r < -4095))
        return r;
    errno = (int)-r;
    return -1;
}

bool gt_deadline(int clock, const struct timespec *abs, int64_t *when)
{
    if (!abs) {
        *when = GT_NEVER;
        return true;
    }
    if (abs->tv_nsec < 0 || abs->tv_nsec >= GT_SEC)
        return false;
    if (abs->tv_sec < 0) { /* long past */
        *when = 0;
        return true;
    }
    int64_t ns =
        abs->tv_sec >= GT_REALTIME / GT_SEC ? GT_REALTIME - 1 : abs->tv_sec * GT_SEC + abs->tv_nsec;
    *when = clock == CLOCK_REALTIME ? ns | GT_REALTIME : ns;
    return true;
}

int64_t gt_deadline_rel(const struct timespec *rel)
{
    if (!rel)
        return GT_NEVER;
    if (rel->tv_sec >= INT64_MAX / GT_SEC / 4)
        return INT64_MAX / 2;
    return gt_nanotime() + rel->tv_sec * GT_SEC + rel->tv_nsec;
}
