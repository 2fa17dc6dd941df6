package capture

// Which flow a segment belongs to. Endpoints alone do not say: tenants of an
// overlay, or customers of a VLAN, use the same addresses. So the flows of one
// pair of endpoints are a chain (of one, nearly always), told apart by the path
// that their packets take (path.go). But a path is not always the same for a
// connection's both directions, nor for its whole life: a mirror port may tag
// one direction only, the labels of MPLS, the ids of GTP-U and often the keys
// of GRE are one direction's own, a reply may bypass the load balancer's tunnel,
// a phone moves to another cell. What decides, in this order:
//
//  1. the path that the flow's packets of this direction took, or took before;
//  2. where none of this direction was captured yet: the other one's path, if
//     the segment acknowledges what the other direction sent;
//  3. any path, if it does;
//  4. any path, if the segment is the very next of its direction;
//  5. as 2., whatever the numbers: what follows finds out.
//
// All else on another path is another connection. So one that is captured
// twice, on a trunk and behind it say, with the same numbers on two paths, is
// two sessions: each path has its own SYN (or, joined, its own first data,
// which the other has already).

// noPath is the path of a direction of which no packet was captured.
const noPath = 1<<64 - 1

// fitWindow is how far the numbers of a segment that is to fit a flow may be
// from those known: more than the largest receive windows in use, and two
// numbers that fit by chance are less than one in 10,000.
const fitWindow = 1 << 24

// direction is the index of a segment's direction in flow.path.
func (s *segment) direction() int {
	if s.flipped {
		return 1
	}
	return 0
}

// find returns the segment's flow, or nil.
func (a *Assembler) find(s *segment) *flow {
	d := s.direction()
	if f := a.recent; f != nil && f.key == s.key && f.path[d] == s.path {
		return f
	}
	f := a.flows[s.key]
	if f == nil || f.path[d] == s.path {
		return f
	}
	return a.choose(f, s)
}

// choose returns the flow of a chain that the first of the rules above holds
// for.
func (a *Assembler) choose(first *flow, s *segment) *flow {
	var best *flow
	rule := noRule
	for f := first; f != nil; f = f.twin {
		if r := f.rule(s); r <= rule && r != noRule { // of several the oldest, which is the last
			best, rule = f, r
		}
	}
	if d := s.direction(); rule != noRule && rule != 1 {
		best.former[d], best.path[d] = best.path[d], s.path
	}
	return best
}

const noRule = 6

// rule returns the number of the first rule that makes a segment the flow's.
func (f *flow) rule(s *segment) int {
	d := s.direction()
	same := f.path[d^1] == s.path
	switch {
	case f.path[d] == s.path || f.former[d] == s.path:
		return 1
	case f.path[d] == noPath && same && f.answeredBy(s):
		return 2
	case f.path[d] == noPath && f.answeredBy(s):
		return 3
	case f.wentOnBy(s):
		return 4
	case f.path[d] == noPath && same:
		return 5
	}
	return noRule
}

// answeredBy tells whether the numbers of a segment are those of the flow's
// silent direction.
func (f *flow) answeredBy(s *segment) bool {
	if s.key.ports&udpKey != 0 {
		return true // no numbers: the ports are all there is
	}
	if f.muted {
		return true
	}
	me, peer := &f.half[f.side(s)], &f.half[f.side(s).Other()]
	acks := s.flags&flagACK != 0 && peer.known
	switch {
	case s.flags&flagSYN != 0:
		return acks && s.ack-peer.base <= uint32(peer.top) // more than 0 with data on the SYN
	case acks && !near(unwrap(peer.base, s.ack, peer.top), peer.top):
		return false
	case me.known && !near(unwrap(me.base, s.seq, me.acked), me.acked):
		return false
	}
	return acks || me.known && s.flags&flagRST != 0
}

// wentOnBy tells whether a segment continues its direction of the flow exactly
// where that stands.
func (f *flow) wentOnBy(s *segment) bool {
	if f.ended || s.flags&(flagSYN|flagRST) != 0 || s.flags&flagACK == 0 || s.key.ports&udpKey != 0 {
		return false
	}
	me, peer := &f.half[f.side(s)], &f.half[f.side(s).Other()]
	return me.heard && unwrap(me.base, s.seq, me.top) == me.top && me.top > 0 &&
		peer.known && near(unwrap(peer.base, s.ack, peer.acked), peer.acked)
}

func near(a, b int64) bool { return max(a-b, b-a) <= fitWindow }

// insert adds a flow to the table.
func (a *Assembler) insert(f *flow, s *segment) {
	d := s.direction()
	f.path[d], f.path[d^1] = s.path, noPath
	f.former = [2]uint64{noPath, noPath}
	f.twin = a.flows[f.key]
	a.flows[f.key] = f
	a.filed++
	a.wheel.put(f, a.due(f))
}

// forget takes a flow out of the table.
func (a *Assembler) forget(f *flow) {
	if a.recent == f {
		a.recent = nil
	}
	first := a.flows[f.key]
	if first == f {
		if f.twin == nil {
			delete(a.flows, f.key)
		} else {
			a.flows[f.key] = f.twin
		}
		f.twin = nil
		a.filed--
		return
	}
	for p := first; p != nil; p = p.twin {
		if p.twin == f {
			p.twin, f.twin = f.twin, nil
			a.filed--
			return
		}
	}
}
