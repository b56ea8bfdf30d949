/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program file says about itself, and whether the object can be preloaded into it. */
#ifndef GT_PRELOAD_CHECK_ELF_H
#define GT_PRELOAD_CHECK_ELF_H

#include <stdbool.h>
#include <stdio.h>

enum { GT_ELF_NEEDED_MAX = 64, GT_ELF_NAME_MAX = 256 };

/* Answers of gt_elf_read. */
enum gt_elf_kind {
    GT_ELF_OK,     /* an ELF program; the facts are filled in              */
    GT_ELF_OTHER,  /* readable, and something else: a script, a text, data */
    GT_ELF_BROKEN, /* begins as ELF and does not hold together             */
    GT_ELF_ERRNO,  /* cannot be read; errno says why                       */
};

struct gt_elf {
    int class, machine, type;     /* e_ident[EI_CLASS], e_machine, e_type */
    char interp[GT_ELF_NAME_MAX]; /* "": none, so nothing can be preloaded */
    char needed[GT_ELF_NEEDED_MAX][GT_ELF_NAME_MAX];
    int n_needed;
    bool setuid, setgid, caps;      /* the mode bits and file capabilities  */
    bool secure;                    /* by them, ld.so would drop LD_PRELOAD */
    bool pthread_create, clone;     /* imported by the program itself       */
    bool own_malloc, sanitizer, go; /* defined or linked in                 */
    bool ibt, shstk;                /* x86 property note                    */
};

/* Reads the ELF file at path into *e (zeroed first). */
enum gt_elf_kind gt_elf_read(const char *path, struct gt_elf *e);

/* Why the object cannot be preloaded into e, as a clause for people, in buf; false when it can. */
bool gt_elf_refused(const struct gt_elf *e, char *buf, size_t size);

/* Prints the facts, one a line. */
void gt_elf_print(const struct gt_elf *e, FILE *to);

#endif
