// Package expr is tcpdump's filter language, pcap-filter(7): it parses an
// expression, decides whether a packet matches, and compiles it for the kernel.
//
//	f, err := expr.Parse("tcp port 80 and not net 10.0.0.0/8")
//	ok, err := f.Match(frame, len(frame), 1) // LINKTYPE_ETHERNET
//
// An expression means here what libpcap compiles it to on Linux, its oddities
// included: "port" asks SCTP, TCP and UDP; "host" asks ARP and RARP too; a value
// takes the qualifiers before it; vlan moves the offsets of all that is written
// after it; a packet cut off before a byte that a test needs does not match,
// not even "not port 80". Tests are made in the order of libpcap's code
// generator, as by tcpdump -O. Its optimizer may put another test first or
// leave one out that changes nothing, which can show only on a packet that is
// cut off before that test's bytes.
//
// One oddity of arithmetic: a relation asks first for the headers that it
// names, but not for those on the right of an operator. "tcp[12] - ip[0] = 1"
// asks for TCP; "ip[0] - tcp[12] = 1" takes the bytes of any IPv4 packet.
//
// On a live interface the kernel keeps a frame's outer VLAN tag beside it, and
// tcpdump -i asks for it there: see MatchLive.
//
// What is there: host, net, port, portrange and proto with src, dst and the
// protocols; ip, ip6, arp, rarp, tcp, udp, sctp, icmp, icmp6, igmp, igrp, pim,
// vrrp, carp, ah, esp, decnet, lat, sca, moprc, mopdl; ether host and proto;
// broadcast and multicast; vlan; less and greater; relations of len and header
// fields with arithmetic; and, or, not, parentheses. All else in the language
// is a SyntaxError that says where: names of hosts and networks (nothing is
// looked up), services that are not in the package's table, gateway, ip
// broadcast, protochain, byte, inbound, outbound, ifindex, mpls, pppoed, pppoes,
// geneve, llc, and what is for 802.11, ATM, ISO, SS7 and pf.
package expr

import (
	"strings"
	"sync"
)

// Filter is a parsed expression. It is immutable: any number of goroutines may
// use it at once.
type Filter struct {
	text string
	tree tree // nil for the empty expression, which everything matches
	vlan bool // vlan occurs in it

	links [len(linkTypes)]compiled
	inner compiled
	live  compiled
}

// compiled is the filter for one link type, made when it is first needed.
type compiled struct {
	once    sync.Once
	program *program
	err     error
}

// Parse reads an expression. The empty one matches every packet. The error is
// a *SyntaxError.
func Parse(text string) (*Filter, error) {
	t, err := parse(text)
	if err != nil {
		return nil, err
	}
	return &Filter{text: text, tree: t, vlan: hasVLAN(t)}, nil
}

func hasVLAN(t tree) bool {
	switch t := t.(type) {
	case placed:
		return hasVLAN(t.tree)
	case pair:
		return hasVLAN(t.l) || hasVLAN(t.r)
	case negation:
		return hasVLAN(t.of)
	case vlan:
		return true
	}
	return false
}

// String returns the expression in full: every value with its qualifiers,
// names as numbers, arithmetic with all its parentheses. It parses to the same
// filter.
func (f *Filter) String() string {
	if f.tree == nil {
		return ""
	}
	var b strings.Builder
	f.tree.write(&b)
	return b.String()
}

// Match reports whether a packet matches. data is what was captured of it, from
// the link-layer header on; wire is its length on the wire in bytes, of which
// len and less and greater speak; link is the LINKTYPE_ number. The error, if
// there is one, is the *LinkError that Check returns, for every packet of that
// link type.
func (f *Filter) Match(data []byte, wire int, link uint16) (bool, error) {
	p, err := f.on(link)
	if err != nil {
		return false, err
	}
	return p.run(data, uint32(wire), 0), nil
}

// MatchIP reports whether a bare IP packet matches, such as one that was taken
// out of a tunnel. ip is what there is of it; wire is its length in bytes. A
// primitive of the link layer (vlan, ether host, ether[0], broadcast) is false
// of it; so is arp.
func (f *Filter) MatchIP(ip []byte, wire int) bool {
	f.inner.once.Do(func() { f.inner.program, _ = lower(f.text, f.tree, 0, innerLayout) })
	return f.inner.program.run(ip, uint32(wire), 0)
}

// Check returns nil if the filter can be asked of packets of a link type, else
// a *LinkError: the link type is not known, or the filter speaks of Ethernet
// where there is none.
func (f *Filter) Check(link uint16) error {
	_, err := f.on(link)
	return err
}

// on returns the filter's program for a link type.
func (f *Filter) on(link uint16) (*program, error) {
	for i := range linkTypes {
		if linkTypes[i].link == link {
			c := &f.links[i]
			c.once.Do(func() { c.program, c.err = lower(f.text, f.tree, link, linkTypes[i].layout) })
			return c.program, c.err
		}
	}
	return nil, &LinkError{Link: link, Text: f.text, Offset: -1, Msg: "filters are not supported on it"}
}
