/* SPDX-License-Identifier: BSD-2-Clause */
/* A library that dlopen.c loads while threads run: thread-local variables in the model that MODEL
 * names, statics that must be fresh after a reload, and a thread of its own from load to unload. */
#include <pthread.h>
#include <unistd.h>

static __thread int initialised __attribute__((tls_model(MODEL))) = 42;
static __thread long zeroed[8] __attribute__((tls_model(MODEL)));
static int loads;
static pthread_t own;
static int stop;

int plug_get(void);
void plug_set(int value);
int plug_loads(void);

int plug_get(void)
{
    return initialised + (int)zeroed[3];
}

void plug_set(int value)
{
    initialised = value;
    zeroed[3] = value;
}

int plug_loads(void)
{
    return ++loads;
}

static void *runs(void *arg)
{
    plug_set(1);
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        usleep(1000);
    return arg;
}

static __attribute__((constructor)) void load(void)
{
    pthread_create(&own, NULL, runs, NULL);
}

static __attribute__((destructor)) void unload(void)
{
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(own, NULL);
}
