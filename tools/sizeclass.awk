# SPDX-License-Identifier: BSD-2-Clause
#
# Writes core/mem/sizeclass.def: `make sizeclass`.  Sizes are multiples of 16 (max_align_t), by 16 up
# to 128 and then in eight steps to each doubling, up to 32 KiB; so an object is at most 1/8 longer
# than what was asked for.  A span has the fewest slots of 64 KiB of which at most 1/8 is left over:
# one for all up to 8 KiB, at most three for the others.

function row(size,    span, n, inner, tail)
{
    for (span = 65536; 8 * (span % size) > span; span += 65536)
        ;
    n = int(span / size)
    tail = 100 * (span - n * size) / span
    inner = 100 * (size - last - 1) / size # the worst request: one byte over the class before
    printf "C(%2d, %5d, %6d, %4d) /* %5.2f %5.2f */\n", ++class, size, span, n, inner, tail
    last = size
}

BEGIN {
    print "/* SPDX-License-Identifier: BSD-2-Clause"
    print " *"
    print " * The size classes: C(class, bytes of an object, bytes of a span, objects of a span).  Behind each:"
    print " * waste in percent of the object for the worst request, and of the span at its end."
    print " * Written by tools/sizeclass.awk (make sizeclass); tests/unit/test_heap.c derives it again."
    print " */"
    print "/* clang-format off */"
    for (size = 16; size <= 128; size += 16)
        row(size)
    for (base = 128; base < 32768; base *= 2)
        for (step = 1; step <= 8; step++)
            row(base + step * base / 8)
    print "/* clang-format on */"
    print "#undef C"
}
