package expr

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The tree that the parser builds: and, or, not over primitives. Every
// primitive carries its qualifiers, so the tree no longer depends on what
// stood before it, but its order matters: vlan moves the offsets of whatever
// was written after it. Text written from a tree parses to the same tree.

type tree interface {
	write(*strings.Builder)
}

// pair is l and r, or l or r.
type pair struct {
	and  bool
	l, r tree
}

type negation struct{ of tree }

// direction is which of a packet's two addresses or ports is meant.
type direction uint8

const (
	either direction = iota // src or dst, the default
	source
	destination
	both // src and dst
)

func (d direction) String() string {
	return [...]string{"", "src ", "dst ", "src and dst "}[d]
}

// transports are the transport protocols of a port: one, or all three.
type transports uint8

const (
	onAny transports = iota // SCTP, TCP and UDP
	onTCP
	onUDP
	onSCTP
)

func (t transports) String() string {
	return [...]string{"", "tcp ", "udp ", "sctp "}[t]
}

type (
	// bare is a protocol's name alone: tcp, ip6, arp.
	bare struct{ name string }
	// hostIPv4 compares the masked addresses of IPv4, ARP and RARP packets:
	// all three if proto is empty.
	hostIPv4 struct {
		proto      string // "", ip, arp, rarp
		dir        direction
		addr, mask uint32
	}
	hostIPv6 struct {
		dir  direction
		addr netip.Prefix
	}
	hostMAC struct {
		dir  direction
		addr [6]byte
	}
	port struct {
		on     transports
		dir    direction
		lo, hi uint16
		ranged bool // written as portrange
	}
	// number is proto N, ip proto N, ip6 proto N, ether proto N.
	number struct {
		layer string // "", ip, ip6, ether
		value uint32
	}
	// cast is broadcast or multicast.
	cast struct {
		layer string // ether, ip, ip6
		broad bool
	}
	vlan struct {
		tagged bool // id is given
		id     uint32
	}
	// relation compares two numbers: > >= = < <= !=
	relation struct {
		op   string
		l, r *arith
	}
)

// placed is a primitive with its place in the text.
type placed struct {
	tree
	offset int
}

// arith is a number worked out from constants, header fields and the length.
type arith struct {
	op     string // an operator; "neg", "number", "len", or "load"
	l, r   *arith // operands; of a load, l is the index
	value  uint32 // of a number
	header string // of a load: ether, ip, tcp, …
	size   uint32 // of a load: 1, 2 or 4 bytes
}

func (p pair) write(b *strings.Builder) {
	word := " or "
	if p.and {
		word = " and "
	}
	// and and or bind equally and to the left, so a left operand that is a
	// pair needs no parentheses and a right one always does.
	p.l.write(b)
	b.WriteString(word)
	grouped(b, p.r)
}

func (n negation) write(b *strings.Builder) {
	b.WriteString("not ")
	grouped(b, n.of)
}

func grouped(b *strings.Builder, t tree) {
	if p, ok := t.(pair); ok {
		b.WriteByte('(')
		p.write(b)
		b.WriteByte(')')
		return
	}
	t.write(b)
}

func (p bare) write(b *strings.Builder) { b.WriteString(p.name) }

func (p hostIPv4) write(b *strings.Builder) {
	if p.proto != "" {
		b.WriteString(p.proto + " ")
	}
	if p.mask == allOnes {
		fmt.Fprintf(b, "%vhost %s", p.dir, dotted(p.addr))
		return
	}
	fmt.Fprintf(b, "%vnet %s mask %s", p.dir, dotted(p.addr), dotted(p.mask))
}

func (p hostIPv6) write(b *strings.Builder) {
	if p.addr.IsSingleIP() {
		fmt.Fprintf(b, "%vhost %s", p.dir, p.addr.Addr())
		return
	}
	fmt.Fprintf(b, "%vnet %s", p.dir, p.addr)
}

func (p hostMAC) write(b *strings.Builder) {
	fmt.Fprintf(b, "ether %vhost %s", p.dir, net.HardwareAddr(p.addr[:]))
}

func (p port) write(b *strings.Builder) {
	if p.ranged {
		fmt.Fprintf(b, "%v%vportrange %d-%d", p.on, p.dir, p.lo, p.hi)
		return
	}
	fmt.Fprintf(b, "%v%vport %d", p.on, p.dir, p.lo)
}

func (p number) write(b *strings.Builder) {
	if p.layer != "" {
		b.WriteString(p.layer + " ")
	}
	fmt.Fprintf(b, "proto %d", p.value)
}

func (p cast) write(b *strings.Builder) {
	b.WriteString(p.layer)
	if p.broad {
		b.WriteString(" broadcast")
	} else {
		b.WriteString(" multicast")
	}
}

func (p vlan) write(b *strings.Builder) {
	b.WriteString("vlan")
	if p.tagged {
		fmt.Fprintf(b, " %d", p.id)
	}
}

func (p relation) write(b *strings.Builder) {
	p.l.write(b)
	b.WriteString(" " + p.op + " ")
	p.r.write(b)
}

func (a *arith) write(b *strings.Builder) {
	switch a.op {
	case "number":
		b.WriteString(strconv.FormatUint(uint64(a.value), 10))
	case "len":
		b.WriteString("len")
	case "load":
		b.WriteString(a.header + "[")
		a.l.write(b)
		if a.size != 1 {
			fmt.Fprintf(b, ":%d", a.size)
		}
		b.WriteByte(']')
	case "neg":
		b.WriteString("(- ")
		a.l.write(b)
		b.WriteByte(')')
	default:
		b.WriteByte('(')
		a.l.write(b)
		b.WriteString(" " + a.op + " ")
		a.r.write(b)
		b.WriteByte(')')
	}
}

// constant returns the value of an expression that needs nothing of a packet:
// neither "2 * 3" nor, as in libpcap, "ip[8] & 0".
func (a *arith) constant() (uint32, bool) {
	switch a.op {
	case "number":
		return a.value, true
	case "neg":
		v, ok := a.l.constant()
		return -v, ok
	case "len", "load":
		return 0, false
	}
	r, ok := a.r.constant()
	if ok && r == 0 && (a.op == "&" || a.op == "*") {
		return 0, true
	}
	l, known := a.l.constant()
	if !ok || !known {
		return 0, false
	}
	return calculate(a.op[0], l, r)
}

// calculate applies an operator, given by its first character, as BPF does,
// modulo 2^32; it is false for a division by zero.
func calculate(op byte, l, r uint32) (uint32, bool) {
	switch op {
	case '+':
		return l + r, true
	case '-':
		return l - r, true
	case '*':
		return l * r, true
	case '/':
		if r == 0 {
			return 0, false
		}
		return l / r, true
	case '%':
		if r == 0 {
			return 0, false
		}
		return l % r, true
	case '&':
		return l & r, true
	case '|':
		return l | r, true
	case '^':
		return l ^ r, true
	case '<':
		return l << r, true
	}
	return l >> r, true
}

// dotted returns an IPv4 address in words that the scanner reads back.
func dotted(addr uint32) string {
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}).String()
}
