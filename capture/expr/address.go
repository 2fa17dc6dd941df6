package expr

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// Addresses and networks, as values and as text.

func (p *parser) hostIPv6(t token, q qualifiers) (tree, error) {
	if q.proto != "" && q.proto != "ip6" {
		return nil, p.fail(t, "\""+q.proto+"\" does not go with an IPv6 address")
	}
	addr, err := netip.ParseAddr(t.text)
	if err != nil {
		return nil, p.fail(t, "this is not an IPv6 address")
	}
	bits := 128
	if p.accept("/") {
		n := p.next()
		if n.kind != kindNumber || n.value > 128 {
			return nil, p.unexpected(n, "a prefix length of 0 to 128")
		}
		if q.what != "net" && n.value != 128 {
			return nil, p.fail(t, "a prefix length needs \"net\" before the address")
		}
		bits = int(n.value)
	}
	prefix := netip.PrefixFrom(addr, bits)
	if prefix.Masked() != prefix {
		return nil, p.fail(t, "the address has bits set beyond the prefix length")
	}
	return hostIPv6{q.dir, prefix}, nil
}

// hostIPv4 takes 10, 10.1, 10.1.2 and 10.1.2.3. A shorter form is a network
// even after "host", as in libpcap; a plain number is shifted up after "net"
// and taken as it is after "host".
func (p *parser) hostIPv4(t token, q qualifiers) (tree, error) {
	switch q.proto {
	case "", "ip", "arp", "rarp":
	default:
		return nil, p.fail(t, "\""+q.proto+"\" does not go with an address; join them with and")
	}
	host := hostIPv4{proto: q.proto, dir: q.dir, mask: allOnes}
	if t.kind == kindNumber {
		host.addr = t.value
		for q.what == "net" && host.addr != 0 && host.addr&0xff000000 == 0 {
			host.addr <<= 8
			host.mask <<= 8
		}
		return host, nil
	}
	addr, bits, ok := partial(t.text)
	if !ok {
		return nil, p.fail(t, "this is not an IPv4 address")
	}
	host.addr = addr
	host.mask = prefixMask(bits)
	switch {
	case p.accept("/"):
		n := p.next()
		if n.kind != kindNumber || n.value > 32 {
			return nil, p.unexpected(n, "a prefix length of 0 to 32")
		}
		host.mask = prefixMask(int(n.value))
	case p.accept("mask"):
		m := p.next()
		if m.kind != kindDotted {
			return nil, p.unexpected(m, "a netmask, such as 255.255.0.0")
		}
		if host.mask, _, ok = partial(m.text); !ok {
			return nil, p.fail(m, "this is not a netmask")
		}
	default:
		return host, nil
	}
	if q.what != "net" {
		return nil, p.fail(t, "a prefix length or netmask needs \"net\" before the address")
	}
	if host.addr&^host.mask != 0 {
		return nil, p.fail(t, "the address has bits set beyond the netmask")
	}
	return host, nil
}

// partial reads one to four decimal numbers as the upper bytes of an address,
// and how many bits they are.
func partial(text string) (addr uint32, bits int, ok bool) {
	parts := strings.Split(text, ".")
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return 0, 0, false
		}
		addr = addr<<8 | uint32(n)
	}
	bits = 8 * len(parts)
	return addr << (32 - bits), bits, true
}

func prefixMask(bits int) uint32 { return uint32(uint64(allOnes) << (32 - bits)) }

// macOf returns the six bytes of an Ethernet address that the scanner found.
func macOf(text string) [6]byte {
	var addr [6]byte
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == '-' || r == '.' })
	if len(parts) != len(addr) {
		n, _ := strconv.ParseUint(strings.Join(parts, ""), 16, 48)
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n)
		copy(addr[:], b[2:])
		return addr
	}
	for i, part := range parts {
		n, _ := strconv.ParseUint(part, 16, 8)
		addr[i] = byte(n)
	}
	return addr
}
