#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Erlang's virtual machine.
. "${0%/*}/lib.sh"
needs erlc erlang-base
cd "$REAL_DIR" || die "no directory"
erlc "$PROGRAMS/beam.erl" || die "it does not compile"
runtime 60 0 erl -noinput -s beam main
rm -f "$STATS" # a child's
finish
