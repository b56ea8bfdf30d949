# SPDX-License-Identifier: BSD-2-Clause
# Perl's threads: an interpreter cloned for each, shared variables under recursive locks and
# conditions, queues, detached threads, children from threads.
use strict;
use warnings;
use threads;
use threads::shared;
use Thread::Queue;

my $n : shared = 0;
my @all = map { my $i = $_; threads->create(sub { for (1 .. 200) { lock($n); $n++; } $i * 2 }) } 1 .. 40;
my $sum = 0;
$sum += $_->join for @all;
die "n=$n sum=$sum" unless $n == 8000 && $sum == 1640;

my ($jobs, $results) = (Thread::Queue->new, Thread::Queue->new);
my @workers = map { threads->create(sub {
    while (defined(my $x = $jobs->dequeue)) { $results->enqueue($x * $x); }
}) } 1 .. 8;
$jobs->enqueue($_) for 1 .. 500;
$jobs->end;
$_->join for @workers;
$sum = 0;
$sum += $results->dequeue for 1 .. 500;
die "squares: $sum" unless $sum == 41791750;

my $turn : shared = 0;
my @turns = map { my $me = $_; threads->create(sub {
    for my $round (0 .. 49) {
        lock($turn);
        cond_wait($turn) until $turn == $round * 4 + $me;
        $turn++;
        cond_broadcast($turn);
    }
}) } 0 .. 3;
$_->join for @turns;
die "turns: $turn" unless $turn == 200;

my $out : shared = 0;
threads->create(sub { my $o = `echo $_[0]`; lock($out); $out += $o; cond_signal($out); }, $_)->detach
    for 1 .. 10;
{ lock($out); cond_wait($out) until $out == 55; }
my $pid = fork;
if (!$pid) { exit(threads->create(sub { 7 })->join); }
waitpid $pid, 0;
die "child: $?" unless $? == 7 << 8;
print "all right\n";
