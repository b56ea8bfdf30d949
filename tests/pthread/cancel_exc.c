/* SPDX-License-Identifier: BSD-2-Clause */
/* cancel_cleanup.c, built with -fexceptions. */
#ifndef __EXCEPTIONS
#error "to be built with -fexceptions"
#endif
#include "cancel_cleanup.c"
