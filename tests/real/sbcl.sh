#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SBCL's threads.
. "${0%/*}/lib.sh"
wants sbcl sbcl
runtime 60 25 sbcl --script "$PROGRAMS/threads.lisp"
finish
