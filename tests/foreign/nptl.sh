#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The tests of Debian's glibc package, built against the installed libc (nptl_build.sh), each run
# plain and preloaded.  One line for each case, and at the end of each round the counts over what
# passes plain:
#
#     CASE                                     plain  P=1    P=2
#     sysdeps_pthread.tst-join5                ok     ok     FAIL   P=2: status 1: cannot join
#     412 passed, 1 failed, 31 skipped
#
# ok     exit status 0;  skip: the case says it cannot run here, or it does not pass plain
# FAIL   any other status, a signal, or no end within the limit
# Exit status 0: nothing that passes plain failed preloaded.

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<END
Usage: GT_SO=libgothread.so $0 -d DIR [-n TIMES] [-P "MODE..."] [-j JOBS] [-t SECONDS] [PATTERN]
  -d DIR      where the package is unpacked and built (build/foreign)
  -n TIMES    run everything so many times (1)
  -P MODES    "plain", and values of GOMAXPROCS for preloaded runs ("plain 1 2")
  -j JOBS     cases at a time (the number of CPUs)
  -t SECONDS  limit of one run (60)
  -l          list the cases
PATTERN is an extended regular expression that case names must match.
Environment: TIMEOUTFACTOR stretches the cases' own limits.  What failed is kept in DIR/nptl/failed.
END
}

dir="" times=1 modes="plain 1 2" jobs=$(nproc) limit=60 list=""
while getopts d:n:P:j:t:lh opt; do
    case $opt in
    d) dir=$OPTARG ;;
    n) times=$OPTARG ;;
    P) modes=$OPTARG ;;
    j) jobs=$OPTARG ;;
    t) limit=$OPTARG ;;
    l) list=1 ;;
    h) usage && exit ;;
    *) usage >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
pattern=${1:-.}
[ -n "$dir" ] || { usage >&2 && exit 2; }
mkdir -p "$dir" || exit 2
dir=$(realpath "$dir")
guard=$dir/guard build=$dir/nptl
work=$build/work failed=$build/failed

"$here/../../tools/deps.sh" glibc-source gcc binutils xz-utils || exit 2
JOBS=$jobs "$here/nptl_build.sh" "$build" || exit 2

field() { # CASE KEY
    awk -v id="$1" -v key="$2" '$1 == id && $2 == key { $1 = $2 = ""; sub(/^ */, ""); print }' \
        "$here/nptl.cases"
}

mapfile -t cases < <(grep -E -- "$pattern" "$build/built" | sort)
[ "${#cases[@]}" -gt 0 ] || { echo "$0: no case matches $pattern" >&2; exit 2; }
[ -z "$list" ] || { printf '%s\n' "${cases[@]}"; exit; }
case " $modes " in
*" plain "*) ;;
*) echo "$0: the modes must begin with plain: what fails plain is not judged" >&2 && exit 2 ;;
esac
[ "$modes" = plain ] || GT_SO=$(realpath -e "${GT_SO:?set it to the object to preload}") || exit 2

# Runs one case once in an empty directory; prints "ok", "skip" or "FAIL reason".
run_one() { # CASE MODE
    local bin=$build/bin/$1 rc=0 said place=$work/$1.$2 args env
    rm -rf "$place" && mkdir -p "$place/tmp" && cd "$place" || return
    ln -s "$build"/mods/*.so . && touch Makefile # some cases open it
    for so in tst-stack4mod-{0..19}-{0..19}.so; do
        [[ $1 == *stack4 ]] && ln -s "$build/mods/tst-stack4mod.so" "$so"
    done
    eval "args=($(field "$1" args))" # quoted as in a shell, and $bin
    read -ra env <<<"$(field "$1" env)"
    [ "$2" = plain ] || env+=("GOMAXPROCS=$2" "LD_PRELOAD=$GT_SO")
    # its status by file: guard's own says which processes it had to end, and many leave some
    # shellcheck disable=SC2016 # expanded by that shell
    "$guard" -t "$limit" -g 3 ${GT_SO:+-o "$GT_SO"} -r "$place/left" \
        sh -c '"$@"; echo $? >status' sh env --default-signal=INT,QUIT TMPDIR="$place/tmp" \
        LD_LIBRARY_PATH="$place" LC_ALL=C "${env[@]}" "$bin" "${args[@]}" \
        >"$place/said" 2>&1 </dev/null || rc=$?
    [ $rc = 124 ] || rc=$(cat "$place/status")
    said=$(grep -vE '^(Termination|Last write)' "$place/said" | tail -n 1 | tr -cd '[:print:]' |
        cut -c1-70)
    grep -q '^Timed out' "$place/said" && rc=124
    case $rc in
    0) echo ok ;;
    77) echo skip ;;
    124) echo "FAIL no end: $said" ;;
    *) echo "FAIL status $rc: $said" ;;
    esac
    if [ $rc != 0 ] && [ $rc != 77 ] && [ "$2" != plain ]; then
        mkdir -p "$failed" && cp "$place/said" "$failed/$1.$2"
    fi
    cd "$work" && rm -rf "$place"
}

# One line of the table: all modes of a case, preloaded ones only if it passes plain.
run_case() { # CASE
    local mode verdict line='' note='' outcome=passed
    local failures=''
    note=$(field "$1" skip)
    for mode in $modes; do
        [ -z "$note" ] && verdict=$(run_one "$1" "$mode") || verdict=-
        [ "$verdict" = skip ] && note="it says that it cannot run here"
        [[ $verdict == FAIL* ]] && note="${verdict#FAIL }"
        line+=$(printf ' %-6s' "${verdict%% *}")
        [ "$verdict" = ok ] && continue
        if [ "$mode" = plain ] || [ "$verdict" = - ]; then
            outcome=skipped
            break
        fi
        outcome=failed
        failures+=" P=$mode: $note"
        note=
    done
    printf '%-48s%-21s %s\n' "$1" "$line" "${failures:-$note}"
    echo "$outcome $1" >>"$build/outcomes"
}

mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
worst=0
for ((round = 1; round <= times; round++)); do
    printf '%-48s' CASE
    for mode in $modes; do printf ' %-6s' "${mode/#[1-9]/P=&}"; done
    echo
    : >"$build/outcomes"
    rm -rf "$failed"
    for c in "${cases[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
        run_case "$c" &
    done
    wait
    count() { grep -c "^$1 " "$build/outcomes"; }
    unbuilt=$(grep -cE -- "$pattern" "$build/unbuilt")
    [ "$unbuilt" = 0 ] || echo "not built here, counted as skipped: $unbuilt, see $build/unbuilt"
    echo "$(count passed) passed, $(count failed) failed, $(($(count skipped) + unbuilt)) skipped"
    [ "$(count failed)" = 0 ] || worst=1
done
exit $worst
