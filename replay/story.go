package replay

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// Story is what happened in a session, as far as it is kept: a copy.
type Story struct {
	View
	Began   time.Time // when the application was connected to; zero: it was not
	Marks   []Mark    // in the order in which they were first seen
	Played  []Played  // requests with their answers, in order
	Omitted int       // of those begun: not kept any more, or never were
	Bytes   session.Ledger
	Missing int64 // client bytes that were not captured
	Failure string
	Wire    session.Totals // what was captured of the connection
	// Place is where the first answer that differs does: "$.items[3].price"; "" if
	// none does, or that is not known.
	Place   string
	Packets session.Wire // what its packets tell beside, if the capture was asked to note that
	Link    *LinkFacts   // what those of the latest connection to the application tell, and Reset of any; nil: nothing
}

// Mark is something that happened to the connection, on both sides or on one.
type Mark struct {
	What What
	// At is when: on production's side since the session's start, on the
	// application's since Story.Began; Never: it did not, or has not yet.
	At    [2]time.Duration
	Bytes int64 // of Hole
}

// Sides of a Mark.
const (
	OfProduction = iota
	OfApplication
)

// Never stands for the time of what has not happened.
const Never time.Duration = -1

// What can happen to a connection beside data.
type What uint8

const (
	ClientOpens   What = iota // SYN
	ServerAccepts             // SYN+ACK; of the application: the connection is established
	ClientCloses              // FIN
	ServerCloses
	ClientResets // RST
	ServerResets
	Hole       // client bytes that were not captured
	Reconnects // the connection was lost, and the session goes on over a new one
	Sheds      // dropped over the limit on memory
)

var whatNames = [...]string{
	"client opens", "server accepts", "client closes", "server closes", "client resets", "server resets",
	"not captured", "reconnected", "shed",
}

func (w What) String() string { return whatNames[w] }

// Played is a request, or client turn, with production's answer and the
// application's. Times are Never where they are not known.
type Played struct {
	Number int // in the session, from 0
	Label  string
	HTTP   bool

	Asked            time.Duration    // captured offset of the request's last byte
	First, Whole     [2]time.Duration // of the answer's first and last byte, by each side's clock
	Sent             time.Duration    // when the application was asked
	Cause            Cause            // why it was sent then
	Released         bool             // Cause is known: it began a client turn
	RequestLen       int64
	Request          []byte             // its beginning
	Answers          [2]*compare.Answer // nil: none, or not kept; both are the same one where they are identical
	AnswerLen        [2]int64
	Judged           bool
	Verdict          compare.Verdict
	Why              compare.Reason
	Extra, Part, Cut bool
}

// Exchange returns what compare.Exchange.Judge needs to judge the answers once
// more, as far as they are kept.
func (p *Played) Exchange(v *View) compare.Exchange {
	return compare.Exchange{
		Session: v.ID, Copy: v.Copy, Client: v.Client, Request: p.Label, HTTP: p.HTTP, First: true,
		Production: p.Answers[OfProduction], Application: p.Answers[OfApplication],
		Why: p.Why, Extra: p.Extra, Part: p.Part, Cut: p.Cut,
	}
}

// story is a Story in the making, of one player.
type story struct {
	began   time.Time
	marks   []Mark
	played  []*kept
	firm    int   // of those, so many first ones are not plain, or among firstKept
	lost    int   // exchanges that were let go
	text    int   // bytes of requests and answers, those of the queue too
	size    int64 // bytes, as the library counts them
	notable bool  // something in it differs, or went wrong

	// Once it has ended, in the library:
	final         Story // without Played
	before, after *story

	// Room for a session of one request, so that it takes one allocation.
	fewMarks  [4]Mark
	fewPlayed [1]*kept

	// What was let go of last, if nobody has seen it, for the next one.
	spare *kept
	room  []byte // of its request
}

// kept is a Played with room for its answers.
type kept struct {
	Played
	answers [2]compare.Answer
	shown   bool // somebody may hold what it points to
}

// mark notes that something happened on one side; where the other side's is
// noted already they become one. Of what ends a connection the latest do: an
// application may close several before it comes to the one that is closed as
// production's was.
func (t *story) mark(what What, side int, at time.Duration) *Mark {
	m := Mark{What: what, At: [2]time.Duration{Never, Never}}
	lone, paired := -1, -1
	for i := range t.marks {
		switch other := &t.marks[i]; {
		case other.What != what:
		case other.At[side] == Never && (lone < 0 || what.ends()):
			lone = i
		case other.At[side^1] != Never:
			paired = i
		}
	}
	switch {
	case lone >= 0:
		t.marks[lone].At[side] = at
		return &t.marks[lone]
	case paired >= 0 && side == OfApplication && what.ends():
		m.At[side^1], t.marks[paired].At[side^1] = t.marks[paired].At[side^1], Never
	}
	m.At[side] = at
	switch len(t.marks) {
	case 0:
		t.marks = t.fewMarks[:0]
	case maxMarks:
		t.marks = append(t.marks[:maxMarks/4], t.marks[maxMarks/4+1:]...)
	}
	t.marks = append(t.marks, m)
	return &t.marks[len(t.marks)-1]
}

// ends reports whether this ends a connection, or a direction of it.
func (w What) ends() bool { return w >= ClientCloses && w <= ServerResets }

// markCaptured notes what was captured.
func (p *player) markCaptured(e *session.Event) {
	if p.watched == nil || p.udp != nil || e.Kind == session.Data {
		return
	}
	t := &p.watched.story
	server := What(e.Side) // the server's stands behind the client's
	switch e.Kind {
	case session.Open:
		for _, m := range t.marks {
			if m.What == ClientOpens+server && m.At[OfProduction] != Never {
				return // sent again
			}
		}
		t.mark(ClientOpens+server, OfProduction, e.At)
	case session.FIN:
		t.mark(ClientCloses+server, OfProduction, e.At)
	case session.RST:
		t.mark(ClientResets+server, OfProduction, e.At)
	case session.Gap:
		if e.Side == session.Client {
			t.mark(Hole, OfProduction, e.At).Bytes = e.Missing
		}
	}
}

// markPlayed notes what happened on the application's side.
func (p *player) markPlayed(what What, now time.Time) {
	if w := p.watched; w != nil {
		since := time.Duration(0)
		if t := &w.story; !t.began.IsZero() {
			since = now.Sub(t.began)
		}
		w.story.mark(what, OfApplication, since)
	}
}

// begins notes that the application is connected to.
func (p *player) begins(now time.Time) {
	if w := p.watched; w != nil && w.story.began.IsZero() {
		w.story.began = now
	}
}

// requested keeps the beginning of a request, of which these are the next bytes.
func (x *exchanges) requested(e *exchange, data []byte) {
	w := x.player.watched
	if w == nil || e == nil {
		return
	}
	at := e.requestLen
	e.requestLen += int64(len(data))
	n := min(len(data), plainText-len(e.request))
	if n <= 0 || at != int64(len(e.request)) { // or not all of what comes before was kept
		return
	}
	if t := &w.story; at == 0 && e.request == nil && n <= cap(t.room) && t.hold(x.stories(), cap(t.room)) {
		e.request, t.room = t.room[:0], nil
	}
	if need := len(e.request) + n; need > cap(e.request) {
		room := need
		if at > 0 {
			room = min(max(need, 2*cap(e.request)), plainText)
		}
		if !w.story.hold(x.stories(), room-cap(e.request)) {
			return
		}
		e.request = append(make([]byte, 0, room), e.request...)
	}
	e.request = append(e.request, data[:n]...)
}

// unrequested forgets what was kept of a request.
func (x *exchanges) unrequested(e *exchange) {
	if w := x.player.watched; w != nil {
		w.story.drop(x.stories(), cap(e.request))
		e.request, e.requestLen = nil, 0
	}
}

func (x *exchanges) stories() *library { return &x.player.shard.engine.watch.stories }

// tell keeps an exchange that was judged.
func (x *exchanges) tell(e *exchange, asked *compare.Exchange, out compare.Outcome) {
	w := x.player.watched
	if w == nil {
		return
	}
	if t := asked.ProductionTimes.First; t > 0 {
		w.first[OfProduction].add(t)
	}
	if t := asked.ApplicationTimes.First; t > 0 {
		w.first[OfApplication].add(t)
	}
	differs := out.Verdict == compare.Different || out.Verdict == compare.Missing
	t, limit := &w.story, plainText
	if differs {
		t.notable, limit = true, tellsText
	}
	texts := [2][]byte{e.production.Head[:min(len(e.production.Head), limit)]}
	same := out.Verdict == compare.Identical && e.production.Len == e.application.Len
	if !same && asked.Application != nil {
		texts[OfApplication] = e.application.Head[:min(len(e.application.Head), limit)]
	}
	ok, whole := t.reserve(x.stories(), len(texts[0])+len(texts[1]), differs)
	if !ok {
		t.drop(x.stories(), cap(e.request))
		t.spare = nil
		t.lost++
		return
	}
	k := t.spare
	if t.spare = nil; k == nil {
		k = new(kept)
	}
	heads := [2][]byte{k.answers[0].Head, k.answers[1].Head}
	*k = kept{}
	x.playedAs(e, x.base, &k.Played)
	k.Judged, k.Verdict, k.Why = true, out.Verdict, asked.Why
	k.Extra, k.Part, k.Cut = asked.Extra, asked.Part, asked.Cut
	if whole {
		for side, text := range texts {
			heads[side] = t.fitting(x.stories(), heads[side], len(text))
			copy(heads[side], text)
		}
		k.keep(OfProduction, &e.production, heads[OfProduction])
		switch {
		case same:
			k.Answers[OfApplication] = k.Answers[OfProduction]
		case asked.Application != nil:
			k.keep(OfApplication, &e.application, heads[OfApplication])
		}
	}
	if t.played == nil {
		t.played = t.fewPlayed[:0]
	}
	t.played = append(t.played, k)
}

// keep keeps an answer, of which head is the beginning.
func (k *kept) keep(side int, a *compare.Answer, head []byte) {
	k.answers[side] = compare.Answer{Head: head, Len: a.Len, Complete: a.Complete, Keep: a.Keep, HTTP: a.HTTP}
	k.Answers[side] = &k.answers[side]
}

// playedAs describes an exchange as it stands.
func (x *exchanges) playedAs(e *exchange, number int, to *Played) {
	t := &x.player.watched.story
	since := func(at time.Time) time.Duration {
		if at.IsZero() || t.began.IsZero() {
			return Never
		}
		return max(0, at.Sub(t.began))
	}
	known := func(at time.Duration, ok bool) time.Duration {
		if !ok {
			return Never
		}
		return at
	}
	*to = Played{
		Number: number, Label: e.label, HTTP: e.http,
		Asked: known(e.asked, e.prompted), Sent: since(e.sentAt),
		First:    [2]time.Duration{known(e.answer, e.answer > 0 || e.production.Len > 0), since(e.firstAt)},
		Whole:    [2]time.Duration{known(e.answered, e.production.Complete), since(e.wholeAt)},
		Cause:    e.cause,
		Released: e.caused, RequestLen: e.requestLen, Request: e.request,
		AnswerLen: [2]int64{e.production.Len, e.application.Len},
	}
}

// tellEnd closes the story of a session that has ended.
func (p *player) tellEnd(now time.Time) {
	if p.watched == nil {
		return
	}
	t := &p.watched.story
	p.tellAll(now, &t.final)
	t.spare, t.room = nil, nil
	t.notable = t.notable || t.final.Application == Failed || t.final.Verdict == compare.Different
	p.unwatch(t.final.View)
	p.shard.engine.watch.stories.shelve(t)
}

// tellAll is the story so far, without the exchanges.
func (p *player) tellAll(now time.Time, s *Story) {
	p.askLink()
	t := &p.watched.story
	totals, _ := p.s.Totals()
	*s = Story{
		View: p.view(now), Began: t.began, Marks: t.marks, Omitted: t.lost,
		Bytes: p.ledger, Missing: totals.Missing[session.Client], Wire: totals,
		Packets: p.s.Wire(), Link: p.watched.link,
	}
	if d := p.record.First; d != nil {
		s.Place = cmp.Or(d.Path, d.Place.String())
	}
	if !p.ended {
		s.Bytes[session.Delivered] = s.Delivered
		s.Bytes[session.Pending] += s.Captured - s.Bytes.Sum()
	}
	for _, f := range []failure{p.fail, p.failed} {
		if f.err != nil && s.Failure == "" {
			s.Failure = f.err.Error()
		}
	}
}

// tellNow is the story of a session that goes on.
func (p *player) tellNow(now time.Time) *Story {
	s, x := new(Story), &p.exchanges
	p.tellAll(now, s)
	s.Marks = slices.Clone(s.Marks)
	s.Played = p.watched.story.copies()
	text := 0
	for i, e := range x.queue {
		if i == maxPlayed {
			s.Omitted += len(x.queue) - i
			break
		}
		var k kept
		x.playedAs(e, x.base+i, &k.Played)
		k.Request = bytes.Clone(k.Request) // it may still grow
		for side, a := range []*compare.Answer{&e.production, &e.application} {
			head := a.Head[:min(len(a.Head), plainText)]
			if text += len(head); a.Len > 0 && text <= storyText {
				k.keep(side, a, bytes.Clone(head))
			}
		}
		s.Played = append(s.Played, k.Played)
	}
	return s
}

// copies returns what was played; what a Played points to does not change any
// more.
func (t *story) copies() []Played {
	all := make([]Played, len(t.played))
	for i, k := range t.played {
		all[i], k.shown = k.Played, true
	}
	return all
}

// Story returns what happened in the session of a slot; false: that is not
// kept, or the session was not looked at yet. It may be called at any time by
// any goroutine, but not by Config.Judge and Config.Ended.
func (e *Engine) Story(slot int) (*Story, bool) {
	if e.watch == nil || slot < 0 {
		return nil, false
	}
	for _, sh := range e.shards {
		var found *Story
		sh.ask(func() {
			for p := range sh.live {
				if p.watched.slot == slot {
					found = p.tellNow(time.Now())
				}
			}
		})
		if found != nil {
			return found, true
		}
	}
	return e.watch.stories.of(slot)
}

// caused notes why a client turn was released.
func (x *exchanges) caused(st *step, why Cause) {
	if x.player.watched == nil || st.Kind != session.Data {
		return
	}
	// A step may hold several requests, the first of which began the turn, or
	// the rest of one, which did not.
	for n := max(x.base, x.app); n <= st.turn; n++ {
		if e := x.at(n); e != nil && !e.sent {
			e.cause, e.caused = why, true
			return
		}
	}
}

// hears counts what the application has sent.
func (p *player) hears(n int) {
	if p.watched != nil {
		p.watched.down += int64(n)
	}
}
