#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Mono's threads.
. "${0%/*}/lib.sh"
wants mono mono-runtime
wants mcs mono-mcs
program=$REAL_SHARE/threads.exe
if first program; then mcs -out:"$program" "$PROGRAMS/threads.cs" || die "it does not compile"; fi
runtime 60 50 mono "$program"
finish
