/* SPDX-License-Identifier: BSD-2-Clause */
/* Where thread-local data lies on x86-64: below the thread pointer. */
#ifndef FOREIGN_TLS_H
#define FOREIGN_TLS_H
#include <stdint.h>
#define TLS_TCB_AT_TP 1
#define TLS_DTV_AT_TP 0
#define TLS_TCB_ALIGN 64
/* words of the block that %fs points at */
#define FOREIGN_FS(offset)                                                                         \
    __extension__({                                                                                \
        uintptr_t word_;                                                                           \
        __asm__ volatile("mov %%fs:%c1, %0" : "=r"(word_) : "i"(offset));                          \
        word_;                                                                                     \
    })
#endif
