/* SPDX-License-Identifier: BSD-2-Clause */
/* Says for every name in the list which file defines what a program gets: once for a reference that
 * the linker made (with the symbol version a program has), once for dlsym.
 *
 * One line a name: "NAME FILE FILE"; a name that nobody defines has "-".  Nothing is called. */

#define _GNU_SOURCE

/* clang-format off */
#if __has_include("interpose/symbols.def")
#define X(type, name, ...) extern char probe_##name[] __asm__(#name) __attribute__((weak));
#include "interpose/symbols.def"
#undef X
#endif

static const struct {
    const char *name;
    char *address;
} names[] = {
#if __has_include("interpose/symbols.def")
#define X(type, name, ...) {#name, probe_##name},
#include "interpose/symbols.def"
#undef X
#endif
    {0, 0},
};
/* clang-format on */

#include <dlfcn.h>
#include <stdio.h>

static const char *file_of(const void *address)
{
    Dl_info i;

    return address && dladdr(address, &i) ? i.dli_fname : "-";
}

int main(void)
{
    for (size_t i = 0; names[i].name; i++)
        printf("%s %s %s\n", names[i].name, file_of(names[i].address),
               file_of(dlsym(RTLD_DEFAULT, names[i].name)));
    return 0;
}
