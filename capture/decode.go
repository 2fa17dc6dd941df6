package capture

import (
	"encoding/binary"
	"net/netip"

	"tcpsandbox/capture/expr"
)

// Decoding: link header, tags and tunnels (tunnel.go), IP header, TCP or UDP
// header. It reads a packet front to back, allocates nothing and believes no
// length that it did not compare with the bytes that are there. Checksums are
// not verified: with offloads the NIC has yet to fill them in.

// verdict is what decode made of a packet.
type verdict uint8

const (
	isTCP         verdict = iota // seg is filled in
	isUDP                        // seg is filled in, without numbers and flags
	isOther                      // well-formed, and neither TCP nor UDP over IP
	isFragment                   // ip is filled in
	isMalformed                  // a header contradicts itself or is cut off
	isUnsupported                // of a link type not known here

	isWrapped // decoding goes on inside; decode never returns it
)

// TCP flags, RFC 9293 §3.1.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// flowKey names a TCP connection or a UDP flow: both endpoints, the lower one
// first, so that both directions find the same flow. IPv4 is kept in its
// IPv6-mapped form. What the packets travelled in is not part of it, see
// lookup.go. Five whole words, without padding, hash in one run.
type flowKey struct {
	loHi, loLo, hiHi, hiLo uint64
	ports                  uint64 // lo<<16 | hi, and udpKey
}

// udpKey tells UDP flows from TCP connections.
const udpKey = 1 << 32

// segment is a TCP segment or a UDP datagram, with what the flow table needs to
// know of its packet.
type segment struct {
	key     flowKey
	path    uint64 // what it travelled in, see path.id
	flipped bool   // sent by the higher endpoint of key
	flags   uint8
	srcPort uint16
	dstPort uint16
	seq     uint32
	ack     uint32
	window  uint16 // as in the header
	scale   int8   // of a SYN: its window scale option, or noScale
	payload []byte // what was captured of it
	length  int    // bytes on the wire, at least len(payload)
}

// ipInfo is what the layers above IP need of it.
type ipInfo struct {
	srcHi, srcLo, dstHi, dstLo uint64
	proto                      uint8
	id                         uint32 // of the fragmented datagram
	offset                     int    // of the fragment, in bytes
	more                       bool   // more fragments follow
	fragment                   bool
	plain                      bool // an order to decode: tunnels are other traffic
	path                       path

	within  *expr.Filter // an order to decode: ask it of what is inside of tunnels; nil: nothing
	inside  bool         // decoding is inside of one
	matched bool         // something in one matched; set before decode, nothing more is asked
}

// EtherTypes, and what stands for one where there is none.
const (
	etherIPv4    = 0x0800
	etherBridged = 0x6558 // an Ethernet header (RFC 1701)
	etherVLAN    = 0x8100
	etherIPv6    = 0x86dd
	etherPPP     = 0x880b // PPP, with or without address and control (RFC 2637)
	etherMPLS    = 0x8847
	etherMPLSUp  = 0x8848 // MPLS with an upstream-assigned label
	etherPPPoE   = 0x8864
	etherQinQ    = 0x88a8
	etherERSPAN  = 0x88be // type I or II
	etherERSPAN3 = 0x22eb
	etherOldQ    = 0x9100

	etherAnyIP = 1 << 16 // IPv4 or IPv6, as its first bits say
)

const (
	protoHopByHop = 0
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	proto6in4     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoAH       = 51
	protoDestOpts = 60
	protoMPLS     = 137

	v4Mapped = 0xffff << 32

	maxTags    = 4  // VLAN tags in a row; two occur
	maxNesting = 12 // headers below TCP; mirrored overlay traffic has 8
)

// decode finds the innermost IP packet and the TCP segment or UDP datagram in
// it. wire is the packet's length before the capture cut it; an IP header that
// announces more is believed, since some tools cut packets and do not say so.
// A fragment is described in ip and returned as its payload, for the caller to
// collect and to give to decodeUpper.
func decode(data []byte, wire int, link LinkType, seg *segment, ip *ipInfo) (payload []byte, v verdict) {
	ip.path.id, ip.path.depth, ip.inside = 0, 0, false
	ether := etherAnyIP
	n := 0
	switch link {
	case LinkEthernet:
		n = 14
		if len(data) >= n {
			ether = int(binary.BigEndian.Uint16(data[12:]))
		}
	case LinkRaw, LinkRaw12, LinkRaw14, LinkIPv4, LinkIPv6:
	case LinkNull, LinkLoop:
		n = 4
	case LinkSLL:
		n = 16
		if len(data) >= n {
			ether = int(binary.BigEndian.Uint16(data[14:]))
		}
	case LinkSLL2:
		n = 20
		if len(data) >= n {
			ether = int(binary.BigEndian.Uint16(data))
		}
	case LinkPPP, LinkPPPSerial:
		ether = etherPPP
	case LinkPPPoE:
		ether = etherPPPoE
	default:
		return nil, isUnsupported
	}
	if len(data) <= n {
		return nil, isMalformed
	}
	return decodeEther(ether, data[n:], max(wire, len(data))-n, seg, ip)
}

// decodeEther reads headers, one inside the other, until TCP or UDP. ether says
// what data begins with.
func decodeEther(ether int, data []byte, wire int, seg *segment, ip *ipInfo) ([]byte, verdict) {
	for range maxNesting {
		if len(data) == 0 {
			return nil, isMalformed
		}
		v := isWrapped
		switch ether {
		case etherIPv4, etherIPv6, etherAnyIP:
			if ip.within != nil {
				ip.ask(data, wire)
			}
			ok := false
			switch version := data[0] >> 4; {
			case version == 4 && ether != etherIPv6:
				data, wire, ok = decodeIPv4(data, wire, ip)
			case version == 6 && ether != etherIPv4:
				data, wire, ok = decodeIPv6(data, wire, ip)
			}
			if !ok {
				return nil, isMalformed
			}
			if ip.proto == protoTCP && !ip.fragment {
				return nil, decodeTCP(data, wire, seg, ip)
			}
			data, wire, ether, v = upper(data, wire, seg, ip)
			ip.inside = ip.inside || v == isWrapped
		default:
			data, wire, ether, v = unwrapEther(ether, data, wire, ip)
		}
		if v != isWrapped {
			return data, v
		}
	}
	return nil, isMalformed
}

// decodeUpper decodes what an IP datagram carries that was put together from
// fragments; ip describes it.
func decodeUpper(data []byte, seg *segment, ip *ipInfo) ([]byte, verdict) {
	ip.fragment = false
	data, wire, ether, v := upper(data, len(data), seg, ip)
	if v != isWrapped {
		return data, v
	}
	ip.inside = true
	return decodeEther(ether, data, wire, seg, ip)
}

// upper reads what follows an IP header: TCP, UDP, or something wrapped in the
// packet, of which it returns what decodeEther goes on with.
func upper(data []byte, wire int, seg *segment, ip *ipInfo) (_ []byte, _, ether int, v verdict) {
	switch ip.proto {
	case protoHopByHop, protoRouting, protoDestOpts, protoAH: // AH of IPv4, all behind a fragment header
		ok := ip.fragment
		if !ok {
			data, wire, ok = extensions(ip.proto, data, wire, ip)
		}
		if !ok {
			return nil, 0, 0, isMalformed
		}
	}
	switch {
	case ip.fragment:
		switch ip.proto {
		case protoTCP, protoUDP, protoRouting, protoDestOpts, protoAH:
		case protoIPIP, proto6in4, protoGRE, protoMPLS:
			if ip.plain {
				return nil, 0, 0, isOther
			}
		default:
			return nil, 0, 0, isOther
		}
		if len(data) < wire {
			return nil, 0, 0, isMalformed // cut by the capture: can never be put together
		}
		return data, wire, 0, isFragment
	case ip.proto == protoTCP:
		return nil, 0, 0, decodeTCP(data, wire, seg, ip)
	case ip.proto == protoUDP:
		if len(data) < 8 {
			return nil, 0, 0, isMalformed
		}
		if !ip.plain {
			if inner, wire, ether, ok := unwrapUDP(data, wire, ip); ok {
				return inner, wire, ether, isWrapped
			}
		}
		return nil, 0, 0, decodeUDP(data, wire, seg, ip)
	case ip.plain:
		return nil, 0, 0, isOther
	}
	return unwrapIP(data, wire, ip)
}

// decodeIPv4 returns what the header announces as its payload. A total length
// of zero means: to the end of the packet (segmentation offload, BIG TCP).
func decodeIPv4(data []byte, wire int, ip *ipInfo) ([]byte, int, bool) {
	if len(data) < 20 {
		return nil, 0, false
	}
	header := int(data[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(data[2:]))
	if total == 0 {
		total = wire
	}
	if header < 20 || total < header || len(data) < header {
		return nil, 0, false
	}
	flags := binary.BigEndian.Uint16(data[6:])
	ip.more = flags&0x2000 != 0
	ip.offset = int(flags&0x1fff) * 8
	ip.fragment = ip.more || ip.offset != 0
	ip.id = uint32(binary.BigEndian.Uint16(data[4:]))
	ip.proto = data[9]
	ip.srcHi, ip.dstHi = 0, 0
	ip.srcLo = v4Mapped | uint64(binary.BigEndian.Uint32(data[12:]))
	ip.dstLo = v4Mapped | uint64(binary.BigEndian.Uint32(data[16:]))
	return data[header:min(total, len(data))], total - header, true
}

// decodeIPv6 also walks the extension headers (RFC 8200 §4). A payload length
// of zero means: to the end of the packet (jumbograms, RFC 2675, as BIG TCP
// sends them).
func decodeIPv6(data []byte, wire int, ip *ipInfo) ([]byte, int, bool) {
	if len(data) < 40 {
		return nil, 0, false
	}
	total := int(binary.BigEndian.Uint16(data[4:])) + 40
	if total == 40 {
		total = wire
	}
	ip.more, ip.fragment, ip.offset, ip.id = false, false, 0, 0
	ip.srcHi, ip.srcLo = binary.BigEndian.Uint64(data[8:]), binary.BigEndian.Uint64(data[16:])
	ip.dstHi, ip.dstLo = binary.BigEndian.Uint64(data[24:]), binary.BigEndian.Uint64(data[32:])
	ip.proto = data[6]
	data, wire = data[40:min(total, len(data))], total-40
	if ip.proto == protoTCP {
		return data, wire, true
	}
	return extensions(ip.proto, data, wire, ip)
}

// extensions walks the extension headers, of which next is the first, and sets
// ip.proto to what follows them. It stops behind a fragment header.
func extensions(next uint8, data []byte, wire int, ip *ipInfo) ([]byte, int, bool) {
	for range maxNesting {
		size := 0
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts:
			if len(data) < 8 {
				return nil, 0, false
			}
			size = (int(data[1]) + 1) * 8
		case protoAH:
			if len(data) < 8 {
				return nil, 0, false
			}
			size = (int(data[1]) + 2) * 4
		case protoFragment:
			if len(data) < 8 {
				return nil, 0, false
			}
			at := binary.BigEndian.Uint16(data[2:])
			ip.offset, ip.more = int(at&^7), at&1 != 0
			ip.fragment = ip.more || ip.offset != 0 // else "atomic", RFC 6946
			ip.id = binary.BigEndian.Uint32(data[4:])
			size = 8
		default:
			ip.proto = next
			return data, wire, true
		}
		if len(data) < size {
			return nil, 0, false
		}
		next = data[0]
		data, wire = data[size:], wire-size
		if ip.fragment {
			ip.proto = next
			return data, wire, true
		}
	}
	return nil, 0, false
}

// decodeTCP fills in seg. wire is the length of the IP payload on the wire.
func decodeTCP(data []byte, wire int, seg *segment, ip *ipInfo) verdict {
	if len(data) < 20 {
		return isMalformed
	}
	header := int(data[12]>>4) * 4
	if header < 20 || header > wire {
		return isMalformed
	}
	seg.srcPort = binary.BigEndian.Uint16(data)
	seg.dstPort = binary.BigEndian.Uint16(data[2:])
	seg.seq = binary.BigEndian.Uint32(data[4:])
	seg.ack = binary.BigEndian.Uint32(data[8:])
	seg.flags = data[13]
	seg.window = binary.BigEndian.Uint16(data[14:])
	if seg.flags&flagSYN != 0 {
		seg.scale = windowScale(data[20:min(header, len(data))])
	}
	seg.payload = data[min(header, len(data)):]
	seg.length = wire - header
	seg.name(ip, 0)
	return isTCP
}

// decodeUDP fills in seg (RFC 768). wire is the length of the IP payload on the
// wire; data holds the header.
func decodeUDP(data []byte, wire int, seg *segment, ip *ipInfo) verdict {
	length := int(binary.BigEndian.Uint16(data[4:]))
	if length == 0 && wire > 0xffff {
		length = wire // a jumbogram, RFC 2675
	}
	if length < 8 || length > wire {
		return isMalformed
	}
	seg.srcPort = binary.BigEndian.Uint16(data)
	seg.dstPort = binary.BigEndian.Uint16(data[2:])
	seg.seq, seg.ack, seg.flags = 0, 0, 0
	seg.payload = data[8:min(length, len(data))]
	seg.length = length - 8
	seg.name(ip, udpKey)
	return isUDP
}

// name fills in the segment's key from its ports and the IP header.
func (seg *segment) name(ip *ipInfo, kind uint64) {
	src, dst := uint64(seg.srcPort), uint64(seg.dstPort)
	seg.path = ip.path.id
	seg.flipped = ip.srcHi > ip.dstHi || ip.srcHi == ip.dstHi &&
		(ip.srcLo > ip.dstLo || ip.srcLo == ip.dstLo && src > dst)
	if seg.flipped {
		seg.key = flowKey{ip.dstHi, ip.dstLo, ip.srcHi, ip.srcLo, kind | dst<<16 | src}
	} else {
		seg.key = flowKey{ip.srcHi, ip.srcLo, ip.dstHi, ip.dstLo, kind | src<<16 | dst}
	}
}

// endpoints returns the lower and the higher endpoint of the key.
func (k *flowKey) endpoints() (lo, hi netip.AddrPort) {
	addr := func(h, l uint64) netip.Addr {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], h)
		binary.BigEndian.PutUint64(b[8:], l)
		return netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrPortFrom(addr(k.loHi, k.loLo), uint16(k.ports>>16)),
		netip.AddrPortFrom(addr(k.hiHi, k.hiLo), uint16(k.ports))
}
