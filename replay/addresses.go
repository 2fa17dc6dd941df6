package replay

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Where the copies' clients come from unless the user says otherwise: address
// space that no captured client can have. IPv4's is the reserved class E (RFC
// 1112 §4), which the Internet does not route and Linux takes for unicast;
// IPv6's is a unique local prefix of our own (RFC 4193 §3.2.2).
var (
	copies4 = netip.MustParsePrefix("240.0.0.0/4")
	copies6 = netip.MustParsePrefix("fd74:6370:7362::/48")
)

// addresses gives each copy of a client an address of its own: a captured
// address gets as many neighbouring ones as it needs, when it is first seen.
// So no two copies and no two clients share one, a client keeps its addresses
// for as long as the engine lives, and in the order of a file's sessions they
// are the same in each run. Ports are kept. The first copy keeps the captured
// address, unless the addresses of its family come from Config.Clients.
type addresses struct {
	pools   [2]pool // IPv4, IPv6
	servers map[netip.Addr]struct{}
}

// pool is the address space of one family.
type pool struct {
	base    netip.Addr
	size    uint64 // addresses from base on
	kept    int    // copies that keep the captured address: 0 or 1
	each    uint64 // addresses a client
	next    uint64 // the first that was not given out
	clients map[netip.Addr]uint64
}

func newAddresses(copies int, from []netip.Prefix) *addresses {
	a := &addresses{servers: map[netip.Addr]struct{}{}}
	a.pools[0] = newPool(copies4, copies, 1)
	a.pools[1] = newPool(copies6, copies, 1)
	for _, prefix := range from {
		family := 0
		if prefix.Addr().Is6() {
			family = 1
		}
		a.pools[family] = newPool(prefix, copies, 0)
	}
	return a
}

func newPool(prefix netip.Prefix, copies, kept int) pool {
	p := pool{base: prefix.Masked().Addr(), size: Addresses(prefix), kept: kept, each: uint64(copies - kept), clients: map[netip.Addr]uint64{}}
	if p.size > 2 {
		p.base = p.base.Next()
	}
	return p
}

// Addresses returns how many clients a prefix has addresses for: all but the
// first and the last, which look like a network's and a broadcast address, if
// there are more than two.
func Addresses(prefix netip.Prefix) uint64 {
	n := prefix.Addr().BitLen() - prefix.Bits()
	if n > 62 {
		n = 62
	}
	size := uint64(1) << n
	if size > 2 {
		size -= 2
	}
	return size
}

// broadcast lies in copies4, but is nobody's: Linux drops what comes from it.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// IsMadeUp reports whether an address is one that no captured client can have,
// and copies of sessions have.
func IsMadeUp(addr netip.Addr) bool {
	return addr != broadcast && copies4.Contains(addr) || copies6.Contains(addr)
}

// server notes a server's address: a client must not have it.
func (a *addresses) server(addr netip.Addr) { a.servers[addr.Unmap()] = struct{}{} }

// of returns where the n-th copy of a client plays from; it is not valid if
// there is no address left.
func (a *addresses) of(client netip.AddrPort, n int) netip.AddrPort {
	addr := client.Addr().Unmap()
	p := &a.pools[0]
	if addr.Is6() {
		p = &a.pools[1]
	}
	if n < p.kept || p.each == 0 {
		return client
	}
	first, known := p.clients[addr]
	if !known {
		var ok bool
		if first, ok = p.take(a.servers); !ok {
			return netip.AddrPort{}
		}
		p.clients[addr] = first
	}
	return netip.AddrPortFrom(plus(p.base, first+uint64(n-p.kept)), client.Port())
}

// take gives out the next addresses, none of which is a server's.
func (p *pool) take(servers map[netip.Addr]struct{}) (first uint64, ok bool) {
	for first = p.next; first+p.each <= p.size; {
		free := uint64(0)
		for addr := plus(p.base, first); free < p.each; addr = addr.Next() {
			if _, taken := servers[addr]; taken {
				break
			}
			free++
		}
		if free == p.each {
			p.next = first + p.each
			return first, true
		}
		first += free + 1
	}
	return 0, false
}

// plus returns the n-th address after base.
func plus(base netip.Addr, n uint64) netip.Addr {
	if base.Is4() {
		b := base.As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(n))
		return netip.AddrFrom4(b)
	}
	b := base.As16()
	low, carry := bits.Add64(binary.BigEndian.Uint64(b[8:]), n, 0)
	binary.BigEndian.PutUint64(b[8:], low)
	binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])+carry)
	return netip.AddrFrom16(b)
}
