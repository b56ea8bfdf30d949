#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# memcached -t 4: libevent workers, LRU and slab maintenance threads.  Every get is compared with
# what was set, and the server's own counts with the client's.
. "${0%/*}/lib.sh"
needs memcached memcached
: "${CONNS:=1000}"
port=$(free_port)
as=()
[ "$(id -u)" = 0 ] && as=(-u root)
start memcached "${as[@]}" -l 127.0.0.1 -p "$port" -t 4 -m 64 -c 8192
wait_port "$port"

# server_count NAME: a figure of the server's "stats".
server_count() {
    {
        printf 'stats\r\nquit\r\n' >&3
        timeout 5 tr -d '\r' <&3 | awk -v name="$1" '$2 == name { print $3 }'
    } 3<>"/dev/tcp/127.0.0.1/$port"
}

sets=0 gets=0
for conns in 64 "$CONNS"; do
    out=$(client 30 "$PEER" memcached "$port" "$conns" "${SECS:-2}")
    metric "ops$conns" "$(word ops_s "$out")"
    metric "p99_us$conns" "$(word p99_us "$out")"
    sets=$((sets + $(word sets "$out"))) gets=$((gets + $(word gets "$out")))
done
eq sets "$(server_count cmd_set)" $sets
eq hits "$(server_count get_hits)" $gets
eq misses "$(server_count get_misses)" 0
expect_idle
few_kernel_threads "$(kernel_threads)"
stop TERM 10 0 "$port"
expect_goroutines 4
finish
