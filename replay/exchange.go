package replay

import (
	"bytes"
	"strconv"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/protocol"
	"tcpsandbox/session"
)

// exchange is a request, or without a framer a client turn, with the answers
// of both sides.
type exchange struct {
	label string // "GET /cart HTTP/1.1", "turn 3"

	asked   time.Duration // captured offset of the request's last byte
	answer  time.Duration // captured offset of production's first answer byte
	sentAt  time.Time
	firstAt time.Time // of the application's first answer byte

	production  compare.Answer
	application compare.Answer
	prodEnd     uint64 // server stream offset where production's answer ends
	cut         bool   // prodEnd is known
	prodDone    bool
	appDone     bool
	sent        bool
	gone        bool // its request was not played
	spoiled     bool // part of production's answer was not captured
}

// exchanges pairs the answers of a session. Each side fills the exchanges in
// order, at its own speed; one that both have filled is judged and forgotten.
type exchanges struct {
	player *player
	queue  []*exchange
	base   int // number of queue[0]
	prod   int // number of the exchange that production answers
	app    int // number of the exchange that the application answers
	turns  int // begun so far
	seen   uint64

	offset    uint64 // of production's next byte in the server's stream of this connection
	skip      uint64 // production bytes that belong to before the join
	last      time.Duration
	lastTurn  int
	lost      bool // production's answers cannot be told apart any more
	looksHTTP bool
	started   bool

	longestPause time.Duration // inside production's answers
}

func (x *exchanges) at(n int) *exchange {
	if i := n - x.base; i >= 0 && i < len(x.queue) {
		return x.queue[i]
	}
	return nil
}

func (x *exchanges) framer() protocol.Framer { return x.player.framer }

// framed reports whether a stream's answers end where the framer says.
func (x *exchanges) framed(s protocol.Stream) bool {
	f := x.framer()
	return f != nil && f.InSync(s)
}

func (x *exchanges) begin(label string) *exchange {
	sh := x.player.shard
	var e *exchange
	if n := len(sh.free); n > 0 {
		e, sh.free = sh.free[n-1], sh.free[:n-1]
	} else {
		e = new(exchange)
	}
	e.label = label
	x.queue = append(x.queue, e)
	x.turns++
	return e
}

// request takes in client data, data being all of it that the framer has not
// had, and tells the step which requests end in it.
func (x *exchanges) request(st *step, data []byte) {
	f := x.framer()
	if f == nil { // too little to tell the protocol: the turn begins all the same
		return
	}
	for len(data) > 0 && f.InSync(protocol.Requests) {
		if !f.Open(protocol.Requests) {
			if trimmed := bytes.TrimLeft(data, "\r\n"); len(trimmed) == 0 {
				break
			}
			x.begin(label(data))
		}
		n, m := f.Feed(protocol.Requests, data)
		data = data[n:]
		if m == protocol.End {
			st.ends++
		}
		if e := x.at(x.base + len(x.queue) - 1); e != nil {
			e.asked = st.At
		}
	}
	st.framed = f.InSync(protocol.Requests)
	if !st.framed {
		// Turns are told apart by what the client had seen.
		if !x.started || st.Seen > x.seen {
			for n := x.prod; n < x.base+len(x.queue); n++ {
				if e := x.at(n); !e.cut {
					e.prodEnd, e.cut = st.Seen, true
				}
			}
			x.begin("turn " + strconv.Itoa(x.turns+1))
		}
		x.queue[max(0, len(x.queue)-1)].asked = st.At
		x.settle()
	}
	x.started, x.seen = true, max(x.seen, st.Seen)
	st.turn = x.base + len(x.queue) - 1
}

// label is a request's first line, cut to a readable length.
func label(p []byte) string {
	p = bytes.TrimLeft(p, "\r\n")
	if i := bytes.IndexAny(p, "\r\n"); i >= 0 {
		p = p[:i]
	}
	return string(p[:min(len(p), 120)])
}

// productionOffset returns how many bytes production has sent so far.
func (x *exchanges) productionOffset() uint64 { return x.offset }

// production takes in what production answered.
func (x *exchanges) production(p []byte, at time.Duration) {
	if x.offset == 0 && bytes.HasPrefix(p, []byte("HTTP/1.")) {
		x.looksHTTP = true
	}
	if x.player.joining || x.lost {
		x.offset += uint64(len(p))
		return
	}
	if x.skip > 0 {
		n := min(x.skip, uint64(len(p)))
		x.skip -= n
		p = p[n:]
	}
	if x.last > 0 && x.lastTurn == x.turns && len(p) > 0 {
		x.longestPause = max(x.longestPause, at-x.last)
	}
	x.last, x.lastTurn = at, x.turns
	for len(p) > 0 {
		e := x.at(x.prod)
		if e == nil {
			if x.framed(protocol.Production) || x.started {
				x.offset += uint64(len(p)) // answers nothing that was asked
				return
			}
			e = x.begin("greeting")
			e.sent = true
			e.sentAt = time.Time{}
		}
		if e.answer == 0 {
			e.answer = at
		}
		n, m := len(p), protocol.More
		if x.framed(protocol.Production) {
			n, m = x.framer().Feed(protocol.Production, p)
		} else if e.cut {
			if e.prodEnd <= x.offset {
				x.productionDone(e)
				continue
			}
			n = int(min(uint64(n), e.prodEnd-x.offset))
		}
		e.production.Add(p[:n])
		x.offset += uint64(n)
		p = p[n:]
		if m == protocol.End || e.cut && !x.framed(protocol.Production) && x.offset >= e.prodEnd {
			x.productionDone(e)
		}
	}
}

// settle completes those of production's answers whose end has become known.
func (x *exchanges) settle() {
	for !x.framed(protocol.Production) {
		e := x.at(x.prod)
		if e == nil || !e.cut || e.prodEnd > x.offset {
			return
		}
		x.productionDone(e)
	}
}

func (x *exchanges) productionDone(e *exchange) {
	e.production.Complete = !e.spoiled
	e.prodDone, e.prodEnd, e.cut = true, x.offset, true
	x.prod++
	x.judge()
}

// productionGap notes answer bytes that were never captured.
func (x *exchanges) productionGap(n int64) {
	x.offset += uint64(n)
	if n >= int64(x.skip) {
		x.skip = 0
	} else {
		x.skip -= uint64(n)
		return
	}
	if x.framed(protocol.Production) {
		// Where the next answer begins is anyone's guess.
		x.lost = true
		return
	}
	if e := x.at(x.prod); e != nil {
		e.spoiled = true
		x.settle()
	}
}

func (x *exchanges) productionFIN() {
	e := x.at(x.prod)
	if e == nil || x.lost {
		return
	}
	if x.framed(protocol.Production) && x.framer().Close(protocol.Production) == protocol.End {
		x.productionDone(e)
	}
}

// productionEnded: nothing more of production's comes.
func (x *exchanges) productionEnded(why session.Cause) {
	if x.framed(protocol.Production) || x.lost {
		return
	}
	if e := x.at(x.prod); e != nil && !e.prodDone && e.production.Len > 0 {
		x.productionDone(e)
	}
}

// application takes in what the application answered.
func (x *exchanges) application(p []byte, now time.Time) {
	p0 := x.player
	for len(p) > 0 {
		e := x.at(x.app)
		if e == nil || !e.sent {
			if x.framed(protocol.Application) || p0.anyTurn {
				// An answer to nothing; the framer must see it all the same.
				if x.framed(protocol.Application) && e == nil {
					x.framer().Feed(protocol.Application, p)
				}
				if e == nil {
					return
				}
			}
			if e == nil {
				e = x.begin("greeting")
				e.sent = true
			}
		}
		if e.firstAt.IsZero() {
			e.firstAt = now
		}
		n, m := len(p), protocol.More
		if x.framed(protocol.Application) {
			n, m = x.framer().Feed(protocol.Application, p)
		}
		e.application.Add(p[:n])
		p = p[n:]
		if m == protocol.End {
			p0.answers++
			x.applicationDone(e)
		}
	}
}

func (x *exchanges) applicationDone(e *exchange) {
	e.application.Complete = true
	e.appDone = true
	x.app++
	x.judge()
}

func (x *exchanges) applicationEOF() {
	e := x.at(x.app)
	if e == nil || !e.sent {
		return
	}
	if x.framed(protocol.Application) {
		if x.framer().Close(protocol.Application) == protocol.End {
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
	surplus := int64(p.got) - p.shift - int64(st.Seen) // sent beyond what production's client had seen
	if x.framed(protocol.Application) {
		p.shift = 0 // the count is trusted only while both agree; see early
		return
	}
	keep := int64(0)
	if why == Exact && surplus > 0 {
		// Production, too, had sent more by then: that begins the next answer.
		keep = min(surplus, int64(st.ahead))
	}
	p.shift = int64(p.got) - keep - int64(st.Seen)
	if st.Kind != session.Data || st.turn < 0 {
		return
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
		e.application.Add(tail)
		e.firstAt = p.lastByte
	}
}

// sent tells that a step has gone out whole.
func (x *exchanges) sent(st *step, now time.Time) {
	for n := max(x.base, x.app); n <= st.turn; n++ {
		if e := x.at(n); e != nil {
			e.sent, e.sentAt = true, now
		}
	}
}

// early reports whether production's client had seen only a part of the answer
// to request number n of this connection when it had seen `seen` bytes.
func (x *exchanges) early(n int, seen uint64) bool {
	e := x.at(x.app)
	if e == nil || n < 0 {
		return false
	}
	if e.prodDone {
		return e.prodEnd > seen
	}
	return e.production.Len > 0 && x.offset >= seen && x.prod <= x.app
}

// waiting reports whether the application owes an answer that production gave.
func (x *exchanges) waiting() bool {
	for n := x.app; n < x.base+len(x.queue); n++ {
		e := x.at(n)
		if e == nil || !e.sent || e.appDone {
			continue
		}
		if x.framed(protocol.Application) {
			return true
		}
		// Without a framer, as many bytes as production gave are an answer.
		if e.production.Len > e.application.Len {
			return true
		}
	}
	return false
}

// judge compares the exchanges that both sides have filled.
func (x *exchanges) judge() {
	for len(x.queue) > 0 {
		e := x.queue[0]
		if !e.prodDone || !e.appDone {
			return
		}
		x.verdict(e)
		x.pop()
	}
}

func (x *exchanges) pop() {
	e := x.queue[0]
	x.queue[0] = nil
	x.queue = x.queue[1:]
	x.base++
	x.prod, x.app = max(x.prod, x.base), max(x.app, x.base)
	sh := x.player.shard
	e.production.Reset()
	e.application.Reset()
	*e = exchange{}
	if len(sh.free) < 1024 {
		sh.free = append(sh.free, e)
	}
}

// verdict judges one exchange.
func (x *exchanges) verdict(e *exchange) {
	p := x.player
	var res compare.Result
	switch {
	case e.gone || e.spoiled || x.lost && !e.prodDone || !e.production.Complete:
		res.Verdict = compare.Uncompared
	default:
		var app *compare.Answer
		if e.appDone && e.application.Complete || e.application.Len > 0 {
			app = &e.application
		}
		res = compare.Answers(&e.production, app, p.shard.cfg.Rules)
	}
	p.record.judged(e, res)
	p.shard.tally.judged(e, res)
	if differs := p.shard.cfg.Differs; differs != nil {
		switch res.Verdict {
		case compare.Different:
			differs(p.s.ID, e.label, res.Difference)
		case compare.Missing:
			differs(p.s.ID, e.label, nil)
		}
	}
}

// restart begins anew at a place in the middle of the session, where the
// client had seen this much of the server's stream.
func (x *exchanges) restart(seen uint64) {
	x.abandon()
	x.started, x.seen, x.lost = false, 0, false
	total := x.offset
	x.offset, x.skip = 0, 0
	if total <= seen {
		x.skip = seen - total
	} else {
		x.lost = true // its answer began before its request: cannot be told apart
	}
}

// broken: the client's stream has a gap here. What was not sent never will be.
func (x *exchanges) broken() {
	if x.framer() != nil {
		x.lost = true
	}
}

// conclude judges what is left when the session is over.
func (x *exchanges) conclude() {
	if e := x.at(x.app); e != nil && e.sent && !e.appDone && !x.framed(protocol.Application) && e.application.Len > 0 {
		e.application.Complete, e.appDone = true, true
	}
	x.abandon()
}

// abandon judges what is left as far as it goes.
func (x *exchanges) abandon() {
	for len(x.queue) > 0 {
		e := x.queue[0]
		if !e.sent {
			e.gone = true
		}
		x.verdict(e)
		x.pop()
	}
	x.prod, x.app = x.base, x.base
}
