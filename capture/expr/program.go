package expr

import "encoding/binary"

// program is a filter for one link type: tests, each of which leads to a later
// one or to the end.
type program struct {
	tests []test
	entry int32
}

// assemble lays a condition's tests out in their order.
func assemble(c *cond) *program {
	p := &program{}
	// From the last test to the first, so that each knows where it leads.
	p.entry = p.placeLive(c, ends{accept, reject}, ends{accept, reject})
	n := int32(len(p.tests))
	turn := func(at int32) int32 {
		if at < 0 {
			return at
		}
		return n - 1 - at
	}
	for i, j := 0, len(p.tests)-1; i < j; i, j = i+1, j-1 {
		p.tests[i], p.tests[j] = p.tests[j], p.tests[i]
	}
	for i := range p.tests {
		p.tests[i].yes = turn(p.tests[i].yes)
		p.tests[i].no = turn(p.tests[i].no)
	}
	p.entry = turn(p.entry)
	p.shorten()
	return p
}

// ends is where a condition leads to.
type ends struct{ yes, no int32 }

// place adds the tests of c, and returns the first. moved chooses between the
// two sides of condMoved.
func (p *program) place(c *cond, to ends, moved bool) int32 {
	switch c.kind {
	case condAnd:
		return p.place(c.a, ends{p.place(c.b, to, moved), to.no}, moved)
	case condOr:
		return p.place(c.a, ends{to.yes, p.place(c.b, to, moved)}, moved)
	case condNot:
		return p.place(c.a, ends{to.no, to.yes}, moved)
	case condAlways:
		return to.yes
	case condNever:
		return to.no
	case condMoved:
		if moved {
			return p.place(c.a, to, moved)
		}
		return p.place(c.b, to, moved)
	}
	t := c.test
	t.yes, t.no = to.yes, to.no
	p.tests = append(p.tests, t)
	return int32(len(p.tests) - 1)
}

// run reports whether a packet passes; tag is what beside asks for. It does not
// allocate.
func (p *program) run(data []byte, wire, tag uint32) bool {
	at := p.entry
	for at >= 0 {
		t := &p.tests[at]
		var v uint32
		ok := true
		w := t.val
		switch t.from {
		case absolute:
			v, ok = read(data, uint64(t.off), t.size)
		case transport:
			if uint64(t.ip) >= uint64(len(data)) {
				return false
			}
			v, ok = read(data, uint64(t.off)+headerLength(data[t.ip]), t.size)
		case length:
			v = wire
		case beside:
			v = tag
		case worked:
			if v, ok = t.left.of(data, wire); ok {
				w, ok = t.right.of(data, wire)
			}
		}
		if !ok {
			return false
		}
		if t.masked {
			v &= t.mask
		}
		if t.cmp.holds(v, w) {
			at = t.yes
		} else {
			at = t.no
		}
	}
	return at == accept
}

// headerLength returns the length of an IPv4 header by its first byte.
func headerLength(first byte) uint64 { return 4 * uint64(first&0xf) }

// read returns a number of size bytes in network byte order.
func read(data []byte, off uint64, size uint32) (uint32, bool) {
	if off+uint64(size) > uint64(len(data)) {
		return 0, false
	}
	switch data = data[off:]; size {
	case 1:
		return uint32(data[0]), true
	case 2:
		return uint32(binary.BigEndian.Uint16(data)), true
	}
	return binary.BigEndian.Uint32(data), true
}

// of works the value out; it is false where the data ends too early and after
// a division by zero.
func (v *value) of(data []byte, wire uint32) (uint32, bool) {
	switch v.op {
	case constant:
		return v.k, true
	case wireLength:
		return wire, true
	case negated:
		n, ok := v.l.of(data, wire)
		return -n, ok
	case loadAbsolute, loadTransport:
		var index uint32
		if v.index != nil {
			var ok bool
			if index, ok = v.index.of(data, wire); !ok {
				return 0, false
			}
		}
		if v.op == loadTransport {
			if uint64(v.ip) >= uint64(len(data)) {
				return 0, false
			}
			index += uint32(headerLength(data[v.ip]))
		}
		return read(data, uint64(v.off)+uint64(index), v.size)
	}
	l, ok := v.l.of(data, wire)
	if !ok {
		return 0, false
	}
	r, ok := v.r.of(data, wire)
	if !ok {
		return 0, false
	}
	return calculate(v.alu, l, r)
}
