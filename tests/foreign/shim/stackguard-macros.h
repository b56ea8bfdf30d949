/* SPDX-License-Identifier: BSD-2-Clause */
/* The guards as the compiler finds them. */
#ifndef FOREIGN_STACKGUARD_H
#define FOREIGN_STACKGUARD_H
#include <tls.h>
#define STACK_CHK_GUARD   FOREIGN_FS(0x28)
#define POINTER_CHK_GUARD FOREIGN_FS(0x30)
#endif
