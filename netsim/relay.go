package netsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A relay copies between the application's connection and the destination's.
// Each direction has one buffer, and reads on when that is written: who reads
// slowly slows the other side down, as if there were one connection. An end of
// one direction ends the same direction of the other, and a reset resets.

// relayBuffer is what is copied at once; larger ones did not copy faster.
const relayBuffer = 32 << 10

// relay returns when both directions have ended, or the way was shut. It closes
// both connections.
func (w *way) relay(near, far net.Conn) {
	stop := context.AfterFunc(w.ctx, func() {
		abort(near)
		abort(far)
	})
	defer stop()
	first := overheard{way: w}
	var both sync.WaitGroup
	both.Go(func() { pass(far, near, first.hear) })
	both.Go(func() { pass(near, far, nil) })
	both.Wait()
	near.Close()
	far.Close()
}

// overheard is the beginning of what the application says to a destination.
type overheard struct {
	way    *way
	p      []byte
	enough bool
}

// hear takes in what comes next, until it is known what is spoken. The first
// connection that names a host tells for all.
func (o *overheard) hear(p []byte) {
	known := o.way.guess.Load()
	if o.enough || known != nil && known.host != "" {
		return
	}
	o.p = append(o.p, p[:min(len(p), guessBytes-len(o.p))]...)
	said, more := guessOf(o.p)
	if said.proto != "" && (known == nil || said.host != "") {
		o.way.guess.CompareAndSwap(known, &said)
	}
	if o.enough = !more || len(o.p) == guessBytes; o.enough {
		o.p = nil
	}
}

// pass copies one direction, and its end.
func pass(to, from net.Conn, watch func([]byte)) {
	buf := make([]byte, relayBuffer)
	for {
		n, err := from.Read(buf)
		if n > 0 && watch != nil {
			watch(buf[:n])
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				abort(to)
				abort(from)
				return
			}
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			if half, ok := to.(interface{ CloseWrite() error }); !ok || half.CloseWrite() == nil {
				return
			}
		}
		abort(to)
		abort(from)
		return
	}
}

// abort ends a connection with RST where that is possible. It ends whatever
// waits for it.
func abort(c net.Conn) {
	switch c := c.(type) {
	case interface{ reset() }:
		c.reset()
	case interface{ SetLinger(int) error }:
		c.SetLinger(0)
	}
	c.Close()
}

// Serve takes the connections of a listener to the first of some addresses that
// can be dialed, until Close, or until the listener is closed, which it does in
// any case. It returns at once. It is for where packets do not pass the device:
// the application's loopback addresses. name is the host's, or "".
func (n *Net) Serve(l net.Listener, to []netip.AddrPort, name string) error {
	g := n.gate
	if g == nil || g.dial == nil {
		l.Close()
		return fmt.Errorf("serve %v: %w", l.Addr(), ErrClosed)
	}
	var ways []*way
	for _, a := range to {
		ways = append(ways, g.newWay(Way{To: a, Name: name}, true))
	}
	return g.accepting(l, func(near net.Conn) { g.served(near, ways) })
}

// accepting hands a listener's connections to serve, each on a goroutine of its
// own, until the gate is closed.
func (g *gate) accepting(l net.Listener, serve func(net.Conn)) error {
	if !g.begin() {
		l.Close()
		return fmt.Errorf("serve %v: %w", l.Addr(), ErrClosed)
	}
	stop := context.AfterFunc(g.ctx, func() { l.Close() })
	go func() {
		defer g.end()
		defer stop()
		defer l.Close()
		for {
			near, err := l.Accept()
			if err != nil && errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // the process has no more descriptors
				select {
				case <-time.After(50 * time.Millisecond):
				case <-g.ctx.Done():
				}
				continue
			}
			full := g.relays.Add(1) > g.maxRelays
			if full || !g.begin() {
				g.relays.Add(-1)
				abort(near)
				continue
			}
			go func() {
				defer g.end()
				defer g.relays.Add(-1)
				serve(near)
			}()
		}
	}()
	return nil
}

func (g *gate) served(near net.Conn, ways []*way) {
	for _, w := range ways {
		if w.ctx.Err() != nil {
			continue
		}
		if far, err := g.reach(w); err == nil {
			c := &tallied{Conn: near, way: w}
			w.conns.Lock()
			w.served[c] = true
			w.conns.Unlock()
			w.relay(c, far)
			return
		}
	}
	abort(near)
}

// tallied counts what passes a connection that Serve has taken: bytes itself,
// packets as the kernel tells of them.
type tallied struct {
	net.Conn
	way     *way
	in, out uint32 // segments when last asked; under way.conns
}

func (c *tallied) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.way.out.bytes.Add(uint64(max(n, 0)))
	return n, err
}

func (c *tallied) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.way.in.bytes.Add(uint64(max(n, 0)))
	return n, err
}

func (c *tallied) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *tallied) Close() error {
	c.forget()
	return c.Conn.Close()
}

func (c *tallied) reset() {
	c.forget()
	abort(c.Conn)
}

// forget asks for the last time, before the kernel forgets.
func (c *tallied) forget() {
	w := c.way
	w.conns.Lock()
	defer w.conns.Unlock()
	if w.served[c] {
		c.ask()
		delete(w.served, c)
	}
}

// ask is called with way.conns held.
func (c *tallied) ask() {
	in, out, ok := segments(c.Conn)
	if !ok {
		return
	}
	c.way.out.packets.Add(uint64(in - c.in))
	c.way.in.packets.Add(uint64(out - c.out))
	c.in, c.out = in, out
}

// count asks the kernel for the packets of what Serve has taken.
func (w *way) count() {
	w.conns.Lock()
	defer w.conns.Unlock()
	for c := range w.served {
		c.ask()
	}
}
