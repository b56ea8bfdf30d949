#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# mariadbd: a thread for each connection, InnoDB's own threads; sysbench reads and writes at two
# sizes, idle connections are counted, then the tables are checked and the server stopped.
. "${0%/*}/lib.sh"
needs mariadbd mariadb-server
needs mariadb mariadb-client
needs sysbench sysbench
: "${CONNS:=16 256}" "${SECS:=2}"
socket=$REAL_DIR/s
as=()
[ "$(id -u)" = 0 ] && as=(--user=root)

server=(mariadbd --no-defaults "${as[@]}" --socket="$socket" --skip-networking
    --skip-grant-tables --skip-log-bin --innodb-buffer-pool-size=64M --innodb-log-file-size=16M
    --innodb-flush-log-at-trx-commit=2 --thread-handling=one-thread-per-connection
    --max-connections=1500 --table-open-cache=2000 --tmpdir="$TMPDIR")
bench=(--db-driver=mysql --mysql-socket="$socket" --mysql-user=root --mysql-db=sbtest --tables=1
    --table-size=10000 --report-interval=0 --time="$SECS")
sql() { client 20 mariadb --no-defaults --socket="$socket" --batch --skip-column-names -e "$1"; }

# Installed and filled once, by a plain server; each run works on a copy.
make_data() {
    local under=("${UNDER[@]}")
    UNDER=("${PLAIN[@]}")
    mariadb-install-db --no-defaults "${as[@]}" --datadir="$REAL_SHARE/data" --skip-test-db \
        --auth-root-authentication-method=normal --innodb-log-file-size=16M \
        >"$LOG/install" 2>&1 || die "mariadb-install-db failed"
    start "${server[@]}" --datadir="$REAL_SHARE/data" --pid-file="$REAL_DIR/pid"
    wait_until 30 test -S "$socket"
    sql 'create database sbtest'
    client 60 sysbench oltp_point_select "${bench[@]}" prepare >"$LOG/prepare"
    stop TERM 30 0
    UNDER=("${under[@]}")
}

load() { # WORKLOAD CONNECTIONS
    client 60 sysbench "oltp_$1" "${bench[@]}" --threads="$2" run >"$LOG/$1.$2" || return
    eq "$1 $2 fatal" "$(grep -c FATAL "$LOG/$1.$2")" 0
    at_least "$1 $2 transactions" "$(number_after transactions: "$LOG/$1.$2")" 1
    metric "$1$2_tps" "$(sed -n 's/.*transactions:.*(\([0-9]*\).*/\1/p' "$LOG/$1.$2")"
}

first data && make_data
cp -r "$REAL_SHARE/data" "$REAL_DIR/data"
start "${server[@]}" --datadir="$REAL_DIR/data" --pid-file="$REAL_DIR/pid"
wait_until 30 test -S "$socket"
for conns in $CONNS; do
    for workload in point_select read_write; do load $workload "$conns"; done
done
# A connection that has been greeted and says nothing is a thread that is blocked in a read.
held=$(client 30 "$PEER" hold "$socket" 256 "$PID")
few_kernel_threads "$(word threads "$held")"
eq rows "$(sql 'select count(*) from sbtest.sbtest1')" 10000
# CHECK beside purge warns of records that purge has just taken, plain too.
sql 'set global innodb_max_purge_lag_wait=0'
eq check "$(sql 'check table sbtest.sbtest1 extended' | awk '{ print $NF }')" OK
eq index "$(sql 'select sum(crc32(k)) from sbtest.sbtest1 force index(k_1)')" \
    "$(sql 'select sum(crc32(k)) from sbtest.sbtest1 ignore index(k_1)')"
stop TERM 30 0
grep -q 'Shutdown complete' "$LOG/prog.log" || fail "no clean shutdown"
[ ! -e "$REAL_DIR/pid" ] || fail "its pid file is left"
expect_goroutines 256
finish
