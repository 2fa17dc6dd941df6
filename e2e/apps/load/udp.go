package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"time"

	"tcpsandbox/e2e/apps/connlog"
)

// udp asks from one socket: for a digest, for the same with no text, twice in
// one, and for nothing, in turn. The first number in a datagram is the
// client's, the second the datagram's.
func (w *work) udp(c *client) error {
	conn, entry, err := c.dialUDP()
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := range w.requests {
		var p []byte
		switch i % 4 {
		case 0:
			p = fmt.Appendf(nil, "what of %d-%d", c.number, i)
		case 1:
			p = content(i, c.number, i) // of one byte and more
		case 2:
			p = fmt.Appendf(nil, "twice %d-%d", c.number, i)
		case 3:
			p = fmt.Appendf(nil, "quiet %d-%d", c.number, i)
		}
		digest := fmt.Sprintf("%d %x", len(p), sha256.Sum256(p))
		want := [][]string{{digest}, {digest}, {"first " + digest, "second " + digest}, nil}[i%4]
		if err := c.ask(conn, entry, p, want...); err != nil {
			return err
		}
	}
	if entry != nil {
		return entry.End(connlog.UDP)
	}
	return nil
}

// udpBig sends datagrams of -size bytes and gets them back, and an empty one
// after each.
func (w *work) udpBig(c *client) error {
	conn, entry, err := c.dialUDP()
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := range w.requests {
		p := append([]byte("echo "), content(w.size-5, c.number, i)...)
		if err := c.ask(conn, entry, p, string(p)); err != nil {
			return err
		}
		if err := c.ask(conn, entry, nil, fmt.Sprintf("0 %x", sha256.Sum256(nil))); err != nil {
			return err
		}
	}
	if entry != nil {
		return entry.End(connlog.UDP)
	}
	return nil
}

func (c *client) dialUDP() (net.Conn, *connlog.Connection, error) {
	local, err := c.localAddr("udp")
	if err != nil {
		return nil, nil, err
	}
	d := net.Dialer{LocalAddr: local}
	conn, err := d.DialContext(context.Background(), "udp", c.to)
	if err != nil {
		return nil, nil, err
	}
	var entry *connlog.Connection
	if c.log != nil {
		entry = c.log.Connection(conn.LocalAddr(), conn.RemoteAddr())
	}
	return conn, entry, conn.SetDeadline(time.Now().Add(2 * time.Minute))
}

// ask sends a datagram and reads the answers to it.
func (c *client) ask(conn net.Conn, entry *connlog.Connection, p []byte, want ...string) error {
	if _, err := conn.Write(p); err != nil {
		return fmt.Errorf("socket %d: %w", c.number, err)
	}
	if entry != nil {
		entry.Datagram(p)
	}
	buf := make([]byte, 1<<16)
	for _, w := range want {
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("socket %d: read answer: %w", c.number, err)
		}
		if err := exactly(w)(buf[:n]); err != nil {
			return fmt.Errorf("socket %d: %w", c.number, err)
		}
	}
	c.asked++
	return c.answered()
}
