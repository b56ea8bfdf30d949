/* SPDX-License-Identifier: BSD-2-Clause */
/* Many threads over every primitive at once; an ordinary pthread program.
 *
 *   stress [--seed S] [--threads N] [--seconds T]
 *
 * Each thread repeats: draw an operation from its own generator (seed and thread number give the
 * sequence), carry it out on a randomly drawn shared cell, check what the cell promises.  When the
 * time is over all threads end by themselves and the sums are compared.  No operation can block for
 * ever: whoever takes has put before, and main is the partner of whoever waits for one.
 *
 * The first line is the seed.  When nothing happens for a while the operations that are under way
 * are counted on standard error and the program aborts. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CELLS = 64, KINDS = 4, SLOTS = 8, BOXES = 256, CHILDREN_MAX = 300, STALL_S = 40 };

/* clang-format off */
#define OPS(O)                                                                                     \
    O(lock) O(trylock) O(timedlock) O(rwlock) O(semaphore) O(tokens) O(rendezvous) O(barrier)      \
    O(pipe) O(stream) O(event) O(transfer) O(sleeping) O(yield) O(spinlock) O(once)                \
    O(children) O(detached) O(own_data) O(memory) O(mailbox) O(compute)
/* clang-format on */

enum op {
#define O(name) OP_##name,
    OPS(O)
#undef O
        OP_COUNT
};

static const char *const op_name[] = {
#define O(name) #name,
    OPS(O)
#undef O
};

struct block {
    uint32_t size, seed;
    unsigned char bytes[];
};

struct thread {
    pthread_t id;
    uint64_t rng;
    long number, ops;
    int op; /* what it is doing; OP_COUNT when it has ended */
    int is_child;
    struct block *slot[SLOTS];
};

struct locked {
    pthread_mutex_t m;
    long n, twin;
};

struct rw {
    pthread_rwlock_t l;
    long a, b;
};

struct bag {
    pthread_mutex_t m;
    pthread_cond_t c;
    long tokens, put, taken;
};

struct meeting {
    pthread_mutex_t m;
    pthread_cond_t c;
    long arrived, released;
};

struct flow {
    int in, out;
    long sent, received;
};

static struct locked locked[KINDS][CELLS];
static struct rw rw[CELLS];
static struct bag bag[CELLS];
static struct meeting meeting[CELLS];
static struct flow pipes[CELLS], streams[CELLS], events[CELLS];
static struct {
    sem_t s;
    int inside, limit;
} gate[CELLS];
static struct {
    pthread_spinlock_t s;
    long a, b;
} spun[CELLS];
static pthread_once_t once[BOXES * 4];
static int once_calls;
static struct block *box[BOXES];
static pthread_key_t key;
static __thread struct thread *me;
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t start = PTHREAD_COND_INITIALIZER;
static int started;
static sem_t children_left;
static int stop, detached_live, key_destructed, key_set;
static long acquired[KINDS], detached_done;

static _Noreturn void broken(const char *what, int line)
{
    fprintf(stderr, "stress.c:%d: broken: %s (errno %d)\n", line, what, errno);
    abort();
}

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            broken(#cond, __LINE__);                                                               \
    } while (0)

static long add(long *p, long n)
{
    return __atomic_add_fetch(p, n, __ATOMIC_SEQ_CST);
}

static int addi(int *p, int n)
{
    return __atomic_add_fetch(p, n, __ATOMIC_SEQ_CST);
}

static uint32_t draw(struct thread *t, uint32_t below)
{
    t->rng += 0x9e3779b97f4a7c15u;
    uint64_t z = t->rng;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32) % below;
}

static void sometimes_yield(struct thread *t)
{
    if (draw(t, 8) == 0)
        sched_yield();
}

static struct timespec from_now(clockid_t clock, long us)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    ts.tv_nsec += us * 1000;
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    return ts;
}

static void held(struct thread *t, int kind, struct locked *l)
{
    long n = ++l->n;

    sometimes_yield(t);
    MUST(++l->twin == n);
    MUST(pthread_mutex_unlock(&l->m) == 0);
    add(&acquired[kind], 1);
}

static void do_lock(struct thread *t)
{
    int kind = (int)draw(t, KINDS);
    struct locked *l = &locked[kind][draw(t, CELLS)];

    MUST(pthread_mutex_lock(&l->m) == 0);
    held(t, kind, l);
}

static void do_trylock(struct thread *t)
{
    int kind = (int)draw(t, KINDS);
    struct locked *l = &locked[kind][draw(t, CELLS)];
    int err = pthread_mutex_trylock(&l->m);

    MUST(err == 0 || err == EBUSY);
    if (err == 0)
        held(t, kind, l);
}

static void do_timedlock(struct thread *t)
{
    int kind = (int)draw(t, KINDS), err;
    struct locked *l = &locked[kind][draw(t, CELLS)];
    struct timespec when;

    if (draw(t, 2)) {
        when = from_now(CLOCK_REALTIME, draw(t, 2000));
        err = pthread_mutex_timedlock(&l->m, &when);
    } else {
        when = from_now(CLOCK_MONOTONIC, draw(t, 2000));
        err = pthread_mutex_clocklock(&l->m, CLOCK_MONOTONIC, &when);
    }
    MUST(err == 0 || err == ETIMEDOUT);
    if (err == 0)
        held(t, kind, l);
}

static void do_rwlock(struct thread *t)
{
    struct rw *r = &rw[draw(t, CELLS)];
    long a;

    if (draw(t, 5) == 0) {
        MUST(pthread_rwlock_wrlock(&r->l) == 0);
        r->a++;
        sometimes_yield(t);
        r->b++;
    } else {
        MUST(pthread_rwlock_rdlock(&r->l) == 0);
        a = r->a;
        sometimes_yield(t);
        MUST(r->b == a && r->a == a);
    }
    MUST(pthread_rwlock_unlock(&r->l) == 0);
}

static void do_semaphore(struct thread *t)
{
    uint32_t i = draw(t, CELLS);
    struct timespec when = from_now(CLOCK_REALTIME, draw(t, 2000));
    int way = (int)draw(t, 3);
    int r = way == 0   ? sem_wait(&gate[i].s)
            : way == 1 ? sem_trywait(&gate[i].s)
                       : sem_timedwait(&gate[i].s, &when);

    if (r == -1) {
        MUST((way == 1 && errno == EAGAIN) || (way == 2 && errno == ETIMEDOUT));
        return;
    }
    MUST(addi(&gate[i].inside, 1) <= gate[i].limit);
    sometimes_yield(t);
    addi(&gate[i].inside, -1);
    MUST(sem_post(&gate[i].s) == 0);
}

/* Puts a token or takes one, waiting a little while there is none. */
static void do_tokens(struct thread *t)
{
    struct bag *b = &bag[draw(t, CELLS)];
    struct timespec when = from_now(CLOCK_REALTIME, draw(t, 3000));
    int err = 0;

    MUST(pthread_mutex_lock(&b->m) == 0);
    if (draw(t, 2)) {
        b->tokens++;
        b->put++;
        MUST(pthread_cond_signal(&b->c) == 0);
    } else {
        while (b->tokens == 0 && err == 0)
            err = pthread_cond_timedwait(&b->c, &b->m, &when);
        MUST(err == 0 || err == ETIMEDOUT);
        if (b->tokens > 0) {
            b->tokens--;
            b->taken++;
        }
    }
    MUST(pthread_mutex_unlock(&b->m) == 0);
}

/* Two meet: the odd one waits without a time limit for the next. */
static void meet(struct meeting *w)
{
    MUST(pthread_mutex_lock(&w->m) == 0);
    long mine = ++w->arrived;

    if (mine % 2 == 0) {
        w->released = mine;
        MUST(pthread_cond_broadcast(&w->c) == 0);
    } else {
        while (w->released < mine)
            MUST(pthread_cond_wait(&w->c, &w->m) == 0);
    }
    MUST(pthread_mutex_unlock(&w->m) == 0);
}

static void do_rendezvous(struct thread *t)
{
    meet(&meeting[draw(t, CELLS)]);
}

/* Children are counted, so that there is an end to them. */
static int child(pthread_t *id, void *(*body)(void *), void *arg)
{
    if (sem_trywait(&children_left) == -1)
        return 0;
    if (pthread_create(id, NULL, body, arg) == 0)
        return 1;
    sem_post(&children_left);
    return 0;
}

static void join_child(pthread_t id)
{
    MUST(pthread_join(id, NULL) == 0);
    sem_post(&children_left);
}

struct party {
    pthread_barrier_t b;
    int serial;
};

static void *at_party(void *arg)
{
    struct party *p = arg;

    for (int i = 0; i < 3; i++)
        if (pthread_barrier_wait(&p->b) == PTHREAD_BARRIER_SERIAL_THREAD)
            addi(&p->serial, 1);
    return NULL;
}

static void do_barrier(struct thread *t)
{
    struct party p = {.serial = 0};
    pthread_t id[4];
    int guests = 0, want = (int)draw(t, 4) + 1;

    /* The number of guests must be known before the first one waits. */
    for (int i = 0; i < want && sem_trywait(&children_left) == 0; i++)
        guests++;
    MUST(pthread_barrier_init(&p.b, NULL, (unsigned)guests + 1) == 0);
    for (int i = 0; i < guests; i++)
        MUST(pthread_create(&id[i], NULL, at_party, &p) == 0);
    at_party(&p);
    for (int i = 0; i < guests; i++)
        join_child(id[i]);
    MUST(p.serial == 3);
    MUST(pthread_barrier_destroy(&p.b) == 0);
}

/* Sends one byte and receives one, of whoever sent it. */
static void one_byte(struct thread *t, struct flow *f)
{
    unsigned char c = (unsigned char)draw(t, 256);

    add(&f->sent, c);
    MUST(write(f->in, &c, 1) == 1);
    sometimes_yield(t);
    MUST(read(f->out, &c, 1) == 1);
    add(&f->received, c);
}

static void do_pipe(struct thread *t)
{
    one_byte(t, &pipes[draw(t, CELLS)]);
}

static void do_stream(struct thread *t)
{
    one_byte(t, &streams[draw(t, CELLS)]);
}

static void do_event(struct thread *t)
{
    struct flow *f = &events[draw(t, CELLS)];
    eventfd_t v = 0;

    add(&f->sent, 1);
    MUST(eventfd_write(f->in, 1) == 0);
    MUST(eventfd_read(f->out, &v) == 0 && v == 1);
    add(&f->received, 1);
}

enum { TRANSFER = 100000 };

static void *sends(void *arg)
{
    unsigned char *data = malloc(TRANSFER);

    for (int i = 0; i < TRANSFER; i++)
        data[i] = (unsigned char)(i * 7 + (i >> 8));
    MUST(write(*(int *)arg, data, TRANSFER) == TRANSFER);
    free(data);
    return NULL;
}

static void receive(int fd)
{
    unsigned char piece[1000];
    int at = 0;
    ssize_t r;

    while (at < TRANSFER && (r = read(fd, piece, sizeof piece)) > 0)
        for (ssize_t i = 0; i < r; i++, at++)
            MUST(piece[i] == (unsigned char)(at * 7 + (at >> 8)));
    MUST(at == TRANSFER);
}

static void do_transfer(struct thread *t)
{
    int fd[2];
    pthread_t id;

    if (draw(t, 8) != 0 || (draw(t, 2) ? pipe(fd) : socketpair(AF_UNIX, SOCK_STREAM, 0, fd)) == -1)
        return;
    if (child(&id, sends, &fd[1])) {
        receive(fd[0]);
        join_child(id);
    }
    MUST(close(fd[0]) == 0);
    MUST(close(fd[1]) == 0);
}

static void do_sleeping(struct thread *t)
{
    long us = draw(t, 3000);
    struct timespec begin, end, d = {0, us * 1000};

    clock_gettime(CLOCK_MONOTONIC, &begin);
    MUST(nanosleep(&d, NULL) == 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    MUST((end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000 >= us - 1);
}

static void do_yield(struct thread *t)
{
    for (uint32_t i = draw(t, 4); i > 0; i--)
        sched_yield();
}

static void do_spinlock(struct thread *t)
{
    uint32_t i = draw(t, CELLS);

    if (draw(t, 10) != 0)
        return;
    MUST(pthread_spin_lock(&spun[i].s) == 0);
    MUST(++spun[i].a == ++spun[i].b);
    MUST(pthread_spin_unlock(&spun[i].s) == 0);
}

static void count_once(void)
{
    addi(&once_calls, 1);
}

static void do_once(struct thread *t)
{
    MUST(pthread_once(&once[draw(t, BOXES * 4)], count_once) == 0);
}

static void some_ops(struct thread *t, int n);

static void *child_life(void *arg)
{
    struct thread *t = arg;

    me = t;
    addi(&key_set, 1);
    MUST(pthread_setspecific(key, t) == 0);
    some_ops(t, 5);
    MUST(me == t);
    return t;
}

static void do_children(struct thread *t)
{
    struct thread c[3];
    int live[3];

    if (t->is_child)
        return;
    for (int i = 0; i < 3; i++) {
        c[i] = (struct thread){.rng = t->rng + (uint64_t)i + 1, .number = t->number, .is_child = 1};
        live[i] = child(&c[i].id, child_life, &c[i]);
    }
    for (int i = 0; i < 3; i++)
        if (live[i])
            join_child(c[i].id);
}

static void *detached_life(void *arg)
{
    struct thread *t = arg;

    pthread_detach(pthread_self());
    child_life(t);
    free(t);
    add(&detached_done, 1);
    sem_post(&children_left);
    addi(&detached_live, -1);
    return NULL;
}

static void do_detached(struct thread *t)
{
    struct thread *c;
    pthread_t id;

    if (t->is_child)
        return;
    c = calloc(1, sizeof *c);
    c->rng = t->rng ^ 0xdeadbeef;
    c->is_child = 1;
    addi(&detached_live, 1);
    if (!child(&id, detached_life, c)) {
        addi(&detached_live, -1);
        free(c);
    }
}

static void do_own_data(struct thread *t)
{
    errno = (int)(t->number % 100) + 1;
    sched_yield();
    MUST(errno == (int)(t->number % 100) + 1);
    MUST(me == t);
    MUST(pthread_getspecific(key) == t);
}

static struct block *fill(struct thread *t)
{
    uint32_t size = draw(t, 10) ? draw(t, 600) : draw(t, 100000);
    struct block *b = malloc(sizeof *b + size);

    MUST(b);
    b->size = size;
    b->seed = draw(t, 256);
    memset(b->bytes, (int)b->seed, size);
    return b;
}

static void release(struct block *b)
{
    for (uint32_t i = 0; b && i < b->size; i += 61)
        MUST(b->bytes[i] == b->seed);
    free(b);
}

static void do_memory(struct thread *t)
{
    uint32_t i = draw(t, SLOTS);

    release(t->slot[i]);
    t->slot[i] = draw(t, 4) ? fill(t) : NULL;
    if (t->slot[i] && draw(t, 4) == 0) {
        struct block *b = realloc(t->slot[i], sizeof *b + t->slot[i]->size + 100);

        MUST(b);
        memset(b->bytes + b->size, (int)b->seed, 100);
        b->size += 100;
        t->slot[i] = b;
    }
}

/* Blocks made by one thread are checked and freed by another. */
static void do_mailbox(struct thread *t)
{
    release(__atomic_exchange_n(&box[draw(t, BOXES)], fill(t), __ATOMIC_ACQ_REL));
}

static void do_compute(struct thread *t)
{
    double x = 1 + draw(t, 1000), y = x, z = x;

    for (uint32_t i = draw(t, 3000); i > 0; i--) {
        y = y * 1.000001 + 0.5;
        z = z * 1.000001 + 0.5;
    }
    MUST(y == z);
}

static void (*const op_body[])(struct thread *) = {
#define O(name) do_##name,
    OPS(O)
#undef O
};

static void some_ops(struct thread *t, int n)
{
    for (int i = 0; i < n && !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        int op = (int)draw(t, OP_COUNT);

        __atomic_store_n(&t->op, op, __ATOMIC_RELAXED);
        op_body[op](t);
        __atomic_store_n(&t->ops, t->ops + 1, __ATOMIC_RELAXED);
    }
    for (int i = 0; i < SLOTS; i++) {
        release(t->slot[i]);
        t->slot[i] = NULL;
    }
}

/* Nobody begins before all are there: else main would make the last ones against all the others. */
static void wait_for_start(void)
{
    MUST(pthread_mutex_lock(&start_lock) == 0);
    while (!started)
        MUST(pthread_cond_wait(&start, &start_lock) == 0);
    MUST(pthread_mutex_unlock(&start_lock) == 0);
}

static void *life(void *arg)
{
    struct thread *t = arg;

    me = t;
    wait_for_start();
    addi(&key_set, 1);
    MUST(pthread_setspecific(key, t) == 0);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        some_ops(t, 100);
    __atomic_store_n(&t->op, OP_COUNT, __ATOMIC_RELEASE);
    return t;
}

static void destroy_key(void *value)
{
    MUST(value == me);
    addi(&key_destructed, 1);
}

static void make_flows(int i)
{
    int fd[2];

    MUST(pipe(fd) == 0);
    pipes[i] = (struct flow){.in = fd[1], .out = fd[0]};
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    streams[i] = (struct flow){.in = fd[1], .out = fd[0]};
    fd[0] = eventfd(0, EFD_SEMAPHORE);
    MUST(fd[0] >= 0);
    events[i] = (struct flow){.in = fd[0], .out = fd[0]};
}

static void make_cells(void)
{
    const int types[KINDS] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
                              PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP};
    pthread_mutexattr_t a;
    pthread_rwlockattr_t ra;

    pthread_mutexattr_init(&a);
    pthread_rwlockattr_init(&ra);
    for (int i = 0; i < CELLS; i++) {
        for (int k = 0; k < KINDS; k++) {
            pthread_mutexattr_settype(&a, types[k]);
            pthread_mutex_init(&locked[k][i].m, &a);
        }
        pthread_rwlockattr_setkind_np(&ra, i % 2 ? PTHREAD_RWLOCK_PREFER_READER_NP
                                                 : PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        pthread_rwlock_init(&rw[i].l, &ra);
        pthread_mutex_init(&bag[i].m, NULL);
        pthread_cond_init(&bag[i].c, NULL);
        pthread_mutex_init(&meeting[i].m, NULL);
        pthread_cond_init(&meeting[i].c, NULL);
        pthread_spin_init(&spun[i].s, PTHREAD_PROCESS_PRIVATE);
        gate[i].limit = i % 7 + 1;
        sem_init(&gate[i].s, 0, (unsigned)gate[i].limit);
        make_flows(i);
    }
    sem_init(&children_left, 0, CHILDREN_MAX);
    MUST(pthread_key_create(&key, destroy_key) == 0);
}

static long total_ops(const struct thread *t, int n)
{
    long sum = 0;

    for (int i = 0; i < n; i++)
        sum += __atomic_load_n(&t[i].ops, __ATOMIC_RELAXED);
    return sum;
}

static int ended(const struct thread *t, int n)
{
    int sum = 0;

    for (int i = 0; i < n; i++)
        sum += __atomic_load_n(&t[i].op, __ATOMIC_ACQUIRE) == OP_COUNT;
    return sum;
}

static _Noreturn void stalled(const struct thread *t, int n)
{
    int under_way[OP_COUNT + 1] = {0};

    for (int i = 0; i < n; i++)
        under_way[__atomic_load_n(&t[i].op, __ATOMIC_RELAXED)]++;
    fprintf(stderr, "stalled for %d s; threads by operation:\n", STALL_S);
    for (int i = 0; i < OP_COUNT; i++)
        if (under_way[i])
            fprintf(stderr, "  %-12s %d\n", op_name[i], under_way[i]);
    fprintf(stderr, "  %-12s %d\n", "ended", under_way[OP_COUNT]);
    fflush(stderr);
    kill(getpid(), SIGQUIT);
    sleep(2);
    abort();
}

/* Waits 20 ms and watches that something happens. */
static void watch(const struct thread *t, int n)
{
    static long last = -1;
    static time_t since;
    struct timespec now, d = {0, 20000000};
    long sum = total_ops(t, n) + ended(t, n);

    nanosleep(&d, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (sum != last) {
        last = sum;
        since = now.tv_sec;
    } else if (now.tv_sec - since > STALL_S) {
        stalled(t, n);
    }
}

/* Whoever still waits for a partner gets main. */
static void be_partner(void)
{
    for (int i = 0; i < CELLS; i++) {
        pthread_mutex_lock(&meeting[i].m);
        int lonely = meeting[i].arrived % 2;

        pthread_mutex_unlock(&meeting[i].m);
        if (lonely)
            meet(&meeting[i]);
    }
}

static void check_flow(const struct flow *f)
{
    MUST(f->sent == f->received);
}

static void check_cells(void)
{
    long n;

    for (int k = 0; k < KINDS; k++) {
        n = 0;
        for (int i = 0; i < CELLS; i++)
            n += locked[k][i].n;
        MUST(n == acquired[k]);
    }
    for (int i = 0; i < CELLS; i++) {
        int v;

        MUST(rw[i].a == rw[i].b);
        MUST(bag[i].put - bag[i].taken == bag[i].tokens);
        MUST(meeting[i].arrived % 2 == 0 && meeting[i].released == meeting[i].arrived);
        MUST(sem_getvalue(&gate[i].s, &v) == 0 && v == gate[i].limit && gate[i].inside == 0);
        check_flow(&pipes[i]);
        check_flow(&streams[i]);
        check_flow(&events[i]);
    }
    for (int i = 0; i < BOXES; i++)
        release(box[i]);
    MUST(once_calls <= BOXES * 4);
    MUST(key_set == key_destructed);
}

static void run(struct thread *t, int n, long seconds, uint64_t seed)
{
    struct timespec begin, now;
    pthread_attr_t a;

    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 256 * 1024);
    for (int i = 0; i < n; i++) {
        t[i].number = i;
        t[i].rng = seed * 1000003 + (uint64_t)i;
        MUST(pthread_create(&t[i].id, &a, life, &t[i]) == 0);
    }
    MUST(pthread_mutex_lock(&start_lock) == 0);
    started = 1;
    MUST(pthread_cond_broadcast(&start) == 0);
    MUST(pthread_mutex_unlock(&start_lock) == 0);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        watch(t, n);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begin.tv_sec < seconds);
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    while (ended(t, n) < n || __atomic_load_n(&detached_live, __ATOMIC_SEQ_CST) > 0) {
        be_partner();
        watch(t, n);
    }
    for (int i = 0; i < n; i++) {
        void *result;

        MUST(pthread_join(t[i].id, &result) == 0 && result == &t[i]);
    }
    pthread_attr_destroy(&a);
}

static long option(const char *name, int argc, char **argv, long value)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0)
            value = strtol(argv[i + 1], NULL, 0);
    return value;
}

static int usage(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || (strcmp(argv[i], "--seed") && strcmp(argv[i], "--threads") &&
                              strcmp(argv[i], "--seconds"))) {
            fprintf(stderr, "usage: stress [--seed S] [--threads N] [--seconds T]\n");
            return 1;
        }
    return 0;
}

int main(int argc, char **argv)
{
    struct timespec now;
    long seed, seconds;
    int n;
    struct thread *t;

    if (usage(argc, argv))
        return 2;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = option("--seed", argc, argv, (now.tv_nsec / 1000 ^ now.tv_sec) & 0xffffff);
    n = (int)option("--threads", argc, argv, 10000);
    seconds = option("--seconds", argc, argv, 10);
    printf("seed %ld, %d threads, %ld s\n", seed, n, seconds);
    fflush(stdout);
    t = calloc((size_t)n, sizeof *t);
    MUST(t);
    make_cells();
    run(t, n, seconds, (uint64_t)seed);
    check_cells();
    fprintf(stderr, "%ld operations, %ld detached threads\n", total_ops(t, n), detached_done);
    printf("ok: every sum is right\n");
    free(t);
    return 0;
}
