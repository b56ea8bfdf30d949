/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The only file that knows glibc's struct pthread; and it knows no layout: it learns one.
 *
 * Two real threads are made and their blocks compared word by word (the differential template,
 * PRIOR-ART.md 2.3).  A word is then one of SAME   equal in both: copied                      SELF
 * the block's own address + constant: moved STACK  the stack's lowest address: ours           SIZE
 * the stack's size: ours ZERO   start routine, argument, unwind buffer: 0  OWN    tid, list, dtv,
 * rseq: set one by one Anything else is unexplained: M:N is refused and threads stay 1:1.
 *
 *   block, low to high:  static TLS of all modules | struct pthread <- tp
 *
 * A block is recycled with its stack.  libc's own TLS (ctype, locale, resolver pointer, malloc's
 * cache, the strerror buffers) is kept across tenancies: it is consistent by itself, and what hangs
 * on it could not be freed from outside.  Every other module's TLS is re-imaged.  gt_tcb_begin()
 * runs at every tenancy.
 *
 * Locks: DLFIX around the module table.  May call the dynamic linker (dl_allocate_tls), so not from
 * g0.
 */
#include <link.h>

#include "core/os/tcb.h"
#include "core/kit/kit.h"
#include "core/os/os.h"
#include "core/os/real.h"
#include "core/os/sys.h"
#include "core/sched/types.h"

#define MAX_WORDS   1024
#define MAX_MODULES 64
#define CAL_STACK   (0x4d000ul) /* an unusual size: found again in the block */
#define RSEQ_BYTES  32
#define RSEQ_SIG    0x53053053u
#define WAITERS     0x80000000u /* of a robust futex word: linux/futex.h */
#define OWNER_DIED  0x40000000u

__thread struct gt_tls gt_tls;

enum word_class { W_SAME, W_SELF, W_STACK, W_SIZE, W_ZERO, W_OWN };

struct module {
    size_t id;
    ptrdiff_t off; /* of the TLS block, from tp */
    const char *image;
    size_t filesz, memsz;
    bool libc;
    bool loaded; /* found at the last look */
};

static struct {
    size_t size;        /* of struct pthread, multiple of 8 */
    size_t static_size; /* static TLS and struct pthread */
    size_t align;
    uint64_t word[MAX_WORDS];
    unsigned char class[MAX_WORDS];
    size_t tid_off, list_off, specific_off;
    ptrdiff_t res_off;  /* of the resolver state, from tp */
    ptrdiff_t resp_off; /* of libc's __resp variable, from tp */
    ptrdiff_t tls_off;  /* of gt_tls, from tp */
    ptrdiff_t rseq_off; /* from tp; 0: none inside */
    size_t robust_off;
    size_t cancel_off;                      /* of cancelhandling; 0: not found */
    uint32_t cancel_async, cancel_disabled; /* its bits */
    size_t cleanup_off;                     /* of the chain of old cleanup buffers; 0: not found */
    struct module mod[MAX_MODULES];
    int nmod;
    struct gt_lock lock; /* DLFIX: mod[] */
    struct node *users;  /* libc's list, NULL: not known; users_lock */
    struct gt_lock *users_lock;
} T;

/* ---- calibration ---- */

struct cal {
    _Atomic uint32_t up; /* store release by the thread: its fields are written */
    char *tp, *res;
    int ktid;
};
static _Atomic uint32_t cal_go;

/* Calls nothing of the dynamic linker: the caller may hold its lock, in a constructor of a library
 * that dlopen loads, and waits for this thread. */
static void *cal_thread(void *arg)
{
    /* both threads get the same argument word: the slot is chosen by arrival */
    static _Atomic uint32_t n;
    (void)arg;
    extern struct cal gt_cal[2];
    struct cal *c = &gt_cal[add_rlx(&n, 1) & 1];
    c->tp = gt_arch_get_tp();
    c->res = T.resp_off ? *(char **)(c->tp + T.resp_off) : NULL;
    c->ktid = sys_gettid();
    store_rel(&c->up, 1);
    while (!load_acq(&cal_go))
        gt_futex_wait(&cal_go, 0, GT_NEVER);
    return NULL;
}
struct cal gt_cal[2];

static void classify(size_t i, const struct cal *a, const struct cal *b, char *const stk[2])
{
    uint64_t x = *(uint64_t *)(a->tp + i * 8), y = *(uint64_t *)(b->tp + i * 8);
    uint64_t d = (uint64_t)(b->tp - a->tp);
    char *sa = a->tp > stk[0] && a->tp < stk[0] + CAL_STACK ? stk[0] : stk[1];
    char *sb = sa == stk[0] ? stk[1] : stk[0];
    T.word[i] = x;
    if (x == y)
        T.class[i] = x == CAL_STACK ? W_SIZE : x == (uintptr_t)cal_thread ? W_ZERO : W_SAME;
    else if (x >= (uintptr_t)a->tp && x < (uintptr_t)a->tp + T.size && y - x == d)
        T.class[i] = W_SELF, T.word[i] = x - (uintptr_t)a->tp;
    else if (x == (uintptr_t)sa && y == (uintptr_t)sb)
        T.class[i] = W_STACK;
    else if (x > (uintptr_t)sa && x < (uintptr_t)a->tp && y > (uintptr_t)sb && y < (uintptr_t)b->tp)
        T.class[i] = W_ZERO; /* points into the thread's own frames: the unwind buffer */
    else
        T.class[i] = W_OWN;
}

static bool in_rseq(size_t off)
{
    return T.rseq_off > 0 && off >= (size_t)T.rseq_off && off < (size_t)T.rseq_off + RSEQ_BYTES;
}

/* Compares the two threads; the number of words that nothing explains. */
static int compare(char *const stk[2])
{
    const struct cal *a = &gt_cal[0], *b = &gt_cal[1];
    int unexplained = 0;
    for (size_t off = 0; T.tid_off == 0 && off < T.size; off += 4)
        if (*(int *)(a->tp + off) == a->ktid && *(int *)(b->tp + off) == b->ktid)
            T.tid_off = off;
    for (size_t i = 0; i < T.size / 8; i++) {
        classify(i, a, b, stk);
        size_t off = i * 8;
        if (in_rseq(off))
            T.class[i] = W_OWN;
        if (T.class[i] != W_OWN || in_rseq(off))
            continue;
        if (off == 8 || off == GT_ALIGN_DOWN(T.tid_off, 8ul) || off == T.list_off ||
            off == T.list_off + 8)
            continue;
        gt_warn("thread block: the word at %zu is not understood (%lx, %lx)", off,
                (unsigned long)*(uint64_t *)(a->tp + off),
                (unsigned long)*(uint64_t *)(b->tp + off));
        unexplained++;
    }
    T.res_off = a->res ? a->res - a->tp : 0;
    return T.tid_off && a->tp && b->tp ? unexplained : -1;
}

static void unmap_stacks(char *const stk[2])
{
    for (int i = 0; i < 2; i++)
        if (!gt_sys_is_err(stk[i]))
            sys_munmap(stk[i], CAL_STACK);
}

/* 0; > 0: the block is not understood; < 0: two threads cannot be made, -errno. */
static int calibrate(void)
{
    pthread_attr_t at;
    pthread_t th[2];
    char *stk[2];
    int made = 0, bad = 0;
    char *resp = (char *)gt_os_real.resp_here();
    T.resp_off = resp ? resp - (char *)gt_arch_get_tp() : 0; /* static TLS: every thread's */
    for (int i = 0; i < 2; i++) {
        stk[i] = sys_mmap(NULL, CAL_STACK, PROT_READ | PROT_WRITE, MAP_NORESERVE);
        bad = gt_sys_is_err(stk[i]) ? -ENOMEM : bad;
    }
    gt_os_real.pthread_attr_init(&at);
    for (; made < 2 && bad == 0; made++) {
        gt_os_real.pthread_attr_setstack(&at, stk[made], CAL_STACK);
        bad = -gt_os_real.pthread_create(&th[made], &at, cal_thread, &gt_cal);
        if (bad)
            break;
    }
    for (int i = 0; i < made; i++)
        while (!load_acq(&gt_cal[i].up))
            sys_sched_yield();
    if (made == 2)
        bad = compare(stk) != 0;
    store_rel(&cal_go, 1);
    gt_futex_wake(&cal_go, 2);
    for (int i = 0; i < made; i++)
        gt_os_real.pthread_join(th[i], NULL);
    gt_os_real.pthread_attr_destroy(&at);
    unmap_stacks(stk);
    return bad;
}

/* ---- TLS modules ---- */

/* The offset at which glibc put a module's static TLS, from its link map; 0: it has none. */
static size_t static_offset(const char *base_name, uintptr_t addr)
{
    (void)base_name;
    for (struct link_map *lm = _r_debug.r_map; lm; lm = lm->l_next)
        if (lm->l_addr == addr && gt_os_real.db_l_tls_offset) {
            size_t o = *(size_t *)((char *)lm + gt_os_real.db_l_tls_offset[2]);
            if (o && o + 1)
                return o;
        }
    return 0;
}

static int add_module(struct dl_phdr_info *in, size_t size, void *arg)
{
    int *added = arg;
    (void)size;
    if (!in->dlpi_tls_modid)
        return 0;
    for (int i = 0; i < T.nmod; i++)
        if (T.mod[i].id == in->dlpi_tls_modid)
            return 0;
    size_t off = static_offset(in->dlpi_name, in->dlpi_addr);
    if (!off || T.nmod == MAX_MODULES)
        return 0;
    for (int i = 0; i < in->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &in->dlpi_phdr[i];
        if (ph->p_type != PT_TLS)
            continue;
        struct module *m = &T.mod[T.nmod++];
        m->id = in->dlpi_tls_modid;
        m->off = -(ptrdiff_t)off;
        m->image = (const char *)(in->dlpi_addr + ph->p_vaddr);
        m->filesz = ph->p_filesz;
        m->memsz = ph->p_memsz;
        m->libc = T.resp_off >= m->off && T.resp_off < m->off + (ptrdiff_t)m->memsz;
        (*added)++;
    }
    return 0;
}

static void image(const struct module *m, char *tp)
{
    gt_memcpy(tp + m->off, m->image, m->filesz);
    gt_memset(tp + m->off + m->filesz, 0, m->memsz - m->filesz);
}

/* Forgets modules that dlclose has unmapped: their images are gone, and the next library may get
 * their number and their place.  DLFIX lock. */
static void drop_unloaded(void)
{
    int n = 0;
    for (int i = 0; i < T.nmod; i++)
        if (T.mod[i].loaded)
            T.mod[n++] = T.mod[i];
    T.nmod = n;
}

static int look_again(struct dl_phdr_info *in, size_t size, void *arg)
{
    (void)size, (void)arg;
    for (int i = 0; i < T.nmod; i++)
        if (T.mod[i].id == in->dlpi_tls_modid)
            T.mod[i].loaded = true;
    return 0;
}

struct fix {
    int from;
};

struct node {
    struct node *next, *prev;
};

static struct node *node_of(void *tp)
{
    return (struct node *)((char *)tp + T.list_off);
}

static bool listed(void *tp)
{
    return node_of(tp)->next != node_of(tp);
}

static void fix_block(void *tp, void *arg)
{
    struct fix *f = arg;
    if (listed(tp))
        return; /* the dynamic linker has done it, and its goroutine may have written to it */
    for (int i = f->from; i < T.nmod; i++)
        image(&T.mod[i], tp);
}

void gt_tcb_dlopen_fix(void (*each)(void (*f)(void *tp, void *farg), void *farg))
{
    int added = 0;
    gt_lock(&T.lock, GT_RANK_DLFIX);
    for (int i = 0; i < T.nmod; i++)
        T.mod[i].loaded = false;
    gt_os_real.dl_iterate_phdr(look_again, NULL);
    drop_unloaded();
    struct fix f = {.from = T.nmod};
    gt_os_real.dl_iterate_phdr(add_module, &added);
    if (added)
        each(fix_block, &f);
    gt_unlock(&T.lock, GT_RANK_DLFIX);
}

/* libc's list of threads on stacks of their own, and the lock of its lists, three words behind the
 * list of cached stacks that follows it.  Unknown where these words don't look like that. */
static void find_list(void)
{
    struct gt_os_real *r = &gt_os_real;
    if (!r->db_stack_user || !r->rtld_global)
        return;
    struct node *user = (struct node *)(r->rtld_global + r->db_stack_user[2]), *cache = user + 1;
    struct gt_lock *lock = (struct gt_lock *)((uintptr_t *)(cache + 1) + 2);
    if (user->next->prev == user && user->prev->next == user && cache->next->prev == cache &&
        cache->prev->next == cache && load_rlx(&lock->word) <= 2) {
        T.users = user;
        T.users_lock = lock;
    }
}

static bool list_locked(void *tp)
{
    struct node *n = node_of(tp);
    if (listed(tp))
        return false;
    n->next = T.users->next;
    n->prev = T.users;
    n->next->prev = n;
    T.users->next = n;
    return true;
}

static bool unlist_locked(void *tp)
{
    struct node *n = node_of(tp);
    if (!listed(tp))
        return false;
    n->next->prev = n->prev;
    n->prev->next = n->next;
    n->next = n->prev = n;
    return true;
}

bool gt_tcb_dlopen_begin(void *tp)
{
    if (!T.users)
        return false;
    gt_lock(&T.lock, GT_RANK_DLFIX);
    gt_lock(T.users_lock, GT_RANK_NONE);
    bool done = list_locked(tp);
    gt_unlock(T.users_lock, GT_RANK_NONE);
    int added = 0, from = T.nmod;
    if (done) /* what another thread is loading now: it may have passed this block already */
        gt_os_real.dl_iterate_phdr(add_module, &added);
    for (int i = from; i < T.nmod; i++)
        image(&T.mod[i], tp);
    T.nmod = from; /* found again for the other blocks */
    gt_unlock(&T.lock, GT_RANK_DLFIX);
    return done;
}

void gt_tcb_dlopen_end(void *tp)
{
    gt_tcb_hide(tp);
}

bool gt_tcb_hide(void *tp)
{
    if (!T.users || !listed(tp))
        return false;
    gt_lock(T.users_lock, GT_RANK_NONE);
    bool was = unlist_locked(tp);
    gt_unlock(T.users_lock, GT_RANK_NONE);
    return was;
}

void gt_tcb_show(void *tp)
{
    gt_lock(T.users_lock, GT_RANK_NONE);
    list_locked(tp);
    gt_unlock(T.users_lock, GT_RANK_NONE);
}

void gt_tcb_forget_list(void *tp)
{
    node_of(tp)->next = node_of(tp)->prev = node_of(tp);
    if (T.robust_off) {
        void **head = (void **)((char *)tp + T.robust_off);
        head[0] = head; /* empty; [1] is the offset of the words */
        head[2] = NULL; /* none on its way */
    }
}

void gt_tcb_fork_lock(void)
{
    gt_lock(&T.lock, GT_RANK_DLFIX);
}

void gt_tcb_fork_unlock(void)
{
    gt_unlock(&T.lock, GT_RANK_DLFIX);
}

/* ---- boot ---- */

/* The first word of the block that differs from what was copied to `before`, as it is now; 0: none,
 * or two. */
static size_t changed_word(const uint32_t *before)
{
    const uint32_t *now = gt_arch_get_tp();
    size_t at = 0;
    for (size_t i = 1; i < T.size / 4; i++)
        if (now[i] != before[i]) {
            if (at)
                return 0;
            at = i;
        }
    return at * 4;
}

/* Where the calling thread's block keeps its cancellation word and its chain of cleanup buffers:
 * seen by using them.  Without them libc's own cancellation points are none. */
static void learn_cancellation(void)
{
    static uint32_t before[MAX_WORDS * 2];
    struct gt_os_real *r = &gt_os_real;
    char *tp = gt_arch_get_tp();
    uintptr_t buffer[4] = {0};
    int old;
    if (!r->pthread_setcancelstate || !r->pthread_setcanceltype || !r->cleanup_push ||
        !r->cleanup_pop)
        return;
    gt_memcpy(before, tp, T.size);
    r->pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    size_t at = changed_word(before);
    T.cancel_async = *(uint32_t *)(tp + at) ^ before[at / 4];
    r->pthread_setcanceltype(old, NULL);
    r->pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    T.cancel_disabled = *(uint32_t *)(tp + at) ^ before[at / 4];
    T.cancel_off = changed_word(before) == at ? at : 0;
    r->pthread_setcancelstate(old, NULL);
    r->cleanup_push(buffer, NULL, NULL);
    for (size_t i = 8; i < T.size; i += 8)
        if (*(uintptr_t *)(tp + i) == (uintptr_t)buffer)
            T.cleanup_off = i;
    r->cleanup_pop(buffer, 0);
}

bool gt_tcb_in_point(const void *tp)
{
    if (!T.cancel_off)
        return false;
    uint32_t w =
        __atomic_load_n((const uint32_t *)((const char *)tp + T.cancel_off), __ATOMIC_RELAXED);
    return (w & T.cancel_async) && !(w & T.cancel_disabled);
}

void gt_tcb_leave_point(void *tp)
{
    if (T.cancel_off)
        __atomic_fetch_and((uint32_t *)((char *)tp + T.cancel_off), ~T.cancel_async,
                           __ATOMIC_RELAXED);
}

void **gt_tcb_cleanups(void *tp)
{
    return T.cleanup_off ? (void **)((char *)tp + T.cleanup_off) : NULL;
}

int gt_tcb_init(void)
{
    static int state; /* 0 new, 1 done, 2 refused */
    if (state)
        return state == 1 ? 0 : -ENOSYS;
    state = 2;
    struct gt_os_real *r = &gt_os_real;
    if (!r->dl_allocate_tls || !r->dl_deallocate_tls || !r->dl_get_tls_static_info ||
        !r->ctype_init || !r->db_sizeof_pthread || !r->db_list || !r->db_l_tls_offset) {
        gt_warn("this C library's thread block is not known: threads stay kernel threads (1:1)");
        return -ENOSYS;
    }
    r->dl_get_tls_static_info(&T.static_size, &T.align);
    T.align = GT_MAX(T.align, 64ul);
    T.size = GT_ALIGN_UP((size_t)*r->db_sizeof_pthread, 8ul);
    T.tid_off = r->db_tid ? r->db_tid[2] : 0;
    T.list_off = r->db_list[2];
    T.specific_off = r->db_specific ? r->db_specific[2] : 0;
    T.rseq_off = r->rseq_offset && r->rseq_size && *r->rseq_offset > 0 ? *r->rseq_offset : 0;
    T.tls_off = (char *)&gt_tls - (char *)gt_arch_get_tp();
    int e = T.size / 8 > MAX_WORDS ? 1 : calibrate();
    if (e) {
        if (e > 0)
            gt_warn("this C library's thread block is not understood: threads stay kernel threads "
                    "(1:1)");
        else
            gt_warn("two kernel threads cannot be made now (%s, error %d): threads stay kernel "
                    "threads (1:1)",
                    e == -ENOMEM ? "no memory" : "limited", -e);
        return -ENOSYS;
    }
    int added = 0;
    r->dl_iterate_phdr(add_module, &added);
    learn_cancellation();
    find_list();
    state = 1;
    return 0;
}

size_t gt_tcb_size(void)
{
    return GT_ALIGN_UP(T.static_size, T.align) + T.align;
}

char *gt_tcb_low(void *tp)
{
    return (char *)tp + T.size - T.static_size;
}

/* ---- making ---- */

static void fill(char *tp, char *lo, size_t stack_size, int tid)
{
    for (size_t i = 0; i < T.size / 8; i++) {
        uint64_t w = T.word[i];
        switch ((enum word_class)T.class[i]) {
        case W_SAME:
            break;
        case W_SELF:
            w += (uintptr_t)tp;
            break;
        case W_STACK:
            w = (uintptr_t)lo;
            break;
        case W_SIZE:
            w = stack_size;
            break;
        case W_ZERO:
        case W_OWN:
            w = 0;
        }
        ((uint64_t *)tp)[i] = w;
    }
    gt_tid_set(tp, tid);
    *(void **)(tp + T.list_off) = *(void **)(tp + T.list_off + 8) = tp + T.list_off;
    if (T.rseq_off)
        *(int *)(tp + T.rseq_off + 4) = -1; /* RSEQ_CPU_ID_UNINITIALIZED: glibc asks the vDSO */
}

static void set_own(char *tp)
{
    struct gt_tls *t = gt_tls_of(tp);
    t->g = t->owner = NULL;
}

void *gt_tcb_make(char *lo, char *top, int tid)
{
    char *tp = (char *)GT_ALIGN_DOWN((uintptr_t)top - T.size, T.align);
    fill(tp, lo, (size_t)(top - lo), tid);
    if (gt_os_real.dl_allocate_tls(tp) != tp)
        return NULL;
    set_own(tp);
    return tp;
}

/* True when the dynamic linker has allocated TLS for this block on demand. */
static bool has_dynamic(char *tp)
{
    struct dtv {
        void *val, *to_free;
    } *dtv = ((struct dtv **)tp)[1];
    size_t n = (size_t)dtv[-1].val;
    for (size_t i = 1; i <= n; i++)
        if (dtv[i].to_free)
            return true;
    return false;
}

static void free_specific(char *tp)
{
    void **l2 = (void **)(tp + T.specific_off);
    for (int i = 1; T.specific_off && i < 32; i++)
        if (l2[i])
            gt_os_real.free(l2[i]);
}

void *gt_tcb_reset(void *block, char *lo, char *top, int tid)
{
    char *tp = block, saved[1024];
    void *dtv = ((void **)tp)[1];
    const struct module *libc = NULL;
    free_specific(tp);
    bool fresh = has_dynamic(tp);
    if (fresh)
        gt_os_real.dl_deallocate_tls(tp, false);
    gt_lock(&T.lock, GT_RANK_DLFIX);
    for (int i = 0; i < T.nmod; i++)
        if (T.mod[i].libc && T.mod[i].memsz <= sizeof(saved))
            libc = &T.mod[i];
        else if (!fresh)
            image(&T.mod[i], tp);
    gt_unlock(&T.lock, GT_RANK_DLFIX);
    fill(tp, lo, (size_t)(top - lo), tid);
    ((void **)tp)[1] = dtv;
    if (fresh) {
        if (libc)
            gt_memcpy(saved, tp + libc->off, libc->memsz);
        if (gt_os_real.dl_allocate_tls(tp) != tp)
            return NULL;
        if (libc)
            gt_memcpy(tp + libc->off, saved, libc->memsz);
    }
    set_own(tp);
    return tp;
}

void gt_tcb_drop(void *tp)
{
    free_specific(tp);
    gt_os_real.dl_deallocate_tls(tp, false);
}

void gt_tcb_begin(void)
{
    gt_os_real.ctype_init();
    if (T.resp_off && T.res_off) {
        char *tp = gt_arch_get_tp();
        *(void **)(tp + T.resp_off) = tp + T.res_off;
    }
}

void (*gt_tcb_bury_pi)(_Atomic uint32_t *word);

/* What the kernel does for a thread that dies with robust mutexes: marks them, wakes one waiter
 * each.   Source: the kernel's Documentation/locking/robust-futexes.rst. */
static void bury_word(_Atomic uint32_t *word, bool pi)
{
    uint32_t v = load_rlx(word);
    if (pi && gt_tcb_bury_pi && ((v & WAITERS) || !cas_acqrel(word, &v, OWNER_DIED))) {
        gt_tcb_bury_pi(word);
        return;
    }
    while (!pi && !cas_acqrel(word, &v, (v & WAITERS) | OWNER_DIED))
        ;
    if (!pi && (v & WAITERS))
        sys_futex(word, 1 /* FUTEX_WAKE, shared */, 1, NULL, NULL, 0);
}

static void bury_robust(char *tp)
{
    struct entry {
        struct entry *next;
    };
    struct head {
        struct entry list;
        long futex_offset;
    } *h = (struct head *)(tp + T.robust_off);
    struct entry *e = h->list.next;
    for (int i = 0; T.robust_off && i < 2048 && e != &h->list; i++) {
        struct entry *at = (struct entry *)((uintptr_t)e & ~1ul); /* bit 0: priority inheritance */
        struct entry *next = at->next;
        bury_word((_Atomic uint32_t *)((char *)at + h->futex_offset), (uintptr_t)e & 1);
        e = next;
    }
    h->list.next = &h->list;
}

void gt_tcb_register_robust(void *tp)
{
    if (T.robust_off)
        GT_SYS3(SYS_set_robust_list, (char *)tp + T.robust_off, 24, 0);
}

void gt_tcb_end(void)
{
    bury_robust(gt_arch_get_tp());
    if (gt_os_real.uselocale)
        gt_os_real.uselocale((void *)-1l); /* LC_GLOBAL_LOCALE */
    if (gt_os_real.res_nclose && T.res_off) {
        char *res = (char *)gt_arch_get_tp() + T.res_off;
        if (((unsigned long *)res)[1] & 1) /* res->options & RES_INIT */
            gt_os_real.res_nclose(res);
    }
}

/* ---- identity ---- */

int gt_tid_self(void)
{
    if (unlikely(!T.tid_off)) {
        if (!gt_os_real.db_tid)
            return sys_gettid();
        T.tid_off = gt_os_real.db_tid[2];
    }
    return *(int *)((char *)gt_arch_get_tp() + T.tid_off);
}

int *gt_tid_word(void *tp)
{
    return (int *)((char *)tp + T.tid_off);
}

int gt_tid_of(void *tp)
{
    return *gt_tid_word(tp);
}

void gt_tid_set(void *tp, int tid)
{
    *gt_tid_word(tp) = tid;
}

struct gt_tls *gt_tls_of(void *tp)
{
    return (struct gt_tls *)((char *)tp + T.tls_off);
}

/* ---- the move of M0 ---- */

void gt_tcb_move_kernel(void *from, void *to)
{
    void *head = NULL;
    size_t len = 0;
    if (T.rseq_off) {
        GT_SYS6(SYS_rseq, (char *)from + T.rseq_off, RSEQ_BYTES, 1 /* UNREGISTER */, RSEQ_SIG, 0,
                0);
        *(int *)((char *)from + T.rseq_off) = 0;
        *(int *)((char *)from + T.rseq_off + 4) = -1;
        GT_SYS6(SYS_rseq, (char *)to + T.rseq_off, RSEQ_BYTES, 0, RSEQ_SIG, 0, 0);
    }
    if (GT_SYS3(SYS_get_robust_list, 0, &head, &len) == 0 && (char *)head > (char *)from &&
        (char *)head < (char *)from + T.size) {
        T.robust_off = (size_t)((char *)head - (char *)from);
        GT_SYS3(SYS_set_robust_list, (char *)to + T.robust_off, len, 0);
    }
    GT_SYS3(SYS_set_tid_address, (char *)to + T.tid_off, 0, 0);
}

void gt_tcb_replace(void *from, void *to)
{
    struct node *old = node_of(from), *new = node_of(to);
    if (!old->next || old->next == old)
        return;
    new->next = old->next;
    new->prev = old->prev;
    new->next->prev = new;
    new->prev->next = new;
    old->next = old->prev = old;
}
