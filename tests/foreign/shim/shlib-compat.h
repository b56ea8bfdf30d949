/* SPDX-License-Identifier: BSD-2-Clause */
/* Nothing of it is needed outside the library. */
#include <config.h>
