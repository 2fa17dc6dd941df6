// Package replay decides when to do what: it follows captured sessions and
// plays each into the application over a connection of its own.
//
// In flow sessions, through Feed; out go connections made with Config.Dial,
// and a Record for each session that has ended. In between stand, in the order
// in which an event meets them:
//
//	tee.go         the same sessions for several engines
//	choose.go      which sessions are played; multiply.go and addresses.go say
//	               how often, and from where
//	follow.go      the record: events become steps to play
//	gap.go         where a session without its beginning starts, and one with
//	               a hole goes on
//	pace.go        its time: not before its captured offset
//	release.go     its cause: not before the application has answered what
//	               production's client had seen
//	player.go      the step: what can be done now
//	connection.go  connect, send, half-close, reset
//	again.go       where a session goes on after its connection broke
//	memory.go      what a player holds, and what is shed over the limit
//	share.go       what is shed because others say so
//	exchange.go    the answers, paired: production.go and application.go say
//	               which bytes are whose, crossing.go where both would do
//	datagram.go    all that for UDP, which has no connections; burst.go says
//	               how much of it goes out at once
//	record.go      the result: what became of each byte, and the verdicts
//	control.go     pause, resume, step; breaks.go says what pauses by itself
//	outlook.go     the same of a session that nobody plays, for `show`
//	watch.go       what can be seen of all that from outside: view.go of each
//	               session, story.go what happened in it, as far as library.go
//	               has room
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
	"sync"
	"sync/atomic"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// Conn is a connection into the application that never blocks; netsim.Conn
// says what each method does. It may be Instrumented, too.
type Conn interface {
	Established() (bool, error)
	Write(p []byte) (int, error)
	Read(fn func(p []byte)) (int, error)
	Acked() uint64
	CloseWrite() error
	Flush()
	Abort()
	Close()
	// Gone reports whether nothing is left of it, after Abort or Close; wake is called
	// when that has become so.
	Gone() bool
}

// Dial starts a connection from a client's address to where the application
// listens. wake must be called, from any goroutine, when the connection has
// news. Errors wrap ErrInUse, ErrDown, ErrRefused or ErrUnsupported where they apply.
type Dial func(client, server netip.AddrPort, wake func()) (Conn, error)

// What Dial and the connection can fail with, as far as the player must tell.
var (
	ErrInUse       = errors.New("client address in use")
	ErrDown        = errors.New("the application is down for now")
	ErrRefused     = errors.New("connection refused")
	ErrUnsupported = errors.New("session cannot be replayed here")
)

// Config says how to play. The zero value of a duration means its default.
type Config struct {
	Dial    Dial
	DialUDP DialUDP // nil: UDP flows are not played, and counted as unsupported
	// Room returns how many bytes, as its kernel counts them, the application's
	// fullest UDP socket has room for, if that is known. It is called once per
	// millisecond at most; nil: never known.
	Room func() (bytes int, known bool)
	// Pace maps captured time to the clock's; nil plays everything at once.
	Pace *Pace
	// AnswerTimeout is how long the application may stay silent before its
	// answer counts as missing and the client goes on (5 s).
	AnswerTimeout time.Duration
	// MinQuiet is the shortest silence that ends an answer of a protocol
	// without a framer (20 ms).
	MinQuiet time.Duration
	// NoWait: nothing waits for the application's answers, a client's data goes
	// out when its time has come.
	NoWait bool
	// StopEarly: a session whose connection the application closes early ends
	// there. Otherwise it goes on at its next message over a new connection,
	// if its protocol is known and the application had answered something.
	StopEarly bool
	// Judge judges the answers (compare.ByBytes). It is called by the shards'
	// goroutines, several at once, and must be quick.
	Judge compare.Judge

	// Choice says which sessions are played.
	Choice
	// Multiply plays each session this many times (1), from a client address
	// of its own each.
	Multiply int
	// Clients, at most one of each family, are where the clients' addresses
	// are taken from; see addresses.
	Clients []netip.Prefix

	// MaxHeld bounds what the players hold in memory, in bytes; see Held. Over
	// it sessions are shed. 0: no limit.
	MaxHeld int64
	// Hold: sessions are taken in, and none is played before Begin.
	Hold bool

	// Shards is the number of goroutines that play (1).
	Shards int
	// Ended is told of each session that has ended, as Judge is of answers; the
	// record is the callee's. It may be nil.
	Ended func(*Record)
	// Watch lets the sessions be watched; nil: nobody wants to. See Changes.
	Watch *Watch
	// Broke is told of each break that was hit, when the engine is paused already;
	// it must be quick, and may be nil. See Engine.BreakOn.
	Broke func(Hit)
}

// Engine plays sessions. Make it with New, run it in one goroutine, and feed
// it from others.
type Engine struct {
	cfg     Config
	shards  []*shard
	sharers int64 // engines that are fed the same sessions; see Tee
	seen    atomic.Int64
	watch   *watching // nil: not watched
	begun   atomic.Bool

	mu      sync.Mutex // of what Feed does
	next    int        // shard of the next session
	origin  time.Time  // when the first session began; see when
	share   Share      // of what begins
	clients *addresses // nil: all play from their own
	fans    map[*fan]struct{}

	held   atomic.Int64 // by the players, and what is left of connections; see memory.go
	left   atomic.Int64 // of that, what is left of connections
	peak   atomic.Int64
	active atomic.Int64 // players that have not ended
	busy   atomic.Int64 // of those, the ones with something to play
	queued atomic.Int64 // players with news that nobody has looked at yet
	idle   chan struct{}

	control control
	running runningShare // Share.Running
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
	if cfg.Judge == nil {
		cfg.Judge = compare.ByBytes
	}
	cfg.Multiply = max(cfg.Multiply, 1)
	e := &Engine{cfg: cfg, sharers: 1, idle: make(chan struct{}, 1), fans: map[*fan]struct{}{}}
	if cfg.Multiply > 1 || len(cfg.Clients) > 0 {
		e.clients = newAddresses(cfg.Multiply, cfg.Clients)
	}
	if cfg.Watch != nil {
		e.watch = &watching{cfg: *cfg.Watch}
		e.watch.stories.init(cfg.Watch.Memory)
	}
	e.begun.Store(!cfg.Hold)
	e.Limit(Share{New: 1, Running: 1})
	for range cfg.Shards {
		e.shards = append(e.shards, newShard(e))
	}
	if cfg.Pace != nil {
		cfg.Pace.onChange(e.again)
	}
	return e
}

// Feed tells that these sessions have new events or have ended; a session is
// met for the first time in its first batch. It does not block, and may be
// called from several goroutines, for different sessions.
func (e *Engine) Feed(batch []*session.Session) {
	e.mu.Lock()
	for _, s := range batch {
		switch owner := s.Owner.(type) {
		case *player:
			owner.shard.push(owner)
		case *fan:
			e.pass(owner)
		default:
			e.meet(s)
		}
	}
	e.mu.Unlock()
	e.signal()
}

// meet finds players for a session that was not seen before.
func (e *Engine) meet(s *session.Session) {
	out, until := e.choose(s)
	shed := !out && e.leftOut(s)
	if e.clients != nil {
		e.clients.server(s.Server.Addr())
	}
	if e.cfg.Multiply > 1 && !out && !shed {
		e.multiply(s, until)
		return
	}
	p := e.enlist(s, 0, until)
	p.out = out || shed
	if p.record.LeftOut = p.out; shed {
		p.shedWhy(e.share.Why)
	}
	p.shard.push(p)
}

// enlist makes the player of a session, or of its n-th copy.
func (e *Engine) enlist(s *session.Session, n int, until time.Time) *player {
	p := newPlayer(e.shards[e.next], s)
	e.next = (e.next + 1) % len(e.shards)
	p.copy, p.sharers = n, e.sharers*int64(e.cfg.Multiply)
	if e.clients != nil {
		p.addr = e.clients.of(s.Client, n)
	}
	if !until.IsZero() {
		p.joining, p.until = true, until
	}
	s.Owner = p
	p.watched = e.watched()
	e.seen.Add(1)
	e.active.Add(1)
	return p
}

func (e *Engine) signal() {
	for _, sh := range e.shards {
		sh.signal()
	}
}

// Begin lets the sessions of an engine with Config.Hold be played.
func (e *Engine) Begin() {
	e.begun.Store(true)
	e.signal()
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
	e.mu.Lock()
	for f := range e.fans {
		e.pass(f)
	}
	e.mu.Unlock()
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
