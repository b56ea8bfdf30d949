/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs copy memory that they never wrote: half filled tables, padding.  What an allocator left
 * in it when it was free is then in live objects, which are no less live for that. */
#include "tap.h"

#include <malloc.h>

enum { SMALL = 20000, BIG = 400000, PIECE = 48 };

static char *small[SMALL], *piece[BIG / PIECE];

/* Memory that has been small free objects, never written since. */
static char *used_memory(size_t piece_size)
{
    for (int i = 0; i < SMALL; i++)
        small[i] = malloc(piece_size);
    for (int i = 0; i < SMALL; i++)
        free(small[i]);
    return malloc(BIG);
}

static void make_pieces(const char *from)
{
    for (int i = 0; i < BIG / PIECE; i++) {
        piece[i] = malloc(PIECE);
        memcpy(piece[i], from + (size_t)i * PIECE, PIECE);
    }
}

static void *drop_pieces(void *arg)
{
    for (int i = 0; i < BIG / PIECE; i++) {
        CHECK(malloc_usable_size(piece[i]) >= PIECE);
        if (i % 3 == 0) {
            piece[i] = realloc(piece[i], PIECE * 5);
            CHECK(piece[i]);
        }
        free(piece[i]);
    }
    return arg;
}

static void copies(int by_other)
{
    static const size_t sizes[] = {16, 24, 32, 48, 64, 80, 112, 200, 500, 1000};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *from = used_memory(sizes[i]);
        make_pieces(from);
        if (by_other)
            reap(go(drop_pieces, NULL));
        else
            drop_pieces(NULL);
        free(from);
    }
}

static void freed_by_who_made_them(void)
{
    copies(0);
}

static void freed_by_others(void)
{
    copies(1);
}

int main(void)
{
    CASE(freed_by_who_made_them);
    CASE(freed_by_others);
    return 0;
}
