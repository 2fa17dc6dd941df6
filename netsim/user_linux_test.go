package netsim

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tcpsandbox/netsim/netsimtest"
)

// wired returns a running Net on an in-memory wire.
func wired(t testing.TB, offload, refuse bool) (*Net, *netsimtest.Wire) {
	t.Helper()
	wire := netsimtest.NewWire(t, offload)
	n, err := New(Config{TUN: wire.TUN, MTU: 1500, Offload: offload, Refuse: refuse})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(context.Background()) }()
	t.Cleanup(func() {
		n.Close()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return n, wire
}

// user is a Conn and whoever waits for its news.
type user struct {
	*Conn
	t    testing.TB
	news chan struct{}
	got  strings.Builder
}

func dial(t testing.TB, n *Net, client, server netip.AddrPort) *user {
	t.Helper()
	u, err := tryDial(t, n, client, server)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func tryDial(t testing.TB, n *Net, client, server netip.AddrPort) (*user, error) {
	u := &user{t: t, news: make(chan struct{}, 1)}
	var err error
	u.Conn, err = n.Dial(client, server, func() {
		select {
		case u.news <- struct{}{}:
		default:
		}
	})
	return u, err
}

// until waits for news until a condition holds.
func (u *user) until(what string, holds func() bool) {
	u.t.Helper()
	late := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-u.news:
		case <-late:
			u.t.Fatalf("wake was not called when: %s", what)
		}
	}
}

func (u *user) established() {
	u.t.Helper()
	u.until("established", func() bool {
		ok, err := u.Established()
		if err != nil {
			u.t.Fatal(err)
		}
		return ok
	})
}

// read waits until all of want has arrived.
func (u *user) read(want string) {
	u.t.Helper()
	u.until("data "+want, func() bool {
		if _, err := u.Read(func(p []byte) { u.got.Write(p) }); err != nil {
			u.t.Fatal(err)
		}
		return u.got.Len() >= len(want)
	})
	if u.got.String() != want {
		u.t.Errorf("read %.60q, want %.60q", u.got.String(), want)
	}
	u.got.Reset()
}

// end waits for the error that ends reading.
func (u *user) end() (err error) {
	u.t.Helper()
	u.until("end", func() bool {
		_, err = u.Read(func(p []byte) { u.got.Write(p) })
		return err != nil
	})
	return err
}

func (u *user) write(s string) {
	u.t.Helper()
	rest := []byte(s)
	u.until("room to write", func() bool {
		n, err := u.Write(rest)
		if err != nil {
			u.t.Fatal(err)
		}
		rest = rest[n:]
		return len(rest) == 0
	})
}

// caller is a Socket and whoever waits for its news.
type caller struct {
	*Socket
	t    testing.TB
	news chan struct{}
	got  []string
}

func dialUDP(t testing.TB, n *Net, client, server netip.AddrPort) *caller {
	t.Helper()
	c := &caller{t: t, news: make(chan struct{}, 1)}
	var err error
	c.Socket, err = n.DialUDP(client, server, func() {
		select {
		case c.news <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *caller) send(s string) {
	c.t.Helper()
	if err := c.Send([]byte(s)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *caller) until(what string, holds func() bool) {
	c.t.Helper()
	late := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-c.news:
		case <-late:
			c.t.Fatalf("wake was not called when: %s", what)
		}
	}
}

// receive waits for as many datagrams and compares them.
func (c *caller) receive(want ...string) {
	c.t.Helper()
	c.until("datagrams", func() bool {
		c.Receive(func(p []byte) { c.got = append(c.got, string(p)) })
		return len(c.got) >= len(want)
	})
	if !slices.Equal(c.got, want) {
		c.t.Errorf("received %.80q, want %.80q", c.got, want)
	}
	c.got = nil
}
