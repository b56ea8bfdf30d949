#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The C++ standard library's threads, in a program of our own that is compiled first.
. "${0%/*}/lib.sh"
needs g++ g++
program=$REAL_SHARE/cxx_threads
if first program; then
    g++ -std=c++20 -O1 -pthread -o "$program" "$PROGRAMS/cxx_threads.cc" 2>"$LOG/client" ||
        die "it does not compile"
fi
out=$(prog 40 "$program") || fail "exit status $?"
eq output "$out" "all right"
expect_goroutines 700
empty stderr "$LOG/prog.err"
finish
