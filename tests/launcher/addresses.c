/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints its own memory map, an empty line and some addresses, as a crash dump would hand them to
 * `gothread symbolize`: a function of its own, its second byte and its first as return addresses
 * (the first belongs to what lies before), one each of libc, the vDSO and anonymous memory, and two
 * of nothing. With an argument it prints the first address and waits for its input to end. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static __attribute__((noinline)) int work(int n)
{
    return n * 3 + 1; /* the test looks for this line's number, 13 */
}

static void print_map(void)
{
    char line[512];
    FILE *f = fopen("/proc/self/maps", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        fputs(line, stdout);
}

int main(int argc, char **argv)
{
    void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *stamp = vdso != NULL ? dlsym(vdso, "__vdso_clock_gettime") : NULL;
    static volatile int seven = 7;
    if (argc > 1) {
        printf("%lx\n", (unsigned long)(uintptr_t)work);
        fflush(stdout);
        return getchar() == EOF && argv[1] != NULL ? 0 : 1;
    }
    void *anonymous = malloc((size_t)1 << 22);
    print_map();
    printf("\n%lx\n", (unsigned long)(uintptr_t)work);
    printf("0x%lx r\n", (unsigned long)(uintptr_t)work + 1);
    printf("%lx r\n", (unsigned long)(uintptr_t)work);
    printf("%lx\n", (unsigned long)(uintptr_t)dlsym(RTLD_DEFAULT, "getpid"));
    printf("%lx\n", (unsigned long)(uintptr_t)stamp);
    printf("%lx\n10\nnonsense\n", (unsigned long)(uintptr_t)anonymous);
    return work(seven) == 22 ? 0 : 1;
}
