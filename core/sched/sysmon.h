/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where goroutines were found blocked without notice: shown by --stats.
 */
#ifndef GT_SYSMON_H
#define GT_SYSMON_H

#include <stdint.h>

#define GT_UNANNOUNCED 64
struct gt_unannounced {
    uintptr_t pc;
    uint64_t count;
};
/* GT_UNANNOUNCED rows; the first with pc 0 ends them. */
const struct gt_unannounced *gt_sysmon_unannounced(void);

#endif
