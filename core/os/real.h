/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The few functions of the C library that core itself needs, as pointers: set by the boot code,
 * which alone calls dlsym; a unit test sets its own.  All may be NULL in a unit test.
 */
#ifndef GT_OS_REAL_H
#define GT_OS_REAL_H

#include <link.h>
#include <pthread.h>
#include "core/base/base.h"

struct gt_os_real {
    int (*pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int (*pthread_join)(pthread_t, void **);
    int (*pthread_attr_init)(pthread_attr_t *);
    int (*pthread_attr_destroy)(pthread_attr_t *);
    int (*pthread_attr_setstack)(pthread_attr_t *, void *, size_t);
    int (*pthread_attr_setstacksize)(pthread_attr_t *, size_t);
    int (*pthread_attr_setdetachstate)(pthread_attr_t *, int);
    unsigned long (*getauxval)(unsigned long);
    void (*free)(void *);
    int (*dl_iterate_phdr)(int (*)(struct dl_phdr_info *, size_t, void *), void *);
    /* of the dynamic linker and libc, not public; absent: M:N is not possible */
    void *(*dl_allocate_tls)(void *);
    void (*dl_deallocate_tls)(void *, bool);
    void (*dl_get_tls_static_info)(size_t *, size_t *);
    void (*ctype_init)(void);
    void (*call_tls_dtors)(void);
    void (*res_nclose)(void *);
    void *(*uselocale)(void *);
    int (*pthread_setcancelstate)(int, int *);
    int (*pthread_setcanceltype)(int, int *);
    void (*cleanup_push)(void *, void (*)(void *), void *);
    void (*cleanup_pop)(void *, int);
    const uint32_t *db_sizeof_pthread, *db_tid, *db_list, *db_specific, *db_l_tls_offset;
    const uint32_t *db_stack_user; /* in rtld_global */
    char *rtld_global;
    const ptrdiff_t *rseq_offset;
    const unsigned *rseq_size;
    void **(*resp_here)(void); /* address of __resp in the calling thread */
};
extern struct gt_os_real gt_os_real;

#endif
