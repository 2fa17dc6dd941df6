package replay

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcpsandbox/session"
)

// world is an engine that plays in a bubble, and can be told things meanwhile.
type world struct {
	*Engine
	t     *testing.T
	net   *network
	mu    sync.Mutex
	hits  []Hit
	began time.Time
	stop  func()
	ran   chan struct{}
}

// newWorld runs an engine; it must be called in a bubble.
func newWorld(t *testing.T, cfg Config, serve func(*peer), wire wire) *world {
	w := &world{t: t, net: &network{serve: serve, wire: wire}, began: time.Now(), ran: make(chan struct{})}
	cfg.Dial = w.net.dial
	cfg.Broke = func(h Hit) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hits = append(w.hits, h)
	}
	if cfg.Pace != nil {
		cfg.Pace.Start(w.began, w.began)
	}
	w.Engine = New(cfg)
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	go func() { w.Run(ctx); close(w.ran) }()
	return w
}

// play feeds sessions whole, numbered from 1.
func (w *world) play(tapes ...*tape) {
	for i, tp := range tapes {
		s := &session.Session{ID: uint64(i + 1), Client: clientNumber(i), Server: serverAddr, Start: w.began}
		s.Append(tp.events...)
		s.End(session.Closed)
		w.Feed([]*session.Session{s})
	}
}

// rest sleeps in the bubble.
func (w *world) rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// struck returns the breaks that were hit so far.
func (w *world) struck() []Hit {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.hits)
}

// sent returns the datagrams that were sent so far over the n-th socket.
func (e *endpoint) sent(n int) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n >= len(e.sockets) {
		return nil
	}
	s := e.sockets[n]
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

// said returns the order of who spoke on each connection.
func (w *world) said() (all []string) {
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	for _, p := range w.net.peers {
		p.mu.Lock()
		all = append(all, string(p.order))
		p.mu.Unlock()
	}
	return all
}

func (w *world) wantSaid(when string, want ...string) {
	w.t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, w.said()); diff != "" {
		w.t.Errorf("%s, was said (-want +got):\n%s", when, diff)
	}
}

// end waits for the sessions, and returns the result.
func (w *world) end() *Result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Hour)
	defer cancel()
	if err := w.Drain(ctx); err != nil {
		w.t.Errorf("drain: %v", err)
	}
	return w.cut()
}

// cut ends the run where it is.
func (w *world) cut() *Result {
	w.t.Helper()
	w.stop()
	<-w.ran
	res := w.Finish()
	if len(res.Defects) > 0 {
		w.t.Errorf("defects %q", res.Defects)
	}
	time.Sleep(time.Hour) // of the bubble: what the application still sleeps through
	return res
}

// sent is what a client has done to the application so far.
type sent struct {
	Bytes         int
	FIN, RST, End bool
}

func (n *network) sent() (all []sent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.peers {
		p.mu.Lock()
		all = append(all, sent{len(p.received), p.fin, p.aborted, p.closed})
		p.mu.Unlock()
	}
	return all
}

// meddleWith pauses and resumes the engine as the scene says, and looks that
// nothing goes out meanwhile.
func (s *scene) meddleWith(t errorer, e *Engine, n *network) {
	for i := 0; i+1 < len(s.meddle); i += 2 {
		time.Sleep(s.meddle[i]) // of the bubble, as all others
		e.Pause()
		time.Sleep(time.Nanosecond) // when everything else rests
		before := n.sent()
		time.Sleep(s.meddle[i+1])
		if after := n.sent(); !slices.Equal(before, after) && e.cfg.MaxHeld == 0 && s.cut == 0 {
			t.Errorf("sent while paused: %+v, before %+v", after, before)
		}
		e.Resume()
	}
}

// spread asks n times, one second apart.
func spread(n int) *tape {
	tp := record()
	for i := range n {
		tp.now = time.Duration(i) * time.Second
		tp.client(get(i + 1)).answer(ok("x"))
	}
	tp.now = time.Duration(n) * time.Second
	return tp.clientFIN().serverFIN()
}

func answers(n int) []reply { return slices.Repeat([]reply{say(ok("x"))}, n) }
