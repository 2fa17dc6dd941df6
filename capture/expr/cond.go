package expr

// Conditions: what a primitive means on one link type, as a tree of tests.
// Their order is libpcap's, because it shows: a test that reads beyond what was
// captured ends the whole filter with "no match", whatever would follow.

type condKind uint8

const (
	condTest condKind = iota
	condAnd
	condOr
	condNot
	condAlways
	condNever
	condMoved // a behind a tag that stands in the frame, b where there is none
	condTag   // the first vlan of a live capture, see live.go: a of the tag beside the frame, b of one in it
)

type cond struct {
	kind condKind
	tag  bool // condTag occurs in it
	a, b *cond
	test test
}

var (
	always = &cond{kind: condAlways}
	never  = &cond{kind: condNever}
)

func check(t test) *cond   { return &cond{kind: condTest, test: t} }
func and(a, b *cond) *cond { return &cond{kind: condAnd, tag: a.tag || b.tag, a: a, b: b} }
func or(a, b *cond) *cond  { return &cond{kind: condOr, tag: a.tag || b.tag, a: a, b: b} }
func not(a *cond) *cond    { return &cond{kind: condNot, tag: a.tag, a: a} }

// from says where a test's number comes from.
type from uint8

const (
	absolute  from = iota // size bytes at off
	transport             // size bytes at off plus the length of the IPv4 header at ip
	length                // the packet's length on the wire
	worked                // left, compared with right
	beside                // the tag beside the frame, and tagThere if there is one
)

type comparison uint8

const (
	equal comparison = iota
	greater
	atLeast
	anyBit
)

// test compares one number with another. The unsigned 32-bit sums of offsets
// wrap as libpcap's do, and an offset beyond the data fails.
type test struct {
	from    from
	cmp     comparison
	masked  bool // mask is applied before comparing
	size    uint32
	off, ip uint32
	mask    uint32
	val     uint32
	left    *value
	right   *value
	yes, no int32 // where to go on: a test's index, or accept or reject
}

const (
	accept = -1
	reject = -2
)

// holds reports whether the comparison of v with w holds.
func (c comparison) holds(v, w uint32) bool {
	switch c {
	case equal:
		return v == w
	case greater:
		return v > w
	case atLeast:
		return v >= w
	}
	return v&w != 0
}

// value is a number worked out from a packet.
type value struct {
	op      valueOp
	alu     byte // the first character of the operator of operation
	l, r    *value
	k       uint32 // of constant
	size    uint32 // of a load
	off, ip uint32 // of a load, as in test
	index   *value // of a load: added to off, nil for none
}

type valueOp uint8

const (
	constant valueOp = iota
	wireLength
	loadAbsolute
	loadTransport
	negated
	operation
)

// most returns an upper bound of the value.
func (v *value) most() uint64 {
	const top = allOnes
	switch v.op {
	case constant:
		return uint64(v.k)
	case wireLength, negated:
		return top
	case loadAbsolute, loadTransport:
		return 1<<(8*v.size) - 1
	}
	l, r := v.l.most(), v.r.most()
	switch v.alu {
	case '+':
		return min(l+r, top)
	case '*':
		if l != 0 && r > top/l {
			return top
		}
		return l * r
	case '/', '>':
		return l
	case '%':
		return min(l, r)
	case '&':
		return min(l, r)
	case '<':
		if r > 31 {
			return top
		}
		return min(l<<r, top)
	case '|', '^':
		all := l | r
		for shift := 1; shift < 32; shift <<= 1 {
			all |= all >> shift
		}
		return all
	}
	return top // a difference may wrap
}
