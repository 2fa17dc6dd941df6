package expr

// Where the headers are on each link type.

// EtherTypes, and the LLC service access points that libpcap treats alike.
const (
	etherIP    = 0x0800
	etherARP   = 0x0806
	etherRARP  = 0x8035
	etherIP6   = 0x86dd
	etherATalk = 0x809b
	etherAARP  = 0x80f3

	llcIP      = 0x06
	llcIPX     = 0xe0
	llcNetBEUI = 0xf0
	llcISO     = 0xfe

	largestLLC = 1500 // an EtherType field up to this is an 802.3 length
)

const allOnes = 0xffffffff

// form is how a link type says which protocol a packet is of.
type form uint8

const (
	ethernet   form = iota // an EtherType
	cooked                 // an EtherType in the Linux cooked header
	cooked2                // the same in its second version
	rawIP                  // the first four bits of IP itself
	family                 // an address family in either byte order
	familyBig              // an address family in network byte order
	alwaysIP               // nothing but IPv4
	alwaysIPv6             // nothing but IPv6
	inner                  // as rawIP, and no link layer below it
)

// layout is where things are. vlan moves two of the offsets, for what was
// written after it.
type layout struct {
	form    form
	network uint32 // offset of the network header
	kind    uint32 // offset of the field that tells the protocol
}

const linkEthernet = 1

// linkTypes are the known ones by their LINKTYPE_ numbers, the frequent ones
// first; 12 and 14 are raw IP on some systems.
var linkTypes = [...]struct {
	link uint16
	layout
}{
	{linkEthernet, layout{ethernet, 14, 12}},
	{113, layout{cooked, 16, 14}},
	{276, layout{cooked2, 20, 0}},
	{101, layout{rawIP, 0, 0}},
	{12, layout{rawIP, 0, 0}},
	{14, layout{rawIP, 0, 0}},
	{228, layout{alwaysIP, 0, 0}},
	{229, layout{alwaysIPv6, 0, 0}},
	{0, layout{family, 4, 0}},
	{108, layout{familyBig, 4, 0}},
}

// layoutOf returns the layout of a link type that is known.
func layoutOf(link uint16) layout {
	for _, k := range linkTypes {
		if k.link == link {
			return k.layout
		}
	}
	return layout{}
}

var innerLayout = layout{inner, 0, 0}

// is returns the condition that a packet is of the protocol with this
// EtherType, or LLC access point if it is at most 1500.
func (l *layout) is(kind uint32) *cond {
	switch l.form {
	case ethernet:
		if kind > largestLLC {
			return l.kindIs(kind)
		}
		isLength := not(check(test{from: absolute, off: l.kind, size: 2, cmp: greater, val: largestLLC}))
		return and(isLength, l.llcIs(kind))
	case cooked:
		if kind > largestLLC {
			return l.kindIs(kind)
		}
		const frame8022 = 4
		return and(l.kindIs(frame8022), l.llcIs(kind))
	case cooked2:
		return l.kindIs(kind)
	case family, familyBig:
		switch kind {
		case etherIP:
			return l.familyIs(2)
		case etherIP6:
			// Each BSD has its own number; libpcap takes these in a file.
			return or(l.familyIs(30), or(l.familyIs(24), l.familyIs(28)))
		}
	case rawIP, inner:
		switch kind {
		case etherIP:
			return l.versionIs(0x40)
		case etherIP6:
			return l.versionIs(0x60)
		}
	case alwaysIP:
		if kind == etherIP {
			return always
		}
	case alwaysIPv6:
		if kind == etherIP6 {
			return always
		}
	}
	return never
}

func (l *layout) kindIs(kind uint32) *cond {
	return check(test{from: absolute, off: l.kind, size: 2, cmp: equal, val: kind})
}

// llcIs compares the first access point, or both where libpcap does.
func (l *layout) llcIs(point uint32) *cond {
	switch point {
	case llcIP, llcNetBEUI, llcISO:
		return check(test{from: absolute, off: l.network, size: 2, cmp: equal, val: point<<8 | point})
	}
	return check(test{from: absolute, off: l.network, size: 1, cmp: equal, val: point})
}

// familyIs compares an address family. In a null header it is in the byte
// order of the machine that captured; libpcap knows that order from the file's
// header, and here either is taken.
func (l *layout) familyIs(number uint32) *cond {
	big := check(test{from: absolute, off: l.kind, size: 4, cmp: equal, val: number})
	if l.form == familyBig {
		return big
	}
	return or(check(test{from: absolute, off: l.kind, size: 4, cmp: equal, val: number << 24}), big)
}

func (l *layout) versionIs(nibble uint32) *cond {
	return check(test{from: absolute, off: 0, size: 1, masked: true, mask: 0xf0, cmp: equal, val: nibble})
}
