#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# redis-server with two I/O threads: redis-benchmark, then a BGSAVE (a fork with threads alive)
# whose file a plain server must read to the same digest.
. "${0%/*}/lib.sh"
needs redis-server redis-server
needs redis-benchmark redis-tools
: "${N:=20000}"
port=$(free_port)
run_dir=$REAL_DIR/data
mkdir "$run_dir"
options=(--bind 127.0.0.1 --dir "$run_dir" --save "" --appendonly no --daemonize no
    --enable-debug-command yes)
cli() { client 20 redis-cli -p "$port" "$@"; }
info() { cli info persistence | tr -d '\r' | sed -n "s/^$1://p"; }
saved() { [ "$(info rdb_bgsave_in_progress)" = 0 ]; }

start redis-server --port "$port" "${options[@]}" --io-threads 2 --io-threads-do-reads yes
wait_port "$port"
client 60 redis-benchmark --csv -p "$port" -n "$N" -c 50 -t set,get,incr,lpush >"$LOG/bench"
for test in SET GET INCR; do
    metric "${test,,}_s" \
        "$(tr -d '"' <"$LOG/bench" | awk -F, -v t=$test '$1 == t { print int($2) }')"
done
client 30 redis-benchmark -q -p "$port" -n "$N" -c 1000 -P 4 -t ping >"$LOG/bench1000"
eq incr "$(cli get counter:__rand_int__)" "$N"
eq llen "$(cli llen mylist)" "$N"
for ((i = 0; i < 1000; i++)); do printf 'set key%d %0120d\n' $i $i; done | cli >"$LOG/fill"
eq "sets answered" "$(grep -c OK "$LOG/fill")" 1000
digest=$(cli debug digest)
cli bgsave >"$LOG/bgsave"
wait_until 15 saved
eq bgsave "$(info rdb_last_bgsave_status)" ok
few_kernel_threads "$(kernel_threads)"
stop TERM 15 0 "$port"
expect_goroutines 4
peer redis-server --port "$port" "${options[@]}"
wait_port "$port"
eq "digest of the saved file" "$(cli debug digest)" "$digest"
finish
