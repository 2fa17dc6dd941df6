// Command shop is a web shop for the tests of the verdict: hundreds of routes
// of JSON, pages, texts and forms (apps/catalog), the same at each request, or
// with what makes answers of real servers differ though nothing is wrong.
//
//	shop -listen :80                              the same request, the same bytes
//	shop -listen :80 -noise                       new ids, times, tokens and orders in every answer
//	shop -listen :80 -noise -bug /shop/books/new  and a wrong price there: 12 becomes 12.5
//
// With -noise an answer has other UUIDs, timestamps (RFC 3339, Unix, HTTP) and
// tokens than the last, its header fields, JSON keys and lists in another
// order, and it comes in one piece or in chunks of any size, compressed or not
// where the client takes gzip. What it means is the same.
//
// The stages of an answer: main.go reads the request, goods.go finds what is
// said, noise.go what in it is chance, write.go puts it on the wire.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// shop is how this one serves.
type shop struct {
	noise      bool
	bug        string        // path of the list with the wrong price
	delay      time.Duration // before each answer
	secret     string        // given away in cookies, JSON and forms
	closeAfter int           // answers on a connection; 0: the client closes
	reset      bool          // close by a reset

	closed atomic.Int64 // connections, because of closeAfter
}

func main() {
	var s shop
	listen := flag.String("listen", ":80", "address to listen on")
	flag.BoolVar(&s.noise, "noise", false, "answer with new ids, times, tokens and orders")
	flag.StringVar(&s.bug, "bug", "", "path of a list to answer with a wrong price")
	flag.DurationVar(&s.delay, "delay", 0, "time before each answer")
	secret := flag.String("secret", "", "file with what cookies, JSON and forms give away")
	flag.IntVar(&s.closeAfter, "close-after", 0, "close each connection after so many answers")
	flag.BoolVar(&s.reset, "reset", false, "close by a reset")
	flag.Parse()
	s.secret = "none"
	if *secret != "" { // not on the command line, which reports name
		text, err := os.ReadFile(*secret)
		check(err)
		s.secret = strings.TrimSpace(string(text))
	}
	l, err := net.Listen("tcp", *listen)
	check(err)
	go func() {
		for {
			c, err := l.Accept()
			check(err)
			go s.serve(c.(*net.TCPConn))
		}
	}()
	fmt.Println("shop is open")
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// serve answers one connection's requests in their order, pipelined or not.
func (s *shop) serve(c *net.TCPConn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for n := 1; ; n++ {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return
		}
		if s.delay > 0 {
			time.Sleep(s.delay) // what -delay asks for
		}
		if err := s.answer(r, body).write(c, s.chance()); err != nil {
			return
		}
		if n == s.closeAfter {
			if s.reset {
				c.SetLinger(0)
			}
			c.Close()
			fmt.Printf("closed %d\n", s.closed.Add(1)) // scripts wait for it
			return
		}
		if r.Close {
			return
		}
	}
}
