/* SPDX-License-Identifier: BSD-2-Clause */
/* The signals that the thread library keeps for itself. */
#include <pthreadP.h>
#include <signal.h>
