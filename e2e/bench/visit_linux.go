package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tcpsandbox/netsim"
)

// The client on netsim, many connections: one goroutine goes through those
// with news, as a shard of the replay engine does.

// visitor is one connection.
type visitor struct {
	crowd  *crowd
	conn   *netsim.Conn
	queued atomic.Bool
	asked  bool
	done   bool
	got    int
}

// crowd is all of them.
type crowd struct {
	net     *netsim.Net
	server  netip.AddrPort
	from    *clients
	request string // "": connecting is all

	mu    sync.Mutex
	ready []*visitor
	wake  chan struct{}

	spare []*visitor
	sink  func([]byte)
	now   *visitor // who reads
}

func newCrowd(n *netsim.Net, server netip.AddrPort, from *clients, request string) *crowd {
	c := &crowd{net: n, server: server, from: from, request: request, wake: make(chan struct{}, 1)}
	c.sink = func(p []byte) { c.now.got += len(p) }
	return c
}

// enter starts one connection.
func (c *crowd) enter() error {
	v := &visitor{crowd: c}
	conn, err := c.net.Dial(c.from.take(), c.server, v.news)
	if err != nil {
		return err
	}
	v.conn = conn // in time: whoever goes through the ready ones called enter
	return nil
}

func (v *visitor) news() {
	if v.queued.Swap(true) {
		return
	}
	c := v.crowd
	c.mu.Lock()
	c.ready = append(c.ready, v)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// round waits for news and deals with it; left is called for each visitor that
// is done.
func (c *crowd) round(left func(*visitor) error) error {
	select {
	case <-c.wake:
	case <-time.After(10 * time.Second):
		return errors.New("no connection had news for 10 s")
	}
	c.mu.Lock()
	ready := c.ready
	c.ready = c.spare[:0]
	c.mu.Unlock()
	for _, v := range ready {
		v.queued.Store(false)
		if v.done {
			continue
		}
		done, err := v.step()
		if err != nil {
			return err
		}
		if done {
			v.done = true
			if err := left(v); err != nil {
				return err
			}
		}
	}
	c.spare = ready
	return nil
}

func (v *visitor) step() (done bool, err error) {
	c := v.crowd
	if !v.asked {
		ok, err := v.conn.Established()
		if !ok || err != nil {
			return false, err
		}
		v.asked = true
		if c.request == "" {
			return true, nil
		}
		if n, err := v.conn.Write([]byte(c.request)); err != nil || n != len(c.request) {
			return false, fmt.Errorf("request: wrote %d bytes of %d: %w", n, len(c.request), err)
		}
	}
	c.now = v
	for {
		n, err := v.conn.Read(c.sink)
		switch {
		case err == io.EOF && v.got < len(answerBody):
			return false, fmt.Errorf("answer of %d bytes is too short", v.got)
		case err == io.EOF:
			v.conn.Close()
			return true, nil
		case n == 0 || err != nil:
			return false, err
		}
	}
}

// visits makes short connections for a while and returns their rate.
func visits(n *netsim.Net, from *clients, d time.Duration) (float64, error) {
	c := newCrowd(n, netip.AddrPortFrom(server4, portHTTP), from, request)
	begun := time.Now()
	end := begun.Add(d)
	for range inFlight {
		if err := c.enter(); err != nil {
			return 0, err
		}
	}
	count, inside := 0, inFlight
	for inside > 0 {
		err := c.round(func(*visitor) error {
			count++
			if time.Now().Before(end) {
				return c.enter()
			}
			inside--
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return float64(count) / time.Since(begun).Seconds(), nil
}

// arrivals connects n clients, each from an address of its own, who all stay,
// and returns how long that took.
func arrivals(netw *netsim.Net, server netip.AddrPort, from *clients, n int) (time.Duration, error) {
	c := newCrowd(netw, server, from, "")
	begun := time.Now()
	in, started := 0, 0
	var all []*visitor
	for range min(n, inFlight) {
		if err := c.enter(); err != nil {
			return 0, err
		}
		started++
	}
	for in < n {
		err := c.round(func(v *visitor) error {
			in++
			all = append(all, v)
			if started < n {
				started++
				return c.enter()
			}
			return nil
		})
		if err != nil {
			return 0, fmt.Errorf("after %d connections: %w", in, err)
		}
	}
	took := time.Since(begun)
	for _, v := range all {
		v.conn.Abort()
	}
	return took, nil
}
