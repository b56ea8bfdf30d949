#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# python3: 10,000 threads in batches of 1,000, 2,000 parked at once, queues, children, timed waits.
. "${0%/*}/lib.sh"
needs /usr/bin/python3 python3
: "${N:=10000}"
out=$(prog 60 /usr/bin/python3 "$PROGRAMS/threads.py" "$N") || fail "exit status $?"
empty stderr "$LOG/prog.err"
few_kernel_threads "$(word kernel "$out")"
expect_goroutines $((N + 2000))
METRICS+=("${out% *}")
finish
