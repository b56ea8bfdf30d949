#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# gcc and its children (cc1, as, ld, the parallel jobs of link-time optimisation): no threads, but
# hundreds of megabytes through the allocator and many forks.  The same bytes must come out.
. "${0%/*}/lib.sh"
needs gcc gcc
: "${N:=400}"
UNDER=("${UNDER[@]/GOTHREAD=*/GOTHREAD=${GT_KNOBS:-}}") # each child would write the statistics
big=$REAL_SHARE/big.c
if first big; then
    for ((i = 0; i < N; i++)); do
        echo "unsigned f$i(const unsigned *a, unsigned n)"
        echo "{ unsigned s = $i; for (unsigned i = 0; i < n; i++) s = s * $((i % 97 + 3)) + a[i] % $((i % 7 + 2));"
        echo "  switch (s % 5) { case 0: return s + $i; case 1: return s ^ a[0]; default: return s - n; } }"
    done >"$big"
    echo '#include <stdio.h>' >"$REAL_SHARE/main.c"
    echo "unsigned f0(const unsigned *, unsigned), f$((N - 1))(const unsigned *, unsigned);" >>"$REAL_SHARE/main.c"
    echo "int main(void) { unsigned a[3] = {1, 2, 3}; printf(\"%u\\n\", f0(a, 3) + f$((N - 1))(a, 3)); }" \
        >>"$REAL_SHARE/main.c"
    gcc -O2 -c -o "$REAL_SHARE/big.o" "$big"
    gcc -O2 -o "$REAL_SHARE/main" "$REAL_SHARE/main.c" "$big"
fi
cd "$REAL_DIR" || die "no directory"
prog 80 gcc -O2 -c -o big.o "$big" || fail "gcc: exit status $?"
same object big.o "$REAL_SHARE/big.o"
prog 80 gcc -O1 -flto=2 -o main "$REAL_SHARE/main.c" "$big" || fail "gcc -flto: exit status $?"
eq answer "$(./main)" "$("$REAL_SHARE/main")"
empty stderr "$LOG/prog.err"
finish
