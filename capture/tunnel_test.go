package capture

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"tcpsandbox/capture/capturetest"
)

var synTCP = layers.TCP{Seq: 1, SYN: true}

// tunnels are all that decode looks into, around IPv4 and IPv6 alike.
var tunnels = []struct {
	name string
	wrap capturetest.Wrap
	via  string
}{
	{"VXLAN", capturetest.VXLAN(4711), "vxlan 4711"},
	{"GENEVE", capturetest.GENEVE(7, 0), "geneve 7"},
	{"GENEVE with options", capturetest.GENEVE(7, 20), "geneve 7"},
	{"GTP-U", capturetest.GTP(99, false), "gtp 99"},
	{"GTP-U of 5G", capturetest.GTP(99, true), "gtp 99"},
	{"GRE", capturetest.GRE(), "gre"},
	{"GRE with key", capturetest.GREKey(3), "gre 3"},
	{"ERSPAN I", capturetest.ERSPAN(1, 0), "erspan"},
	{"ERSPAN II", capturetest.ERSPAN(2, 5), "erspan 5"},
	{"ERSPAN III", capturetest.ERSPAN(3, 5), "erspan 5"},
	{"IP in IP", capturetest.IPIP(), "ipip"},
	{"MPLS", capturetest.MPLS(1000, 17), "mpls 17"},
	{"MPLS, explicit null", capturetest.MPLS(0), ""},
	{"Ethernet in MPLS", capturetest.MPLSEthernet(18), "mpls 18"},
	{"PPPoE", capturetest.PPPoE(9), "pppoe 9"},
	{"PPPoE in VXLAN in GRE", capturetest.Wraps(capturetest.PPPoE(9), capturetest.VXLAN(8), capturetest.GREKey(7)), "gre 7, vxlan 8, pppoe 9"},
}

func TestDecodeTunnels(t *testing.T) {
	for _, c := range tunnels {
		for _, version := range []string{"IPv4", "IPv6"} {
			t.Run(c.name+", "+version, func(t *testing.T) {
				inner := frame(end4a, end4b)
				if version == "IPv6" {
					inner = frame(end6a, end6b)
				}
				data := c.wrap(inner)
				var seg segment
				var ip ipInfo
				if _, v := decode(data, len(data), LinkEthernet, &seg, &ip); v != isTCP {
					t.Fatalf("verdict %d", v)
				}
				lo, hi := seg.key.endpoints()
				if string(seg.payload) != "hello" || seg.length != 5 || lo.Port() != 4000 || hi.Port() != 80 || seg.flipped {
					t.Errorf("%v, %v, %+v", lo, hi, seg)
				}
				if ip.path.String() != c.via || (seg.path == 0) != (c.via == "") {
					t.Errorf("travelled in %q (%x), want %q", ip.path.String(), seg.path, c.via)
				}
				// The capture may cut anywhere.
				for n := range data {
					_, v := decode(data[:n], len(data), LinkEthernet, &seg, &ip)
					switch {
					case v == isTCP && (seg.length != 5 || len(seg.payload) != max(0, n-(len(data)-5))):
						t.Errorf("%d bytes: %d of %d bytes of payload", n, len(seg.payload), seg.length)
					case n >= len(data)-5 && v != isTCP:
						t.Errorf("%d bytes: verdict %d", n, v)
					}
				}
				ip.plain = true
				if _, v := decode(data, len(data), LinkEthernet, &seg, &ip); v != isOther && v != isUDP {
					t.Errorf("not to be looked into: verdict %d", v)
				}
				if n := testing.AllocsPerRun(10, func() { decode(data, len(data), LinkEthernet, &seg, &ip) }); n != 0 {
					t.Errorf("%v allocations", n)
				}
			})
		}
	}
}

// TestPathNames wants one id for one path in all the orders and depths there
// are: a swap, or another nesting, is another path.
func TestPathNames(t *testing.T) {
	seen := make(map[uint64]string)
	for a := range 64 {
		for b := range 64 {
			for kind := wrapVLAN; kind <= wrapIPIP; kind++ {
				var p path
				p.enter(wrapVLAN, uint64(a))
				p.enter(kind, uint64(b))
				if other := seen[p.id]; other != "" {
					t.Fatalf("%v and %s have the same id", &p, other)
				}
				if seen[p.id] = p.String(); p.id == 0 || p.id == noPath {
					t.Fatalf("%v has id %x", &p, p.id)
				}
			}
		}
	}
}

func TestDecodePPP(t *testing.T) {
	ip4, ip6 := frame(end4a, end4b)[14:], frame(end6a, end6b)[14:]
	for _, c := range []struct {
		name string
		link LinkType
		data []byte
	}{
		{"PPP", LinkPPP, append([]byte{0, 0x21}, ip4...)},
		{"PPP with address and control", LinkPPPSerial, append([]byte{0xff, 3, 0, 0x57}, ip6...)},
		{"protocol in one byte", LinkPPP, append([]byte{0x21}, ip4...)},
		{"PPPoE", LinkPPPoE, append([]byte{0x11, 0, 0, 9, 0, byte(len(ip4) + 2), 0, 0x21}, ip4...)},
	} {
		var seg segment
		var ip ipInfo
		if _, v := decode(c.data, len(c.data), c.link, &seg, &ip); v != isTCP || string(seg.payload) != "hello" {
			t.Errorf("%s: verdict %d, %q", c.name, v, seg.payload)
		}
	}
}

// TestTunnelFragments cuts the outer packets, as routers do when a tunnel's
// header makes them too long, and has the pieces come in any order.
func TestTunnelFragments(t *testing.T) {
	for _, c := range tunnels {
		data := c.wrap(capturetest.Frame(end4a, end4b, nil, synTCP, nil))
		if data[12] != 8 || data[13] != 0 {
			continue // no outer IP packet
		}
		for _, backwards := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, backwards), func(t *testing.T) {
				asm := NewAssembler(AssemblerConfig{})
				parts := capturetest.Fragments(data, 24)
				if backwards {
					slices.Reverse(parts)
				}
				var batch []Packet
				for _, p := range parts {
					batch = append(batch, Packet{Data: p, Time: 1, OrigLen: len(p), Link: LinkEthernet})
				}
				got := asm.Packets(batch)
				if len(got) != 1 || got[0].Client != end4a || got[0].Via != c.via {
					t.Errorf("%d sessions; %+v", len(got), asm.Stats())
				}
			})
		}
	}
	t.Run("inside and outside", func(t *testing.T) {
		asm := NewAssembler(AssemblerConfig{})
		var batch []Packet
		for _, inner := range capturetest.Fragments(capturetest.Frame(end4a, end4b, nil, synTCP, bytes.Repeat([]byte("x"), 100)), 40) {
			for _, p := range capturetest.Fragments(capturetest.VXLAN(5)(inner), 48) {
				batch = append(batch, Packet{Data: p, Time: 1, OrigLen: len(p), Link: LinkEthernet})
			}
		}
		if got := asm.Packets(batch); len(got) != 1 || got[0].Via != "vxlan 5" {
			t.Errorf("%d sessions; %+v", len(got), asm.Stats())
		}
	})
}
