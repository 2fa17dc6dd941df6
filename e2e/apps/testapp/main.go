// Command testapp is the server of the end-to-end tests: production and the
// application under test alike. Its flags decide how the one differs from the
// other: slower, with a bug, crashing.
//
//	testapp -listen :80 -record app.log               HTTP/1.1, deterministic
//	testapp -listen :80 -protocol frames              binary, the server speaks first
//	testapp -listen :80 -protocol digest              reads to the end, then answers
//	testapp -listen :80 -protocol sink                reads to the end, answers nothing
//	testapp -udp :53                                  datagrams; see serveDatagrams
//	testapp -listen :80 -protocol stream              as digest, of what load stream sends
//
// SIGTERM and SIGINT end it in order: it writes what is left of its record and
// exits with code 0.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"tcpsandbox/e2e/apps/connlog"
)

// behaviour is how this server serves.
type behaviour struct {
	delay      time.Duration // before each answer
	pause      time.Duration // between two datagrams of one answer
	plant      string        // path or frame that is answered wrongly
	flip       int64         // place of a byte that is wrong in what /bytes gives; negative: none
	crashAfter int64         // requests; 0: never
	crash      string        // "exit" or "kill"
	resetAfter int64         // bytes received on one connection; 0: never
	deafTo     string        // beginning of datagrams that are not answered
	chatty     bool          // sends a datagram more than it should
	call       string        // address to connect to before each answer, or URLs
	log        *connlog.Log  // nil: none
	messages   messages

	requests atomic.Int64
}

func main() {
	var (
		b           behaviour
		listen      = flag.String("listen", "", "addresses to listen on, separated by commas; none: never listen")
		datagrams   = flag.String("udp", "", "addresses to take datagrams on, separated by commas")
		protocol    = flag.String("protocol", "http", "http, frames, digest, sink or stream")
		record      = flag.String("record", "", "file for what was received, a line a connection")
		whole       = flag.String("messages", "", "file for what came whole, a line a request or frame")
		say         = flag.String("say", "", "lines to print first, separated by |")
		exitEarly   = flag.Int("exit-early", -1, "exit with this code instead of listening")
		ignoreTerm  = flag.Bool("ignore-term", false, "ignore SIGTERM")
		grandchild  = flag.Bool("grandchild", false, "leave a process in a session of its own behind")
		listenAfter = flag.String("listen-after", "", "listen once this file exists")
	)
	flag.DurationVar(&b.delay, "delay", 0, "time before each answer")
	flag.DurationVar(&b.pause, "pause", 0, "time between two datagrams of one answer")
	flag.StringVar(&b.plant, "plant", "", "HTTP path, or payload of a frame or datagram, to answer wrongly")
	flag.Int64Var(&b.flip, "flip", -1, "place of a byte to send wrongly in each answer of /bytes")
	flag.Int64Var(&b.crashAfter, "crash-after", 0, "crash instead of answering this request")
	flag.StringVar(&b.crash, "crash", "exit", "how: exit (with code 3) or kill (by a signal)")
	flag.Int64Var(&b.resetAfter, "reset-after", 0, "reset each connection after this many bytes")
	flag.StringVar(&b.deafTo, "deaf-to", "", "answer no datagram that begins with this")
	flag.BoolVar(&b.chatty, "chatty", false, "answer each datagram with one more than wanted")
	flag.StringVar(&b.call, "call", "", "connect to this address, and send a datagram there, before each answer; or get these URLs, separated by commas")
	flag.Parse()

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	if *ignoreTerm {
		signal.Reset(syscall.SIGTERM)
		signal.Ignore(syscall.SIGTERM)
	}
	for line := range strings.SplitSeq(*say, "|") {
		if line != "" {
			fmt.Fprintln(os.Stderr, line)
		}
	}
	if *exitEarly >= 0 {
		os.Exit(*exitEarly)
	}
	if *grandchild {
		check(leaveGrandchild())
	}
	var log *connlog.Log
	if *record != "" {
		var err error
		log, err = connlog.Create(*record)
		check(err)
		b.log = log
	}
	check(b.messages.open(*whole))
	for *listenAfter != "" {
		if _, err := os.Stat(*listenAfter); err == nil {
			break
		}
		select {
		case <-ended:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
	for addr := range strings.SplitSeq(*listen, ",") {
		if addr == "" {
			continue
		}
		l, err := net.Listen("tcp", addr)
		check(err)
		l = &listener{Listener: l, log: log, resetAfter: b.resetAfter}
		switch *protocol {
		case "http":
			go b.serveHTTP(l)
		case "frames":
			go serve(l, b.serveFrames)
		case "digest":
			go serve(l, b.serveDigest)
		case "stream":
			go serve(l, b.serveStream)
		case "sink":
			go serve(l, func(c *recorded) { io.Copy(io.Discard, c) })
		default:
			check(fmt.Errorf("protocol %q: not one of http, frames, digest, sink, stream", *protocol))
		}
	}
	for addr := range strings.SplitSeq(*datagrams, ",") {
		if addr != "" {
			go b.serveDatagrams(addr)
		}
	}
	fmt.Println("testapp is ready")
	<-ended
	sayReceived()
	if log != nil {
		settle()
		check(log.Close())
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "testapp:", err)
		os.Exit(1)
	}
}

// leaveGrandchild starts a process that outlives this one, in a session of its
// own.
func leaveGrandchild() error {
	c := exec.Command("/proc/self/exe", "-ignore-term", "-say", "grandchild runs")
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c.Start()
}

// callOut does what an application does that has a database elsewhere.
func (b *behaviour) callOut() {
	if b.call == "" {
		return
	}
	if strings.HasPrefix(b.call, "http") {
		for url := range strings.SplitSeq(b.call, ",") {
			fetch(url)
		}
		return
	}
	if c, err := net.Dial("udp", b.call); err == nil {
		fmt.Fprint(c, "is anybody there?")
		c.Close()
	}
	if c, err := net.DialTimeout("tcp", b.call, 50*time.Millisecond); err == nil {
		fmt.Fprintln(os.Stderr, "testapp: somebody answers at", b.call)
		c.Close()
	}
}

// fetch does what an application does that asks another for something.
func fetch(url string) {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testapp: no answer:", err)
		return
	}
	answer.Body.Close()
	fmt.Fprintf(os.Stderr, "testapp: answer from %s: %d\n", url, answer.StatusCode)
}

// count notes a request, and crashes where it is the one to crash on.
func (b *behaviour) count() {
	b.callOut()
	if n := b.requests.Add(1); n != b.crashAfter {
		return
	}
	fmt.Fprintln(os.Stderr, "testapp: assertion failed: the table is not empty")
	fmt.Fprintln(os.Stderr, "testapp: crashing now")
	if b.log != nil {
		b.log.Close() // what was received until now
	}
	if b.crash == "kill" {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	os.Exit(3)
}
