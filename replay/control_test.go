package replay

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// world is an engine that plays in a bubble, and can be told things meanwhile.
type world struct {
	*Engine
	t       *testing.T
	net     *network
	hits    []Hit
	records []Record
	began   time.Time
	stop    func()
	ran     chan struct{}
}

// newWorld runs an engine; it must be called in a bubble.
func newWorld(t *testing.T, cfg Config, serve func(*peer), wire wire) *world {
	w := &world{t: t, net: &network{serve: serve, wire: wire}, began: time.Now(), ran: make(chan struct{})}
	cfg.Dial = w.net.dial
	cfg.Broke = func(h Hit) { w.hits = append(w.hits, h) }
	cfg.Ended = func(r *Record) { w.records = append(w.records, *r) }
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

// said returns the order of who spoke on each connection.
func (w *world) said() (all []string) {
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

// While paused nothing goes out; then everything goes on where it was, as much
// later as the pause was long.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{Pace: NewPace(1)}, web(answers(4)...), wire{})
		w.play(spread(4), record().later(1200*time.Millisecond).client(get(9)).answer(ok("x")).clientFIN().serverFIN())
		w.rest(1100 * time.Millisecond)
		for range 2 { // idempotent
			w.Pause()
		}
		if !w.Paused() {
			t.Error("not paused")
		}
		w.wantSaid("before the pause", "cscs", "")
		w.rest(time.Hour)
		w.wantSaid("after an hour's pause", "cscs", "")
		w.Resume()
		w.Resume()
		res := w.end()
		w.wantSaid("in the end", "cscscscsfe", "csfe")
		if got, want := w.net.peers[0].at[4], time.Hour+2*time.Second; got != want {
			t.Errorf("the third request went out after %v, want %v", got, want)
		}
		if got, want := w.net.peers[1].at[0], time.Hour+1202*time.Millisecond; got != want {
			t.Errorf("the other session's went out after %v, want %v", got, want)
		}
		if res.Verdicts[compare.Identical] != 5 || res.Release[Timeout] != 0 || res.Lateness.P99 > time.Millisecond {
			t.Errorf("%+v", res)
		}
	})
}
