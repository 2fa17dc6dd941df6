package replay

import (
	"sync"
	"sync/atomic"
	"time"
)

// How an engine is stopped, stepped and let go on while it plays.
//
//	           Pause, a break                    Resume
//	playing ──────────────────▶ paused ─────────────────────▶ playing, all stepped
//	                            │    ▲
//	                      Step  ▼    │ its next thing is done
//	                       one session's clock runs
//
// A pause costs the application's answers nothing: time stands still for the
// release rule, and for all that waits for the application. Each player keeps
// its marks on the real clock (when something was last sent, or came); they are
// moved by as much as the player's clock stood still, before it runs again.

// control is what an engine has for that. What playing costs of it is two loads
// a step.
type control struct {
	paused atomic.Bool
	breaks atomic.Pointer[Break]
	// orders counts what the shards have to look at, rounds what makes them
	// step all their players.
	orders, rounds atomic.Int64

	mu    sync.Mutex
	since time.Time     // when the pause began
	total time.Duration // of pauses that are over
	count int           // of pauses that began
}

// Pause stops the world: from then on no session opens, and no chunk, FIN or
// RST goes out, partly written chunks and datagrams included. A shard that is
// in the middle of one when Pause returns finishes that one; Config.Shards is
// how many can. What a connection has taken is on its way, and stays so.
//
// What the capture brings is taken in meanwhile, and what the application
// answers is read, judged and measured. Players do not end that still have
// something to play or to wait for. What waits for the application, such as
// Config.AnswerTimeout, goes on where it was with Resume, so that a pause makes
// no answer missing. Over Config.MaxHeld sessions are shed as ever, and shedding
// breaks connections off.
//
// Config.Pace is held, too: engines that share one are to be paused and resumed
// together; see Tee. Pause may be called from any goroutine, Judge and Broke
// included, also before Begin and Run, and is idempotent.
func (e *Engine) Pause() {
	c, now := &e.control, time.Now()
	c.mu.Lock()
	if !c.paused.Load() {
		c.since = now
		c.count++
		c.paused.Store(true)
	}
	c.mu.Unlock()
	if e.cfg.Pace != nil {
		e.cfg.Pace.Hold(now)
	}
	c.orders.Add(1)
	e.signal()
}

// Resume ends a pause. It may be called as Pause may be.
func (e *Engine) Resume() {
	c, now := &e.control, time.Now()
	if e.cfg.Pace != nil {
		e.cfg.Pace.Release(now)
	}
	c.mu.Lock()
	if c.paused.Load() {
		c.total += now.Sub(c.since)
		c.paused.Store(false)
	}
	c.mu.Unlock()
	e.again()
}

// Paused reports whether the engine is paused.
func (e *Engine) Paused() bool { return e.control.paused.Load() }

// again makes the shards step all their players.
func (e *Engine) again() {
	e.control.rounds.Add(1)
	e.control.orders.Add(1)
	e.signal()
}

// stood returns how long the world stood still so far, and how often.
func (c *control) stood(now time.Time) (time.Duration, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused.Load() {
		return c.total + max(0, now.Sub(c.since)), c.count
	}
	return c.total, c.count
}

// Step lets the next thing of one copy of a session go while the engine is
// paused: an opening, a chunk, FIN or RST. Its captured time is not waited for;
// its cause is, such as an answer, and until then only this session's clock
// runs. Several Steps add up, as far as there is something to play: else it
// reports false. Step waits for the goroutines that run the engine, and so must
// not be called by what these call.
func (e *Engine) Step(session uint64, copy int) (ok bool) {
	e.order(func(sh *shard, now time.Time) {
		for p := range sh.live {
			if p.s.ID == session && p.copy == copy && e.Paused() {
				ok = p.allow(now)
				return
			}
		}
	})
	return ok
}

// Restarting tells that the application is about to be ended on purpose, and
// started again. What that breaks off is nobody's fault: a session goes on at
// its next message over a new connection, whatever Config.StopEarly says, if its
// protocol is known; answers that were under way are not compared, nor is how
// the connection ended, and no break is hit. It waits as Step does; call it
// while the engine is paused.
func (e *Engine) Restarting() {
	e.order(func(sh *shard, _ time.Time) {
		for p := range sh.live {
			p.excused = p.conn != nil
			if p.udp != nil {
				p.udp.excuse()
			}
		}
	})
}

// order has something done by each shard's goroutine in turn, and waits for it.
// A shard that does not run does nothing.
func (e *Engine) order(do func(*shard, time.Time)) {
	for _, sh := range e.shards {
		sh.ask(func() {
			if !sh.running {
				return
			}
			now := time.Now()
			sh.catchUp(now)
			do(sh, now)
		})
	}
}

// orders is what a shard knows of its engine's control.
type orders struct {
	seen, round int64         // of control's orders and rounds
	stood       time.Duration // how far the players' marks were moved
	pauses      int           // of control's count
}

// listen carries out what the engine was told since the last time.
func (sh *shard) listen(now time.Time) {
	c := &sh.engine.control
	seen := c.orders.Load()
	if seen == sh.seen {
		return
	}
	sh.seen = seen
	round := c.rounds.Load()
	sh.catchUp(now)
	if round != sh.round {
		sh.round = round
		for p := range sh.live {
			p.step(now)
		}
	}
}

// catchUp moves the players' marks by as much as the world stood still since it
// was last called; in the middle of a pause that is a part of it.
func (sh *shard) catchUp(now time.Time) {
	stood, pauses := sh.engine.control.stood(now)
	if stood == sh.stood && pauses == sh.pauses {
		return
	}
	for p := range sh.live {
		p.stoodStill(stood, now)
		if !sh.engine.Paused() || pauses != sh.pauses {
			p.allowed = 0
		}
	}
	move(&sh.burst.granted, stood-sh.stood, now)
	sh.stood, sh.pauses = stood, pauses
}

// controlled is what a player has for all that.
type controlled struct {
	allowed int           // things that it may still do while paused; its clock runs until then
	stood   time.Duration // how far its marks were moved, if farther than the shard's others
	excused bool          // the application's restart breaks its connection
}

// frozen reports whether the player must not do anything to the application.
func (p *player) frozen() bool {
	return p.shard.engine.control.paused.Load() && p.allowed == 0 && !p.out
}

// mayEnd reports whether the player may see to its end: while it is frozen only
// where nothing is left of it to play or to wait for.
func (p *player) mayEnd() bool {
	return !p.frozen() || p.conn == nil && (p.udp == nil || p.udp.socket == nil) && p.next == nil && p.head == len(p.steps)
}

// allow lets the player do one thing more, if it has something to do.
func (p *player) allow(now time.Time) bool {
	p.step(now) // what was captured meanwhile counts
	left := len(p.steps) - p.head
	if p.next != nil {
		left++
	}
	if p.ended || left <= p.allowed {
		return false
	}
	if p.allowed == 0 {
		stood, _ := p.shard.engine.control.stood(now)
		p.stoodStill(stood, now)
	}
	p.allowed++
	p.step(now)
	return true
}

// did tells that the player has done one thing.
func (p *player) did() {
	if p.allowed == 0 {
		return
	}
	if p.allowed--; p.allowed == 0 {
		p.stood, _ = p.shard.engine.control.stood(time.Now()) // its clock ran until now
	}
}

// stoodStill moves the player's marks to where they belong when the world has
// stood still for so long in all, unless its clock ran meanwhile.
func (p *player) stoodStill(stood time.Duration, now time.Time) {
	d := stood - max(p.shard.stood, p.stood)
	p.stood = stood
	if p.allowed > 0 {
		return
	}
	move(&p.lastSent, d, now)
	move(&p.lastByte, d, now)
	move(&p.closings.closedAt, d, now)
	move(&p.closeUntil, d, now.Add(2*p.shard.cfg.AnswerTimeout)) // no later than it is ever set
}

// move moves a mark by d, but no later than to limit: one that was set while the
// world stood still. A mark that is not set stays so.
func move(mark *time.Time, d time.Duration, limit time.Time) {
	if mark.IsZero() || d <= 0 {
		return
	}
	if *mark = mark.Add(d); mark.After(limit) {
		*mark = limit
	}
}
