# SPDX-License-Identifier: BSD-2-Clause
#
# Who may include what.  Reads lines of `grep -n '#include "'`: FILE:LINE:#include "PATH".
#
# The runtime: a file includes its own layer and those below it, by paths from the repository root;
# interpose leaves core/arch to what core makes of it.  The programs that stand for a user's
# (examples, most of tests) include nothing of ours but what lies beside them.

BEGIN {
    order = "core/base core/arch core/os core/kit core/mem core/sched interpose preload"
    layers = split(order, layer, " ")
    for (i = 1; i <= layers; i++)
        level[layer[i]] = i

    # Tests that are built from our own headers, and which.
    test_of["tests/unit"] = "core/"
    test_of["tests/abi"] = "interpose/symbols.def"

    # Upward all the same.  kit.h is also core's libc: gt_memcpy, gt_warn, gt_lock.
    except["core/arch/x86_64/sigframe.c core/kit/kit.h"]
    except["core/os/os.c core/kit/kit.h"]
    except["core/os/tcb.c core/kit/kit.h"]
    # defines gt_tls, which a thread block carries
    except["core/os/tcb.c core/sched/types.h"]
}

function folder(path,    parts)
{
    split(path, parts, "/")
    return parts[1] == "core" || parts[1] == "tests" ? parts[1] "/" parts[2] : parts[1]
}

function refuse(why)
{
    print where ": includes \"" path "\": " why
    bad = 1
}

function exists(path,    text)
{
    if ((getline text < path) < 0)
        return 0
    close(path)
    return 1
}

function check_runtime()
{
    if (!(to in level))
        refuse("paths are written from the repository root")
    else if (!exists(path))
        refuse("there is no such file")
    else if ((file " " path) in except)
        used[file " " path]
    else if (level[to] > level[from])
        refuse(from " is below " to)
    else if (from == "interpose" && to == "core/arch")
        refuse("interpose goes through core/sched")
}

function check_program()
{
    if (path ~ /^(core|interpose|preload)\// &&
        !((from in test_of) && index(path, test_of[from]) == 1))
        refuse("not for " from)
}

{
    file = where = $0
    sub(/:.*/, "", file)
    match($0, /:[0-9]+:/)
    where = substr($0, 1, RSTART + RLENGTH - 2)
    path = $0
    sub(/^[^"]*"/, "", path)
    sub(/".*/, "", path)
    from = folder(file)
    to = folder(path)
    if (from in level)
        check_runtime()
    else if (from ~ /^core/)
        refuse(from " is not a layer: add it to tools/lint/layers.awk")
    else
        check_program()
}

END {
    for (e in except)
        if (!(e in used)) {
            print "tools/lint/layers.awk: the exception \"" e "\" is not needed any more"
            bad = 1
        }
    exit bad
}
