package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"tcpsandbox/e2e/apps/connlog"
)

// listener records what its connections receive.
type listener struct {
	net.Listener
	log        *connlog.Log // may be nil
	resetAfter int64
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := &recorded{Conn: c, left: l.resetAfter}
	if l.log != nil {
		r.entry = l.log.Connection(c.RemoteAddr(), c.LocalAddr())
	}
	return r, nil
}

// recorded is a connection that notes what is read from it, and resets itself
// after so many bytes. It hides *net.TCPConn's short cuts (WriteTo, ReadFrom),
// which would go past the record.
type recorded struct {
	net.Conn
	entry *connlog.Connection // may be nil

	mu   sync.Mutex
	left int64 // until the reset; 0: never
	end  string
}

func (c *recorded) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.entry != nil {
		c.entry.Write(p[:n])
	}
	c.note(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left > 0 {
		if c.left -= int64(n); c.left <= 0 {
			c.end = connlog.Reset
			c.Conn.(*net.TCPConn).SetLinger(0)
			c.Conn.Close()
			return 0, net.ErrClosed
		}
	}
	return n, err
}

func (c *recorded) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.note(err)
	return n, err
}

// note keeps how the connection ended. The kernel tells of a reset only once,
// to whoever comes first; a time-out is no end, net/http wakes itself with one.
func (c *recorded) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.end == connlog.Reset:
	case err == io.EOF:
		c.end = connlog.EOF
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		c.end = connlog.Reset
	}
}

func (c *recorded) Close() error {
	if c.entry != nil {
		c.mu.Lock()
		end := c.end
		c.mu.Unlock()
		if end == "" {
			end = connlog.EOF
		}
		c.entry.End(end)
	}
	return c.Conn.Close()
}

// serve hands each connection to a goroutine of its own.
func serve(l net.Listener, each func(*recorded)) {
	for {
		c, err := l.Accept()
		check(err)
		go func() {
			defer c.Close()
			each(c.(*recorded))
		}()
	}
}
