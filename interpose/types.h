/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The POSIX headers that symbols.def needs for its types.  _GNU_SOURCE and _LARGEFILE64_SOURCE come
 * from the command line; fortified inline variants are off, so that names mean themselves.
 */
#ifndef GT_INTERPOSE_TYPES_H
#define GT_INTERPOSE_TYPES_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <pty.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <threads.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <wchar.h>
#include <dirent.h>

/* Of glibc 2.36. */
int pidfd_send_signal(int fd, int sig, siginfo_t *info, unsigned flags);

#endif
