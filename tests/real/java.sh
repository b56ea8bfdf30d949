#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# OpenJDK 17: start-up, N threads at once (5,000; 10,000 were tried), a thread for each connection,
# three collectors under load, and the thread dump that SIGQUIT asks for.
. "${0%/*}/lib.sh"
needs javac openjdk-17-jdk-headless
: "${N:=5000}"
classes=$REAL_SHARE/classes
if first classes; then javac -d "$classes" "$PROGRAMS/Threads.java" || die "it does not compile"; fi
export TMPDIR=/tmp # hsperfdata lies there in any case
prog 30 java -version || fail "-version: exit status $?"
eq hello "$(head -c 19 "$LOG/prog.err")" 'openjdk version "17'

few() { few_kernel_threads "$(sed -n 's/^kernel=//p' "$LOG/out")"; }
runtime 80 "$N" java -XX:+UseSerialGC -Xmx400m -Xss256k -cp "$classes" Threads "$N"
few
runtime 60 300 java -XX:+UseG1GC -Xmx400m -Xss256k -cp "$classes" Threads 200 dump
few
eq "thread dump" "$(grep -c '^Full thread dump' "$LOG/out")" 1
at_least "threads in the dump" "$(grep -c '^"Thread-' "$LOG/out")" 200
runtime 60 300 java -XX:+UseZGC -Xmx400m -Xss256k -cp "$classes" Threads 200
few
export TMPDIR=$REAL_DIR/tmp
finish
