package main

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"tcpsandbox/netsim"
)

// The client on netsim, one long connection.

// stream is a connection that waits for its own news.
type stream struct {
	*netsim.Conn
	news chan struct{}
}

func openStream(n *netsim.Net, from *clients, port uint16) (*stream, error) {
	s := &stream{news: make(chan struct{}, 1)}
	conn, err := n.Dial(from.take(), netip.AddrPortFrom(server4, port), func() {
		select {
		case s.news <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	s.Conn = conn
	for {
		ok, err := conn.Established()
		if ok || err != nil {
			return s, err
		}
		if err := s.wait(); err != nil {
			return nil, err
		}
	}
}

func (s *stream) wait() error {
	select {
	case <-s.news:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("the stream had no news for 10 s")
	}
}

// readAll reads to the end, into fn.
func (s *stream) readAll(fn func([]byte)) error {
	for {
		n, err := s.Read(fn)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if err := s.wait(); err != nil {
			return err
		}
	}
}

// streamUp sends for a while and returns the rate in bytes per second.
func streamUp(n *netsim.Net, from *clients, d time.Duration) (float64, error) {
	s, err := openStream(n, from, portSink)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	buf := make([]byte, bulk)
	begun := time.Now()
	for end := begun.Add(d); time.Now().Before(end); {
		for rest := buf; len(rest) > 0; {
			n, err := s.Write(rest)
			if err != nil {
				return 0, err
			}
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
			if err := s.wait(); err != nil {
				return 0, err
			}
		}
	}
	if err := s.CloseWrite(); err != nil {
		return 0, err
	}
	var said []byte
	if err := s.readAll(func(p []byte) { said = append(said, p...) }); err != nil {
		return 0, err
	}
	return received(string(said), time.Since(begun))
}

// streamDown receives for a while and returns the rate in bytes per second.
func streamDown(n *netsim.Net, from *clients, d time.Duration) (float64, error) {
	s, err := openStream(n, from, portSource)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	begun := time.Now()
	if _, err := s.Write([]byte(d.String() + "\n")); err != nil {
		return 0, err
	}
	total := 0
	if err := s.readAll(func(p []byte) { total += len(p) }); err != nil {
		return 0, err
	}
	return float64(total) / time.Since(begun).Seconds(), nil
}
