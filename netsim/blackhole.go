package netsim

import (
	"encoding/binary"
	"net/netip"
	"sort"
	"strconv"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Packets that the application sends and that belong to no replayed session
// end here: they are counted by protocol and destination, and dropped or
// refused. They never enter the stack, so a flood of them cannot slow the
// injector.

// maxEgress bounds the table; what comes to further destinations is counted
// under the unspecified address.
const maxEgress = 4096

// Egress is what the application tried to send to one destination.
type Egress struct {
	Proto   string     // "tcp", "udp", "icmp", "icmpv6", or the IP protocol number
	Dst     netip.Addr // the zero Addr stands for all beyond the table's bound
	Port    uint16     // 0 where the protocol has none
	Packets uint64
	Bytes   uint64 // of IP packets; for what Serve takes, of what they carried
	// PacketsBack and BytesBack came from the destination, where it was let
	// through to.
	PacketsBack, BytesBack uint64
	Policy                 string // "drop", "refuse", "allow", or "answer" for DNS queries answered here
	Name                   string // what a DNS query asked for, or by which the destination is known
	Guess                  string // what the first bytes let through look like: "tls", "http" …; "" not known
	Host                   string // whom they name: TLS SNI, HTTP Host
	// Loopback: by a socket of Serve or ServeNames, so that it passed no device and
	// is not in Fates.
	Loopback bool
}

type egressKey struct {
	proto  uint8
	dst    netip.Addr
	port   uint16
	policy string
	inside bool // Egress.Loopback
}

type blackHole struct {
	refuse bool
	mu     sync.Mutex
	m      map[egressKey]*Egress
	names  map[netip.Addr]string // by which addresses were found
}

// maxNames bounds the names of addresses, as maxEgress does the addresses.
const maxNames = 4096

func (h *blackHole) init(refuse bool) {
	h.refuse = refuse
	h.m = make(map[egressKey]*Egress)
	h.names = make(map[netip.Addr]string)
}

// resolved notes by which name an address was found.
func (h *blackHole) resolved(name string, a netip.Addr) {
	h.mu.Lock()
	if len(h.names) < maxNames {
		h.names[a] = name
	}
	h.mu.Unlock()
}

// policy is what happens to what is not let through.
func (h *blackHole) policy() string {
	if h.refuse {
		return "refuse"
	}
	return "drop"
}

// Egress returns what was swallowed so far, and what was let through, most
// packets first.
func (n *Net) Egress() []Egress {
	n.hole.mu.Lock()
	list := make([]Egress, 0, len(n.hole.m))
	for _, e := range n.hole.m {
		list = append(list, *e)
	}
	n.hole.mu.Unlock()
	if n.gate != nil {
		list = n.gate.egress(list)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := &list[i], &list[j]
		if a.Packets != b.Packets {
			return a.Packets > b.Packets
		}
		if c := a.Dst.Compare(b.Dst); c != 0 {
			return c < 0
		}
		return a.Port < b.Port
	})
	return list
}

// destination is what a packet's headers say.
type destination struct {
	proto     uint8
	ipLen     int // of the IP headers
	src, dst  netip.Addr
	sport     uint16
	port      uint16
	transport []byte // from the transport header on, as far as it was read; nil in a later fragment
	inside    bool   // no packet said so, but a socket on the application's loopback
}

// demux finds the connection that a packet from the application belongs to,
// and notes what the application's kernel acknowledges and says of itself.
// Without a connection it returns where the packet was going.
func (n *Net) demux(p []byte) (*Conn, *destination) {
	var f flow
	var t []byte
	switch {
	case len(p) >= 40 && p[0]>>4 == 4 && p[9] == uint8(header.TCPProtocolNumber):
		l := int(p[0]&15) * 4
		if len(p) < l+20 {
			return nil, parseDestination(p)
		}
		f.server = mapped([4]byte(p[12:16]))
		f.client = mapped([4]byte(p[16:20]))
		t = p[l:]
	case len(p) >= 60 && p[0]>>4 == 6 && p[6] == uint8(header.TCPProtocolNumber):
		f.server, f.client = [16]byte(p[8:24]), [16]byte(p[24:40])
		t = p[40:]
	default:
		return nil, parseDestination(p)
	}
	f.serverPort = binary.BigEndian.Uint16(t)
	f.clientPort = binary.BigEndian.Uint16(t[2:])
	c := n.flows.get(&f)
	if c == nil {
		return nil, parseDestination(p)
	}
	if t[13]&byte(header.TCPFlagAck) != 0 {
		have := c.acked.Load()
		base := c.iss.Load() + 1
		if delta := int32(binary.BigEndian.Uint32(t[8:]) - base - uint32(have)); delta > 0 {
			c.acked.Store(have + uint64(delta))
		}
	}
	c.heard.note(t)
	return c, nil
}

func mapped(a [4]byte) (b [16]byte) {
	b[10], b[11] = 0xff, 0xff
	copy(b[12:], a[:])
	return b
}

func parseDestination(p []byte) *destination {
	d := new(destination)
	later := false // not the first fragment: no ports, and never a reason for ICMP (RFC 1122 §3.2.2)
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		d.proto, d.ipLen = p[9], int(p[0]&15)*4
		d.src, d.dst = netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
		later = binary.BigEndian.Uint16(p[6:])&0x1fff != 0
	case len(p) >= 40 && p[0]>>4 == 6:
		d.proto, d.ipLen = p[6], 40
		d.src, d.dst = netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
		if d.proto == 0 && len(p) >= 48 { // hop-by-hop options, as multicast listener reports carry
			d.proto, d.ipLen = p[40], 48+int(p[41])*8
		}
		if p[6] == 44 && len(p) >= 48 { // a fragment, RFC 8200 §4.5
			d.proto, d.ipLen = p[40], 48
			later = binary.BigEndian.Uint16(p[42:])&^7 != 0
		}
	default:
		return nil
	}
	if len(p) > d.ipLen && !later {
		d.transport = p[d.ipLen:]
	}
	switch tcpip.TransportProtocolNumber(d.proto) {
	case header.TCPProtocolNumber, header.UDPProtocolNumber:
		if len(d.transport) >= 4 {
			d.sport = binary.BigEndian.Uint16(d.transport)
			d.port = binary.BigEndian.Uint16(d.transport[2:])
		}
	}
	return d
}

// swallow counts a packet of n bytes, of which p is the beginning, and returns
// its fate and the packet to answer with (virtio header first), or nil.
func (h *blackHole) swallow(p []byte, n int, d *destination) (fate, []byte) {
	if d.chatter() {
		return fateHousekeeping, nil
	}
	if tcpip.TransportProtocolNumber(d.proto) == header.TCPProtocolNumber && len(d.transport) >= 20 {
		flags := header.TCPFlags(d.transport[13])
		if flags&header.TCPFlagSyn == 0 || flags&header.TCPFlagAck != 0 {
			// No attempt to connect but a straggler of a session that the
			// stack has forgotten. As any host would, tell its kernel.
			if flags&header.TCPFlagRst != 0 {
				return fateLate, nil
			}
			return fateLate, d.reset(n - d.ipLen)
		}
	}
	h.count(n, d, h.policy())
	if !h.refuse {
		return fateSwallowed, nil
	}
	if d.toMany() {
		return fateRefused, nil
	}
	switch tcpip.TransportProtocolNumber(d.proto) {
	case header.TCPProtocolNumber:
		return fateRefused, d.reset(n - d.ipLen)
	case header.UDPProtocolNumber:
		if d.transport != nil {
			return fateRefused, d.unreachable(p)
		}
	}
	return fateRefused, nil
}

func (h *blackHole) count(n int, d *destination, policy string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := egressKey{d.proto, d.dst, d.port, policy, d.inside}
	e := h.m[k]
	if e == nil {
		if len(h.m) >= maxEgress {
			k.dst, k.port = netip.Addr{}, 0
			e = h.m[k]
		}
		if e == nil {
			e = &Egress{Proto: protoName(d.proto), Dst: k.dst, Port: k.port, Policy: policy, Name: h.names[k.dst], Loopback: d.inside}
			h.m[k] = e
		}
	}
	e.Packets++
	e.Bytes += uint64(n)
	if e.Name == "" && d.port == 53 && d.proto == uint8(header.UDPProtocolNumber) && len(d.transport) > 8 {
		e.Name = queryName(d.transport[8:])
	}
}

// chatter is what the namespace's own kernel sends by itself: neighbour and
// router discovery, multicast membership.
func (d *destination) chatter() bool {
	if !d.dst.IsMulticast() || len(d.transport) == 0 {
		return false
	}
	switch {
	case d.proto == uint8(header.ICMPv6ProtocolNumber):
		t := d.transport[0] // RFC 4861: 133 to 137; RFC 2710 and 3810: 130 to 132 and 143
		return t >= 130 && t <= 137 || t == 143
	case d.proto == 2: // IGMP
		return true
	}
	return false
}

// toMany: a packet to more than one host is never refused (RFC 1122 §3.2.2,
// RFC 4443 §2.4): nobody could say so for all of them.
func (d *destination) toMany() bool {
	return d.dst.IsMulticast() || d.dst == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func protoName(p uint8) string {
	switch tcpip.TransportProtocolNumber(p) {
	case header.TCPProtocolNumber:
		return "tcp"
	case header.UDPProtocolNumber:
		return "udp"
	case header.ICMPv4ProtocolNumber:
		return "icmp"
	case header.ICMPv6ProtocolNumber:
		return "icmpv6"
	}
	return "ip-" + strconv.Itoa(int(p))
}

// reset builds the RST that answers a segment of tcpLen bytes (RFC 9293 §3.10.7.1).
func (d *destination) reset(tcpLen int) []byte {
	if len(d.transport) < 20 {
		return nil
	}
	in := header.TCP(d.transport)
	fields := header.TCPFields{SrcPort: d.port, DstPort: d.sport, DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagRst}
	if in.Flags()&header.TCPFlagAck != 0 {
		fields.SeqNum = in.AckNumber()
	} else {
		used := uint32(tcpLen - int(in.DataOffset()))
		if in.Flags()&header.TCPFlagSyn != 0 {
			used++
		}
		if in.Flags()&header.TCPFlagFin != 0 {
			used++
		}
		fields.Flags |= header.TCPFlagAck
		fields.AckNum = in.SequenceNumber() + used
	}
	packet, t := d.reply(uint8(header.TCPProtocolNumber), header.TCPMinimumSize)
	h := header.TCP(t)
	h.Encode(&fields)
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, address(d.dst), address(d.src), header.TCPMinimumSize)
	h.SetChecksum(^h.CalculateChecksum(sum))
	return packet
}

// unreachable builds the ICMP message "port unreachable" for a UDP datagram
// (RFC 1122 §4.1.3.1, RFC 4443 §3.1).
func (d *destination) unreachable(p []byte) []byte {
	quote := p[:min(len(p), d.ipLen+8)]
	if d.dst.Is4() {
		packet, t := d.reply(uint8(header.ICMPv4ProtocolNumber), 8+len(quote))
		copy(t[8:], quote)
		h := header.ICMPv4(t)
		h.SetType(header.ICMPv4DstUnreachable)
		h.SetCode(header.ICMPv4PortUnreachable)
		h.SetChecksum(^checksum.Checksum(t, 0))
		return packet
	}
	packet, t := d.reply(uint8(header.ICMPv6ProtocolNumber), 8+len(quote))
	copy(t[8:], quote)
	h := header.ICMPv6(t)
	h.SetType(header.ICMPv6DstUnreachable)
	h.SetCode(header.ICMPv6PortUnreachable)
	sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, address(d.dst), address(d.src), uint16(len(t)))
	h.SetChecksum(^checksum.Checksum(t, sum))
	return packet
}

// reply makes an IP packet back to the sender, with an empty virtio header in
// front, and returns it with the room for n bytes of transport.
func (d *destination) reply(proto uint8, n int) (packet, transport []byte) {
	if d.dst.Is4() {
		packet = make([]byte, virtioHeader+header.IPv4MinimumSize+n)
		ip := header.IPv4(packet[virtioHeader:])
		ip.Encode(&header.IPv4Fields{
			TotalLength: uint16(header.IPv4MinimumSize + n), TTL: 64, Protocol: proto,
			SrcAddr: address(d.dst), DstAddr: address(d.src),
		})
		ip.SetChecksum(^ip.CalculateChecksum())
		return packet, packet[virtioHeader+header.IPv4MinimumSize:]
	}
	packet = make([]byte, virtioHeader+header.IPv6MinimumSize+n)
	header.IPv6(packet[virtioHeader:]).Encode(&header.IPv6Fields{
		PayloadLength: uint16(n), TransportProtocol: tcpip.TransportProtocolNumber(proto), HopLimit: 64,
		SrcAddr: address(d.dst), DstAddr: address(d.src),
	})
	return packet, packet[virtioHeader+header.IPv6MinimumSize:]
}

func address(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.AsSlice()) }

// ackNumber returns the acknowledgement number of a TCP packet without IP options.
func ackNumber(p []byte) uint32 {
	if p[0]>>4 == 6 {
		return binary.BigEndian.Uint32(p[40+8:])
	}
	return binary.BigEndian.Uint32(p[20+8:])
}
