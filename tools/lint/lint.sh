#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# lint.sh [STEP...]: the mechanical checks of `make lint`, from the repository root.  All of them or
# those named; a step whose tool is missing is skipped and says so.  Exit 1: a step failed.
#
#   layers    a file includes its own layer and those below only (layers.awk)
#   calls     core needs no function of libc: what we interpose it would call itself (recursion)
#   exports   the object exports symbols.def: all of it, nothing else, under no version
#   format    clang-format
#   words     no path of one machine, no word that does not belong in the sources
#   clang     compiles without a warning, too
#   cppcheck  suppressions with their reasons: cppcheck.txt
#   tidy      clang-tidy; what is off, and why: .clang-tidy
#
# From lint.mk: B SO SO_FLAGS SO_SRCS WARN CORE_OBJS LINT_JOBS.
#
# A step prints its findings and returns 0 (ok), 1 (findings) or SKIP; `note` says what it looked at
# or why it was skipped.

set -uf
LC_ALL=C
export LC_ALL

STEPS='layers calls exports format words clang cppcheck tidy'
TREES='core interpose preload tests examples'
TOOLS=tools/lint
SYMBOLS=interpose/symbols.def
SKIP=99
SHOWN=60     # lines of findings
FORMATTER=14 # clang-format of another version sets some lines differently

work=$B/lint
mkdir -p "$work" || exit 1

have()
{
    command -v "$1" >/dev/null 2>&1 && return 0
    note="$1 is not installed"
    return 1
}

# sources PATTERN TREE...: files of that name, sorted
sources()
{
    name=$1
    shift
    find "$@" -type f -name "$name" | sort
}

# counted WHAT WORD...: notes how many there are; none at all is a failure
counted()
{
    what=$1
    shift
    note="$# $what"
    [ $# -gt 0 ] || { echo "no $what found"; return 1; }
}

# The names of symbols.def, in its order.
listed()
{
    sed -n 's/^X([^,]*, \([A-Za-z0-9_]*\),.*/\1/p' $SYMBOLS
}

# ---- the object files ----

step_layers()
{
    # shellcheck disable=SC2046,SC2086
    set -- $(sources '*.[chS]' $TREES) $(sources '*.cc' $TREES)
    counted files "$@" || return 1
    grep -n '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$@" | awk -f $TOOLS/layers.awk
}

# What core's objects need and do not define among themselves.  The names after this are allowed:
#   gt_os_real             pointers to the few functions of libc that core may call, set at boot
#   _r_debug               the dynamic linker's list of objects: data
#   __popcountdi2          the compiler's own, from libgcc
#   _GLOBAL_OFFSET_TABLE_  the linker's
CORE_MAY_NEED='gt_os_real _r_debug __popcountdi2 _GLOBAL_OFFSET_TABLE_'

step_calls()
{
    have nm || return $SKIP
    # shellcheck disable=SC2086
    set -- $CORE_OBJS
    counted 'objects of core' "$@" || return 1
    listed >"$work/listed"
    nm -A "$@" | awk -v may="$CORE_MAY_NEED" '
        BEGIN { n = split(may, m, " "); for (i = 1; i <= n; i++) known[m[i]] = 1 }
        list { interposed[$1] = 1; next }
        $(NF - 1) ~ /^[Uvw]$/ { object = $1; sub(/:.*/, "", object); needs[object " " $NF]; next }
        { known[$NF] = 1 }
        END {
            for (k in needs) {
                split(k, part, " ")
                if (!(part[2] in known)) {
                    bad = 1
                    print part[1] " needs " part[2] \
                        (part[2] in interposed ? ", which we interpose" : ", which is not in core")
                }
            }
            exit bad
        }' list=1 "$work/listed" list=0 -
}

step_exports()
{
    have nm || return $SKIP
    rc=0
    listed >"$work/listed"
    # shellcheck disable=SC2046
    counted names $(cat "$work/listed") || return 1
    sort "$work/listed" | uniq -d | sed 's/$/ is listed twice/' | grep . && rc=1
    awk '/^$/ { last = "" }
        /^X\(/ {
            name = $2; sub(/,$/, "", name); key = name; sub(/^_+/, "", key); key = key " " name
            if (key < last) { print name " stands after " prev ", but sorts before it"; bad = 1 }
            last = key; prev = name
        }
        END { exit bad }' FS=', ' $SYMBOLS || rc=1
    sort -u "$work/listed" >"$work/expected"
    nm -D --defined-only "$SO" | awk '{ print $NF }' | sort >"$work/exported"
    comm -23 "$work/expected" "$work/exported" | sed 's/$/ is listed, but not exported/' | grep . &&
        rc=1
    comm -13 "$work/expected" "$work/exported" | sed 's/$/ is exported, but not listed/' | grep . &&
        rc=1
    return $rc
}

# ---- the text ----

step_format()
{
    have clang-format || return $SKIP
    version=$(clang-format --version | sed 's/.*version \([0-9]*\).*/\1/')
    if [ "$version" != $FORMATTER ]; then
        note="the sources are laid out by clang-format $FORMATTER, this is $version"
        return $SKIP
    fi
    # shellcheck disable=SC2046,SC2086
    set -- $(sources '*.[ch]' $TREES)
    counted files "$@" || return 1
    clang-format --dry-run -Werror "$@" >"$work/found" 2>&1 && return 0
    sed -n 's/^\([^:]*:[0-9]*\):.*-Wclang-format-violations.*/\1/p' "$work/found" | uniq |
        awk -F: '{ lines[$1] = lines[$1] " " $2 }
            END { for (f in lines) print "clang-format -i " f "   lines" lines[f] }' | sort
    grep error "$work/found" | grep -v -e -Wclang-format-violations
    return 1
}

# Each pattern has a class in it, so that it does not find itself.
PATHS='(^|[^A-Za-z0-9_.~$})])/(wor[k]|roo[t]|far[m])(/|$)|[.][.]/share[d]'
WORDS='(clau[d]e|anthropi[c]|open[a]i|chatg[p]t|copilo[t]|language mode[l]|sub-?agen[t])'
NAMES='A[I]|LL[M]s?'

step_words()
{
    rc=0
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard
    else
        find . -name .git -prune -o -path "./$B" -prune -o -type f -print
    fi >"$work/files"
    # those just deleted are still tracked
    while read -r f; do [ ! -f "$f" ] || echo "$f"; done <"$work/files" | sort >"$work/there"
    # shellcheck disable=SC2046
    counted files $(cat "$work/there") || return 1
    xargs grep -nIE "$PATHS" /dev/null <"$work/there" && rc=1
    xargs grep -nIiE "$WORDS" /dev/null <"$work/there" && rc=1
    xargs grep -nIwE "$NAMES" /dev/null <"$work/there" && rc=1
    return $rc
}

# ---- other readers of the code ----

# The flags of the object's sources, without what clang does not have: gcc's attribute copy, and the
# option that keeps loops from becoming calls (clang: -fno-builtin).
object_flags()
{
    for flag in $SO_FLAGS; do
        [ "$flag" = -fno-tree-loop-distribute-patterns ] || printf '%s ' "$flag"
    done
    echo -Wno-unknown-attributes
}

# Flags for all other programs: what their makefiles define, the quotes included.
# shellcheck disable=SC2089
PROGRAM_FLAGS="-std=gnu17 -I. -I$B/tests/pthread -pthread -DGT_VERSION=\"\" -DGT_LIBDIR=\"\"
    -DBENCH_BUILD=\"\" -DMODEL=\"initial-exec\""

is_of_object()
{
    case " $SO_SRCS " in *" $1 "*) return 0 ;; esac
    return 1
}

# clang with the flags of a file, of which those that define _GNU_SOURCE say so themselves
syntax()
{
    if is_of_object "$1"; then
        # shellcheck disable=SC2046
        clang -fsyntax-only $(object_flags) "$1"
    else
        gnu=-D_GNU_SOURCE
        grep -q '^#define _GNU_SOURCE' "$1" && gnu=
        # shellcheck disable=SC2086,SC2090
        clang -fsyntax-only $PROGRAM_FLAGS $gnu $WARN "$1"
    fi
}

step_clang()
{
    have clang || return $SKIP
    rc=0
    # shellcheck disable=SC2046,SC2086
    # OpenMP programs are gcc's: its omp.h is not for clang, and clang's is a package of its own.
    # What needs -fexceptions says so itself, and is its sibling compiled again.
    set -- $(sources '*.c' $TREES | xargs grep -L -e '<omp\.h>' -e '^#ifndef __EXCEPTIONS')
    counted files "$@" || return 1
    for f; do
        syntax "$f" || rc=1
    done
    return $rc
}

step_cppcheck()
{
    have cppcheck || return $SKIP
    note="$(cppcheck --version)"
    cppcheck --quiet --error-exitcode=1 -j "$LINT_JOBS" --language=c --std=c11 -I. \
        -D__x86_64__ -D_GNU_SOURCE -D__cppcheck__ --enable=warning,portability,performance \
        --suppressions-list=$TOOLS/cppcheck.txt \
        --template='{file}:{line}: {severity} {id}: {message}' core interpose preload
}

# tidy FLAG...: clang-tidy on each file named on standard input
tidy()
{
    xargs -P "$LINT_JOBS" -I '{}' clang-tidy --quiet '{}' -- "$@" 2>&1 |
        sed '/^[0-9]* warnings\{0,1\} \(generated\|treated as error\)/d; /^$/d'
}

step_tidy()
{
    have clang-tidy || return $SKIP
    # shellcheck disable=SC2046
    set -- $(sources '*.c' core interpose preload)
    counted files "$@" || return 1
    : >"$work/object"
    : >"$work/launcher"
    for f; do
        if is_of_object "$f"; then to=object; else to=launcher; fi
        echo "$f" >>"$work/$to"
    done
    # shellcheck disable=SC2046,SC2086,SC2090
    {
        tidy $(object_flags) <"$work/object"
        tidy $PROGRAM_FLAGS -D_GNU_SOURCE <"$work/launcher"
    } >"$work/found"
    cat "$work/found"
    [ ! -s "$work/found" ]
}

# ---- all of them ----

failed=
# shellcheck disable=SC2048
for step in ${*:-$STEPS}; do
    case " $STEPS " in
    *" $step "*) ;;
    *)
        echo "lint: there is no step \"$step\"; steps: $STEPS" >&2
        exit 1
        ;;
    esac
    note=
    "step_$step" >"$work/log" 2>&1
    case $? in
    0) printf 'lint %-8s  ok      %s\n' "$step" "$note" ;;
    "$SKIP") printf 'lint %-8s  skipped %s\n' "$step" "$note" ;;
    *)
        printf 'lint %-8s  FAILED\n' "$step"
        mv "$work/log" "$work/$step.log"
        sed -n "1,${SHOWN}s/^/    /p" "$work/$step.log"
        more=$(($(wc -l <"$work/$step.log") - SHOWN))
        [ $more -le 0 ] || echo "    and $more lines more in $work/$step.log"
        failed="$failed $step"
        ;;
    esac
done
[ -z "$failed" ] || { echo "lint: failed:$failed" >&2; exit 1; }
echo "lint: all passed"
