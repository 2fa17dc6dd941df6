package netsim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"tcpsandbox/netsim/netsimtest"
)

// takeDatagrams reads a UDP socket of the namespace's until the test ends.
func (w *world) takeDatagrams(t testing.TB, addr string, handle func(c *net.UDPConn, from netip.AddrPort, p []byte)) {
	t.Helper()
	var c net.PacketConn
	var err error
	w.in(func() { c, err = net.ListenPacket("udp", addr) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := c.(*net.UDPConn).ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				handle(c.(*net.UDPConn), from, buf[:n])
			}
		}
	}()
}

// own gives the namespace one more address.
func (w *world) own(t testing.TB, ip netip.Addr) {
	t.Helper()
	var err error
	w.in(func() { err = ownAddress(ip) })
	if err != nil {
		t.Fatal(err)
	}
}

// tellAll takes the kernel's limit off how often it says that nobody listens.
func (w *world) tellAll(t testing.TB) {
	t.Helper()
	w.in(func() {
		for _, name := range []string{"ipv4/icmp_ratemask", "ipv6/icmp/ratemask"} {
			if err := os.WriteFile("/proc/sys/net/"+name, []byte("0"), 0); err != nil {
				t.Error(err)
			}
		}
	})
}

var families = map[string][2]netip.AddrPort{"IPv4": {client4, server4}, "IPv6": {client6, server6}}

// Boundaries are kept, whatever the length, in both directions.
func TestDatagramsBothWays(t *testing.T) {
	for family, ends := range families {
		t.Run(family, func(t *testing.T) {
			eachMode(t, func(t *testing.T, offload bool) {
				w := newWorld(t, offload, false)
				w.takeDatagrams(t, ends[1].String(), func(c *net.UDPConn, from netip.AddrPort, p []byte) {
					c.WriteToUDPAddrPort(p, from)
					c.WriteToUDPAddrPort(fmt.Appendf(nil, "%d from %v", len(p), from), from)
				})
				c := dialUDP(t, w.Net, ends[0], ends[1])
				most := 65507
				if ends[0].Addr().Is6() {
					most = 65527
				}
				for _, n := range []int{0, 1, 7, 1400, 1452, 1453, 1472, 1473, 1480, 2000, 2048, 3000, 8192, 65000, most} {
					text := strings.Repeat("datagram", n/8+1)[:n]
					c.send(text)
					c.receive(text, fmt.Sprintf("%d from %v", n, ends[0]))
				}
				if err := c.Send(make([]byte, most+1)); err == nil {
					t.Error("a datagram that is longer than any was taken")
				}
				if n, bytes := c.Refused(); n != 0 || bytes != 0 {
					t.Errorf("%d datagrams of %d bytes refused", n, bytes)
				}
				if e := w.Egress(); len(e) > 0 {
					t.Errorf("counted as egress: %+v", e)
				}
				c.Close()
				if s := w.Stats(); s.Sockets != 0 {
					t.Errorf("%d sockets after the end", s.Sockets)
				}
			})
		})
	}
}

// A socket bound to no address answers from the address that the kernel
// prefers, which is not the one that was asked.
func TestAnswerFromAnotherAddress(t *testing.T) {
	w := newWorld(t, true, false)
	w.takeDatagrams(t, ":53", func(c *net.UDPConn, from netip.AddrPort, p []byte) { c.WriteToUDPAddrPort(p, from) })
	for _, tt := range []struct{ client, second, server, another string }{
		{"192.0.2.7:40000", "192.0.2.7:40001", "10.9.0.2:53", "10.9.0.3:53"},
		{"[2001:db8::7]:40000", "[2001:db8::7]:40001", "[fd00:9::2]:53", "[fd00:9::3]:53"},
	} {
		server, another := netip.MustParseAddrPort(tt.server), netip.MustParseAddrPort(tt.another)
		w.own(t, server.Addr())
		w.own(t, another.Addr())
		w.own(t, another.Addr().Next()) // of IPv6 the latest is preferred, of IPv4 the first
		a, b := dialUDP(t, w.Net, netip.MustParseAddrPort(tt.client), server), dialUDP(t, w.Net, netip.MustParseAddrPort(tt.second), server)
		// The same client asks another server: who asked last gets the answer.
		other := dialUDP(t, w.Net, netip.MustParseAddrPort(tt.client), another)
		for i := range 3 {
			for name, c := range map[string]*caller{"a": a, "b": b, "other": other} {
				text := fmt.Sprintf("%s %d", name, i)
				c.send(text)
				c.receive(text)
			}
		}
		a.Close()
		b.Close()
		other.Close()
	}
	if e := w.Egress(); len(e) > 0 {
		t.Errorf("counted as egress: %+v", e)
	}
}

// The kernel says when nobody listens.
func TestDatagramsRefused(t *testing.T) {
	for family, ends := range families {
		t.Run(family, func(t *testing.T) {
			w := newWorld(t, true, false)
			w.tellAll(t)
			c := dialUDP(t, w.Net, ends[0], ends[1])
			for i := range 30 {
				c.send(strings.Repeat("x", i*100))
			}
			c.until("refused", func() bool {
				n, bytes := c.Refused()
				return n == 30 && bytes == 100*30*29/2
			})
			w.takeDatagrams(t, ends[1].String(), func(s *net.UDPConn, from netip.AddrPort, p []byte) { s.WriteToUDPAddrPort(p, from) })
			c.send("now")
			c.receive("now")
			if n, _ := c.Refused(); n != 30 {
				t.Errorf("%d refused", n)
			}
			if e := w.Egress(); len(e) > 0 {
				t.Errorf("counted as egress: %+v", e)
			}
		})
	}
}

func TestDialUDPTwice(t *testing.T) {
	n, _ := wired(t, true, false)
	c := dialUDP(t, n, client4, server4)
	if _, err := n.DialUDP(client4, server4, nil); !errors.Is(err, ErrInUse) {
		t.Errorf("the same ends twice: %v", err)
	}
	dialUDP(t, n, client4, other4).Close()
	dial(t, n, client4, server4).Abort() // TCP has ports of its own
	c.Close()
	c.Close()
	again := dialUDP(t, n, client4, server4)
	c.Close() // must not take the new one's place away
	if s := n.Stats(); s.Sockets != 1 {
		t.Errorf("%d sockets, want 1", s.Sockets)
	}
	n.Close()
	if err := again.Send([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("sent after the end: %v", err)
	}
	if _, err := n.DialUDP(client6, server6, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("dialed after the end: %v", err)
	}
}

func TestDatagramPackets(t *testing.T) {
	for family, ends := range families {
		t.Run(family, func(t *testing.T) {
			eachMode(t, func(t *testing.T, offload bool) {
				n, wire := wired(t, offload, false)
				c := dialUDP(t, n, ends[0], ends[1])
				for _, text := range []string{"", "query", strings.Repeat("odd", 5001)} {
					c.send(text)
					p := wire.Read()
					netsimtest.Check(t, p, netsimtest.Checksums(), netsimtest.Ends(ends[0], ends[1]), netsimtest.Payload(text))
					if p.UDP == nil {
						t.Errorf("%v is no datagram", p)
					}
				}
				wire.Write(netsimtest.UDP(ends[1], ends[0], []byte("answer")))
				c.receive("answer")
				long := strings.Repeat("long answer ", 2000) // where the MTU lets it be one packet
				wire.Write(netsimtest.UDP(ends[1], ends[0], []byte(long)))
				c.receive(long)
				// To somebody else, and from another port: not the session's.
				wire.Write(netsimtest.UDP(ends[1], netip.AddrPortFrom(ends[0].Addr(), 1), []byte("stray")))
				wire.Write(netsimtest.UDP(netip.AddrPortFrom(ends[1].Addr(), 1), ends[0], []byte("stray")))
				wire.Write(netsimtest.UDP(ends[1], ends[0], []byte("last")))
				c.receive("last")
				if e := n.Egress(); len(e) != 2 {
					t.Errorf("egress %+v, want both strays", e)
				}
				c.Close()
				wire.Write(netsimtest.UDP(ends[1], ends[0], []byte("late")))
				wire.Barrier()
				if e := n.Egress(); e[0].Packets != 2 {
					t.Errorf("egress %+v, want what came after the end as well", e)
				}
			})
		})
	}
}

// What nobody receives is bounded.
func TestSocketOverrun(t *testing.T) {
	n, wire := wired(t, true, false)
	c := dialUDP(t, n, client4, server4)
	big := netsimtest.UDP(server4, client4, make([]byte, 60000))
	for range 100 {
		wire.Write(big)
	}
	wire.Barrier()
	got := c.Receive(func([]byte) {})
	if over := n.Stats().Overrun; over == 0 || got+int(over) != 100 {
		t.Errorf("%d received, %d had no room, of 100", got, over)
	}
	wire.Write(netsimtest.UDP(server4, client4, []byte("room again")))
	c.receive("room again")
}

// cut cuts a packet into fragments, as the kernel does.
func cut(packet []byte, size int, id uint32) (parts [][]byte) {
	if packet[0]>>4 == 4 {
		body := packet[20:]
		for at := 0; at < len(body); at += size {
			part := body[at:min(at+size, len(body))]
			p := append(append([]byte{}, packet[:20]...), part...)
			binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
			binary.BigEndian.PutUint16(p[4:], uint16(id))
			bits := uint16(at / 8)
			if at+size < len(body) {
				bits |= 0x2000
			}
			binary.BigEndian.PutUint16(p[6:], bits)
			parts = append(parts, p)
		}
		return parts
	}
	body := packet[40:]
	for at := 0; at < len(body); at += size {
		part := body[at:min(at+size, len(body))]
		p := append([]byte{}, packet[:40]...)
		p[6] = 44
		binary.BigEndian.PutUint16(p[4:], uint16(8+len(part)))
		bits := uint16(at)
		if at+size < len(body) {
			bits |= 1
		}
		p = append(p, 17, 0)
		p = binary.BigEndian.AppendUint16(p, bits)
		p = binary.BigEndian.AppendUint32(p, id)
		parts = append(parts, append(p, part...))
	}
	return parts
}

func TestDatagramsInFragments(t *testing.T) {
	for family, ends := range families {
		t.Run(family, func(t *testing.T) {
			n, wire := wired(t, true, false)
			c := dialUDP(t, n, ends[0], ends[1])
			text := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("fragment", 1000)) }
			parts := func(i int, id uint32) [][]byte {
				return cut(netsimtest.UDP(ends[1], ends[0], []byte(text(i))), 1480, id)
			}
			put := func(packets ...[]byte) {
				for _, p := range packets {
					wire.Write(p)
				}
			}
			put(parts(1, 100)...)
			c.receive(text(1))
			// Two at once, their fragments in turn.
			a, b := parts(2, 101), parts(3, 102)
			for i := range a {
				put(a[i], b[i])
			}
			c.receive(text(2), text(3))
			// The third one is lost: so is the datagram, and nothing else.
			a = parts(4, 103)
			put(a[0], a[1])
			put(a[3:]...)
			put(parts(5, 104)...)
			c.receive(text(5))
			// The number is used again before the rest has come.
			put(parts(6, 105)[:2]...)
			put(parts(7, 105)...)
			c.receive(text(7))
			// The last fragment twice: nobody waits for the second.
			a = parts(8, 106)
			put(a...)
			put(a[len(a)-1])
			c.receive(text(8))
			// More that begin than may wait: the oldest is given up.
			a = parts(9, 200)
			put(a[0])
			for i := range maxPartial {
				put(parts(10, uint32(300+i))[0])
			}
			put(a[1:]...)
			b = parts(10, 300+maxPartial-1)
			put(b[1:]...)
			c.receive(text(10))
			// Not of a session: the black hole counts every fragment.
			before := len(n.Egress())
			put(cut(netsimtest.UDP(ends[1], netip.AddrPortFrom(ends[0].Addr(), 9), []byte(text(1))), 1480, 400)...)
			put(parts(11, 401)...)
			c.receive(text(11))
			if e := n.Egress(); len(e) <= before {
				t.Errorf("egress %+v: it lacks a stranger's fragments", e)
			}
		})
	}
}
