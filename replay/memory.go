package replay

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// What a player holds is counted as it comes and goes, in bytes of memory: the
// captured bytes that are not played yet, those that are on their way to the
// application (up to 4 MB a connection), the answers that wait for the other
// side's, and flat prices for what surrounds them.
const (
	// playerCost is a player without a connection and its session, and what
	// capture keeps of it.
	playerCost = 3 << 10
	// watchedCost is what is noted of a player for those who watch, without what
	// stories count by themselves.
	watchedCost = 1536
	// connCost is a connection: 6.4 KB of netstack's when idle, some 12 KB with
	// its buffers once a request has been answered.
	connCost = 12 << 10
	// stepCost is a client's event without its bytes.
	stepCost = 256
)

// errShed is why a session that was shed goes no further.
var errShed = errors.New("dropped over a limit")

// hold counts n more bytes, or less.
func (p *player) hold(n int64) { p.held += n }

// settleHeld tells the engine of what changed.
func (p *player) settleHeld() {
	onWay := int64(0)
	if p.conn != nil {
		onWay = int64(p.written - p.conn.Acked())
	}
	p.held += onWay - p.onWay
	p.onWay = onWay
	if p.held == p.settled {
		return
	}
	e := p.shard.engine
	now := e.held.Add(p.held - p.settled)
	p.settled = p.held
	if now > e.peak.Load() {
		e.peak.Store(now) // another shard's may be lost: they differ by a step
	}
}

// cost is what an event of the client's is counted with. Players that play the
// same session share its bytes.
func (p *player) cost(e *session.Event) int64 {
	return stepCost + (int64(len(e.Data))+p.sharers-1)/p.sharers
}

// add adds bytes to an answer.
func (x *exchanges) add(a *compare.Answer, b []byte) {
	before := cap(a.Head)
	a.Add(b)
	x.player.hold(int64(cap(a.Head) - before))
}

// roomy reports whether the players hold so little that long answers may be
// kept whole, up to compare.MaxHead, to be compared by what they mean.
func (e *Engine) roomy() bool {
	return e.cfg.MaxHeld <= 0 || e.held.Load() < e.cfg.MaxHeld/4
}

// crowded reports whether so much is left of connections that the application does
// not take, or does not close, that another session is shed before it has one.
func (e *Engine) crowded() bool {
	return e.cfg.MaxHeld > 0 && e.left.Load() > e.cfg.MaxHeld/2
}

// Held returns how many bytes the players hold now, and the most they ever
// did: what was captured and has not arrived yet, answers that wait to be
// compared, and connections, those as well that the players are done with and the
// application is not. Data that no player has taken yet is not counted:
// see Room.
func (e *Engine) Held() (now, peak int64) { return e.held.Load(), e.peak.Load() }

// Room reports whether the players have taken all that they were fed, and how
// many bytes they may hold beside what they do; over Config.MaxHeld that is
// less than nothing until some were shed. A capture that outruns the players
// should wait for taken: nobody else counts what it has handed over.
func (e *Engine) Room() (taken bool, room int64) {
	taken = e.queued.Load() == 0
	if e.cfg.MaxHeld <= 0 {
		return taken, 1 << 62
	}
	room = e.cfg.MaxHeld - e.held.Load()
	if e.crowded() {
		room = min(room, 0)
	}
	return taken, room
}

// shed makes room where the players hold more than they may: first those drop
// what they have that hold more than a quarter of it all, then those that have
// had nothing to do for the longest time. It makes some more room than is
// needed, and when that fails it does not look again for a while, since a look
// goes through all players: 20,000 take 2 ms.
func (sh *shard) shed(now time.Time) {
	limit := sh.cfg.MaxHeld
	over := func() bool { return sh.engine.held.Load() > limit }
	if limit <= 0 || !over() || now.Before(sh.nextShed) {
		return
	}
	for p := range sh.live {
		p.settleHeld() // what has arrived since its last step is held no more
	}
	if !over() {
		return
	}
	var waiting []*player
	for p := range sh.live {
		switch {
		case p.held > limit/4:
			p.shed(now)
		case p.held > playerCost:
			waiting = append(waiting, p)
		}
	}
	if over() {
		slices.SortFunc(waiting, func(a, b *player) int { return cmp.Or(a.touched.Compare(b.touched), cmp.Compare(a.s.ID, b.s.ID)) })
		for _, p := range waiting {
			if sh.engine.held.Load() <= limit-limit/8 {
				break
			}
			p.shed(now)
		}
	}
	if over() {
		sh.nextShed = now.Add(100 * time.Millisecond)
		sh.engine.signal() // it is another shard's
	}
}

// shed drops all that the player holds. The session may go on at its next
// message.
func (p *player) shed(now time.Time) {
	p.shard.timers.drop(p)
	defer p.settleHeld()
	p.newsworthy()
	p.markPlayed(Sheds, now)
	if p.udp != nil {
		p.udp.shed()
		p.wake() // to see what is left
		return
	}
	p.shedWhy(ShedMemory)
	p.broke(errShed, session.Shed)
	for ; p.head < len(p.steps); p.pop() {
		p.drop(&p.steps[p.head], p.fail.fate)
	}
	p.dropNext(p.fail.fate)
	p.leave(p.fail.fate)
	p.exchanges.forgo(p.exchanges.turnsBegun()-1, p.fail.fate)
	if p.shard.begun {
		p.maybeEnd(now)
	}
	p.setBusy(!p.ended && p.cause != session.Live)
}

// dropNext drops what was to be played on the next connection. What the
// session then does is skipped up to the next place where it can start.
func (p *player) dropNext(fate session.Fate) {
	if p.next == nil {
		return
	}
	for i := range p.next.events {
		if e := &p.next.events[i]; e.Kind == session.Data && e.Side == session.Client {
			p.ledger[fate] += int64(len(e.Data))
		}
	}
	p.hold(-p.next.held)
	p.next, p.joining, p.behindGap = nil, true, true
}
