package capture

import (
	"fmt"
	"strings"
)

// path is what a packet travelled in: VLAN tags and tunnels, outermost first.
// The same two endpoints inside different paths are different connections, as
// with tenants that use the same addresses; lookup.go says when they are not.
type path struct {
	id    uint64 // stands for all of it; 0: nothing
	depth int    // wraps, of which those beyond the array are only in id
	wraps [6]wrap
}

// wrap is one of them. Its id is what names the tunnel where the layout has
// such a thing, and else the two outer addresses, in either order.
type wrap struct {
	kind wrapKind
	id   uint64
}

type wrapKind uint8

const (
	wrapVLAN wrapKind = 1 + iota
	wrapMPLS
	wrapPPPoE
	wrapGRE
	wrapERSPAN
	wrapVXLAN
	wrapGENEVE
	wrapGTP
	wrapIPIP // any version of IP in any
)

var wrapNames = [...]string{
	wrapVLAN: "vlan", wrapMPLS: "mpls", wrapPPPoE: "pppoe", wrapGRE: "gre", wrapERSPAN: "erspan",
	wrapVXLAN: "vxlan", wrapGENEVE: "geneve", wrapGTP: "gtp", wrapIPIP: "ipip",
}

// nameless marks ids that are made of addresses and mean nothing to a reader.
const nameless = 1 << 63

// enter adds a wrap.
func (p *path) enter(kind wrapKind, id uint64) {
	if p.depth < len(p.wraps) {
		p.wraps[p.depth] = wrap{kind, id}
	}
	p.depth++
	p.id = scatter(p.id^scatter(uint64(kind)<<56^id))>>1 | 1 // never 0, never noPath
}

// scatter spreads the bits of a number over all others (the finalizer of
// MurmurHash3): ids count from 1, and the sum of two of them must not be that
// of two others.
func scatter(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// enterBetween adds a tunnel that only its two ends name, the same for both
// directions.
func (p *path) enterBetween(kind wrapKind, ip *ipInfo) {
	ends := scatter(ip.srcHi*3+scatter(ip.srcLo)) + scatter(ip.dstHi*3+scatter(ip.dstLo))
	p.enter(kind, ends|nameless)
}

// String writes the path as reports do: "vlan 10, vxlan 4711"; "" for none.
func (p *path) String() string {
	if p.depth == 0 {
		return ""
	}
	var b strings.Builder
	for i, w := range p.wraps[:min(p.depth, len(p.wraps))] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(wrapNames[w.kind])
		if w.id&nameless == 0 {
			fmt.Fprint(&b, " ", w.id)
		}
	}
	if p.depth > len(p.wraps) {
		b.WriteString(", …")
	}
	return b.String()
}
