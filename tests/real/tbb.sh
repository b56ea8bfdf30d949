#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# oneTBB: worker threads that wait on futexes of their own, through syscall().
. "${0%/*}/lib.sh"
needs g++ g++
needs /usr/include/tbb/tbb.h libtbb-dev
program=$REAL_SHARE/tbb
if first program; then
    g++ -std=c++20 -O1 -o "$program" "$PROGRAMS/tbb.cc" -ltbb -pthread 2>"$LOG/client" ||
        die "it does not compile"
fi
out=$(prog 40 "$program" 4) || fail "exit status $?"
eq output "$out" "all right"
expect_goroutines 1
empty stderr "$LOG/prog.err"
finish
