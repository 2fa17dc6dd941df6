package netsim

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"tcpsandbox/netsim/netsimtest"
)

// A client and a server of each family, for tests that need no kernel.
var (
	server4 = netip.MustParseAddrPort("10.9.0.1:80")
	server6 = netip.MustParseAddrPort("[fd00:9::1]:80")
	client4 = netip.MustParseAddrPort("192.0.2.7:40000")
	client6 = netip.MustParseAddrPort("[2001:db8::7]:40000")
	other4  = netip.MustParseAddrPort("198.51.100.1:443")
	other6  = netip.MustParseAddrPort("[2001:db8:1::1]:443")
)

// bare returns a Net without stack and link, for what stands before them.
func bare(refuse bool) *Net {
	n := new(Net)
	n.flows.init()
	n.sockets.init()
	n.hole.init(refuse)
	return n
}

// know adds a connection whose initial sequence number was iss.
func (n *Net) know(client, server netip.AddrPort, iss uint32) *Conn {
	c := &Conn{net: n, flow: flowOf(client, server)}
	c.iss.Store(iss)
	n.flows.add(c.flow, c)
	return c
}

func TestDemux(t *testing.T) {
	n := bare(false)
	c4, c6 := n.know(client4, server4, 0), n.know(client6, server6, 0)
	nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop, OptionLength: 1}
	withIPOptions := func(p []byte) []byte { // eight bytes of NOP behind the IPv4 header
		q := append([]byte{}, p[:20]...)
		q[0] = 4<<4 | 7
		return append(append(q, 1, 1, 1, 1, 1, 1, 1, 1), p[20:]...)
	}
	segment4 := netsimtest.TCP(server4, client4, "PA", 1, 1, []byte("hello"))
	segment6 := netsimtest.TCP(server6, client6, "PA", 1, 1, []byte("hello"))
	for _, tt := range []struct {
		name   string
		packet []byte
		conn   *Conn
		dst    string // of what no connection has; "": nothing can be said
	}{
		{"IPv4", segment4, c4, ""},
		{"IPv6", segment6, c6, ""},
		{"IPv4 with options", withIPOptions(segment4), c4, ""},
		{"TCP with options", netsimtest.TCP(server4, client4, "A", 1, 1, nil, nop, nop, nop, nop), c4, ""},
		{"other client port", netsimtest.TCP(server4, netip.AddrPortFrom(client4.Addr(), 1), "A", 1, 1, nil), nil, "192.0.2.7:1"},
		{"other server port", netsimtest.TCP(netip.AddrPortFrom(server4.Addr(), 1), client4, "A", 1, 1, nil), nil, "192.0.2.7:40000"},
		{"reversed", netsimtest.TCP(client4, server4, "A", 1, 1, nil), nil, "10.9.0.1:80"},
		{"UDP between the same ends", netsimtest.UDP(server4, client4, []byte("x")), nil, "192.0.2.7:40000"},
		{"UDP over IPv6", netsimtest.UDP(server6, other6, []byte("x")), nil, "[2001:db8:1::1]:443"},
		{"empty", nil, nil, ""},
		{"one byte", []byte{0x45}, nil, ""},
		{"half an IPv4 header", segment4[:19], nil, ""},
		{"IPv4 header only", segment4[:20], nil, "192.0.2.7:0"},
		{"ports only", segment4[:24], nil, "192.0.2.7:40000"},
		{"TCP header cut short", segment4[:39], nil, "192.0.2.7:40000"},
		{"IPv4 header longer than the packet", append([]byte{0x4f}, segment4[1:]...), nil, "192.0.2.7:0"},
		{"IPv6 header only", segment6[:40], nil, "[2001:db8::7]:0"},
		{"IPv6 TCP header cut short", segment6[:59], nil, "[2001:db8::7]:40000"},
		{"half an IPv6 header", segment6[:39], nil, ""},
		{"neither 4 nor 6", append([]byte{0x55}, segment4[1:]...), nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, d := n.demux(tt.packet)
			if c != tt.conn {
				t.Errorf("connection %p, want %p", c, tt.conn)
			}
			got := ""
			if d != nil {
				got = netip.AddrPortFrom(d.dst, d.port).String()
			}
			if got != tt.dst {
				t.Errorf("destination %q, want %q", got, tt.dst)
			}
		})
	}
}

// Nothing that comes as a part of a datagram, or as ICMP, does more than it may.
func FuzzDatagram(f *testing.F) {
	answer := netsimtest.UDP(server4, client4, []byte("answer"))
	f.Add(answer, []byte(nil))
	f.Add(netsimtest.UDP(server6, client6, []byte("answer")), []byte("more"))
	f.Add(answer[:27], answer)
	first := append([]byte{}, answer...)
	first[6] = 0x20
	last := append([]byte{}, answer...)
	last[7] = 2
	f.Add(first, last)
	asked := netsimtest.UDP(client4, server4, []byte("query"))
	f.Add(append([]byte{0x45, 0, 0, 61, 0, 0, 0, 0, 64, 1, 0, 0, 10, 9, 0, 1, 192, 0, 2, 7, 3, 3, 0, 0, 0, 0, 0, 0}, asked...), answer)
	f.Fuzz(func(t *testing.T, p, q []byte) {
		n := bare(false)
		var sockets []*Socket
		for _, ends := range [][2]netip.AddrPort{{client4, server4}, {client6, server6}} {
			s, err := n.DialUDP(ends[0], ends[1], func() {})
			if err != nil {
				t.Fatal(err)
			}
			s.sent, s.sentBytes = 1, 5
			sockets = append(sockets, s)
		}
		for _, packet := range [][]byte{p, q, p} {
			split := min(len(packet), smallPacket)
			if _, d := n.demux(packet[:split]); d != nil {
				n.datagram(packet[:split], packet[split:], d)
			}
		}
		for _, s := range sockets {
			s.Receive(func(b []byte) {
				if len(b) > len(p)+len(q)+len(p) {
					t.Errorf("a datagram of %d bytes out of %d and %d", len(b), len(p), len(q))
				}
			})
			if n, bytes := s.Refused(); n > 1 || bytes > 5 {
				t.Errorf("%d datagrams of %d bytes refused, one of 5 was sent", n, bytes)
			}
		}
		if len(n.fragments.waiting) > maxPartial {
			t.Errorf("%d datagrams wait", len(n.fragments.waiting))
		}
	})
}

// What an application with raw sockets sends may be anything.
func FuzzDemux(f *testing.F) {
	syn := netsimtest.TCP(server4, other4, "S", 5, 0, nil)
	f.Add(syn, len(syn))
	f.Add(netsimtest.TCP(server6, other6, "FA", 5, 9, []byte("bye")), 1500)
	f.Add(netsimtest.UDP(server4, netip.MustParseAddrPort("9.9.9.9:53"), query("example.org")), 100)
	f.Add(netsimtest.UDP(server6, netip.MustParseAddrPort("[2620:fe::fe]:53"), query("a.b.c")), 100)
	f.Add(netsimtest.TCP(server4, client4, "A", 1, 77, nil), 40)
	f.Add([]byte{0x4f, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 20)
	f.Fuzz(func(t *testing.T, p []byte, n int) {
		net := bare(true)
		net.know(client4, server4, 1)
		n = max(n, len(p)) // p is the beginning of a packet of n bytes
		c, d := net.demux(p)
		if c != nil {
			return
		}
		f, gated, reply := net.strange(p, nil, n, d)
		if f >= fateCount || gated || (d == nil) != (f == fateMalformed) {
			t.Errorf("fate %d, for the gate's stack: %v, of a packet to %+v", f, gated, d)
		}
		var counted uint64
		for _, e := range net.Egress() {
			counted += e.Packets
		}
		if listed := f == fateRefused; listed != (counted == 1) || !listed && counted > 0 {
			t.Errorf("a packet with fate %d is %d lines of egress", f, counted)
		}
		if reply == nil {
			return
		}
		got, err := netsimtest.Decode(reply, true)
		if err != nil {
			t.Fatalf("reply % x: %v", reply, err)
		}
		netsimtest.Check(t, got, netsimtest.Checksums())
		if got.Src().Addr() != d.dst.Unmap() || got.Dst().Addr() != d.src.Unmap() {
			t.Errorf("reply %v to a packet from %v to %v", got, d.src, d.dst)
		}
	})
}

func TestAcked(t *testing.T) {
	const much = 1 << 40
	for _, tt := range []struct {
		name    string
		iss     uint32
		written uint64
		acks    []uint32 // acknowledgement numbers as they come
		want    uint64
	}{
		{"nothing", 100, much, nil, 0},
		{"the SYN", 100, much, []uint32{101}, 0},
		{"some bytes", 100, much, []uint32{101, 151}, 50},
		{"an old one after", 100, much, []uint32{151, 121}, 50},
		{"the same twice", 100, much, []uint32{151, 151}, 50},
		{"the FIN does not count", 100, 50, []uint32{152}, 50},
		{"initial number at the very end", 0xffffffff, much, []uint32{0, 10}, 10},
		{"wraps once", 0xfffffff0, much, []uint32{0xfffffff1, 0xfffffff9, 0x10}, 0x1f},
		{"wraps three times", 0, much, []uint32{
			0x60000001, 0xc0000001, 0x20000001, 0x80000001, 0xe0000001, 0x40000001, 0xa0000001, 1,
		}, 3 << 32},
	} {
		for family, ends := range map[string][2]netip.AddrPort{"IPv4": {client4, server4}, "IPv6": {client6, server6}} {
			t.Run(tt.name+" "+family, func(t *testing.T) {
				n := bare(false)
				c := n.know(ends[0], ends[1], tt.iss)
				c.written = tt.written
				for _, ack := range tt.acks {
					n.demux(netsimtest.TCP(ends[1], ends[0], "A", 1, ack, nil))
				}
				// A segment without ACK has garbage in the field.
				n.demux(netsimtest.TCP(ends[1], ends[0], "R", 1, tt.iss+5000, nil))
				if got := c.Acked(); got != tt.want {
					t.Errorf("%d bytes acknowledged, want %d", got, tt.want)
				}
			})
		}
	}
}

func TestFlowTable(t *testing.T) {
	n := bare(false)
	c := n.know(client4, server4, 0)
	second := &Conn{flow: c.flow}
	if n.flows.add(second.flow, second) {
		t.Error("the same 4-tuple was added twice")
	}
	n.flows.remove(second) // not in the table: must not evict the first
	if n.flows.get(&c.flow) != c || n.flows.len() != 1 {
		t.Error("the first connection is gone")
	}
	n.flows.remove(c)
	if n.flows.len() != 0 || !n.flows.add(second.flow, second) {
		t.Error("the 4-tuple stays taken")
	}
}

func TestServerPorts(t *testing.T) {
	n := bare(false)
	for i, to := range []netip.AddrPort{server4, server4, other4} {
		n.know(netip.AddrPortFrom(client4.Addr(), uint16(40000+i)), to, 0)
	}
	n.know(client6, server6, 0)
	n.know(server4, client4, 0) // its ports are no client's of client4
	for _, port := range []uint16{53, 53, 123} {
		n.sockets.add(&Socket{net: n, flow: flowOf(netip.AddrPortFrom(client4.Addr(), 40000), netip.AddrPortFrom(server4.Addr(), port))})
	}
	for _, tt := range []struct {
		client netip.Addr
		tcp    []uint16
		udp    []uint16
	}{
		{client4.Addr(), []uint16{80, 443}, []uint16{53, 123}},
		{client6.Addr(), []uint16{80}, nil},
		{server4.Addr(), []uint16{40000}, nil},
		{other4.Addr(), nil, nil},
	} {
		tcp, udp := n.ServerPorts(tt.client)
		slices.Sort(tcp)
		slices.Sort(udp)
		if !slices.Equal(tcp, tt.tcp) || !slices.Equal(udp, tt.udp) {
			t.Errorf("%v uses the TCP ports %v and the UDP ports %v, want %v and %v", tt.client, tcp, udp, tt.tcp, tt.udp)
		}
	}
}

// query is a DNS query for a name (RFC 1035 §4.1), type A.
func query(name string) []byte {
	q := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := ""; name != ""; {
		label, name = cutLabel(name)
		q = append(append(q, byte(len(label))), label...)
	}
	return append(q, 0, 0, 1, 0, 1)
}

func cutLabel(name string) (label, rest string) {
	for i := range name {
		if name[i] == '.' {
			return name[:i], name[i+1:]
		}
	}
	return name, ""
}
