package replay

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tcpsandbox/compare"
)

// shard is one goroutine's share of the players.
type shard struct {
	engine *Engine
	cfg    *Config

	mu    sync.Mutex
	ready []*player // with news; each once
	wake  chan struct{}
	asks  []question // of those who watch, or steer
	// asking: there are some, and a look need not lock.
	asking atomic.Bool
	// running: asks are answered. still is held by who may touch the players.
	running bool
	still   sync.Mutex

	// Only the shard's goroutine touches the rest, except for the tally.
	begun    bool // sessions are played
	spare    []*player
	timers   timerHeap
	live     map[*player]struct{}
	nextShed time.Time // no sooner is memory looked for; see shed
	benches  int64     // changes of Share.Running that were heeded
	tally    tally
	free     []*exchange
	burst    burst
	asked    compare.Exchange // what the judge is asked about
	orders
	// For those who watch:
	changed []*player // those that have news and go on, each once
	routes  []string  // of the session that began one last, the first one
	over    []View    // of those that have ended, and were not asked for yet
}

func newShard(e *Engine) *shard {
	sh := &shard{engine: e, cfg: &e.cfg, wake: make(chan struct{}, 1), live: map[*player]struct{}{}}
	sh.tally.init()
	return sh
}

// push queues a player without waking the shard.
func (sh *shard) push(p *player) {
	if p.queued.Swap(true) {
		return
	}
	sh.engine.queued.Add(1)
	sh.mu.Lock()
	sh.ready = append(sh.ready, p)
	sh.mu.Unlock()
}

func (sh *shard) signal() {
	select {
	case sh.wake <- struct{}{}:
	default:
	}
}

func (sh *shard) run(ctx context.Context) {
	sh.goesOn(true)
	defer sh.goesOn(false)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var armed time.Time
	for ctx.Err() == nil {
		sh.mu.Lock()
		ready := sh.ready
		sh.ready = sh.spare[:0]
		sh.mu.Unlock()
		now := time.Now()
		if !sh.begun && sh.engine.begun.Load() {
			sh.begin(now)
		}
		sh.listen(now)
		for i, p := range ready {
			ready[i] = nil
			p.queued.Store(false)
			p.step(now)
			sh.engine.queued.Add(-1)
			if i%64 == 63 {
				now = time.Now()
				sh.answerAsks()
			}
		}
		sh.spare = ready
		sh.answerAsks()
		for p := sh.timers.due(now); p != nil; p = sh.timers.due(now) {
			p.step(now)
		}
		sh.shed(now)
		sh.bench(now)
		if len(ready) > 0 {
			// What the steps set in motion (answers of a fast application) is
			// often here already: look again before sleeping.
			runtime.Gosched()
			continue
		}
		if at, ok := sh.timers.next(); ok && !at.Equal(armed) {
			armed = at
			timer.Reset(time.Until(at))
		}
		select {
		case <-sh.wake:
		case <-timer.C:
			armed = time.Time{}
		case <-ctx.Done():
		}
	}
}

// begin plays what was only taken in so far.
func (sh *shard) begin(now time.Time) {
	sh.begun = true
	for p := range sh.live {
		p.step(now)
	}
}

// finish ends the players that are left; the shard no longer runs.
func (sh *shard) finish() {
	sh.still.Lock()
	defer sh.still.Unlock()
	sh.catchUp(time.Now())
	for p := range sh.live {
		p.take()
		p.cutShort()
	}
	sh.mu.Lock()
	ready := sh.ready
	sh.ready = nil
	sh.mu.Unlock()
	for _, p := range ready { // never stepped
		if !p.ended {
			p.take()
			p.cutShort()
		}
	}
}
