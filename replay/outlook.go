package replay

import "tcpsandbox/session"

// Outlook says of sessions that nobody plays what a run could make of them:
// which of the client's bytes an application that takes everything would get,
// and which are of no use, because they come before the first place to join
// at, or belong to a message that a gap broke. It follows the same record by
// the same code as the players of an Engine do, so it cannot promise anything
// else. A run that is ahead of the capture may deliver a broken message's
// first bytes before the gap is known; here they are counted as broken.
//
// It is not safe for concurrent use.
type Outlook struct {
	shard *shard
	ended func(*session.Session, session.Ledger)
}

// NewOutlook returns an outlook that hands over the ledger of each session
// when its record has ended. In it session.Delivered are the bytes that can be
// delivered.
func NewOutlook(ended func(*session.Session, session.Ledger)) *Outlook {
	return &Outlook{shard: New(Config{}).shards[0], ended: ended}
}

// Feed takes the events that capture appended to these sessions. It uses
// their Owner.
func (o *Outlook) Feed(batch []*session.Session) {
	for _, s := range batch {
		switch owner := s.Owner.(type) {
		case nil:
			v := &view{player: newPlayer(o.shard, s)}
			s.Owner = v
			o.follow(v)
		case *view:
			o.follow(owner)
		}
	}
}

// view is what is known of one session. Its player never gets to play: steps
// leave the front of its queue when no gap can harm them any more.
type view struct {
	*player
	open int // of its steps, those known to be open to harm; all that come before are gone
}

// gone is the Owner of a session that has ended.
type gone struct{}

func (o *Outlook) follow(v *view) {
	events, cause := v.s.Take(v.buf)
	for i := range events {
		e := &events[i]
		v.event(e)
		v.settle()
		if e.Kind == session.Gap && e.Side == session.Client {
			v.deliver(len(v.steps)) // it took with it what it could
		}
		if v.next != nil {
			v.deliver(len(v.steps))
			v.begin()
			v.settle()
		}
	}
	if v.buf = events; cap(events) > keepRoom {
		v.buf = nil
	}
	// The application will not answer. The latest exchange stays: by it a
	// client turn knows whether it has begun.
	x := &v.exchanges
	x.forgo(x.turnsBegun()-2, session.Shed)
	if len(x.queue) > maxUnheard {
		x.lost = true // production, too, says nothing
		x.judge()
	}
	if cause == session.Live {
		return
	}
	v.deliver(len(v.steps))
	v.s.Owner = gone{}
	o.ended(v.s, v.ledger)
}

// settle lets go of the steps that were over before anything that is still to
// be captured: gap says which ones a gap would harm.
func (v *view) settle() {
	p := v.player
	safe := 0
	for i := min(v.open, len(p.steps)); i < len(p.steps); i++ {
		st := &p.steps[i]
		if st.Kind != session.Data {
			safe = i + 1
			continue
		}
		switch {
		case st.framed && st.tail == 0:
			safe = i + 1
		case st.framed && st.tail < len(st.Data):
			safe = i
		case !st.framed && i > 0 && p.steps[i-1].turn != st.turn && p.steps[i-1].tail > 0 && !p.steps[i-1].framed:
			safe = i // the turn before is over
		}
		st.Data = lengthOnly(len(st.Data))
		if i > safe && v.merge(i) {
			i--
		}
	}
	v.deliver(safe)
	v.open = len(p.steps)
}

// merge joins a step with the one before it, if both are the middle of the
// same message or turn, so that a long one takes no memory to wait for. It
// reports whether it did.
func (v *view) merge(i int) bool {
	st, before := &v.steps[i], &v.steps[i-1]
	n := len(before.Data) + len(st.Data)
	if before.Kind != session.Data || before.framed != st.framed || before.turn != st.turn ||
		before.tail < len(before.Data) || st.tail < len(st.Data) || n > len(lengths) {
		return false
	}
	before.Data, before.tail = lengthOnly(n), n
	v.steps = append(v.steps[:i], v.steps[i+1:]...)
	return true
}

// deliver counts the first n steps as played.
func (v *view) deliver(n int) {
	if n == 0 {
		return
	}
	for i := range v.steps[:n] {
		v.ledger[session.Delivered] += int64(len(v.steps[i].Data))
	}
	v.record.Connected = true
	left := copy(v.steps, v.steps[n:])
	clear(v.steps[left:])
	v.steps = v.steps[:left]
	v.open = min(v.open, left)
}

// lengths lends its length to steps whose bytes nobody needs any more.
var lengths [1 << 20]byte

func lengthOnly(n int) []byte {
	if n <= len(lengths) {
		return lengths[:n]
	}
	return make([]byte, n)
}
