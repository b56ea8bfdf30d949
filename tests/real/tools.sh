#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Tools with threads of several makes: zstd, 7-Zip, ripgrep and fd (Rust), pandoc (GHC's runtime),
# qemu-img (coroutines beside a pool of threads), gio (GLib).  Each must do what it does plain.
. "${0%/*}/lib.sh"
cd "$REAL_DIR" || die "no directory"
data=$REAL_SHARE/data
if first data; then text "$data" 200000; fi
have() { command -v "$1" >/dev/null && METRICS+=("$1=yes"); }
ran=0
run() { # NAME GOROUTINES COMMAND...
    local name=$1 least=$2
    shift 2
    ran=$((ran + 1))
    prog 30 "$@" || fail "$name: exit status $?"
    if preloaded && [ "$least" -gt 0 ]; then
        at_least "goroutines of $name" "$(stat_of goroutines_created)" "$least"
    fi
    rm -f "$STATS"
}

if have zstd; then
    run zstd 4 zstd -q -T4 -5 -o a.zst "$data"
    zstd -q -d -c a.zst | cmp -s - "$data" || fail "zstd: other bytes"
fi
if have 7z; then
    run 7z 2 7z a -mmt4 -mx5 a.7z "$data" >"$LOG/client"
    7z e -so a.7z 2>/dev/null | cmp -s - "$data" || fail "7z: other bytes"
fi
if have rg; then
    mkdir tree && split -l 5000 "$data" tree/f.
    eq rg "$(run rg 4 rg -j4 --no-filename -c '99$' tree | paste -sd+ | bc)" "$(grep -c '99$' "$data")"
fi
if have pandoc; then
    head -n 300 "$data" >a.md
    run pandoc 2 pandoc +RTS -N2 -RTS -o a.html a.md
    pandoc -o b.html a.md
    same pandoc a.html b.html
fi
if have qemu-img; then
    run qemu-img 1 qemu-img convert -m 8 -W -O qcow2 -f raw "$data" a.qcow2
    qemu-img compare -f raw "$data" a.qcow2 >"$LOG/client" || fail "qemu-img: other bytes"
fi
if have gio; then
    run gio 0 gio copy "$data" copy
    same gio "$data" copy
fi
[ $ran -gt 0 ] || result skip "none of these tools is here"
finish
