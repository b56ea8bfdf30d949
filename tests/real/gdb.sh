#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# gdb on a process with parked and running goroutines: it attaches, lists threads, and our commands
# show every goroutine with its stack; the process goes on after it.  The same on its core file.
# And gdb itself, which has threads, as the program.
. "${0%/*}/lib.sh"
needs gdb gdb
needs gcc gcc
script=${0%/*}/../../share/gothread-gdb.py
program=$REAL_SHARE/waits
if first program; then
    gcc -g -O1 -pthread -o "$program" "$PROGRAMS/waits.c" || die "it does not compile"
fi
debug() { timeout -k 4 60 gdb -nx -batch -ex 'set pagination off' "$@" 2>&1; }

mkfifo "$REAL_DIR/in"
cd "$REAL_DIR" || die "no directory"
ulimit -S -c unlimited
"${UNDER[@]}" "$program" >"$LOG/prog.log" 2>"$LOG/prog.err" <"$REAL_DIR/in" &
PID=$!
exec 9>"$REAL_DIR/in"
wait_until 15 grep -q ready "$LOG/prog.log"
all_wait() {
    local state
    debug -p $PID -x "$script" -ex 'info goroutines' >"$LOG/gdb.early"
    for state in 'mutex wait' 'IO read' sleep run; do
        grep -qE "^[* ] goroutine [0-9]+ \[$state" "$LOG/gdb.early" || return 1
    done
}
if preloaded; then wait_until 30 all_wait; fi

debug -p $PID -ex 'info threads' -ex 'thread apply all bt 3' -x "$script" -ex 'info goroutines' \
    -ex 'goroutine 2 bt' -ex 'goroutine 2 up' -ex 'goroutine all bt 30' -ex 'bt' >"$LOG/gdb"
threads=$(grep -cE '^[* ] +[0-9]+ +(Thread|LWP)' "$LOG/gdb")
metric gdb_threads "$threads"
at_least "threads in gdb" "$threads" 2
if preloaded; then
    eq "goroutines listed" "$(grep -cE '^[* ] goroutine [0-9]+ \[' "$LOG/gdb")" 5
    for state in 'mutex wait' 'IO read' sleep run; do
        grep -qE "^[* ] goroutine [0-9]+ \[$state" "$LOG/gdb" || fail "no goroutine in $state"
    done
    at_least "frames of wants_lock" "$(grep -cE '^#[0-9]+ .*wants_lock' "$LOG/gdb")" 8
    for name in locker reader sleeper spinner main; do
        grep -qE "^#[0-9]+ .*\b$name \(" "$LOG/gdb" || fail "no backtrace with $name"
    done
    grep -q 'created by goroutine 1 at main' "$LOG/gdb" || fail "no creator"
    grep -E 'Python Exception|Error' "$LOG/gdb" && fail "the script failed: see the log gdb"
fi

alive || die "it did not go on after gdb"
kill -ABRT $PID # the kernel's core file, where it is written into the directory
wait $PID
PID=
core=$(ls core* 2>/dev/null)
if preloaded && [ -n "$core" ]; then
    debug "$program" "$core" -x "$script" -ex 'info goroutines' -ex 'goroutine 2 bt' >"$LOG/core"
    eq "goroutines in the core" "$(grep -cE '^[* ] goroutine [0-9]+ \[' "$LOG/core")" 5
    eq "frames in the core" "$(grep -cE '^#[0-9]+ .*wants_lock' "$LOG/core")" 4
    metric core yes
fi
rm -f core* "$STATS"

out=$(prog 30 gdb -nx -batch -ex 'python import threading' \
    -ex 'python t = threading.Thread(target=lambda: print("thread")); t.start(); t.join()' \
    -ex 'print 6 * 7') || fail "gdb: exit status $?"
eq "gdb's own threads" "$(tr '\n' ' ' <<<"$out")" 'thread $1 = 42 '
expect_goroutines 2
finish
