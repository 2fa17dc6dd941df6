package capture

import "tcpsandbox/session"

// datagram gives a UDP datagram to its flow and returns that; nil: it belongs
// to none. There are no numbers: the order
// is that of the capture, and a copy cannot be told from a repetition.
func (a *Assembler) datagram(now int64) *flow {
	a.advance(now)
	s := &a.seg
	if a.udp == nil || !a.udp.has(s.srcPort) && !a.udp.has(s.dstPort) {
		a.stats.Ignored++
		return nil
	}
	f := a.find(s)
	if f == nil {
		toServer := a.udp.has(s.dstPort) // the first to speak to a server's port is a client, also from such a port
		if f = a.open(s, toServer, now); f == nil {
			a.stats.Ignored++
			return nil
		}
		f.s.Joined, f.s.Proto = !toServer, session.UDP
	}
	a.recent = f
	f.last = a.clock
	f.packets++
	a.stats.Segments++
	side := f.side(s)
	h := &f.half[side]
	if !h.heard {
		h.heard = true
		f.news |= 1 << side
	}
	m := mark{at: now}
	if side == session.Client {
		m.seen = uint64(f.half[session.Server].next)
	}
	h.next += int64(s.length)
	if len(s.payload) < s.length { // half a datagram is none
		a.emit(f, session.Event{Kind: session.Gap, Side: side, Missing: int64(s.length)}, m)
		return f
	}
	a.emit(f, session.Event{Kind: session.Data, Side: side, Data: a.arena.keep(s.payload)}, m)
	return f
}
