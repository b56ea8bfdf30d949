#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# ffmpeg: slice threads, frame threads and filter threads.  What is lossless must come out bit for
# bit; H.264, which is not bound to, must decode without an error to the same number of frames.
. "${0%/*}/lib.sh"
needs ffmpeg ffmpeg
: "${SECS:=3}"
quiet=(ffmpeg -nostdin -y -v error)
source=(-f lavfi -i "testsrc2=size=352x288:rate=25:duration=$SECS")
exact=(-flags +bitexact -fflags +bitexact)
sums() { "${quiet[@]}" -threads 1 -i "$1" -map 0:v -f framemd5 - 2>>"$LOG/plain"; }
frames() { grep -vc '^#' "$1"; }

if first reference; then
    "${quiet[@]}" -threads 1 "${source[@]}" -vf hue=s=0.5 -filter_threads 1 -pix_fmt yuv420p \
        -c:v ffv1 -level 3 -slices 12 "${exact[@]}" -threads 1 "$REAL_SHARE/lossless.mkv"
    "${quiet[@]}" "${source[@]}" -c:v libx264 -preset veryfast "${exact[@]}" -threads 1 \
        "$REAL_SHARE/h264.mkv"
    sums "$REAL_SHARE/lossless.mkv" >"$REAL_SHARE/lossless.sums"
    sums "$REAL_SHARE/h264.mkv" >"$REAL_SHARE/h264.sums"
fi
prog 60 "${quiet[@]}" "${source[@]}" -vf hue=s=0.5 -filter_threads 4 -pix_fmt yuv420p \
    -c:v ffv1 -level 3 -slices 12 "${exact[@]}" -threads 4 "$REAL_DIR/lossless.mkv" ||
    fail "lossless: exit status $?"
expect_goroutines 8
sums "$REAL_DIR/lossless.mkv" >"$REAL_DIR/lossless.sums"
same "lossless frames" "$REAL_DIR/lossless.sums" "$REAL_SHARE/lossless.sums"

prog 60 "${quiet[@]}" "${source[@]}" -c:v libx264 -preset veryfast -threads 6 \
    "$REAL_DIR/h264.mkv" || fail "h264: exit status $?"
sums "$REAL_DIR/h264.mkv" >"$REAL_DIR/h264.sums"
eq "h264 frames" "$(frames "$REAL_DIR/h264.sums")" "$(frames "$REAL_SHARE/h264.sums")"

prog 60 "${quiet[@]}" -threads 8 -i "$REAL_SHARE/h264.mkv" -map 0:v -f framemd5 - \
    >"$REAL_DIR/decoded.sums" || fail "decode: exit status $?"
same "decoded frames" "$REAL_DIR/decoded.sums" "$REAL_SHARE/h264.sums"
empty stderr "$LOG/prog.err"
empty "stderr of a plain ffmpeg" "$LOG/plain"
finish
