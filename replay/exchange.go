package replay

import (
	"bytes"
	"strconv"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/protocol"
)

// exchange is a request, or without a framer a client turn, with the answers
// of both sides.
type exchange struct {
	label string // "GET /cart HTTP/1.1", "turn 3"

	asked    time.Duration // captured offset of the request's last byte, where there was a request
	answer   time.Duration // captured offset of production's first answer byte
	answered time.Duration // captured offset of its last, once its end was seen
	sentAt   time.Time
	firstAt  time.Time // of the application's first answer byte
	wholeAt  time.Time // of its last, once its end was seen
	http     bool      // the framer knows the answers as HTTP

	production  compare.Answer
	application compare.Answer
	prodEnd     uint64 // server stream offset where production's answer ends
	cut         bool   // prodEnd is known
	prodDone    bool
	appDone     bool
	sent        bool
	whole       bool  // all of its request was captured, or it is a client turn
	gone        bool  // its request was not played
	prompted    bool  // asked is known
	extra       bool  // production sent no such datagram
	spoiled     bool  // part of production's answer was not captured, or the application's cannot be told apart
	part        bool  // production's answer ends with the capture, or with the client's reset
	interim     int64 // where production's latest interim answer ends in its answer
	missing     int64 // bytes of production's answer that were not captured

	// For those who watch:
	cause      Cause // why its client turn was released
	caused     bool  // that is known
	requestLen int64
	request    []byte // its beginning
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

	// anew follows the application's answers where the session went on over
	// another connection; see goOn.
	anew protocol.Framer

	crossing *crossing // nil: none is unresolved

	longestPause time.Duration // inside production's answers

	over time.Time // when the run ended, if it did before the session
}

// underWay reports whether an answer was, when the run ended: asked for, not
// here to its end, and not waited for as long as one is.
func (x *exchanges) underWay(e *exchange) bool {
	p := x.player
	if x.over.IsZero() || !e.sent || e.appDone || p.fail.err != nil || x.over.Sub(x.waitsSince(e)) >= p.shard.cfg.AnswerTimeout {
		return false
	}
	return e.http || !compare.Same(&e.production, &e.application) // without a framer, the same bytes are all of it
}

// waitsSince is from when on the application has been silent about what it was
// asked. What it was asked since then does not renew its time. Where the run was
// paused meanwhile the player's own marks alone know by how much; see stoodStill.
func (x *exchanges) waitsSince(e *exchange) time.Time {
	p := x.player
	if e.sentAt.IsZero() || p.stood > 0 || p.shard.stood > 0 {
		return p.lastActivity()
	}
	if p.lastByte.After(e.sentAt) {
		return p.lastByte
	}
	return e.sentAt
}

// asHTTP tells that the answers are HTTP, which is the one protocol with a
// framer. roomy: more of them may be kept than what is compared by bytes anyway.
func (e *exchange) asHTTP(roomy bool) {
	e.http = true
	for _, a := range []*compare.Answer{&e.production, &e.application} {
		a.HTTP = true
		if roomy {
			a.Keep = compare.MaxHead
		}
	}
}

// ask notes when production's client had sent its request.
func (e *exchange) ask(at time.Duration) { e.asked, e.prompted = at, true }

func (x *exchanges) at(n int) *exchange {
	if i := n - x.base; i >= 0 && i < len(x.queue) {
		return x.queue[i]
	}
	return nil
}

// framer returns what follows a stream; nil: the protocol is not known yet.
func (x *exchanges) framer(s protocol.Stream) protocol.Framer {
	if s == protocol.Application && x.anew != nil {
		return x.anew
	}
	return x.player.framer
}

// framed reports whether a stream's answers end where the framer says.
func (x *exchanges) framed(s protocol.Stream) bool {
	f := x.framer(s)
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
	f := x.framer(protocol.Requests)
	if x.anew != nil {
		feedRequests(x.anew, data)
	}
	framed := f != nil && f.InSync(protocol.Requests)
	open := 0 // bytes since the end of a message
	for len(data) > 0 && framed && f.InSync(protocol.Requests) {
		if !f.Open(protocol.Requests) {
			if trimmed := bytes.TrimLeft(data, "\r\n"); len(trimmed) == 0 {
				break
			}
			if x.guessed {
				x.latest().label, x.latest().whole = label(data), false
				x.unrequested(x.latest()) // data has it from its first byte on
			} else {
				x.begin(label(data))
			}
			x.latest().asHTTP(x.player.shard.engine.roomy())
			x.guessed = false
			x.player.passes(x.latest().label)
		}
		n, m := f.Feed(protocol.Requests, data)
		x.requested(x.latest(), data[:n])
		data = data[n:]
		open += n
		if m == protocol.End {
			st.ends++
			open = 0
		}
		if e := x.latest(); e != nil {
			e.ask(st.At)
			e.whole = e.whole || m == protocol.End
		}
	}
	if framed && !f.InSync(protocol.Requests) {
		x.requested(x.latest(), data)
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
		x.latest().ask(st.At)
		x.requested(x.latest(), st.Data) // what data has beside was there already
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
	x.player.hold(-int64(cap(e.production.Head) + cap(e.application.Head)))
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
	x.pair(e, &p.shard.asked)
	out := p.shard.cfg.Judge(&p.shard.asked)
	x.tell(e, &p.shard.asked, out)
	p.shard.asked = compare.Exchange{}
	p.record.judged(e, out)
	p.shard.tally.judged(e, out)
	p.differs(e, out.Verdict)
}

// pair says what is known of an exchange.
func (x *exchanges) pair(e *exchange, pair *compare.Exchange) {
	p := x.player
	*pair = compare.Exchange{
		Session: p.s.ID, Copy: p.copy, Client: p.s.Client, Request: e.label, HTTP: e.http, At: e.sentAt,
		First: len(p.record.told) < maxFirsts, Told: p.record.told,
		Production: &e.production, Extra: e.extra, Part: e.part, Cut: p.record.Reset,
	}
	switch {
	case e.gone, e.http && !e.whole && !e.application.Complete: // or what was captured of it was
		pair.Why = compare.NotPlayed
	case e.missing > 0:
		pair.Why = compare.InGap
	case x.lost && !e.prodDone && !p.serverHeard:
		pair.Why = compare.NotCaptured
	case e.spoiled, x.lost && !e.prodDone:
		pair.Why = compare.Unpaired
	case !e.production.Complete && !e.part && !e.extra && !p.serverHeard:
		pair.Why = compare.NotCaptured
	case !e.production.Complete && !e.part && !e.extra:
		pair.Why = compare.CaptureEnded
	case x.underWay(e):
		pair.Why = compare.RunEnded
	}
	// To say nothing is an answer to a turn; an empty datagram has to come.
	silent := e.sent && e.production.Len == 0 && p.udp == nil
	if e.appDone && e.application.Complete || e.application.Len > 0 || silent || e.extra {
		pair.Application = &e.application
	}
	if e.prompted && e.answer > 0 && e.answer >= e.asked {
		pair.ProductionAt = p.s.Start.Add(e.asked)
		pair.ProductionTimes = compare.Times{First: max(e.answer-e.asked, 1), Whole: max(e.answered-e.asked, 0)}
	}
	if !e.firstAt.IsZero() && !e.sentAt.IsZero() {
		pair.ApplicationTimes.First = max(e.firstAt.Sub(e.sentAt), 1)
		if !e.wholeAt.IsZero() {
			pair.ApplicationTimes.Whole = max(e.wholeAt.Sub(e.sentAt), 1)
		}
	}
}

// restart begins anew at a place in the middle of the session, where the
// client had seen this much of the server's stream.
func (x *exchanges) restart(seen uint64) {
	x.abandon()
	x.anew = nil
	x.started, x.seen, x.lost, x.guessed = false, 0, false, false
	x.skip = seen - min(seen, x.total)
	x.offset = x.total - min(seen, x.total)
	x.lost = x.offset > 0 // its answer began before its request: cannot be told apart
}

// broken: the client's stream has a gap here. What was not sent never will be.
func (x *exchanges) broken() {
	if x.framer(protocol.Requests) != nil {
		x.lost = true
		x.judge()
	}
}

// conclude judges what is left when the session is over.
func (x *exchanges) conclude() {
	x.resolve(true)
	if e := x.at(x.app); e != nil && e.sent && !e.appDone && !x.framed(protocol.Application) && e.application.Len > 0 && !x.underWay(e) {
		e.application.Complete, e.appDone = true, true
	}
	x.abandon()
}

// abandon judges what is left as far as it goes.
func (x *exchanges) abandon() {
	x.resolve(true)
	for len(x.queue) > 0 {
		e := x.queue[0]
		e.gone = !e.sent && !x.player.denied() || x.player.excused && !e.appDone
		x.verdict(e)
		x.pop()
	}
	x.prod, x.app = x.base, x.base
}
