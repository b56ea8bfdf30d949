// SPDX-License-Identifier: BSD-2-Clause
// Go's own runtime, with cgo: loops without calls that its collector has to stop, calls into C that
// sleep and make threads, a fault, a signal, a child.
package main

/*
#include <pthread.h>
#include <unistd.h>
static void *run(void *arg) { usleep(1000); return arg; }
static long work(long x)
{
	pthread_t t;
	void *r;
	if (pthread_create(&t, NULL, run, (void *)x))
		return -1;
	pthread_join(t, &r);
	return (long)r;
}
*/
import "C"

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	var stop int32
	for i := 0; i < 4; i++ {
		go func() {
			for x := 0; ; x++ {
				if x&0xfffff == 0 && atomic.LoadInt32(&stop) != 0 {
					return
				}
			}
		}()
	}
	time.Sleep(20 * time.Millisecond)
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	atomic.StoreInt32(&stop, 1)
	var wg sync.WaitGroup
	for i := 0; i < 64; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			if int(C.work(C.long(i))) != i {
				panic(i)
			}
		}(i)
	}
	wg.Wait()
	func() {
		defer func() {
			if recover() == nil {
				panic("no fault")
			}
		}()
		var p *int
		*p = 1
	}()
	if out, err := exec.Command("echo", "hi").Output(); err != nil || string(out) != "hi\n" {
		panic(err)
	}
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	<-got
	fmt.Println("all right")
}
