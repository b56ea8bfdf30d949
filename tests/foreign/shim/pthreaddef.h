/* SPDX-License-Identifier: BSD-2-Clause */
/* What the thread library assumes of stacks and its block on x86-64. */
#ifndef FOREIGN_PTHREADDEF_H
#define FOREIGN_PTHREADDEF_H
#define ARCH_STACK_DEFAULT_SIZE (2 * 1024 * 1024)
#define STACK_ALIGN             16
#define MINIMAL_REST_STACK      2048
#define TCB_ALIGNMENT           64
#endif
