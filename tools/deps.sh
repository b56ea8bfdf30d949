#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# deps.sh PACKAGE...: sees that Debian packages are there; installs what is missing when it may.
# Exit 0: all there, or no Debian here to ask.  1: some are missing and could not be installed; says which and how.
if ! command -v dpkg-query >/dev/null; then
    echo "not a Debian system; needed are what Debian calls: $*" >&2
    exit 0
fi
missing=
for p in "$@"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing:$missing" >&2
    # servers that a package brings are not started: the tests start their own
    policy=
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
    fi
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $missing >"$log" 2>&1 ||
        { apt-get update >"$log" 2>&1 && apt-get install -y --no-install-recommends $missing >>"$log" 2>&1; }
    rc=$?
    [ -z "$policy" ] || rm -f $policy
    [ $rc = 0 ] || tail -n 3 "$log" >&2
    rm -f "$log"
    [ $rc = 0 ] && exit 0
fi
echo "missing Debian packages:$missing" >&2
echo "install them with: sudo apt-get install --no-install-recommends$missing" >&2
exit 1
