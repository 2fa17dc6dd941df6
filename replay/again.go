package replay

import (
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/protocol"
	"tcpsandbox/session"
)

// goOn takes a session up again whose connection broke, at the step at hand:
// over a new connection from the same client. It reports whether it did.
//
//	open ──▶ broken ──▶ the rest of the message dropped ──▶ a message begins ──▶ connecting
//
// It does so where the framer knows that a message begins, and if either the
// session was shed or the application, which closed or reset the connection,
// had answered something on it: one that closes each connection at once would
// be asked for ever. While the engine is crowded nobody does: he would be shed again.
func (p *player) goOn(st *step) bool {
	if p.shard.engine.crowded() {
		return false
	}
	if st.Kind != session.Data || !st.framed || p.inMessage || p.offset > 0 {
		return false
	}
	if p.fail.fate != session.Shed && !p.excused && (p.shard.cfg.StopEarly || p.answers == 0) {
		return false
	}
	p.exchanges.forgo(p.lastTurn, p.fail.fate)
	if p.excused {
		p.closings.application = compare.EndUnknown
	}
	p.leave(p.fail.fate)
	if p.ledger[p.fail.fate] > 0 {
		p.failed = p.fail
	}
	p.fail = failure{}
	p.exchanges.anew = protocol.NewHTTP1()
	for i := p.head; i < len(p.steps); i++ {
		feedRequests(p.exchanges.anew, p.steps[i].Data)
	}
	// Nothing of what the client had seen comes on this connection.
	p.released, p.shift = st.Seen, -int64(st.Seen)
	p.reopen = true
	p.record.Reconnects++
	p.markPlayed(Reconnects, time.Now())
	return true
}

// feedRequests lets a framer read what the client sent.
func feedRequests(f protocol.Framer, data []byte) {
	for len(data) > 0 {
		n, _ := f.Feed(protocol.Requests, data)
		data = data[n:]
	}
}

// forgo tells that the application's answers up to exchange number turn will
// not come any more, and what became of the bytes that asked for them: what
// the application would not have lacks an answer, what was shed has none to
// judge.
func (x *exchanges) forgo(turn int, fate session.Fate) {
	x.resolve(true)
	for ; x.app <= turn; x.app++ {
		e := x.at(x.app)
		if e == nil || e.appDone {
			continue
		}
		e.gone = e.gone || x.player.excused
		switch fate {
		case session.Shed, session.Pending, session.Unsupported:
			e.gone = e.gone || !e.sent || fate == session.Shed
		}
		if e.sent && e.application.Len > 0 && !x.framed(protocol.Application) {
			e.application.Complete = true
		}
		e.appDone = true
	}
	x.judge()
}

// turnsBegun returns the number that the next exchange will have.
func (x *exchanges) turnsBegun() int { return x.base + len(x.queue) }
