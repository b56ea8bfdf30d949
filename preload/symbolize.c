/* SPDX-License-Identifier: BSD-2-Clause */
/* Names for addresses, from the text of a process's /proc/PID/maps and the files that it names, by
 * libdwfl. Runs in a process of its own, so that the one that crashed needs neither memory nor
 * locks for it. The map itself is kept too, for what libdwfl does not know: files that are gone,
 * and the vDSO, which is no file; ours serves for it, since one kernel gives everyone the same. */
#include "preload/symbolize.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct map {
    uint64_t start, end, base; /* base: where the same file's first mapping starts */
    char *name;                /* path, [vdso] or "" */
};

struct maps {
    char *text; /* as read, for libdwfl */
    size_t len;
    struct map *v;
    size_t n, cap;
};

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_linux_proc_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
};

/* ---- the map ---- */

static bool maps_add(struct maps *m, const char *line)
{
    uint64_t start, end;
    int at = 0;
    if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &start, &end, &at) < 2 || at == 0)
        return false;
    if (m->n == m->cap) {
        size_t cap = m->cap != 0 ? 2 * m->cap : 64;
        struct map *v = realloc(m->v, cap * sizeof *v);
        if (v == NULL)
            return false;
        m->v = v;
        m->cap = cap;
    }
    char *name = strdup(line + at);
    if (name == NULL)
        return false;
    name[strcspn(name, "\n")] = '\0';
    size_t n = m->n++;
    bool same = n > 0 && name[0] != '\0' && strcmp(m->v[n - 1].name, name) == 0;
    m->v[n] = (struct map){start, end, same ? m->v[n - 1].base : start, name};
    return true;
}

/* Reads lines up to an empty one or the end. */
static bool maps_read(struct maps *m, FILE *in)
{
    char *line = NULL;
    size_t cap = 0;
    FILE *copy = open_memstream(&m->text, &m->len);
    if (copy == NULL)
        return false;
    while (getline(&line, &cap, in) > 0 && line[0] != '\n') {
        fputs(line, copy);
        maps_add(m, line);
    }
    free(line);
    return fclose(copy) == 0;
}

static const struct map *maps_find(const struct maps *m, uint64_t pc)
{
    for (size_t i = 0; i < m->n; i++)
        if (pc >= m->v[i].start && pc < m->v[i].end)
            return &m->v[i];
    return NULL;
}

static void maps_free(struct maps *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->v[i].name);
    free(m->v);
    free(m->text);
}

/* ---- the modules ---- */

/* Our own vDSO's pages as a file, or -1. */
static int vdso_file(void)
{
    struct maps own = {0};
    int fd = -1;
    FILE *f = fopen("/proc/self/maps", "re");
    if (f == NULL)
        return -1;
    maps_read(&own, f);
    fclose(f);
    for (size_t i = 0; i < own.n; i++) {
        size_t size = own.v[i].end - own.v[i].start;
        if (strcmp(own.v[i].name, "[vdso]") != 0)
            continue;
        fd = memfd_create("vdso", MFD_CLOEXEC);
        if (fd >= 0 && write(fd, (const void *)own.v[i].start, size) != (ssize_t)size) {
            close(fd);
            fd = -1;
        }
    }
    maps_free(&own);
    return fd;
}

static void report_vdso(Dwfl *dwfl, const struct maps *m)
{
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->v[i].name, "[vdso]") != 0)
            continue;
        int fd = vdso_file();
        if (fd >= 0 && dwfl_report_elf(dwfl, "[vdso]", "[vdso]", fd, m->v[i].start, true) == NULL)
            close(fd); /* else libdwfl owns it */
    }
}

static Dwfl *open_modules(const struct maps *m)
{
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (dwfl == NULL || m->len == 0)
        return dwfl;
    FILE *text = fmemopen(m->text, m->len, "r");
    if (text != NULL) {
        dwfl_linux_proc_maps_report(dwfl, text); /* what it cannot use, maps_find still names */
        fclose(text);
    }
    report_vdso(dwfl, m);
    dwfl_report_end(dwfl, NULL, NULL);
    return dwfl;
}

/* ---- one address ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The source line of an address, into *line; NULL when it is not known. libdwfl finds the unit by
 * its table of address ranges, which clang leaves out: then each unit is asked. */
static const char *source_of(Dwfl_Module *mod, uint64_t at, int *line)
{
    Dwarf_Addr bias;
    Dwfl_Line *where = dwfl_module_getsrc(mod, at);
    if (where != NULL)
        return dwfl_lineinfo(where, NULL, line, NULL, NULL, NULL);
    for (Dwarf_Die *cu = NULL; (cu = dwfl_module_nextcu(mod, cu, &bias)) != NULL;) {
        if (dwarf_haspc(cu, at - bias) != 1)
            continue;
        Dwarf_Line *found = dwarf_getsrc_die(cu, at - bias);
        if (found == NULL || dwarf_lineno(found, line) != 0)
            return NULL;
        return dwarf_linesrc(found, NULL, NULL);
    }
    return NULL;
}

static bool print_known(Dwfl *dwfl, const struct map *map, uint64_t pc, bool is_return, FILE *out)
{
    GElf_Off offset;
    GElf_Sym sym;
    int line = 0;
    uint64_t at = is_return && pc > 0 ? pc - 1 : pc;
    Dwfl_Module *mod = dwfl != NULL ? dwfl_addrmodule(dwfl, at) : NULL;
    if (mod == NULL)
        return false;
    const char *name = dwfl_module_addrinfo(mod, at, &offset, &sym, NULL, NULL, NULL);
    if (name == NULL || name[0] == '\0')
        return false;
    fprintf(out, "%s+0x%lx", name, (unsigned long)(offset + (pc - at)));
    const char *file = source_of(mod, at, &line);
    if (file != NULL)
        fprintf(out, " %s:%d", file, line);
    fprintf(out, " %s\n", last_part(map->name));
    return true;
}

static void print_pc(Dwfl *dwfl, const struct maps *m, const char *text, FILE *out)
{
    char *rest;
    errno = 0;
    uint64_t pc = strtoul(text, &rest, 16);
    bool is_return = rest != text && strncmp(rest, " r", 2) == 0;
    const struct map *map = errno == 0 && rest != text ? maps_find(m, pc) : NULL;
    if (map == NULL)
        fputs("??\n", out);
    else if (map->name[0] == '\0')
        fprintf(out, "?? anonymous+0x%lx\n", (unsigned long)(pc - map->base));
    else if (!print_known(dwfl, map, pc, is_return, out))
        fprintf(out, "?? %s+0x%lx\n", last_part(map->name), (unsigned long)(pc - map->base));
    fflush(out);
}

/* libdwfl would ask servers on the network for debug information; a dump waits for no one. */
static void stay_local(void)
{
    unsetenv("DEBUGINFOD_URLS");
}

int gt_symbolize_filter(FILE *in, FILE *out)
{
    struct maps m = {0};
    char *line = NULL;
    size_t cap = 0;
    stay_local();
    if (!maps_read(&m, in)) {
        fprintf(stderr, "gothread: symbolize: %s\n", strerror(errno));
        return 1;
    }
    Dwfl *dwfl = open_modules(&m);
    while (getline(&line, &cap, in) > 0)
        print_pc(dwfl, &m, line, out);
    free(line);
    dwfl_end(dwfl);
    maps_free(&m);
    return ferror(out) ? 1 : 0;
}

int gt_symbolize_pid(const char *pid, char *const *pcs, int n, FILE *out)
{
    struct maps m = {0};
    char path[64];
    stay_local();
    if (pid[0] == '\0' || pid[strspn(pid, "0123456789")] != '\0' || strlen(pid) > 10) {
        fprintf(stderr, "gothread: symbolize: \"%s\" is not a process id\n", pid);
        return 125;
    }
    snprintf(path, sizeof path, "/proc/%.10s/maps", pid);
    FILE *in = fopen(path, "re");
    if (in == NULL || !maps_read(&m, in)) {
        fprintf(stderr, "gothread: symbolize: %s: %s\n", path, strerror(errno));
        maps_free(&m);
        return 1;
    }
    fclose(in);
    Dwfl *dwfl = open_modules(&m);
    for (int i = 0; i < n; i++)
        print_pc(dwfl, &m, pcs[i], out);
    dwfl_end(dwfl);
    maps_free(&m);
    return ferror(out) ? 1 : 0;
}
