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

// What waits for the application does not while the world is paused: time-outs
// count what is left of them from then on.
func TestPauseCostsNoAnswer(t *testing.T) {
	const s = time.Second // an answer may take 5
	closing := func(after time.Duration) func(*peer) {
		return func(p *peer) {
			for {
				if _, err := p.get(); err != nil {
					time.Sleep(after) // of the bubble
					p.end(true)
					return
				}
				p.send(ok("x"))
			}
		}
	}
	stage(t, []scene{
		{
			name: "an answer after 7 s, of which 3 are paused", tape: record().client(get(1)).answer(ok("x")).client(get(2)).answer(ok("y")).clientFIN().serverFIN(),
			serve: web(reply{after: 7 * s, pieces: []string{ok("x")}}, say(ok("y"))), meddle: []time.Duration{s, 3 * s},
			received: []string{get(1) + get(2)}, verdicts: verdictCount{compare.Identical: 2}, release: causeCount{Exact: 3}, timing: true,
		},
		{
			name: "the last answer", tape: record().client(get(1)).answer(ok("x")),
			serve: web(reply{after: 7 * s, pieces: []string{ok("x")}}), meddle: []time.Duration{s, s, s, 2 * s},
			received: []string{get(1)}, verdicts: verdictCount{compare.Identical: 1}, timing: true,
		},
		{
			name: "an answer after 9 s is too late all the same", tape: record().client(get(1)).answer(ok("x")).client(get(2)).answer(ok("y")).clientFIN().serverFIN(),
			serve: web(reply{after: 9 * s, pieces: []string{ok("x")}}, say(ok("y"))), meddle: []time.Duration{s, 3 * s},
			received: []string{get(1) + get(2)}, release: causeCount{Timeout: 1, Exact: 2}, timing: true,
		},
		{
			name: "the application's close", tape: record().client(get(1)).answer(ok("x")).clientFIN().serverFIN(), serve: closing(7 * s), meddle: []time.Duration{s, 3 * s},
			received: []string{get(1)}, order: []string{"csfe"}, ends: "identical", timing: true,
		},
		{
			name: "an answer in pieces, without a framer", tape: record().client("one").answer("abcdef").client("two").answer("x").clientFIN().serverFIN(),
			serve: turns("one", reply{pieces: []string{"abc", "def"}, pause: 3 * s}, "two", say("x")), meddle: []time.Duration{s / 10, 2900*time.Millisecond - time.Millisecond},
			received: []string{"onetwo"}, verdicts: verdictCount{compare.Identical: 2}, release: causeCount{Exact: 3}, timing: true,
		},
		{
			name: "room for the rest of a request", tape: record().client(post(1, "0123456789")).answer(ok("x")), wire: wire{room: 40},
			serve: func(p *peer) { time.Sleep(13 * s); web(say(ok("x")))(p) }, meddle: []time.Duration{s, 4 * s},
			received: []string{post(1, "0123456789")}, verdicts: verdictCount{compare.Identical: 1}, timing: true,
		},
		{
			name: "a client's port that is in use", tape: record().client(get(1)).answer(ok("x")), serve: web(say(ok("x"))),
			dialed: inUseFor(13 * s), meddle: []time.Duration{s, 4 * s}, received: []string{get(1)}, verdicts: verdictCount{compare.Identical: 1}, timing: true,
		},
		{
			name: "who closes first by chance", tape: record().client(get(1)).answer(ok("x")).later(s).clientFIN().serverFIN(),
			serve: web(reply{pieces: []string{ok("x")}, then: "close"}), config: func(c *Config) { c.Pace = NewPace(10) },
			meddle:   []time.Duration{50 * time.Millisecond, time.Hour},
			received: []string{get(1)}, ends: "identical", timing: true,
		},
		{
			name: "a run that ends in a pause", tape: record().client(get(1)).answer(ok("x")), serve: web(reply{then: "hang"}), meddle: []time.Duration{s, time.Hour}, cut: 30 * s,
			received: []string{get(1)}, state: "pending", verdicts: verdictCount{compare.Uncompared: 1}, timing: true,
		},
	})
}

// inUseFor refuses to dial for some time.
func inUseFor(d time.Duration) func(int) error {
	var until time.Time
	return func(n int) error {
		if n == 0 {
			until = time.Now().Add(d)
		}
		if time.Now().Before(until) {
			return ErrInUse
		}
		return nil
	}
}

// The same of datagrams.
func TestPauseCostsNoDatagram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &endpoint{serve: func(string) reply { return reply{after: 7 * time.Second, pieces: []string{"x"}} }}
		w := newWorld(t, Config{DialUDP: at.dial}, nil, wire{})
		s := &session.Session{ID: 1, Proto: session.UDP, Client: clientAddr, Server: serverAddr, Start: time.Now()}
		s.Append(resume().client("one").answer("x").client("two").answer("x").events...)
		s.End(session.Idle)
		w.Feed([]*session.Session{s})
		w.rest(time.Second)
		w.Pause()
		w.rest(3 * time.Second)
		w.Resume()
		w.rest(2900 * time.Millisecond)
		if got := at.sockets[0].received; len(got) != 1 {
			t.Errorf("sent %q before the answer", got)
		}
		w.rest(time.Second)
		w.Pause()
		w.rest(time.Hour)
		w.Resume()
		if res := w.end(); res.Verdicts[compare.Identical] != 2 || res.Release[Timeout] != 0 {
			t.Errorf("%+v", res)
		}
	})
}

// A pause stops datagrams, too.
func TestPauseStopsDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &endpoint{serve: func(string) reply { return say("x") }}
		w := newWorld(t, Config{DialUDP: at.dial}, nil, wire{})
		w.Pause()
		s := &session.Session{ID: 1, Proto: session.UDP, Client: clientAddr, Server: serverAddr, Start: time.Now()}
		s.Append(resume().client("one").answer("x").client("two").answer("x").events...)
		s.End(session.Idle)
		w.Feed([]*session.Session{s})
		w.rest(time.Hour)
		if at.dials != 0 {
			t.Errorf("%d sockets were opened", at.dials)
		}
		for i, want := range []int{1, 2} {
			if !w.Step(1, 0) {
				t.Error("nothing to step")
			}
			w.rest(time.Minute)
			if got := at.sockets[0].received; len(got) != want {
				t.Errorf("step %d: sent %q", i, got)
			}
		}
		if w.Step(1, 0) {
			t.Error("a step that is none")
		}
		w.Resume()
		if res := w.end(); res.Verdicts[compare.Identical] != 2 {
			t.Errorf("%+v", res)
		}
	})
}

// Step lets one thing go, whatever its time; not before its cause, for which
// the session's own clock runs.
func TestStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := answers(3)
		slow[1].after = 3 * time.Second
		w := newWorld(t, Config{Pace: NewPace(1)}, web(slow...), wire{})
		if w.Step(1, 0) {
			t.Error("a step of a session that is not there")
		}
		w.Pause()
		w.play(spread(3), spread(3))
		w.rest(time.Minute)
		step := func(want ...string) {
			t.Helper()
			if !w.Step(1, 0) {
				t.Error("nothing to step")
			}
			w.wantSaid("after a step", want...)
		}
		w.wantSaid("before any step")
		step("")
		w.rest(time.Minute)
		step("cs")
		step("csc")
		if !w.Step(1, 0) { // waits for the answer
			t.Error("nothing to step")
		}
		w.wantSaid("before the answer", "csc")
		w.rest(3 * time.Second)
		w.wantSaid("with the answer", "cscscs")
		if w.Step(1, 1) || w.Step(7, 0) {
			t.Error("a step of what is not there")
		}
		w.rest(time.Hour)
		step("cscscsfe")
		if w.Step(1, 0) {
			t.Error("a step when all is played")
		}
		if all, _ := w.Active(); all != 2 {
			t.Errorf("%d sessions are left of 2", all)
		}
		w.Resume()
		if w.Step(2, 0) {
			t.Error("a step of what is not paused")
		}
		res := w.end()
		if w.Step(2, 0) {
			t.Error("a step after the end")
		}
		if res.Verdicts[compare.Identical] != 6 || res.Release[Timeout] != 0 {
			t.Errorf("%+v", res)
		}
	})
}

// A cause that is a silence comes to a session that is stepped, and its time-outs
// do: its clock runs, and stands still again after the step.
func TestStepWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := func(p *peer) {
			for {
				if _, err := p.get(); err != nil {
					p.end(true)
					return
				}
			}
		}
		w := newWorld(t, Config{}, mute, wire{})
		w.play(record().client("one").answer("x").client("two").answer("x").client("three").answer("x").clientFIN().serverFIN())
		w.rest(2 * time.Second)
		w.Pause() // of the 5 s that an answer may take, 3 are left
		w.rest(time.Hour)
		if !w.Step(1, 0) {
			t.Error("nothing to step")
		}
		w.rest(2900 * time.Millisecond)
		if got := w.net.sent()[0].Bytes; got != len("one") {
			t.Errorf("%d bytes were sent before the time-out", got)
		}
		w.rest(200 * time.Millisecond)
		if got := w.net.sent()[0].Bytes; got != len("onetwo") {
			t.Errorf("%d bytes were sent after the time-out", got)
		}
		w.rest(time.Hour)
		w.Resume()
		w.rest(4800 * time.Millisecond)
		if got := w.net.sent()[0].Bytes; got != len("onetwo") {
			t.Errorf("%d bytes were sent before the second time-out", got)
		}
		if res := w.end(); res.Release[Timeout] != 3 { // with that of FIN
			t.Errorf("released %v", res.Release)
		}
	})
}

// A session behind a gap is stepped over its connections.
func TestStepOverGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, web(answers(3)...), wire{})
		w.Pause()
		w.play(record().client(get(1)).answer(ok("x")).clientGap(9).client(get(2)).answer(ok("x")).clientFIN().serverFIN())
		w.rest(time.Minute)
		for i, want := range [][]string{{""}, {"cs"}, {"csr", ""}, {"csr", "cs"}, {"csr", "csfe"}} {
			if !w.Step(1, 0) {
				t.Errorf("step %d: nothing to step", i)
			}
			w.wantSaid("after a step", want...)
		}
		if w.Step(1, 0) {
			t.Error("a step when all is played")
		}
		w.Resume()
		w.end()
	})
}
