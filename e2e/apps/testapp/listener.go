package main

import (
	"cmp"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

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
		open.Store(r, nil)
	}
	return r, nil
}

// open holds the recorded connections that are not closed.
var open sync.Map

// settle notes what has come for the open connections and was not read yet, at
// the end of the process: the kernel may be ahead of the goroutines. A reader
// that does not come within a second is busy with something else.
func settle() {
	deadline := time.Now().Add(time.Second)
	for c := range open.Range {
		c := c.(*recorded)
		raw, err := c.Conn.(*net.TCPConn).SyscallConn()
		for again := err == nil; again && time.Now().Before(deadline); {
			again = false
			err := raw.Control(func(fd uintptr) {
				var p [1]byte
				n, _, err := syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
				again = n > 0 // its reader will come
				if n == 0 && err == nil {
					err = io.EOF
				}
				c.note(err)
			})
			again = again && err == nil
		}
		if c.ended() != "" {
			c.Close()
		}
	}
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

// ended is how the connection ended as far as is known, or "".
func (c *recorded) ended() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

func (c *recorded) Close() error {
	if c.entry != nil {
		open.Delete(c)
		c.entry.End(cmp.Or(c.ended(), connlog.EOF))
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
