package expr

import (
	"strconv"
	"strings"
)

// Primitives: what the words before a value mean, and what the value means
// after them.

// etherNames are the words for the link layer; libpcap takes them for one.
var etherNames = map[string]bool{
	"ether": true, "link": true, "ppp": true, "slip": true, "fddi": true, "tr": true, "wlan": true,
}

// protocolNames are the protocols that may stand alone or before a value.
var protocolNames = map[string]bool{
	"ip": true, "ip6": true, "arp": true, "rarp": true, "tcp": true, "udp": true, "sctp": true,
	"icmp": true, "icmp6": true, "igmp": true, "igrp": true, "pim": true, "vrrp": true, "carp": true,
	"ah": true, "esp": true, "decnet": true, "lat": true, "sca": true, "moprc": true, "mopdl": true,
}

// unsupported are the keywords of constructs that are left out: everything
// that is not used below.
var unsupported = func() map[string]bool {
	left := make(map[string]bool)
	for w := range keywords {
		left[w] = !etherNames[w] && !protocolNames[w]
	}
	for _, w := range strings.Fields("dst src host net mask port portrange proto less greater broadcast multicast " +
		"and or not len length vlan") {
		left[w] = false
	}
	return left
}()

// primitive parses a primitive or a relation and returns the qualifiers that
// a value after it takes; none after one that has no value.
func (p *parser) primitive(q qualifiers) (tree, qualifiers, error) {
	t := p.peek()
	if t.kind == kindNumber || t.is("len") || t.is("length") || t.is("-") || t.is("(") ||
		t.kind == kindKeyword && p.ahead(1).is("[") {
		r, err := p.relation()
		return r, qualifiers{}, err
	}
	if t.kind != kindKeyword {
		if t.kind == kindName || t.kind == kindDotted || t.kind == kindIPv6 || t.kind == kindMAC {
			return nil, q, p.fail(t, "what is this: a host, net, port or proto? Write the word before it")
		}
		return nil, q, p.unexpected(t, "a primitive, such as host, net, port or tcp,")
	}
	if unsupported[t.text] {
		return nil, q, p.unexpected(t, "")
	}
	var none qualifiers
	switch t.text {
	case "vlan":
		tree, err := p.vlan()
		return tree, none, err
	case "less", "greater":
		p.next()
		n := p.next()
		if n.kind != kindNumber {
			return nil, q, p.unexpected(n, "a length in bytes")
		}
		op := ">="
		if t.text == "less" {
			op = "<="
		}
		return relation{op: op, l: &arith{op: "len"}, r: &arith{op: "number", value: n.value}}, none, nil
	}
	return p.qualified()
}

func (p *parser) vlan() (tree, error) {
	at := p.next()
	n, ok := p.groupedNumber()
	if !ok {
		return placed{vlan{}, at.offset}, nil
	}
	if n.value > 0xfff {
		return nil, p.fail(n, "a VLAN's number is at most 4095")
	}
	return placed{vlan{tagged: true, id: n.value}, at.offset}, nil
}

// qualified parses [protocol] [direction] [type] value, and what a protocol
// is without a value.
func (p *parser) qualified() (tree, qualifiers, error) {
	q := qualifiers{defined: true}
	var none qualifiers
	first := p.peek()
	if etherNames[first.text] {
		q.proto = "ether"
		p.next()
	} else if protocolNames[first.text] {
		q.proto = first.text
		p.next()
	}
	directed, err := p.direction(&q)
	if err != nil {
		return nil, q, err
	}
	t := p.peek()
	switch {
	case t.kind == kindKeyword && (t.text == "host" || t.text == "net" || t.text == "port" || t.text == "portrange"),
		t.is("proto") && !directed:
		q.what = t.text
		p.next()
	case (t.is("broadcast") || t.is("multicast")) && !directed:
		p.next()
		tree, err := p.cast(first, t, q.proto)
		return tree, none, err
	case t.kind == kindKeyword && unsupported[t.text]:
		return nil, q, p.unexpected(t, "")
	case !directed && q.proto == "ether":
		return nil, q, p.unexpected(t, "host, proto, broadcast, multicast or [")
	case !directed && q.proto != "":
		return placed{bare{q.proto}, first.offset}, none, nil
	case !directed:
		return nil, q, p.unexpected(t, "a primitive, such as host, net, port or tcp,")
	}
	v, err := p.value(q)
	return v, q, err
}

// direction parses src, dst, src or dst, src and dst.
func (p *parser) direction(q *qualifiers) (bool, error) {
	t := p.peek()
	if !t.is("src") && !t.is("dst") {
		return false, nil
	}
	p.next()
	q.dir = source
	other := "dst"
	if t.is("dst") {
		q.dir, other = destination, "src"
	}
	if join := p.peek(); join.is("or") || join.is("and") {
		p.next()
		if !p.accept(other) {
			return false, p.unexpected(p.peek(), "\""+other+"\"")
		}
		q.dir = either
		if join.is("and") {
			q.dir = both
		}
	}
	return true, nil
}

func (p *parser) cast(first, word token, proto string) (tree, error) {
	broad := word.is("broadcast")
	switch {
	case proto == "" || proto == "ether":
		return placed{cast{"ether", broad}, first.offset}, nil
	case proto == "ip" && broad:
		return nil, p.fail(word, "ip broadcast is not supported: it depends on the interface's netmask; "+
			"name the broadcast address with dst host")
	case (proto == "ip" || proto == "ip6") && !broad:
		return placed{cast{proto, false}, first.offset}, nil
	}
	return nil, p.fail(word, "only ether, ip and ip6 have "+word.text)
}

// single parses one address, number or name.
func (p *parser) single(q qualifiers) (tree, error) {
	t := p.next()
	switch t.kind {
	case kindNumber, kindName, kindDotted, kindIPv6, kindMAC:
		return p.qualify(t, q)
	}
	return nil, p.unexpected(t, "an address, number or name")
}

// qualify says what the value t means after the qualifiers q.
func (p *parser) qualify(t token, q qualifiers) (tree, error) {
	if !q.defined {
		return nil, p.fail(t, "what is this: a host, net, port or proto? Nothing before it says so")
	}
	switch q.what {
	case "port", "portrange":
		return p.port(t, q)
	case "proto":
		return p.number(t, q)
	}
	switch {
	case t.kind == kindMAC:
		if q.proto != "ether" || q.what == "net" {
			return nil, p.fail(t, "an Ethernet address needs \"ether host\", \"ether src\" or \"ether dst\" before it")
		}
		return placed{hostMAC{q.dir, macOf(t.text)}, t.offset}, nil
	case q.proto == "ether":
		return nil, p.fail(t, "expected an Ethernet address, such as 02:00:5e:10:00:01")
	case t.kind == kindName:
		return nil, p.fail(t, "names are not looked up: write the address")
	case t.kind == kindIPv6:
		return p.hostIPv6(t, q)
	}
	return p.hostIPv4(t, q)
}

func (p *parser) port(t token, q qualifiers) (tree, error) {
	port := port{dir: q.dir, ranged: q.what == "portrange"}
	switch q.proto {
	case "":
	case "tcp":
		port.on = onTCP
	case "udp":
		port.on = onUDP
	case "sctp":
		port.on = onSCTP
	default:
		return nil, p.fail(t, "\""+q.proto+"\" does not go with a port; tcp, udp and sctp do")
	}
	if t.kind != kindNumber && t.kind != kindName {
		return nil, p.fail(t, "expected a port, not an address")
	}
	if t.kind == kindNumber {
		if t.value > 0xffff {
			return nil, p.fail(t, "a port is at most 65535")
		}
		port.lo, port.hi = uint16(t.value), uint16(t.value)
		return port, nil
	}
	lo, hi := t.text, t.text
	if port.ranged {
		var ok bool
		if lo, hi, ok = strings.Cut(t.text, "-"); !ok {
			return nil, p.fail(t, "expected two ports with a dash between them, such as 8000-8080")
		}
	}
	first, on, msg := portOf(lo)
	last, on2, msg2 := portOf(hi)
	if msg == "" {
		msg = msg2
	}
	if msg != "" {
		return nil, p.fail(t, msg)
	}
	if on != on2 {
		on = onAny
	}
	if on != onAny && port.on != onAny && on != port.on {
		return nil, p.fail(t, "this service is not one of "+q.proto)
	}
	if port.on == onAny {
		port.on = on
	}
	port.lo, port.hi = min(first, last), max(first, last)
	return port, nil
}

// portOf returns the port that part of a name stands for and the transports it
// is registered for, or what is wrong with it. Only plain decimal numbers are
// taken: libpcap, too, reads no other in a range, but without saying so.
func portOf(text string) (uint16, transports, string) {
	if digits(text) {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || len(text) > 1 && text[0] == '0' {
			return 0, onAny, "a port here is a decimal number of at most 65535, without zeros before it"
		}
		return uint16(n), onAny, ""
	}
	s, ok := services[text]
	if !ok {
		return 0, onAny, "this service is not known here: write the port's number"
	}
	return s.port, s.on, ""
}

func (p *parser) number(t token, q qualifiers) (tree, error) {
	table := protocols
	switch q.proto {
	case "", "ip", "ip6":
	case "ether":
		table = etherTypes
	default:
		return nil, p.fail(t, "only ip, ip6 and ether have \"proto\"")
	}
	n := number{layer: q.proto, value: t.value}
	switch t.kind {
	case kindNumber:
	case kindName:
		v, ok := table[t.text]
		if !ok {
			return nil, p.fail(t, "this protocol is not known here: write its number")
		}
		n.value = v
	default:
		return nil, p.fail(t, "expected a protocol's number or name")
	}
	if q.proto == "ether" && (n.value == etherATalk || n.value == etherAARP || n.value == llcIPX) {
		return nil, p.fail(t, "AppleTalk and IPX are not supported")
	}
	return placed{n, t.offset}, nil
}
