package expr

import "encoding/binary"

// From the tree to conditions, for one link type. The walk is in the order of
// the text, so that vlan moves the offsets of what comes after it and of
// nothing else, be there an and, an or or a not between them.

type lowering struct {
	layout
	link uint16
	text string
	live bool  // the first vlan is yet to come, and may ask for a tag beside the frame
	late bool  // it has come, and what follows is wanted for both places
	err  error // the first primitive that the link type has no meaning for
}

// lower returns the program of a tree; nil stands for the empty expression.
func lower(text string, t tree, link uint16, where layout) (*program, error) {
	return (&lowering{layout: where, link: link, text: text}).program(t)
}

func (low *lowering) program(t tree) (*program, error) {
	c := always
	if t != nil {
		c = low.tree(t, 0)
	}
	if low.err != nil {
		return nil, low.err
	}
	return assemble(c), nil
}

// refuse notes that a primitive needs Ethernet. Inside a tunnel there is none,
// and the primitive is merely false.
func (low *lowering) refuse(offset int, msg string) *cond {
	if low.form != inner && low.err == nil {
		low.err = &LinkError{Link: low.link, Text: low.text, Offset: offset, Msg: msg}
	}
	return never
}

func (low *lowering) tree(t tree, offset int) *cond {
	switch t := t.(type) {
	case placed:
		return low.tree(t.tree, t.offset)
	case pair:
		l := low.tree(t.l, offset)
		r := low.tree(t.r, offset)
		if t.and {
			return and(l, r)
		}
		return or(l, r)
	case negation:
		return not(low.tree(t.of, offset))
	}
	if low.late {
		return low.twice(t, offset)
	}
	return low.primitive(t, offset)
}

func (low *lowering) primitive(t tree, offset int) *cond {
	switch t := t.(type) {
	case bare:
		return low.bare(t.name)
	case hostIPv4:
		return low.hostIPv4(t)
	case hostIPv6:
		return low.hostIPv6(t)
	case hostMAC:
		if low.form != ethernet {
			return low.refuse(offset, "Ethernet addresses need a capture with Ethernet headers")
		}
		return low.hostMAC(t)
	case port:
		return low.port(t)
	case number:
		return low.number(t.layer, t.value)
	case cast:
		return low.cast(t, offset)
	case vlan:
		return low.vlan(t, offset)
	case relation:
		return low.relation(t)
	}
	panic("expr: a tree of unknown type")
}

// field tests a field of the network header.
func (low *lowering) field(off, size uint32, cmp comparison, val uint32) *cond {
	return check(test{from: absolute, off: low.network + off, size: size, cmp: cmp, val: val})
}

func (low *lowering) bare(name string) *cond {
	switch name {
	case "ip":
		return low.is(etherIP)
	case "ip6":
		return low.is(etherIP6)
	case "arp":
		return low.is(etherARP)
	case "rarp":
		return low.is(etherRARP)
	case "decnet", "lat", "sca", "moprc", "mopdl":
		return low.is(etherTypes[name])
	}
	p := ipProtocols[name]
	return low.number(p.layer, p.number)
}

// ipProtocols are the protocols above IP, and over which IP their name means.
var ipProtocols = map[string]number4and6{
	"tcp": {"", 6}, "udp": {"", 17}, "sctp": {"", 132}, "pim": {"", 103}, "ah": {"", 51}, "esp": {"", 50},
	"icmp": {"ip", 1}, "igmp": {"ip", 2}, "igrp": {"ip", 9}, "vrrp": {"ip", 112}, "carp": {"ip", 112},
	"icmp6": {"ip6", 58},
}

type number4and6 struct {
	layer  string
	number uint32
}

func (low *lowering) number(layer string, n uint32) *cond {
	switch layer {
	case "ether":
		return low.is(n)
	case "ip":
		return and(low.is(etherIP), low.field(9, 1, equal, n))
	case "ip6":
		// Directly after the fixed header, or after a fragment header.
		const fragment = 44
		return and(low.is(etherIP6), or(low.field(6, 1, equal, n),
			and(low.field(6, 1, equal, fragment), low.field(40, 1, equal, n))))
	}
	return or(low.number("ip", n), low.number("ip6", n))
}

// directed joins the tests of the source and of the destination.
func directed(d direction, src, dst func() *cond) *cond {
	switch d {
	case source:
		return src()
	case destination:
		return dst()
	case both:
		return and(src(), dst())
	}
	return or(src(), dst())
}

func (low *lowering) hostIPv4(h hostIPv4) *cond {
	in := func(kind, src, dst uint32) *cond {
		at := func(off uint32) func() *cond {
			return func() *cond {
				t := test{from: absolute, off: low.network + off, size: 4, cmp: equal, val: h.addr}
				if h.mask == 0 {
					return low.is(kind) // no bit is compared: nothing is read
				}
				t.masked, t.mask = h.mask != allOnes, h.mask
				return and(low.is(kind), check(t))
			}
		}
		return directed(h.dir, at(src), at(dst))
	}
	switch h.proto {
	case "ip":
		return in(etherIP, 12, 16)
	case "arp":
		return in(etherARP, 14, 24)
	case "rarp":
		return in(etherRARP, 14, 24)
	}
	return or(in(etherIP, 12, 16), or(in(etherARP, 14, 24), in(etherRARP, 14, 24)))
}

func (low *lowering) hostIPv6(h hostIPv6) *cond {
	addr := h.addr.Addr().As16()
	at := func(off uint32) func() *cond {
		return func() *cond {
			c := low.is(etherIP6)
			for word := range uint32(4) {
				bits := h.addr.Bits() - 32*int(word)
				if bits <= 0 {
					break
				}
				mask := prefixMask(min(bits, 32))
				c = and(c, check(test{from: absolute, off: low.network + off + 4*word, size: 4,
					masked: mask != allOnes, mask: mask, cmp: equal,
					val: binary.BigEndian.Uint32(addr[4*word:])}))
			}
			return c
		}
	}
	return directed(h.dir, at(8), at(24))
}

func (low *lowering) hostMAC(h hostMAC) *cond {
	at := func(off uint32) func() *cond {
		return func() *cond { return macIs(off, h.addr) }
	}
	return directed(h.dir, at(6), at(0))
}

// macIs compares an address at off, its last four bytes first. The addresses
// stand before any VLAN tag.
func macIs(off uint32, addr [6]byte) *cond {
	return and(
		check(test{from: absolute, off: off + 2, size: 4, cmp: equal, val: binary.BigEndian.Uint32(addr[2:])}),
		check(test{from: absolute, off: off, size: 2, cmp: equal, val: uint32(binary.BigEndian.Uint16(addr[:]))}))
}

// port asks IPv6 first, as libpcap does. IPv4 fragments after the first have
// no ports; over IPv6 the transport header must follow the fixed one.
func (low *lowering) port(p port) *cond {
	protocols := map[transports][]uint32{onAny: {132, 6, 17}, onTCP: {6}, onUDP: {17}, onSCTP: {132}}[p.on]
	over := func(protocol, off uint32, before *cond, number func(off uint32) test) *cond {
		at := func(off uint32) func() *cond {
			return func() *cond {
				t := number(off)
				if !p.ranged {
					t.cmp, t.val = equal, uint32(p.lo)
					return check(t)
				}
				from, beyond := t, t
				from.cmp, from.val = atLeast, uint32(p.lo)
				beyond.cmp, beyond.val = greater, uint32(p.hi)
				return and(check(from), not(check(beyond)))
			}
		}
		return and(low.field(off, 1, equal, protocol), and(before, directed(p.dir, at(0), at(2))))
	}
	any6, any4 := never, never
	for _, protocol := range protocols {
		any6 = or(any6, over(protocol, 6, always, func(off uint32) test {
			return test{from: absolute, off: low.network + 40 + off, size: 2}
		}))
		any4 = or(any4, over(protocol, 9, low.unfragmented(), func(off uint32) test {
			return test{from: transport, ip: low.network, off: low.network + off, size: 2}
		}))
	}
	return or(and(low.is(etherIP6), any6), and(low.is(etherIP), any4))
}

// unfragmented holds for IPv4 packets that have a transport header.
func (low *lowering) unfragmented() *cond { return not(low.field(6, 2, anyBit, 0x1fff)) }

func (low *lowering) cast(c cast, offset int) *cond {
	switch {
	case c.layer == "ip":
		return and(low.is(etherIP), low.field(16, 1, atLeast, 0xe0))
	case c.layer == "ip6":
		return and(low.is(etherIP6), low.field(24, 1, equal, 0xff))
	case low.form != ethernet:
		return low.refuse(offset, "broadcast and multicast of the link layer need a capture with Ethernet headers")
	case c.broad:
		return macIs(0, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	}
	return check(test{from: absolute, off: 0, size: 1, cmp: anyBit, val: 1})
}

func (low *lowering) vlan(v vlan, offset int) *cond {
	if low.form != ethernet {
		return low.refuse(offset, "vlan needs a capture with Ethernet headers")
	}
	c := or(low.kindIs(0x8100), or(low.kindIs(0x88a8), low.kindIs(0x9100)))
	id := always
	if v.tagged {
		t := test{from: absolute, off: low.network, size: 2, masked: true, mask: 0xfff, cmp: equal, val: v.id}
		c = and(c, check(t))
		t.from, t.off, t.size = beside, 0, 0
		id = check(t)
	}
	low.kind += 4
	low.network += 4
	if low.live {
		low.live, low.late = false, true
		return &cond{kind: condTag, tag: true, a: id, b: c}
	}
	return c
}
