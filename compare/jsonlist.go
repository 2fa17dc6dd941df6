package compare

import (
	"bytes"
	"cmp"
	"slices"
)

// jsonPairing says which elements of two lists belong together. Only those
// between what the lists begin and end with alike are in it.
type jsonPairing struct {
	a, b         []uint32 // the elements
	aMate, bMate []int32  // which of the others is each one's; -1: none
	// sure: of a, found by what it is and not only by where it stands. The
	// order of the lists is told by these alone.
	sure  []bool
	sorts [2][]jsonElement
}

// jsonElement is one of the elements that are not paired yet.
type jsonElement struct {
	sum uint64
	at  int32 // in a or b of a jsonPairing
}

// jsonScore is how many leaves two elements have in common.
type jsonScore struct {
	leaves       int
	a, b         int32 // in a and b of a jsonPairing
	rankA, rankB int32 // among those not paired yet
}

// compareLists compares elements that are the same first, wherever they stand,
// so that one element added, or another order, is one difference.
func (c *jsonComparer) compareLists(at, bt uint32) {
	// What both begin with.
	aEnd, bEnd := c.a.end(at), c.b.end(bt)
	aPast, bPast := c.a.nodes[at].start+1, c.b.nodes[bt].start+1 // where the last value ended
	av, bv, index := at+1, bt+1, 0
	for av < aEnd && bv < bEnd && c.same(av, bv) {
		c.gap(aPast, c.a.nodes[av].start, bPast, c.b.nodes[bv].start)
		c.element(index, av, bv)
		aPast, bPast = c.a.nodes[av].end, c.b.nodes[bv].end
		av, bv, index = c.a.end(av), c.b.end(bv), index+1
	}
	if av < aEnd && bv < bEnd {
		c.gap(aPast, c.a.nodes[av].start, bPast, c.b.nodes[bv].start)
	}

	if c.depth == len(c.lists) {
		c.lists = append(c.lists, new(jsonPairing))
	}
	p := c.lists[c.depth]
	c.depth++
	p.a, p.b = p.a[:0], p.b[:0]
	for ; av < aEnd; av = c.a.end(av) {
		p.a = append(p.a, av)
	}
	for ; bv < bEnd; bv = c.b.end(bv) {
		p.b = append(p.b, bv)
	}
	c.betweenEnds(p, index)
	c.depth--
}

// betweenEnds compares the elements of p, of which the first is element
// number index of both lists.
func (c *jsonComparer) betweenEnds(p *jsonPairing, index int) {
	// What both end with.
	for len(p.a) > 0 && len(p.b) > 0 && c.same(p.a[len(p.a)-1], p.b[len(p.b)-1]) {
		av, bv := p.a[len(p.a)-1], p.b[len(p.b)-1]
		p.a, p.b = p.a[:len(p.a)-1], p.b[:len(p.b)-1]
		c.element(index+len(p.a), av, bv)
	}
	p.reset()
	if len(p.a) == 1 && len(p.b) == 1 {
		p.pair(0, 0, false)
	} else if len(p.a) > 0 && len(p.b) > 0 {
		c.match(p)
	}
	for i, av := range p.a {
		if mate := p.aMate[i]; mate >= 0 {
			c.element(index+i, av, p.b[mate])
		} else {
			c.element(index+i, av, none)
		}
	}
	for i, bv := range p.b {
		if p.bMate[i] < 0 {
			c.element(index+i, none, bv)
		}
	}
	c.order(p)
}

// element compares two elements, of which one may be none.
func (c *jsonComparer) element(index int, av, bv uint32) {
	c.path = append(c.path, jsonStep{index: index})
	if av == none || bv == none {
		c.note(av, bv)
	} else {
		c.compare(av, bv)
	}
	c.path = c.path[:len(c.path)-1]
}

// order notes where the elements that belong together come in another order.
func (c *jsonComparer) order(p *jsonPairing) {
	bAt := int32(0)
	for i := range p.a {
		if !p.sure[i] {
			continue
		}
		for p.bMate[bAt] < 0 || !p.sure[p.bMate[bAt]] {
			bAt++
		}
		if p.aMate[i] != bAt {
			c.noteOrder(p.a[i], p.b[bAt])
			return
		}
		bAt++
	}
}

func (c *jsonComparer) noteOrder(av, bv uint32) {
	c.differs = true
	c.f.add(Difference{Place: Place{InOrder, c.place()}, Path: c.where(),
		Production: shown(c.a.raw(av)), Application: shown(c.b.raw(bv))})
}

// same reports whether two elements are the same value. As sums are kept,
// lists in lists cost no more than lists side by side.
func (c *jsonComparer) same(av, bv uint32) bool {
	a, b := &c.a.nodes[av], &c.b.nodes[bv]
	switch {
	case a.kind != b.kind:
		return false
	case a.kind < jsonList:
		return sameScalar(&c.a, av, &c.b, bv)
	}
	return bytes.Equal(c.a.raw(av), c.b.raw(bv)) || c.a.sum(av) == c.b.sum(bv)
}

func (p *jsonPairing) reset() {
	p.aMate, p.bMate, p.sure = p.aMate[:0], p.bMate[:0], p.sure[:0]
	for range p.a {
		p.aMate, p.sure = append(p.aMate, -1), append(p.sure, false)
	}
	for range p.b {
		p.bMate = append(p.bMate, -1)
	}
}

func (p *jsonPairing) pair(a, b int32, sure bool) {
	p.aMate[a], p.bMate[b], p.sure[a] = b, a, sure
}

// match pairs elements: first those that are the same, then those that have
// the same identity, the most alike, and in the end those of the same rank.
// All of it comes to the same when the sides change places.
func (c *jsonComparer) match(p *jsonPairing) {
	// Identities first where all elements have one: then it comes to the same,
	// and needs no sum of whole elements.
	if !c.byIdentity(p) {
		c.byValue(p)
		c.byIdentity(p)
	}
	c.byLikeness(p)
	c.byRank(p)
}

// left returns the elements not paired yet, of both sides.
func (p *jsonPairing) left() (as, bs []jsonElement) {
	for side, mates := range [][]int32{p.aMate, p.bMate} {
		s := p.sorts[side][:0]
		for i, mate := range mates {
			if mate < 0 {
				s = append(s, jsonElement{at: int32(i)})
			}
		}
		p.sorts[side] = s
	}
	return p.sorts[0], p.sorts[1]
}

// byValue pairs elements that are the same: those in the same place first, and
// of several that are equal the first with the first.
func (c *jsonComparer) byValue(p *jsonPairing) {
	if len(p.a) == len(p.b) {
		for i := range p.a {
			if c.same(p.a[i], p.b[i]) {
				p.pair(int32(i), int32(i), true)
			}
		}
	}
	as, bs := p.left()
	for i := range as {
		as[i].sum = c.a.sum(p.a[as[i].at])
	}
	for i := range bs {
		bs[i].sum = c.b.sum(p.b[bs[i].at])
	}
	p.pairBySum(as, bs)
}

// pairBySum pairs those with the same sum and returns how many.
func (p *jsonPairing) pairBySum(as, bs []jsonElement) (pairs int) {
	bySum := func(x, y jsonElement) int { return cmp.Or(cmp.Compare(x.sum, y.sum), cmp.Compare(x.at, y.at)) }
	slices.SortFunc(as, bySum)
	slices.SortFunc(bs, bySum)
	for i, j := 0, 0; i < len(as) && j < len(bs); {
		switch order := cmp.Compare(as[i].sum, bs[j].sum); {
		case order < 0:
			i++
		case order > 0:
			j++
		default:
			p.pair(as[i].at, bs[j].at, true)
			i, j, pairs = i+1, j+1, pairs+1
		}
	}
	return pairs
}

// identities are the keys that tell which element it is, best first.
var identities = [...]string{`"id"`, `"_id"`, `"uuid"`, `"key"`, `"name"`, `"sku"`, `"code"`, `"slug"`}

// byIdentity pairs elements by the first of the identities that all elements
// left have, each another scalar, and that any two have in common. Ids that
// are made anew for each answer have nothing in common, and are passed over.
func (c *jsonComparer) byIdentity(p *jsonPairing) bool {
	as, bs := p.left()
	for _, key := range identities {
		if c.a.identify(as, p.a, key) && c.b.identify(bs, p.b, key) && p.pairBySum(as, bs) > 0 {
			return true
		}
	}
	return false
}

// identify sets the elements' sums to those of their identities. It fails
// where one has none, or the same as another.
func (d *jsonDoc) identify(elements []jsonElement, nodes []uint32, key string) bool {
	for i := range elements {
		value := d.scalar(nodes[elements[i].at], key)
		if value == 0 {
			return false
		}
		elements[i].sum = d.sum(value)
	}
	slices.SortFunc(elements, func(x, y jsonElement) int { return cmp.Compare(x.sum, y.sum) })
	for i := 1; i < len(elements); i++ {
		if elements[i].sum == elements[i-1].sum {
			return false
		}
	}
	return true
}

// scalar returns the value that an object has under a key, quotes included, if
// it is a scalar and not null; else 0.
func (d *jsonDoc) scalar(at uint32, key string) uint32 {
	if d.nodes[at].kind != jsonObject {
		return 0
	}
	for k, end := at+1, d.end(at); k < end; k = d.end(k + 1) {
		if string(d.raw(k)) == key {
			if kind := d.nodes[k+1].kind; kind == jsonNull || kind >= jsonList {
				return 0
			}
			return k + 1
		}
	}
	return 0
}

// maxAlike is how many elements a side are tried each with each. maxEffort
// bounds that for the document, whatever lists lie in each other: it is how
// often a node may be looked at, with 16 times for having its leaf sorted.
// 64 elements of 20 leaves with 64 others take a twentieth of it.
const (
	maxAlike  = 64
	maxEffort = 4 << 20
)

// byLikeness pairs elements by how many leaves, that is scalars under the same
// keys, they have in common: the most alike first, of equals those that
// stand nearest to each other.
func (c *jsonComparer) byLikeness(p *jsonPairing) {
	as, bs := p.left()
	if len(as) > maxAlike || len(bs) > maxAlike || len(as)*len(bs) < 2 {
		return
	}
	c.effort -= c.a.nodesIn(as, p.a)*(len(bs)+16) + c.b.nodesIn(bs, p.b)*(len(as)+16)
	if c.effort < 0 {
		return
	}
	c.leaves = c.leaves[:0]
	var aEnds, bEnds [maxAlike + 1]int
	for i := range as {
		c.leaves = c.a.appendLeaves(c.leaves, p.a[as[i].at], 0)
		slices.Sort(c.leaves[aEnds[i]:])
		aEnds[i+1] = len(c.leaves)
	}
	bEnds[0] = len(c.leaves)
	for i := range bs {
		c.leaves = c.b.appendLeaves(c.leaves, p.b[bs[i].at], 0)
		slices.Sort(c.leaves[bEnds[i]:])
		bEnds[i+1] = len(c.leaves)
	}
	c.scores = c.scores[:0]
	for i := range as {
		for j := range bs {
			n := common(c.leaves[aEnds[i]:aEnds[i+1]], c.leaves[bEnds[j]:bEnds[j+1]])
			if n > 0 {
				c.scores = append(c.scores, jsonScore{n, as[i].at, bs[j].at, int32(i), int32(j)})
			}
		}
	}
	// Two that are equal in all of this are i with j and j with i, which do not
	// get into each other's way.
	slices.SortFunc(c.scores, func(x, y jsonScore) int {
		return cmp.Or(-cmp.Compare(x.leaves, y.leaves),
			cmp.Compare(max(x.rankA-x.rankB, x.rankB-x.rankA), max(y.rankA-y.rankB, y.rankB-y.rankA)),
			cmp.Compare(x.rankA+x.rankB, y.rankA+y.rankB))
	})
	for _, s := range c.scores {
		if p.aMate[s.a] < 0 && p.bMate[s.b] < 0 {
			p.pair(s.a, s.b, true)
		}
	}
}

// nodesIn counts the nodes of elements.
func (d *jsonDoc) nodesIn(elements []jsonElement, nodes []uint32) (n int) {
	for _, e := range elements {
		n += int(d.end(nodes[e.at]) - nodes[e.at])
	}
	return n
}

// appendLeaves appends a number for each leaf of a value. The index of a list's
// element is not in it, so that lists in another order are alike.
func (d *jsonDoc) appendLeaves(out []uint64, at uint32, path uint64) []uint64 {
	n := &d.nodes[at]
	switch {
	case n.next == at+1:
		return append(out, mix(path, d.sum(at)))
	case n.kind == jsonList:
		path = mix(path, uint64(jsonList))
		for v := at + 1; v < n.next; v = d.end(v) {
			out = d.appendLeaves(out, v, path)
		}
	default:
		for k := at + 1; k < n.next; k = d.end(k + 1) {
			out = d.appendLeaves(out, k+1, mix(path, d.sum(k)))
		}
	}
	return out
}

// common counts what two sorted lists have in common.
func common(a, b []uint64) (n int) {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			a, b, n = a[1:], b[1:], n+1
		}
	}
	return n
}

// byRank pairs what is left in order.
func (c *jsonComparer) byRank(p *jsonPairing) {
	b := 0
	for a := range p.aMate {
		if p.aMate[a] >= 0 {
			continue
		}
		for b < len(p.bMate) && p.bMate[b] >= 0 {
			b++
		}
		if b == len(p.bMate) {
			return
		}
		p.pair(int32(a), int32(b), false)
	}
}
