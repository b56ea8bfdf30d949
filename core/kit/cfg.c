/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the environment into struct gt_cfg, by the table in cfg.def, and prints it back.
 *
 * The same file goes into the preloaded object, where it runs before libc is set up and where the
 * usual helpers (memcpy, strtol, getenv) are interposed, and into the launcher. So it calls
 * nothing, and its loops over bytes go through volatile: gcc turns plain ones into calls of memcpy,
 * memset and strlen. No locks; any stack. */
#include "core/kit/cfg.h"

struct gt_cfg gt_cfg;

static const struct gt_cfg_row rows[] = {
#define K(var, key, field, type, def, words, min, max, flags, help)                                \
    {var, key, def, words, help, min, max, offsetof(struct gt_cfg, field), GT_CFG_##type, flags},
#include "core/kit/cfg.def"
};
enum { NROWS = sizeof rows / sizeof rows[0], KEY_MAX = 32 };

static const char bool_words[] = "0=0|1=1|off=0|on=1|no=0|yes=1|false=0|true=1";

/* ---- bytes: a piece of text is pointer and length, as it lies in the environment ---- */

struct text {
    const char *s;
    size_t n;
};

static struct text text_of(const char *s)
{
    const volatile char *p = s;
    size_t n = 0;
    while (p[n] != '\0')
        n++;
    return (struct text){s, n};
}

static bool text_is(struct text t, const char *s)
{
    size_t i = 0;
    while (i < t.n && s[i] != '\0' && s[i] == t.s[i])
        i++;
    return i == t.n && s[i] == '\0';
}

/* Cuts the piece up to the next `stop` off the front of t. */
static struct text text_cut(struct text *t, char stop)
{
    struct text piece = {t->s, 0};
    while (piece.n < t->n && t->s[piece.n] != stop)
        piece.n++;
    size_t used = piece.n < t->n ? piece.n + 1 : piece.n;
    t->s += used;
    t->n -= used;
    return piece;
}

static void copy_bytes(char *to, struct text from)
{
    volatile char *p = to;
    for (size_t i = 0; i < from.n; i++)
        p[i] = from.s[i];
    p[from.n] = '\0';
}

/* ---- writing lines ---- */

struct out {
    char *buf;
    size_t size, len;
};

static void out_char(struct out *o, char ch)
{
    if (o->len + 1 < o->size)
        o->buf[o->len++] = ch;
    if (o->size > 0)
        o->buf[o->len] = '\0';
}

static void out_str(struct out *o, const char *s)
{
    for (; *s != '\0'; s++)
        out_char(o, *s);
}

/* In quotes, cut short, with nothing in it that could upset a terminal or add a line. */
static void out_quoted(struct out *o, struct text t)
{
    out_char(o, '"');
    for (size_t i = 0; i < t.n && i < 60; i++)
        out_char(o, (char)(t.s[i] >= ' ' && t.s[i] <= '~' ? t.s[i] : '?'));
    out_str(o, t.n > 60 ? "...\"" : "\"");
}

static void out_u64(struct out *o, uint64_t v)
{
    char digits[20];
    int n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    while (n > 0)
        out_char(o, digits[--n]);
}

static void out_i64(struct out *o, int64_t v)
{
    if (v < 0)
        out_char(o, '-');
    out_u64(o, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

static void out_size(struct out *o, uint64_t v)
{
    int unit = 0;
    while (unit < 4 && v != 0 && v % 1024 == 0) {
        v /= 1024;
        unit++;
    }
    out_u64(o, v);
    if (unit > 0) {
        out_char(o, "KMGT"[unit - 1]);
        out_str(o, "iB");
    }
}

static void out_number(struct out *o, const struct gt_cfg_row *r, int64_t v)
{
    if (r->type == GT_CFG_SIZE)
        out_size(o, (uint64_t)v);
    else if (r->type == GT_CFG_U64)
        out_u64(o, (uint64_t)v);
    else
        out_i64(o, v);
}

/* ---- values ---- */

/* Digits with an optional sign into *v, which wraps for numbers above INT64_MAX (U64 rows). *rest
 * is what follows them. False: no digits, or too many. */
static bool read_number(struct text t, int64_t *v, struct text *rest)
{
    bool minus = t.n > 0 && t.s[0] == '-';
    size_t i = minus ? 1 : 0, first = i;
    uint64_t n = 0;
    for (; i < t.n && t.s[i] >= '0' && t.s[i] <= '9'; i++)
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (unsigned)(t.s[i] - '0'), &n))
            return false;
    *rest = (struct text){t.s + i, t.n - i};
    *v = minus ? (int64_t)-n : (int64_t)n;
    return i > first && (!minus || n <= INT64_MAX);
}

/* The factor that a size's suffix stands for: k, kB, KiB, ...; 0 when it is none. */
static int64_t size_unit(struct text t)
{
    static const char letters[] = "kKmMgGtT";
    if (t.n == 0 || text_is(t, "B"))
        return 1;
    if (t.n > 1 && !text_is((struct text){t.s + 1, t.n - 1}, "iB") &&
        !text_is((struct text){t.s + 1, t.n - 1}, "B"))
        return 0;
    for (int i = 0; i < 8; i++)
        if (t.s[0] == letters[i])
            return INT64_C(1) << (10 * (i / 2 + 1));
    return 0;
}

static const char *row_words(const struct gt_cfg_row *r)
{
    return r->type == GT_CFG_BOOL ? bool_words : r->words;
}

/* The value of the word `want`, or, where want is empty, the first word that has the value *v. */
static bool find_word(const struct gt_cfg_row *r, struct text want, int64_t *v, struct text *word)
{
    struct text list = text_of(row_words(r));
    while (list.n > 0) {
        struct text item = text_cut(&list, '|'), name = text_cut(&item, '='), rest;
        int64_t value = 0;
        read_number(item, &value, &rest);
        bool same = name.n == want.n;
        for (size_t i = 0; same && i < name.n; i++)
            same = name.s[i] == want.s[i];
        if (want.n > 0 ? same : value == *v) {
            *v = value;
            *word = name;
            return true;
        }
    }
    return false;
}

/* Text into a number that row r takes: a word, or a number with its unit and within its bounds. */
static bool read_value(const struct gt_cfg_row *r, struct text t, int64_t *v)
{
    struct text rest;
    if (t.n == 0)
        return false;
    if (find_word(r, t, v, &rest))
        return true;
    if (r->type == GT_CFG_BOOL || r->type == GT_CFG_ENUM || !read_number(t, v, &rest))
        return false;
    if (r->type == GT_CFG_U64)
        return rest.n == 0 && t.s[0] != '-';
    if (*v < 0 && t.s[0] != '-')
        return false;
    int64_t unit = rest.n == 0 ? 1 : 0;
    if (r->type == GT_CFG_SIZE)
        unit = size_unit(rest);
    else if (r->type == GT_CFG_MS && rest.n > 0)
        unit = text_is(rest, "ms") ? 1 : text_is(rest, "s") ? 1000 : 0;
    return unit != 0 && !__builtin_mul_overflow(*v, unit, v) && *v >= r->min && *v <= r->max;
}

static int64_t get_number(const struct gt_cfg *c, const struct gt_cfg_row *r)
{
    const void *p = (const char *)c + r->offset;
    switch (r->type) {
    case GT_CFG_BOOL:
        return *(const bool *)p;
    case GT_CFG_MS:
        return *(const int64_t *)p;
    case GT_CFG_SIZE:
        return (int64_t) * (const size_t *)p;
    case GT_CFG_U64:
        return (int64_t) * (const uint64_t *)p;
    default:
        return *(const int *)p;
    }
}

static void set_number(struct gt_cfg *c, const struct gt_cfg_row *r, int64_t v)
{
    void *p = (char *)c + r->offset;
    switch (r->type) {
    case GT_CFG_BOOL:
        *(bool *)p = v != 0;
        break;
    case GT_CFG_MS:
        *(int64_t *)p = v;
        break;
    case GT_CFG_SIZE:
        *(size_t *)p = (size_t)v;
        break;
    case GT_CFG_U64:
        *(uint64_t *)p = (uint64_t)v;
        break;
    default:
        *(int *)p = (int)v;
    }
}

static bool set_value(struct gt_cfg *c, const struct gt_cfg_row *r, struct text t)
{
    int64_t v;
    if (r->type == GT_CFG_STR) {
        if (t.n >= GT_CFG_STR_MAX)
            return false;
        if ((r->flags & GT_CFG_FILE) && text_is(t, "1"))
            t = text_of("-");
        else if ((r->flags & GT_CFG_FILE) && text_is(t, "0"))
            t = text_of("");
        copy_bytes((char *)c + r->offset, t);
        return true;
    }
    if (!read_value(r, t, &v))
        return false;
    set_number(c, r, v);
    return true;
}

static void out_value(struct out *o, const struct gt_cfg *c, const struct gt_cfg_row *r)
{
    struct text word;
    if (r->type == GT_CFG_STR) {
        out_str(o, (const char *)c + r->offset);
        return;
    }
    int64_t v = get_number(c, r);
    if (!find_word(r, text_of(""), &v, &word)) {
        out_number(o, r, v);
        if (r->type == GT_CFG_MS)
            out_str(o, "ms");
        return;
    }
    for (size_t i = 0; i < word.n; i++)
        out_char(o, word.s[i]);
}

/* The next name that a row offers: aliases that begin with a digit are left out. */
static bool next_offer(struct text *list, struct text *name)
{
    while (list->n > 0) {
        struct text item = text_cut(list, '|');
        *name = text_cut(&item, '=');
        if (name->s[0] < '0' || name->s[0] > '9')
            return true;
    }
    return false;
}

/* The names that a row offers, after a number or by themselves: `1..9 or auto`, `a, b or c`. */
static void out_words(struct out *o, const char *words, bool after_number)
{
    struct text list = text_of(words), name, next;
    bool more = next_offer(&list, &name);
    for (bool first = !after_number; more; first = false) {
        more = next_offer(&list, &next);
        if (!first)
            out_str(o, more ? ", " : " or ");
        for (size_t i = 0; i < name.n; i++)
            out_char(o, name.s[i]);
        name = next;
    }
}

static void out_accepts(struct out *o, const struct gt_cfg_row *r)
{
    switch (r->type) {
    case GT_CFG_STR:
        out_str(o, "a path of at most 255 bytes, without a comma");
        return;
    case GT_CFG_BOOL:
        out_str(o, "0 or 1");
        return;
    case GT_CFG_ENUM:
        break;
    case GT_CFG_U64:
        out_str(o, "0..18446744073709551615");
        break;
    case GT_CFG_SIZE:
        out_str(o, "a size (k, m, g or t at the end)");
        if (r->min > 0) {
            out_str(o, " of at least ");
            out_size(o, (uint64_t)r->min);
        }
        break;
    default:
        out_i64(o, r->min);
        out_str(o, "..");
        out_i64(o, r->max);
        if (r->type == GT_CFG_MS)
            out_str(o, " ms");
    }
    out_words(o, r->words, r->type != GT_CFG_ENUM);
}

/* ---- warnings ---- */

struct parse {
    struct gt_cfg *c;
    void (*warn)(void *arg, const char *line);
    void *arg;
};

static void warn_bad(const struct parse *p, const struct gt_cfg_row *r, struct text value)
{
    char line[GT_CFG_LINE_MAX];
    struct out o = {line, sizeof line, 0};
    out_str(&o, r->var);
    if (r->key[0] != '\0') {
        out_str(&o, ": ");
        out_str(&o, r->key);
    }
    out_char(&o, '=');
    out_quoted(&o, value);
    out_str(&o, " ignored: want ");
    out_accepts(&o, r);
    out_str(&o, "; keeping \"");
    out_value(&o, p->c, r);
    out_char(&o, '"');
    p->warn(p->arg, line);
}

static void warn_inert(const struct parse *p, const struct gt_cfg_row *r)
{
    char line[GT_CFG_LINE_MAX];
    struct out o = {line, sizeof line, 0};
    out_str(&o, r->var);
    out_str(&o, ": ");
    out_str(&o, r->key);
    out_str(&o, " is accepted but has no effect in this version");
    p->warn(p->arg, line);
}

/* Edits (insert, drop, change a byte) that turn a into b, both cut to KEY_MAX: one row of the usual
 * table at a time. */
static int edit_distance(struct text a, const char *b)
{
    int row[KEY_MAX + 1];
    size_t nb = text_of(b).n, na = a.n < KEY_MAX ? a.n : KEY_MAX;
    nb = nb < KEY_MAX ? nb : KEY_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int change = diagonal + (a.s[i - 1] != b[j - 1]);
            int other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[nb];
}

/* The key nearest to what was written, over both lists: a key in the wrong variable is found too. A
 * tie goes to the variable in which it was written. */
static const struct gt_cfg_row *nearest_row(const char *var, struct text key)
{
    const struct gt_cfg_row *best = NULL;
    int best_score = 0;
    for (size_t i = 0; i < NROWS; i++) {
        if (rows[i].key[0] == '\0')
            continue;
        int score = 2 * edit_distance(key, rows[i].key) + !text_is(text_of(var), rows[i].var);
        if (best == NULL || score < best_score) {
            best = &rows[i];
            best_score = score;
        }
    }
    return best;
}

static void warn_unknown(const struct parse *p, const char *var, struct text key)
{
    char line[GT_CFG_LINE_MAX];
    struct out o = {line, sizeof line, 0};
    const struct gt_cfg_row *near = nearest_row(var, key);
    out_str(&o, var);
    out_str(&o, ": unknown key ");
    out_quoted(&o, key);
    out_str(&o, " ignored; the nearest is ");
    out_str(&o, near->key);
    if (!text_is(text_of(var), near->var)) {
        out_str(&o, " of ");
        out_str(&o, near->var);
    }
    p->warn(p->arg, line);
}

/* ---- the parser ---- */

static void parse_item(const struct parse *p, const char *var, struct text item)
{
    struct text value = item, key = text_cut(&value, '=');
    bool bare = key.n == item.n;
    for (size_t i = 0; i < NROWS; i++) {
        const struct gt_cfg_row *r = &rows[i];
        if (!text_is(text_of(var), r->var) || !text_is(key, r->key))
            continue;
        if (bare && (r->type == GT_CFG_BOOL || (r->flags & GT_CFG_FILE)))
            value = text_of("1");
        if (((bare && value.n == 0) || !set_value(p->c, r, value)) && p->warn != NULL)
            warn_bad(p, r, value);
        return;
    }
    if (p->warn != NULL)
        warn_unknown(p, var, key);
}

/* The value of a variable, or an empty text: the first entry counts, as for getenv. */
static struct text find_var(char *const *envp, const char *var)
{
    for (; envp != NULL && *envp != NULL; envp++) {
        struct text value = text_of(*envp), name = text_cut(&value, '=');
        if (text_is(name, var))
            return value;
    }
    return (struct text){"", 0};
}

static void parse_list(const struct parse *p, char *const *envp, const char *var)
{
    struct text list = find_var(envp, var);
    while (list.n > 0) {
        struct text item = text_cut(&list, ',');
        if (item.n > 0)
            parse_item(p, var, item);
    }
    for (size_t i = 0; i < NROWS; i++) {
        const struct gt_cfg_row *r = &rows[i];
        struct gt_cfg plain;
        if (!(r->flags & GT_CFG_INERT) || !text_is(text_of(var), r->var) || p->warn == NULL)
            continue;
        set_value(&plain, r, text_of(r->def));
        if (get_number(p->c, r) != get_number(&plain, r))
            warn_inert(p, r);
    }
}

void gt_cfg_parse(struct gt_cfg *c, char *const *envp, void (*warn)(void *arg, const char *line),
                  void *arg)
{
    struct parse p = {c, warn, arg};
    for (size_t i = 0; i < NROWS; i++)
        set_value(c, &rows[i], text_of(rows[i].def));
    for (size_t i = 0; i < NROWS; i++) {
        const struct gt_cfg_row *r = &rows[i];
        if (r->key[0] != '\0') {
            if (i == 0 || !text_is(text_of(r->var), rows[i - 1].var))
                parse_list(&p, envp, r->var);
            continue;
        }
        struct text value = find_var(envp, r->var);
        if (value.n > 0 && !set_value(c, r, value) && warn != NULL)
            warn_bad(&p, r, value);
    }
}

/* ---- printing it back ---- */

const struct gt_cfg_row *gt_cfg_row(size_t i)
{
    return i < NROWS ? &rows[i] : NULL;
}

size_t gt_cfg_value(const struct gt_cfg *c, size_t i, char *buf, size_t size)
{
    struct out o = {buf, size, 0};
    if (size > 0)
        buf[0] = '\0';
    if (i < NROWS)
        out_value(&o, c, &rows[i]);
    return o.len;
}

size_t gt_cfg_describe(const struct gt_cfg *c, size_t i, char *buf, size_t size)
{
    struct out o = {buf, size, 0};
    if (size > 0)
        buf[0] = '\0';
    if (i >= NROWS)
        return 0;
    out_str(&o, rows[i].var);
    out_char(&o, '=');
    if (rows[i].key[0] != '\0') {
        out_str(&o, rows[i].key);
        out_char(&o, '=');
    }
    size_t start = o.len;
    out_value(&o, c, &rows[i]);
    if (size > 0 && text_is((struct text){buf + start, o.len - start}, rows[i].def))
        out_str(&o, " (default)");
    return o.len;
}

size_t gt_cfg_accepts(size_t i, char *buf, size_t size)
{
    struct out o = {buf, size, 0};
    if (size > 0)
        buf[0] = '\0';
    if (i < NROWS)
        out_accepts(&o, &rows[i]);
    return o.len;
}
