# SPDX-License-Identifier: BSD-2-Clause
# Tcl's threads: shared variables, a pool, messages both ways, a socket server beside them.
package require Thread

proc check {ok what} {
    if {!$ok} {
        puts stderr "not so: $what"
        exit 1
    }
}

set all {}
for {set i 0} {$i < 30} {incr i} {
    lappend all [thread::create -joinable "after 20; tsv::incr s n $i
        for {set k 0} {\$k < 2000} {incr k} {tsv::incr s steps}"]
}
foreach t $all {thread::join $t}
check [expr {[tsv::get s n] == 435 && [tsv::get s steps] == 60000}] "shared variables"

set pool [tpool::create -minworkers 4 -maxworkers 8]
set sum 0
set jobs {}
for {set i 0} {$i < 100} {incr i} {lappend jobs [tpool::post $pool "expr {$i * $i}"]}
foreach j $jobs {
    tpool::wait $pool $j
    incr sum [tpool::get $pool $j]
}
check [expr {$sum == 328350}] "pool"

set t [thread::create]
check [expr {[thread::send $t {expr 6 * 7}] == 42}] "message"
thread::send -async $t {after 50; set r 5} ::later
vwait ::later
check [expr {$::later == 5}] "asynchronous message"

proc answer {c} {
    if {[gets $c line] >= 0} {puts $c [string toupper $line]} elseif {[eof $c]} {close $c}
}
proc connected {c address port} {
    fconfigure $c -buffering line -blocking 0
    fileevent $c readable [list answer $c]
}
set server [socket -server connected -myaddr 127.0.0.1 0]
set port [lindex [fconfigure $server -sockname] 2]
thread::send -async $t [list set port $port]
thread::send -async $t {
    set s [socket 127.0.0.1 $port]
    fconfigure $s -buffering line
    puts $s hello
    gets $s
} ::answered
vwait ::answered
check [expr {$::answered eq "HELLO"}] "socket"
thread::release $t
puts [exec echo all right]
