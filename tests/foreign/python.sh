#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs CPython's own tests (Debian's libpython3.11-testsuite), a file at a time, plain and preloaded,
# and prints what each run counted: tests run/failures/errors, and seconds.  A file that does not
# pass plain is skipped preloaded.  The last line counts the others.
#
# A preloaded run passes when Python says so and it ran as many tests as plain.  At the time limit
# it gets SIGQUIT, on which the object prints all goroutines into the log.

set -u
usage() {
    cat <<END
Usage: GT_SO=libgothread.so $0 [-n TIMES] [-P "MODE..."] [-t SECONDS] [-k DIR] [FILE...]
  -n TIMES    run each file so many times in each preloaded mode (1)
  -P MODES    "plain", which always comes first, and values of GOMAXPROCS ("plain 1 2")
  -t SECONDS  limit of one file (400)
  -k DIR      keep the logs of failed runs there
FILE is a name like test_queue; "all" stands for every file of the suite.
Environment: GT_LAUNCHER, the launcher that names the frames of a traceback.
END
}

# Those that have to do with threads, processes, signals, I/O, time or memory.
FILES="test_thread test_threading test_threading_local test_threadsignals test_threadedtempfile
test_queue test_sched test_socket test_socketserver test_ssl test_select test_selectors test_poll
test_epoll test_eintr test_signal test_subprocess test_popen test_os test_posix test_pty test_fcntl
test_mmap test_pipes test_fork1 test_wait3 test_wait4 test_context test_asyncore test_asyncio
test_concurrent_futures test_multiprocessing_fork test_multiprocessing_spawn
test_multiprocessing_forkserver test_multiprocessing_main_handling test_httpservers test_httplib
test_smtplib test_ftplib test_imaplib test_telnetlib test_urllib2_localnet test_xmlrpc test_logging
test_io test_gc test_weakref test_faulthandler test_capi test_sqlite3 test_dbm test_lzma test_bz2
test_zlib test__xxsubinterpreters test_atexit test_docxmlrpc test_cmd_line test_ctypes test_time
test_tracemalloc test_importlib test_import test_robotparser test_interpreters"

times=1 modes="plain 1 2" limit=400 keep=
while getopts n:P:t:k:h opt; do
    case $opt in
    n) times=$OPTARG ;;
    P) modes=$OPTARG ;;
    t) limit=$OPTARG ;;
    k) keep=$OPTARG ;;
    h) usage && exit ;;
    *) usage >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
python=/usr/bin/python3.11
suite=/usr/lib/python3.11/test
if ! [ -x $python ] || ! [ -d $suite ]; then
    echo "check-python: skipped: no $suite (Debian package libpython3.11-testsuite)"
    exit 0
fi
preloaded=${modes//plain/}
for mode in $preloaded; do
    [[ $mode =~ ^[1-9][0-9]*$ ]] || { echo "$0: no mode $mode" >&2; exit 2; }
    GT_SO=$(realpath -e "${GT_SO:?set it to the object to preload}") || exit 2
done
every_file() { (cd $suite && printf '%s\n' test_* | sed 's/\.py$//' | sort -u); }
if [ $# -eq 0 ]; then
    mapfile -t files < <(tr -s ' ' '\n' <<<"$FILES")
elif [ "$1" = all ]; then
    mapfile -t files < <(every_file)
else
    files=("$@")
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/gothread-python.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
unset PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE

sum() { grep -aoE "$1=[0-9]+" "$2" | awk -F= '{ n += $2 } END { print n + 0 }'; }

# Runs one file; leaves status, counts "ran/failures/errors" and seconds in rc, counts, secs.
# Python's own limit is longer than ours: it is there for the thread that watches it.  No VSOCK:
# such sockets need a virtual machine's host.
run_file() { # FILE MODE LOG
    local env=(env "--default-signal=INT,QUIT") start=$SECONDS ran
    if [ "$2" != plain ]; then
        env+=("GOMAXPROCS=$2" "LD_PRELOAD=$GT_SO")
        env+=("GOTHREAD=symbolizer=${GT_LAUNCHER:-}${GT_KNOBS:+,$GT_KNOBS}")
    fi
    rc=0
    (cd "$work" && exec timeout -s QUIT -k 10 "$limit" "${env[@]}" $python -m test \
        -i '*VSOCK*' -v --timeout $((limit + 60)) "$1") >"$3" 2>&1 </dev/null || rc=$?
    secs=$((SECONDS - start))
    ran=$(awk '/^Ran [0-9]+ test/ { n += $2 } END { print n + 0 }' "$3")
    counts=$ran/$(sum failures "$3")/$(sum errors "$3")
}

# In words; leaves ok in `good`.
verdict() { # MODE COUNTS-OF-PLAIN
    good=
    case $rc in
    0)
        if [ "$1" != plain ] && [ "${counts%%/*}" != "${2%%/*}" ]; then
            word="ran ${counts%%/*} tests, plain ${2%%/*}"
        else
            good=ok word=ok
        fi
        ;;
    124 | 137) word="no end after $limit s" ;;
    13[0-9]) word="died of signal $((rc - 128))" ;;
    *) word="failed" ;;
    esac
}

passed=0 failed=0 skipped=0
show_failure() { # FILE MODE ROUND LOG
    grep -aE '^(FAIL|ERROR): ' "$4" | sort -u | head -n 8 | sed 's/^/    /'
    [ -z "$keep" ] && return
    mkdir -p "$keep" && cp "$4" "$keep/$1.$2.$3"
    echo "    log: $keep/$1.$2.$3"
}

printf '%-36s %-6s %-20s %6s  %s\n' file mode ran/failures/errors secs verdict
for file in "${files[@]}"; do
    [ -e "$suite/$file.py" ] || [ -d "$suite/$file" ] || continue
    run_file "$file" plain "$work/plain.log"
    verdict plain ""
    row() { printf '%-36s %-6s %-20s %6s  %s\n' "$file" "$1" "$counts" "$secs" "$word"; }
    [ "$good" ] && [ "${counts%%/*}" = 0 ] && good="" word="nothing to run here"
    row plain
    if [ -z "$good" ]; then
        skipped=$((skipped + 1))
        continue
    fi
    plain=$counts all=ok
    for ((round = 1; round <= times; round++)); do
        for mode in $preloaded; do
            run_file "$file" "$mode" "$work/log"
            verdict "$mode" "$plain"
            row "$mode"
            [ "$good" ] || { all="" && show_failure "$file" "$mode" "$round" "$work/log"; }
        done
    done
    if [ "$all" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
