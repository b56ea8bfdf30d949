#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# libgomp: eight threads on two cores, spinning (active) and sleeping (passive) waits, by futex
# calls that are inlined in the library.
. "${0%/*}/lib.sh"
needs gcc gcc
program=$REAL_SHARE/openmp
if first program; then
    gcc -std=gnu17 -O1 -fopenmp -o "$program" "$PROGRAMS/openmp.c" 2>"$LOG/client" ||
        die "it does not compile"
fi
for policy in passive active; do
    begin=$SECONDS
    out=$(OMP_WAIT_POLICY=$policy prog 60 "$program") || fail "$policy: exit status $?"
    eq "output, $policy" "$out" "all right"
    expect_goroutines 7
    metric "${policy}_s" $((SECONDS - begin))
done
empty stderr "$LOG/prog.err"
finish
