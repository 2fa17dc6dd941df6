package netsim

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tcpsandbox/netsim/netsimtest"
)

// swallow gives a packet to the black hole as the link does, and returns the
// reply without virtio header.
func (n *Net) swallow(packet []byte) []byte {
	_, d := n.demux(packet)
	_, _, reply := n.strange(packet, nil, len(packet), d)
	if reply != nil {
		reply = reply[virtioHeader:]
	}
	return reply
}

var (
	dns4 = netip.MustParseAddrPort("9.9.9.9:53")
	dns6 = netip.MustParseAddrPort("[2620:fe::fe]:53")
	app4 = netip.MustParseAddrPort("10.9.0.1:50000")
	app6 = netip.MustParseAddrPort("[fd00:9::1]:50000")
)

func TestEgressIsCounted(t *testing.T) {
	n := bare(false)
	syn := netsimtest.TCP(app4, other4, "S", 1, 0, nil)
	for range 3 {
		n.swallow(syn)
	}
	question := netsimtest.UDP(app4, dns4, query("shop.example.org"))
	n.swallow(question)
	n.swallow(netsimtest.UDP(app4, dns4, query("second.example.org")))
	n.swallow(netsimtest.TCP(app6, other6, "S", 1, 0, nil))
	n.swallow(netsimtest.UDP(app6, dns6, query("v6.example.org")))
	echo := netsimtest.UDP(app4, other4, make([]byte, 8))
	echo[9] = 1 // ICMP in the protocol field: ports are not looked at
	n.swallow(echo)
	gre := bytes.Clone(echo)
	gre[9] = 47
	n.swallow(gre)

	want := []Egress{
		{Proto: "tcp", Dst: other4.Addr(), Port: 443, Packets: 3, Bytes: uint64(3 * len(syn)), Policy: "drop"},
		{Proto: "udp", Dst: dns4.Addr(), Port: 53, Packets: 2, Bytes: uint64(2*len(question) + 2), Policy: "drop", Name: "shop.example.org"},
		{Proto: "icmp", Dst: other4.Addr(), Packets: 1, Bytes: uint64(len(echo)), Policy: "drop"},
		{Proto: "ip-47", Dst: other4.Addr(), Packets: 1, Bytes: uint64(len(gre)), Policy: "drop"},
		{Proto: "tcp", Dst: other6.Addr(), Port: 443, Packets: 1, Bytes: 60, Policy: "drop"},
		{Proto: "udp", Dst: dns6.Addr(), Port: 53, Packets: 1, Bytes: uint64(48 + len(query("v6.example.org"))), Policy: "drop", Name: "v6.example.org"},
	}
	got := n.Egress()
	byWords := cmpopts.SortSlices(func(a, b Egress) bool {
		return fmt.Sprint(a.Proto, a.Dst) < fmt.Sprint(b.Proto, b.Dst)
	})
	if diff := cmp.Diff(want, got, byWords, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("egress (-want +got):\n%s", diff)
	}
	if got[0].Packets != 3 || got[1].Packets != 2 {
		t.Errorf("not in the order of packets: %+v", got)
	}
}

func TestEgressTableIsBounded(t *testing.T) {
	n := bare(false)
	const beyond = 100
	var sent uint64
	for i := range maxEgress + beyond {
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, 0, byte(i >> 8), byte(i)}), 443)
		n.swallow(netsimtest.TCP(app4, dst, "S", 1, 0, nil))
		sent++
	}
	got := n.Egress()
	if len(got) != maxEgress+1 {
		t.Errorf("table has %d lines, want %d and one for the rest", len(got), maxEgress)
	}
	if got[0].Dst.IsValid() || got[0].Packets != beyond {
		t.Errorf("first line %+v, want the rest with %d packets", got[0], beyond)
	}
	var total uint64
	for _, e := range got {
		total += e.Packets
	}
	if total != sent {
		t.Errorf("%d packets counted of %d", total, sent)
	}
	// What is in the table already is still counted apart.
	n.swallow(netsimtest.TCP(app4, netip.MustParseAddrPort("20.0.0.0:443"), "S", 1, 0, nil))
	if got := n.Egress(); got[1].Packets != 2 {
		t.Errorf("second line %+v, want a known destination with 2 packets", got[1])
	}
}

func TestQueryName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tt := range []struct {
		name string
		q    []byte
		want string
	}{
		{"plain", query("shop.example.org"), "shop.example.org"},
		{"one label", query("db"), "db"},
		{"longest label", query(long + ".org"), long + ".org"},
		{"root", query(""), ""},
		{"not printable", query("a\x00b.\xffc"), "a?b.?c"},
		{"cut in a label", query("shop.example.org")[:20], ""},
		{"cut after the header", query("shop.example.org")[:12], ""},
		{"compressed", append(make([]byte, 12), 0xc0, 0x0c), ""},
		{"empty", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := queryName(tt.q); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// RFC 9293 §3.10.7.1, the rules for the state CLOSED.
func TestResetNumbers(t *testing.T) {
	for _, tt := range []struct {
		name     string
		flags    string
		seq, ack uint32
		payload  string
		refuse   bool
		want     string // flags of the reply; "": none
		wantSeq  uint32
		wantAck  uint32
		egress   bool
	}{
		{"SYN, drop", "S", 1000, 0, "", false, "", 0, 0, true},
		{"SYN, refuse", "S", 1000, 0, "", true, "RA", 0, 1001, true},
		{"SYN with data", "S", 1000, 0, "fast", true, "RA", 0, 1005, true},
		{"SYN at the end of the numbers", "S", 0xffffffff, 0, "", true, "RA", 0, 0, true},
		{"straggling data", "PA", 1000, 77, "late", false, "R", 77, 0, false},
		{"straggling FIN", "FA", 1000, 77, "", true, "R", 77, 0, false},
		{"straggling SYN+ACK", "SA", 1000, 77, "", false, "R", 77, 0, false},
		{"FIN without ACK", "F", 1000, 0, "xy", false, "RA", 0, 1003, false},
		{"a reset is not answered", "R", 1000, 0, "", true, "", 0, 0, false},
		{"nor one with ACK", "RA", 1000, 77, "", false, "", 0, 0, false},
	} {
		for family, ends := range map[string][2]netip.AddrPort{"IPv4": {app4, other4}, "IPv6": {app6, other6}} {
			t.Run(tt.name+" "+family, func(t *testing.T) {
				n := bare(tt.refuse)
				reply := n.swallow(netsimtest.TCP(ends[0], ends[1], tt.flags, tt.seq, tt.ack, []byte(tt.payload)))
				if got := len(n.Egress()) > 0; got != tt.egress {
					t.Errorf("counted as egress: %v, want %v", got, tt.egress)
				}
				if (reply != nil) != (tt.want != "") {
					t.Fatalf("reply % x, want flags %q", reply, tt.want)
				}
				if reply == nil {
					return
				}
				p, err := netsimtest.Decode(reply, false)
				if err != nil {
					t.Fatal(err)
				}
				netsimtest.Check(t, p, netsimtest.Flags(tt.want), netsimtest.Seq(tt.wantSeq), netsimtest.Ack(tt.wantAck),
					netsimtest.Ends(ends[1], ends[0]), netsimtest.Checksums())
			})
		}
	}
}

// An application's segment may be 64 KB long, of which the black hole gets the
// beginning only.
func TestResetAcknowledgesTheWholeSegment(t *testing.T) {
	n := bare(true)
	whole := netsimtest.TCP(app4, other4, "S", 1000, 0, make([]byte, 9000))
	_, d := n.demux(whole[:smallPacket])
	_, reply := n.hole.swallow(whole[:smallPacket], len(whole), d)
	p, err := netsimtest.Decode(reply, true)
	if err != nil {
		t.Fatal(err)
	}
	netsimtest.Check(t, p, netsimtest.Ack(1000+1+9000))
}

func TestUnreachable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		packet []byte
	}{
		{"IPv4", netsimtest.UDP(app4, dns4, query("shop.example.org"))},
		{"IPv6", netsimtest.UDP(app6, dns6, query("shop.example.org"))},
		{"IPv4, odd length", netsimtest.UDP(app4, dns4, []byte("x"))},
		{"IPv6, empty", netsimtest.UDP(app6, dns6, nil)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if reply := bare(false).swallow(tt.packet); reply != nil {
				t.Errorf("dropped, yet answered with % x", reply)
			}
			p, err := netsimtest.Decode(bare(true).swallow(tt.packet), false)
			if err != nil {
				t.Fatal(err)
			}
			netsimtest.Check(t, p, netsimtest.Checksums())
			in, _ := netsimtest.Decode(tt.packet, false)
			if p.Src().Addr() != in.Dst().Addr() || p.Dst().Addr() != in.Src().Addr() {
				t.Errorf("reply %v to %v", p, in)
			}
			var kind, quote = "", []byte(nil)
			if p.ICMPv4 != nil {
				kind, quote = p.ICMPv4.TypeCode.String(), p.ICMPv4.Payload
			}
			if p.ICMPv6 != nil {
				kind, quote = p.ICMPv6.TypeCode.String(), p.ICMPv6.Payload[4:]
			}
			if kind != "DestinationUnreachable(Port)" && kind != "DestinationUnreachable(PortUnreachable)" {
				t.Errorf("message %s", kind)
			}
			// The IP header and 8 bytes: enough for the sender to find its socket.
			if !bytes.HasPrefix(tt.packet, quote) || len(quote) != len(tt.packet)-len(in.Body) {
				t.Errorf("quotes % x of % x", quote, tt.packet)
			}
		})
	}
}

func TestNothingToManyIsRefused(t *testing.T) {
	for _, to := range []string{"224.0.0.251:5353", "255.255.255.255:67", "[ff02::fb]:5353"} {
		dst := netip.MustParseAddrPort(to)
		from := app4
		if dst.Addr().Is6() {
			from = app6
		}
		for _, packet := range [][]byte{netsimtest.UDP(from, dst, []byte("x")), netsimtest.TCP(from, dst, "S", 1, 0, nil)} {
			n := bare(true)
			if reply := n.swallow(packet); reply != nil {
				t.Errorf("a packet to %s is answered with % x", to, reply)
			}
			if e := n.Egress(); len(e) != 1 || e[0].Policy != "refuse" {
				t.Errorf("a packet to %s: %+v", to, e)
			}
		}
	}
}

func TestKernelChatterIsIgnored(t *testing.T) {
	toGroup := func(next byte, options bool, message ...byte) []byte {
		p := make([]byte, 40)
		p[0], p[6] = 0x60, next
		copy(p[8:], netip.MustParseAddr("fe80::1").AsSlice())
		copy(p[24:], netip.MustParseAddr("ff02::16").AsSlice())
		if options { // a router alert, RFC 2711
			p[6] = 0
			p = append(p, next, 0, 5, 2, 0, 0, 1, 0)
		}
		return append(p, message...)
	}
	igmp := make([]byte, 28)
	igmp[0], igmp[9] = 0x45, 2
	copy(igmp[16:], []byte{224, 0, 0, 22})
	for _, tt := range []struct {
		name    string
		packet  []byte
		ignored bool
	}{
		{"router solicitation", toGroup(58, false, 133, 0, 0, 0), true},
		{"neighbour solicitation", toGroup(58, false, 135, 0, 0, 0), true},
		{"multicast listener report", toGroup(58, true, 143, 0, 0, 0), true},
		{"IGMP", igmp, true},
		{"echo to a group", toGroup(58, false, 128, 0, 0, 0), false},
		{"multicast DNS", netsimtest.UDP(app4, netip.MustParseAddrPort("224.0.0.251:5353"), []byte("x")), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := bare(true)
			n.swallow(tt.packet)
			if got := len(n.Egress()) == 0; got != tt.ignored {
				t.Errorf("ignored: %v, want %v (%+v)", got, tt.ignored, n.Egress())
			}
		})
	}
}

// A large datagram leaves in fragments, of which only the first has ports.
func TestFragments(t *testing.T) {
	whole := netsimtest.UDP(app4, dns4, query("shop.example.org"))
	first, later := bytes.Clone(whole), bytes.Clone(whole)
	first[6] = 0x20            // more fragments
	later[6], later[7] = 0, 30 // at byte 240
	whole6 := netsimtest.UDP(app6, dns6, query("shop.example.org"))
	fragment6 := func(offset uint16) []byte {
		p := append(bytes.Clone(whole6[:40]), 17, 0, byte(offset>>8), byte(offset), 0, 0, 0, 1)
		p[6] = 44
		return append(p, whole6[40:]...)
	}
	for _, tt := range []struct {
		name    string
		packet  []byte
		port    uint16
		refused bool
	}{
		{"IPv4, first", first, 53, true},
		{"IPv4, later", later, 0, false},
		{"IPv6, first", fragment6(1), 53, true},
		{"IPv6, later", fragment6(240), 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := bare(true)
			reply := n.swallow(tt.packet)
			if e := n.Egress(); len(e) != 1 || e[0].Proto != "udp" || e[0].Port != tt.port {
				t.Errorf("egress %+v, want udp to port %d", e, tt.port)
			}
			if (reply != nil) != tt.refused {
				t.Errorf("answered: %v, want %v", reply != nil, tt.refused)
			}
		})
	}
}
