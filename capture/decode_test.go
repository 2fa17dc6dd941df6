package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"tcpsandbox/capture/capturetest"
)

var (
	end4a, end4b = netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.2:80")
	end6a, end6b = netip.MustParseAddrPort("[2001:db8::1]:4000"), netip.MustParseAddrPort("[2001:db8::2]:80")
)

// frame is an Ethernet frame with "hello", 20 bytes of TCP options behind.
func frame(src, dst netip.AddrPort, vlan ...uint16) []byte {
	tcp := layers.TCP{Seq: 7, Ack: 9, ACK: true, PSH: true, Options: []layers.TCPOption{
		{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)},
		{OptionType: layers.TCPOptionKindNop},
	}}
	return capturetest.Frame(src, dst, vlan, tcp, []byte("hello"))
}

// insert returns b with what is put at offset at.
func insert(b []byte, at int, what ...byte) []byte {
	return append(append(append([]byte(nil), b[:at]...), what...), b[at:]...)
}

// edit returns b with 16 bits at each offset set.
func edit(b []byte, pairs ...int) []byte {
	b = bytes.Clone(b)
	for i := 0; i < len(pairs); i += 2 {
		binary.BigEndian.PutUint16(b[pairs[i]:], uint16(pairs[i+1]))
	}
	return b
}

func TestDecode(t *testing.T) {
	v4, v6 := frame(end4a, end4b), frame(end6a, end6b)
	ip4, ip6 := v4[14:], v6[14:]
	ext := func(first byte, headers ...byte) []byte { // IPv6 with extension headers before TCP
		b := insert(ip6, 40, headers...)
		b[6] = first
		return edit(b, 4, len(b)-40)
	}
	options := func() []byte { // IPv4 with 4 bytes of options
		b := insert(ip4, 20, 1, 1, 1, 1)
		b[0] = 0x46
		return edit(b, 2, len(b))
	}
	sll := func(proto int, ip []byte) []byte { return append(edit(make([]byte, 16), 14, proto), ip...) }
	sll2 := func(proto int, ip []byte) []byte { return append(edit(make([]byte, 20), 0, proto), ip...) }
	for _, c := range []struct {
		name string
		link LinkType
		data []byte
		want verdict
	}{
		{"IPv4", LinkEthernet, v4, isTCP},
		{"IPv6", LinkEthernet, v6, isTCP},
		{"VLAN", LinkEthernet, frame(end4a, end4b, 5), isTCP},
		{"three tags, IPv6", LinkEthernet, frame(end6a, end6b, 5, 6, 7), isTCP},
		{"padding is no payload", LinkEthernet, append(bytes.Clone(v4), 0, 0, 0, 0, 0, 0), isTCP},
		{"options", LinkRaw, options(), isTCP},
		{"total length 0", LinkRaw, edit(ip4, 2, 0), isTCP},
		{"payload length 0", LinkRaw, edit(ip6, 4, 0), isTCP},
		{"raw, as on BSD", LinkRaw12, ip4, isTCP},
		{"raw, as on OpenBSD", LinkRaw14, ip6, isTCP},
		{"raw IPv4", LinkIPv4, ip4, isTCP},
		{"raw IPv6", LinkIPv6, ip6, isTCP},
		{"null", LinkNull, append([]byte{2, 0, 0, 0}, ip4...), isTCP},
		{"null, IPv6 of macOS", LinkNull, append([]byte{30, 0, 0, 0}, ip6...), isTCP},
		{"loop", LinkLoop, append([]byte{0, 0, 0, 24}, ip6...), isTCP},
		{"cooked", LinkSLL, sll(etherIPv4, ip4), isTCP},
		{"cooked with tag", LinkSLL, sll(etherVLAN, append([]byte{0, 5, 0x86, 0xdd}, ip6...)), isTCP},
		{"cooked, version 2", LinkSLL2, sll2(etherIPv6, ip6), isTCP},
		{"hop by hop", LinkRaw, ext(0, 6, 0, 1, 4, 0, 0, 0, 0), isTCP},
		{"destination options and routing", LinkRaw, ext(60, append([]byte{43, 0, 1, 4, 0, 0, 0, 0}, 6, 0, 0, 0, 0, 0, 0, 0)...), isTCP},
		{"authentication", LinkRaw, ext(51, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), isTCP},
		{"atomic fragment", LinkRaw, ext(44, 6, 0, 0, 0, 0, 0, 0, 1), isTCP},
		{"IPv6 fragment", LinkRaw, ext(44, 6, 0, 0, 1, 0, 0, 0, 1), isFragment},
		{"IPv4 fragment", LinkRaw, edit(ip4, 6, 0x2000), isFragment},
		{"last fragment", LinkRaw, edit(ip4, 6, 0x0010), isFragment},
		{"IP in IP", LinkRaw, ipip(protoIPIP, ip4), isTCP},
		{"IPv6 in IP", LinkRaw, ipip(protoIPIP+37, ip6), isTCP},

		{"ARP", LinkEthernet, edit(v4, 12, 0x0806), isOther},
		{"802.3", LinkEthernet, edit(v4, 12, 60), isOther},
		{"UDP", LinkRaw, insert(ip4[:9], 9, append([]byte{17}, ip4[10:]...)...), isMalformed},
		{"type and version differ", LinkEthernet, edit(v4, 12, etherIPv6), isMalformed},
		{"version 5", LinkRaw, insert(ip4[1:], 0, 0x55), isMalformed},
		{"header of 16 bytes", LinkRaw, insert(ip4[1:], 0, 0x44), isMalformed},
		{"shorter than its header", LinkRaw, edit(ip4, 2, 19), isMalformed},
		{"TCP header of 16 bytes", LinkRaw, edit(ip4, 32, 0x4010), isMalformed},
		{"TCP header longer than the packet", LinkRaw, edit(ip4[:45], 2, 45, 32, 0xf010), isMalformed},
		{"five tags", LinkEthernet, frame(end4a, end4b, 1, 2, 3, 4, 5), isMalformed},
		{"endless extension headers", LinkRaw, ext(60, bytes.Repeat([]byte{60, 0, 1, 4, 0, 0, 0, 0}, 20)...), isMalformed},
		{"nothing", LinkRaw, nil, isMalformed},
		{"ATM", LinkType(123), v4, isUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seg segment
			var ip ipInfo
			_, got := decode(c.data, len(c.data), c.link, &seg, &ip)
			if got != c.want {
				t.Fatalf("verdict %d, want %d", got, c.want)
			}
			if got != isTCP {
				return
			}
			if string(seg.payload) != "hello" || seg.length != 5 || seg.seq != 7 || seg.ack != 9 || seg.flags != flagACK|flagPSH {
				t.Errorf("%+v", seg)
			}
			lo, hi := seg.key.endpoints()
			if seg.flipped || lo != end4a && lo != end6a || hi != end4b && hi != end6b {
				t.Errorf("%v, %v, flipped %v", lo, hi, seg.flipped)
			}
		})
	}
	t.Run("cut anywhere", func(t *testing.T) {
		var seg segment
		var ip ipInfo
		for n := range v4 {
			_, got := decode(v4[:n], len(v4), LinkEthernet, &seg, &ip)
			switch {
			case n < 14+20+20 && got != isMalformed:
				t.Errorf("%d bytes: verdict %d", n, got)
			case n >= 14+20+20 && (got != isTCP || seg.length != 5 || len(seg.payload) != max(0, n-(len(v4)-5))):
				t.Errorf("%d bytes: verdict %d, %d of %d bytes", n, got, len(seg.payload), seg.length)
			}
		}
	})
	t.Run("both directions find the same flow", func(t *testing.T) {
		var there, back segment
		var ip ipInfo
		decode(frame(end4a, end4b), 0, LinkEthernet, &there, &ip)
		decode(frame(end4b, end4a), 0, LinkEthernet, &back, &ip)
		if there.key != back.key || there.flipped == back.flipped {
			t.Errorf("%+v and %+v", there, back)
		}
	})
}

// ipip wraps an IP packet into IPv4.
func ipip(proto byte, inner []byte) []byte {
	b := append(make([]byte, 20), inner...)
	b[0], b[8], b[9] = 0x45, 64, proto
	return edit(b, 2, len(b))
}

func TestDecodeAllocatesNothing(t *testing.T) {
	data := frame(end6a, end6b, 5)
	var seg segment
	var ip ipInfo
	if n := testing.AllocsPerRun(100, func() { decode(data, len(data), LinkEthernet, &seg, &ip) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDecode compares with gopacket where both see TCP, and looks for panics
// and impossible lengths everywhere.
func FuzzDecode(f *testing.F) {
	for _, b := range [][]byte{
		frame(end4a, end4b), frame(end6a, end6b), frame(end4a, end4b, 5, 6),
		append(edit(frame(end4a, end4b), 12, 0x0800), 0, 0, 0),
	} {
		f.Add(b, uint16(LinkEthernet), uint16(len(b)))
	}
	f.Add(frame(end6a, end6b)[14:], uint16(LinkRaw), uint16(60))
	f.Add(ipip(protoIPIP, frame(end4a, end4b)[14:]), uint16(LinkRaw), uint16(0))
	for _, c := range tunnels {
		for _, inner := range [][]byte{frame(end4a, end4b), frame(end6a, end6b)} {
			b := c.wrap(inner)
			f.Add(b, uint16(LinkEthernet), uint16(len(b)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, link, wire uint16) {
		var seg segment
		var ip ipInfo
		payload, v := decode(data, int(wire), LinkType(link), &seg, &ip)
		switch v {
		case isFragment:
			if ip.offset < 0 || len(payload) > len(data) {
				t.Fatalf("fragment %+v of %d bytes", ip, len(payload))
			}
			var d defragmenter
			d.add(&ip, payload, 1)
			decodeUpper(payload, &seg, &ip)
			return
		case isWrapped:
			t.Fatal("decoding did not end")
		case isTCP, isUDP:
			if n := len(ip.path.String()); (n > 0) != (ip.path.id != 0) {
				t.Fatalf("path %x is called %q", ip.path.id, ip.path.String())
			}
			if len(seg.payload) > len(data) || seg.length < len(seg.payload) {
				t.Fatalf("%d bytes of payload, %d on the wire, in %d", len(seg.payload), seg.length, len(data))
			}
		}
		if LinkType(link) != LinkEthernet || int(wire) != len(data) {
			return
		}
		p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy)
		if p.ErrorLayer() != nil || p.Metadata().Truncated {
			return
		}
		var names []string
		for _, l := range p.Layers() {
			names = append(names, l.LayerType().String())
		}
		stack := strings.Join(names, " ")
		tcp, ok := p.TransportLayer().(*layers.TCP)
		plain := strings.HasPrefix(stack, "Ethernet IPv4 TCP") || strings.HasPrefix(stack, "Ethernet Dot1Q IPv4 TCP") ||
			strings.HasPrefix(stack, "Ethernet IPv6 TCP") || strings.HasPrefix(stack, "Ethernet Dot1Q IPv6 TCP")
		if !ok || !plain || ip.fragment {
			return
		}
		if ip4, ok := p.NetworkLayer().(*layers.IPv4); ok && (ip4.Version != 4 || ip4.Length == 0) {
			return // gopacket believes the Ethernet type, and has its own idea of length 0
		}
		if ip6, ok := p.NetworkLayer().(*layers.IPv6); ok && (ip6.Version != 6 || ip6.Length == 0) {
			return
		}
		if v != isTCP {
			t.Fatalf("verdict %d, gopacket sees %s", v, stack)
		}
		if seg.seq != tcp.Seq || seg.ack != tcp.Ack || int(seg.srcPort) != int(tcp.SrcPort) || !bytes.Equal(seg.payload, tcp.Payload) {
			t.Fatalf("%+v, gopacket %+v", seg, tcp)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"IPv4", frame(end4a, end4b)}, {"IPv6 with tag", frame(end6a, end6b, 5)},
		{"IPv4 in VXLAN", capturetest.VXLAN(7)(frame(end4a, end4b))},
	} {
		b.Run(c.name, func(b *testing.B) {
			var seg segment
			var ip ipInfo
			for range b.N {
				decode(c.data, len(c.data), LinkEthernet, &seg, &ip)
			}
		})
	}
}

func BenchmarkArena(b *testing.B) {
	var sink [256][]byte
	for _, size := range []int{200, 600, 1448} {
		p := make([]byte, size)
		for _, kind := range []string{"slab", "single"} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) {
				var free []byte
				b.SetBytes(int64(size))
				for i := range b.N {
					if kind == "single" {
						sink[i%256] = append([]byte(nil), p...)
						continue
					}
					if len(free) < size {
						free = make([]byte, slabSize)
					}
					n := copy(free, p)
					sink[i%256] = free[:n:n]
					free = free[n:]
				}
			})
		}
	}
}

// FuzzDefrag cuts a datagram into fragments, sends them in the order that the
// input says, some twice, and wants the datagram back.
func FuzzDefrag(f *testing.F) {
	f.Add(uint16(100), []byte{0, 1, 2, 3})
	f.Add(uint16(3000), []byte{200, 7, 9, 0, 0, 1})
	f.Fuzz(func(t *testing.T, size uint16, order []byte) {
		if size == 0 || len(order) > maxFragments {
			return // of more fragments a datagram is given up
		}
		whole := make([]byte, size)
		for i := range whole {
			whole[i] = byte(i*7 + i>>8)
		}
		const unit = 64
		count := (len(whole) + unit - 1) / unit
		var d defragmenter
		sent := make([]bool, count)
		missing := count
		for i, o := range order {
			n := (int(o) + i*13) % count
			from := n * unit
			to := min(from+unit*(1+int(o)%3), len(whole)) // overlapping its neighbours
			got, _ := d.add(&ipInfo{proto: protoTCP, id: 1, offset: from, more: to < len(whole)}, whole[from:to], int64(i+1))
			for k := n; k*unit < to; k++ {
				if !sent[k] {
					sent[k] = true
					missing--
				}
			}
			if (got != nil) != (missing == 0) {
				t.Fatalf("after %d fragments, %d missing: %d bytes", i+1, missing, len(got))
			}
			if got != nil {
				if !bytes.Equal(got, whole) {
					t.Fatal("the datagram differs")
				}
				return
			}
		}
	})
}

func TestDefragIsBounded(t *testing.T) {
	var d defragmenter
	for i := range 10 * maxDatagrams {
		d.add(&ipInfo{proto: protoTCP, id: uint32(i), more: true}, make([]byte, 64), int64(i))
	}
	if len(d.open) > maxDatagrams || d.expired != 9*maxDatagrams {
		t.Errorf("%d open, %d given up", len(d.open), d.expired)
	}
	d.add(&ipInfo{proto: protoTCP, id: 1 << 20, more: true}, make([]byte, 8), 0)
	if whole, _ := d.add(&ipInfo{proto: protoTCP, id: 1 << 20, offset: 8}, make([]byte, 8), datagramTimeout+1); whole != nil {
		t.Error("fragments too far apart in time were put together")
	}
}
