#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Node: libuv's pool, V8's threads, worker threads; then an HTTP server under load.
. "${0%/*}/lib.sh"
needs node nodejs
needs wrk wrk
mkdir "$REAL_DIR/files"
runtime 60 10 node "$PROGRAMS/node.js" "$REAL_DIR/files"
empty stderr "$LOG/prog.err"

port=$(free_port)
start node -e "require('http').createServer((q, r) => r.end(q.url)).listen($port, '127.0.0.1')"
wait_port "$port"
eq answer "$(http_get "http://127.0.0.1:$port/path")" /path
wrk_load "http://127.0.0.1:$port/" 64
expect_idle
stop TERM 10 143 "$port"
finish
