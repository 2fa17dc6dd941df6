package compare

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"sync"
)

// The comparison of two JSON documents: jsonparse.go makes a tape of
// production's, jsontwin.go of the application's, jsonvalue.go says which values are the same, this file walks both tapes at
// once, and jsonlist.go finds out which elements of two lists belong together.

// json compares two JSON documents and notes where their values differ. Other
// white space, another order of keys and other spellings of the same string
// or number are noted as the Spelling "json". It notes nothing and returns
// false where one of them is not JSON, or deeper than maxJSONDepth.
//
// A key that an object has twice is compared value by value in their order.
// Numbers are compared digit by digit, whatever their size.
func (f *found) json(production, application []byte) bool {
	c := jsonComparers.Get().(*jsonComparer)
	defer c.release()
	if !c.a.parse(production) || !c.b.parseTwin(application, &c.a) {
		return false
	}
	c.f, c.effort = f, maxEffort
	c.gap(0, c.a.nodes[0].start, 0, c.b.nodes[0].start)
	c.compare(0, 0)
	c.gap(c.a.nodes[0].end, uint32(len(production)), c.b.nodes[0].end, uint32(len(application)))
	if c.respelt || !c.differs && !bytes.Equal(production, application) {
		f.spelled("json")
	}
	return true
}

// jsonComparer compares a, production's document, with b, the application's.
// Its memory is used again for the next ones.
type jsonComparer struct {
	f       *found
	a, b    jsonDoc
	path    []jsonStep // to what is being compared
	respelt bool       // the same was met, written otherwise
	differs bool       // a difference was met

	members []jsonMember // of objects whose keys are in another order; a stack
	lists   []*jsonPairing
	depth   int // of lists, in use
	leaves  []uint64
	scores  []jsonScore
	effort  int // what may still be spent on likeness
	name    []byte
}

// jsonStep is a step from a value to one in it.
type jsonStep struct {
	key   uint32 // of an object; 0: of a list
	inB   bool   // the key is the application's
	index int    // of a list
}

var jsonComparers = sync.Pool{New: func() any { return new(jsonComparer) }}

// jsonKept is how many nodes of memory a comparer may take along, 16 MiB.
const jsonKept = 1 << 20

func (c *jsonComparer) release() {
	if cap(c.a.nodes) > jsonKept || cap(c.b.nodes) > jsonKept {
		return
	}
	c.f, c.a.text, c.b.text = nil, nil, nil
	c.respelt, c.differs = false, false
	jsonComparers.Put(c)
}

// none is no node: what the other side lacks.
const none = ^uint32(0)

// compare compares the value at of production's with bt of the application's.
func (c *jsonComparer) compare(at, bt uint32) {
	switch a, b := &c.a.nodes[at], &c.b.nodes[bt]; {
	case bytes.Equal(c.a.raw(at), c.b.raw(bt)):
	case a.kind != b.kind:
		c.note(at, bt)
	case a.kind == jsonObject:
		c.objects(at, bt)
	case a.kind == jsonList && (a.next == at+1) != (b.next == bt+1):
		c.note(at, bt) // one of them is empty, which is more than that each element is not there
	case a.kind == jsonList:
		c.compareLists(at, bt)
	case sameScalar(&c.a, at, &c.b, bt):
		c.respelt = true
	default:
		c.note(at, bt)
	}
}

// objects compares members in order as long as the keys are the same, and
// the rest by key.
func (c *jsonComparer) objects(at, bt uint32) {
	aEnd, bEnd := c.a.end(at), c.b.end(bt)
	aPast, bPast := c.a.nodes[at].start+1, c.b.nodes[bt].start+1 // where the last value ended
	ak, bk := at+1, bt+1
	for ak < aEnd && bk < bEnd && bytes.Equal(c.a.raw(ak), c.b.raw(bk)) {
		c.gap(aPast, c.a.nodes[ak].start, bPast, c.b.nodes[bk].start)
		c.member(ak, bk)
		aPast, bPast = c.a.nodes[ak+1].end, c.b.nodes[bk+1].end
		ak, bk = c.a.end(ak+1), c.b.end(bk+1)
	}
	if ak == aEnd && bk == bEnd {
		c.gap(aPast, c.a.nodes[at].end, bPast, c.b.nodes[bt].end)
		return
	}
	c.byKey(ak, aEnd, bk, bEnd)
}

// member compares the values of two equal keys.
func (c *jsonComparer) member(ak, bk uint32) {
	c.gap(c.a.nodes[ak].end, c.a.nodes[ak+1].start, c.b.nodes[bk].end, c.b.nodes[bk+1].start)
	c.path = append(c.path, jsonStep{key: ak})
	c.compare(ak+1, bk+1)
	c.path = c.path[:len(c.path)-1]
}

// jsonMember is a member of an object and the one of the other side's with the
// same key, or none.
type jsonMember struct {
	sum       uint64
	key, mate uint32
}

// byKey compares the members from ak to aEnd with those from bk to bEnd.
func (c *jsonComparer) byKey(ak, aEnd, bk, bEnd uint32) {
	base := len(c.members)
	for ; ak < aEnd; ak = c.a.end(ak + 1) {
		c.members = append(c.members, jsonMember{c.a.sum(ak), ak, none})
	}
	middle := len(c.members)
	for ; bk < bEnd; bk = c.b.end(bk + 1) {
		c.members = append(c.members, jsonMember{c.b.sum(bk), bk, none})
	}
	as, bs := c.members[base:middle], c.members[middle:]
	bySum := func(x, y jsonMember) int { return cmp.Or(cmp.Compare(x.sum, y.sum), cmp.Compare(x.key, y.key)) }
	slices.SortFunc(as, bySum)
	slices.SortFunc(bs, bySum)
	for i, j := 0, 0; i < len(as) && j < len(bs); {
		switch order := cmp.Compare(as[i].sum, bs[j].sum); {
		case order < 0:
			i++
		case order > 0:
			j++
		default:
			as[i].mate, bs[j].mate = bs[j].key, as[i].key
			i, j = i+1, j+1
		}
	}
	asWritten := func(x, y jsonMember) int { return cmp.Compare(x.key, y.key) }
	slices.SortFunc(as, asWritten)
	slices.SortFunc(bs, asWritten)

	end, last := len(c.members), uint32(0)
	for i := base; i < middle; i++ { // c.members may move
		m := c.members[i]
		if m.mate == none {
			c.path = append(c.path, jsonStep{key: m.key})
			c.note(m.key+1, none)
			c.path = c.path[:len(c.path)-1]
			continue
		}
		if m.mate < last || !bytes.Equal(c.a.raw(m.key), c.b.raw(m.mate)) {
			c.respelt = true
		}
		last = m.mate
		c.member(m.key, m.mate)
	}
	for i := middle; i < end; i++ {
		if m := c.members[i]; m.mate == none {
			c.path = append(c.path, jsonStep{key: m.key, inB: true})
			c.note(none, m.key+1)
			c.path = c.path[:len(c.path)-1]
		}
	}
	c.members = c.members[:base]
}

// gap compares what stands between two values: commas, colons, white space.
func (c *jsonComparer) gap(aFrom, aTo, bFrom, bTo uint32) {
	if !c.respelt && !bytes.Equal(c.a.text[aFrom:aTo], c.b.text[bFrom:bTo]) {
		c.respelt = true
	}
}

// note notes that the values at and bt differ; either may be none. Once there
// are as many as f keeps, it only counts: the rules are not asked.
func (c *jsonComparer) note(at, bt uint32) {
	c.differs = true
	if c.f.enough() {
		return
	}
	d := Difference{Place: Place{InJSON, c.place()}, Path: c.where()}
	switch {
	case at != none && bt != none:
		d.Production, d.Application = shownPair(c.a.raw(at), c.b.raw(bt))
	case at != none:
		d.Production = shown(c.a.raw(at))
	default:
		d.Application = shown(c.b.raw(bt))
	}
	c.f.add(d)
}

// place returns where the values are that are being compared, with [*] for
// elements: "$.items[*].price".
func (c *jsonComparer) place() string { return c.pathString(false) }

// where returns the very place: "$.items[3].price".
func (c *jsonComparer) where() string { return c.pathString(true) }

func (c *jsonComparer) pathString(exact bool) string {
	out := append(c.name[:0], '$')
	for _, s := range c.path {
		switch {
		case s.key != 0:
			in := &c.a
			if s.inB {
				in = &c.b
			}
			if !exact && madeKey(in.unquoted(s.key)) {
				out = append(out, ".*"...)
				continue
			}
			out = appendJSONKey(out, in, s.key)
		case exact:
			out = append(strconv.AppendInt(append(out, '['), int64(s.index), 10), ']')
		default:
			out = append(out, "[*]"...)
		}
	}
	c.name = out
	return string(out)
}

// appendJSONKey appends .name, or ["a name"] where it is no identifier.
func appendJSONKey(out []byte, d *jsonDoc, key uint32) []byte {
	name := d.unquoted(key)
	for i, c := range name {
		letter := 'a' <= c|' ' && c|' ' <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || '9' < c) {
			return appendQuotedKey(out, name)
		}
	}
	if len(name) == 0 {
		return appendQuotedKey(out, name)
	}
	return append(append(out, '.'), name...)
}

func appendQuotedKey(out, name []byte) []byte {
	return append(strconv.AppendQuote(append(out, '['), string(name)), ']')
}
