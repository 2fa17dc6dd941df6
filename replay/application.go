package replay

import (
	"bytes"
	"time"

	"tcpsandbox/protocol"
	"tcpsandbox/session"
)

// The application's side of the exchanges: what was sent to it, and its bytes,
// cut into answers.

// application takes in what the application answered.
func (x *exchanges) application(p []byte, now time.Time) {
	p0 := x.player
	for len(p) > 0 {
		e := x.at(x.app)
		switch {
		case p0.greets && !p0.anyTurn:
			return // see greetingOver
		case e != nil && e.sent:
		case x.framed(protocol.Application):
			// An answer to nothing; the framer must see it all the same.
			n, _ := x.framer(protocol.Application).Feed(protocol.Application, p)
			p = p[n:]
			continue
		case e == nil:
			e = x.unasked()
		case p0.anyTurn:
			return
		}
		if e.firstAt.IsZero() {
			e.firstAt = now
			p0.late(e, now)
		}
		n, m := len(p), protocol.More
		if x.framed(protocol.Application) {
			n, m = x.framer(protocol.Application).Feed(protocol.Application, p)
		}
		x.add(&e.application, p[:n])
		p = p[n:]
		if m == protocol.End {
			p0.answers++
			x.applicationDone(e)
		}
	}
}

func (x *exchanges) applicationDone(e *exchange) {
	e.application.Complete = true
	e.wholeAt = x.player.lastByte
	e.appDone = true
	x.app++
	x.judge()
	limit := maxBehind
	if !x.player.serverHeard {
		limit = maxUnheard
	}
	if len(x.queue) > limit && x.queue[0].appDone && !x.lost {
		x.lost = true
		x.judge()
	}
}

// How many answers production's may be behind the application's; each that
// waits holds one. Where the server's direction is not captured they never come:
// pipelines are shorter than maxUnheard (browsers that used them stopped at 8
// requests, nginx' benchmarks go to 100 or so).
const (
	maxUnheard = 256
	maxBehind  = 16 << 10
)

func (x *exchanges) applicationEOF() {
	e := x.at(x.app)
	if e == nil || !e.sent {
		return
	}
	if x.framed(protocol.Application) {
		if x.framer(protocol.Application).Close(protocol.Application) == protocol.End {
			x.player.answers++
			x.applicationDone(e)
		}
		return
	}
	if e.application.Len > 0 {
		x.applicationDone(e)
	}
}

// released tells that a client turn goes out now: without a framer, the
// application's answer to the turn before ends here.
func (x *exchanges) released(st *step, why Cause) {
	p := x.player
	x.resolve(true)
	x.caused(st, why)
	surplus := int64(p.got) - p.shift - int64(st.Seen) // sent beyond what production's client had seen
	if x.framed(protocol.Application) {
		p.shift = 0 // the count is trusted only while both agree; see early
		return
	}
	turn := st.Kind == session.Data && st.turn >= 0
	keep, crossed := int64(0), false
	if why == Exact && surplus > 0 && (p.anyTurn || !p.greets) {
		// Production, too, had sent more by then: that begins the next answer.
		keep = min(surplus, int64(st.ahead))
		if surplus > keep && turn && x.mayCross(st.turn, surplus) {
			keep, crossed = surplus, true
		}
	}
	p.shift = int64(p.got) - keep - int64(st.Seen)
	if !turn {
		return
	}
	if why == Unawaited {
		// Where the answers to this turn and to those before end, nobody knows.
		for n := x.app; n <= st.turn; n++ {
			if e := x.at(n); e != nil {
				e.spoiled = true
			}
		}
	}
	var tail []byte
	for x.app < st.turn {
		e := x.at(x.app)
		if e == nil {
			x.app++
			continue
		}
		if x.app == st.turn-1 && keep > 0 {
			var ok bool
			if tail, ok = e.application.Cut(keep); !ok {
				e.spoiled = true
				if next := x.at(st.turn); next != nil {
					next.spoiled = true
				}
			} else if crossed {
				x.crossing = &crossing{turn: st.turn, bytes: bytes.Clone(tail)}
				x.app++ // it is judged once the crossing is resolved
				continue
			}
		}
		if why == Timeout && e.application.Len == 0 {
			e.appDone = true
			x.app++
			x.judge()
			continue
		}
		x.applicationDone(e)
	}
	if e := x.at(x.app); e != nil && len(tail) > 0 {
		x.add(&e.application, tail)
		e.firstAt = p.lastByte
	}
	x.resolve(false)
}

// sending tells that the first byte of a step goes out.
func (x *exchanges) sending(st *step) {
	for n := max(x.base, x.app); n <= st.turn; n++ {
		if e := x.at(n); e != nil {
			e.sent = true
		}
	}
}

// sent tells that a step has gone out whole.
func (x *exchanges) sent(st *step, now time.Time) {
	for n := max(x.base, x.app); n <= st.turn; n++ {
		if e := x.at(n); e != nil && (e.sentAt.IsZero() || n == st.turn) {
			e.sentAt = now
		}
	}
}

// halfDone reports whether the application's answer is the beginning of
// production's, and not all of it.
func (x *exchanges) halfDone() bool {
	e := x.at(x.app)
	if e == nil || !e.sent || e.spoiled {
		return false
	}
	a, p := &e.application, &e.production
	return a.Len > 0 && a.Len < p.Len && a.Len <= int64(len(p.Head)) && bytes.HasPrefix(p.Head, a.Head)
}

// early reports whether production's client, when it had seen `seen` bytes,
// had not seen the end of the answer that the application owes now: want is
// how much of it the client had seen, got how much of it is here.
func (x *exchanges) early(seen uint64) (want, got uint64, ok bool) {
	e := x.at(x.app)
	if e == nil || x.lost {
		return 0, 0, false
	}
	end := x.offset
	if e.prodDone {
		end = e.prodEnd
		ok = end > seen
	} else {
		ok = x.prod == x.app && end >= seen
	}
	start := end - min(end, uint64(e.production.Len+e.missing))
	return seen - min(seen, start), uint64(e.application.Len), ok
}

// waiting reports whether the application owes an answer that production gave.
func (x *exchanges) waiting() bool {
	for n := x.app; n < x.base+len(x.queue); n++ {
		e := x.at(n)
		if e == nil || !e.sent || e.appDone || !e.whole {
			continue
		}
		if x.framed(protocol.Application) {
			return true
		}
		// Without a framer, as many bytes as production gave are an answer; where
		// those cannot be told apart any more, anything is.
		if x.lost && x.total > 0 && e.application.Len == 0 || !x.lost && e.production.Len > e.application.Len {
			return true
		}
	}
	return false
}
