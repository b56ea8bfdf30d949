#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs the stress program preloaded for so many seconds, cycling through GOMAXPROCS 1, 2 and 4 and
# new seeds; stops at the first failure and says how to repeat it.
#   run.sh PROGRAM OBJECT SECONDS THREADS [SEED]
set -u
program=$1 object=$2 seconds=$3 threads=$4 seed=${5:-}
end=$(($(date +%s) + seconds)) round=0
while [ "$(date +%s)" -lt "$end" ]; do
    for procs in 1 2 4; do
        s=${seed:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
        echo "GOMAXPROCS=$procs LD_PRELOAD=$object $program \
            --seed $s --threads $threads --seconds 15"
        GOMAXPROCS=$procs LD_PRELOAD=$object timeout -s QUIT -k 5 180 \
            "$program" --seed "$s" --threads "$threads" --seconds 15 || {
            echo "stress: failed with status $?; repeat it with the line above" >&2
            exit 1
        }
    done
    round=$((round + 1))
done
echo "stress: $round rounds, no failure"
