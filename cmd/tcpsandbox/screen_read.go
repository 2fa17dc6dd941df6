package main

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/protocol"
	"tcpsandbox/replay"
	"tcpsandbox/session"
)

// reading follows a captured session that nobody plays, and tells its requests
// with production's answers: of HTTP/1 by its messages, of all else by turns.
// Where the capture lacks something it goes on by turns until a request begins
// that is HTTP. It is not safe for concurrent use.
type reading struct {
	secrets *compare.Secrets
	keep    bool // the exchanges and their texts, too

	framer  protocol.Framer // nil: by turns
	sniff   []byte          // what the client sent first, while it is not known what it is
	sniffed time.Duration   // when
	decided bool
	joining bool // a request may begin anywhere

	open   []*replay.Played // without their answer's end
	latest *replay.Played   // that was begun
	asking *replay.Played   // that the client's bytes belong to
	begun  int
	last   session.Side
	heard  time.Duration // when the server spoke last
	routes []string
	first  time.Duration // sum of production's times to the first byte
	timed  int64

	played  []*replay.Played
	omitted int
	text    int // bytes
	marks   []replay.Mark
}

// What is kept of one session that is read again for its story.
const (
	maxRead     = 2000      // exchanges: the first ones
	maxReadText = 256 << 10 // of a request or an answer, in bytes
	maxReadAll  = 16 << 20  // of all of them
	maxReadOpen = 1000      // requests that nobody answers, as in a one-sided capture
	maxSniff    = 8 << 10
	routesShown = 8
)

// newReading follows a session from its beginning.
func newReading(s *session.Session, secrets *compare.Secrets, keep bool) *reading {
	return &reading{secrets: secrets, keep: keep, joining: s.Joined, decided: s.Proto == session.UDP || s.Joined}
}

// event takes in what was captured next.
func (r *reading) event(e *session.Event) {
	switch e.Kind {
	case session.Open:
		r.mark(replay.ClientOpens+replay.What(e.Side), e.At, 0)
	case session.FIN:
		r.mark(replay.ClientCloses+replay.What(e.Side), e.At, 0)
		if e.Side == session.Server {
			r.closed(e.At)
		}
	case session.RST:
		r.mark(replay.ClientResets+replay.What(e.Side), e.At, 0)
	case session.Gap:
		if e.Side == session.Client {
			r.mark(replay.Hole, e.At, e.Missing)
		}
		r.framer, r.sniff, r.decided, r.joining = nil, nil, true, true
	case session.Data:
		if e.Side == session.Client {
			r.client(e.Data, e.At)
		} else {
			r.server(e.Data, e.At)
		}
		r.last = e.Side
	}
}

func (r *reading) mark(what replay.What, at time.Duration, n int64) {
	const most = 64
	if r.keep && len(r.marks) < most {
		r.marks = append(r.marks, replay.Mark{What: what, At: [2]time.Duration{at, replay.Never}, Bytes: n})
	}
}

// client takes in what the client sent.
func (r *reading) client(data []byte, at time.Duration) {
	if !r.decided {
		r.sniff, r.sniffed = append(r.sniff, data...), at
		f, decided := protocol.Detect(r.sniff)
		if !decided && len(r.sniff) < maxSniff {
			return
		}
		data, r.sniff, r.decided = r.sniff, nil, true
		if decided && f.Name() != protocol.NewRaw().Name() {
			r.framer = f
		}
	}
	if r.joining {
		f := protocol.NewHTTP1()
		n := f.Start(data)
		if at < r.heard && r.latest != nil && r.latest.RequestLen == 0 {
			r.late(data, at, n == 0)
			return
		}
		if n >= 0 {
			if n > 0 {
				r.turn(data[:n], at)
			}
			data, r.framer, r.joining = data[n:], f, false
			r.open = r.open[:0] // what is still to be said to those is anyone's guess
		}
	}
	for len(data) > 0 && r.framed(protocol.Requests) {
		if !r.framer.Open(protocol.Requests) {
			if len(bytes.TrimLeft(data, "\r\n")) == 0 {
				return
			}
			r.begin(requestLine(data), true)
			r.asking = r.latest
		}
		n, _ := r.framer.Feed(protocol.Requests, data)
		r.request(data[:n], at)
		data = data[n:]
	}
	if len(data) > 0 {
		r.turn(data, at)
	}
}

// late takes in a request of which the capture tells after its answer: it waited
// until it was sure that what comes before was lost.
func (r *reading) late(data []byte, at time.Duration, http bool) {
	p := r.latest
	if p.HTTP = http; http {
		p.Label = requestLine(data)
		r.pass(p.Label)
	}
	r.asking = p
	r.request(data, at)
}

// turn takes in what the client sent in a turn, which it may begin.
func (r *reading) turn(data []byte, at time.Duration) {
	if len(r.open) == 0 || r.asking == nil || r.last == session.Server {
		r.open = r.open[:0]
		r.begin("turn "+strconv.Itoa(r.begun+1), false)
		r.asking = r.latest
	}
	r.request(data, at)
}

// server takes in what the server sent.
func (r *reading) server(data []byte, at time.Duration) {
	if !r.decided && len(r.sniff) > 0 { // it answers to what is there
		sniffed := r.sniff
		r.sniff, r.decided = nil, true
		r.turn(sniffed, r.sniffed)
	}
	r.decided = true
	r.heard = at
	for len(data) > 0 {
		if len(r.open) == 0 {
			label := "unasked"
			if r.begun == 0 && !r.joining {
				label = "greeting"
			}
			r.begin(label, false)
		}
		if r.open[0].HTTP && !r.framed(protocol.Production) { // where its answer ends nobody knows
			r.open = r.open[len(r.open)-1:]
		}
		p := r.open[0]
		if p.First[replay.OfProduction] == replay.Never {
			p.First[replay.OfProduction] = at
			if p.Asked != replay.Never && at >= p.Asked {
				r.first += at - p.Asked
				r.timed++
			}
		}
		n, mark := len(data), protocol.More
		if p.HTTP && r.framed(protocol.Production) {
			n, mark = r.framer.Feed(protocol.Production, data)
		}
		r.answer(p, data[:n])
		data = data[n:]
		if mark == protocol.End {
			r.whole(at)
		}
		p.Whole[replay.OfProduction] = at // so far
	}
}

// closed: the server says no more.
func (r *reading) closed(at time.Duration) {
	if len(r.open) == 0 {
		return
	}
	p := r.open[0]
	if !p.HTTP || r.framed(protocol.Production) && r.framer.Close(protocol.Production) == protocol.End {
		r.whole(at)
	}
}

// whole: the oldest of the open exchanges has its answer.
func (r *reading) whole(at time.Duration) {
	p := r.open[0]
	p.Whole[replay.OfProduction] = at
	if a := p.Answers[replay.OfProduction]; a != nil {
		a.Complete = true
	}
	r.open = r.open[1:]
}

func (r *reading) framed(s protocol.Stream) bool { return r.framer != nil && r.framer.InSync(s) }

// begin begins an exchange.
func (r *reading) begin(label string, http bool) {
	never := [2]time.Duration{replay.Never, replay.Never}
	p := &replay.Played{Number: r.begun, Label: label, HTTP: http, Asked: replay.Never, Sent: replay.Never, First: never, Whole: never, Verdict: compare.Uncompared}
	r.begun++
	r.latest = p
	r.open = append(r.open, p)
	if len(r.open) > maxReadOpen {
		r.open = r.open[1:]
	}
	switch {
	case r.keep && len(r.played) < maxRead:
		r.played = append(r.played, p)
	case r.keep:
		r.omitted++
	}
	if http {
		r.pass(label)
	}
}

// pass notes what kind of request was made.
func (r *reading) pass(label string) {
	if len(r.routes) == routesShown {
		return
	}
	label = r.secrets.Request(label)
	route := label
	if method, rest, ok := strings.Cut(label, " "); ok && strings.HasPrefix(rest, "/") {
		path, _, _ := strings.Cut(rest, " ")
		path, _, _ = strings.Cut(path, "?")
		route = method + " " + path
	}
	for _, known := range r.routes {
		if known == route {
			return
		}
	}
	r.routes = append(r.routes[:len(r.routes):len(r.routes)], strings.Clone(route)) // views share what was there
}

// request adds to the latest request.
func (r *reading) request(data []byte, at time.Duration) {
	p := r.asking
	p.Asked = at
	p.RequestLen += int64(len(data))
	if r.keeps(p) && int(p.RequestLen)-len(data) == len(p.Request) {
		n := r.room(len(data), len(p.Request))
		p.Request = append(p.Request, data[:n]...)
	}
}

// answer adds to an answer.
func (r *reading) answer(p *replay.Played, data []byte) {
	p.AnswerLen[replay.OfProduction] += int64(len(data))
	if !r.keeps(p) {
		return
	}
	a := p.Answers[replay.OfProduction]
	if a == nil {
		a = &compare.Answer{HTTP: p.HTTP}
		p.Answers[replay.OfProduction] = a
	}
	if int(a.Len) == len(a.Head) {
		a.Head = append(a.Head, data[:r.room(len(data), len(a.Head))]...)
	}
	a.Len += int64(len(data))
}

// keeps reports whether an exchange's texts are kept.
func (r *reading) keeps(p *replay.Played) bool { return r.keep && p.Number < maxRead }

// room returns how much of n bytes more may be kept where there are some.
func (r *reading) room(n, there int) int {
	n = max(0, min(n, maxReadText-there, maxReadAll-r.text))
	r.text += n
	return n
}

// requestLine is a request's first line, cut to a readable length.
func requestLine(p []byte) string {
	p = bytes.TrimLeft(p, "\r\n")
	if i := bytes.IndexAny(p, "\r\n"); i >= 0 {
		p = p[:i]
	}
	return string(p[:min(len(p), 120)])
}

// end tells that nothing more was captured.
func (r *reading) end() {
	if len(r.sniff) > 0 {
		data := r.sniff
		r.sniff, r.decided = nil, true
		r.turn(data, r.sniffed)
	}
	if len(r.open) > 0 && !r.open[0].HTTP {
		r.whole(r.open[0].Whole[replay.OfProduction])
	}
}

// view is what is known of the session; why is how its record ended.
func (r *reading) view(slot int, s *session.Session, why session.Cause) replay.View {
	totals, _ := s.Totals()
	v := replay.View{
		Slot: slot, ID: s.ID, Proto: s.Proto, Client: s.Client, As: s.Client, Server: s.Server, Start: s.Start, Joined: s.Joined,
		Production: productionOf(s, &totals, why), Application: replay.Unplayed, Behind: -1,
		Requests: r.begun, Captured: totals.Bytes[session.Client], Served: totals.Bytes[session.Server], Answered: -1, Delivered: -1,
		Verdict: compare.Uncompared, Routes: r.routes,
	}
	if why != session.Live {
		v.State = "skipped"
	}
	if r.timed > 0 {
		v.FirstProduction = r.first / time.Duration(r.timed)
	}
	return v
}

// productionOf says how far production's connection has come.
func productionOf(s *session.Session, t *session.Totals, why session.Cause) replay.ProductionState {
	switch why {
	case session.Closed:
		return replay.ProductionClosed
	case session.Reset:
		return replay.ProductionReset
	case session.Replaced, session.Idle:
		return replay.ProductionIdle
	}
	switch opening := s.Opening(); {
	case opening == session.OpeningUnanswered:
		return replay.ProductionOpening
	case why == session.CaptureEnd:
		return replay.ProductionCaptured
	case t.FIN[session.Client] || t.FIN[session.Server]:
		return replay.ProductionClosing
	}
	return replay.ProductionOpen
}

// story is what was read.
func (r *reading) story(slot int, s *session.Session, why session.Cause) *replay.Story {
	totals, _ := s.Totals()
	told := &replay.Story{
		View: r.view(slot, s, why), Marks: r.marks, Omitted: r.omitted,
		Missing: totals.Missing[session.Client], Wire: totals, Packets: s.Wire(),
	}
	for _, p := range r.played {
		told.Played = append(told.Played, *p)
	}
	return told
}
