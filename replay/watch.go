package replay

import (
	"strings"
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
	slot    int
	changed bool // it is in the shard's list
	behind  time.Duration
	down    int64
	first   [2]mean // of production, of the application
	routes  []string
	story   *story
	link    *LinkFacts // of the connection, when it was last asked; never written to
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
}

// newsworthy notes that something of the player may have changed.
func (p *player) newsworthy() {
	if w := p.watched; w != nil && !w.changed {
		w.changed = true
		p.shard.changed = append(p.shard.changed, p)
	}
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
	sh.mu.Lock()
	asks := sh.asks
	sh.asks = nil
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
// Config.Watch there are none. It may be called at any time by one goroutine.
func (e *Engine) Changes(buf []View) []View {
	if e.watch == nil {
		return buf
	}
	for _, sh := range e.shards {
		sh.ask(func() {
			now := time.Now()
			for i, p := range sh.changed {
				buf = append(buf, p.view(now))
				p.watched.changed = false
				sh.changed[i] = nil
			}
			sh.changed = sh.changed[:0]
		})
	}
	return buf
}

// watched returns what a new player is watched with; nil: it is not.
func (e *Engine) watched() *watched {
	if e.watch == nil {
		return nil
	}
	return &watched{slot: int(e.seen.Load()), behind: -1, story: &story{}}
}

// late notes how much behind its captured time a chunk is released.
func (p *player) noteBehind(st *step, now time.Time) {
	w := p.watched
	if w == nil || st.Kind != session.Data {
		return
	}
	switch pace := p.shard.cfg.Pace; {
	case pace != nil:
		w.behind = max(0, now.Sub(pace.Due(p.s.Start.Add(st.At))))
	case p.shard.engine.watch.cfg.Clock:
		w.behind = max(0, now.Sub(p.s.Start.Add(st.At)))
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
	route := label
	if method, rest, ok := strings.Cut(label, " "); ok && strings.HasPrefix(rest, "/") {
		path, _, _ := strings.Cut(rest, " ")
		path, _, _ = strings.Cut(path, "?")
		route = method + " " + path
	}
	for _, r := range w.routes {
		if r == route {
			return
		}
	}
	// Views share what was there, so it is never written to.
	w.routes = append(w.routes[:len(w.routes):len(w.routes)], strings.Clone(route))
}
