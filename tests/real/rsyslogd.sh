#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# rsyslogd: input threads of imtcp and imptcp, queue workers, an action queue.  Every message of
# eight clients must be in the file, once.
. "${0%/*}/lib.sh"
needs rsyslogd rsyslog
: "${N:=5000}"
port=$(free_port)
port2=$(free_port)
out=$REAL_DIR/out
cat >"$REAL_DIR/rsyslog.conf" <<END
global(workDirectory="$REAL_DIR")
main_queue(queue.type="LinkedList" queue.size="200000" queue.workerThreads="4"
    queue.workerThreadMinimumMessages="500")
module(load="imptcp" threads="3")
module(load="imtcp")
template(name="bare" type="string" string="%msg%\n")
input(type="imptcp" port="$port" address="127.0.0.1")
input(type="imtcp" port="$port2" address="127.0.0.1")
action(type="omfile" file="$out" template="bare" queue.type="LinkedList" queue.size="200000"
    queue.workerThreads="2")
END
for k in 1 2 3 4 5 6 7 8; do
    for ((i = 0; i < N; i++)); do echo "<13>Nov 22 01:02:03 here me: client $k message $i"; done \
        >"$REAL_DIR/messages.$k"
done
cat "$REAL_DIR"/messages.* | sed 's/.*me://' | sort >"$REAL_DIR/want"
all_written() { [ "$(wc -l <"$out" 2>/dev/null)" = $((8 * N)) ]; }

start rsyslogd -n -f "$REAL_DIR/rsyslog.conf" -i "$REAL_DIR/pid"
wait_port "$port"
wait_port "$port2"
clients=()
for k in 1 2 3 4 5 6 7 8; do
    client 30 "$PEER" forward $((k % 2 ? port : port2)) "$REAL_DIR/messages.$k" &
    clients+=($!)
done
for pid in "${clients[@]}"; do wait "$pid" || fail "a client could not send"; done
wait_until 30 all_written
few_kernel_threads "$(kernel_threads)"
stop TERM 15 0 "$port"
sort "$out" >"$REAL_DIR/got"
same messages "$REAL_DIR/got" "$REAL_DIR/want"
[ ! -e "$REAL_DIR/pid" ] || fail "its pid file is left"
expect_goroutines 5
finish
