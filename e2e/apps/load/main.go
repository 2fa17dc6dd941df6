// Command load is the client of the end-to-end tests: connections of one kind
// to one server, with every answer checked and every byte sent on record.
//
//	load -to 10.77.0.1:80 -connections 4 -requests 50 -record client.log http
//
// The kinds:
//
//	http      keep-alive; GET, POST with a length, POST in chunks, in turn
//	short     a connection for each request
//	upload    keep-alive; bodies of -size bytes
//	halves    as upload; waits for the script in the middle of the first body
//	download  keep-alive; answers of -size bytes
//	halfclose sends -size bytes, closes its half, reads the answer
//	reset     one answered request, then an RST
//	abort     resets in the middle of an answer of -size bytes
//	frames    the binary protocol, in which the server speaks first
//	redis     commands to keys of its own, without expiry and chance
//	udp       datagrams with one answer, with two and with none, in turn
//	udpbig    datagrams of -size bytes, echoed, and empty ones
//	bulk      as upload, of bytes that are cheap to check
//	shop      keep-alive; every page of the shop in turn
//	churn     all sorts of sessions, for as long as -lasting says
//	stream    writes -requests times -size of those, closes its half, reads the answer
//
// It exits with 1 where an answer was not what it should be.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tcpsandbox/e2e/apps/connlog"
)

// work is what the flags ask for.
type work struct {
	kind        string
	to          string
	from        []string
	connections int // at once
	requests    int // for each of the connections
	size        int
	pipeline    int           // requests sent before the first answer is read
	pause       time.Duration // after each answer
	path        string        // asked for by http and short in place of their own
	firstPart   int           // requests of each connection before ready is made
	ready       string        // file that tells that all have come so far
	resume      string        // file that lets them go on
	rate        float64       // requests a second, of all together; 0: as fast as answers come
	throttle    float64       // bytes a second that each connection reads of a download; 0: all
	secret      string        // in the shop's requests; none if empty
	toEnd       bool          // the shop closes first
	lasting     time.Duration // of churn

	sent, dialed atomic.Int64

	begun   time.Time
	log     *connlog.Log // may be nil
	content bool
	gate    sync.WaitGroup
}

func main() {
	var w work
	from := flag.String("from", "", "local addresses, with a port or without, separated by commas, taken in turn")
	record := flag.String("record", "", "file for what was sent, a line a connection")
	flag.StringVar(&w.to, "to", "", "address and port of the server")
	flag.IntVar(&w.connections, "connections", 1, "connections at once")
	flag.IntVar(&w.requests, "requests", 1, "requests for each of them")
	flag.IntVar(&w.size, "size", 1<<20, "size of an upload or download, in bytes")
	flag.IntVar(&w.pipeline, "pipeline", 1, "requests to send before reading an answer")
	flag.DurationVar(&w.pause, "pause", 0, "time to wait after each answer")
	flag.StringVar(&w.path, "path", "", "what to GET, instead of the usual mixture")
	flag.IntVar(&w.firstPart, "first-part", 1, "requests before -ready")
	flag.StringVar(&w.ready, "ready", "", "file to make when each connection has had its first part")
	flag.StringVar(&w.resume, "resume", "", "file to wait for after that")
	flag.BoolVar(&w.content, "content", false, "record what was sent, not only its digest")
	flag.Float64Var(&w.rate, "rate", 0, "requests a second of http, short, shop, bulk and stream, all connections together (default: as answers come)")
	flag.Float64Var(&w.throttle, "throttle", 0, "bytes a second that each connection of download reads (default: as they come)")
	flag.StringVar(&w.secret, "secret", "", "what the shop's clients send in Authorization and Cookie")
	flag.BoolVar(&w.toEnd, "to-end", false, "the shop closes behind the last answer: wait for it")
	flag.DurationVar(&w.lasting, "lasting", 0, "time for churn")
	flag.Parse()
	w.kind = flag.Arg(0)
	if *from != "" {
		w.from = strings.Split(*from, ",")
	}
	if err := w.run(*record); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func (w *work) run(record string) error {
	play := map[string]func(*client) error{
		"http": w.http, "short": w.short, "upload": w.upload, "halves": w.halves, "download": w.download,
		"halfclose": w.halfClose, "reset": w.reset, "abort": w.abort, "frames": w.frames, "redis": w.redis,
		"udp": w.udp, "udpbig": w.udpBig,
		"bulk": w.bulk, "stream": w.stream, "shop": w.shop, "churn": w.churn,
	}[w.kind]
	if play == nil {
		return fmt.Errorf("no such kind: %q", w.kind)
	}
	if record != "" {
		var err error
		if w.log, err = connlog.Create(record); err != nil {
			return err
		}
		w.log.Content = w.content
	}
	w.gate.Add(w.connections)
	if w.ready != "" {
		go func() {
			w.gate.Wait()
			os.WriteFile(w.ready, nil, 0o644)
		}()
	}
	w.begun = time.Now()
	errs := make([]error, w.connections)
	var all sync.WaitGroup
	for i := range w.connections {
		all.Go(func() {
			c := &client{work: w, number: i}
			errs[i] = play(c)
			c.passGate()
			if err := c.close(); errs[i] == nil {
				errs[i] = err
			}
		})
	}
	all.Wait()
	if w.kind == "churn" {
		fmt.Printf("%d connections, %d bytes\n", w.dialed.Load(), w.sent.Load())
	}
	if w.log != nil {
		errs = append(errs, w.log.Close())
	}
	return errors.Join(errs...)
}

// client is one of the connections, or for short ones the line of them.
type client struct {
	*work
	number int
	asked  int // requests so far

	conn   *net.TCPConn
	in     *bufio.Reader
	entry  *connlog.Connection
	passed bool
}

// localAddr returns where the client is to connect from; nil: anywhere.
func (c *client) localAddr(network string) (net.Addr, error) {
	if len(c.from) == 0 {
		return nil, nil
	}
	from := c.from[c.number%len(c.from)]
	host, port, err := net.SplitHostPort(from)
	if err != nil {
		host, port = from, "0"
	}
	if network == "udp" {
		return net.ResolveUDPAddr(network, net.JoinHostPort(host, port))
	}
	return net.ResolveTCPAddr(network, net.JoinHostPort(host, port))
}

func (c *client) dial() error {
	local, err := c.localAddr("tcp")
	if err != nil {
		return err
	}
	d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: local}
	conn, err := d.DialContext(context.Background(), "tcp", c.to)
	if err != nil {
		return err
	}
	c.dialed.Add(1)
	c.conn, c.in = conn.(*net.TCPConn), bufio.NewReader(conn)
	if c.log != nil {
		c.entry = c.log.Connection(conn.LocalAddr(), conn.RemoteAddr())
	}
	return conn.SetDeadline(time.Now().Add(2 * time.Minute))
}

func (c *client) send(p []byte) error {
	n, err := c.conn.Write(p)
	c.sent.Add(int64(n))
	if c.entry != nil {
		c.entry.Write(p[:n])
	}
	return err
}

// answered is called after each answer: the place to pause, and to wait for
// the script.
func (c *client) answered() error {
	if c.pause > 0 {
		time.Sleep(c.pause)
	}
	if c.asked < c.firstPart || c.passed {
		return nil
	}
	c.passGate()
	for c.resume != "" {
		if _, err := os.Stat(c.resume); err == nil {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

func (c *client) passGate() {
	if !c.passed {
		c.passed = true
		c.gate.Done()
	}
}

func (c *client) close() error {
	return c.end(connlog.EOF)
}

func (c *client) rst() error {
	if err := c.conn.SetLinger(0); err != nil {
		return err
	}
	return c.end(connlog.Reset)
}

func (c *client) end(how string) error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	if c.entry != nil {
		err = errors.Join(err, c.entry.End(how))
	}
	c.conn = nil
	return err
}
