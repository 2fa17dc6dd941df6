package replay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

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
		if got := at.sent(0); len(got) != 1 {
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
		if got := at.sent(0); got != nil {
			t.Errorf("sent while paused: %q", got)
		}
		for i, want := range []int{1, 2} {
			if !w.Step(1, 0) {
				t.Error("nothing to step")
			}
			w.rest(time.Minute)
			if got := at.sent(0); len(got) != want {
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

// While paused what is captured stays within the limit on memory: sessions are
// shed, and those end of which nothing is left to play.
func TestPauseKeepsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, n = 2 << 20, 5000
		w := newWorld(t, Config{MaxHeld: limit}, web(say(ok("x"))), wire{})
		w.Pause()
		for i := range n {
			s := &session.Session{ID: uint64(i + 1), Client: clientNumber(i), Server: serverAddr, Start: w.began}
			switch i % 2 {
			case 0: // a scan that production refused
				s.Append(session.Event{Kind: session.Open}, session.Event{Kind: session.RST, Side: session.Server})
			case 1:
				s.Append(record().client(get(1)).answer(ok("x")).clientFIN().serverFIN().events...)
			}
			s.End(session.Closed)
			w.Feed([]*session.Session{s})
			synctest.Wait()
		}
		w.rest(time.Minute)
		if all, _ := w.Active(); all == 0 || all > limit/playerCost {
			t.Errorf("%d sessions are left", all)
		}
		if _, peak := w.Held(); peak > limit+limit/8 {
			t.Errorf("%d bytes were held", peak)
		}
		if got := w.net.sent(); len(got) != 0 {
			t.Errorf("%d connections while paused", len(got))
		}
		w.Resume()
		res := w.end()
		if res.Seen != n || res.Skipped != n/2 || res.Shed+res.Finished != n/2 || res.Shed == 0 || res.Finished == 0 {
			t.Errorf("%+v", res)
		}
	})
}

// Pause, Resume, Step and breaks may come from anywhere at any time, on several
// shards and with the real clock; nothing is lost, and nothing hangs.
func TestControlRaces(t *testing.T) {
	c := crowd{serve: func(p *peer) { serveBy(p, nil) }, config: Config{Shards: 3, Pace: NewPace(1)}}
	const n = 300
	for i := range n {
		tp := record()
		for k := range 5 {
			tp.now = time.Duration(k) * 20 * time.Millisecond
			tp.client(get(k)).answer(ok(""))
		}
		c.add(clientNumber(i), 0, tp.clientFIN().serverFIN())
	}
	net := &network{serve: c.serve}
	var e *Engine
	c.config.Dial, c.config.Broke = net.dial, func(Hit) { go e.Resume() }
	e = New(c.config)
	c.config.Pace.Start(c.sessions[0].Start, time.Now())
	ctx, stop := context.WithCancel(t.Context())
	ran, steered := make(chan struct{}), make(chan struct{})
	go func() { e.Run(ctx); close(ran) }()
	go func() {
		defer close(steered)
		for i := 0; ctx.Err() == nil; i++ {
			e.Pause()
			e.Step(uint64(i%n+1), 0)
			c.config.Pace.SetSpeed(float64(1+i%3), time.Now())
			e.BreakOn(Break{Difference: true, Latency: time.Millisecond})
			e.Restarting()
			e.Resume()
			time.Sleep(time.Millisecond) // the engine gets its turn
		}
	}()
	for i, s := range c.sessions {
		s.Append(c.tapes[i].events...)
		s.End(session.Closed)
	}
	e.Feed(c.sessions)
	if err := e.Drain(ctx); err != nil {
		t.Error(err)
	}
	stop()
	<-ran
	<-steered
	if res := e.Finish(); res.Finished != n || res.Verdicts[compare.Identical] != 5*n || len(res.Defects) > 0 {
		t.Errorf("%+v", res)
	}
}
