#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs the allocation fuzzer preloaded for so many seconds, with a new seed each time, through
# GOMAXPROCS 1, 2 and 4, without threads, with kernel threads, with little address space and with
# calls for memory that fail; stops at the first failure and says how to repeat it.
#   run.sh PROGRAM OBJECT SECONDS [SEED]
set -u
program=$1 object=$2 seconds=$3 seed=${4:-}
end=$(($(date +%s) + seconds)) runs=0 refused=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

random() { od -An -N3 -tu4 /dev/urandom | tr -d ' '; }

run() { # PROCS KNOBS ARGUMENT...
    procs=$1 knobs=malloc=go${2:+,$2}
    shift 2
    s=${seed:-$(random)}
    GOMAXPROCS=$procs GOTHREAD=$knobs LD_PRELOAD=$object timeout -s QUIT -k 5 300 \
        "$program" --seed "$s" "$@" >"$log" 2>&1
    rc=$?
    runs=$((runs + 1))
    if [ $rc != 0 ] && [ $rc != 77 ]; then
        cat "$log"
        echo "fuzz: failed with status $rc; to repeat it:" >&2
        echo "GOMAXPROCS=$procs GOTHREAD=$knobs LD_PRELOAD=$object $program --seed $s $*" >&2
        exit 1
    fi
    refused=$((refused + $(sed -n 's/^ok: .*, \([0-9]*\) refused$/\1/p' "$log" | head -n 1) + 0))
}

while [ "$(date +%s)" -lt "$end" ]; do
    for procs in 1 2 4; do
        run $procs "" --threads 8 --secs 5
        run $procs "yield=10" --threads 8 --secs 2
        run $procs "" --threads 100 --ops 3000
        run $procs "" --threads 4 --ops 20000 --limit $((100 + $(random) % 200))
        for i in 1 2 3 4; do
            run $procs "" --threads $((i - 1)) --ops 2000 --fail-nth $((1 + $(random) % 300))
            run $procs "" --threads $((i - 1)) --ops 2000 --fail-nth $((1 + $(random) % 300)) \
                --fail-count 100
        done
    done
    run 2 "" --threads 0 --secs 5
    run 2 off --threads 8 --secs 5
    run 2 "" --threads 0 --ops 100000 --limit $((20 + $(random) % 100))
done
echo "fuzz: $runs runs, $refused allocations were refused, no failure"
