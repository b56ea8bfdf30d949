#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check.sh LOGS SUITE...: runs every test suite, keeps what each printed in the folder LOGS, and repeats at the end
# what failed and why, so that the last lines of a long log tell.  Exit 1 when a suite failed.
logs=$1
shift
rm -rf "$logs"
mkdir -p "$logs"
failed=
for s in "$@"; do
    name=$(printf %s "${s#build/}" | tr / _)
    { "$s" 2>&1 </dev/null || echo "ended with status $?" >"$logs/$name.failed"; } | tee "$logs/$name.log"
    [ ! -e "$logs/$name.failed" ] || failed="$failed $name"
done
[ -n "$failed" ] || {
    echo "make check: all suites passed"
    exit 0
}
for name in $failed; do
    echo "---- $name: $(cat "$logs/$name.failed") ----"
    tail -n 60 "$logs/$name.log"
done
echo "make check: failed:$failed (logs: $logs)"
exit 1
