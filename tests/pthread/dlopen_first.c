/* SPDX-License-Identifier: BSD-2-Clause */
/* The process's first thread is made by the constructor of a library that dlopen loads: the dynamic
 * linker's lock is held meanwhile.  (OpenBLAS does it.) */
#include "tap.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>

static void first_thread_in_a_constructor(void)
{
    char dir[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);

    CHECK(n > 0);
    dir[n] = '\0';
    snprintf(path, sizeof path, "%s/libplug_gd.so", dirname(dir));
    void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(h);
    int (*get)(void) = (int (*)(void))(uintptr_t)dlsym(h, "plug_get");
    CHECK(get);
    EQ(get(), 42);
    EQ(dlclose(h), 0); /* its destructor joins the thread */
}

int main(void)
{
    CASE(first_thread_in_a_constructor);
    return 0;
}
