package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Ports of the server.
const (
	portHTTP   = 80 // a small answer to each request
	portSink   = 81 // reads until FIN, then says how many bytes that were
	portSource = 82 // reads a line, a duration, and sends for that long
)

// answerBody is what each HTTP request gets.
var answerBody = strings.Repeat("x", 512)

// bulk is the size of the pieces in which streams are written and read, at
// both ends.
const bulk = 256 << 10

// serve is the application: it serves until it is killed or, where it has a
// standard input to watch, until that ends.
func serve(watchStdin bool) error {
	failed := make(chan error, 4)
	listen := func(port int) (net.Listener, error) {
		return net.Listen("tcp", ":"+strconv.Itoa(port))
	}
	l, err := listen(portHTTP)
	if err != nil {
		return err
	}
	go func() { failed <- http.Serve(l, http.HandlerFunc(answer)) }()
	for port, handle := range map[int]func(net.Conn){portSink: sink, portSource: source} {
		l, err := listen(port)
		if err != nil {
			return err
		}
		go func() { failed <- accept(l, handle) }()
	}
	fmt.Println("ready")
	if watchStdin {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			failed <- nil
		}()
	}
	return <-failed
}

// spin is an application that nobody asks, and that never sleeps.
func spin() error {
	for range runtime.NumCPU() {
		go func() {
			for turn := 0; ; turn++ {
				runtime.KeepAlive(turn)
			}
		}()
	}
	return serve(false)
}

func answer(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Date"] = nil // so that each answer is production's, byte for byte
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(len(answerBody)))
	io.WriteString(w, answerBody)
}

func accept(l net.Listener, handle func(net.Conn)) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			handle(c)
			c.Close()
		}()
	}
}

func sink(c net.Conn) {
	buf := make([]byte, bulk)
	total := 0
	for {
		n, err := c.Read(buf)
		total += n
		if err != nil {
			break
		}
	}
	fmt.Fprintln(c, total)
}

func source(c net.Conn) {
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return
	}
	d, err := time.ParseDuration(strings.TrimSpace(line))
	if err != nil {
		return
	}
	buf := make([]byte, bulk)
	for end := time.Now().Add(d); time.Now().Before(end); {
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}
