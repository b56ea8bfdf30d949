#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# server.sh redis|mariadbd DIR: starts the server with BENCH_OBJECT preloaded, lets its client do a
# fixed amount of work, and prints "wall_s= cpu_s= rss_kb=": the client's time, the server's CPU
# time meanwhile and its peak memory.  What is kept from run to run lies in DIR.  Exit 77: not
# installed.
set -u
name=$1 dir=$2
export LC_ALL=C PATH=$PATH:/usr/sbin
run=$(mktemp -d) || exit 1
server=
end() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
    rm -rf "$run"
}
trap end EXIT
die() {
    echo "bench-malloc: $name: $*" >&2
    tail -n 3 "$run/log" >&2
    exit 1
}
needs() { command -v "$1" >/dev/null || exit 77; }

# redis-server is linked to jemalloc: libc's own allocator has to be preloaded, too.
object=${BENCH_OBJECT:-}
if [ -z "$object" ] && [ "$name" = redis ]; then
    object=$(ldd "$(command -v redis-server)" | awk '$1 == "libc.so.6" { print $3 }')
fi

start() { # COMMAND...
    LD_PRELOAD=$object "$@" >"$run/log" 2>&1 </dev/null &
    server=$!
}
await() { # COMMAND...: until it succeeds
    local i
    for ((i = 0; i < 1200; i++)); do
        "$@" >/dev/null 2>&1 && return
        kill -0 "$server" 2>/dev/null || die "ended by itself"
        sleep 0.05
    done
    die "does not answer"
}
cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$server/stat"; }
seconds() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", b - a }'; }

measure() { # COMMAND...
    local begin=$EPOCHREALTIME before after
    before=$(cpu_ticks)
    "$@" >"$run/client" 2>&1 || { cat "$run/client" >&2; die "the client failed"; }
    local end=$EPOCHREALTIME
    after=$(cpu_ticks)
    echo "wall_s=$(seconds "$begin" "$end")" \
        "cpu_s=$(awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN { print t / hz }')" \
        "rss_kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$server/status")"
}

run_redis() {
    needs redis-server
    needs redis-benchmark
    socket=$run/s
    start redis-server --port 0 --unixsocket "$socket" --save "" --appendonly no --dir "$run"
    await redis-cli -s "$socket" ping
    measure redis-benchmark -q -s "$socket" -P 16 -r 100000 -n 200000 -d 200 \
        -t set,get,lpush,lpop,sadd,hset,zadd
}

run_mariadbd() {
    needs mariadbd
    needs sysbench
    local as=() socket=$run/s options data=$dir/mysql
    [ "$(id -u)" = 0 ] && as=(--user=root)
    options=(--no-defaults "${as[@]}" --socket="$socket" --skip-networking --skip-grant-tables
        --skip-log-bin --innodb-buffer-pool-size=64M --innodb-log-file-size=16M
        --innodb-flush-log-at-trx-commit=0 --thread-handling=one-thread-per-connection
        --tmpdir="$run" --pid-file="$run/pid")
    client=(sysbench oltp_read_write --db-driver=mysql --mysql-socket="$socket" --mysql-user=root
        --mysql-db=sbtest --tables=1 --table-size=10000)
    if [ ! -e "$data.made" ]; then
        rm -rf "$data"
        mariadb-install-db --no-defaults "${as[@]}" --datadir="$PWD/$data" --skip-test-db \
            --auth-root-authentication-method=normal --innodb-log-file-size=16M >"$run/log" 2>&1 ||
            die "mariadb-install-db failed"
        object='' start mariadbd "${options[@]}" --datadir="$PWD/$data"
        await mariadb --no-defaults -S "$socket" -e 'create database if not exists sbtest'
        "${client[@]}" prepare >"$run/client" 2>&1 || die "sysbench prepare failed"
        { kill "$server" && wait "$server"; } 2>/dev/null
        : >"$data.made"
    fi
    cp -r "$data" "$run/data"
    start mariadbd "${options[@]}" --datadir="$run/data"
    await mariadb --no-defaults -S "$socket" -e 'select 1'
    measure "${client[@]}" --threads=16 --time=0 --events=1500 run
}

case $name in
redis | mariadbd) "run_$name" ;;
*) exit 2 ;;
esac
