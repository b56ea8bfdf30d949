#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# curl: getaddrinfo in a thread for each name to resolve, many parallel transfers.  The server is
# plain.  curl itself answers "localhost", so another name of this machine is looked for.
. "${0%/*}/lib.sh"
needs curl curl
: "${N:=100}"
port=$(free_port)
name=$(awk '$1 ~ /^127\./ && $2 !~ /^localhost/ { print $2; exit }' /etc/hosts)
name=${name:-localhost}
address=$(getent ahostsv4 "$name" | awk 'NR == 1 { print $1 }')
[[ $address == 127.* ]] || { name=localhost address=127.0.0.1; }
peer "$PEER" http "$address" "$port" 5000
wait_port "$port" "$address"
curl -s "http://$address:$port/" >"$REAL_DIR/want"
eq "the server's own answer" "$(wc -c <"$REAL_DIR/want")" 5000
for i in 1 2 3; do
    prog 20 curl -sS --max-time 15 "http://$name:$port/$i" >"$REAL_DIR/got" ||
        fail "exit status $?"
    same "transfer $i" "$REAL_DIR/got" "$REAL_DIR/want"
    [ "$name" = localhost ] || expect_goroutines 1
done
prog 40 curl -sS --no-progress-meter --max-time 30 --parallel --parallel-max 50 \
    "http://$name:$port/[1-$N]" -o "$REAL_DIR/file.#1" || fail "parallel: exit status $?"
if [ "$name" = localhost ]; then
    metric resolver_thread none
else
    expect_goroutines 1
fi
for ((i = 1; i <= N; i++)); do same "file $i" "$REAL_DIR/file.$i" "$REAL_DIR/want"; done
empty stderr "$LOG/prog.err"
finish
