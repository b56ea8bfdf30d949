#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# git: threads that search deltas and resolve them, grep with threads, the threads and child
# processes of a clone.
. "${0%/*}/lib.sh"
needs git git
: "${N:=500}"
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=me GIT_AUTHOR_EMAIL=me@localhost
export GIT_COMMITTER_NAME=me GIT_COMMITTER_EMAIL=me@localhost
origin=$REAL_SHARE/origin

make_origin() {
    git init -q -b main "$origin" && cd "$origin" || return
    text words $((N * 60))
    split -a 4 -l 60 words file. && rm words
    git add . && git commit -qm first
    for f in file.*[aeiou]; do echo "one more line in $f" >>"$f"; done
    git commit -qam second && git repack -adfq --threads=1
}
if first origin; then (make_origin) >"$LOG/origin" 2>&1 || die "the repository was not made"; fi
head=$(git -C "$origin" rev-parse HEAD)
repo=$REAL_DIR/repo
cp -r "$origin" "$repo"
cd "$repo" || die "no repository"

prog 40 git -c pack.threads=8 repack -adfq || fail "repack: exit status $?"
pack=$(ls .git/objects/pack/*.pack)
eq "objects in the pack" "$(git verify-pack -v "$pack" | grep -cE '^[0-9a-f]{40} ')" \
    "$(git -C "$origin" rev-list --all --objects | wc -l)"
prog 40 git index-pack --threads=8 -o "$REAL_DIR/threads.idx" "$pack" >"$REAL_DIR/threads.sum" ||
    fail "index-pack: exit status $?"
expect_goroutines 8
git index-pack --threads=1 -o "$REAL_DIR/one.idx" "$pack" >"$REAL_DIR/one.sum"
same "index-pack's index" "$REAL_DIR/threads.idx" "$REAL_DIR/one.idx"
same "index-pack's answer" "$REAL_DIR/threads.sum" "$REAL_DIR/one.sum"

prog 40 git grep --threads=8 -n 'a[0-9]b' >"$REAL_DIR/grep.threads" ||
    fail "grep: exit status $?"
git grep --threads=1 -n 'a[0-9]b' >"$REAL_DIR/grep.one"
same grep "$REAL_DIR/grep.threads" "$REAL_DIR/grep.one"

prog 40 git clone -q --no-local "$repo" "$REAL_DIR/clone" || fail "clone: exit status $?"
eq "head of the clone" "$(git -C "$REAL_DIR/clone" rev-parse HEAD)" "$head"
git -C "$REAL_DIR/clone" fsck --full >"$LOG/fsck" 2>&1 || fail "the clone is damaged"
prog 20 git -C "$REAL_DIR/clone" -c core.preloadIndex=true status --porcelain \
    >"$REAL_DIR/status" || fail "status: exit status $?"
empty status "$REAL_DIR/status"
empty stderr "$LOG/prog.err"
finish
