#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# apache2 with mpm_worker: listener and worker threads in forked children, a CGI daemon, a
# graceful restart under connections, a clean stop.
. "${0%/*}/lib.sh"
needs apache2 apache2
needs wrk wrk
needs ab apache2-utils
needs curl curl
modules=/usr/lib/apache2/modules
needs $modules/mod_mpm_worker.so apache2-bin
: "${N:=2000}" "${CONNS:=150}"
port=$(free_port)
url=http://127.0.0.1:$port
root=$REAL_DIR/root
mkdir "$root" "$REAL_DIR/run"
chmod 755 "$root"
chmod 777 "$REAL_DIR/run"
echo "a small file" >"$root/small.txt"
text "$root/big.txt" 4000
cat >"$root/hello.cgi" <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\n\nhello %s\n' "$QUERY_STRING"
END
chmod 644 "$root"/*.txt
chmod 755 "$root/hello.cgi"
: >"$REAL_DIR/mime.types"
cat >"$REAL_DIR/apache.conf" <<END
ServerRoot $REAL_DIR
ServerName localhost
Listen 127.0.0.1:$port
PidFile $REAL_DIR/run/pid
User www-data
Group www-data
DefaultRuntimeDir $REAL_DIR/run
LoadModule mpm_worker_module $modules/mod_mpm_worker.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule mime_module $modules/mod_mime.so
LoadModule cgid_module $modules/mod_cgid.so
TypesConfig $REAL_DIR/mime.types
AddType text/plain .txt
ScriptSock $REAL_DIR/run/cgid
ErrorLog $LOG/error
ServerLimit 4
ThreadLimit 128
StartServers 2
ThreadsPerChild 100
MaxRequestWorkers 200
MinSpareThreads 20
MaxSpareThreads 200
MaxKeepAliveRequests 0
KeepAliveTimeout 15
DocumentRoot $root
<Directory $root>
    Options +ExecCGI
    AddHandler cgi-script .cgi
    Require all granted
</Directory>
END

serves() { [ "$(http_get "$url/small.txt")" = "a small file" ]; }
restarted() { [ "$(grep -c 'resuming normal operations' "$LOG/error")" = 2 ]; }
check_answers() { # WHEN
    local i
    serves || fail "small file $1"
    http_get -o "$REAL_DIR/got" "$url/big.txt"
    same "big file $1" "$REAL_DIR/got" "$root/big.txt"
    for i in 1 2 3; do eq "cgi $1" "$(http_get "$url/hello.cgi?$i")" "hello $i"; done
}

start apache2 -f "$REAL_DIR/apache.conf" -DFOREGROUND
wait_until 15 serves
check_answers "at first"
wrk_load "$url/small.txt" 64
ab_load "$url/big.txt" "$N" 50
held=$(client 40 "$PEER" hold "$port" "$CONNS" "$PID" \
    'GET /small.txt HTTP/1.1\r\nHost: me\r\n\r\n')
few_kernel_threads "$(word largest "$held")"
kill -USR1 "$PID"
wait_until 10 restarted
wait_until 10 serves
check_answers "after the restart"
stop TERM 20 0 "$port"
eq "error log" "$(grep -iE 'segfault|exit signal|\[(crit|alert|emerg|error)' "$LOG/error")" ""
[ ! -e "$REAL_DIR/run/pid" ] || fail "its pid file is left"
finish
