/* SPDX-License-Identifier: BSD-2-Clause
 *
 * C11 mutexes and condition variables: the pthread objects under other names.  mtx_init,
 * mtx_destroy and cnd_init are the C library's.
 */
#include "interpose/pobj.h"

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "the same object");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "the same object");

static int thrd_error_of(int e)
{
    switch (e) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}

static inline pthread_mutex_t *mutex_of(mtx_t *m)
{
    return (pthread_mutex_t *)m;
}

static inline pthread_cond_t *cond_of(cnd_t *c)
{
    return (pthread_cond_t *)c;
}

GT_EXPORT int mtx_lock(mtx_t *m)
{
    return thrd_error_of(pthread_mutex_lock(mutex_of(m)));
}

GT_EXPORT int mtx_timedlock(mtx_t *restrict m, const struct timespec *restrict abs)
{
    return thrd_error_of(pthread_mutex_timedlock(mutex_of(m), abs));
}

GT_EXPORT int mtx_trylock(mtx_t *m)
{
    return thrd_error_of(pthread_mutex_trylock(mutex_of(m)));
}

GT_EXPORT int mtx_unlock(mtx_t *m)
{
    return thrd_error_of(pthread_mutex_unlock(mutex_of(m)));
}

GT_EXPORT int cnd_signal(cnd_t *c)
{
    return thrd_error_of(pthread_cond_signal(cond_of(c)));
}

GT_EXPORT int cnd_broadcast(cnd_t *c)
{
    return thrd_error_of(pthread_cond_broadcast(cond_of(c)));
}

GT_EXPORT int cnd_wait(cnd_t *c, mtx_t *m)
{
    return thrd_error_of(pthread_cond_wait(cond_of(c), mutex_of(m)));
}

GT_EXPORT int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m,
                            const struct timespec *restrict abs)
{
    return thrd_error_of(pthread_cond_timedwait(cond_of(c), mutex_of(m), abs));
}

GT_EXPORT void cnd_destroy(cnd_t *c)
{
    pthread_cond_destroy(cond_of(c));
}
