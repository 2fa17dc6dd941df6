package capture

import (
	"time"

	"tcpsandbox/session"
)

// Reassembly of one direction: segments in, in any order, more than once and
// overlapping; out come the bytes of the stream, in order, each once. Where
// copies differ, the first bytes win.
//
//	            base                       next             acked
//	stream:  ────┼── delivered to session ──┼── hole ──┬─────┼───┬── hole …
//	                                                   └ queued ─┘
//
// The gap rule. Bytes that the other side acknowledged were on the wire; if
// they are not here, the capture missed them. But captures reorder packets
// between the directions (one receive queue per CPU, one tap per direction),
// so an acknowledgement may come before what it acknowledges. A hole below the
// highest acknowledgement therefore becomes a Gap when it is still there
// gapPackets packets of the session, or gapTime of packet time, after it was
// first acknowledged, or when the session ends. A hole that was not
// acknowledged waits for the retransmission: loss on the wire is no gap.
//
// Where only one direction is captured, nobody acknowledges: a side that was
// never heard is taken to acknowledge everything, after the longer times
// deafPackets and deafTime, within which a retransmission would have come.
//
// A FIN is acknowledged like a byte. The last number that was acknowledged is
// therefore no gap while nothing was captured there and the connection lives;
// when it ends, guessFIN decides. Without this, a capture that missed the FIN, or
// a whole side, would claim a lost byte.
const (
	gapPackets  = 64
	gapTime     = int64(200 * time.Millisecond)
	deafPackets = 1024
	deafTime    = int64(3 * time.Second)
)

// mark is what an event tells of the packet that carried it.
type mark struct {
	at      int64  // packet time
	seen    uint64 // see session.Event.Seen
	seenFIN bool
}

// piece is a run of bytes that came before those that precede it.
type piece struct {
	off  int64
	data []byte
	mark
}

func (p *piece) end() int64 { return p.off + int64(len(p.data)) }

// pieceCost is what a queued piece costs beside its bytes: the piece itself
// and the allocation's rounding.
const pieceCost = 96

// maxPieces bounds the pieces of a direction, because inserting one into the
// middle moves those behind it.
const maxPieces = 8192

// half is one direction of a flow: what one side sent.
type half struct {
	base    uint32 // sequence number of stream offset 0
	known   bool   // base is set
	sure    bool   // base comes from a SYN, or bytes were delivered from it
	heard   bool   // a packet of this side was captured
	guessed bool   // what the last number is that was acknowledged is decided
	opened  bool   // its Open event was given out
	finDone bool   // its FIN event was given out

	next   int64 // the next offset to deliver
	acked  int64 // highest offset that the other side acknowledged; its FIN counts as one
	step   int64 // by how much that grew last
	top    int64 // highest end of a segment seen
	last   int64 // highest end of bytes seen
	finAt  int64 // offset of the FIN, or -1
	fin    mark
	queue  []piece // sorted by off, disjoint, none before next
	held   int     // bytes that the queue holds, costs included
	lastAt int64   // packet time of the latest event; events of a side never go back in time
	seen   uint64  // Seen of the latest event

	owed        int64 // offset of a number that closeHole held back, 0: none
	holeTo      int64 // a hole below this offset is being watched; 0: none
	holeAt      int64 // packet time since when
	holePackets uint32
}

// start sets the sequence number of the stream's first byte.
func (h *half) start(seq uint32, sure bool) {
	h.base, h.known, h.sure = seq, true, sure
	h.next, h.acked, h.step, h.top, h.last, h.finAt = 0, 0, 0, 0, 0, -1
}

// limit returns up to where the stream's bytes are known to have existed: what
// was acknowledged, the FIN's number not counted.
func (h *half) limit(peerHeard bool) int64 {
	to := h.acked
	if !peerHeard {
		to = max(to, h.top)
	}
	if h.finAt >= 0 {
		to = min(to, h.finAt)
	} else if h.acked > h.last && !h.guessed {
		to-- // may be the FIN's number
	}
	return to
}

// guessFIN decides at the end what the last number is that was acknowledged of
// a side, when nothing was captured there: its FIN if the other side has closed,
// since a close is mutual. Of a side that was never heard it is that also if it
// was acknowledged alone. Else it is a byte.
func (f *flow) guessFIN(side session.Side) {
	h, other := &f.half[side], &f.half[side.Other()]
	if !h.known || h.guessed || h.finAt >= 0 {
		return
	}
	h.guessed = true
	if h.acked > h.last && (other.finAt >= 0 || !h.heard && h.step == 1) {
		h.finAt, h.fin = h.acked-1, mark{at: other.lastAt, seen: max(h.seen, other.seen)}
	}
}

// data takes a segment's bytes: off is its place in the stream.
func (a *Assembler) data(f *flow, side session.Side, off int64, p []byte, m mark) {
	h := &f.half[side]
	if h.finAt >= 0 && off+int64(len(p)) > h.finAt {
		p = p[:max(0, h.finAt-off)] // nothing follows a FIN
	}
	if off < h.next {
		if off+int64(len(p)) <= h.next {
			return // a retransmission, or a keep-alive probe
		}
		p, off = p[h.next-off:], h.next
	}
	if len(p) == 0 {
		return
	}
	if off > h.next {
		a.enqueue(f, side, off, p, m)
		return
	}
	if len(h.queue) == 0 { // in order: nearly always
		a.bytes(f, side, a.arena.keep(p), m)
		return
	}
	// What the queue has already is not replaced: deliver up to it.
	for len(p) > 0 {
		n := len(p)
		if len(h.queue) > 0 {
			n = int(min(int64(n), h.queue[0].off-h.next))
		}
		if n > 0 {
			a.bytes(f, side, a.arena.keep(p[:n]), m)
			p = p[n:]
		}
		before := h.next
		a.drain(f, side)
		p = p[min(int64(len(p)), h.next-before):]
	}
}

// bytes gives out the next bytes of the stream, which the session owns from
// now on.
func (a *Assembler) bytes(f *flow, side session.Side, p []byte, m mark) {
	h := &f.half[side]
	h.next += int64(len(p))
	h.sure = true
	a.emit(f, session.Event{Kind: session.Data, Side: side, Data: p}, m)
}

// drain gives out what is queued and has become due.
func (a *Assembler) drain(f *flow, side session.Side) {
	h := &f.half[side]
	n := 0
	for n < len(h.queue) && h.queue[n].off == h.next {
		p := &h.queue[n]
		a.release(h, p)
		a.bytes(f, side, p.data, p.mark)
		n++
	}
	if n == 0 {
		return
	}
	clear(h.queue[:n])
	if h.queue = h.queue[n:]; len(h.queue) == 0 {
		h.queue = nil // idle sessions hold no room
	}
}

// enqueue keeps a copy of the bytes that are new until their turn comes. Over
// a limit it gives the oldest hole up if that was acknowledged, and else does
// not keep the segment: if it mattered, it becomes a gap.
func (a *Assembler) enqueue(f *flow, side session.Side, off int64, p []byte, m mark) {
	h := &f.half[side]
	for !a.room(h, len(p)) {
		if h.next >= h.limit(f.half[side.Other()].heard) {
			a.stats.Shed += uint64(len(p))
			return
		}
		a.closeHole(f, side, h.limit(f.half[side.Other()].heard))
		if off <= h.next {
			a.data(f, side, off, p, m)
			return
		}
	}
	// From the back, since most pieces belong there: i is where off goes.
	i := len(h.queue)
	for i > 0 && h.queue[i-1].off > off {
		i--
	}
	if i > 0 {
		if e := h.queue[i-1].end(); e > off {
			if e >= off+int64(len(p)) {
				return
			}
			p, off = p[e-off:], e
		}
	}
	for len(p) > 0 {
		n := len(p)
		if i < len(h.queue) {
			n = int(min(int64(n), h.queue[i].off-off))
		}
		if n > 0 {
			if !a.room(h, n) {
				a.stats.Shed += uint64(len(p))
				return
			}
			h.queue = append(h.queue, piece{})
			copy(h.queue[i+1:], h.queue[i:])
			h.queue[i] = piece{off, a.arena.keep(p[:n]), m}
			h.held += n + pieceCost
			a.held += n + pieceCost
			p, off, i = p[n:], off+int64(n), i+1
		}
		if len(p) > 0 { // step over the piece that is there already
			n = int(min(int64(len(p)), h.queue[i].end()-off))
			p, off, i = p[n:], off+int64(n), i+1
		}
	}
}

func (a *Assembler) room(h *half, n int) bool {
	n += pieceCost
	return len(h.queue) < maxPieces && h.held+n <= a.cfg.MaxSessionBuffered && a.held+n <= a.cfg.MaxBuffered
}

func (a *Assembler) release(h *half, p *piece) {
	h.held -= len(p.data) + pieceCost
	a.held -= len(p.data) + pieceCost
}

// closeHole declares the hole at next a gap, as far as offset to, which was
// acknowledged, and gives out what was waiting behind it.
func (a *Assembler) closeHole(f *flow, side session.Side, to int64) {
	h := &f.half[side]
	m := mark{at: h.holeAt, seen: h.seen}
	if h.holeTo == 0 {
		m.at = a.clock
	}
	if len(h.queue) > 0 {
		next := h.queue[0].off
		if to = min(to, next); to == next-1 && h.acked >= next {
			to = next // what was held back as a FIN's number is followed by bytes
		}
		m.at = min(m.at, h.queue[0].at)
	}
	if to > h.next {
		gap := session.Event{Kind: session.Gap, Side: side, Missing: to - h.next}
		if side == session.Client {
			behind := ^uint64(0) // what comes later has seen all
			if len(h.queue) > 0 {
				behind = h.queue[0].seen
			}
			gap.Before, gap.Behind = f.spokeAt(h.next, behind), f.spokeAt(to, behind)
		}
		a.emit(f, gap, m)
		h.next = to
		if h.heard && to == h.acked-1 && h.acked > h.last && h.finAt < 0 {
			h.owed = to
		}
	}
	a.drain(f, side)
}

// closeHoles declares all holes below an offset.
func (a *Assembler) closeHoles(f *flow, side session.Side, below int64) {
	h := &f.half[side]
	for to := min(below, h.limit(f.half[side.Other()].heard)); h.next < to; {
		a.closeHole(f, side, to)
	}
	h.holeTo = 0
	a.finish(f, side)
}

// watch looks after the hole at next, if there is one, by the gap rule.
func (a *Assembler) watch(f *flow, side session.Side) {
	h := &f.half[side]
	peerHeard := f.half[side.Other()].heard
	to := h.limit(peerHeard)
	if to <= h.next {
		h.holeTo = 0
		return
	}
	if h.owed != 0 && h.owed == h.next { // it was a byte, of the hole that was given up
		h.owed = 0
		a.closeHoles(f, side, h.next+1)
		a.watch(f, side)
		return
	}
	if h.holeTo != 0 && h.next >= h.holeTo {
		h.holeTo = 0 // that one was filled; this is another
	}
	packets, wait, queue := uint32(gapPackets), gapTime, &a.holes
	if !peerHeard {
		packets, wait, queue = deafPackets, deafTime, &a.deafHoles
	}
	switch {
	case h.holeTo == 0:
		h.holeTo, h.holeAt, h.holePackets = to, a.clock, f.packets
		queue.push(hole{f, side, to, a.clock + wait})
	case f.packets-h.holePackets >= packets:
		a.closeHoles(f, side, h.holeTo)
		a.watch(f, side)
	}
}

// finish gives out the FIN once everything before it was.
func (a *Assembler) finish(f *flow, side session.Side) {
	h := &f.half[side]
	if h.finAt < 0 || h.finDone || h.next < h.finAt {
		return
	}
	h.finDone = true
	a.emit(f, session.Event{Kind: session.FIN, Side: side}, h.fin)
}
