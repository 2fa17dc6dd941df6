package replay

import (
	"bytes"
	"cmp"
	"sync"
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

// What is kept of a story.
const (
	maxPlayed  = 256       // exchanges of a session
	firstKept  = 16        // of those, the session's first ones
	maxMarks   = 64        // of a session
	plainText  = 16 << 10  // of a request, and of each answer that is as production's, in bytes
	tellsText  = 256 << 10 // of each answer that differs
	storyText  = 1 << 20   // of a session
	playedCost = 512       // of an exchange without its texts
	storyCost  = 768       // of a session without its exchanges
)

// story is a Story in the making, of one player.
type story struct {
	began   time.Time
	marks   []Mark
	played  []*Played
	lost    int   // exchanges that were let go
	text    int   // bytes of requests and answers
	size    int64 // bytes, as the library counts them
	notable bool  // something in it differs, or went wrong

	// Once it has ended, in the library:
	final         *Story // without Played, and with Marks
	before, after *story
}

// mark notes that something happened on one side; where the other side's is
// noted already they become one.
func (p *player) mark(what What, side int, at time.Duration) {
	if p.watched == nil {
		return
	}
	t := p.watched.story
	for i := range t.marks {
		if m := &t.marks[i]; m.What == what && m.At[side] == Never {
			m.At[side] = at
			return
		}
	}
	if len(t.marks) < maxMarks {
		m := Mark{What: what, At: [2]time.Duration{Never, Never}}
		m.At[side] = at
		t.marks = append(t.marks, m)
	}
}

// marks notes what was captured.
func (p *player) markCaptured(e *session.Event) {
	if p.watched == nil || p.udp != nil {
		return
	}
	server := What(e.Side) // the server's stands behind the client's
	switch e.Kind {
	case session.Open:
		p.mark(ClientOpens+server, OfProduction, e.At)
	case session.FIN:
		p.mark(ClientCloses+server, OfProduction, e.At)
	case session.RST:
		p.mark(ClientResets+server, OfProduction, e.At)
	case session.Gap:
		if e.Side == session.Client {
			p.mark(Hole, OfProduction, e.At)
			p.watched.story.marks[len(p.watched.story.marks)-1].Bytes += e.Missing
		}
	}
}

// markPlayed notes what happened on the application's side.
func (p *player) markPlayed(what What, now time.Time) {
	if w := p.watched; w != nil {
		if w.story.began.IsZero() {
			w.story.began = now
		}
		p.mark(what, OfApplication, now.Sub(w.story.began))
	}
}

// requested keeps the beginning of a request.
func (x *exchanges) requested(e *exchange, data []byte) {
	if x.player.watched == nil || e == nil {
		return
	}
	e.requestLen += int64(len(data))
	if len(e.request) < plainText && x.player.mayKeep(len(data)) {
		e.request = append(e.request, data[:min(len(data), plainText-len(e.request))]...)
	}
}

// mayKeep reports whether there is room for so much more text.
func (p *player) mayKeep(n int) bool {
	return p.watched.story.text+n <= storyText && p.shard.engine.watch.stories.room(int64(n))
}

// tell keeps an exchange that was judged.
func (x *exchanges) tell(e *exchange, asked *compare.Exchange, out compare.Outcome) {
	p := x.player
	w := p.watched
	if w == nil {
		return
	}
	if t := asked.ProductionTimes.First; t > 0 {
		w.first[OfProduction].add(t)
	}
	if t := asked.ApplicationTimes.First; t > 0 {
		w.first[OfApplication].add(t)
	}
	t := w.story
	if !p.shard.engine.watch.stories.room(playedCost) && len(t.played) > 0 {
		t.lost++
		return
	}
	played := new(Played)
	x.playedAs(e, x.base, played)
	played.Judged, played.Verdict, played.Why = true, out.Verdict, asked.Why
	played.Extra, played.Part, played.Cut = asked.Extra, asked.Part, asked.Cut
	differs := out.Verdict == compare.Different || out.Verdict == compare.Missing
	t.notable = t.notable || differs
	limit := plainText
	if differs {
		limit = tellsText
	}
	if n := min(len(e.production.Head), limit); p.mayKeep(2 * n) {
		played.Answers[OfProduction] = e.production.Beginning(limit)
		switch {
		case out.Verdict == compare.Identical:
			played.Answers[OfApplication] = played.Answers[OfProduction]
		case asked.Application != nil:
			played.Answers[OfApplication] = e.application.Beginning(limit)
		}
	}
	t.add(played, &p.shard.engine.watch.stories)
}

// playedAs describes an exchange as it stands.
func (x *exchanges) playedAs(e *exchange, number int, to *Played) {
	t := x.player.watched.story
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

// size is what a Played costs, in bytes.
func (p *Played) size() (n int64) {
	n = playedCost + int64(cap(p.Request))
	for i, a := range p.Answers {
		if a != nil && (i == 0 || a != p.Answers[0]) {
			n += int64(cap(a.Head))
		}
	}
	return n
}

// add keeps an exchange, in the place of an older one if there are many.
func (t *story) add(p *Played, l *library) {
	size := p.size()
	if len(t.played) >= maxPlayed {
		i := firstKept
		for ; i < len(t.played) && t.played[i].Verdict != compare.Identical && t.played[i].Verdict != compare.Equivalent; i++ {
		}
		if i == len(t.played) {
			i = firstKept
		}
		size -= t.played[i].size()
		t.text -= int(t.played[i].size() - playedCost)
		t.played = append(t.played[:i], t.played[i+1:]...)
		t.lost++
	}
	t.played = append(t.played, p)
	t.text += int(p.size() - playedCost)
	t.size += size
	l.used(size)
}

// tellEnd closes the story of a session that has ended.
func (p *player) tellEnd(now time.Time) {
	if p.watched == nil {
		return
	}
	t := p.watched.story
	t.final = p.tellAll(now, false)
	t.notable = t.notable || t.final.Application == Failed || t.final.Verdict == compare.Different
	p.shard.engine.watch.stories.shelve(p.watched.slot, t)
}

// tellAll is the story so far; with is that of the exchanges, too.
func (p *player) tellAll(now time.Time, with bool) *Story {
	p.askLink()
	t := p.watched.story
	totals, _ := p.s.Totals()
	s := &Story{
		View: p.view(now), Began: t.began, Marks: append([]Mark(nil), t.marks...), Omitted: t.lost,
		Bytes: p.ledger, Missing: totals.Missing[session.Client], Wire: totals,
		Packets: p.s.Wire(), Link: p.watched.link,
	}
	if d := p.record.First; d != nil {
		s.Place = cmp.Or(d.Path, d.Place.String())
	}
	for _, f := range []failure{p.fail, p.failed} {
		if f.err != nil && s.Failure == "" {
			s.Failure = f.err.Error()
		}
	}
	if !with {
		return s
	}
	s.Played = t.copies()
	for i, e := range p.exchanges.queue {
		var one Played
		p.exchanges.playedAs(e, p.exchanges.base+i, &one)
		one.Request = bytes.Clone(one.Request)
		one.Answers = [2]*compare.Answer{e.production.Beginning(plainText), e.application.Beginning(plainText)}
		s.Played = append(s.Played, one)
	}
	return s
}

// copies returns what was played; what a Played points to does not change any
// more.
func (t *story) copies() []Played {
	all := make([]Played, len(t.played))
	for i, p := range t.played {
		all[i] = *p
	}
	return all
}

// Story returns what happened in the session of a slot; false: that is not
// kept. It may be called at any time by any goroutine.
func (e *Engine) Story(slot int) (*Story, bool) {
	if e.watch == nil || slot < 0 {
		return nil, false
	}
	for _, sh := range e.shards {
		var found *Story
		sh.ask(func() {
			for p := range sh.live {
				if p.watched.slot == slot {
					found = p.tellAll(time.Now(), true)
				}
			}
		})
		if found != nil {
			return found, true
		}
	}
	return e.watch.stories.of(slot)
}

// library holds the stories of sessions that have ended, in bounded memory.
type library struct {
	limit int64

	mu    sync.Mutex
	size  int64 // of all stories, those of live sessions too
	slots map[int]*story
	plain shelf // went as production's; let go first
	other shelf
}

// shelf is a list of stories, oldest first.
type shelf struct{ ends story }

func (s *shelf) init() { s.ends.before, s.ends.after = &s.ends, &s.ends }

func (s *shelf) push(t *story) {
	last := s.ends.before
	t.before, t.after = last, &s.ends
	last.after, s.ends.before = t, t
}

func (t *story) unlink() {
	t.before.after, t.after.before = t.after, t.before
	t.before, t.after = nil, nil
}

func (l *library) init(limit int64) {
	l.limit, l.slots = limit, map[int]*story{}
	l.plain.init()
	l.other.init()
}

// room reports whether so many bytes more may be kept, which it makes room for.
func (l *library) room(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.size+n > l.limit {
		if !l.dropOldest() {
			return false
		}
	}
	return true
}

func (l *library) used(n int64) {
	l.mu.Lock()
	l.size += n
	l.mu.Unlock()
}

// dropOldest lets a story go; false: there is none.
func (l *library) dropOldest() bool {
	for _, s := range []*shelf{&l.plain, &l.other} {
		if t := s.ends.after; t != &s.ends {
			t.unlink()
			delete(l.slots, t.final.Slot)
			l.size -= t.size
			return true
		}
	}
	return false
}

// shelve takes in the story of a session that has ended.
func (l *library) shelve(slot int, t *story) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.size += storyCost
	l.size += storyCost
	l.slots[slot] = t
	if t.notable {
		l.other.push(t)
	} else {
		l.plain.push(t)
	}
	for l.size > l.limit && l.dropOldest() {
	}
}

// of returns the story of a slot.
func (l *library) of(slot int) (*Story, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.slots[slot]
	if t == nil {
		return nil, false
	}
	s := *t.final
	s.Played = t.copies()
	return &s, true
}

// caused notes why a client turn was released.
func (x *exchanges) caused(st *step, why Cause) {
	if x.player.watched == nil {
		return
	}
	if e := x.at(st.turn); e != nil && st.Kind == session.Data {
		e.cause, e.caused = why, true
	}
}

// hears counts what the application has sent.
func (p *player) hears(n int) {
	if p.watched != nil {
		p.watched.down += int64(n)
	}
}
