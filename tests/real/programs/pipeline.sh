#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Pipelines of small tools.   LINES FOLDER
seq 1 "$1" | sort -rn | awk '{ print $1 * 3 }' | sed 's/7/x/g' | tr x y | gzip -c | gzip -dc |
    md5sum
find "$2" -type f | sort | xargs cat | wc -l
for i in 1 2 3 4 5 6 7 8; do (echo "$i"; exit "$i") || echo "status $?"; done
printf '%s\n' b a c a | sort | uniq -c | tr -s ' ' | cut -d' ' -f2- | paste -sd, -
{ sh -c 'kill -TERM $$'; echo "killed: $?"; } 2>/dev/null
yes word | head -n "$1" | tee /dev/null | wc -c
seq 1 40 | xargs -P 4 -n 5 sh -c 'sleep 0.01; echo $#' | sort | uniq -c | tr -d ' '
{ sleep 0.2 & wait $!; echo "waited: $?"; } | cat
expr 6 \* 7 && date -u -d @0 +%Y && basename "$(dirname "$2/name")" && env -i A=b env
mktemp -u /nowhere/XXXXXX | wc -c
