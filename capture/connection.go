package capture

import (
	"time"

	"tcpsandbox/session"
)

// The life of one connection, as seen from the wire:
//
//	         SYN, or SYN+ACK          FIN of both, acknowledged: Closed
//	unknown ─────────────────▶ live ──RST in the window:         Reset──────▶ ended
//	   │    payload: joined     │  ▲   silence:                  Idle          │
//	   │                        │  │   end of capture:           CaptureEnd    │ linger
//	   ▼ anything else          ▼  │ other SYN: Replaced, and a new one        ▼
//	ignored                    ended + live ◀──────────new SYN─────────── forgotten

// handshake finds or starts the flow that a SYN or SYN+ACK belongs to; nil
// when it is to be ignored.
func (a *Assembler) handshake(f *flow, s *segment, now int64) *flow {
	fromClient := s.flags&flagACK == 0
	if s.flags&flagRST != 0 {
		return f // contradicts itself; deliver ignores it
	}
	if f != nil && a.continues(f, s, fromClient) {
		return f
	}
	server, client := s.dstPort, s.srcPort
	if !fromClient {
		server, client = client, server
	}
	if !a.ports.has(server) {
		if f == nil && a.ports.has(client) {
			f = a.mute(s)
		}
		return f
	}
	if f != nil {
		if !f.ended {
			a.conclude(f, session.Replaced)
		}
		a.wheel.remove(f)
		a.forget(f)
	}
	f = a.open(s, fromClient, now)
	if f == nil {
		return nil
	}
	a.learn(f)
	if fromClient {
		f.half[session.Client].start(s.seq+1, true)
		return f
	}
	// The SYN+ACK proves the SYN, which another queue may yet deliver.
	f.half[session.Client].start(s.ack, true)
	f.half[session.Server].start(s.seq+1, true)
	f.half[session.Client].opened = true
	a.emit(f, session.Event{Kind: session.Open, Side: session.Client}, mark{at: now})
	return f
}

// continues tells whether a SYN belongs to the connection that f follows, or
// followed: the first SYN+ACK, or a copy of what came before.
func (a *Assembler) continues(f *flow, s *segment, fromClient bool) bool {
	side := f.side(s)
	h := &f.half[side]
	if fromClient && side == session.Server && !h.known && !f.ended {
		return true // both sides opened at once, RFC 9293 §3.5
	}
	if h.known && h.base == s.seq+1 {
		return true
	}
	if fromClient || side == session.Client {
		return false
	}
	// A SYN+ACK with another number: of this connection if it answers this
	// connection's SYN and the server has said nothing yet.
	client := &f.half[session.Client]
	if !client.known || client.base != s.ack && unwrap(client.base, s.ack, client.next) != client.next {
		return false
	}
	if !h.known || h.next == 0 && !f.ended {
		h.known = false // deliver sets it
		return true
	}
	return f.ended
}

// join starts a flow in the middle of a connection; nil when the segment is
// no reason to.
func (a *Assembler) join(s *segment, now int64) *flow {
	if len(s.payload) == 0 || s.flags&flagRST != 0 {
		return nil
	}
	if !a.ports.has(s.srcPort) && !a.ports.has(s.dstPort) {
		return nil
	}
	f := a.open(s, a.toServer(s, a.ports), now)
	if f == nil {
		return nil
	}
	f.s.Joined = true
	f.half[f.side(s)].start(s.seq, false)
	return f
}

// mute files a connection that goes out from one of the ports and not to one,
// so that its data is not taken for that of a joined session. It may return
// nil.
func (a *Assembler) mute(s *segment) *flow {
	if a.filed >= a.cfg.MaxFlows {
		return nil
	}
	f := &flow{key: s.key, last: a.clock - a.silent, ended: true, muted: true}
	a.insert(f, s)
	return f
}

// open makes a flow and its session.
func (a *Assembler) open(s *segment, fromClient bool, now int64) *flow {
	if a.filed >= a.cfg.MaxFlows {
		a.stats.Refused++
		return nil
	}
	f := &flow{key: s.key, start: now, last: a.clock - a.silent, clientHi: s.flipped == fromClient}
	client, server := s.key.endpoints()
	if f.clientHi {
		client, server = server, client
	}
	f.s = &session.Session{ID: a.cfg.NextID(), Client: client, Server: server, Start: time.Unix(0, now), Via: a.ip.path.String()}
	f.half[session.Client].lastAt, f.half[session.Server].lastAt = now, now
	f.half[session.Client].finAt, f.half[session.Server].finAt = -1, -1
	if a.cfg.Facts && s.key.ports&udpKey == 0 {
		f.facts = new(facts)
	}
	a.insert(f, s)
	a.stats.Sessions++
	a.stats.Live++
	return f
}

// deliver gives a segment to its flow: acknowledgement, SYN, reset, bytes,
// FIN, in this order.
func (a *Assembler) deliver(f *flow, side session.Side, s *segment, now int64) {
	me, peer := &f.half[side], &f.half[side.Other()]
	m := mark{at: now}
	syn := s.flags&flagSYN != 0
	rst := s.flags&flagRST != 0
	if syn && rst {
		return
	}
	if syn {
		if !me.known {
			me.start(s.seq+1, true)
		}
		if !me.opened {
			me.opened = true
			a.emit(f, session.Event{Kind: session.Open, Side: side}, m)
		}
	}
	if s.flags&flagACK != 0 {
		if !peer.known && !rst {
			peer.start(s.ack, false)
			if me.opened && !syn { // the SYN+ACK, which was not captured
				peer.opened = true
				a.emit(f, session.Event{Kind: session.Open, Side: side.Other()}, m)
			}
		}
		if peer.known {
			a.acknowledge(peer, s.ack, &m)
		}
	}
	if rst {
		a.reset(f, side, s, m)
		return
	}
	if !me.heard {
		me.heard = true
		f.news |= 1 << side
		if !me.known {
			me.start(s.seq, false)
			if peer.opened && !me.opened && s.flags&flagACK != 0 && s.ack-peer.base <= uint32(peer.top) { // it took the SYN
				me.opened = true
				a.emit(f, session.Event{Kind: session.Open, Side: side}, m)
			}
		}
	}
	seq := s.seq
	if syn {
		seq++
	}
	off := unwrap(me.base, seq, me.next)
	if off > me.next+maxWindow || off+int64(s.length) < me.next-maxWindow {
		if me.sure || len(s.payload) == 0 {
			return
		}
		me.start(seq, false) // the number that it started from was garbage
		off = 0
	}
	end := off + int64(s.length)
	if s.length > 0 && !syn {
		a.count(me, off, end, now)
	}
	if end > me.top {
		me.top = end
	}
	if s.flags&flagFIN != 0 && me.finAt < 0 && end >= me.next &&
		(len(me.queue) == 0 || end >= me.queue[len(me.queue)-1].end()) {
		me.finAt, me.fin = end, m.closing(peer)
	}
	if s.length > 0 {
		me.last = max(me.last, end)
		if side == session.Server && s.flags&flagACK != 0 {
			f.spoke(int64(m.seen), off)
		}
		a.data(f, side, off, s.payload, m)
	}
	a.finish(f, side)
	a.watch(f, side)
	a.watch(f, side.Other())
	a.settle(f)
}

// acknowledge notes how much of peer's stream a segment acknowledges, and for
// the mark what its sender had seen.
func (a *Assembler) acknowledge(peer *half, ack uint32, m *mark) {
	off := unwrap(peer.base, ack, peer.acked)
	if off > max(peer.acked, peer.next)+maxWindow {
		off = peer.acked
	}
	if off > peer.acked {
		peer.step, peer.acked = off-peer.acked, off
	}
	if peer.finAt >= 0 && off > peer.finAt {
		m.seenFIN = true
		off = peer.finAt
	}
	m.seen = uint64(max(off, 0))
}

// closing returns the mark of a FIN or RST. If the other side was never heard
// and the last number of its that was acknowledged was so alone, that is taken
// for its FIN, which was the cause.
func (m mark) closing(peer *half) mark {
	if !peer.heard && peer.known && peer.finAt < 0 && peer.step == 1 && int64(m.seen) == peer.acked {
		m.seen--
		m.seenFIN = true
	}
	return m
}

// reset ends the flow if the RST is in the window. What is known of the window
// is its lower edge (RFC 5961 §3.2); a capture that missed packets lags
// behind, so that there is no upper one.
func (a *Assembler) reset(f *flow, side session.Side, s *segment, m mark) {
	me, peer := &f.half[side], &f.half[side.Other()]
	switch {
	case me.known:
		off := unwrap(me.base, s.seq, me.next)
		if off < min(me.acked, me.next) || off > max(me.next, me.top)+maxWindow {
			return
		}
	case s.flags&flagACK != 0 && peer.known: // the refusal of a SYN
		if unwrap(peer.base, s.ack, peer.next) < 0 {
			return
		}
	}
	f.news |= 1 << side
	m = m.closing(peer)
	a.closeAll(f)
	a.emit(f, session.Event{Kind: session.RST, Side: side}, m)
	a.end(f, session.Reset)
}

// settle ends the flow once both sides have closed and know it of each other.
func (a *Assembler) settle(f *flow) {
	c, s := &f.half[session.Client], &f.half[session.Server]
	if !c.finDone && !s.finDone || f.ended || !f.closed() {
		return
	}
	if c.finDone && s.finDone && c.acked > c.finAt && s.acked > s.finAt {
		a.end(f, session.Closed)
	} else if !f.closing {
		f.closing = true // due sooner from now on
		a.wheel.remove(f)
		a.wheel.put(f, a.due(f))
	}
}

// closed tells that no more than acknowledgements is expected: each side that
// was heard has closed.
func (f *flow) closed() bool {
	c, s := &f.half[session.Client], &f.half[session.Server]
	return (c.finDone || !c.heard) && (s.finDone || !s.heard) && (c.finDone || s.finDone)
}

// conclude ends a flow that nothing more is expected of.
func (a *Assembler) conclude(f *flow, why session.Cause) {
	a.closeAll(f)
	if f.half[session.Client].finDone && f.half[session.Server].finDone {
		why = session.Closed // but the last acknowledgement was not captured
	}
	a.end(f, why)
}

// closeAll gives out what the other side acknowledged, with the gaps in it.
func (a *Assembler) closeAll(f *flow) {
	for side := session.Client; side <= session.Server; side++ {
		f.guessFIN(side)
		a.closeHoles(f, side, 1<<62)
	}
}

// end closes the record and frees what only a live flow needs. The flow stays
// in the table for the linger time.
func (a *Assembler) end(f *flow, why session.Cause) {
	a.touch(f)
	f.ended, f.cause = true, why
	for i := range f.half {
		h := &f.half[i]
		a.held -= h.held
		for j := range h.queue {
			a.stats.Orphaned += uint64(len(h.queue[j].data))
		}
		h.held, h.queue = 0, nil
	}
	a.stats.Live--
	a.wheel.remove(f)
	a.wheel.put(f, a.due(f))
}
