package capture

import (
	"encoding/binary"
	"net/netip"
)

// Decoding: link header, IP header (unwrapping IP in IP), TCP header. It reads
// a packet front to back, allocates nothing and believes no length that it did
// not compare with the bytes that are there. Checksums are not verified: with
// offloads the NIC has yet to fill them in.

// verdict is what decode made of a packet.
type verdict uint8

const (
	isTCP         verdict = iota // seg is filled in
	isOther                      // well-formed, and not TCP over IP
	isFragment                   // frag is filled in
	isMalformed                  // a header contradicts itself or is cut off
	isUnsupported                // of a link type not known here
)

// TCP flags, RFC 9293 §3.1.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// flowKey names a TCP connection: both endpoints, the lower one first, so that
// both directions find the same flow. IPv4 is kept in its IPv6-mapped form.
// VLAN tags are not part of it: where a trunk and its VLAN interface are both
// captured, the copies of a packet count as duplicates and not as a second
// connection. Five whole words, without padding, hash in one run.
type flowKey struct {
	loHi, loLo, hiHi, hiLo uint64
	ports                  uint64 // lo<<16 | hi
}

// segment is a TCP segment with what the flow table needs to know of its
// packet.
type segment struct {
	key     flowKey
	flipped bool // sent by the higher endpoint of key
	flags   uint8
	srcPort uint16
	dstPort uint16
	seq     uint32
	ack     uint32
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
}

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	etherOldQ = 0x9100

	protoHopByHop = 0
	protoIPIP     = 4
	protoTCP      = 6
	proto6in4     = 41
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoDestOpts = 60

	v4Mapped = 0xffff << 32

	maxTags    = 4 // VLAN tags in a row; two occur
	maxNesting = 8 // IP headers and extension headers in a row
)

// decode finds the innermost IP packet and the TCP segment in it. wire is the
// packet's length before the capture cut it; an IP header that announces more
// is believed, since some tools cut packets and do not say so. A fragment is described in ip and
// returned as its payload, for the caller to collect.
func decode(data []byte, wire int, link LinkType, seg *segment, ip *ipInfo) (payload []byte, v verdict) {
	ether := 0
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
	default:
		return nil, isUnsupported
	}
	if len(data) <= n {
		return nil, isMalformed
	}
	for tags := 0; ether == etherVLAN || ether == etherQinQ || ether == etherOldQ; tags++ {
		if tags == maxTags || len(data) < n+4 {
			return nil, isMalformed
		}
		ether = int(binary.BigEndian.Uint16(data[n+2:]))
		n += 4
	}
	if len(data) <= n {
		return nil, isMalformed
	}
	data, wire = data[n:], max(wire, len(data))-n
	version := data[0] >> 4
	switch {
	case ether == 0 && (link == LinkEthernet || link == LinkSLL || link == LinkSLL2):
		return nil, isOther // an 802.3 length field or nothing at all
	case ether != 0 && ether != etherIPv4 && ether != etherIPv6:
		return nil, isOther
	case ether == etherIPv4 && version != 4, ether == etherIPv6 && version != 6:
		return nil, isMalformed
	}
	return decodeIP(data, wire, seg, ip)
}

// decodeIP reads IP headers, one inside the other, until TCP.
func decodeIP(data []byte, wire int, seg *segment, ip *ipInfo) ([]byte, verdict) {
	for range maxNesting {
		if len(data) == 0 {
			return nil, isMalformed
		}
		ok := false
		switch data[0] >> 4 {
		case 4:
			data, wire, ok = decodeIPv4(data, wire, ip)
		case 6:
			data, wire, ok = decodeIPv6(data, wire, ip)
		}
		if !ok {
			return nil, isMalformed
		}
		switch {
		case ip.fragment:
			if ip.proto != protoTCP {
				return nil, isOther
			}
			if len(data) < wire {
				return nil, isMalformed // cut by the capture: can never be put together
			}
			return data, isFragment
		case ip.proto == protoTCP:
			return nil, decodeTCP(data, wire, seg, ip)
		case ip.proto != protoIPIP && ip.proto != proto6in4:
			return nil, isOther
		}
	}
	return nil, isMalformed
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
	next := data[6]
	data, wire = data[40:min(total, len(data))], total-40
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
	seg.payload = data[min(header, len(data)):]
	seg.length = wire - header
	src, dst := uint64(seg.srcPort), uint64(seg.dstPort)
	seg.flipped = ip.srcHi > ip.dstHi || ip.srcHi == ip.dstHi &&
		(ip.srcLo > ip.dstLo || ip.srcLo == ip.dstLo && src > dst)
	if seg.flipped {
		seg.key = flowKey{ip.dstHi, ip.dstLo, ip.srcHi, ip.srcLo, dst<<16 | src}
	} else {
		seg.key = flowKey{ip.srcHi, ip.srcLo, ip.dstHi, ip.dstLo, src<<16 | dst}
	}
	return isTCP
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
