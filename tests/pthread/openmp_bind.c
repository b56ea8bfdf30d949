/* SPDX-License-Identifier: BSD-2-Clause */
/* openmp.c with threads that are bound to CPUs (openmp_bind.env). */
#include "openmp.c"
