/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writes the input files of tests/bench_malloc, the same each time, on standard output.
 *
 *     gen lines MEGABYTES     lines of random letters, some 60 bytes long: for sort
 *     gen source FUNCTIONS    a C program of so many functions: for the compiler
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t rng = 88172645463325252u;

static uint32_t below(uint32_t n)
{
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((rng >> 32) * n >> 32);
}

static void lines(long megabytes)
{
    char line[128];

    for (long left = megabytes << 20; left > 0;) {
        size_t n = 20 + below(80);
        for (size_t i = 0; i < n; i++)
            line[i] = (char)('a' + below(26));
        line[n] = '\n';
        fwrite(line, 1, n + 1, stdout);
        left -= (long)n + 1;
    }
}

/* Functions with loops, a switch, arrays and calls of earlier ones. */
static void function(long i)
{
    printf("static int f%ld(int *a, int n, struct s *s)\n{\n    int r = %u;\n", i, below(1000));
    printf("    for (int i = 0; i < n; i++) {\n");
    for (int k = 0; k < 6; k++)
        printf("        a[i] += (r ^ s->m%u) * %u + (s->m%u >> %u);\n", below(8), below(9999),
               below(8), 1 + below(20));
    printf("        switch (a[i] & 7) {\n");
    for (int k = 0; k < 7; k++)
        printf("        case %d: r += s->m%u * %u; break;\n", k, below(8), below(99));
    printf("        default: s->m%u = r; break;\n        }\n    }\n", below(8));
    if (i > 0)
        printf("    if (r > %u)\n        r += f%u(a, n - 1, s->next);\n", below(5000),
               below((uint32_t)i));
    printf("    return r;\n}\n\n");
}

static void source(long functions)
{
    printf("struct s { int m0, m1, m2, m3, m4, m5, m6, m7; struct s *next; };\n\n");
    for (long i = 0; i < functions; i++)
        function(i);
    printf("int (*const all[])(int *, int, struct s *) = {\n");
    for (long i = 0; i < functions; i++)
        printf("    f%ld,\n", i);
    printf("};\n");
}

int main(int argc, char **argv)
{
    long n = argc > 2 ? atol(argv[2]) : 0;

    if (n > 0 && strcmp(argv[1], "lines") == 0)
        lines(n);
    else if (n > 0 && strcmp(argv[1], "source") == 0)
        source(n);
    else
        return 2;
    return fflush(stdout) || ferror(stdout);
}
