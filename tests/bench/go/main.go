// SPDX-License-Identifier: BSD-2-Clause

// The benchmarks of tests/bench/bench.c in Go, for comparison: same names, same work, same output.
//
//	gobench NAME [SECS]
//	gobench echo_server
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	many  = 10000
	batch = 1000
	nap   = 100 * time.Millisecond
)

var duration = time.Second

func check(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "gobench: wrong:", what)
		os.Exit(1)
	}
}

func printNs(elapsed time.Duration, ops int) {
	check(ops > 0, "nothing was done")
	fmt.Printf("ns_per_op=%.1f ops=%d\n", float64(elapsed.Nanoseconds())/float64(ops), ops)
}

var benchmarks = map[string]func(){
	"create_batch":  func() { createJoin(batch) },
	"create_one":    func() { createJoin(1) },
	"yield_2":       func() { yield(2) },
	"yield_64":      func() { yield(64) },
	"pingpong_cond": pingPongCond,
	"pingpong_sem":  pingPongSem,
	"pingpong_pipe": pingPongPipe,
	"mutex_1":       func() { mutex(1, 0) },
	"mutex_2":       func() { mutex(2, 10) },
	"mutex_64":      func() { mutex(64, 10) },
	"mutex_1000":    func() { mutex(1000, 10) },
	"sleepers":      func() { sleepers(many) },
	"rss_parked":    func() { rssParked(many) },
	"echo_server":   echoServer,
}

func main() {
	if len(os.Args) > 2 {
		secs, err := strconv.ParseFloat(os.Args[2], 64)
		check(err == nil && secs > 0, "SECS")
		duration = time.Duration(secs * float64(time.Second))
	}
	if len(os.Args) > 1 {
		if run, ok := benchmarks[os.Args[1]]; ok {
			run()
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: gobench NAME [SECS]")
	os.Exit(2)
}
