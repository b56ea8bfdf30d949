#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC1003,SC2016,SC2020 # literal backslashes and dollars; tr on sets
#
# nptl_build.sh DIR: makes DIR/bin/GROUP.CASE of glibc's test programs, against the installed libc.
#
# The sources are those of Debian's package glibc-source, unpacked under DIR; nothing of them is
# kept here.  A case is compiled as a program of its own: the installed headers first, those of the
# package only where the system has none (-idirafter), and for headers of the library's inside the
# stand-ins of shim/.  The package's support code becomes DIR/libsupport.a, the modules that cases
# open become DIR/mods/*.so.  DIR/built names the cases, DIR/unbuilt those that need more, with the
# compiler's first complaint.
#
# What a case needs beyond that stands in nptl.cases; a second run builds what is missing.

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(realpath "${1:?the directory to build in}")
jobs=${JOBS:-$(nproc)}

tarball=$(dpkg-query -L glibc-source 2>/dev/null | grep -m1 '/glibc-[0-9.]*\.tar')
[ -f "$tarball" ] || { echo "$0: the package glibc-source is not installed" >&2; exit 2; }
version=$(basename "$tarball" | sed 's/\.tar.*//')
src=$dir/$version
mkdir -p "$dir"/{bin,mods,obj,log}
if [ ! -e "$dir/unpacked" ]; then
    echo "unpacking $tarball" >&2
    tar -C "$dir" -xf "$tarball" && touch "$dir/unpacked" || exit 2
fi

# Which files are cases: all of these, but for what is no program (see is_case).
groups=(nptl sysdeps/pthread sysdeps/unix/sysv/linux malloc stdlib rt posix signal setjmp dlfcn elf)
patterns() { # GROUP
    case $1 in
    nptl | sysdeps/pthread | malloc | rt | signal | setjmp) echo 'tst-*.c' ;;
    sysdeps/unix/sysv/linux)
        echo 'tst-*affinity*.c tst-*clone*.c tst-epoll*.c tst-get[pt]id*.c tst-pidfd.c' \
            'tst-ppoll*.c tst-prctl*.c tst-*locks*.c tst-sig*.c tst-tgkill.c tst-timerfd*.c' \
            'tst-rseq-nptl.c tst-scm_rights*.c tst-personality.c tst-memfd*.c' ;;
    stdlib)
        echo 'tst-*exit*.c test-*exit*.c tst-*context*.c bug-getcontext.c tst-bz20544.c' \
            'test-bz22786.c tst-*env*.c tst-arc4random*.c tst-qsort*.c tst-bsearch.c' \
            'tst-realpath*.c tst-random*.c tst-rand48*.c tst-canon*.c tst-getrandom.c' \
            'tst-system.c' ;;
    posix)
        echo 'tst-_Fork.c tst-exec*.c tst-fexecve.c tst-fork.c tst-getopt-cancel.c' \
            'tst-nanosleep.c tst-nice.c tst-posix_spawn*.c tst-sched*.c tst-spawn*.c tst-sysconf.c tst-vfork*.c' \
            'tst-wait*.c tst-preadwrite*.c tst-mmap*.c tst-truncate*.c tst-cpu*.c' ;;
    dlfcn) echo 'tst*.c errmsg1.c bug-dlopen1.c' ;;
    elf) echo 'tst-tls*.c' ;;
    esac
}

is_case() { # FILE
    case ${1##*/} in
    *-static*.c | *mod.c | *mod[0-9a-z].c | *mod[0-9][0-9a-z].c) return 1 ;;
    *-mod[0-9]*.c | *-lib.c | *-skeleton*.c | *-common.c | *aux.c | *aux-*.c) return 1 ;;
    *-internal.c | *-tlsmod*.c | *-helper.c | tststatic*.c) return 1 ;;
    esac
    grep -qE '\<main *\(|test-driver\.c|test-skeleton\.c' "$1" ||
        grep -qE '# *include [<"](\.\./[a-z]*/)?(tst|test)-' "$1" # the same case, another way
}

# The fields of a case's line in nptl.cases: flags, objects, link.
field() { # GROUP.CASE FIELD
    awk -v id="$1" -v key="$2" '$1 == id && $2 == key { $1 = $2 = ""; sub(/^ */, ""); print }' \
        "$here/nptl.cases"
}

sysdep=$src/sysdeps
# the installed headers, the stand-ins, and then what only the package has
common=(-O2 -w -std=gnu11 -fgnu89-inline -D_GNU_SOURCE -DMODULE_NAME=testsuite
    -I"$here/shim" -include "$here/shim/case.h" -I"$dir/inc")
for d in "$src" "$src/include" "$src/support" "$sysdep/unix/sysv/linux/x86_64/64" \
    "$sysdep/unix/sysv/linux/x86_64" "$sysdep/unix/sysv/linux/x86" "$sysdep/unix/sysv/linux" \
    "$sysdep/pthread" "$sysdep/x86_64" "$sysdep/x86" "$sysdep/generic" "$src/nptl"; do
    common+=(-idirafter "$d")
done
# where the support code believes things to be
common+=("-DSRCDIR_PATH=\"$src\"" "-DOBJDIR_PATH=\"$dir\"" '-DINSTDIR_PATH="/"'
    '-DLIBDIR_PATH="/usr/lib"' '-DBINDIR_PATH="/usr/bin"' '-DSBINDIR_PATH="/usr/sbin"'
    '-DROOTSBINDIR_PATH="/sbin"' '-DCOMPLOCALEDIR_PATH="/usr/lib/locale"'
    '-DSYSCONFDIR_PATH="/etc"' '-DSLIBDIR_PATH="/lib/x86_64-linux-gnu"' "-DOBJPFX=\"$dir/bin/\"")

# Names that are short in an include line, and shadow nothing of the system's.
mkdir -p "$dir/inc"
ln -sfn "$src/support" "$dir/inc/support"
ln -sfn "$src/malloc" "$dir/inc/malloc"
ln -sf "$src/test-skeleton.c" "$dir/inc/"

compile() { # OUT.o FILE [FLAG...]
    local out=$1 file=$2
    shift 2
    gcc "${common[@]}" -iquote "$(dirname "$file")" -iquote "$src/nptl" "$@" -c "$file" -o "$out"
}

build_support() { # FILE
    local name obj
    name=$(basename "$1" .c) obj=$dir/obj/$(basename "$1" .c).o
    [ "$obj" -nt "$1" ] || compile "$obj" "$1" 2>"$dir/log/support-$name" || rm -f "$obj"
}

# What the package's makefile says of one file: CFLAGS-NAME.c, LDFLAGS-NAME, LDLIBS-NAME.
makefile_says() { # GROUP VARIABLE
    sed -n "s/^$2 *+\{0,1\}= *//p" "$src/$1/Makefile" 2>/dev/null | grep -v '[$()]' | tr '\n' ' '
}

up_to_date() { # OUT FILE CASE
    [ "$1" -nt "$2" ] && { [ "$1" -nt "$here/nptl.cases" ] || ! grep -q "^$3 " "$here/nptl.cases"; }
}

build_module() { # FILE
    local name so group flags link
    name=$(basename "$1" .c) group=$(realpath --relative-to="$src" "$(dirname "$1")")
    so=$dir/mods/$name.so
    up_to_date "$so" "$1" "mod.$name" && return
    read -ra flags <<<"$(makefile_says "$group" "CFLAGS-$name\.c") $(field "mod.$name" flags)"
    read -ra link <<<"$(makefile_says "$group" "LDFLAGS-$name\.so") $(field "mod.$name" link)"
    gcc "${common[@]}" -iquote "$(dirname "$1")" "${flags[@]}" -fPIC -shared -o "$so" "$1" \
        -L"$dir/mods" "${link[@]}" "$dir/libsupport.a" 2>"$dir/log/mod-$name" || rm -f "$so"
}

build_case() { # GROUP FILE
    local name=${2##*/} id flags link extra
    name=${name%.c} id=${1//\//_}.$name
    up_to_date "$dir/bin/$id" "$2" "$id" && return
    read -ra flags <<<"$(makefile_says "$1" "CFLAGS-$name\.c") $(field "$id" flags)"
    read -ra link <<<"$(makefile_says "$1" "LDFLAGS-$name") $(field "$id" link)"
    read -ra extra <<<"$(field "$id" with)"
    gcc "${common[@]}" -iquote "$src/$1" -iquote "$src/nptl" "${flags[@]}" -o "$dir/bin/$id" "$2" \
        "${extra[@]/#/$src/}" "$dir/libsupport.a" -L"$dir/mods" "${link[@]}" \
        -pthread -ldl -lrt -lm 2>"$dir/log/$id" || rm -f "$dir/bin/$id"
}

# Runs FUNCTION on every line of stdin, several at a time.
parallel() { # FUNCTION
    local line
    while read -ra line; do
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
        "$1" "${line[@]}" &
    done
    wait
}

# The objects of libsupport: what the package's makefile lists under libsupport-routines.
support_files() {
    sed -n '/^libsupport-routines/,/^$/p' "$src/support/Makefile" | tr -d '\\' | tr ' \t' '\n\n' |
        sed -n 's/^\([A-Za-z_].*\)$/\1/p' | grep -v '^libsupport-routines' |
        while read -r name; do [ -f "$src/support/$name.c" ] && echo "$src/support/$name.c"; done
}

echo "building in $dir" >&2
support_files | parallel build_support
rm -f "$dir/libsupport.a"
ar rc "$dir/libsupport.a" "$dir"/obj/*.o || exit 2

for m in "$src"/{nptl,sysdeps/pthread,malloc,stdlib,dlfcn}/*mod*.c "$src"/elf/tst-tls*mod*.c \
    "$src"/elf/tst-execstack-mod.c "$src"/stdlib/test-*-helper.c; do
    [ -f "$m" ] && [[ ! $m =~ mode ]] && echo "$m"
done >"$dir/modules"
parallel build_module <"$dir/modules"
parallel build_module <"$dir/modules" # those that link with another one

for g in "${groups[@]}"; do
    for pattern in $(patterns "$g"); do
        for f in "$src/$g"/$pattern; do
            [ -f "$f" ] && is_case "$f" && echo "$g $f"
        done
    done
done | sort -u >"$dir/cases"
parallel build_case <"$dir/cases"

: >"$dir/built"
: >"$dir/unbuilt"
while read -r g f; do
    id=${g//\//_}.$(basename "$f" .c)
    if [ -x "$dir/bin/$id" ]; then
        echo "$id" >>"$dir/built"
    else
        echo "$id $(grep -m1 -E 'error|undefined' "$dir/log/$id" | cut -c1-160)" >>"$dir/unbuilt"
    fi
done <"$dir/cases"
echo "$(wc -l <"$dir/built") cases built, $(wc -l <"$dir/unbuilt") not" >&2
