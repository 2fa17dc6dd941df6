package replay

import (
	"bytes"
	"time"

	"tcpsandbox/protocol"
	"tcpsandbox/session"
)

// Production's side of the exchanges: its bytes, cut into answers.

// productionOffset returns how many bytes production has sent so far.
func (x *exchanges) productionOffset() uint64 { return x.offset }

// production takes in what production answered.
func (x *exchanges) production(p []byte, at time.Duration) {
	defer x.resolve(false)
	if x.total == 0 && bytes.HasPrefix(p, []byte("HTTP/1.")) {
		x.looksHTTP = true
	}
	x.total += uint64(len(p))
	skipped := min(x.skip, uint64(len(p)))
	x.skip -= skipped
	p = p[skipped:]
	if x.player.joining || x.lost {
		x.offset += uint64(len(p))
		return
	}
	if x.last > 0 && x.lastTurn == x.turns && len(p) > 0 {
		x.longestPause = max(x.longestPause, at-x.last)
	}
	x.last, x.lastTurn = at, x.turns
	for len(p) > 0 {
		e := x.at(x.prod)
		if e == nil && x.framed(protocol.Production) {
			// Nobody asked: from here on answers cannot be paired.
			x.offset += uint64(len(p))
			x.lost = len(bytes.TrimLeft(p, "\r\n")) > 0
			return
		}
		if e == nil {
			e = x.unasked()
		}
		if e.answer == 0 {
			e.answer = at
		}
		n, m := len(p), protocol.More
		if x.framed(protocol.Production) {
			n, m = x.framer(protocol.Production).Feed(protocol.Production, p)
		} else if e.cut {
			n = int(min(uint64(n), e.prodEnd-x.offset))
		}
		x.add(&e.production, p[:n])
		x.offset += uint64(n)
		p = p[n:]
		switch {
		case m == protocol.End:
			x.productionDone(e)
		case m == protocol.Interim:
			e.interim = e.production.Len
		case x.framed(protocol.Production):
		case x.framed(protocol.Requests): // out of sync: it ends nobody knows where
			x.offset += uint64(len(p))
			x.lost = true
			x.judge()
			return
		default:
			x.settle()
		}
	}
}

// unasked begins an exchange for what a server says of its own accord.
func (x *exchanges) unasked() *exchange {
	e := x.beginTurn()
	if !x.started {
		e.label = "greeting"
	}
	e.sent = true
	return e
}

// settle completes those of production's answers whose end has become known.
// What was captured before the turn that ended one, and not seen by it, begins
// the next.
func (x *exchanges) settle() {
	for !x.lost && !x.framed(protocol.Production) {
		e := x.at(x.prod)
		if e == nil || !e.cut || e.prodEnd > x.offset {
			return
		}
		if over := x.offset - e.prodEnd; over > 0 {
			tail, ok := e.production.Cut(int64(over))
			ok = ok && !e.spoiled
			e.spoiled = !ok
			if next := x.at(x.prod + 1); next != nil {
				x.add(&next.production, tail)
				next.answer = x.last
				next.spoiled = !ok
			}
		}
		x.productionDone(e)
	}
}

func (x *exchanges) productionDone(e *exchange) {
	e.production.Complete = !e.spoiled
	e.answered = x.last
	if !e.cut {
		e.prodEnd, e.cut = x.offset, true
	}
	e.prodDone = true
	x.prod++
	x.judge()
}

// productionGap notes answer bytes that were never captured.
func (x *exchanges) productionGap(n int64) {
	x.total += uint64(n)
	skipped := min(x.skip, uint64(n))
	x.skip -= skipped
	if n -= int64(skipped); n == 0 {
		return
	}
	x.offset += uint64(n)
	if x.player.joining || x.lost {
		return
	}
	e := x.at(x.prod)
	switch {
	case !x.framed(protocol.Production):
		if e == nil {
			e = x.unasked()
		}
		e.spoiled = true
		e.missing += n
		x.settle()
	case e == nil || !x.bridge(e, n):
		// Where the next answer begins is anyone's guess.
		x.lost = true
		x.judge()
	}
}

// bridge carries the framer over a gap inside a body, where zeros do as well
// as what was there; a length that they do not fit loses its sync. It reports
// whether the framer knows where it is.
func (x *exchanges) bridge(e *exchange, n int64) bool {
	e.spoiled = true
	e.missing += n
	head := e.production.Head[min(e.interim, int64(len(e.production.Head))):]
	if !bytes.Contains(head, []byte("\r\n\r\n")) || !x.framer(protocol.Production).Open(protocol.Production) {
		return false
	}
	for n > 0 {
		used, m := x.framer(protocol.Production).Feed(protocol.Production, zeros[:min(n, int64(len(zeros)))])
		if !x.framed(protocol.Production) {
			return false
		}
		if n -= int64(used); m == protocol.End {
			x.productionDone(e)
			return n == 0
		}
	}
	return true
}

var zeros [16 << 10]byte

func (x *exchanges) productionFIN() {
	e := x.at(x.prod)
	if e == nil || x.lost {
		return
	}
	if x.framed(protocol.Production) && x.framer(protocol.Production).Close(protocol.Production) == protocol.End {
		x.productionDone(e)
	}
}

// productionEnded: nothing more of production's comes.
func (x *exchanges) productionEnded(why session.Cause) {
	defer x.resolve(true)
	if x.framed(protocol.Production) || x.lost {
		return
	}
	e := x.at(x.prod)
	if e == nil || e.prodDone {
		return
	}
	p := x.player
	switch {
	case why == session.CaptureEnd, why == session.Reset && !p.serverRST:
		// Nobody knows how it went on.
		e.part = e.production.Len > 0
	case e.production.Len > 0, p.serverHeard && e.whole:
		x.productionDone(e) // to say nothing is an answer, too
	}
}
