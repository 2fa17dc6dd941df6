package replay

import (
	"cmp"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// How production's server and the application ended the connection.

// closings is what a player knows of that.
type closings struct {
	production compare.Ending
	crossed    bool // production's client closed at the same moment
	// application is what the application did on this connection; broken: it
	// ended an earlier one of the session.
	application, broken compare.Ending
	closedAt            time.Time // when it closed first
	waited              bool      // the client did so much later
}

// early is how much sooner than the client an application has to close for that
// to be a difference. Where both close when an answer is out, it is chance who
// is first.
const early = time.Second

// clientEnds notes that the client closes now, or has nothing more to do.
func (c *closings) clientEnds(now time.Time) {
	if c.application == compare.ClosedFirst {
		c.waited = c.waited || now.Sub(c.closedAt) >= early
	}
}

// serverEnds notes that production's server closed or reset.
func (c *closings) serverEnds(how compare.Ending) {
	if c.production == compare.EndUnknown {
		c.production = how
	}
}

// appEnds notes that the application closed or reset.
func (c *closings) appEnds(how compare.Ending) {
	if c.application == compare.EndUnknown {
		c.application = how
	}
}

// anew: another connection takes this one's place.
func (c *closings) anew() {
	c.waited = false
	if c.application == compare.ClosedFirst || c.application == compare.EndReset {
		c.broken = c.application
	}
	c.application = compare.EndUnknown
}

// judgeClose compares how the two sides ended the session's connection, once it
// is over. What the client aborted, what was not played to its end and what was
// seen of one side only are not compared.
func (p *player) judgeClose() {
	c := &p.closings
	if !p.record.Connected || p.udp != nil || p.record.Shed || p.record.Gaps > 0 || p.excused || !p.serverHeard || p.cause == session.Live {
		return
	}
	production, application := c.production, c.application
	if production == compare.EndUnknown && !p.clientFIN && !p.clientRST {
		production = compare.KeptOpen
	}
	switch {
	case c.broken != compare.EndUnknown:
		application = c.broken
	case application == compare.EndUnknown && (p.finSent || p.serverRST && p.written > 0):
		application = compare.KeptOpen // and was given the time that an answer may take
	case application == compare.EndUnknown && production == compare.KeptOpen:
		application = compare.KeptOpen
	}
	if application == compare.ClosedFirst && c.broken == compare.EndUnknown && !c.waited {
		switch production {
		case compare.ClosedAfter:
			application = compare.ClosedAfter // it was chance who came first
		case compare.KeptOpen:
			application = compare.EndUnknown // production may have closed a moment later
		}
	}
	if c.crossed && (application == compare.ClosedFirst || application == compare.ClosedAfter) {
		production = application // either came first
	}
	x := &p.shard.asked
	*x = compare.Exchange{
		Session: p.s.ID, Copy: p.copy, Client: p.s.Client, Request: compare.CloseRoute, First: true,
		Closing: true, ProductionEnd: production, ApplicationEnd: application,
	}
	out := p.shard.cfg.Judge(x)
	p.record.closed(out)
}

// closed notes how the ends of the connection compare. They are no answer, and
// in no count of answers.
func (r *Record) closed(out compare.Outcome) {
	r.Close = out.Verdict
	r.CloseFinding = Finding{Finding: out.Finding, Verdict: out.Verdict}
	if out.First != nil {
		r.CloseFinding.First = &Difference{compare.CloseRoute, *out.First}
		r.First = cmp.Or(r.First, r.CloseFinding.First)
	}
}
