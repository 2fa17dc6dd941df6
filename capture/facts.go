package capture

import (
	"slices"
	"time"

	"tcpsandbox/session"
)

// Facts of a connection's packets, for session.Wire: round trips, what was sent
// again, windows, who reset. They are noted beside the reassembly, from its
// state as it was before a segment, and change nothing in it. Noting takes 6 % of
// the time from file to session (BenchmarkFileToSessions/1500B-facts) and 300
// bytes a connection (BenchmarkIdleSession), so it is done on demand:
// AssemblerConfig.Facts. Without, it is a question a packet and 16 bytes.

// reorderTime is within what a segment that fills a hole counts as out of order
// where the handshake's round trip is not known: Wireshark's number, so that
// both tell the same.
const reorderTime = 3 * time.Millisecond

// facts is what is noted of a flow. Between batches the session alone has the
// Wire, so that an idle flow holds one of them and not two.
type facts struct {
	*session.Wire // of this batch; non-nil: the flow is in Assembler.noted
	sides         [2]factSide
}

// factSide is what it takes for one side.
type factSide struct {
	synAt  int64 // packet time of its latest SYN
	sentAt int64 // packet time of the segment that is timed
	upTo   int64 // offset of that segment's end; 0: none is timed
	holeAt int64 // packet time when the earliest hole before queued bytes showed; 0: never
	window uint16
	syns   uint8 // captured, 255 for more
	scale  int8  // of its SYN's window scale option, or noScale
	onSYN  bool  // window is that of a SYN, which is never scaled
}

// noScale is the window scale of a SYN without that option.
const noScale = -1

// note is deliver with facts.
func (a *Assembler) note(f *flow, s *segment, now int64) {
	if f.facts.Wire == nil {
		f.facts.Wire = a.blankWire()
		*f.facts.Wire = f.s.Wire()
		f.facts.Gathered = true
		a.noted = append(a.noted, f)
	}
	side := f.side(s)
	f.facts.segment(f, side, s, now)
	a.deliver(f, side, s, now)
	f.facts.delivered(f, side, s, now)
}

func (a *Assembler) blankWire() *session.Wire {
	if n := len(a.wires); n > 0 {
		w := a.wires[n-1]
		a.wires = a.wires[:n-1]
		return w
	}
	return new(session.Wire)
}

// publish gives the sessions of the batch what was noted of them.
func (a *Assembler) publish() {
	for _, f := range a.noted {
		f.facts.windows()
		f.s.Observe(f.facts.Wire)
		a.wires = append(a.wires, f.facts.Wire)
		f.facts.Wire = nil
	}
	clear(a.noted)
	a.noted = a.noted[:0]
}

// segment notes a segment that is about to be delivered.
func (w *facts) segment(f *flow, side session.Side, s *segment, now int64) {
	out, mine, me := &w.Sides[side], &w.sides[side], &f.half[side]
	out.Segments++
	if s.flags&flagRST != 0 {
		return // its window says nothing
	}
	syn := s.flags&flagSYN != 0
	mine.window, mine.onSYN = s.window, syn
	if s.window == 0 {
		out.ZeroWindows++
	}
	seq, again := s.seq, false
	if syn {
		again = mine.syns > 0
		if mine.syns < 255 {
			mine.syns++
		}
		mine.synAt, mine.scale = now, s.scale
		seq++
	}
	if s.flags&flagACK != 0 && f.half[side.Other()].known {
		w.acknowledge(f, side, s, now)
	}
	off := int64(0)
	if me.known {
		off = unwrap(me.base, seq, me.next)
	}
	end := off + int64(s.length)
	if off > me.next+maxWindow || end < me.next-maxWindow {
		return // garbage, see deliver
	}
	switch {
	case s.length == 0:
	case off >= me.top:
		if len(me.queue) == 0 {
			mine.holeAt = 0
			if off == me.top && mine.upTo == 0 && end > me.acked {
				mine.sentAt, mine.upTo = now, end
			}
		}
		if off > me.top && mine.holeAt == 0 {
			mine.holeAt = now
		}
	case s.length == 1 && end == me.top && me.acked >= me.top: // a keep-alive probe, RFC 9293 §3.8.4
	default:
		mine.upTo = 0
		if below := min(end, me.top) - off; me.has(off, off+below) || !w.early(mine, now) {
			out.RetransmittedBytes += uint64(below)
			again = true
		} else {
			out.OutOfOrder++
		}
	}
	if s.flags&flagFIN != 0 {
		again = again || out.FINAt >= 0 && end <= me.top
	}
	if again {
		out.Retransmitted++
	}
}

// acknowledge measures round trips to the side that sent s.
func (w *facts) acknowledge(f *flow, side session.Side, s *segment, now int64) {
	peer := &f.half[side.Other()]
	out, theirs := &w.Sides[side], &w.sides[side.Other()]
	ack := unwrap(peer.base, s.ack, peer.acked)
	// Of a client it is its first segment after the SYN, and without data:
	// else it may have waited for that.
	opening := s.flags&flagSYN != 0 || ack == 0 && s.length == 0 && out.Segments == uint64(w.sides[side].syns)+1
	if opening && out.Handshake < 0 && theirs.syns == 1 && now >= theirs.synAt {
		out.Handshake = time.Duration(now - theirs.synAt)
	}
	if theirs.upTo == 0 || ack < theirs.upTo || ack > peer.top+maxWindow {
		return
	}
	theirs.upTo = 0
	if rtt := time.Duration(now - theirs.sentAt); rtt >= 0 {
		out.RTT = rtt
		if out.MinRTT < 0 || rtt < out.MinRTT {
			out.MinRTT = rtt
		}
	}
}

// early tells whether a segment that fills a hole comes before anybody can have
// asked for it again. That takes a round trip between both sides, past the
// capture, from when the hole showed.
func (w *facts) early(mine *factSide, now int64) bool {
	within := reorderTime
	if c, s := w.Sides[session.Client].Handshake, w.Sides[session.Server].Handshake; c >= 0 && s >= 0 {
		within = c + s
	}
	return mine.holeAt != 0 && time.Duration(now-mine.holeAt) < within
}

// has tells whether bytes between two offsets were captured, or given up as a gap.
func (h *half) has(from, to int64) bool {
	if from < h.next {
		return true
	}
	i, _ := slices.BinarySearchFunc(h.queue, from, func(p piece, from int64) int {
		if p.end() <= from {
			return -1
		}
		return 1
	})
	return i < len(h.queue) && h.queue[i].off < to
}

// delivered notes what became of a segment.
func (w *facts) delivered(f *flow, side session.Side, s *segment, now int64) {
	at := max(0, time.Duration(now-f.start))
	switch out := &w.Sides[side]; {
	case s.flags&flagRST != 0:
		if f.ended && f.cause == session.Reset {
			w.Reset, w.ResetBy, w.ResetAt = true, side, at
		}
	case s.flags&flagFIN != 0 && out.FINAt < 0 && f.half[side].finAt >= 0:
		out.FINAt = at
	}
}

// windows fills in the latest windows.
func (w *facts) windows() {
	for side := range w.sides {
		out, mine := &w.Sides[side], &w.sides[side]
		if out.Segments == 0 {
			continue
		}
		shift, known := w.scale(session.Side(side))
		out.Window, out.Unscaled = int64(mine.window), !known && !mine.onSYN
		if !mine.onSYN {
			out.Window <<= shift
		}
	}
}

// scale returns by how many bits a side's windows are shifted (RFC 7323 §2.2):
// only if both SYNs had the option, and then by what its own said. A server's
// has it only if the client's had.
func (w *facts) scale(side session.Side) (shift int8, known bool) {
	own, other := &w.sides[side], &w.sides[side.Other()]
	switch {
	case own.syns > 0 && own.scale == noScale, other.syns > 0 && other.scale == noScale:
		return 0, true
	case own.syns > 0 && (other.syns > 0 || side == session.Server):
		return own.scale, true
	}
	return 0, false
}

// windowScale returns the window scale option of a SYN, or noScale. What it may
// be at most is RFC 7323 §2.3's.
func windowScale(options []byte) int8 {
	const end, nop, scale = 0, 1, 3
	for len(options) > 0 && options[0] != end {
		if options[0] == nop {
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			break
		}
		if options[0] == scale && options[1] == 3 {
			return int8(min(options[2], 14))
		}
		options = options[options[1]:]
	}
	return noScale
}
