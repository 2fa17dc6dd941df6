package expr

// Relations as conditions: first that the packet has every header that is
// named, then the comparison.

func (low *lowering) relation(r relation) *cond {
	has := always
	left, has := low.value(r.l, has)
	right, has := low.value(r.r, has)
	cmp, negate := equal, false
	switch r.op {
	case ">":
		cmp = greater
	case ">=":
		cmp = atLeast
	case "<":
		cmp, negate = atLeast, true
	case "<=":
		cmp, negate = greater, true
	case "!=":
		negate = true
	}
	compare := compared(cmp, left, right)
	if negate {
		compare = not(compare)
	}
	return and(has, compare)
}

// value returns what an expression is worked out from, and adds to has the
// condition that its headers are there.
func (low *lowering) value(a *arith, has *cond) (*value, *cond) {
	switch a.op {
	case "number":
		return &value{op: constant, k: a.value}, has
	case "len":
		return &value{op: wireLength}, has
	case "load":
		return low.load(a, has)
	case "neg":
		l, has := low.value(a.l, has)
		if l.op == constant {
			return &value{op: constant, k: -l.k}, has
		}
		return &value{op: negated, l: l}, has
	}
	// As in libpcap, only the left operand's headers are asked for:
	// "ip[2:2] - tcp[12]" is worked out for any IPv4 packet.
	l, has := low.value(a.l, has)
	r, _ := low.value(a.r, always)
	if r.op == constant && r.k == 0 && (a.op == "&" || a.op == "*") {
		// What is multiplied by nothing is not read, but its header must be
		// there all the same.
		return r, has
	}
	if l.op == constant && r.op == constant {
		k, _ := calculate(a.op[0], l.k, r.k) // the parser refused to divide by zero
		return &value{op: constant, k: k}, has
	}
	return &value{op: operation, alu: a.op[0], l: l, r: r}, has
}

func (low *lowering) load(a *arith, has *cond) (*value, *cond) {
	index, has := low.value(a.l, has)
	v := &value{op: loadAbsolute, size: a.size, off: low.network}
	switch a.header {
	case "ether":
		v.off = 0
		if low.form == inner {
			has = and(has, never)
		}
	case "icmp6":
		v.off += 40
		has = and(has, and(low.is(etherIP6), low.field(6, 1, equal, ipProtocols["icmp6"].number)))
	case "ip", "ip6", "arp", "rarp", "decnet", "lat", "sca", "moprc", "mopdl":
		has = and(has, low.bare(a.header))
	default:
		v.op, v.ip = loadTransport, low.network
		has = and(has, and(and(low.is(etherIP), low.bare(a.header)), low.unfragmented()))
	}
	if index.op == constant {
		v.off += index.k
	} else {
		v.index = index
	}
	return v, has
}

// compared compares two values, in the short form where one suffices.
func compared(cmp comparison, left, right *value) *cond {
	if right.op != constant {
		return check(test{from: worked, cmp: cmp, left: left, right: right})
	}
	if left.op == constant {
		if cmp.holds(left.k, right.k) {
			return always
		}
		return never
	}
	t := test{cmp: cmp, val: right.k}
	load := left
	if left.op == operation && left.alu == '&' && left.r.op == constant {
		t.masked, t.mask = true, left.r.k
		load = left.l
		if t.mask == allOnes && cmp == equal && t.val == 0 {
			// libpcap takes "x & 0xffffffff = 0" for always false.
			return not(check(test{from: worked, cmp: atLeast, left: left, right: right}))
		}
	}
	switch {
	case load.op == wireLength:
		t.from = length
	case load.op == loadAbsolute && load.index == nil:
		t.from, t.off, t.size = absolute, load.off, load.size
	case load.op == loadTransport && load.index == nil:
		t.from, t.off, t.ip, t.size = transport, load.off, load.ip, load.size
	default:
		return check(test{from: worked, cmp: cmp, left: left, right: right})
	}
	return check(t)
}
