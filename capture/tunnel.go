package capture

import "encoding/binary"

// Tunnels: each function takes one header off and returns what is inside, as
// decodeEther goes on with it. The ids that tell one tunnel from another go
// into ip.path; those that change with routes and not with networks (all
// labels of an MPLS stack but the last, the outer addresses of overlays) do
// not.

// UDP ports of tunnels.
const (
	portGTP     = 2152 // GTP-U, 3GPP TS 29.281
	portVXLAN   = 4789 // RFC 7348
	portVXLANG  = 4790 // VXLAN-GPE
	portGENEVE  = 6081 // RFC 8926
	portMPLS    = 6635 // MPLS in UDP, RFC 7510
	portFlannel = 8472 // VXLAN as Linux numbered it before there was a port
)

// unwrapEther takes off what an EtherType announces, IP excepted.
func unwrapEther(ether int, data []byte, wire int, ip *ipInfo) ([]byte, int, int, verdict) {
	switch ether {
	case etherVLAN, etherQinQ, etherOldQ:
		for range maxTags {
			if len(data) <= 4 {
				return nil, 0, 0, isMalformed
			}
			if id := binary.BigEndian.Uint16(data) & 0xfff; id != 0 { // 0 is a priority, and no network
				ip.path.enter(wrapVLAN, uint64(id))
			}
			ether = int(binary.BigEndian.Uint16(data[2:]))
			data, wire = data[4:], wire-4
			if ether != etherVLAN && ether != etherQinQ && ether != etherOldQ {
				return data, wire, ether, isWrapped
			}
		}
		return nil, 0, 0, isMalformed
	case etherPPP:
		return unwrapPPP(data, wire)
	}
	if ip.plain {
		return nil, 0, 0, isOther
	}
	ip.inside = true
	switch ether {
	case etherBridged:
		if len(data) <= 14 {
			return nil, 0, 0, isMalformed
		}
		if ip.within != nil && !ip.matched {
			ip.matched, _ = ip.within.Match(data, wire, uint16(LinkEthernet))
		}
		return data[14:], wire - 14, int(binary.BigEndian.Uint16(data[12:])), isWrapped
	case etherMPLS, etherMPLSUp:
		return unwrapMPLS(data, wire, ip)
	case etherPPPoE:
		return unwrapPPPoE(data, wire, ip)
	}
	return nil, 0, 0, isOther
}

// unwrapMPLS takes off a label stack (RFC 3032) and finds out what is below:
// IP, or an Ethernet frame with or without control word (RFC 4448). Nothing in
// the packet says which; a frame whose address begins like an IP header is told
// from one by the lengths in it.
func unwrapMPLS(data []byte, wire int, ip *ipInfo) ([]byte, int, int, verdict) {
	const maxLabels = 16
	for range maxLabels {
		if len(data) <= 4 {
			return nil, 0, 0, isMalformed
		}
		entry := binary.BigEndian.Uint32(data)
		data, wire = data[4:], wire-4
		if entry&0x100 == 0 {
			continue
		}
		if label := entry >> 12; label >= 16 { // below are reserved ones, such as explicit null
			ip.path.enter(wrapMPLS, uint64(label))
		}
		switch {
		case beginsIP(data, wire):
			return data, wire, etherAnyIP, isWrapped
		case data[0]>>4 == 0 && len(data) > 4+14:
			data, wire = data[4:], wire-4
		}
		return data, wire, etherBridged, isWrapped
	}
	return nil, 0, 0, isMalformed
}

// beginsIP tells an IP header from bytes that happen to begin like one: the
// packet has room for what the header announces.
func beginsIP(data []byte, wire int) bool {
	switch {
	case len(data) >= 20 && data[0]>>4 == 4:
		return data[0]&0x0f >= 5 && int(binary.BigEndian.Uint16(data[2:])) <= wire
	case len(data) >= 40 && data[0]>>4 == 6:
		return int(binary.BigEndian.Uint16(data[4:]))+40 <= wire
	}
	return false
}

// unwrapPPPoE takes off the header of a PPPoE session packet (RFC 2516 §4).
func unwrapPPPoE(data []byte, wire int, ip *ipInfo) ([]byte, int, int, verdict) {
	if len(data) <= 6 {
		return nil, 0, 0, isMalformed
	}
	if data[0] != 0x11 || data[1] != 0 {
		return nil, 0, 0, isOther
	}
	length := int(binary.BigEndian.Uint16(data[4:]))
	if length > wire-6 {
		return nil, 0, 0, isMalformed
	}
	ip.path.enter(wrapPPPoE, uint64(binary.BigEndian.Uint16(data[2:])))
	return unwrapPPP(data[6:min(6+length, len(data))], length)
}

// unwrapPPP takes off address and control, where they are, and the protocol
// number, which may be compressed to one byte (RFC 1661 §6.5).
func unwrapPPP(data []byte, wire int) ([]byte, int, int, verdict) {
	if len(data) > 2 && data[0] == 0xff && data[1] == 0x03 {
		data, wire = data[2:], wire-2
	}
	if len(data) <= 2 {
		return nil, 0, 0, isMalformed
	}
	proto, n := int(data[0]), 1
	if proto&1 == 0 {
		proto, n = proto<<8|int(data[1]), 2
	}
	data, wire = data[n:], wire-n
	switch proto {
	case 0x21:
		return data, wire, etherIPv4, isWrapped
	case 0x57:
		return data, wire, etherIPv6, isWrapped
	case 0x281, 0x283:
		return data, wire, etherMPLS, isWrapped
	}
	return nil, 0, 0, isOther
}

// unwrapIP takes off what an IP protocol number announces.
func unwrapIP(data []byte, wire int, ip *ipInfo) ([]byte, int, int, verdict) {
	switch ip.proto {
	case protoIPIP, proto6in4: // RFC 2003, RFC 4213, RFC 2473
		ip.path.enterBetween(wrapIPIP, ip)
		if ip.proto == protoIPIP {
			return data, wire, etherAnyIP, isWrapped // some write 4 for whatever is inside
		}
		return data, wire, etherIPv6, isWrapped
	case protoMPLS: // RFC 4023
		return data, wire, etherMPLS, isWrapped
	case protoGRE:
		return unwrapGRE(data, wire, ip)
	}
	return nil, 0, 0, isOther
}

// unwrapGRE takes off a GRE header (RFC 2784, RFC 2890; version 1: RFC 2637)
// and an ERSPAN header behind it.
func unwrapGRE(data []byte, wire int, ip *ipInfo) ([]byte, int, int, verdict) {
	const (
		hasChecksum = 0x8000
		hasRouting  = 0x4000
		hasKey      = 0x2000
		hasSequence = 0x1000
		hasAck      = 0x0080
	)
	if len(data) < 4 {
		return nil, 0, 0, isMalformed
	}
	flags := int(binary.BigEndian.Uint16(data))
	ether := int(binary.BigEndian.Uint16(data[2:]))
	version := flags & 7
	if version > 1 || flags&hasRouting != 0 || version == 1 && flags&hasChecksum != 0 {
		return nil, 0, 0, isOther
	}
	keyAt := 4
	if flags&hasChecksum != 0 {
		keyAt += 4
	}
	n := keyAt
	if flags&hasKey != 0 {
		n += 4
	}
	if flags&hasSequence != 0 {
		n += 4
	}
	if version == 1 && flags&hasAck != 0 {
		n += 4
	}
	if len(data) < n {
		return nil, 0, 0, isMalformed
	}
	switch {
	case ether == etherERSPAN || ether == etherERSPAN3:
		return unwrapERSPAN(ether, flags&hasSequence != 0, data[n:], wire-n, ip)
	case version == 1 && flags&hasKey != 0: // of the key the first half is a length
		ip.path.enter(wrapGRE, uint64(binary.BigEndian.Uint16(data[keyAt+2:])))
	case flags&hasKey != 0:
		ip.path.enter(wrapGRE, uint64(binary.BigEndian.Uint32(data[keyAt:])))
	default:
		ip.path.enterBetween(wrapGRE, ip)
	}
	return data[n:], wire - n, ether, isWrapped
}

// unwrapERSPAN takes off the header between GRE and the mirrored frame
// (draft-foschiano-erspan): none in type I, which has no sequence number in its
// GRE header either, 8 bytes in type II, 12 or 20 in type III.
func unwrapERSPAN(ether int, sequence bool, data []byte, wire int, ip *ipInfo) ([]byte, int, int, verdict) {
	if ether == etherERSPAN && !sequence {
		ip.path.enterBetween(wrapERSPAN, ip)
		return data, wire, etherBridged, isWrapped
	}
	n := 8
	if ether == etherERSPAN3 {
		n = 12
	}
	if len(data) < n {
		return nil, 0, 0, isMalformed
	}
	if version := data[0] >> 4; version != 1 && ether == etherERSPAN || version != 2 && ether == etherERSPAN3 {
		return nil, 0, 0, isOther
	}
	if n == 12 && data[11]&1 != 0 { // a platform's own subheader
		n += 8
	}
	if len(data) < n {
		return nil, 0, 0, isMalformed
	}
	vlan, session := binary.BigEndian.Uint16(data)&0xfff, binary.BigEndian.Uint16(data[2:])&0x3ff
	ip.path.enter(wrapERSPAN, uint64(session))
	if vlan != 0 {
		ip.path.enter(wrapVLAN, uint64(vlan)) // of the mirrored port
	}
	return data[n:], wire - n, etherBridged, isWrapped
}

// unwrapUDP takes off a UDP header and that of a tunnel behind it; false when
// there is none, or nothing of it was captured. data holds the UDP header.
func unwrapUDP(data []byte, wire int, ip *ipInfo) (_ []byte, _, ether int, ok bool) {
	port := binary.BigEndian.Uint16(data[2:])
	switch port {
	case portGTP, portVXLAN, portVXLANG, portGENEVE, portMPLS, portFlannel:
	default:
		return nil, 0, 0, false
	}
	length := int(binary.BigEndian.Uint16(data[4:]))
	if length == 0 && wire > 0xffff {
		length = wire
	}
	if length <= 8+8 || length > wire || len(data) <= 8+8 {
		return nil, 0, 0, false
	}
	data, wire = data[8:min(length, len(data))], length-8
	n := 8
	switch port {
	case portVXLAN, portVXLANG, portFlannel:
		if ether = vxlan(data); ether == 0 {
			return nil, 0, 0, false
		}
		ip.path.enter(wrapVXLAN, uint64(binary.BigEndian.Uint32(data[4:])>>8))
	case portGENEVE:
		n += int(data[0]&0x3f) * 4
		if data[0]>>6 != 0 || len(data) <= n {
			return nil, 0, 0, false
		}
		ether = int(binary.BigEndian.Uint16(data[2:]))
		ip.path.enter(wrapGENEVE, uint64(binary.BigEndian.Uint32(data[4:])>>8))
	case portGTP:
		if n = gtp(data); n == 0 {
			return nil, 0, 0, false
		}
		ether = etherAnyIP
		ip.path.enter(wrapGTP, uint64(binary.BigEndian.Uint32(data[4:])))
	case portMPLS:
		return data, wire, etherMPLS, true
	}
	return data[n:], wire - n, ether, true
}

// vxlan returns what follows a VXLAN header, 0 when it is none. With the P bit
// it names its content (draft-ietf-nvo3-vxlan-gpe).
func vxlan(data []byte) int {
	const valid, named = 0x08, 0x04
	switch {
	case data[0]&valid == 0:
		return 0
	case data[0]&named == 0:
		return etherBridged
	}
	switch data[3] {
	case 1:
		return etherIPv4
	case 2:
		return etherIPv6
	case 3:
		return etherBridged
	}
	return 0
}

// gtp returns the length of a GTP-U header that user data follows, 0 when it is
// none or not all there (3GPP TS 29.281 §5.1).
func gtp(data []byte) int {
	const (
		version1 = 0x30 // and protocol type 1, GTP
		optional = 0x07 // sequence number, N-PDU number, extension header: any brings room for all
		extended = 0x04
		userData = 255
	)
	if data[0]&0xf0 != version1 || data[1] != userData {
		return 0
	}
	n := 8
	if data[0]&optional != 0 {
		n = 12
		if len(data) <= n {
			return 0
		}
		if data[0]&extended != 0 {
			for next := data[11]; next != 0; {
				size := int(data[n]) * 4
				if size == 0 || len(data) <= n+size {
					return 0
				}
				n += size
				next = data[n-1]
			}
		}
	}
	return n
}
