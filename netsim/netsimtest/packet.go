// Package netsimtest is an in-memory wire for tests of netsim: the TUN file is
// one end of a socket pair, and the test holds the other and plays the
// application's kernel packet by packet. No privileges are needed.
//
//	wire := netsimtest.NewWire(t, offload)
//	n, err := netsim.New(netsim.Config{TUN: wire.TUN, MTU: 1500, Offload: offload})
//	…
//	peer := wire.Peer(client, server)
//	peer.Accept()                                     // SYN, SYN+ACK
//	peer.Expect(netsimtest.Flags("A"), netsimtest.Payload("GET"))
//	peer.Send("PA", "answer")
//
// Packets are built and checked with gopacket, which shares no code with the
// stack under test.
package netsimtest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// VirtioHeader is the length of struct virtio_net_hdr, which precedes each
// packet in offload mode.
const VirtioHeader = 10

// Packet is a decoded IP packet. The layers that it has not got are nil.
type Packet struct {
	Virtio []byte // empty in plain mode
	Raw    []byte // from the IP header on
	IPv4   *layers.IPv4
	IPv6   *layers.IPv6
	TCP    *layers.TCP
	UDP    *layers.UDP
	ICMPv4 *layers.ICMPv4
	ICMPv6 *layers.ICMPv6
	Body   []byte // what TCP or UDP carries
}

// Decode takes a packet as it stands in the TUN file.
func Decode(raw []byte, offload bool) (*Packet, error) {
	p := &Packet{Raw: raw}
	if offload {
		if len(raw) < VirtioHeader {
			return nil, fmt.Errorf("packet of %d bytes has no virtio header", len(raw))
		}
		p.Virtio, p.Raw = raw[:VirtioHeader], raw[VirtioHeader:]
	}
	if len(p.Raw) == 0 {
		return nil, fmt.Errorf("empty packet")
	}
	first := layers.LayerTypeIPv4
	if p.Raw[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	all := gopacket.NewPacket(p.Raw, first, gopacket.NoCopy)
	// What UDP carries need not be what its port promises.
	if fail := all.ErrorLayer(); fail != nil && all.TransportLayer() == nil {
		return nil, fail.Error()
	}
	for _, l := range all.Layers() {
		switch l := l.(type) {
		case *layers.IPv4:
			p.IPv4 = l
		case *layers.IPv6:
			p.IPv6 = l
		case *layers.TCP:
			p.TCP, p.Body = l, l.Payload
		case *layers.UDP:
			p.UDP, p.Body = l, l.Payload
		case *layers.ICMPv4:
			p.ICMPv4 = l
		case *layers.ICMPv6:
			p.ICMPv6 = l
		}
	}
	return p, nil
}

// Src and Dst return the addresses, with ports where there are any.
func (p *Packet) Src() netip.AddrPort { return p.end(0) }

// Dst is the other one.
func (p *Packet) Dst() netip.AddrPort { return p.end(1) }

func (p *Packet) end(i int) netip.AddrPort {
	var ip netip.Addr
	switch {
	case p.IPv4 != nil:
		ip, _ = netip.AddrFromSlice([][]byte{p.IPv4.SrcIP, p.IPv4.DstIP}[i])
	case p.IPv6 != nil:
		ip, _ = netip.AddrFromSlice([][]byte{p.IPv6.SrcIP, p.IPv6.DstIP}[i])
	}
	var port uint16
	switch {
	case p.TCP != nil:
		port = []uint16{uint16(p.TCP.SrcPort), uint16(p.TCP.DstPort)}[i]
	case p.UDP != nil:
		port = []uint16{uint16(p.UDP.SrcPort), uint16(p.UDP.DstPort)}[i]
	}
	return netip.AddrPortFrom(ip.Unmap(), port)
}

// String describes the packet in a line: "192.0.2.1:4000 > 10.0.0.1:80 [SA] seq 1 ack 2 len 3".
func (p *Packet) String() string {
	s := fmt.Sprintf("%v > %v", p.Src(), p.Dst())
	switch {
	case p.TCP != nil:
		return fmt.Sprintf("%s [%s] seq %d ack %d len %d", s, flagsOf(p.TCP), p.TCP.Seq, p.TCP.Ack, len(p.Body))
	case p.UDP != nil:
		return fmt.Sprintf("%s udp len %d", s, len(p.Body))
	case p.ICMPv4 != nil:
		return fmt.Sprintf("%s icmp %v", s, p.ICMPv4.TypeCode)
	case p.ICMPv6 != nil:
		return fmt.Sprintf("%s icmpv6 %v", s, p.ICMPv6.TypeCode)
	}
	return s
}

// flagsOf returns the flags as letters, in the order S F R P A.
func flagsOf(t *layers.TCP) string {
	var b strings.Builder
	for _, f := range []struct {
		set    bool
		letter byte
	}{{t.SYN, 'S'}, {t.FIN, 'F'}, {t.RST, 'R'}, {t.PSH, 'P'}, {t.ACK, 'A'}} {
		if f.set {
			b.WriteByte(f.letter)
		}
	}
	return b.String()
}

// TCP builds a TCP segment with the given flag letters and correct checksums.
// options may be empty.
func TCP(src, dst netip.AddrPort, flags string, seq, ack uint32, payload []byte, options ...layers.TCPOption) []byte {
	has := func(letter string) bool { return strings.Contains(flags, letter) }
	t := &layers.TCP{
		SrcPort: layers.TCPPort(src.Port()), DstPort: layers.TCPPort(dst.Port()), Seq: seq, Ack: ack, Window: 65535,
		SYN: has("S"), FIN: has("F"), RST: has("R"), PSH: has("P"), ACK: has("A"), Options: options,
	}
	return serialize(src.Addr(), dst.Addr(), layers.IPProtocolTCP, t, payload)
}

// UDP builds a datagram with correct checksums.
func UDP(src, dst netip.AddrPort, payload []byte) []byte {
	u := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	return serialize(src.Addr(), dst.Addr(), layers.IPProtocolUDP, u, payload)
}

type transport interface {
	gopacket.SerializableLayer
	SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
}

func serialize(src, dst netip.Addr, proto layers.IPProtocol, t transport, payload []byte) []byte {
	var ip interface {
		gopacket.SerializableLayer
		gopacket.NetworkLayer
	}
	if src.Is4() {
		ip = &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	} else {
		ip = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	}
	t.SetNetworkLayerForChecksum(ip)
	buf := gopacket.NewSerializeBuffer()
	opt := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opt, ip, t, gopacket.Payload(payload)); err != nil {
		panic("netsimtest: " + err.Error()) // a payload over 64 KiB
	}
	return buf.Bytes()
}

// Checker looks at one property of a packet and reports what is wrong.
type Checker func(t testing.TB, p *Packet)

// Check applies checkers to a packet.
func Check(t testing.TB, p *Packet, checks ...Checker) {
	t.Helper()
	for _, c := range checks {
		c(t, p)
	}
}

// Flags checks the TCP flags, PSH aside: "S", "SA", "A", "FA", "R", "RA".
func Flags(want string) Checker {
	return func(t testing.TB, p *Packet) {
		t.Helper()
		if p.TCP == nil {
			t.Errorf("%v: want TCP with flags %s", p, want)
		} else if got := strings.Replace(flagsOf(p.TCP), "P", "", 1); got != want {
			t.Errorf("%v: flags %s, want %s", p, got, want)
		}
	}
}

// Seq checks the sequence number.
func Seq(want uint32) Checker {
	return func(t testing.TB, p *Packet) {
		t.Helper()
		if p.TCP == nil || p.TCP.Seq != want {
			t.Errorf("%v: want sequence number %d", p, want)
		}
	}
}

// Ack checks the acknowledgement number.
func Ack(want uint32) Checker {
	return func(t testing.TB, p *Packet) {
		t.Helper()
		if p.TCP == nil || p.TCP.Ack != want {
			t.Errorf("%v: want acknowledgement number %d", p, want)
		}
	}
}

// Payload checks what the packet carries.
func Payload(want string) Checker {
	return func(t testing.TB, p *Packet) {
		t.Helper()
		if string(p.Body) != want {
			t.Errorf("%v: carries %.60q, want %.60q", p, p.Body, want)
		}
	}
}

// Ends checks source and destination.
func Ends(src, dst netip.AddrPort) Checker {
	return func(t testing.TB, p *Packet) {
		t.Helper()
		if p.Src() != src || p.Dst() != dst {
			t.Errorf("%v: want %v > %v", p, src, dst)
		}
	}
}

// Checksums checks every checksum in the packet: the words of what it covers,
// itself included, must add up to all ones (RFC 1071 §1).
func Checksums() Checker {
	return func(t testing.TB, p *Packet) {
		t.Helper()
		for _, c := range []struct {
			layer string
			sum   uint16
		}{{"IP", p.ipSum()}, {"transport", p.transportSum()}} {
			if c.sum != 0 && c.sum != 0xffff {
				t.Errorf("%v: %s checksum is wrong: all words add up to %#04x", p, c.layer, c.sum)
			}
		}
	}
}

// ipSum adds up the words of an IPv4 header, the checksum included: 0xffff if
// it is right.
func (p *Packet) ipSum() uint16 {
	if p.IPv4 == nil {
		return 0xffff
	}
	return fold(words(0, p.IPv4.Contents))
}

func (p *Packet) transportSum() uint16 {
	var proto layers.IPProtocol
	var body, addresses []byte
	switch {
	case p.IPv4 != nil:
		proto, body, addresses = p.IPv4.Protocol, p.IPv4.Payload, p.Raw[12:20]
		if proto == layers.IPProtocolICMPv4 {
			return fold(words(0, body))
		}
	case p.IPv6 != nil:
		proto, body, addresses = p.IPv6.NextHeader, p.IPv6.Payload, p.Raw[8:40]
	}
	sum := words(uint64(proto)+uint64(len(body)), addresses)
	return fold(words(sum, body))
}

func words(sum uint64, b []byte) uint64 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
