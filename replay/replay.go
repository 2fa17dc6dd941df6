// Package replay decides when to do what: it follows captured sessions and
// plays each into the application over a connection of its own.
//
// In flow sessions, through Feed; out go connections made with Config.Dial,
// and a Record for each session that has ended. In between stand, in the order
// in which an event meets them:
//
//	follow.go      the record: events become steps to play
//	gap.go         where a session without its beginning starts, and one with
//	               a hole goes on
//	pace.go        its time: not before its captured offset
//	release.go     its cause: not before the application has answered what
//	               production's client had seen
//	player.go      the step: what can be done now
//	connection.go  connect, send, half-close, reset
//	exchange.go    the answers, paired: production.go and application.go say
//	               which bytes are whose
//	record.go      the result: what became of each byte, and the verdicts
//
// An Engine runs its players on a few shards. A shard is one goroutine that
// takes the players with news one after another; a player never blocks and
// needs no goroutine and no lock of its own. So capture hands over once per
// batch of packets, and an idle session costs its memory only.
package replay

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// Conn is a connection into the application that never blocks; netsim.Conn
// says what each method does.
type Conn interface {
	Established() (bool, error)
	Write(p []byte) (int, error)
	Read(fn func(p []byte)) (int, error)
	Acked() uint64
	CloseWrite() error
	Flush()
	Abort()
	Close()
}

// Dial starts a connection from a client's address to where the application
// listens. wake must be called, from any goroutine, when the connection has
// news. Errors wrap ErrInUse, ErrRefused or ErrUnsupported where they apply.
type Dial func(client, server netip.AddrPort, wake func()) (Conn, error)

// What Dial and the connection can fail with, as far as the player must tell.
var (
	ErrInUse       = errors.New("client address in use")
	ErrRefused     = errors.New("connection refused")
	ErrUnsupported = errors.New("session cannot be replayed here")
)

// Config says how to play. The zero value of a duration means its default.
type Config struct {
	Dial Dial
	// Pace maps captured time to the clock's; nil plays everything at once.
	Pace *Pace
	// AnswerTimeout is how long the application may stay silent before its
	// answer counts as missing and the client goes on (5 s).
	AnswerTimeout time.Duration
	// MinQuiet is the shortest silence that ends an answer of a protocol
	// without a framer (20 ms).
	MinQuiet time.Duration
	// Rules are handed to compare.
	Rules compare.Rules
	// Shards is the number of goroutines that play (1).
	Shards int
	// Ended is told of each session that has ended; the record is the
	// callee's. Differs is told of each answer that differs or is missing:
	// the session, the request's first line or "turn 3", and where they
	// differ (nil: missing). Both may be nil, are called by the shards'
	// goroutines, several at once, and must be quick.
	Ended   func(*Record)
	Differs func(session uint64, request string, d *compare.Difference)
}

// Engine plays sessions. Make it with New, feed it from one goroutine, and
// run it in another.
type Engine struct {
	cfg    Config
	shards []*shard
	seen   atomic.Int64
	next   int // shard of the next session; Feed's own

	active atomic.Int64 // players that have not ended
	busy   atomic.Int64 // of those, the ones with something to play
	queued atomic.Int64 // players with news that nobody has looked at yet
	idle   chan struct{}
}

// New returns an engine that is ready to be fed. It starts nothing.
func New(cfg Config) *Engine {
	if cfg.AnswerTimeout <= 0 {
		cfg.AnswerTimeout = 5 * time.Second
	}
	if cfg.MinQuiet <= 0 {
		cfg.MinQuiet = 20 * time.Millisecond
	}
	if cfg.Shards <= 0 {
		cfg.Shards = 1
	}
	e := &Engine{cfg: cfg, idle: make(chan struct{}, 1)}
	for range cfg.Shards {
		e.shards = append(e.shards, newShard(e))
	}
	return e
}

// Feed tells that these sessions have new events or have ended; a session is
// met for the first time in its first batch. It does not block.
func (e *Engine) Feed(batch []*session.Session) {
	for _, s := range batch {
		p, ok := s.Owner.(*player)
		if !ok {
			p = newPlayer(e.shards[e.next], s)
			e.next = (e.next + 1) % len(e.shards)
			s.Owner = p
			e.seen.Add(1)
			e.active.Add(1)
		}
		p.shard.push(p)
	}
	for _, sh := range e.shards {
		sh.signal()
	}
}

// Run plays until ctx ends. What is not played by then stays where it is, for
// Finish to account for.
func (e *Engine) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, sh := range e.shards {
		wg.Go(func() { sh.run(ctx) })
	}
	wg.Wait()
}

// Active returns the number of sessions that are still being played, and how
// many of them have, or may have, something to do: events to play or answers to
// wait for.
func (e *Engine) Active() (all, busy int) {
	all = int(e.active.Load())
	return all, min(all, int(e.busy.Load()+e.queued.Load()))
}

// Drain waits until all sessions have ended or ctx is done. All records must
// have ended before (capture closed), or it waits for ctx.
func (e *Engine) Drain(ctx context.Context) error {
	for e.active.Load() > 0 {
		select {
		case <-e.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Finish closes what is still open and returns the result. Run must have
// returned.
func (e *Engine) Finish() *Result {
	for _, sh := range e.shards {
		sh.finish()
	}
	return e.Result()
}

func (e *Engine) ended() {
	if e.active.Add(-1) == 0 {
		select {
		case e.idle <- struct{}{}:
		default:
		}
	}
}

// shard is one goroutine's share of the players.
type shard struct {
	engine *Engine
	cfg    *Config

	mu    sync.Mutex
	ready []*player // with news; each once
	wake  chan struct{}

	// Only the shard's goroutine touches the rest, except for the tally.
	spare  []*player
	timers timerHeap
	live   map[*player]struct{}
	tally  tally
	free   []*exchange
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
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var armed time.Time
	for ctx.Err() == nil {
		sh.mu.Lock()
		ready := sh.ready
		sh.ready = sh.spare[:0]
		sh.mu.Unlock()
		now := time.Now()
		for i, p := range ready {
			ready[i] = nil
			p.queued.Store(false)
			sh.engine.queued.Add(-1)
			p.step(now)
			if i%64 == 63 {
				now = time.Now()
			}
		}
		sh.spare = ready
		for p := sh.timers.due(now); p != nil; p = sh.timers.due(now) {
			p.step(now)
		}
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

// finish ends the players that are left; the shard no longer runs.
func (sh *shard) finish() {
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
