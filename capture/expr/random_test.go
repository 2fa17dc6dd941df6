package expr

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// writer writes random expressions, most of which parse.
type writer struct {
	*rand.Rand
	// known are addresses and ports that occur in the packets asked about.
	hosts, hosts6, nets, ports []string
}

func newWriter(seed uint64) *writer {
	return &writer{
		Rand:   rand.New(rand.NewPCG(seed, 1)),
		hosts:  []string{"127.0.0.1", "10.0.0.1", "192.168.1.1", "0.0.0.0", "10.0.0.2", "192.168.0.1"},
		hosts6: []string{"::1", "fe80::1", "2001:db8::1", "ff02::1", "::", "::ffff:10.0.0.1"},
		nets:   []string{"10", "10.0", "192.168.0.0/16", "127.0.0.0 mask 255.0.0.0", "0.0.0.0/0", "172.16.0.0/12", "fe80::/10", "::/0", "2001:db8::/33"},
		ports:  []string{"80", "443", "http", "domain", "3306", "5432", "6379", "53", "25", "0x50"},
	}
}

func pick[T any](w *writer, from ...T) T { return from[w.IntN(len(from))] }

func (w *writer) expr(depth int) string {
	if depth == 0 || w.IntN(4) == 0 {
		return w.primitive()
	}
	switch w.IntN(8) {
	case 0:
		return pick(w, "not ", "! ", "!") + w.expr(0)
	case 1:
		return "(" + w.expr(depth-1) + ")"
	case 2:
		return "not (" + w.expr(depth-1) + ")"
	case 3: // values that take the qualifiers of what stands before
		return w.carrying()
	}
	return w.expr(depth-1) + pick(w, " and ", " or ", " && ", " || ") + w.expr(depth-1)
}

func (w *writer) carrying() string {
	head, from := pick(w, "", "src ", "dst ", "src or dst ", "src and dst "), w.hosts
	switch w.IntN(3) {
	case 0:
		head += "host"
	case 1:
		head, from = pick(w, "", "tcp ", "udp ")+head+"port", []string{"80", "443", "53", "3306"}
	case 2:
		head, from = pick(w, "", "ip ", "ip6 ")+"proto", []string{"6", "17", "1", `\tcp`}
	}
	v := func() string { return pick(w, "", "", "not ") + from[w.IntN(len(from))] }
	return head + " " + pick(w,
		v()+" or "+v(), v()+" and "+v(), "("+v()+" or "+v()+")", "("+v()+" and not ("+v()+" or "+v()+"))",
		v()+" or (("+from[0]+"))", v()+" and ("+w.primitive()+") or "+v(), v()+" or "+v()+" and "+w.primitive())
}

func (w *writer) primitive() string {
	dir := pick(w, "", "", "src ", "dst ", "src or dst ", "dst or src ", "src and dst ")
	switch w.IntN(14) {
	case 0:
		return pick(w, "", "ip ", "arp ", "rarp ", "ip6 ", "tcp ") + dir + pick(w, "host ", "host ", "") + pick(w, w.hosts...)
	case 1:
		return pick(w, "", "ip6 ") + dir + "host " + pick(w, w.hosts6...)
	case 2:
		return pick(w, "", "", "ip ") + dir + "net " + pick(w, w.nets...)
	case 3, 4:
		return pick(w, "", "tcp ", "udp ", "sctp ") + dir + "port " + pick(w, w.ports...)
	case 5:
		return pick(w, "", "tcp ", "udp ") + dir + "portrange " + pick(w, "80-90", "1-1023", "1024-65535", "90-80", "http-https", "443")
	case 6:
		return pick(w, "", "ip ", "ip6 ", "ether ") + "proto " + pick(w, "6", "17", "1", "58", "44", "2048", "300", "0x806", `\tcp`, `\udp`, `\ip`, `\arp`, `\icmp`, "5", "254", "4")
	case 7:
		return pick(w, "vlan", "vlan", "vlan 1", "vlan 100", "vlan (7)", "ip multicast", "ip6 multicast", "ether multicast", "broadcast",
			"multicast", "ether host 00:11:22:33:44:55", "ether src 1-2-3-4-5-6", "ether dst ff:ff:ff:ff:ff:ff", "ether host 0102.0304.0506")
	case 8:
		return pick(w, "less ", "greater ") + fmt.Sprint(w.IntN(200))
	case 9, 10, 11:
		return w.arith(2) + pick(w, " = ", " == ", " != ", " > ", " < ", " >= ", " <= ", "=", ">") + w.arith(2)
	}
	return pick(w, "tcp", "udp", "ip", "ip6", "arp", "icmp", "icmp6", "sctp", "rarp", "igmp", "pim", "vrrp", "esp", "ah", "igrp", "carp", "lat", "decnet")
}

func (w *writer) arith(depth int) string {
	if depth == 0 || w.IntN(3) == 0 {
		switch w.IntN(6) {
		case 0:
			return "len"
		case 1, 2:
			header := pick(w, "tcp", "tcp", "udp", "ip", "ip", "ip6", "ether", "icmp", "icmp6", "arp", "sctp", "igmp")
			index := pick(w, "0", "2", "12", "13", "(0)", "4", "tcpflags", "20", "ip[0] & 0xf", "ip[0]&0xf << 2", "len - 10", "ip[9]", "60")
			return header + "[" + index + pick(w, "", "", ":1", ":2", ":4") + "]"
		}
		return pick(w, fmt.Sprint(w.IntN(300)), "0", "1", "0xff", "0xffffffff", "tcp-syn", "(tcp-syn|tcp-ack)", "64", "6", "010", "icmp-echo")
	}
	switch w.IntN(10) {
	case 0:
		return "- " + w.arith(depth-1)
	case 1:
		return "(" + w.arith(depth-1) + " + " + w.arith(depth-1) + ")"
	}
	return w.arith(depth-1) + " " + pick(w, "+", "-", "*", "/", "%", "&", "&", "&", "|", "^", "<<", ">>") + " " + w.arith(depth-1)
}

// noise spoils an expression here and there.
func (w *writer) noise(text string) string {
	parts := strings.Fields(text)
	for range 1 + w.IntN(2) {
		if len(parts) == 0 {
			return text
		}
		i := w.IntN(len(parts))
		switch w.IntN(4) {
		case 0:
			parts = append(parts[:i], parts[i+1:]...)
		case 1:
			parts[i] = pick(w, "and", "or", "not", "(", ")", "80", "tcp", "host", "1.2.3.4", "port", "len", "=", "::1", "src", "vlan", "&", "proto")
		case 2:
			parts = append(parts[:i], append([]string{pick(w, "and", "or", "not", "(", ")", "80", "tcp", "port", "1.2.3.4")}, parts[i:]...)...)
		case 3:
			j := w.IntN(len(parts))
			parts[i], parts[j] = parts[j], parts[i]
		}
	}
	return strings.Join(parts, " ")
}
