/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: what cfg.def's rows become. Filled once, in the constructor, before the first
 * thread exists, and only read afterwards. Calls nothing outside itself, so that the preloaded
 * object may use it before libc is ready, and the launcher prints from the same table. */
#ifndef GT_CORE_KIT_CFG_H
#define GT_CORE_KIT_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GT_CFG_STR_MAX = 256, GT_CFG_LINE_MAX = 768 };

/* Values of gt_cfg.gotraceback; each prints what the one before it does, and more. */
enum gt_traceback {
    GT_TRACEBACK_NONE,
    GT_TRACEBACK_SINGLE,
    GT_TRACEBACK_ALL,
    GT_TRACEBACK_SYSTEM,
    GT_TRACEBACK_CRASH,
};

enum gt_cfg_type {
    GT_CFG_INT,
    GT_CFG_BOOL,
    GT_CFG_MS,
    GT_CFG_SIZE,
    GT_CFG_U64,
    GT_CFG_ENUM,
    GT_CFG_STR,
};

enum { GT_CFG_INERT = 1, GT_CFG_FILE = 2 };

#define GT_CFG_FIELD_INT(f)  int f;
#define GT_CFG_FIELD_BOOL(f) bool f;
#define GT_CFG_FIELD_MS(f)   int64_t f;
#define GT_CFG_FIELD_SIZE(f) size_t f;
#define GT_CFG_FIELD_U64(f)  uint64_t f;
#define GT_CFG_FIELD_ENUM(f) int f;
#define GT_CFG_FIELD_STR(f)  char f[GT_CFG_STR_MAX];

struct gt_cfg {
#define K(var, key, field, type, def, words, min, max, flags, help) GT_CFG_FIELD_##type(field)
#include "core/kit/cfg.def"
};

/* One row of the table; the columns are explained in cfg.def. */
struct gt_cfg_row {
    const char *var, *key, *def, *words, *help;
    int64_t min, max;
    size_t offset; /* of the field in struct gt_cfg */
    enum gt_cfg_type type;
    unsigned flags;
};

/* The process's own configuration; only gt_cfg_parse writes it, once. */
extern struct gt_cfg gt_cfg __attribute__((visibility("hidden")));

/* Sets every field of c to its default, then reads envp (ended by NULL; NULL itself is an empty
 * environment).
 * warn     called once for each value that cannot be used, which is then left as it was, for each
 *          unknown key, and for a GODEBUG key that is set but inert. The line has no newline and is
 *          valid during the call only. NULL: say nothing.
 * Runs on  any stack; does not block; takes no lock; calls nothing but warn.                     */
void gt_cfg_parse(struct gt_cfg *c, char *const *envp, void (*warn)(void *arg, const char *line),
                  void *arg);

/* The table: row i, or NULL when i is past the last one. */
const struct gt_cfg_row *gt_cfg_row(size_t i);

/* Writes the value that c has for row i, in the form in which a user may set it ("auto", "64KiB").
 * Returns  its length, cut to size - 1; 0 with an empty string when there is no row i.           */
size_t gt_cfg_value(const struct gt_cfg *c, size_t i, char *buf, size_t size);

/* Writes row i as one line without newline: `GOTHREAD=seed=7`, `GOMAXPROCS=auto (default)`. A
 * buffer of GT_CFG_LINE_MAX always suffices. Returns its length, as gt_cfg_value.                */
size_t gt_cfg_describe(const struct gt_cfg *c, size_t i, char *buf, size_t size);

/* Writes what row i accepts, for people: `1..1024 or auto`. Returns its length, as gt_cfg_value. */
size_t gt_cfg_accepts(size_t i, char *buf, size_t size);

#endif
