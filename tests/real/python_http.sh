#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# python3's ThreadingHTTPServer: a thread for each connection, long ones by wrk, short ones by ab.
. "${0%/*}/lib.sh"
needs /usr/bin/python3 python3
needs wrk wrk
needs ab apache2-utils
needs curl curl
: "${N:=1500}" "${CONNS:=200}"
port=$(free_port)
url=http://127.0.0.1:$port
start /usr/bin/python3 "$PROGRAMS/http_server.py" "$port"
wait_port "$port"
eq get "$(http_get "$url/one")" "you asked for /one"
wrk_load "$url/two" 64
ab_load "$url/three" "$N" 32
held=$(client 40 "$PEER" hold "$port" "$CONNS" "$PID" 'GET /four HTTP/1.1\r\nHost: me\r\n\r\n')
few_kernel_threads "$(word threads "$held")"
eq "get after load" "$(http_get "$url/five")" "you asked for /five"
stop INT 10 0 "$port"
eq output "$(cat "$LOG/prog.log")" stopped
expect_goroutines "$N"
finish
