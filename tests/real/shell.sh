#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# sh -c and pipelines of small tools, which all inherit the preload and make no thread: the same
# bytes must come out, and no word on stderr.
. "${0%/*}/lib.sh"
: "${N:=50000}"
UNDER=("${UNDER[@]/GOTHREAD=*/GOTHREAD=${GT_KNOBS:-}}") # each tool would write the statistics
script=$PROGRAMS/pipeline.sh
first reference && sh "$script" "$N" "$PROGRAMS" >"$REAL_SHARE/want"
prog 60 sh "$script" "$N" "$PROGRAMS" >"$REAL_DIR/got" || fail "exit status $?"
same output "$REAL_DIR/got" "$REAL_SHARE/want"
empty stderr "$LOG/prog.err"
finish
