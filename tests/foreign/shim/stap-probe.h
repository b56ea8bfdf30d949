/* SPDX-License-Identifier: BSD-2-Clause */
/* The support code has no probes here. */
#include <config.h>
