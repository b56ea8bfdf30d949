#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# sort --parallel: a thread for each half of each merge, and a merge through temporary files.
. "${0%/*}/lib.sh"
in=$REAL_SHARE/text
if first text; then
    text "$in" "${N:-700000}" 2
    sort --parallel=1 "$in" >"$REAL_SHARE/sorted"
fi
prog 60 sort --parallel=8 -S 300M "$in" -o "$REAL_DIR/out" || fail "exit status $?"
expect_goroutines 4
same "in memory" "$REAL_DIR/out" "$REAL_SHARE/sorted"
prog 60 sort --parallel=8 -S 4M --compress-program=gzip "$in" -o "$REAL_DIR/out" ||
    fail "with files: exit status $?"
same "with files" "$REAL_DIR/out" "$REAL_SHARE/sorted"
empty stderr "$LOG/prog.err"
finish
