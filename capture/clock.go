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

// maxJump is how far ahead a single packet may move the clock.
const maxJump = 24 * int64(time.Hour)

// believe returns the time that a packet is taken to have. A lone packet more
// than maxJump away from the others has a broken timestamp, as capture files do
// contain: ahead, it would end every session; behind, a session that begins with
// it would last for years. It gets the clock's time, and so does one that has no
// time at all (pcapng's simple packets). Captures of different days in one file
// are told from that by the packet that follows.
func (a *Assembler) believe(batch []Packet, i int) int64 {
	t := max(batch[i].Time, 0)
	if d := t - a.clock; t != 0 && d <= maxJump && d >= -maxJump {
		return t
	}
	if a.clock == 0 { // the first time there is
		for ; t == 0 && i < len(batch); i++ {
			t = max(batch[i].Time, 0)
		}
		return t
	}
	if t == 0 {
		return a.clock
	}
	ahead := t > a.clock
	if i+1 < len(batch) {
		next := batch[i+1].Time
		if ahead && next-a.clock > maxJump || !ahead && next > 0 && a.clock-next > maxJump {
			return t
		}
	}
	if a.doubted != 0 && max(t-a.doubted, a.doubted-t) <= maxJump {
		return t
	}
	a.doubted = t
	return a.clock
}

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
