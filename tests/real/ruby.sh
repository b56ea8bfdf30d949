#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Ruby's threads, Ractors and fibers.
. "${0%/*}/lib.sh"
needs ruby ruby
runtime 60 20 ruby "$PROGRAMS/threads.rb"
finish
