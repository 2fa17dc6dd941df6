package replay

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/protocol"
	"tcpsandbox/session"
)

// player plays one session. All of it but queued belongs to its shard's
// goroutine.
//
//	           start found               SYN answered
//	joining ────────────────▶ connecting ────────────▶ open ──▶ closing ──▶ ended
//	   ▲   (captured SYN: at once)                      │  FIN sent, or the
//	   └────────────────────────────────────────────────┘  record is played
//	           gap in the client's stream
type player struct {
	shard  *shard
	s      *session.Session
	addr   netip.AddrPort // the client, as the application sees it
	queued atomic.Bool

	copy    int       // which copy of the session it plays, from 0
	sharers int64     // players that share the captured bytes
	out     bool      // the session is left out: its bytes are only counted
	until   time.Time // it is left out until then; see choose

	// timer is the index in the shard's heap (-1: none), at its moment.
	timer int
	at    time.Time

	// The record, as far as it was taken.
	steps []step // the client's events, yet to play from head on
	head  int
	buf   []session.Event
	cause session.Cause
	next  *segment // what is to be played when this connection's part is over
	// joining: skip client data until a message starts, or a client turn with
	// more than joinAfter seen.
	joining   bool
	joinAfter uint64
	// benched: all is skipped until Share.Running holds it again. comesBack: since
	// then until a place to go on is found.
	benched, comesBack bool

	behindGap bool   // the next client data may be the rest of a turn
	base      uint64 // server stream offset at the start of this connection
	framer    protocol.Framer
	sniff     []byte // client data too short to tell the protocol
	greeted   bool   // the server spoke before the client
	spoke     bool   // the client did
	greeting  uint64 // bytes that the client awaited before it spoke
	greets    bool   // the application will say that again, on this connection
	// What production's server did about the connection.
	serverFIN, serverRST bool
	serverHeard          bool // its direction is captured
	clientFIN            bool // production's client had closed
	clientRST            bool
	closings             closings
	// syn is the client's SYN while nobody is known to have accepted it.
	syn *session.Event

	udp *datagrams // of a UDP flow, in place of the connection; nil for TCP

	// The connection.
	conn        Conn
	connecting  bool
	established bool
	offset      int    // bytes of steps[head] already written
	written     uint64 // on this connection
	appEOF      bool
	finSent     bool
	blocked     bool // the connection took only a part of the step at hand
	reopen      bool // the next step needs a connection; see goOn
	fail        failure
	failed      failure // of a connection before, that lost something
	known       bool    // to the shard
	ended       bool
	isBusy      bool
	sink        func([]byte) // for conn.Read

	// The release rule's view.
	got        uint64 // bytes the application sent on this connection
	shift      int64  // got less production's count, where both last agreed
	released   uint64 // Seen of the turn that was released last
	anyTurn    bool   // a turn was released on this connection
	since      uint64 // bytes since the last release
	lastByte   time.Time
	lastSent   time.Time
	requests   int // complete requests sent on this connection
	answers    int // complete answers received on this connection
	closeUntil time.Time
	bell       *bell // of the connection

	// What was last played or dropped, for goOn.
	inMessage bool // it ended inside a message
	lastTurn  int  // the exchange that it belonged to

	held    int64     // bytes; see memory.go
	onWay   int64     // of those, sent and not acknowledged
	settled int64     // of those, what the engine knows of
	touched time.Time // when it last had news

	exchanges exchanges
	ledger    session.Ledger
	delivered uint64 // acknowledged on earlier connections of this session
	record    *Record
	watched   *watched // nil: nobody watches
	controlled
}

// step is a client's event, ready to play.
type step struct {
	session.Event
	ends   int    // requests that end in it
	tail   int    // bytes of it that belong to a message, or client turn, which does not end in it
	framed bool   // the framer was in sync here
	turn   int    // exchange that it belongs to, -1: none
	ahead  uint64 // bytes that production had sent beyond Seen
	fresh  bool   // the connection must be a new one from here on
	due    bool   // its time has come
	free   bool   // it was released
	held   int64  // what it costs; see memory.go
	// afterFIN: production's server had closed before.
	afterFIN bool
}

// keepRoom is how many events an idle session keeps room for.
const keepRoom = 32

func newPlayer(sh *shard, s *session.Session) *player {
	p := &player{shard: sh, s: s, addr: s.Client, timer: -1, joining: s.Joined, record: &Record{Close: compare.Uncompared}, sharers: 1, lastTurn: -1}
	p.exchanges.player = p
	if s.Proto == session.UDP {
		p.udp, p.joining = &datagrams{player: p}, false // each datagram begins a message
	}
	p.sink = func(b []byte) { p.exchanges.application(b, p.lastByte) }
	return p
}

// wake is called by the connection, from any goroutine.
func (p *player) wake() {
	p.shard.push(p)
	p.shard.signal()
}

// step does all that can be done now.
func (p *player) step(now time.Time) {
	if p.ended {
		return
	}
	if !p.known {
		p.known = true
		p.shard.live[p] = struct{}{}
		p.hold(playerCost)
		if p.watched != nil {
			p.hold(watchedCost)
		}
	}
	p.touched = now
	p.newsworthy()
	p.take()
	if p.shard.begun || p.out {
		if p.udp != nil {
			p.udp.advance(now)
		} else {
			p.advance(now)
		}
		p.setBusy(!p.ended && (p.head < len(p.steps) || p.cause != session.Live))
		p.watchLate(now)
	}
	p.settleHeld()
}

// advance plays what can be played now.
func (p *player) advance(now time.Time) {
	p.read(now)
	wrote := false
	for {
		for p.head < len(p.steps) {
			ok, sent := p.play(now)
			wrote = wrote || sent
			if !ok {
				break
			}
			p.pop()
		}
		if p.next == nil || p.head < len(p.steps) || p.frozen() || !p.part(now) {
			break
		}
	}
	if p.established && !wrote && p.written == 0 && p.conn != nil {
		p.conn.Flush() // the application may wait for the handshake's end, to speak first
	}
	if p.mayEnd() {
		p.maybeEnd(now)
	}
}

func (p *player) setBusy(b bool) {
	if b == p.isBusy {
		return
	}
	p.isBusy = b
	if b {
		p.shard.engine.busy.Add(1)
	} else {
		p.shard.engine.busy.Add(-1)
	}
}

// pop forgets the step that was played.
func (p *player) pop() {
	p.did()
	st := &p.steps[p.head]
	if st.Kind == session.Data {
		p.inMessage, p.lastTurn = st.tail > 0, st.turn
	}
	p.hold(-st.held)
	*st = step{}
	p.head++
	switch {
	case p.head == len(p.steps) && cap(p.steps) > keepRoom:
		p.steps, p.head = nil, 0
	case p.head == len(p.steps):
		p.steps, p.head = p.steps[:0], 0
	case p.head > keepRoom && p.head > len(p.steps)/2: // a backlog that never ends
		n := copy(p.steps, p.steps[p.head:])
		clear(p.steps[n:])
		p.steps, p.head = p.steps[:n], 0
	}
}

// play does what it can of the first step. ok: it is done; sent: something
// went out.
func (p *player) play(now time.Time) (ok, sent bool) {
	st := &p.steps[p.head]
	if p.frozen() {
		return false, false
	}
	if p.fail.err != nil && !st.fresh && !p.goOn(st) {
		p.drop(st, p.fail.fate)
		return true, false
	}
	if !p.due(st, now) {
		return false, false
	}
	if p.reopen && p.fail.err == nil {
		if !p.open(now) {
			return false, false
		}
		p.reopen = false
		return p.play(now)
	}
	if st.Kind == session.Open {
		return p.open(now), true
	}
	if !p.established || p.connecting {
		return false, false
	}
	if st.Kind == session.Data && p.appEOF && !st.afterFIN {
		p.hit(EarlyClose, 0)
		p.broke(errClosed, session.ClosedEarly)
		return p.play(now)
	}
	if !st.free && !p.release(st, now) {
		return false, false
	}
	p.noteBehind(st, now)
	if st.free = true; p.frozen() { // an answer that ended here hit a break
		return false, false
	}
	switch st.Kind {
	case session.Data:
		p.exchanges.sending(st)
		return p.send(st, now)
	case session.FIN:
		return p.half(st, now), true
	case session.RST:
		return p.reset(now), true
	}
	return true, false
}

// due reports whether the time of a step has come.
func (p *player) due(st *step, now time.Time) bool {
	pace := p.shard.cfg.Pace
	if pace == nil || p.allowed > 0 {
		return true
	}
	due := pace.Due(p.s.Start.Add(st.At))
	if due.After(now) {
		p.shard.timers.set(p, due)
		return false
	}
	if !st.due && st.Kind == session.Data {
		st.due = true
		p.shard.tally.late(now.Sub(due))
	}
	return true
}

// release applies the rule to the first byte of a step.
func (p *player) release(st *step, now time.Time) bool {
	if p.anyTurn && st.Seen <= p.released && !(st.SeenFIN && !p.appEOF) {
		return true // of the turn under way
	}
	g := p.gate(st, now)
	cause, wait, ok := g.decide()
	if p.greets && !p.anyTurn {
		ok, wait = p.greetingOver(&g)
	}
	if ok && cause == Quiet {
		if more := min(patience*p.shard.cfg.MinQuiet, g.timeout); g.silence < more && p.exchanges.halfDone() {
			ok, wait = false, more-g.silence
		}
	}
	if ok && st.SeenFIN && !p.appEOF && cause != Timeout {
		// Production's server had closed before: so must the application,
		// within the time an answer may take.
		ok, wait = false, p.shard.cfg.AnswerTimeout-now.Sub(p.lastActivity())
		if wait <= 0 {
			ok, cause = true, Timeout
		}
	}
	if !ok && p.appEOF {
		ok, cause = true, Boundary // it will not answer any more
	}
	if !ok && p.shard.cfg.NoWait {
		ok, cause = true, Unawaited
	}
	if !ok {
		p.shard.timers.set(p, now.Add(max(wait, time.Millisecond)))
		return false
	}
	p.shard.tally.released(cause)
	p.exchanges.released(st, cause)
	p.anyTurn, p.released, p.since, p.lastSent = true, max(st.Seen, p.released), 0, now
	return true
}

func (p *player) lastActivity() time.Time {
	if p.lastByte.After(p.lastSent) {
		return p.lastByte
	}
	return p.lastSent
}

func (p *player) gate(st *step, now time.Time) gate {
	g := gate{
		want:    uint64(max(0, int64(st.Seen)+p.shift)),
		got:     p.got,
		since:   p.since,
		silence: now.Sub(p.lastActivity()),
		quiet:   max(p.shard.cfg.MinQuiet, 3*p.exchanges.longestPause),
		timeout: p.shard.cfg.AnswerTimeout,
	}
	if st.Kind == session.Data {
		g.framed = st.framed && p.exchanges.framed(protocol.Application)
	} else {
		g.framed = p.exchanges.framed(protocol.Requests) && p.exchanges.framed(protocol.Application)
	}
	if g.framed {
		g.complete = p.answers >= p.requests && !p.exchanges.framer(protocol.Application).Open(protocol.Application) &&
			(p.since > 0 || st.Seen <= p.released)
		if want, got, early := p.exchanges.early(st.Seen); early && !g.complete {
			g.early, g.want, g.got = true, want, got
		}
	}
	return g
}

// drop puts the rest of a step into a bin of the ledger.
func (p *player) drop(st *step, fate session.Fate) {
	if st.Kind != session.Data {
		return
	}
	rest := int64(len(st.Data) - p.offset)
	p.ledger[fate] += rest
	p.shard.tally.pending.Add(-rest)
	p.offset = 0
	p.exchanges.forgo(st.turn, fate)
}

// maybeEnd ends the session when its record is played and the application has
// said what it had to say.
func (p *player) maybeEnd(now time.Time) {
	if p.head < len(p.steps) {
		if p.cause != session.Live && p.blocked {
			p.waitRoom(now)
		}
		return
	}
	if p.next != nil {
		return // more is to come, on another connection; part waits for this one
	}
	if p.conn == nil || p.fail.err != nil {
		if p.cause != session.Live {
			p.finish()
		}
		return
	}
	if p.cause == session.Live && !(p.finSent && p.appEOF) {
		return
	}
	if p.connecting {
		p.waitEnd(now)
		return
	}
	if p.over(now) && p.cause != session.Live {
		p.finish()
	}
}

// waitRoom gives up on an application that reads nothing any more.
func (p *player) waitRoom(now time.Time) {
	if until := p.lastActivity().Add(2 * p.shard.cfg.AnswerTimeout); now.Before(until) {
		p.shard.timers.set(p, until)
		return
	}
	p.cutShort()
}

// over reports whether all has been said on the connection, and has arrived,
// or has been waited for.
func (p *player) over(now time.Time) bool {
	// The last answer is waited for as any other; after FIN, or a reset by
	// production's server after it had been asked something, the application's
	// own close is, too.
	waiting := !p.appEOF && (p.finSent || p.serverRST && p.written > 0 || p.exchanges.waiting())
	if waiting && !p.waitEnd(now) {
		return false
	}
	if p.conn.Acked() < p.written && now.Sub(p.lastActivity()) < p.shard.cfg.AnswerTimeout {
		p.shard.timers.set(p, now.Add(2*time.Millisecond)) // the connection does not tell of it
		return false
	}
	return true
}

// waitEnd reports whether the wait for the application is over.
func (p *player) waitEnd(now time.Time) bool {
	wait := p.shard.cfg.AnswerTimeout - now.Sub(p.lastActivity())
	if wait <= 0 {
		if p.connecting {
			p.broke(fmt.Errorf("connect: %w", ErrRefused), session.Refused)
			p.finish()
		}
		return true
	}
	p.shard.timers.set(p, now.Add(wait))
	return false
}
