package replay

import (
	"math"
	"sync/atomic"
	"time"

	"tcpsandbox/session"
)

// How much of the load is played is changed from outside while the engine
// runs: by who watches over processors, or over production. What is not played
// is left out in whole sessions and counted as session.Shed.

// Share says which part of the sessions is played, from none (0) to all (1). It
// is a session's luck that decides, as with Choice.Sample: the same clients are
// played in all engines, and what a smaller share plays a larger one plays as
// well.
type Share struct {
	// New is the part of those that begin. It is decided once: a session that
	// begins outside of it is never played, nor are its copies.
	New float64
	// Running is the part of those that were being played already. Those outside
	// of it drop what they have at once. They stay away until it has grown to
	// hold them, and go on at their next message then, over a new connection.
	Running float64
	Why     ShedWhy
}

// ShedWhy is why sessions are shed.
type ShedWhy uint8

const (
	ShedMemory   ShedWhy = iota // over Config.MaxHeld
	ShedCPU                     // what Engine.Limit was told
	ShedWatchdog                // likewise
	shedWhys
)

// Limit sets what is played from now on. An engine begins with all. It does not
// wait for what it sheds, and may be called from any goroutine; for engines
// that are fed by a Tee, call the Tee's.
func (e *Engine) Limit(s Share) {
	e.mu.Lock()
	e.share = s
	e.mu.Unlock()
	r := &e.running
	if r.share() == s.Running {
		return
	}
	r.why.Store(uint32(s.Why))
	r.bits.Store(math.Float64bits(s.Running))
	r.changes.Add(1)
	e.signal()
}

// runningShare is Share.Running, for the shards.
type runningShare struct {
	bits    atomic.Uint64
	why     atomic.Uint32
	changes atomic.Int64
}

func (r *runningShare) share() float64 { return math.Float64frombits(r.bits.Load()) }

// leftOut reports whether a session that begins now is to be shed. Of those that
// Choice.Sample chooses the share counts, not of all.
func (e *Engine) leftOut(s *session.Session) bool {
	return e.share.New < 1 && e.cfg.luckOf(s) >= e.share.New
}

// luckOf returns a session's luck among those chosen, from 0 to less than 1.
func (c *Config) luckOf(s *session.Session) float64 {
	luck := luck(s.Client)
	if c.Sample > 0 {
		luck /= c.Sample
	}
	return luck
}

// stands reports whether a session is within Share.Running.
func (p *player) stands() bool {
	share := p.shard.engine.running.share()
	return share >= 1 || p.shard.cfg.luckOf(p.s) < share
}

// bench sheds those that are no more within Share.Running.
func (sh *shard) bench(now time.Time) {
	r := &sh.engine.running
	changes := r.changes.Load()
	if changes == sh.benches {
		return
	}
	sh.benches = changes
	if r.share() >= 1 {
		return
	}
	for p := range sh.live {
		if !p.out && !p.benched && !p.stands() {
			p.bench(ShedWhy(r.why.Load()), now)
		}
	}
}

// bench drops what the player has, and all that comes until it is within the
// share again.
func (p *player) bench(why ShedWhy, now time.Time) {
	p.benched, p.comesBack = true, false
	p.shedWhy(why)
	p.shed(now)
	if p.udp == nil && !p.ended {
		p.sniff = p.sniff[:0]
		p.joining, p.behindGap = true, true
		p.exchanges.broken()
	}
}

// skips reports whether the player is benched, and counts the bytes that are not
// played for it. Without being benched any more it looks for a place to go on.
func (p *player) skips(e *session.Event) bool {
	if !p.benched {
		return false
	}
	if p.stands() {
		p.benched, p.comesBack = false, true
		return false
	}
	p.ledger[session.Shed] += int64(len(e.Data))
	return true
}

// shedWhy notes why something of the session was shed first.
func (p *player) shedWhy(why ShedWhy) {
	if !p.record.Shed {
		p.record.Shed, p.record.ShedWhy = true, why
	}
}

// outFate is the bin of what a session has that is left out.
func (p *player) outFate() session.Fate {
	if p.record.Shed {
		return session.Shed
	}
	return session.Filtered
}

// Limit limits all engines; see Engine.Limit. They agree on each session.
func (t *Tee) Limit(s Share) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.engines {
		e.Limit(s)
	}
}
