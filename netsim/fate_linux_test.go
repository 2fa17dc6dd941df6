package netsim

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"tcpsandbox/netsim/netsimtest"
)

// gated returns a Net without stacks whose gate lets a TCP and a UDP destination
// through, to nobody, and answers for a name.
func gated(t testing.TB) *Net {
	n := bare(false)
	n.link = &link{net: n, fd: -1, offload: true} // what is written to it is lost
	nobody := func(context.Context, string, netip.AddrPort) (net.Conn, error) { return nil, errors.New("nobody") }
	g := &gate{net: n, dial: nobody, ways: make(map[wayKey]*way), names: map[string][]netip.Addr{"db.example": {other4.Addr()}}}
	g.maxRelays, g.maxExchanges = capacity(0)
	g.datagrams.m = make(map[flight]*exchange)
	g.ctx, g.cancel = context.WithCancel(t.Context())
	for _, w := range []Way{{To: other4}, {To: other6, UDP: true}} {
		g.ways[wayKey{w.To, w.UDP}] = g.newWay(w, false)
	}
	n.gate = g
	t.Cleanup(func() {
		g.cancel()
		g.busy.Wait()
	})
	return n
}

// take reads a packet as the link does, but for its stacks and the answer.
func (n *Net) take(sums *tally, packet []byte) fate {
	first, rest := packet[:min(len(packet), smallPacket)], packet[min(len(packet), smallPacket):]
	sums.packets++
	c, d := n.demux(first)
	f := fateDelivered
	if c == nil {
		f, _, _ = n.strange(first, rest, len(packet), d)
	}
	sums.by[f]++
	return f
}

// agree compares the tally with the ledger, which others keep.
func agree(t testing.TB, n *Net, sums *tally) {
	t.Helper()
	var by [fateCount]uint64
	of := map[string]fate{"drop": fateSwallowed, "refuse": fateRefused, "allow": fateAllowed, "answer": fateAnswered}
	for _, e := range n.Egress() {
		if !e.Loopback {
			by[of[e.Policy]] += e.Packets
		}
	}
	for policy, f := range of {
		if sums.by[f] != by[f] {
			t.Errorf("%d packets with the policy %s, the egress ledger has %d", sums.by[f], policy, by[f])
		}
	}
	var all uint64
	for _, k := range sums.by {
		all += k
	}
	if all != sums.packets {
		t.Errorf("%d packets have a fate, %d were read", all, sums.packets)
	}
}

func TestFates(t *testing.T) {
	later := func(p []byte) []byte { // a fragment that is not the first
		p = append([]byte{}, p...)
		p[7] = 2
		return p
	}
	report := netsimtest.UDP(app6, netip.MustParseAddrPort("[ff02::16]:0"), make([]byte, 8))
	report[6], report[40] = 58, 143 // ICMPv6: multicast listener report
	elsewhere4, elsewhere6 := netip.MustParseAddrPort("198.51.100.99:443"), netip.MustParseAddrPort("[2001:db8:9::9]:443")
	for _, tt := range []struct {
		name   string
		packet []byte
		want   fate
	}{
		{"a segment of a session", netsimtest.TCP(server4, client4, "A", 1, 1, nil), fateDelivered},
		{"a datagram of a session", netsimtest.UDP(server6, client6, []byte("x")), fateDelivered},
		{"a segment of no session any more", netsimtest.TCP(server4, elsewhere4, "FA", 1, 1, nil), fateLate},
		{"a reset of no session any more", netsimtest.TCP(server4, elsewhere4, "R", 1, 1, nil), fateLate},
		{"a SYN elsewhere", netsimtest.TCP(app4, elsewhere4, "S", 1, 0, nil), fateSwallowed},
		{"a SYN elsewhere, IPv6", netsimtest.TCP(app6, elsewhere6, "S", 1, 0, nil), fateSwallowed},
		{"a datagram elsewhere", netsimtest.UDP(app4, elsewhere4, nil), fateSwallowed},
		{"a later fragment of nothing", later(netsimtest.UDP(app4, elsewhere4, nil)), fateSwallowed},
		{"a SYN to who is let through", netsimtest.TCP(app4, other4, "S", 1, 0, nil), fateAllowed},
		{"more to who is let through", netsimtest.TCP(app4, other4, "FA", 2, 1, nil), fateAllowed},
		{"a datagram to who is let through", netsimtest.UDP(app6, other6, []byte("x")), fateAllowed},
		{"a datagram where TCP is let through", netsimtest.UDP(app4, other4, []byte("x")), fateSwallowed},
		{"a query for a known name", netsimtest.UDP(app4, dns4, query("db.example")), fateAnswered},
		{"a query for no known name", netsimtest.UDP(app4, dns4, query("other.example")), fateRefused},
		{"no query", netsimtest.UDP(app4, dns4, []byte("?")), fateSwallowed},
		{"a query by TCP", netsimtest.TCP(app4, dns4, "S", 1, 0, nil), fateAnswered},
		{"neighbours", report, fateHousekeeping},
		{"half a header", netsimtest.UDP(app4, other4, nil)[:19], fateMalformed},
		{"nothing", []byte{}, fateMalformed},
		{"neither 4 nor 6", make([]byte, 60), fateMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := gated(t)
			n.know(client4, server4, 0)
			if _, err := n.DialUDP(client6, server6, func() {}); err != nil {
				t.Fatal(err)
			}
			sums := new(tally)
			if got := n.take(sums, tt.packet); got != tt.want {
				t.Errorf("fate %d, want %d", got, tt.want)
			}
			agree(t, n, sums)
		})
	}
	t.Run("refused", func(t *testing.T) {
		n, sums := bare(true), new(tally)
		for _, p := range [][]byte{netsimtest.TCP(app4, other4, "S", 1, 0, nil), netsimtest.UDP(app6, other6, nil)} {
			if got := n.take(sums, p); got != fateRefused {
				t.Errorf("fate %d, want %d", got, fateRefused)
			}
		}
		agree(t, n, sums)
	})
}

// Whatever is sent, in whatever order, each packet has one fate, and the ledger
// of egress says the same.
func FuzzFates(f *testing.F) {
	big := netsimtest.UDP(app6, other6, make([]byte, 3000))
	fragment := append(append(append([]byte{}, big[:6]...), 44, 64), big[8:40]...)
	fragment = append(append(fragment, 17, 0, 0, 1, 0, 0, 0, 7), big[40:1400]...)
	f.Add(netsimtest.TCP(app4, other4, "S", 1, 0, nil), netsimtest.UDP(app4, dns4, query("db.example")))
	f.Add(fragment, netsimtest.UDP(server6, client6, []byte("answer")))
	f.Add(netsimtest.UDP(app6, other6, []byte("x")), netsimtest.TCP(app6, dns6, "S", 1, 0, nil))
	f.Add(netsimtest.UDP(app4, dns4, query("other.example")), []byte{0x45})
	f.Fuzz(func(t *testing.T, p, q []byte) {
		n := gated(t)
		n.know(client4, server4, 1)
		if _, err := n.DialUDP(client6, server6, func() {}); err != nil {
			t.Fatal(err)
		}
		sums := new(tally)
		for _, packet := range [][]byte{p, q, q, p} {
			n.take(sums, packet)
		}
		agree(t, n, sums)
		if waiting := len(n.gate.fragments.waiting); waiting > maxPartial {
			t.Errorf("%d datagrams wait for their rest", waiting)
		}
	})
}

// What the kernel itself counted on the device is what has a fate.
func TestFatesAreAllOfTheDevice(t *testing.T) {
	eachMode(t, func(t *testing.T, offload bool) {
		o := &outside{tcp: func(c *net.TCPConn) { io.Copy(c, c); c.Close() }}
		w := newWorldWith(t, Config{Offload: offload, Dial: o.dial, Ways: []Way{{To: other4}}})
		w.serve(t, 80, func(c net.Conn) {
			bufio.NewReader(c).ReadString('\n')
			c.Write(make([]byte, 1<<20))
			c.Close()
		})
		c, err := w.DialContext(t.Context(), client4, server4)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "go\n")
		if n, err := io.Copy(io.Discard, c); n != 1<<20 || err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		c.Close()
		through := w.mustCall(t, "tcp", other4.String())
		io.WriteString(through, "hello\n")
		if line, err := bufio.NewReader(through).ReadString('\n'); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		through.Close()
		nowhere := w.mustCall(t, "udp", "192.0.2.200:9")
		for range 7 {
			nowhere.Write([]byte("x"))
		}
		nowhere.Close()

		// Both counters move on until all that is under way has come.
		var fates Fates
		until(t, "what the device counts has been read", func() bool {
			fates = w.Stats().Fates
			return fates.Packets == w.sent(t) && fates.Swallowed >= 7
		})
		if sum := fates.Delivered + fates.Late + fates.Swallowed + fates.Refused + fates.Allowed + fates.Answered + fates.Housekeeping + fates.Malformed; sum != fates.Packets {
			t.Errorf("%d packets have a fate, %d were read: %+v", sum, fates.Packets, fates)
		}
		if fates.Swallowed != 7 || fates.Allowed < 4 || fates.Delivered < 10 || fates.Malformed != 0 {
			t.Errorf("%+v", fates)
		}
	})
}

// sent returns how many packets the namespace's kernel has put on the device.
func (w *world) sent(t *testing.T) (n uint64) {
	t.Helper()
	var err error
	w.in(func() {
		var l netlink.Link
		if l, err = netlink.LinkByName("tun0"); err == nil {
			n = l.Attrs().Statistics.TxPackets
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
