package replay

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tcpsandbox/session"
)

// Whoever wants to see the sessions looks at them from outside: Changes gives
// the views of those that had news, Story what happened in one of them. Players
// belong to their shard's goroutine, so that is who answers, between two steps;
// nothing is shared but what does not change any more. Without Config.Watch
// none of this is made, and a step costs one comparison more.

// Watch says how sessions are to be watched.
type Watch struct {
	// Memory bounds, in bytes, what is kept of the sessions' stories. Over it
	// those go first that ended as production's had.
	Memory int64
	// Clock: captured times are this machine's, and now is when they come. How
	// much a chunk is behind is then known without a Pace, too.
	Clock bool
	// Label says how a request's first line may be shown; nil: as it is.
	Label func(string) string
}

// watched is what is noted of a player for those who watch.
type watched struct {
	slot   int
	listed int // its place in the shard's list of those that changed, from 1; 0: it is not there
	behind time.Duration
	down   int64
	first  [2]mean // of production, of the application
	routes []string
	story  story
	link   *LinkFacts // of the connection, when it was last asked; never written to
}

// maxRoutes bounds View.Routes.
const maxRoutes = 8

// mean is a running mean of durations.
type mean struct {
	sum time.Duration
	n   int64
}

func (m *mean) add(d time.Duration) { m.sum, m.n = m.sum+d, m.n+1 }

func (m *mean) mean() time.Duration {
	if m.n == 0 {
		return 0
	}
	return m.sum / time.Duration(m.n)
}

// watching is an engine's share of all that.
type watching struct {
	cfg     Watch
	stories library

	overlooked atomic.Int64
}

// maxEnded is how many views of sessions that have ended wait in a shard until
// they are asked for. A view takes some 400 bytes; at 12,000 sessions a second
// they last for more than a second.
const maxEnded = 16 << 10

// newsworthy notes that something of the player may have changed.
func (p *player) newsworthy() {
	if w := p.watched; w != nil && w.listed == 0 {
		p.shard.changed = append(p.shard.changed, p)
		w.listed = len(p.shard.changed)
	}
}

// unwatch leaves a session's last view for who asks, so that the player may go.
func (p *player) unwatch(last View) {
	sh, w := p.shard, p.watched
	if i := w.listed - 1; i >= 0 {
		n := len(sh.changed) - 1
		sh.changed[i] = sh.changed[n]
		sh.changed[i].watched.listed = i + 1
		sh.changed[n] = nil
		sh.changed, w.listed = sh.changed[:n], 0
	}
	if len(sh.over) == maxEnded { // nobody asks
		sh.over = slices.Delete(sh.over, 0, maxEnded/2)
		sh.engine.watch.overlooked.Add(maxEnded / 2)
	}
	sh.over = append(sh.over, last)
}

// question is one for a shard's goroutine.
type question struct {
	do   func()
	done chan struct{}
}

// ask has f run between two steps of the shard, or now if the shard does not
// run, and waits for it.
func (sh *shard) ask(f func()) {
	for {
		sh.mu.Lock()
		if sh.running {
			q := question{f, make(chan struct{})}
			sh.asks = append(sh.asks, q)
			sh.asking.Store(true)
			sh.mu.Unlock()
			sh.signal()
			<-q.done
			return
		}
		free := sh.still.TryLock()
		sh.mu.Unlock()
		if free {
			f()
			sh.still.Unlock()
			return
		}
		time.Sleep(time.Millisecond) // Finish has it, or another who asks
	}
}

// answerAsks runs what was asked.
func (sh *shard) answerAsks() {
	if !sh.asking.Load() {
		return
	}
	sh.mu.Lock()
	asks := sh.asks
	sh.asks = nil
	sh.asking.Store(false)
	sh.mu.Unlock()
	for _, q := range asks {
		q.do()
		close(q.done)
	}
}

// goesOn tells whether the shard runs. Until goesOn(false) it has still.
func (sh *shard) goesOn(runs bool) {
	if runs {
		sh.still.Lock()
		sh.mu.Lock()
		sh.running = true
		sh.mu.Unlock()
		return
	}
	sh.mu.Lock()
	sh.running = false
	sh.mu.Unlock()
	sh.answerAsks() // nobody comes after these
	sh.still.Unlock()
}

// Changes appends to buf the views of all sessions that had news since the last
// call, each once, in no order. It waits for the step that is under way. Without
// Config.Watch there are none. It may be called at any time by one goroutine, but
// not by Config.Judge and Config.Ended. Of sessions that have ended the latest
// maxEnded of each shard wait to be asked for.
func (e *Engine) Changes(buf []View) []View {
	if e.watch == nil {
		return buf
	}
	for _, sh := range e.shards {
		sh.ask(func() {
			now := time.Now()
			for i, p := range sh.changed {
				buf = append(buf, p.view(now))
				p.watched.listed = 0
				sh.changed[i] = nil
			}
			sh.changed = sh.changed[:0]
			buf = append(buf, sh.over...)
			if clear(sh.over); len(sh.over) < cap(sh.over)/4 {
				sh.over = nil // many ended once
			}
			sh.over = sh.over[:0]
		})
	}
	return buf
}

// Overlooked returns how many sessions ended whose last view nobody has asked
// for in time. It may be called at any time.
func (e *Engine) Overlooked() int64 {
	if e.watch == nil {
		return 0
	}
	return e.watch.overlooked.Load()
}

// watched returns what a new player is watched with; nil: it is not.
func (e *Engine) watched() *watched {
	if e.watch == nil {
		return nil
	}
	return &watched{slot: int(e.seen.Load()), behind: -1}
}

// dueAt returns when a step is to be played, if that is known.
func (p *player) dueAt(st *step) time.Time {
	switch at := p.s.Start.Add(st.At); {
	case p.shard.cfg.Pace != nil:
		return p.shard.cfg.Pace.Due(at)
	case p.shard.engine.watch.cfg.Clock:
		return at
	}
	return time.Time{}
}

// noteBehind notes how much behind its captured time a chunk is released.
func (p *player) noteBehind(st *step, now time.Time) {
	if p.watched == nil || st.free || st.Kind != session.Data {
		return
	}
	if due := p.dueAt(st); !due.IsZero() {
		p.watched.behind = max(0, now.Sub(due))
	}
}

// askLink asks the connection what its packets tell. That an earlier one of the
// session was reset is not forgotten.
func (p *player) askLink() {
	if p.watched == nil {
		return
	}
	if c, ok := p.conn.(Instrumented); ok {
		facts := c.Facts()
		facts.Reset = facts.Reset || p.watched.link != nil && p.watched.link.Reset
		p.watched.link = &facts
	}
}

// passes notes what kind of request a session has.
func (p *player) passes(label string) {
	w := p.watched
	if w == nil || len(w.routes) == maxRoutes {
		return
	}
	if hide := p.shard.engine.watch.cfg.Label; hide != nil {
		label = hide(label)
	}
	method, target, _ := strings.Cut(label, " ")
	target, _, _ = strings.Cut(target, " ")
	target, _, _ = strings.Cut(target, "?")
	for _, r := range w.routes {
		if isRoute(r, method, target) {
			return
		}
	}
	sh := p.shard
	if last := sh.routes; len(w.routes) == 0 && len(last) > 0 && isRoute(last[0], method, target) {
		w.routes = last[:1:1] // most sessions begin as the one before
		return
	}
	// Views share what was there, so it is never written to.
	w.routes = append(w.routes[:len(w.routes):len(w.routes)], method+" "+target)
	if len(w.routes) == 1 {
		sh.routes = w.routes
	}
}

// isRoute reports whether a route is this one.
func isRoute(r, method, target string) bool {
	return len(r) == len(method)+1+len(target) && strings.HasPrefix(r, method) && strings.HasSuffix(r, target)
}
