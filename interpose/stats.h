/* SPDX-License-Identifier: BSD-2-Clause
 *
 * --stats: what the runtime did, one `name: value` a line, written once when the process ends.
 */
#ifndef GT_STATS_H
#define GT_STATS_H

/* Writes them where GOTHREAD=stats= says, the first time it is called; else does nothing. */
void gt_stats_print(void);

#endif
