#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Go's own runtime: its threads stay kernel threads, and a line on standard error says so.
. "${0%/*}/lib.sh"
wants go golang-go
program=$REAL_SHARE/program
if first program; then
    mkdir "$REAL_SHARE/src" && cp "$PROGRAMS/goruntime.go" "$REAL_SHARE/src/main.go"
    (cd "$REAL_SHARE/src" && echo "module main" >go.mod &&
        GOCACHE=$REAL_SHARE/cache GOFLAGS=-mod=mod CGO_ENABLED=1 go build -o "$program" .) ||
        die "it does not compile"
fi
out=$(prog 60 "$program") || fail "exit status $?"
eq "last line" "$out" "all right"
if preloaded; then
    eq stderr "$(cat "$LOG/prog.err")" \
        "gothread: this is a Go program: its threads stay kernel threads (1:1)"
fi
rm -f "$STATS" # its children's
finish
