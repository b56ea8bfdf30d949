/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands for the header that configure would have made. */
#ifndef FOREIGN_CONFIG_H
#define FOREIGN_CONFIG_H
#define HAVE_TUNABLES 1
#define USE_MULTIARCH 1
#endif
