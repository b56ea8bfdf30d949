/* SPDX-License-Identifier: BSD-2-Clause */
/* Read before every file of the suite: what its build system would have said on the command line.
 */
#ifndef FOREIGN_CASE_H
#define FOREIGN_CASE_H
#include <config.h>
/* the cases see the installed headers, so they are programs and never parts of the library */
#define _ISOMAC               1
#define IS_IN(lib)            0
#define IS_IN_LIB             0
#define SHARED                1
#define PIC                   1
#define SHLIB_COMPAT(l, a, b) 0
#define TEST_COMPAT(l, a, b)  0
#define attribute_hidden
#define libc_hidden_proto(name)
#define libc_hidden_def(name)
#define __glibc_likely(x)    __builtin_expect((x), 1)
#define __glibc_unlikely(x)  __builtin_expect((x), 0)
#define OBJDIR_ELF_LDSO_PATH "/lib64/ld-linux-x86-64.so.2"
#ifndef NAME_MAX
#define NAME_MAX 255
#endif
#ifndef TIMEOUTFACTOR
#define TIMEOUTFACTOR 1
#endif
#endif
