#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# pigz: compressing threads, a writer thread, joined by its own locks on mutexes and conditions.
. "${0%/*}/lib.sh"
needs pigz pigz
in=$REAL_SHARE/text
first text && text "$in" "${N:-200000}"
cd "$REAL_DIR" || die "no directory"
prog 60 pigz -p 8 -b 128 <"$in" >packed || fail "pigz: exit status $?"
expect_goroutines 8
gzip -dc <packed | cmp -s - "$in" || fail "gzip does not read it back"
prog 60 pigz -p 4 -d <packed >back || fail "pigz -d: exit status $?"
same "pigz -d" back "$in"
empty stderr "$LOG/prog.err"
finish
