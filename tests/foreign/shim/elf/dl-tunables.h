/* SPDX-License-Identifier: BSD-2-Clause */
/* No tunable is set. */
#ifndef FOREIGN_DL_TUNABLES_H
#define FOREIGN_DL_TUNABLES_H
#define TUNABLE_GET_FULL(top, ns, id, type, cb) ((type)0)
#endif
