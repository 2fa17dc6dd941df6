package capture

import (
	"time"

	"tcpsandbox/session"
)

// Packet time: the clock of the assembler runs by the packets, and what is due
// by it is served before the packet that brought it on.

// linger is how long an ended connection's late packets are recognised:
// longer than the first few retransmissions of what its peer missed.
const linger = 10 * int64(time.Second)

// advance sets the clock and serves what became due.
func (a *Assembler) advance(now int64) {
	if now <= a.clock {
		return
	}
	if a.clock == 0 {
		a.wheel.now = now / slotTime
	} else if most := int64(a.cfg.LongestSilence); most > 0 && now-a.clock > most {
		a.silent += now - a.clock - most
	}
	a.clock = now
	if a.holes.due() <= now {
		a.serve(&a.holes)
	}
	if a.deafHoles.due() <= now {
		a.serve(&a.deafHoles)
	}
	if now/slotTime > a.wheel.now {
		a.wheel.advance(now, a.expire)
	}
}

// serve closes the holes that have been watched for long enough.
func (a *Assembler) serve(q *holeQueue) {
	for q.due() <= a.clock {
		e := q.pop()
		if h := &e.f.half[e.side]; !e.f.ended && h.holeTo == e.to && h.next < e.to {
			a.closeHoles(e.f, e.side, e.to)
			a.watch(e.f, e.side)
			a.settle(e.f)
		}
	}
}

// expire looks at a flow that may be idle for too long.
func (a *Assembler) expire(f *flow) {
	due := a.due(f)
	switch {
	case due > a.clock:
		a.wheel.put(f, due)
	case f.ended:
		a.forget(f)
	default:
		// What may follow on this connection after all is a joined session.
		a.conclude(f, session.Idle)
		a.wheel.remove(f)
		a.forget(f)
	}
}

// due returns when a flow that stays silent is to be dealt with.
func (a *Assembler) due(f *flow) int64 {
	if f.key.ports&udpKey != 0 && !f.muted {
		return f.last + int64(a.cfg.UDPIdleTimeout)
	}
	last := f.last + a.silent
	if !f.muted && (f.ended || f.closed()) { // or only the last acknowledgement was not captured
		return last + linger
	}
	return last + int64(a.cfg.IdleTimeout)
}
