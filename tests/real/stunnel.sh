#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# stunnel4: a thread for each TLS connection, before a plain echo server.  1,000 clients connect,
# all stay, and compare what comes back.
. "${0%/*}/lib.sh"
needs stunnel4 stunnel4
needs openssl openssl
needs /usr/bin/python3 python3
: "${CONNS:=1000}" "${N:=5}"
keys=$REAL_SHARE
if first keys; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj /CN=localhost -keyout "$keys/key.pem" -out "$keys/cert.pem" 2>"$LOG/openssl" ||
        die "openssl made no key"
fi
port=$(free_port)
behind=$(free_port)
peer "$PEER" echo 127.0.0.1 "$behind"
wait_port "$behind"
cat >"$REAL_DIR/stunnel.conf" <<END
foreground = yes
pid =
debug = warning
[echo]
accept = 127.0.0.1:$port
connect = 127.0.0.1:$behind
cert = $keys/cert.pem
key = $keys/key.pem
TIMEOUTclose = 1
END
start stunnel4 "$REAL_DIR/stunnel.conf"
wait_port "$port"
out=$(client 70 /usr/bin/python3 "$TOOLS/tls_client.py" "$port" "$CONNS" "$N" "$PID")
METRICS+=("${out% *}")
few_kernel_threads "$(word threads "$out")"
# Without a connection left: stunnel frees at its end what its threads may still use.
connections_gone() { [ "$(find "/proc/$PID/fd" -mindepth 1 2>/dev/null | wc -l)" -lt 30 ]; }
wait_until 15 connections_gone
expect_idle
stop TERM 15 0 "$port"
expect_goroutines "$CONNS"
finish
