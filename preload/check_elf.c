/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a program file with libelf: how it is linked, who it would run as, and which things in it
 * matter to us (threads, raw clone, an allocator, a sanitizer, a Go runtime). Looks at the program
 * alone, not at its libraries: finding those is the dynamic linker's business. */
#include "preload/check_elf.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

static void copy_name(char *to, const char *from)
{
    snprintf(to, GT_ELF_NAME_MAX, "%s", from != NULL ? from : "");
}

/* A library's file name against a list of beginnings, ended by NULL. */
static bool name_begins(const char *name, const char *const *list)
{
    const char *slash = strrchr(name, '/');
    name = slash != NULL ? slash + 1 : name;
    for (; *list != NULL; list++)
        if (strncmp(name, *list, strlen(*list)) == 0)
            return true;
    return false;
}

static void read_needed(struct gt_elf *e, const char *name)
{
    static const char *const mallocs[] = {"libjemalloc", "libtcmalloc", "libmimalloc", NULL};
    static const char *const sanitizers[] = {"libasan.",   "libtsan.",         "liblsan.",
                                             "libhwasan.", "libclang_rt.asan", "libclang_rt.tsan",
                                             NULL};
    if (name == NULL)
        return;
    e->own_malloc |= name_begins(name, mallocs);
    e->sanitizer |= name_begins(name, sanitizers);
    if (e->n_needed < GT_ELF_NEEDED_MAX)
        copy_name(e->needed[e->n_needed++], name);
}

static void read_dynamic(struct gt_elf *e, Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh)
{
    Elf_Data *data = elf_getdata(scn, NULL);
    GElf_Dyn dyn;
    for (int i = 0; data != NULL && gelf_getdyn(data, i, &dyn) != NULL; i++)
        if (dyn.d_tag == DT_NEEDED)
            read_needed(e, elf_strptr(elf, sh->sh_link, dyn.d_un.d_val));
}

static void read_symbol(struct gt_elf *e, const char *name, bool defined)
{
    static const char *const runtimes[] = {"__asan_init",   "__tsan_init", "__lsan_init",
                                           "__hwasan_init", "__msan_init", NULL};
    if (!defined) {
        e->pthread_create |= strcmp(name, "pthread_create") == 0;
        e->clone |= strcmp(name, "clone") == 0 || strcmp(name, "clone3") == 0;
    } else {
        e->own_malloc |= strcmp(name, "malloc") == 0;
        e->sanitizer |= name_begins(name, runtimes);
    }
}

static void read_symbols(struct gt_elf *e, Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh)
{
    Elf_Data *data = elf_getdata(scn, NULL);
    GElf_Sym sym;
    for (int i = 1; data != NULL && gelf_getsym(data, i, &sym) != NULL; i++) {
        const char *name = elf_strptr(elf, sh->sh_link, sym.st_name);
        if (name != NULL && GELF_ST_BIND(sym.st_info) != STB_LOCAL)
            read_symbol(e, name, sym.st_shndx != SHN_UNDEF);
    }
}

static void read_sections(struct gt_elf *e, Elf *elf)
{
    size_t names;
    GElf_Shdr sh;
    if (elf_getshdrstrndx(elf, &names) != 0)
        return;
    for (Elf_Scn *scn = elf_nextscn(elf, NULL); scn != NULL; scn = elf_nextscn(elf, scn)) {
        if (gelf_getshdr(scn, &sh) == NULL)
            continue;
        const char *name = elf_strptr(elf, names, sh.sh_name);
        if (sh.sh_type == SHT_DYNAMIC)
            read_dynamic(e, elf, scn, &sh);
        else if (sh.sh_type == SHT_DYNSYM)
            read_symbols(e, elf, scn, &sh);
        else if (name != NULL &&
                 (strcmp(name, ".note.go.buildid") == 0 || strcmp(name, ".go.buildinfo") == 0))
            e->go = true;
    }
}

/* The x86 feature bits among the properties of one note: records of type, length, data, padded to
 * the size of a word (x86-64 psABI, "Program Property"). */
static void read_properties(struct gt_elf *e, const unsigned char *p, size_t n)
{
    size_t align = e->class == ELFCLASS64 ? 8 : 4;
    while (n >= 8) {
        uint32_t type, len, bits = 0;
        memcpy(&type, p, 4);
        memcpy(&len, p + 4, 4);
        if (len > n - 8)
            return;
        if (type == GNU_PROPERTY_X86_FEATURE_1_AND && len >= 4)
            memcpy(&bits, p + 8, 4);
        e->ibt |= (bits & GNU_PROPERTY_X86_FEATURE_1_IBT) != 0;
        e->shstk |= (bits & GNU_PROPERTY_X86_FEATURE_1_SHSTK) != 0;
        size_t used = 8 + ((len + align - 1) & ~(align - 1));
        if (used > n)
            return;
        p += used;
        n -= used;
    }
}

static void read_notes(struct gt_elf *e, Elf *elf, const GElf_Phdr *ph)
{
    Elf_Type type = ph->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR;
    Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)ph->p_offset, ph->p_filesz, type);
    GElf_Nhdr note;
    size_t at = 0, name, desc;
    while (data != NULL && (at = gelf_getnote(data, at, &note, &name, &desc)) > 0) {
        const unsigned char *bytes = data->d_buf;
        if (note.n_type == NT_GNU_PROPERTY_TYPE_0 && note.n_namesz == 4 &&
            memcmp(bytes + name, "GNU", 4) == 0)
            read_properties(e, bytes + desc, note.n_descsz);
    }
}

static bool read_segments(struct gt_elf *e, Elf *elf)
{
    size_t n, size;
    GElf_Phdr ph;
    const char *image = elf_rawfile(elf, &size);
    if (elf_getphdrnum(elf, &n) != 0 || image == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (gelf_getphdr(elf, (int)i, &ph) == NULL)
            return false;
        if (ph.p_type == PT_NOTE)
            read_notes(e, elf, &ph);
        if (ph.p_type != PT_INTERP)
            continue;
        if (ph.p_offset > size || ph.p_filesz > size - ph.p_offset || ph.p_filesz == 0 ||
            image[ph.p_offset + ph.p_filesz - 1] != '\0')
            return false;
        copy_name(e->interp, image + ph.p_offset);
    }
    return true;
}

/* Would exec give this caller rights that the file brings, so that ld.so sets AT_SECURE? */
static void read_rights(struct gt_elf *e, int fd)
{
    struct stat st;
    struct statvfs fs;
    if (fstat(fd, &st) != 0)
        return;
    e->setuid = (st.st_mode & S_ISUID) != 0;
    e->setgid = (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
    e->caps = fgetxattr(fd, "security.capability", NULL, 0) > 0;
    e->secure = (e->setuid && st.st_uid != getuid()) || (e->setgid && st.st_gid != getgid()) ||
                (e->caps && getuid() != 0);
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
        (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NOSUID)))
        e->secure = false;
}

static enum gt_elf_kind read_elf(struct gt_elf *e, Elf *elf)
{
    GElf_Ehdr eh;
    if (elf == NULL || elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &eh) == NULL)
        return GT_ELF_BROKEN;
    e->class = eh.e_ident[EI_CLASS];
    e->machine = eh.e_machine;
    e->type = eh.e_type;
    if ((e->type != ET_EXEC && e->type != ET_DYN) || !read_segments(e, elf))
        return GT_ELF_BROKEN;
    read_sections(e, elf);
    return GT_ELF_OK;
}

enum gt_elf_kind gt_elf_read(const char *path, struct gt_elf *e)
{
    char magic[SELFMAG];
    memset(e, 0, sizeof *e);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return GT_ELF_ERRNO;
    ssize_t n = pread(fd, magic, sizeof magic, 0);
    if (n < 0) {
        int err = errno;
        close(fd);
        errno = err;
        return GT_ELF_ERRNO;
    }
    enum gt_elf_kind kind = GT_ELF_OTHER;
    if (n == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0) {
        elf_version(EV_CURRENT);
        Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
        kind = read_elf(e, elf);
        elf_end(elf);
        read_rights(e, fd);
    }
    close(fd);
    return kind;
}

/* ---- the verdict ---- */

static const char *machine_name(int machine, char *buf, size_t size)
{
    static const struct {
        int machine;
        const char *name;
    } known[] = {{EM_X86_64, "x86-64"}, {EM_386, "i386"},    {EM_AARCH64, "aarch64"},
                 {EM_ARM, "arm"},       {EM_RISCV, "riscv"}, {EM_PPC64, "ppc64"},
                 {EM_S390, "s390"},     {EM_MIPS, "mips"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].machine == machine)
            return known[i].name;
    snprintf(buf, size, "machine %d", machine);
    return buf;
}

static int class_bits(int class)
{
    return class == ELFCLASS64 ? 64 : 32;
}

/* The kind of machine this launcher was built for is the kind that the object was built for. */
static bool foreign_machine(const struct gt_elf *e, char *buf, size_t size)
{
    static struct gt_elf self;
    char name[2][32];
    if (gt_elf_read("/proc/self/exe", &self) != GT_ELF_OK ||
        (self.class == e->class && self.machine == e->machine))
        return false;
    snprintf(buf, size, "it is a %d-bit %s program, and this gothread is for %d-bit %s",
             class_bits(e->class), machine_name(e->machine, name[0], sizeof name[0]),
             class_bits(self.class), machine_name(self.machine, name[1], sizeof name[1]));
    return true;
}

bool gt_elf_refused(const struct gt_elf *e, char *buf, size_t size)
{
    static const char *const loaders[] = {"ld-linux", NULL};
    if (foreign_machine(e, buf, size))
        return true;
    if (e->interp[0] == '\0')
        snprintf(buf, size, "it is statically linked%s, so nothing can be preloaded",
                 e->go ? " (a Go program)" : "");
    else if (!name_begins(e->interp, loaders))
        snprintf(buf, size, "its dynamic linker, %s, is not glibc's", e->interp);
    else if (e->secure)
        snprintf(buf, size, "it has %s, so the dynamic linker ignores preloads",
                 e->setuid   ? "the setuid bit"
                 : e->setgid ? "the setgid bit"
                             : "file capabilities");
    else if (e->sanitizer)
        snprintf(buf, size, "it has a sanitizer runtime in it, which replaces threads itself");
    else if (e->go)
        snprintf(buf, size, "it is a Go program, which makes system calls past the C library");
    else
        return false;
    return true;
}

static const char *yes_no(bool b)
{
    return b ? "yes" : "no";
}

void gt_elf_print(const struct gt_elf *e, FILE *to)
{
    char name[32];
    fprintf(to, "machine: %s, %d-bit\n", machine_name(e->machine, name, sizeof name),
            class_bits(e->class));
    fprintf(to, "dynamic: %s\n", yes_no(e->interp[0] != '\0'));
    fprintf(to, "position independent: %s\n", yes_no(e->type == ET_DYN));
    fprintf(to, "interpreter: %s\n", e->interp[0] != '\0' ? e->interp : "none");
    for (int i = 0; i < e->n_needed; i++)
        fprintf(to, "needs: %s\n", e->needed[i]);
    fprintf(to, "setuid: %s\nsetgid: %s\nfile capabilities: %s\n", yes_no(e->setuid),
            yes_no(e->setgid), yes_no(e->caps));
    fprintf(to, "calls pthread_create: %s\n",
            e->pthread_create ? "yes" : "not by itself; a library may");
    fprintf(to, "calls clone: %s\n",
            e->clone ? "yes; such threads stay kernel threads" : "not by itself");
    fprintf(to, "own malloc: %s\n", yes_no(e->own_malloc));
    fprintf(to, "sanitizer runtime: %s\n", yes_no(e->sanitizer));
    fprintf(to, "Go runtime: %s\n", yes_no(e->go));
    fprintf(to, "marked for IBT: %s\nmarked for shadow stacks: %s\n", yes_no(e->ibt),
            yes_no(e->shstk));
}
