package replay

import (
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// Break says what pauses an engine by itself. The zero value: nothing.
type Break struct {
	// Difference: an answer is not production's, or missing.
	Difference bool
	// Reset: the application reset a connection.
	Reset bool
	// EarlyClose: the application closed a connection on which production's
	// server took more of the client's data than was sent.
	EarlyClose bool
	// Latency: the first byte of an answer came later than this after the
	// request's last, or is not there by then though production's is. 0: not
	// looked at.
	Latency time.Duration
}

// Reason is which part of a Break was hit.
type Reason uint8

const (
	Differs    Reason = iota // Break.Difference
	Reset                    // Break.Reset
	EarlyClose               // Break.EarlyClose
	Late                     // Break.Latency

	reasons
)

var reasonNames = [reasons]string{"difference", "reset", "early close", "latency"}

// String names the reason, as "early close".
func (r Reason) String() string { return reasonNames[r] }

// Hit is a break that was hit.
type Hit struct {
	Session uint64
	Copy    int // which copy of the session, from 0
	Why     Reason
	// Request is what the application answered, or should have: a request's first
	// line or a turn's number, "" between two. The client's bytes are in it as
	// they are.
	Request string
	// Latency is, of a late answer, how long it took, at least.
	Latency time.Duration
	At      time.Time
}

// BreakOn makes the first that happens of b pause the engine, before anything
// else goes out of the session in which it happened or of any other that its
// goroutine plays; see Pause for the rest. Config.Broke is told. A break is used
// up when it was hit; the others in b stay. BreakOn replaces those of before,
// may be called from any goroutine, and while paused, too: answers come then as
// well. Without any, what playing costs is a load here and there.
func (e *Engine) BreakOn(b Break) {
	if b == (Break{}) {
		e.control.breaks.Store(nil)
		return
	}
	e.control.breaks.Store(&b)
	if b.Latency > 0 {
		e.again() // who is waited for already may be late
	}
}

// Breaks returns the breaks that are set and were not hit yet.
func (e *Engine) Breaks() Break {
	if b := e.control.breaks.Load(); b != nil {
		return *b
	}
	return Break{}
}

// without returns what is left of a break when this was hit, and whether it
// could be.
func (b Break) without(why Reason) (rest Break, ok bool) {
	rest = b
	switch why {
	case Differs:
		rest.Difference = false
	case Reset:
		rest.Reset = false
	case EarlyClose:
		rest.EarlyClose = false
	case Late:
		rest.Latency = 0
	}
	return rest, rest != b
}

// hit pauses the engine if that was wanted. took is the answer's, if it is late.
func (p *player) hit(why Reason, took time.Duration) {
	if p.shard.engine.control.breaks.Load() == nil {
		return
	}
	request := ""
	if e := p.exchanges.at(p.exchanges.app); e != nil {
		request = e.label
	}
	p.hitIn(request, why, took)
}

// hitIn is hit in the answer to a request.
func (p *player) hitIn(request string, why Reason, took time.Duration) {
	e := p.shard.engine
	if p.excused || !p.exchanges.over.IsZero() {
		return
	}
	for {
		b := e.control.breaks.Load()
		if b == nil {
			return
		}
		rest, ok := b.without(why)
		if !ok {
			return
		}
		left := &rest
		if rest == (Break{}) {
			left = nil
		}
		if e.control.breaks.CompareAndSwap(b, left) {
			break
		}
	}
	e.Pause()
	if e.cfg.Broke != nil {
		e.cfg.Broke(Hit{Session: p.s.ID, Copy: p.copy, Why: why, Request: request, Latency: took, At: time.Now()})
	}
}

// differs looks at a verdict.
func (p *player) differs(e *exchange, v compare.Verdict) {
	if (v == compare.Different || v == compare.Missing) && p.shard.engine.control.breaks.Load() != nil {
		p.hitIn(e.label, Differs, 0)
	}
}

// closedEarly looks at a connection that the application has closed.
func (p *player) closedEarly() {
	if p.shard.engine.control.breaks.Load() == nil {
		return
	}
	for i := p.head; i < len(p.steps); i++ {
		if st := &p.steps[i]; len(st.Data) > 0 && !st.afterFIN && !st.fresh {
			p.hit(EarlyClose, 0)
			return
		}
	}
}

// late looks at the first byte of an answer.
func (p *player) late(e *exchange, now time.Time) {
	b := p.shard.engine.control.breaks.Load()
	if b == nil || b.Latency <= 0 || e.sentAt.IsZero() {
		return
	}
	if took := now.Sub(e.sentAt); took > b.Latency {
		p.hitIn(e.label, Late, took)
	}
}

// watchLate looks after an answer that is not there, and sees to it that the
// player is stepped when it is late.
func (p *player) watchLate(now time.Time) {
	b := p.shard.engine.control.breaks.Load()
	if b == nil || b.Latency <= 0 || p.ended {
		return
	}
	label, asked := p.awaited()
	if asked.IsZero() {
		return
	}
	if took := now.Sub(asked); took > b.Latency {
		p.hitIn(label, Late, took)
		return
	}
	p.shard.timers.set(p, asked.Add(b.Latency+1))
}

// awaited returns which answer of production's the application owes the first
// byte of, and since when; zero: none.
func (p *player) awaited() (label string, asked time.Time) {
	x := &p.exchanges
	e := x.at(x.app)
	if d := p.udp; d != nil {
		if e == nil || !e.prodDone || d.open == 0 || d.answered {
			return "", asked
		}
		return e.label, p.lastSent
	}
	switch {
	case e == nil, !e.sent, e.appDone, !e.firstAt.IsZero(), e.production.Len == 0, p.conn == nil, p.appEOF, p.fail.err != nil:
		return "", asked
	case e.http && !e.whole, p.head < len(p.steps) && p.steps[p.head].Kind == session.Data && p.steps[p.head].turn == x.app:
		return "", asked // the request is not out yet
	}
	return e.label, e.sentAt
}
