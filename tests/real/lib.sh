# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2015,SC2034,SC2054 # A && B || fail; used by cases; signal list
#
# What the cases of tests/real share; each sources this first and calls finish last.
#
# From run.sh:   REAL_MODE    "plain", or a GOMAXPROCS: the program under test is then preloaded
#                REAL_DIR     an empty directory of this run, removed after it
#                REAL_SHARE   a directory that all modes and rounds of this case share
#                REAL_RESULT  the file that gets the result line
#                REAL_TOOLS   where guard and peer were built
#                GT_SO        the object to preload;  GT_KNOBS  more keys for GOTHREAD
# From the user: SECS, CONNS, N enlarge the loads; each case has its own defaults.
#
# Only what is run by prog and start is under test.  Peers, clients and set-up are always plain.
# A case cannot hang the harness: guard ends it, with all it started, at the limit of run.sh.

set -u
: "${REAL_MODE:?start the cases with run.sh}"
export LC_ALL=C HOME=$REAL_DIR PATH=$PATH:/usr/sbin:/sbin # where some servers are
LOG=$REAL_DIR/log
STATS=$REAL_DIR/stats
PROGRAMS=${BASH_SOURCE[0]%/*}/programs
TOOLS=${BASH_SOURCE[0]%/*}/tools
PEER=$REAL_TOOLS/peer
export TMPDIR=$REAL_DIR/tmp # the program's own temporary files: none may be left
mkdir -p "$LOG" "$TMPDIR"
chmod 1777 "$TMPDIR"
hard=$(ulimit -Hn)
[ "$hard" = unlimited ] || [ "$hard" -gt 20000 ] && hard=20000
ulimit -n "$hard"
ulimit -S -c 0

PID= # of the program that start began
METRICS=()
PEERS=()
GOROUTINES=0
MS=0
FAILURES=$REAL_DIR/failures # a file: checks are made in subshells too
: >"$FAILURES"

# env also gives back the signals that a shell ignores in what it runs in the background.
PLAIN=(env --default-signal=INT,QUIT)
UNDER=("${PLAIN[@]}")
preloaded() { [ "$REAL_MODE" != plain ]; }
if preloaded; then
    UNDER+=("GOMAXPROCS=$REAL_MODE" "GOTHREAD=${GT_KNOBS:+$GT_KNOBS,}stats=$STATS"
        "LD_PRELOAD=$GT_SO")
fi

# ---- outcome -------------------------------------------------------------------------------

fail() { echo "${*//$'\n'/ }" >>"$FAILURES"; }
metric() { METRICS+=("$1=${2:-none}"); }

# eq WHAT GOT WANT;  at_least WHAT GOT MIN;  below WHAT GOT LIMIT
eq() { [ "$2" = "$3" ] || fail "$1: got '${2:0:60}', want '${3:0:60}'"; }
is_number() { [[ $1 =~ ^[0-9]+$ ]]; }
at_least() { is_number "$2" && [ "$2" -ge "$3" ] || fail "$1: got '$2', want at least $3"; }
below() { is_number "$2" && [ "$2" -lt "$3" ] || fail "$1: got '$2', want below $3"; }
same() { cmp -s "$2" "$3" || fail "$1: $2 and $3 differ"; }
empty() { [ ! -s "$2" ] || fail "$1: $(head -n 1 "$2" | cut -c1-100)"; }

result() {
    echo "$*" >"$REAL_RESULT"
    exit 0
}

# Ends the case: stops the peers, looks for what was left, writes the result.
finish() {
    local p text
    for p in "${PEERS[@]}"; do kill "$p" && wait "$p"; done 2>>"$LOG/lib"
    [ -z "$PID" ] || fail "the program was not stopped"
    [ -z "$(ls -A "$TMPDIR")" ] || fail "temporary files left: $(ls -A "$TMPDIR")"
    text=$(find "$REAL_DIR" -type s -printf '%P ')
    [ -z "$text" ] || fail "sockets left: $text"
    [ $GOROUTINES -gt 0 ] && metric goroutines $GOROUTINES && metric ms_peak $MS
    metric secs "$SECONDS"
    [ -s "$FAILURES" ] || result ok "${METRICS[*]}"
    result FAIL "$(sed 's/$/;/' "$FAILURES" | tr '\n' ' ')${METRICS[*]}"
}

die() {
    fail "$@"
    PID=
    finish
}

# needs COMMAND-OR-FILE PACKAGE: skips the case without it.  real.mk reads these lines too.
needs() {
    command -v "$1" >/dev/null || [ -e "$1" ] || result skip "no $1 (Debian package $2)"
}

# The same for packages that are large or rarely there: make deps does not install them.
wants() { needs "$@"; }

# runtime SECONDS GOROUTINES COMMAND...: a program that checks itself and says "all right" at last.
# GOROUTINES 0: not counted (children of its own write over the figures).
runtime() {
    local secs=$1 least=$2 out
    shift 2
    out=$(prog "$secs" "$@") || fail "exit status $?"
    eq "last line" "$(tail -n 1 <<<"$out")" "all right"
    printf '%s\n' "$out" >"$LOG/out"
    [ "$least" = 0 ] || expect_goroutines "$least"
}

# ---- the program under test ----------------------------------------------------------------

# prog SECONDS COMMAND...: in the foreground.  Its stderr goes to prog.err; at the time limit it
# gets SIGQUIT, on which the object prints its goroutines.  Returns its exit status.
prog() {
    local secs=$1 rc=0
    shift
    timeout -s QUIT -k 4 "$secs" "${UNDER[@]}" "$@" 2>>"$LOG/prog.err" || rc=$?
    if [ $rc = 124 ] || [ $rc = 137 ]; then fail "$1: no end after $secs s"; fi
    return $rc
}

# start COMMAND...: in the background, as process PID, output to prog.log.
start() {
    "${UNDER[@]}" "$@" >"$LOG/prog.log" 2>&1 </dev/null &
    PID=$!
}

alive() { kill -0 "$PID" 2>/dev/null; }

# The goroutines of the program as they are now, to log/goroutines; it goes on.
show_goroutines() {
    preloaded && alive && command -v gdb >/dev/null || return 0
    timeout -k 4 20 gdb -p "$PID" -batch -x "${BASH_SOURCE[0]%/*}/../../share/gothread-gdb.py" \
        -ex 'info goroutines' -ex 'goroutine all bt' >>"$LOG/goroutines" 2>&1
}

# Ends the case with a program that answers no more: dumped first, then killed.
put_down() { # WHY
    show_goroutines
    preloaded && kill -QUIT "$PID" && sleep 3
    kill -KILL "$PID" 2>/dev/null
    die "$1"
}

# stop SIGNAL SECONDS STATUS [PORT]: the program must end so, and then refuse connections.
stop() {
    local i rc=0
    alive || { wait "$PID"; die "it had ended by itself, status $?"; }
    kill "-$1" "$PID"
    for ((i = $2 * 20; i > 0; i--)); do
        alive || break
        sleep 0.05
    done
    alive && put_down "no end $2 s after SIG$1"
    wait "$PID" || rc=$?
    eq "exit status" $rc "$3"
    PID=
    if [ -n "${4:-}" ] && accepts "$4"; then fail "port $4 is still open"; fi
}

# ---- what the object says of itself --------------------------------------------------------

stat_of() { sed -n "s/^$1: //p" "$STATS" 2>/dev/null | head -n 1; }

# expect_goroutines N: the program that ended last was preloaded, and so many of its threads were
# goroutines.  The largest figures become metrics.
expect_goroutines() {
    local created ms
    preloaded || return 0
    created=$(stat_of goroutines_created) ms=$(stat_of ms_peak)
    at_least goroutines_created "$created" "$1"
    at_least ms_peak "$ms" 1
    is_number "$created" && [ "$created" -gt $GOROUTINES ] && GOROUTINES=$created
    is_number "$ms" && [ "$ms" -gt $MS ] && MS=$ms
    rm -f "$STATS"
}

# N blocked connections or threads must not be N kernel threads.
few_kernel_threads() { # COUNT
    metric kernel_threads "$1"
    at_least "kernel threads" "$1" 1
    preloaded && below "kernel threads" "$1" 32
}

# Kernel threads of the program as they are now.
kernel_threads() { sed -n 's/^Threads:\t//p' "/proc/$PID/status"; }

# A program that has nothing to do uses less than a twentieth of a processor, in one of three
# seconds: it may have something to tidy in the first.
expect_idle() {
    local before ms tries
    for tries in 1 2 3; do
        before=$(awk '{ print $14 + $15 }' "/proc/$PID/stat")
        sleep 1
        ms=$(awk -v b="$before" -v hz="$(getconf CLK_TCK)" \
            '{ print int(($14 + $15 - b) * 1000 / hz) }' "/proc/$PID/stat")
        [ "$ms" -lt 50 ] && break
    done
    metric idle_cpu_ms "$ms"
    below "CPU ms in an idle second" "$ms" 50
}

# ---- peers and clients ---------------------------------------------------------------------

free_port() { "$PEER" port; }

peer() { # COMMAND...
    "$@" >>"$LOG/peer" 2>&1 </dev/null &
    PEERS+=($!)
}

# client SECONDS COMMAND...: plain, bounded; a failure is the case's, and what the program did at
# that moment is kept.
client() {
    local rc=0
    timeout -k 4 "$@" 2>>"$LOG/client" || rc=$?
    [ $rc = 0 ] || [ -z "$PID" ] || show_goroutines
    [ $rc = 0 ] || fail "client $2 $3: exit status $rc: $(tail -n 1 "$LOG/client" | cut -c1-80)"
    return $rc
}

accepts() { (exec 3<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null; }

# wait_until SECONDS COMMAND...: polls; ends the case when the time is up or the program died.
wait_until() {
    local i secs=$1
    shift
    for ((i = secs * 20; i > 0; i--)); do
        "$@" && return
        [ -z "$PID" ] || alive || break
        sleep 0.05
    done
    [ -z "$PID" ] || alive || { wait "$PID"; die "ended by itself, status $?, before: $*"; }
    [ -z "$PID" ] || put_down "not within $secs s: $*"
    die "not within $secs s: $*"
}

wait_port() { wait_until 15 accepts "$1" "${2:-127.0.0.1}"; }

word() { tr ' ' '\n' <<<"$2" | sed -n "s/^$1=//p" | head -n 1; } # the value of NAME=VALUE in a line
number_after() { sed -n "s|^ *$1[^0-9]*\([0-9]*\).*|\1|p" "$2" | head -n 1; } # a report's figure

http_get() { curl -s --max-time 5 "$@"; }

# wrk_load URL CONNS: no error and no answer but 200.
wrk_load() {
    client 30 wrk -t1 "-c$2" "-d${SECS:-2}s" "$1" >"$LOG/wrk"
    metric "wrk$2_rps" "$(number_after Requests/sec "$LOG/wrk")"
    eq "wrk errors" "$(grep -E 'Non-2xx|Socket errors' "$LOG/wrk")" ""
}

# ab_load URL REQUESTS CONNS: a connection for each request, all bodies of one length.
ab_load() {
    client 40 ab -q -n "$2" -c "$3" "$1" >"$LOG/ab"
    metric "ab$3_rps" "$(number_after 'Requests per second' "$LOG/ab")"
    eq "ab complete" "$(number_after 'Complete requests' "$LOG/ab")" "$2"
    eq "ab failed" "$(number_after 'Failed requests' "$LOG/ab")" 0
}

# ---- set-up that is done once --------------------------------------------------------------

# first NAME: true once for all modes and rounds of this case.
first() { mkdir "$REAL_SHARE/$1.made" 2>/dev/null; }

# text FILE LINES [WORDS]: the same lines of random words each time.
text() {
    awk -v n="$2" -v words="${3:-8}" 'BEGIN { srand(11); for (i = 0; i < n; i++) { line = ""
        for (k = 0; k < words; k++) line = line sprintf("%x ", int(rand() * 4000) * int(rand() * 9))
        print line i % 1000 } }' >"$1"
}
