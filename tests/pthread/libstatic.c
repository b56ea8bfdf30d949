/* SPDX-License-Identifier: BSD-2-Clause */
/* A library for loader_static.c: thread-local variables at fixed offsets, which its constructor
 * looks at and changes; no thread of its own. */
#define IE __attribute__((tls_model("initial-exec")))

static __thread int number IE = 42;
static __thread int *self IE;
static __thread char zeros[100] IE;
static int seen;

int static_get(void);
void static_set(int value);
int static_seen(void);

int static_get(void)
{
    return zeros[99] == 0 && (!self || self == &number) ? number : -1;
}

void static_set(int value)
{
    number = value;
    self = &number;
}

int static_seen(void)
{
    return seen;
}

static __attribute__((constructor)) void load(void)
{
    seen = static_get();
    static_set(7);
}
