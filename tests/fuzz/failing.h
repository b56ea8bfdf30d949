/* SPDX-License-Identifier: BSD-2-Clause */
/* Lets chosen calls for memory fail in this process and what it forks: for programs of tests/fuzz
 * that are otherwise like any user's. */
#ifndef TESTS_FUZZ_FAILING_H
#define TESTS_FUZZ_FAILING_H

/* From here on the nth call of mmap, munmap, mremap, madvise and brk, and the count - 1 after it,
 * fail with ENOMEM, in threads that are made later, too.  Call it once, from main.  Exits with
 * status 77 where the kernel does not allow it. */
void failing_start(long nth, long count);

/* How many such calls there were since. */
long failing_count(void);

#endif
