/* SPDX-License-Identifier: BSD-2-Clause */
/* The few internal facts of the thread library that cases ask for; numbers of its binary interface.
 */
#ifndef FOREIGN_PTHREADP_H
#define FOREIGN_PTHREADP_H
#include <internaltypes.h>
#include <pthread.h>
#include <pthreaddef.h>
#include <tls.h>
/* the two signals that sigaction refuses */
#define SIGCANCEL      32
#define SIGSETXID      33
#define SIGTIMER       SIGCANCEL
#define __PTHREAD_NPTL 1
/* bits of __readers in pthread_rwlock_t */
#define PTHREAD_RWLOCK_WRPHASE         1
#define PTHREAD_RWLOCK_WRLOCKED        2
#define PTHREAD_RWLOCK_READER_SHIFT    3
#define PTHREAD_RWLOCK_READER_OVERFLOW (1u << 31)
#endif
