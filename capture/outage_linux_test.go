package capture_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// watched is a live capture under way.
type watched struct {
	t    *testing.T
	w    *wire
	src  capture.Source
	said notices
	end  func() error // tells Run to end, and returns what it returns
	wait func() error // waits until Run ends by itself

	mu   sync.Mutex
	data []string // of clients, each with the port it came from
}

// watchLive captures on a0 of a new wire, what goes to port 80.
func watchLive(t *testing.T) *watched {
	c := &watched{t: t, w: newWire(t)}
	var err error
	if c.src, err = capture.OpenLive("a0", capture.LiveConfig{Ports: []uint16{80}, Notice: c.said.add}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.src.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	asm := capture.NewAssembler(capture.AssemblerConfig{Ports: []uint16{80}})
	go func() {
		ended <- c.src.Run(ctx, func(batch []capture.Packet) error {
			for _, s := range asm.Packets(batch) {
				events, _ := s.Take(nil)
				for _, e := range events {
					if e.Kind == session.Data && e.Side == session.Client {
						c.mu.Lock()
						c.data = append(c.data, string(e.Data))
						c.mu.Unlock()
					}
				}
			}
			return nil
		})
	}()
	c.end = func() error {
		cancel()
		return c.wait()
	}
	c.wait = func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			t.Fatal("Run did not return")
			return nil
		}
	}
	return c
}

// sends has a client beyond the wire say something to port 80, and something
// that must not be captured to 81, and waits until it was.
func (c *watched) sends(from, text string) {
	c.t.Helper()
	onThread(c.t, func() {
		c.w.inject(c.t, capturetest.New(from, "10.1.0.2:81").Handshake().Client("to another port").Close().Packets)
		c.w.inject(c.t, capturetest.New(from, "10.1.0.2:80").Handshake().Client(text).Close().Packets)
	})
	deadline := time.Now().Add(patience)
	for {
		c.mu.Lock()
		data := slices.Clone(c.data)
		c.mu.Unlock()
		if slices.Contains(data, text) {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%q was not captured, but %q was; %+v; said was %q", text, data, c.src.Stats(), c.said.list())
		}
		time.Sleep(time.Millisecond)
	}
}

func (c *watched) link(name string) netlink.Link {
	c.t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		c.t.Fatal(err)
	}
	return l
}

func (c *watched) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// addWire makes the veth pair again, after it was deleted.
func (c *watched) addWire() {
	c.t.Helper()
	c.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a0"}, PeerName: "b0", PeerNamespace: netlink.NsFd(c.w.far)}))
	h, err := netlink.NewHandleAt(c.w.far)
	c.must(err)
	defer h.Close()
	far, err := h.LinkByName("b0")
	c.must(err)
	c.must(h.LinkSetUp(far))
}

// TestOutage has an interface go and come back under a capture: what it carries
// then is captured by the same filter, and what happened was said once.
func TestOutage(t *testing.T) {
	type outage struct {
		name string
		harm func(*watched)
		said []string // what was said in all, beginnings
		seen bool     // the capture was blind
	}
	for _, o := range []outage{
		{"down and up", func(c *watched) {
			c.must(netlink.LinkSetDown(c.link("a0")))
			c.said.until(t, 0, "a0 is down: waiting for it")
			c.must(netlink.LinkSetUp(c.link("a0")))
			c.said.until(t, 1, "a0 ")
		}, []string{"a0 is down: waiting for it", "a0 "}, true},
		{"deleted and made again", func(c *watched) {
			c.must(netlink.LinkDel(c.link("a0")))
			c.said.until(t, 0, "a0 is gone: waiting for an interface of that name")
			c.addWire()
			c.must(netlink.LinkSetUp(c.link("a0")))
			c.said.until(t, 1, "a0 ")
		}, []string{"a0 is gone", "a0 "}, true},
		{"down, deleted and made again", func(c *watched) {
			c.must(netlink.LinkSetDown(c.link("a0")))
			c.said.until(t, 0, "a0 is down")
			c.must(netlink.LinkDel(c.link("a0")))
			c.said.until(t, 1, "a0 is gone")
			c.addWire()
			c.must(netlink.LinkSetUp(c.link("a0")))
			c.said.until(t, 2, "a0 ")
		}, []string{"a0 is down", "a0 is gone", "a0 "}, true},
		{"renamed", func(c *watched) {
			c.must(netlink.LinkSetDown(c.link("a0")))
			c.said.until(t, 0, "a0 is down")
			c.must(netlink.LinkSetName(c.link("a0"), "wan"))
			c.must(netlink.LinkSetUp(c.link("wan")))
			c.said.until(t, 1, "wan ")
			c.must(netlink.LinkSetDown(c.link("wan")))
			c.said.until(t, 2, "wan is down")
			c.must(netlink.LinkSetUp(c.link("wan")))
			c.said.until(t, 3, "wan ")
		}, []string{"a0 is down", "wan ", "wan is down", "wan "}, true},
		{"renamed, deleted and made again by its first name", func(c *watched) {
			c.must(netlink.LinkSetDown(c.link("a0")))
			c.said.until(t, 0, "a0 is down")
			c.must(netlink.LinkSetName(c.link("a0"), "wan"))
			c.must(netlink.LinkSetUp(c.link("wan")))
			c.said.until(t, 1, "wan ")
			c.must(netlink.LinkDel(c.link("wan")))
			c.said.until(t, 2, "wan is gone")
			c.addWire()
			c.must(netlink.LinkSetUp(c.link("a0")))
			c.said.until(t, 3, "a0 ")
		}, []string{"a0 is down", "wan ", "wan is gone", "a0 "}, true},
		{"other MTU", func(c *watched) { c.must(netlink.LinkSetMTU(c.link("a0"), 9000)) }, nil, false},
	} {
		t.Run(o.name, func(t *testing.T) {
			onThread(t, func() {
				c := watchLive(t)
				c.sends("10.1.0.1:4000", "before")
				o.harm(c)
				c.sends("10.1.0.1:4001", "after")
				c.sends("10.1.0.1:4002", "and then")
				stats := c.src.Stats()
				if again := c.src.Stats(); (stats.Blind > 0) != o.seen || again.Blind != stats.Blind {
					t.Errorf("blind for %v, then %v", stats.Blind, again.Blind)
				}
				if err := c.end(); err != nil {
					t.Error(err)
				}
				said := c.said.list()
				if len(said) != len(o.said) {
					t.Fatalf("said was %q, want %q", said, o.said)
				}
				for i, want := range o.said {
					if !strings.HasPrefix(said[i], want) {
						t.Errorf("said was %q, want %q", said[i], want)
					}
				}
				if c.mu.Lock(); slices.Contains(c.data, "to another port") {
					t.Error("the filter is gone")
				}
				c.mu.Unlock()
			})
		})
	}
}

// TestOutageStarts captures on an interface that is down from the beginning.
func TestOutageStarts(t *testing.T) {
	onThread(t, func() {
		w := newWire(t)
		a0, err := netlink.LinkByName("a0")
		if err == nil {
			err = netlink.LinkSetDown(a0)
		}
		var said notices
		src, e := capture.OpenLive("a0", capture.LiveConfig{Notice: said.add})
		if err != nil || e != nil {
			t.Fatal(err, e)
		}
		defer src.Close()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		captured, ended := make(chan struct{}, 1000), make(chan error, 1)
		go func() {
			ended <- src.Run(ctx, func([]capture.Packet) error {
				select {
				case captured <- struct{}{}:
				default:
				}
				return nil
			})
		}()
		said.until(t, 0, "a0 is down: waiting for it")
		if err := netlink.LinkSetUp(a0); err != nil {
			t.Fatal(err)
		}
		said.until(t, 1, "a0 ")
		onThread(t, func() { w.inject(t, capturetest.New("10.1.0.1:4000", "10.1.0.2:80").Handshake().Packets) })
		select {
		case <-captured:
		case <-time.After(patience):
			t.Error("nothing was captured")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestOutageEnds ends a capture that waits, and one to which another kind of
// interface came back.
func TestOutageEnds(t *testing.T) {
	for name, end := range map[string]func(c *watched) error{
		"cancelled": func(c *watched) error { return c.end() },
		"closed": func(c *watched) error {
			c.src.Close()
			return c.end()
		},
	} {
		t.Run(name, func(t *testing.T) {
			onThread(t, func() {
				c := watchLive(t)
				c.must(netlink.LinkDel(c.link("a0")))
				c.said.until(t, 0, "a0 is gone")
				if err := end(c); err != nil {
					t.Error(err)
				}
				if blind := c.src.Stats().Blind; blind <= 0 {
					t.Errorf("blind for %v", blind)
				}
			})
		})
	}
	t.Run("another kind", func(t *testing.T) {
		onThread(t, func() {
			c := watchLive(t)
			c.must(netlink.LinkDel(c.link("a0")))
			c.said.until(t, 0, "a0 is gone")
			tun := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "a0"}, Mode: netlink.TUNTAP_MODE_TUN, Flags: netlink.TUNTAP_NO_PI, Queues: 1}
			if err := netlink.LinkAdd(tun); err != nil {
				need(t, "needs /dev/net/tun: "+err.Error())
			}
			defer tun.Fds[0].Close()
			if err := c.wait(); err == nil || err.Error() != "capture on a0: it is there again, but of another kind: start anew" {
				t.Errorf("got %v", err)
			}
		})
	})
}

// TestRebindNeedsNoCapability takes all rights from the thread that runs a
// capture before its interface goes away.
func TestRebindNeedsNoCapability(t *testing.T) {
	onThread(t, func() {
		w := newWire(t)
		var said notices
		src, err := capture.OpenLive("a0", capture.LiveConfig{Ports: []uint16{80}, Notice: said.add})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		captured := false
		ended := make(chan error, 1)
		go onThread(t, func() {
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			if err := unix.Capset(&head, &none[0]); err != nil { // this thread only
				ended <- err
				return
			}
			ended <- src.Run(ctx, func(batch []capture.Packet) error {
				// The kernel's own multicast reports, which a filter lets pass, are none.
				if slices.ContainsFunc(batch, func(p capture.Packet) bool { return bytes.Contains(p.Data, []byte{10, 1, 0, 1}) }) {
					captured = true
					cancel()
				}
				return nil
			})
		})
		a0, err := netlink.LinkByName("a0")
		if err == nil {
			err = netlink.LinkDel(a0)
		}
		if err != nil {
			t.Fatal(err)
		}
		said.until(t, 0, "a0 is gone")
		c := &watched{t: t, w: w}
		c.addWire()
		c.must(netlink.LinkSetUp(c.link("a0")))
		said.until(t, 1, "a0 ")
		onThread(t, func() { w.inject(t, capturetest.New("10.1.0.1:4000", "10.1.0.2:80").Handshake().Packets) })
		if err := <-ended; err != nil || !captured {
			t.Errorf("captured %v, %v", captured, err)
		}
	})
}
