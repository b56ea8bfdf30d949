#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# xz -T: block-compressing threads of liblzma; its threaded decoder too.
. "${0%/*}/lib.sh"
needs xz xz-utils
in=$REAL_SHARE/text
first text && text "$in" "${N:-200000}"
cd "$REAL_DIR" || die "no directory"
prog 60 xz -1 -T4 --block-size=1MiB <"$in" >packed || fail "xz: exit status $?"
expect_goroutines 4
xz -T1 -dc <packed | cmp -s - "$in" || fail "a plain xz does not read it back"
prog 60 xz -d -T4 <packed >back || fail "xz -d: exit status $?"
same "xz -d" back "$in"
empty stderr "$LOG/prog.err"
finish
