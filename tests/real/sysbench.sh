#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# sysbench threads and mutex: workers that fight for a few locks and yield, a barrier, a Lua state
# for each thread; few and many threads.
. "${0%/*}/lib.sh"
needs sysbench sysbench
: "${N:=2000}" "${CONNS:=8 256}"
events() { sed -n 's/.*total number of events: *//p' "$1"; }
for n in $CONNS; do
    out=$LOG/threads.$n
    prog 40 sysbench threads --threads="$n" --thread-yields=20 --thread-locks=4 --events="$N" \
        --time=0 run >"$out" || fail "threads $n: exit status $?"
    eq "threads $n: events" "$(events "$out")" "$N"
    metric "threads${n}_s" "$(sed -n 's/.*total time: *\([0-9.]*\)s/\1/p' "$out")"
    expect_goroutines "$n"
    out=$LOG/mutex.$n
    prog 40 sysbench mutex --threads="$n" --mutex-num=64 --mutex-locks=5000 --mutex-loops=500 \
        run >"$out" || fail "mutex $n: exit status $?"
    eq "mutex $n: events" "$(events "$out")" "$n"
    metric "mutex${n}_s" "$(sed -n 's/.*total time: *\([0-9.]*\)s/\1/p' "$out")"
    expect_goroutines "$n"
done
empty stderr "$LOG/prog.err"
finish
