#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs real, unmodified programs plain and preloaded, under real clients that check the outcome.
# Prints one line for each run, "NAME MODE ok|FAIL|skip reason metric=value...", and the counts.
# Every run is bounded by tools/guard, which also finds what a program left running.

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<END
Usage: GT_SO=libgothread.so $0 [-n TIMES] [-P "MODE..."] [-t SECONDS] [-k DIR] [-l] [NAME...]
  -n TIMES    run each case so many times in each mode (1)
  -P MODES    "plain", and values of GOMAXPROCS for preloaded runs ("plain 1 2")
  -t SECONDS  limit of one run; then it is dumped, killed and has failed (90)
  -k DIR      keep the logs of failed runs there
  -l          list the cases
NAME is a case, a file NAME.sh beside this one; without names all are run.
Environment: SECS, CONNS, N (larger or smaller loads), GT_KNOBS (more keys for GOTHREAD).
END
}

all_cases() {
    local f
    for f in "$here"/*.sh; do
        f=$(basename "$f" .sh)
        case $f in run | lib) ;; *) echo "$f" ;; esac
    done
}

times=1 modes="plain 1 2" limit=90 keep=
while getopts n:P:t:k:lh opt; do
    case $opt in
    n) times=$OPTARG ;;
    P) modes=$OPTARG ;;
    t) limit=$OPTARG ;;
    k) keep=$OPTARG ;;
    l) all_cases && exit ;;
    h) usage && exit ;;
    *) usage >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -eq 0 ]; then mapfile -t names < <(all_cases); else names=("$@"); fi
for name in "${names[@]}"; do
    [ -f "$here/$name.sh" ] || { echo "$0: no case $name" >&2; exit 2; }
done
for mode in $modes; do
    [ "$mode" = plain ] && continue
    [[ $mode =~ ^[1-9][0-9]*$ ]] || { echo "$0: no mode $mode" >&2; exit 2; }
    GT_SO=$(realpath -e "${GT_SO:?set it to the object to preload}") || exit 2
    export GT_SO
done

work=$(mktemp -d "${TMPDIR:-/tmp}/gothread-real.XXXXXX") || exit 2
chmod 755 "$work" # some programs serve from it as another user
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
export REAL_TOOLS=${REAL_TOOLS:-$work/tools}
mkdir -p "$REAL_TOOLS"
for tool in guard peer; do
    [ -x "$REAL_TOOLS/$tool" ] ||
        ${CC:-cc} -O2 -std=gnu17 -o "$REAL_TOOLS/$tool" "$here/tools/$tool.c" || exit 2
done

passed=0 failed=0 skipped=0

# Runs a case once; leaves "ok ...", "FAIL ..." or "skip ..." in result and its files in dir.
run_case() { # NAME MODE
    local rc=0
    dir=$work/$1.$2
    rm -rf "$dir"
    mkdir -p "$dir/log" "$work/share/$1"
    REAL_MODE=$2 REAL_DIR=$dir REAL_SHARE=$work/share/$1 REAL_RESULT=$dir/result \
        "$REAL_TOOLS/guard" -t "$limit" -g 4 ${GT_SO:+-o "$GT_SO"} -r "$dir/log/processes" \
        bash "$here/$1.sh" >"$dir/log/case" 2>&1 </dev/null || rc=$?
    result=$(cat "$dir/result" 2>/dev/null)
    case $rc in
    0) [ -n "$result" ] || result="FAIL no result: $(tail -n 1 "$dir/log/case")" ;;
    123) result="FAIL processes left: $(tr '\n' ' ' <"$dir/log/processes")(${result:-no result})" ;;
    124) result="FAIL hang: no end after $limit s" ;;
    130) exit 130 ;;
    *) result="FAIL exit status $rc: $(tail -n 1 "$dir/log/case")" ;;
    esac
}

# The last lines of what a failed run said; all its logs go to the folder of -k.
show_logs() { # NAME MODE ROUND
    local f
    for f in case processes client prog.err prog.log; do
        f=$dir/log/$f
        [ -s "$f" ] || continue
        echo "    --- ${f##*/}"
        tail -n 8 "$f" | cut -c1-160 | sed 's/^/    /'
    done
    if [ -n "$keep" ]; then
        rm -rf "${keep:?}/$1.$2.$3"
        mkdir -p "$keep" && cp -r "$dir/log" "$keep/$1.$2.$3"
    fi
}

for ((round = 1; round <= times; round++)); do
    for name in "${names[@]}"; do
        for mode in $modes; do
            run_case "$name" "$mode"
            echo "$name $mode $result"
            case $result in
            ok*) passed=$((passed + 1)) ;;
            skip*) skipped=$((skipped + 1)) ;;
            *) failed=$((failed + 1)) && show_logs "$name" "$mode" "$round" ;;
            esac
            rm -rf "$dir"
        done
    done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
