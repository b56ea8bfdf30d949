/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Futex, clock, CPUs, kernel-thread state: raw kernel services of more than one call.
 * Runs on any stack; nothing allocates; nothing here may be interrupted by itself.
 */
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include "core/os/os.h"
#include "core/kit/kit.h"
#include "core/os/real.h"
#include "core/os/sys.h"

#define FUTEX_WAIT_BITSET_PRIV (9 | 128)
#define FUTEX_REALTIME         256
#define FUTEX_WAKE_PRIV        (1 | 128)

int gt_futex_wait(const _Atomic uint32_t *word, uint32_t val, int64_t when)
{
    bool real = when >= 0 && (when & GT_REALTIME);
    int64_t ns = real ? when - GT_REALTIME : when;
    struct timespec ts = {.tv_sec = ns / GT_SEC, .tv_nsec = ns % GT_SEC};
    return sys_futex(word, FUTEX_WAIT_BITSET_PRIV | (real ? FUTEX_REALTIME : 0), val,
                     when < 0 ? NULL : &ts, NULL, 0xffffffffu);
}

int gt_futex_wake(const _Atomic uint32_t *word, int n)
{
    return sys_futex(word, FUTEX_WAKE_PRIV, (uint32_t)n, NULL, NULL, 0);
}

static int raw_gettime(clockid_t c, struct timespec *ts)
{
    return (int)GT_SYS3(SYS_clock_gettime, c, ts, 0);
}

int (*gt_vdso_gettime)(clockid_t, struct timespec *) = raw_gettime;

/* Finds a symbol of the vDSO by walking its dynamic section: libc's clock_gettime would do, but
 * core calls no libc.   Source: the kernel's Documentation/ABI/stable/vdso. */
void gt_clock_init(void)
{
    uintptr_t base = gt_os_real.getauxval ? gt_os_real.getauxval(AT_SYSINFO_EHDR) : 0;
    if (!base)
        return;
    const Elf64_Ehdr *eh = (const Elf64_Ehdr *)base;
    const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + eh->e_phoff);
    const Elf64_Dyn *dyn = NULL;
    uintptr_t bias = 0;
    for (int i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_type == PT_LOAD)
            bias = base + ph[i].p_offset - ph[i].p_vaddr;
        else if (ph[i].p_type == PT_DYNAMIC)
            dyn = (const Elf64_Dyn *)(base + ph[i].p_offset);
    }
    const Elf64_Sym *sym = NULL;
    const char *str = NULL;
    const uint32_t *hash = NULL;
    for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
        uintptr_t p = dyn->d_un.d_ptr + bias;
        if (dyn->d_tag == DT_SYMTAB)
            sym = (const Elf64_Sym *)p;
        else if (dyn->d_tag == DT_STRTAB)
            str = (const char *)p;
        else if (dyn->d_tag == DT_HASH)
            hash = (const uint32_t *)p;
    }
    for (uint32_t i = 0; sym && str && hash && i < hash[1]; i++)
        if (!gt_strcmp(str + sym[i].st_name, "__vdso_clock_gettime"))
            gt_vdso_gettime = (int (*)(clockid_t, struct timespec *))(bias + sym[i].st_value);
}

static int64_t clock_ns(clockid_t c)
{
    struct timespec ts;
    gt_vdso_gettime(c, &ts);
    return ts.tv_sec * GT_SEC + ts.tv_nsec;
}

int64_t gt_nanotime(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t gt_deadline_ns(int64_t when)
{
    if (when < 0 || !(when & GT_REALTIME))
        return when;
    int64_t ahead = when - GT_REALTIME - clock_ns(CLOCK_REALTIME);
    return GT_MAX(gt_nanotime() + ahead, 0);
}

/* Reads a small file into buf, NUL-terminated.  Bytes read, or < 0. */
static long read_file(const char *path, char *buf, size_t n)
{
    int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    long r = sys_read(fd, buf, n - 1);
    sys_close(fd);
    buf[r > 0 ? r : 0] = '\0';
    return r;
}

static long parse_num(const char **s)
{
    long v = 0;
    while (**s == ' ')
        (*s)++;
    if (**s < '0' || **s > '9')
        return -1;
    while (**s >= '0' && **s <= '9')
        v = v * 10 + (*(*s)++ - '0');
    return v;
}

/* CPU quota of the cgroup, rounded up; 0: none.  v2: cpu.max "quota period"; v1: two files. */
static long cgroup_cpus(void)
{
    char buf[128];
    const char *s = buf;
    long quota = -1, period = 0;
    if (read_file("/sys/fs/cgroup/cpu.max", buf, sizeof(buf)) > 0) {
        quota = parse_num(&s);
        period = parse_num(&s);
    } else if (read_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", buf, sizeof(buf)) > 0) {
        quota = parse_num(&s);
        s = buf;
        if (read_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", buf, sizeof(buf)) > 0)
            period = parse_num(&s);
    }
    return quota > 0 && period > 0 ? (quota + period - 1) / period : 0;
}

int gt_ncpu(void)
{
    uint64_t mask[128] = {0};
    long n = GT_SYS3(SYS_sched_getaffinity, 0, sizeof(mask), mask);
    int cpus = 0;
    for (long i = 0; i < n / 8; i++)
        cpus += (int)gt_popcount(mask[i]);
    long quota = cgroup_cpus();
    if (quota && quota < cpus)
        cpus = (int)quota;
    return cpus > 0 ? cpus : 1;
}

char gt_kthread_state(int tid)
{
    char path[48], buf[256];
    gt_snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    if (read_file(path, buf, sizeof(buf)) <= 0)
        return 0;
    char *e = NULL; /* the name may hold parentheses: the last one counts */
    for (char *p = buf; *p; p++)
        if (*p == ')')
            e = p;
    return (char)(e && e[1] == ' ' ? e[2] : 0);
}

uint64_t gt_kthread_pending(int tid)
{
    static const char key[] = "SigPnd:\t";
    char path[48], buf[4096];
    uint64_t set = 0;
    gt_snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
    if (read_file(path, buf, sizeof(buf)) <= 0)
        return 0;
    const char *s = buf;
    while (*s && gt_memcmp(s, key, sizeof(key) - 1) != 0)
        s++;
    for (s += *s ? sizeof(key) - 1 : 0; *s && *s != '\n'; s++)
        set = set << 4 | (uint64_t)(*s <= '9' ? *s - '0' : *s - 'a' + 10);
    return set;
}
