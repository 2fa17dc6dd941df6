package replay

import (
	"time"

	"tcpsandbox/protocol"
	"tcpsandbox/session"
)

// segment is a part of a session that is played on a connection of its own:
// what follows the place at which a joined session, or one with a gap, starts
// (again).
type segment struct {
	framer protocol.Framer
	seen   uint64          // server stream offset where it begins
	at     time.Duration   // captured offset of its first byte
	events []session.Event // from its first client data on
	held   int64           // what they cost; see memory.go
}

// turnBegins reports whether a client turn begins with this data: the client
// has seen more of the server's than with what came before. Behind a gap that
// proves nothing, as the turn's beginning may be what is missing.
func (p *player) turnBegins(e *session.Event) bool {
	begins := e.Seen > p.joinAfter && !p.behindGap
	p.behindGap, p.joinAfter = false, max(p.joinAfter, e.Seen)
	return begins
}

// join looks for a place at which a session that lacks its beginning may
// start: a message's first byte, or, where the client does not speak HTTP, its
// first turn that follows data of the server. What comes before is of no use.
func (p *player) join(e *session.Event) {
	if p.skips(e) {
		p.joinAfter = max(p.joinAfter, e.Seen)
		return
	}
	if p.shard.cfg.when(p.s.Start.Add(e.At)).Before(p.until) {
		p.ledger[session.Filtered] += int64(len(e.Data))
		p.joinAfter = max(p.joinAfter, e.Seen)
		return
	}
	raw := p.framer != nil && !p.framer.InSync(protocol.Requests)
	f, at := protocol.Framer(nil), -1
	if !raw {
		f = protocol.NewHTTP1()
		at = f.Start(e.Data)
	}
	if at < 0 && p.turnBegins(e) && (raw || p.framer == nil && !p.exchanges.looksHTTP) {
		f, at = protocol.NewRaw(), 0
	}
	if at < 0 {
		p.ledger[p.lostFate()] += int64(len(e.Data))
		return
	}
	p.ledger[p.lostFate()] += int64(at)
	first := *e
	first.Data = e.Data[at:]
	p.next = &segment{framer: f, seen: e.Seen, at: e.At, events: []session.Event{first}, held: p.cost(&first)}
	p.hold(p.next.held)
	if !p.started() {
		p.begin()
	}
}

// lostFate is the bin for what is skipped while joining.
func (p *player) lostFate() session.Fate {
	switch {
	case p.comesBack:
		return session.Shed
	case p.started():
		return session.InGap
	case !p.until.IsZero():
		return session.Filtered
	}
	return session.BeforeJoin
}

// gap: production has bytes that were never captured. The rest of the broken
// message is useless, and what was sent of it must not be completed with
// anything else: go on at the next message, on a new connection.
func (p *player) gap(e *session.Event) {
	p.record.Gaps++
	for !p.joining && p.head < len(p.steps) { // else the gap before this one has done it
		last := &p.steps[len(p.steps)-1]
		if last.Kind != session.Data || len(p.steps)-1 == p.head && p.offset > 0 {
			break
		}
		broken := last.tail
		if p.framer != nil && !last.framed && (e.Before || !p.exchanges.during(last, e.Seen-min(e.Seen, p.base))) {
			broken = 0 // a client turn that was over before the gap
		}
		if broken == 0 {
			break
		}
		p.ledger[session.InGap] += int64(broken)
		p.shard.tally.pending.Add(-int64(broken))
		if last.Data = last.Data[:len(last.Data)-broken]; len(last.Data) > 0 {
			last.tail = 0
			break
		}
		p.hold(-last.held)
		p.steps[len(p.steps)-1] = step{}
		p.steps = p.steps[:len(p.steps)-1]
	}
	p.sniff = p.sniff[:0]
	p.joining, p.joinAfter, p.behindGap = true, max(p.joinAfter, e.Seen), !e.Behind
	p.exchanges.broken()
}

// during reports whether the client sent a step in the same turn as what it
// sent when it had seen this much.
func (x *exchanges) during(st *step, seen uint64) bool {
	return st.turn == x.base+len(x.queue)-1 && seen <= x.seen
}

// part leaves the connection for the next segment's, once everything on it has
// been said. It reports whether it did.
func (p *player) part(now time.Time) bool {
	if p.connecting && p.fail.err == nil {
		// Its greeting counts, and a SYN cannot be taken back.
		if wait := p.shard.cfg.AnswerTimeout - now.Sub(p.lastActivity()); wait > 0 {
			p.shard.timers.set(p, now.Add(wait))
			return false
		}
	}
	if p.conn != nil && p.fail.err == nil && p.established && !p.over(now) {
		return false
	}
	if p.conn != nil && p.fail.err == nil && p.written > 0 && !p.exchanges.framed(protocol.Application) {
		// What was taken for the answer may be another (a greeting, where the
		// session's beginning is not known): the reset must not overtake what the
		// application has yet to read.
		if wait := p.shard.cfg.MinQuiet - now.Sub(p.lastActivity()); wait > 0 {
			p.shard.timers.set(p, now.Add(wait))
			return false
		}
	}
	p.exchanges.conclude()
	p.leave(session.InGap)
	p.begin()
	p.recordEnded()
	return true
}

// begin goes on with the next segment.
func (p *player) begin() {
	next := p.next
	fresh := step{Event: session.Event{Kind: session.Open, At: next.at}, turn: -1, fresh: p.started() || p.fail.err != nil}
	p.next = nil
	p.hold(-next.held)
	p.joining, p.comesBack, p.framer, p.base = false, false, next.framer, next.seen
	p.greets = p.greeting > 0 && !next.framer.InSync(protocol.Requests)
	p.reopen = false
	p.exchanges.restart(next.seen)
	p.append(fresh)
	for i := range next.events {
		p.event(&next.events[i])
	}
}

// greetingOver reports whether the application has said, on a connection that
// begins in the middle of the session, what its server says on every new one.
// Production had said it once: it must not be taken for an answer.
func (p *player) greetingOver(g *gate) (over bool, wait time.Duration) {
	switch quiet := min(g.quiet, g.timeout); {
	case p.got >= p.greeting, p.got > 0 && g.silence >= quiet, g.silence >= g.timeout:
		return true, 0
	case p.got > 0:
		return false, quiet - g.silence
	}
	return false, g.timeout - g.silence
}
