package replay

import (
	"tcpsandbox/compare"
	"tcpsandbox/protocol"
	"tcpsandbox/session"
)

// What capture appends to a session becomes steps to play, and answers to
// compare with.

// take moves what capture has appended into steps and exchanges.
func (p *player) take() {
	events, cause := p.s.Take(p.buf)
	for i := range events {
		p.markCaptured(&events[i])
		p.event(&events[i])
	}
	if p.buf = events; cap(events) > keepRoom {
		p.buf = nil
	}
	if cause != session.Live && p.cause == session.Live {
		p.cause = cause
		p.recordEnded()
	}
}

// recordEnded notes that nothing more will be captured.
func (p *player) recordEnded() {
	if p.cause != session.Live && p.next == nil {
		p.settleForRaw()
		p.exchanges.productionEnded(p.cause)
	}
}

// event takes in the next event of either side.
func (p *player) event(e *session.Event) {
	switch {
	case p.out:
		if e.Kind == session.Data && e.Side == session.Client {
			p.ledger[p.outFate()] += int64(len(e.Data))
		}
	case p.udp != nil:
		p.udp.event(e)
	case p.next != nil: // of another connection's
		p.next.events = append(p.next.events, *e)
		p.next.held += p.cost(e)
		p.hold(p.cost(e))
	case e.Side == session.Server:
		p.production(e)
	default:
		p.client(e)
	}
}

// production notes what production's server did.
func (p *player) production(e *session.Event) {
	p.serverHeard = true
	switch e.Kind {
	case session.Open:
		p.accepted()
	case session.Data:
		if p.framer == nil {
			p.greeted = len(p.sniff) == 0
			p.settleForRaw() // HTTP is not answered before a request's first line
		}
		p.exchanges.production(e.Data, e.At)
	case session.Gap:
		p.exchanges.productionGap(e.Missing)
	case session.FIN:
		p.serverFIN = true
		if p.clientFIN {
			p.closings.serverEnds(compare.ClosedAfter)
		} else {
			p.closings.serverEnds(compare.ClosedFirst)
		}
		p.exchanges.productionFIN()
	case session.RST:
		p.serverRST = true
		p.closings.serverEnds(compare.EndReset)
	}
}

// client turns an event of production's client into a step.
func (p *player) client(e *session.Event) {
	if !p.spoke && (e.Kind == session.Data || e.Kind == session.Gap) {
		p.spoke = true
		switch {
		case p.s.Joined: // what came before is not known
		case e.Kind == session.Data:
			p.greeting = e.Seen
		default:
			p.greeting = p.exchanges.total // or less, if the gap was found late
		}
	}
	switch e.Kind {
	case session.Open:
		if !p.joining && !p.started() && p.syn == nil {
			syn := *e
			p.syn = &syn
		}
	case session.Data:
		if p.joining {
			p.join(e)
			return
		}
		p.accepted()
		st := step{Event: *e, turn: -1, afterFIN: p.serverFIN}
		st.Seen = e.Seen - min(e.Seen, p.base)
		st.ahead = p.exchanges.productionOffset() - min(p.exchanges.productionOffset(), st.Seen)
		p.frame(&st)
		p.append(st)
		p.shard.tally.pending.Add(int64(len(e.Data)))
	case session.Gap:
		p.gap(e)
	default:
		if !p.started() {
			return // it gave up, or was joined and said nothing
		}
		p.settleForRaw()
		st := step{Event: *e, turn: -1}
		st.Seen = e.Seen - min(e.Seen, p.base)
		if e.Kind == session.RST && p.clientFIN {
			// The client had closed and read no more: its kernel reset the
			// connection over what the server still said, and that is all of it.
			st.Seen = max(st.Seen, p.exchanges.productionOffset())
		}
		if e.Kind == session.FIN && p.serverFIN && !e.SeenFIN && !p.clientFIN {
			p.closings.crossed = true
		}
		p.clientFIN = p.clientFIN || e.Kind == session.FIN
		p.clientRST = p.clientRST || e.Kind == session.RST
		p.append(st)
	}
}

// append adds a step to those that are to be played.
func (p *player) append(st step) {
	st.held = p.cost(&st.Event)
	p.hold(st.held)
	p.steps = append(p.steps, st)
}

// started reports whether anything of the session was or is to be played.
func (p *player) started() bool { return p.conn != nil || p.head < len(p.steps) || p.record.Connected }

// frame feeds the client's bytes to the framer, which finds the requests in
// them; before the protocol is known it keeps them.
func (p *player) frame(st *step) {
	if p.framer == nil {
		p.sniff = append(p.sniff, st.Data...)
		f, decided := protocol.Framer(nil), false
		if p.greeted {
			f, decided = protocol.NewRaw(), true // an HTTP server never speaks first
		} else {
			f, decided = protocol.Detect(p.sniff)
		}
		if !decided {
			p.exchanges.request(st, st.Data)
			return
		}
		p.framer = f
		data := p.sniff
		p.sniff = nil
		p.exchanges.request(st, data)
		return
	}
	p.exchanges.request(st, st.Data)
}

// settleForRaw decides for raw where the client's data was too little to tell
// the protocol and nothing more of it is to be waited for.
func (p *player) settleForRaw() {
	if p.framer != nil || len(p.sniff) == 0 {
		return
	}
	p.framer, p.sniff = protocol.NewRaw(), nil
}

// accepted tells that production's server has taken the connection: from now on
// the client's SYN is to be played. A port scan, a SYN flood and what production
// refused never come so far, and the application is spared them.
func (p *player) accepted() {
	if p.syn != nil {
		p.append(step{Event: *p.syn, turn: -1})
		p.syn = nil
	}
}
