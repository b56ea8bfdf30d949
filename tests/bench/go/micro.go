// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var stop int32

func stopped() bool { return atomic.LoadInt32(&stop) != 0 }

func createJoin(n int) {
	ops := 0
	done := make(chan int, n)
	begin := time.Now()
	for time.Since(begin) < duration {
		sum := 0
		for i := 0; i < n; i++ {
			go func(i int) { done <- i }(i)
		}
		for i := 0; i < n; i++ {
			sum += <-done
		}
		check(sum == n*(n-1)/2, "join")
		ops += n
	}
	printNs(time.Since(begin), ops)
}

// runWorkers lets n goroutines run loop, which returns its count, for the time given.
func runWorkers(n int, loop func() int) (sum int, elapsed time.Duration) {
	counts := make([]int, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := 0; i < n; i++ {
		all.Add(1)
		go func(i int) {
			<-start
			counts[i] = loop()
			all.Done()
		}(i)
	}
	begin := time.Now()
	close(start)
	time.Sleep(duration)
	atomic.StoreInt32(&stop, 1)
	elapsed = time.Since(begin)
	all.Wait()
	for _, c := range counts {
		sum += c
	}
	return sum, elapsed
}

func yield(n int) {
	ops, elapsed := runWorkers(n, func() (count int) {
		for !stopped() {
			runtime.Gosched()
			count++
		}
		return count
	})
	printNs(elapsed, ops)
}

// someWork does n stores and loads that the compiler keeps.
func someWork(n int) {
	for i := int32(0); i < int32(n); {
		i = keep(i) + 1
	}
}

//go:noinline
func keep(i int32) int32 { return i }

func mutex(n, work int) {
	var lock sync.Mutex
	guarded := 0
	ops, elapsed := runWorkers(n, func() (count int) {
		for !stopped() {
			lock.Lock()
			someWork(work)
			guarded++
			lock.Unlock()
			someWork(work)
			count++
		}
		return count
	})
	check(ops == guarded, "two goroutines were inside the mutex")
	printNs(elapsed, ops)
}

// pingPong runs both sides; ping returns its rounds, pong the number that it answered.
func pingPong(ping func(over func(int) bool) int, pong func() int) {
	answered := make(chan int)
	begin := time.Now()
	over := func(rounds int) bool { return rounds%16 == 0 && time.Since(begin) > duration }
	go func() { answered <- pong() }()
	rounds := make(chan int)
	go func() { rounds <- ping(over) }()
	n := <-rounds
	check(<-answered == n, "not every ping was answered")
	printNs(time.Since(begin), n)
}

func pingPongCond() {
	var lock sync.Mutex
	turned := sync.NewCond(&lock)
	turn := 'i'
	pass := func(me, next rune) {
		for turn != me && turn != 'q' {
			turned.Wait()
		}
		if turn != 'q' {
			turn = next
		}
		turned.Signal()
	}
	pingPong(func(over func(int) bool) (rounds int) {
		lock.Lock()
		defer lock.Unlock()
		for rounds == 0 || !over(rounds) {
			pass('i', 'o')
			rounds++
		}
		pass('i', 'q')
		return rounds
	}, func() (answered int) {
		lock.Lock()
		defer lock.Unlock()
		for turn != 'q' {
			pass('o', 'i')
			if turn == 'i' {
				answered++
			}
		}
		return answered
	})
}

// A semaphore is a channel with room: what a Go program would use.
func pingPongSem() {
	toPong, toPing := make(chan struct{}, 1), make(chan struct{}, 1)
	pingPong(func(over func(int) bool) (rounds int) {
		for rounds == 0 || !over(rounds) {
			toPong <- struct{}{}
			<-toPing
			rounds++
		}
		close(toPong)
		return rounds
	}, func() (answered int) {
		for range toPong {
			answered++
			toPing <- struct{}{}
		}
		return answered
	})
}

func pingPongPipe() {
	pongIn, pingOut, err1 := os.Pipe()
	pingIn, pongOut, err2 := os.Pipe()
	check(err1 == nil && err2 == nil, "pipe")
	pingPong(func(over func(int) bool) (rounds int) {
		b := make([]byte, 1)
		for rounds == 0 || !over(rounds) {
			sent := byte(rounds)
			b[0] = sent
			_, werr := pingOut.Write(b)
			_, rerr := pingIn.Read(b)
			check(werr == nil && rerr == nil && b[0] == sent, "the pipe's answer")
			rounds++
		}
		pingOut.Close()
		return rounds
	}, func() (answered int) {
		b := make([]byte, 1)
		for {
			if n, _ := pongIn.Read(b); n != 1 {
				return answered
			}
			_, err := pongOut.Write(b)
			check(err == nil, "write to a pipe")
			answered++
		}
	})
}

func cpu() time.Duration {
	var ru syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

func sleepers(n int) {
	var naps int64
	for i := 0; i < n; i++ {
		go func() {
			for !stopped() {
				time.Sleep(nap)
				atomic.AddInt64(&naps, 1)
			}
		}()
	}
	time.Sleep(2 * nap)
	before, begin, cpuBefore := atomic.LoadInt64(&naps), time.Now(), cpu()
	time.Sleep(duration)
	woken := float64(atomic.LoadInt64(&naps) - before)
	check(woken > 0, "nobody woke up")
	fmt.Printf("ops_s=%.0f cpu_ns_per_op=%.0f\n", woken/time.Since(begin).Seconds(),
		float64((cpu()-cpuBefore).Nanoseconds())/woken)
}

// memory reads the bytes behind a key of a file in /proc.
func memory(file, key string) float64 {
	text, err := os.ReadFile("/proc/" + file)
	check(err == nil, "cannot read /proc")
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb * 1024
		}
	}
	return 0
}

func rssParked(n int) {
	var lock sync.Mutex
	cond := sync.NewCond(&lock)
	parked, opened := 0, false
	var all sync.WaitGroup
	kernel := func() float64 { return memory("meminfo", "KernelStack:") + memory("meminfo", "SUnreclaim:") }
	rss, pte, own := memory("self/smaps_rollup", "Rss:"), memory("self/status", "VmPTE:"), kernel()
	for i := 0; i < n; i++ {
		all.Add(1)
		go func() {
			lock.Lock()
			parked++
			for !opened {
				cond.Wait()
			}
			lock.Unlock()
			all.Done()
		}()
	}
	for waiting := false; !waiting; {
		time.Sleep(time.Millisecond)
		lock.Lock()
		waiting = parked == n
		lock.Unlock()
	}
	rss, pte, own = memory("self/smaps_rollup", "Rss:")-rss, memory("self/status", "VmPTE:")-pte, kernel()-own
	lock.Lock()
	opened = true
	cond.Broadcast()
	lock.Unlock()
	all.Wait()
	fmt.Printf("rss_bytes=%.0f pte_bytes=%.0f all_bytes=%.0f\n", rss/float64(n), pte/float64(n), (rss+pte+own)/float64(n))
}
