#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# numpy, on OpenBLAS with threads.
. "${0%/*}/lib.sh"
needs /usr/lib/python3/dist-packages/numpy python3-numpy
needs /usr/lib/x86_64-linux-gnu/openblas-pthread libopenblas0-pthread
export OPENBLAS_NUM_THREADS=4
runtime 60 5 /usr/bin/python3 "$PROGRAMS/blas.py"
finish
