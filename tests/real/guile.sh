#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Guile, whose collector stops all threads by signals and scans their stacks.
. "${0%/*}/lib.sh"
needs guile guile-3.0
export GUILE_AUTO_COMPILE=0
runtime 60 45 guile --no-auto-compile "$PROGRAMS/threads.scm"
finish
