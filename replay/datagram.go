package replay

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"tcpsandbox/session"
)

// A UDP flow is played datagram by datagram, each of them whole. There is no
// connection that could open, close or break, and nothing is acknowledged: what
// the application's kernel has taken counts as delivered, unless it says that
// nobody listens on the port.
//
// The release rule is that of TCP with datagrams in place of bytes. A client's
// datagram is sent when its time has come and the application has given as many
// answers as production had by then (exact), or those that are missing need not
// be waited for any more: it answered something and fell silent (quiet), its
// kernel refused what it was asked (boundary), or nothing came for the answer
// time-out (timeout). What is not waited for any more is missing, and the next
// answer belongs to the next of production's: one lost datagram costs one
// answer. Should it come later, as production's was, it belongs to none. After a
// time-out the waits are as short as those of quiet until the application answers
// again, and after several even shorter, so that a mute one holds a flow up once.
//
// The n-th answer of the application is compared with production's n-th, as
// bytes. What the application sends beyond production's answers is extra, and
// counts as different.

// Datagrams is a client's UDP socket towards the application, which never
// blocks; netsim.Socket says what each method does.
type Datagrams interface {
	Send(p []byte) error
	Receive(fn func(p []byte)) int
	Refused() (datagrams, bytes uint64)
	Close()
}

// DialUDP makes a Datagrams as Dial makes a Conn.
type DialUDP func(client, server netip.AddrPort, wake func()) (Datagrams, error)

// socketCost is what a Datagrams is counted with, in bytes of memory.
const socketCost = 1 << 10

// datagrams is what a player of a UDP flow has in place of a connection.
type datagrams struct {
	player *player
	socket Datagrams // nil: not yet, or not any more

	// The record's latest client datagram.
	asked   bool // it is to be played: answers to it are to be compared
	askedAt time.Duration
	said    []byte // what it is
	first   bool   // production has not answered it yet

	cause    Cause    // why the latest turn was released
	sent     uint64   // datagrams that the application's kernel took
	refused  uint64   // of those, as far as it has said so
	open     uint64   // sent since the application's latest answer
	spent    uint64   // refused until then
	answered bool     // the application has answered the latest one sent
	mute     int      // time-outs that passed since the application's latest answer
	late     []uint64 // digests of production's answers that are not waited for any more
}

const (
	// maxLate bounds late: a client that waits has not more than a few open.
	maxLate = 16
	// udpQuiet times Config.MinQuiet is the shortest silence after which the
	// rest of an answer is not waited for. What comes after all, and is not what
	// production answered, shifts all answers behind it, so it is longer than
	// TCP's: on a machine with both processors taken (--multiply 20 of 10 flows,
	// beside other tests) one in a hundred answers took more than 17 ms.
	udpQuiet = 5
	// maxMute time-outs in a row tell that the application is mute, and not
	// only slow to answer what came after something that it does not answer.
	maxMute = 5
)

var lateSeed = maphash.MakeSeed()

// event takes in the next event of either side.
func (d *datagrams) event(e *session.Event) {
	p := d.player
	switch {
	case e.Side == session.Server:
		p.serverHeard = true
		d.production(e)
	case e.Kind == session.Gap: // cut by the capture: it cannot be sent
		p.record.Gaps++
		d.asked = false
	case e.Kind == session.Data && p.skips(e):
		d.asked = false
	case e.Kind == session.Data && p.shard.cfg.when(p.s.Start.Add(e.At)).Before(p.until):
		p.ledger[session.Filtered] += int64(len(e.Data))
		d.asked = false
	case e.Kind == session.Data:
		st := step{Event: *e, turn: -1}
		st.Seen = uint64(p.exchanges.prod) // of a datagram, Seen counts answers
		p.append(st)
		p.shard.tally.pending.Add(int64(len(e.Data)))
		d.asked, d.askedAt, d.first = true, e.At, true
		if p.watched != nil {
			d.said = e.Data
		}
	}
}

// production takes in an answer of production's. One to a datagram that is not
// played has nothing to be compared with.
func (d *datagrams) production(e *session.Event) {
	p, x := d.player, &d.player.exchanges
	if !d.asked || e.Kind != session.Data && e.Kind != session.Gap {
		return
	}
	ex := x.nth(x.prod)
	x.prod++
	if d.first {
		ex.ask(d.askedAt)
		x.requested(ex, d.said)
	} else {
		x.longestPause = max(x.longestPause, e.At-x.last)
	}
	ex.answer, ex.answered = e.At, e.At
	d.first, x.last = false, e.At
	ex.sent, ex.prodDone = p.fail.err == nil, true
	// What was under way when the flow was shed is answered yet: from then on
	// nobody knows whose answer is whose.
	ex.spoiled = e.Kind == session.Gap || p.record.Shed
	if e.Kind == session.Gap {
		ex.missing = e.Missing
	} else {
		x.add(&ex.production, e.Data)
		ex.production.Complete = true
	}
	x.judge()
	if len(x.queue) > maxBehind {
		d.giveUp(x.base + 1)
	}
}

// answer takes in an answer of the application's.
func (d *datagrams) answer(b []byte, now time.Time) {
	p, x := d.player, &d.player.exchanges
	p.lastByte = now
	p.hears(len(b))
	d.mute, d.open, d.spent = 0, 0, d.refused
	if d.isLate(b) {
		return
	}
	ex := x.nth(x.app)
	x.app++
	if !d.answered {
		ex.sentAt, ex.firstAt, ex.wholeAt = p.lastSent, now, now
		p.late(ex, now)
		ex.cause, ex.caused = d.cause, true
	}
	d.answered = true
	x.add(&ex.application, b)
	ex.application.Complete, ex.appDone, ex.sent = true, true, true
	p.got++
	p.since++
	x.judge()
	limit := maxBehind
	if !p.serverHeard {
		limit = maxUnheard
	}
	if len(x.queue) > limit { // production's will not come any more
		x.verdict(x.queue[0])
		x.pop()
	}
}

// isLate reports whether this is the answer to something that is not waited for
// any more, and not the answer that is due.
func (d *datagrams) isLate(b []byte) bool {
	if len(d.late) == 0 {
		return false
	}
	x := &d.player.exchanges
	if e := x.at(x.app); e != nil && bytes.Equal(e.production.Head, b) {
		return false
	}
	i := slices.Index(d.late, maphash.Bytes(lateSeed, b))
	if i < 0 {
		return false
	}
	d.late = slices.Delete(d.late, i, i+1)
	return true
}

// advance does all that can be done now.
func (d *datagrams) advance(now time.Time) {
	p := d.player
	d.receive(now)
	for p.head < len(p.steps) && d.play(now) {
		p.pop()
	}
	if p.head == len(p.steps) && p.cause != session.Live && p.mayEnd() && d.over(now) {
		d.finish()
	}
}

func (d *datagrams) receive(now time.Time) {
	if d.socket == nil {
		return
	}
	d.refused, _ = d.socket.Refused()
	d.socket.Receive(func(b []byte) { d.answer(b, now) })
}

// play does what it can of the first step, and reports whether it is done.
func (d *datagrams) play(now time.Time) bool {
	p := d.player
	st := &p.steps[p.head]
	if p.frozen() {
		return false
	}
	if p.fail.err != nil {
		p.drop(st, p.fail.fate)
		return true
	}
	if !p.due(st, now) {
		return false
	}
	if d.socket == nil && !d.dial(now) {
		return false
	}
	if p.fail.err != nil {
		d.unsent(len(p.steps) - p.head)
		p.drop(st, p.fail.fate)
		return true
	}
	if !st.free && !d.release(st, now) {
		return false
	}
	p.noteBehind(st, now)
	if st.free = true; p.frozen() {
		return false
	}
	if !p.shard.burst.take(len(st.Data), now, p.shard.cfg) {
		p.shard.timers.set(p, now.Add(burstTime))
		return false
	}
	if d.socket.Send(st.Data) != nil {
		d.unsent(1)
		p.drop(st, session.Pending)
		return true
	}
	p.written += uint64(len(st.Data))
	p.shard.tally.pending.Add(-int64(len(st.Data)))
	p.record.Connected = true
	p.lastSent, d.answered = now, false
	d.sent++
	d.open++
	return true
}

// dial opens the socket; false: not now.
func (d *datagrams) dial(now time.Time) bool {
	p := d.player
	err := errNoAddress
	switch {
	case p.shard.cfg.DialUDP == nil:
		err = fmt.Errorf("UDP: %w", ErrUnsupported)
	case p.addr.IsValid():
		d.socket, err = p.shard.cfg.DialUDP(p.addr, p.s.Server, p.wake)
	}
	if err != nil {
		d.socket = nil
		return p.undialed(err, now)
	}
	p.closeUntil = time.Time{}
	p.begins(now)
	p.hold(socketCost)
	return true
}

// release applies the rule to a datagram.
func (d *datagrams) release(st *step, now time.Time) bool {
	p, x, cfg := d.player, &d.player.exchanges, d.player.shard.cfg
	if p.anyTurn && st.Seen <= p.released {
		return true // of the turn under way
	}
	var cause Cause
	silence := now.Sub(p.lastActivity())
	wait := d.patience()
	switch {
	case uint64(x.app) >= st.Seen:
		cause = Exact
	case cfg.NoWait:
		cause = Unawaited
	case d.denied():
		cause = Boundary
	case p.since > 0:
		cause, wait = Quiet, d.quiet()
	default:
		cause = Timeout
	}
	if (cause == Quiet || cause == Timeout) && silence < wait {
		p.shard.timers.set(p, now.Add(wait-silence))
		return false
	}
	if cause != Unawaited {
		d.giveUp(int(st.Seen))
	}
	if cause == Timeout {
		d.mute++
	}
	p.shard.tally.released(cause)
	d.cause = cause
	if ex := x.at(int(st.Seen)); ex != nil { // it may never be answered
		ex.cause, ex.caused = cause, true
	}
	p.anyTurn, p.released, p.since = true, st.Seen, 0
	return true
}

// quiet is the silence that ends an answer.
func (d *datagrams) quiet() time.Duration {
	cfg := d.player.shard.cfg
	return min(max(udpQuiet*cfg.MinQuiet, 3*d.player.exchanges.longestPause), cfg.AnswerTimeout)
}

// patience is the silence after which an answer is not waited for any more.
func (d *datagrams) patience() time.Duration {
	switch {
	case d.mute == 0:
		return d.player.shard.cfg.AnswerTimeout
	case d.mute <= maxMute:
		return d.quiet()
	}
	return d.player.shard.cfg.MinQuiet
}

// denied reports whether the application's kernel has refused all that was
// sent since the latest answer.
func (d *datagrams) denied() bool { return d.open > 0 && d.refused-d.spent >= d.open }

// giveUp tells that the answers before number to are not waited for any more.
func (d *datagrams) giveUp(to int) {
	x := &d.player.exchanges
	for ; x.app < to; x.app++ {
		if e := x.at(x.app); e != nil {
			e.gone, e.appDone = e.gone || !e.sent, true
			if e.production.Complete && e.sent {
				if len(d.late) == maxLate {
					d.late = slices.Delete(d.late, 0, 1)
				}
				d.late = append(d.late, maphash.Bytes(lateSeed, e.production.Head))
			}
		}
	}
	x.judge()
}

// nth returns an exchange of a UDP flow; it begins those that are lacking.
func (x *exchanges) nth(n int) *exchange {
	for x.base+len(x.queue) <= n {
		x.begin("answer " + strconv.Itoa(x.turns+1))
	}
	return x.at(n)
}
