package netsim

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// DNS (RFC 1035), as far as it is needed to tell who was asked for, to answer
// with a list of names, and to learn from somebody's answer which address has
// which name.

const (
	dnsHeader = 12
	dnsUDPMax = 512 // RFC 1035 §4.2.1: what any client takes
	dnsTTL    = 60  // seconds; a run's names do not change
	typeA     = 1
	typeAAAA  = 28

	flagAnswer    = 0x8000
	flagTruncated = 0x0200
	flagDesired   = 0x0100 // recursion
	flagAvailable = 0x0080
	opcodeMask    = 0x7800
	nameError     = 3
	notKnown      = 4 // "not implemented"
)

// queryName returns the name that a DNS query asks for, or "".
func queryName(q []byte) string {
	name, _ := parseName(q, dnsHeader)
	return name
}

// parseName reads the name at p[at:], which may go on elsewhere in the message
// (RFC 1035 §4.1.4), and returns where what follows it begins; 0: there is no
// name.
func parseName(p []byte, at int) (name string, end int) {
	var b []byte
	for jumps := 0; at < len(p); {
		l := int(p[at])
		switch {
		case l == 0:
			if end == 0 {
				end = at + 1
			}
			return string(b), end
		case l >= 0xc0:
			if at+2 > len(p) || jumps == 16 {
				return "", 0
			}
			if end == 0 {
				end = at + 2
			}
			at = int(binary.BigEndian.Uint16(p[at:]) & 0x3fff)
			jumps++
		case l > 63 || at+1+l > len(p) || len(b)+1+l > 255:
			return "", 0
		default:
			if len(b) > 0 {
				b = append(b, '.')
			}
			b = append(b, printableName(p[at+1:at+1+l])...)
			at += 1 + l
		}
	}
	return "", 0
}

// canonical is a name as it is compared.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// answerQuery returns the answer to a DNS query: the addresses of a name in the
// list, or that there is no such name. limit bounds it in bytes; what does not
// fit is left out, and the answer says so. known tells whether the name is in
// the list. An answer of nil: it was no query.
func answerQuery(q []byte, names map[string][]netip.Addr, limit int) (answer []byte, known bool) {
	if len(q) < dnsHeader {
		return nil, false
	}
	flags := binary.BigEndian.Uint16(q[2:])
	if flags&flagAnswer != 0 || binary.BigEndian.Uint16(q[4:]) != 1 {
		return nil, false
	}
	name, end := parseName(q, dnsHeader)
	if end == 0 || end+4 > len(q) {
		return nil, false
	}
	kind, class := binary.BigEndian.Uint16(q[end:]), binary.BigEndian.Uint16(q[end+2:])
	question := q[dnsHeader : end+4]
	answer = make([]byte, dnsHeader, dnsHeader+len(question)+64)
	copy(answer, q[:2])
	answer = append(answer, question...)
	flags = flags&(opcodeMask|flagDesired) | flagAnswer | flagAvailable
	addrs, known := names[canonical(name)]
	count := 0
	switch {
	case flags&opcodeMask != 0:
		flags |= notKnown
	case !known:
		flags |= nameError
	case class != 1: // not IN
	default:
		for _, a := range addrs {
			if a.Is4() != (kind == typeA) || a.Is6() != (kind == typeAAAA) {
				continue
			}
			if len(answer)+12+a.BitLen()/8 > limit {
				flags |= flagTruncated
				break
			}
			answer = append(answer, 0xc0, dnsHeader) // the name of the question
			answer = binary.BigEndian.AppendUint16(answer, kind)
			answer = binary.BigEndian.AppendUint16(answer, 1)
			answer = binary.BigEndian.AppendUint32(answer, dnsTTL)
			answer = binary.BigEndian.AppendUint16(answer, uint16(a.BitLen()/8))
			answer = append(answer, a.AsSlice()...)
			count++
		}
	}
	binary.BigEndian.PutUint16(answer[2:], flags)
	binary.BigEndian.PutUint16(answer[4:], 1)
	binary.BigEndian.PutUint16(answer[6:], uint16(count))
	return answer, known
}

// answeredNames calls found for each address in a DNS answer, with the name that
// was asked for: what lies behind an alias (CNAME) was asked for by it.
func answeredNames(p []byte, found func(name string, a netip.Addr)) {
	if len(p) < dnsHeader || binary.BigEndian.Uint16(p[2:])&flagAnswer == 0 || binary.BigEndian.Uint16(p[4:]) != 1 {
		return
	}
	name, at := parseName(p, dnsHeader)
	if at == 0 || name == "" {
		return
	}
	at += 4
	for range binary.BigEndian.Uint16(p[6:]) {
		if at >= len(p) {
			return
		}
		_, end := parseName(p, at)
		if end == 0 || end+10 > len(p) {
			return
		}
		kind, length := binary.BigEndian.Uint16(p[end:]), int(binary.BigEndian.Uint16(p[end+8:]))
		at = end + 10 + length
		if at > len(p) {
			return
		}
		if kind == typeA && length == 4 || kind == typeAAAA && length == 16 {
			a, _ := netip.AddrFromSlice(p[end+10 : at])
			found(name, a)
		}
	}
}
