#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Perl's threads.
. "${0%/*}/lib.sh"
needs perl perl
runtime 60 60 perl "$PROGRAMS/threads.pl"
empty stderr "$LOG/prog.err"
finish
