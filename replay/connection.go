package replay

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// The client's end of a connection: opened, written, read, closed or reset as
// production's was.

// failure is why a connection is of no use any more.
type failure struct {
	err  error
	fate session.Fate // of what was not delivered
}

var (
	errClosed    = errors.New("the application closed the connection")
	errNoAddress = fmt.Errorf("no address is left for the client: %w", ErrUnsupported)
)

// read takes in what the application has answered.
func (p *player) read(now time.Time) {
	if p.conn == nil {
		return
	}
	if p.connecting {
		ok, err := p.conn.Established()
		switch {
		case err != nil:
			p.connecting = false
			p.broke(err, session.Refused)
			return
		case !ok:
			return
		}
		p.connecting, p.established = false, true
		p.record.Connected = true
		p.markPlayed(ServerAccepts, now)
		p.lastSent, p.lastByte = now, now
	}
	for p.fail.err == nil {
		before := p.lastByte
		p.lastByte = now
		n, err := p.conn.Read(p.sink)
		if n > 0 {
			p.got += uint64(n)
			p.hears(n)
			p.since += uint64(n)
		} else {
			p.lastByte = before
		}
		if errors.Is(err, io.EOF) {
			if !p.appEOF {
				p.appEOF = true
				p.markPlayed(ServerCloses, now)
				if p.finSent {
					p.closings.appEnds(compare.ClosedAfter)
				} else {
					p.closings.appEnds(compare.ClosedFirst)
					p.closings.closedAt = now
				}
				p.exchanges.applicationEOF()
				p.closedEarly()
			}
			return
		}
		if err != nil && p.harmless() {
			return
		}
		if err != nil {
			fate := session.Refused
			if p.appEOF {
				fate = session.ClosedEarly
			}
			p.closings.appEnds(compare.EndReset)
			p.markPlayed(ServerResets, now)
			p.hit(Reset, 0)
			p.broke(err, fate)
			return
		}
		if n == 0 {
			return
		}
	}
}

// harmless reports whether nothing is left that a failing connection could harm:
// the application has closed, and has all that there is for it so far. Its
// kernel may then answer our FIN with RST, having forgotten the connection.
func (p *player) harmless() bool {
	if !p.appEOF || p.conn.Acked() < p.written {
		return false
	}
	for i := p.head; i < len(p.steps); i++ {
		if p.steps[i].Kind == session.Data {
			return false
		}
	}
	return true
}

// denied reports whether it was the application that would have no more: what
// it was not asked then lacks an answer as well.
func (p *player) denied() bool {
	return p.fail.err != nil && (p.fail.fate == session.Refused || p.fail.fate == session.ClosedEarly)
}

// broke notes that the connection is of no use any more.
func (p *player) broke(err error, fate session.Fate) {
	if p.fail.err == nil {
		p.fail = failure{err, fate}
	}
}

// open connects, at the session's start or again after a gap.
func (p *player) open(now time.Time) bool {
	if p.conn != nil {
		return true // the client's SYN, sent again
	}
	if p.shard.engine.crowded() {
		p.shedWhy(ShedMemory)
		p.broke(errShed, session.Shed)
		return true
	}
	conn, err := Conn(nil), errNoAddress
	if p.addr.IsValid() {
		p.bell = &bell{engine: p.shard.engine}
		p.bell.rings.Store(p)
		conn, err = p.shard.cfg.Dial(p.addr, p.s.Server, p.bell.ring)
	}
	if err != nil {
		return p.undialed(err, now)
	}
	p.closeUntil = time.Time{}
	p.conn, p.connecting, p.established = conn, true, false
	p.closings.anew()
	p.hold(connCost)
	if p.fail.err != nil {
		p.failed, p.fail = p.fail, failure{}
	}
	p.lastSent, p.lastByte = now, now
	p.begins(now)
	p.markPlayed(ClientOpens, now)
	return true
}

// bell is what a connection wakes its player by, until the player is done with it.
// The connection itself may stay: its SYN is not answered, or the application does
// not close. With the player would stay its session, and the captured bytes. What is
// left is counted with the engine until it is gone.
type bell struct {
	rings  atomic.Pointer[player]
	engine *Engine
	conn   Conn        // what the player was done with, once left is set
	left   atomic.Bool // and what it costs is counted
}

func (b *bell) ring() {
	if p := b.rings.Load(); p != nil {
		p.wake()
	} else {
		b.settle()
	}
}

// part is for when the player has closed the connection, or aborted it.
func (b *bell) part(conn Conn) {
	b.rings.Store(nil)
	if conn.Gone() {
		return
	}
	b.conn = conn
	b.engine.left.Add(connCost)
	b.engine.held.Add(connCost)
	b.left.Store(true)
	b.settle() // it may have gone meanwhile, and rung for nobody
}

func (b *bell) settle() {
	if b.left.Load() && b.conn.Gone() && b.left.Swap(false) {
		b.engine.left.Add(-connCost)
		b.engine.held.Add(-connCost)
	}
}

// undialed notes why there is no connection; false: it is to be tried again.
func (p *player) undialed(err error, now time.Time) bool {
	switch {
	case errors.Is(err, ErrInUse), errors.Is(err, ErrDown):
		// The client's earlier connection on this port is not over yet, as the
		// application sees it; or the engine is about to be paused.
		if p.closeUntil.IsZero() {
			p.closeUntil = now.Add(2 * p.shard.cfg.AnswerTimeout)
		}
		if now.Before(p.closeUntil) {
			p.shard.timers.set(p, now.Add(2*time.Millisecond))
			return false
		}
		p.broke(err, session.Refused)
	case errors.Is(err, ErrUnsupported):
		p.broke(err, session.Unsupported)
	default:
		p.broke(err, session.Refused)
	}
	p.closeUntil = time.Time{}
	return true
}

// leave aborts the connection, if there is one; fate is what becomes of bytes
// that have not arrived.
func (p *player) leave(fate session.Fate) {
	if p.conn == nil {
		return
	}
	if p.fail.err != nil {
		fate = p.fail.fate
	}
	acked := p.conn.Acked()
	p.delivered += acked
	p.ledger[fate] += int64(p.written - acked)
	p.conn.Abort()
	p.bell.part(p.conn)
	p.hold(-connCost)
	p.askLink()
	p.conn, p.connecting, p.established = nil, false, false
	p.written, p.got, p.since, p.released, p.shift = 0, 0, 0, 0, 0
	p.requests, p.answers, p.anyTurn = 0, 0, false
	p.appEOF, p.finSent, p.blocked = false, false, false
	p.closeUntil, p.excused = time.Time{}, false
}

// send writes a chunk, as far as the connection takes it.
func (p *player) send(st *step, now time.Time) (ok, sent bool) {
	n, err := p.conn.Write(st.Data[p.offset:])
	p.written += uint64(n)
	p.offset += n
	if n > 0 {
		p.lastSent = now
	}
	p.blocked = p.offset < len(st.Data)
	p.shard.tally.pending.Add(-int64(n))
	if err != nil {
		fate := session.Refused
		if p.appEOF {
			fate = session.ClosedEarly
		}
		p.closings.appEnds(compare.EndReset)
		p.hit(Reset, 0)
		p.markPlayed(ServerResets, now)
		p.broke(err, fate)
		p.drop(st, fate)
		return true, n > 0
	}
	if p.offset < len(st.Data) {
		return false, n > 0
	}
	p.offset = 0
	p.requests += st.ends
	p.exchanges.sent(st, now)
	return true, true
}

// half closes the client's direction.
func (p *player) half(st *step, now time.Time) bool {
	if !p.finSent {
		p.finSent = true
		p.markPlayed(ClientCloses, now)
		p.closings.clientEnds(now)
		if err := p.conn.CloseWrite(); err != nil && !p.harmless() {
			p.broke(err, session.ClosedEarly)
		}
	}
	return true
}

// reset aborts the connection once what was written before has arrived: the
// production server had it, too.
func (p *player) reset(now time.Time) bool {
	if p.conn.Acked() < p.written && p.fail.err == nil {
		if p.closeUntil.IsZero() {
			p.closeUntil = now.Add(time.Second)
		}
		if now.Before(p.closeUntil) {
			p.shard.timers.set(p, now.Add(time.Millisecond))
			return false
		}
	}
	p.closeUntil = time.Time{}
	p.leave(session.Pending)
	p.record.Reset = true
	p.markPlayed(ClientResets, now)
	return true
}
