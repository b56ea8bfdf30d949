#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Tcl's threads.
. "${0%/*}/lib.sh"
needs tclsh tcl
needs /usr/share/doc/tcl-thread tcl-thread
runtime 60 30 tclsh "$PROGRAMS/threads.tcl"
finish
