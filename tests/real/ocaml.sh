#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# OCaml's threads.
. "${0%/*}/lib.sh"
wants ocamlopt ocaml-nox
program=$REAL_SHARE/program
if first program; then
    cp "$PROGRAMS/threads.ml" "$REAL_SHARE/main.ml"
    ocamlopt -I +unix -I +threads unix.cmxa threads.cmxa -o "$program" "$REAL_SHARE/main.ml" ||
        die "it does not compile"
fi
runtime 60 25 "$program"
finish
