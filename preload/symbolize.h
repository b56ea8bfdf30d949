/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns code addresses of a process into names. */
#ifndef GT_PRELOAD_SYMBOLIZE_H
#define GT_PRELOAD_SYMBOLIZE_H

#include <stdio.h>

/* The filter that a crash dump talks to. Reads from `in`: the lines of /proc/PID/maps, an empty
 * line, then one address in hex a line (with or without 0x); " r" after an address says that it is
 * a return address, and asks for the line of the call. Answers each at once with one line,
 *     function+0xOFFSET file:LINE module
 * without file:LINE where it is not known, or `?? module+0xOFFSET` (from where the module is
 * mapped), or `??`. Returns the exit status.                                                     */
int gt_symbolize_filter(FILE *in, FILE *out);

/* The same for addresses of a live process, given as arguments. */
int gt_symbolize_pid(const char *pid, char *const *pcs, int n, FILE *out);

#endif
