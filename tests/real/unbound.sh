#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# unbound with four threads, each an event loop of its own, asked over UDP and TCP.
. "${0%/*}/lib.sh"
needs unbound unbound
needs dig bind9-dnsutils
needs dnsperf dnsperf
: "${SECS:=2}"
port=$(free_port)
conf=$REAL_DIR/unbound.conf
address() { echo "10.1.$(($1 / 200)).$(($1 % 200 + 1))"; }
cat >"$conf" <<END
server:
    num-threads: 4
    interface: 127.0.0.1
    port: $port
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "$REAL_DIR"
    pidfile: "$REAL_DIR/pid"
    use-syslog: no
    so-reuseport: yes
    local-zone: "names.test." static
remote-control:
    control-enable: no
server:
END
for ((i = 0; i < 1000; i++)); do
    echo "    local-data: \"n$i.names.test. A $(address $i)\"" >>"$conf"
    echo "n$i.names.test A" >>"$REAL_DIR/queries"
done
ask() { dig +time=3 +tries=1 -p "$port" @127.0.0.1 "$@"; }

load() { # PROTOCOL
    local out=$LOG/dnsperf.$1 sent answered
    client 30 dnsperf -m "$1" -s 127.0.0.1 -p "$port" -d "$REAL_DIR/queries" -c 16 -T 1 \
        -l "$SECS" >"$out"
    metric "$1_qps" "$(number_after 'Queries per second' "$out")"
    sent=$(number_after 'Queries sent' "$out")
    answered=$(number_after 'Queries completed' "$out")
    at_least "$1 queries" "$answered" 1000
    # Under TCP the last answers can come after the clock has stopped.
    at_least "$1 answered of $sent" "$answered" $((sent - sent / 1000))
    eq "$1 answers" "$(sed -n 's/.*Response codes: *\([A-Z]*\).*(100.00%)/\1/p' "$out")" NOERROR
}

start unbound -d -c "$conf"
wait_port "$port"
for i in 0 1 500 999; do
    eq "n$i" "$(ask +short n$i.names.test)" "$(address $i)"
    eq "n$i over TCP" "$(ask +short +tcp n$i.names.test)" "$(address $i)"
done
ask none.names.test | grep -q NXDOMAIN || fail "a name that does not exist has an answer"
load udp
load tcp
few_kernel_threads "$(kernel_threads)"
stop TERM 15 0 "$port"
[ ! -e "$REAL_DIR/pid" ] || fail "its pid file is left"
expect_goroutines 3
finish
