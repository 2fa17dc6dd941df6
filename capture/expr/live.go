package expr

// VLAN tags of a live capture. The kernel takes a frame's outer tag off before a
// packet socket sees it, and keeps it beside the frame. tcpdump -i therefore has
// the first vlan in an expression ask for that tag; what is written after it
// stands where it would without. Only if there is no tag beside the frame, it
// looks into the frame, and the offsets move for all tests that are made after
// it. Those are not all that are written after it: in "tcp and vlan or udp" a
// frame that is not TCP comes to udp on a way past vlan. So the tests after the
// first vlan are there twice, in both places, and the way to them decides.
//
//	             ┌─ yes ─▶ the tag's id ──▶ what follows, where it stands
//	tag beside? ─┤
//	             └─ no ──▶ a tag in the frame, its id ──▶ what follows, 4 bytes on

// tagThere is set in the number that beside yields if there is a tag.
const tagThere = 1 << 16

// MatchLive reports whether a frame of a live Ethernet capture matches, as
// tcpdump -i has it: as Match does, with tag for the outer VLAN tag that the
// kernel took off (16 bits, the id in the lower 12), or -1 for none. Without
// vlan in the expression a tag makes no difference: "tcp" matches in any VLAN
// then, while Match wants "vlan and tcp" once the tag is back in its place.
//
// One thing of libpcap 1.10 is not followed. Where arithmetic is written before
// the first vlan, as in "len > 100 and vlan or tcp", its program may take a
// length or an operand for how far the offsets have moved.
func (f *Filter) MatchLive(data []byte, wire, tag int) (bool, error) {
	p, err := f.onLive()
	if err != nil {
		return false, err
	}
	var beside uint32
	if tag >= 0 {
		beside = tagThere | uint32(tag)&0xffff
	}
	return p.run(data, uint32(wire), beside), nil
}

// onLive returns the program for a live Ethernet capture.
func (f *Filter) onLive() (*program, error) {
	if !f.vlan {
		return f.on(linkEthernet)
	}
	f.live.once.Do(func() {
		low := &lowering{layout: layoutOf(linkEthernet), link: linkEthernet, text: f.text, live: true}
		f.live.program, f.live.err = low.program(f.tree)
	})
	return f.live.program, f.live.err
}

// twice lowers a primitive after the first vlan, for where it stands if that
// moved the offsets and if it did not.
func (low *lowering) twice(t tree, offset int) *cond {
	moved := low.layout
	low.kind -= 4
	low.network -= 4
	b := low.primitive(t, offset)
	low.layout = moved
	return &cond{kind: condMoved, a: low.primitive(t, offset), b: b}
}

// placeLive is place for a condition that the first vlan may be in: moved is
// where it leads to if that has moved the offsets, still if it has not or was
// not asked.
func (p *program) placeLive(c *cond, moved, still ends) int32 {
	if !c.tag {
		return p.place(c, still, false)
	}
	switch c.kind {
	case condTag:
		there := test{from: beside, cmp: anyBit, val: tagThere}
		there.yes, there.no = p.place(c.a, still, false), p.place(c.b, moved, false)
		p.tests = append(p.tests, there)
		return int32(len(p.tests) - 1)
	case condNot:
		return p.placeLive(c.a, ends{moved.no, moved.yes}, ends{still.no, still.yes})
	}
	if !c.a.tag {
		b := p.placeLive(c.b, moved, still)
		if c.kind == condAnd {
			return p.place(c.a, ends{b, still.no}, false)
		}
		return p.place(c.a, ends{still.yes, b}, false)
	}
	after, past := p.place(c.b, moved, true), p.place(c.b, still, false)
	if c.kind == condAnd {
		return p.placeLive(c.a, ends{after, moved.no}, ends{past, still.no})
	}
	return p.placeLive(c.a, ends{moved.yes, after}, ends{still.yes, past})
}
