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
	whole       bool  // all of its request was captured, or it is a client turn
	gone        bool  // its request was not played
	spoiled     bool  // part of production's answer was not captured
	interim     int64 // where production's latest interim answer ends in its answer
	missing     int64 // bytes of production's answer that were not captured
}

// exchanges pairs the answers of a session. Each side fills the exchanges in
// order, at its own speed; one that both have filled is judged and forgotten.
type exchanges struct {
	player *player
	queue  []*exchange
	room   []*exchange // where the queue began when it was last empty
	base   int         // number of queue[0]
	prod   int         // number of the exchange that production answers
	app    int         // number of the exchange that the application answers
	turns  int         // begun so far
	seen   uint64

	total     uint64 // production bytes of the session, gaps counted
	offset    uint64 // of production's next byte in the server's stream of this connection
	skip      uint64 // production bytes that belong to before the join
	last      time.Duration
	lastTurn  int
	lost      bool // production's answers cannot be told apart any more
	looksHTTP bool
	started   bool
	guessed   bool // the latest exchange was begun before the protocol was known

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
	if len(x.queue) == 1 {
		x.room = x.queue[:0]
	}
	x.turns++
	return e
}

// request takes in client data, data being all of it that the framer has not
// had, and tells the step which requests end in it.
func (x *exchanges) request(st *step, data []byte) {
	f := x.framer()
	framed := f != nil && f.InSync(protocol.Requests)
	open := 0 // bytes since the end of a message
	for len(data) > 0 && framed && f.InSync(protocol.Requests) {
		if !f.Open(protocol.Requests) {
			if trimmed := bytes.TrimLeft(data, "\r\n"); len(trimmed) == 0 {
				break
			}
			if x.guessed {
				x.latest().label, x.latest().whole = label(data), false
			} else {
				x.begin(label(data))
			}
			x.guessed = false
		}
		n, m := f.Feed(protocol.Requests, data)
		data = data[n:]
		open += n
		if m == protocol.End {
			st.ends++
			open = 0
		}
		if e := x.latest(); e != nil {
			e.asked = st.At
			e.whole = e.whole || m == protocol.End
		}
	}
	st.framed = f != nil && f.InSync(protocol.Requests)
	st.tail = len(st.Data)
	if st.framed {
		st.tail = min(open, len(st.Data))
	}
	if !framed {
		// Turns are told apart by what the client had seen.
		if !x.started || st.Seen > x.seen || len(x.queue) == 0 {
			for n := x.prod; n < x.base+len(x.queue); n++ {
				if e := x.at(n); !e.cut {
					e.prodEnd, e.cut = st.Seen, true
				}
			}
			x.beginTurn()
			x.guessed = f == nil
		}
		x.latest().asked = st.At
	}
	st.turn = x.base + len(x.queue) - 1
	x.started, x.seen = true, max(x.seen, st.Seen)
	if !framed {
		x.settle()
	}
}

// beginTurn begins an exchange that no framer tells the bounds of.
func (x *exchanges) beginTurn() *exchange {
	e := x.begin("turn " + strconv.Itoa(x.turns+1))
	e.whole = true
	return e
}

func (x *exchanges) latest() *exchange { return x.at(x.base + len(x.queue) - 1) }

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
			n, m = x.framer().Feed(protocol.Production, p)
		} else if e.cut {
			n = int(min(uint64(n), e.prodEnd-x.offset))
		}
		e.production.Add(p[:n])
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
	for !x.framed(protocol.Production) {
		e := x.at(x.prod)
		if e == nil || !e.cut || e.prodEnd > x.offset {
			return
		}
		if over := x.offset - e.prodEnd; over > 0 {
			tail, ok := e.production.Cut(int64(over))
			ok = ok && !e.spoiled
			e.spoiled = !ok
			if next := x.at(x.prod + 1); next != nil {
				next.production.Add(tail)
				next.answer = x.last
				next.spoiled = !ok
			}
		}
		x.productionDone(e)
	}
}

func (x *exchanges) productionDone(e *exchange) {
	e.production.Complete = !e.spoiled
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
	if !bytes.Contains(head, []byte("\r\n\r\n")) || !x.framer().Open(protocol.Production) {
		return false
	}
	for n > 0 {
		used, m := x.framer().Feed(protocol.Production, zeros[:min(n, int64(len(zeros)))])
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
	if x.framed(protocol.Production) && x.framer().Close(protocol.Production) == protocol.End {
		x.productionDone(e)
	}
}

// productionEnded: nothing more of production's comes.
func (x *exchanges) productionEnded(why session.Cause) {
	if x.framed(protocol.Production) || x.lost || why == session.CaptureEnd {
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
		switch {
		case e != nil && e.sent:
		case x.framed(protocol.Application):
			// An answer to nothing; the framer must see it all the same.
			n, _ := x.framer().Feed(protocol.Application, p)
			p = p[n:]
			continue
		case e == nil:
			e = x.unasked()
		case p0.anyTurn:
			return
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
	if len(x.queue) > maxBehind && x.queue[0].appDone && !x.lost {
		x.lost = true
		x.judge()
	}
}

// maxBehind is how many answers production's may be behind the application's.
// They never come where the server's direction is not captured, and each that
// waits holds an answer. Pipelines are shorter: browsers that used them stopped
// at 8 requests, nginx' benchmarks go to 100 or so.
const maxBehind = 256

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
				if next := x.at(st.turn); next != nil {
					next.spoiled = true
				}
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
		if !e.prodDone && !x.lost || !e.appDone {
			return
		}
		x.verdict(e)
		x.pop()
	}
}

func (x *exchanges) pop() {
	e := x.queue[0]
	x.queue[0] = nil
	if x.queue = x.queue[1:]; len(x.queue) == 0 {
		x.queue = x.room // or every request would make room anew
	}
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
	x.started, x.seen, x.lost, x.guessed = false, 0, false, false
	x.skip = seen - min(seen, x.total)
	x.offset = x.total - min(seen, x.total)
	x.lost = x.offset > 0 // its answer began before its request: cannot be told apart
}

// broken: the client's stream has a gap here. What was not sent never will be.
func (x *exchanges) broken() {
	if x.framer() != nil {
		x.lost = true
		x.judge()
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
		e.gone = !e.sent && !x.player.denied()
		x.verdict(e)
		x.pop()
	}
	x.prod, x.app = x.base, x.base
}
