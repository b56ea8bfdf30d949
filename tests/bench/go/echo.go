// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func serve(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

// echoServer is examples/echo_server.c: a goroutine for each connection; SIGTERM ends it.
func echoServer() {
	var lim syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim) == nil {
		lim.Cur = lim.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim)
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		os.Exit(0)
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err == nil, "listen")
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		check(err == nil, "accept")
		go serve(conn)
	}
}
