package replay

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// The first that happens of what was asked for pauses the engine, before
// anything else goes out.
func TestBreaks(t *testing.T) {
	const ms = time.Millisecond
	two := func() *tape {
		return record().client(get(1)).answer(ok("x")).client(get(2)).answer(ok("x")).clientFIN().serverFIN()
	}
	for _, tt := range []struct {
		name  string
		on    Break
		tape  *tape
		serve func(*peer)
		wire  wire
		hit   *Hit // nil: none
		said  string
	}{
		{name: "a difference", on: Break{Difference: true}, tape: two(), serve: web(say(ok("y")), say(ok("x"))), hit: &Hit{Why: Differs, Request: "GET /1 HTTP/1.1"}, said: "cs"},
		{name: "another one's difference", on: Break{Difference: true}, tape: two(), serve: web(say(ok("x")), say(ok("y"))), hit: &Hit{Why: Differs, Request: "GET /2 HTTP/1.1"}, said: "cscs"},
		{name: "no difference", on: Break{Difference: true}, tape: two(), serve: web(say(ok("x")), say(ok("x"))), said: "cscsfe"},
		{name: "a difference that is not looked for", on: Break{Reset: true, EarlyClose: true, Latency: time.Second}, tape: two(), serve: web(say(ok("y")), say(ok("x"))), said: "cscsfe"},
		{
			name: "a difference of a turn", on: Break{Difference: true}, tape: record().client("one").answer("a").client("two").answer("b").clientFIN().serverFIN(),
			serve: turns("one", say("x"), "two", say("b")), hit: &Hit{Why: Differs, Request: "turn 1"}, said: "cs", // which ends where the next is released
		},
		{
			name: "an answer that is missing", on: Break{Difference: true}, tape: record().client("one").answer("a").client("two").answer("b").clientFIN().serverFIN(),
			serve: turns("one", "two", say("b")), hit: &Hit{Why: Differs, Request: "turn 1"}, said: "c",
		},
		{name: "a reset", on: Break{Reset: true}, tape: two(), serve: web(reply{pieces: []string{ok("x")}, then: "reset"}), hit: &Hit{Why: Reset, Request: "GET /1 HTTP/1.1"}, said: "cs"},
		{name: "a reset instead of an answer", on: Break{Reset: true}, tape: two(), serve: web(reply{after: ms, then: "reset"}), hit: &Hit{Why: Reset, Request: "GET /1 HTTP/1.1"}, said: "c"},
		{name: "a reset while sending", on: Break{Reset: true}, tape: two(), serve: web(), wire: wire{failsAt: 9}, hit: &Hit{Why: Reset, Request: "GET /1 HTTP/1.1"}, said: ""},
		{name: "an early close", on: Break{EarlyClose: true}, tape: two(), serve: web(reply{pieces: []string{ok("x")}, then: "close"}), hit: &Hit{Why: EarlyClose, Request: "GET /2 HTTP/1.1"}, said: "cse"},
		{
			name: "a close with nothing more to ask", on: Break{EarlyClose: true}, tape: record().client(get(1)).answer(ok("x")).clientFIN().serverFIN(),
			serve: web(reply{pieces: []string{ok("x")}, then: "close"}), said: "csef",
		},
		{
			name: "a close as early as production's", on: Break{EarlyClose: true}, tape: record().client(get(1)).answer(ok("x")).serverFIN().client(get(2)).unaware().clientRST(),
			serve: web(reply{pieces: []string{ok("x")}, then: "close"}), said: "cser",
		},
		{name: "a late answer", on: Break{Latency: 300 * ms}, tape: two(), serve: web(say(ok("x")), reply{after: 400 * ms, pieces: []string{ok("x")}}), hit: &Hit{Why: Late, Request: "GET /2 HTTP/1.1", Latency: 300*ms + 1, At: time.Time{}.Add(300*ms + 1)}, said: "cscs"},
		{name: "an answer in time", on: Break{Latency: 300 * ms}, tape: two(), serve: web(say(ok("x")), reply{after: 300 * ms, pieces: []string{ok("x")}}), said: "cscsfe"},
		{name: "an answer that begins in time", on: Break{Latency: 300 * ms}, tape: two(), serve: web(say(ok("x")), reply{after: 200 * ms, pieces: []string{ok("x")[:9], ok("x")[9:]}, pause: 200 * ms}), said: "cscsfe"},
		{
			name: "an answer that production did not give", on: Break{Latency: 300 * ms}, tape: record().client("one").client("two").saw(0).later(0).clientFIN().serverFIN(),
			serve: turns("onetwo"), said: "cfe",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Config{}, tt.serve, tt.wire)
				w.BreakOn(tt.on)
				w.play(tt.tape)
				w.rest(time.Minute)
				w.wantSaid("a minute later", tt.said)
				if w.Paused() != (tt.hit != nil) {
					t.Errorf("paused is %v", w.Paused())
				}
				var want []Hit
				if h := tt.hit; h != nil {
					h.Session = 1
					if h.Why != Late { // the others are not about when
						h.At = time.Time{}
					}
					want = []Hit{*h}
				}
				hits := w.struck()
				for i := range hits {
					if h := &hits[i]; h.Why == Late {
						h.At = time.Time{}.Add(h.At.Sub(w.began))
					} else {
						h.At = time.Time{}
					}
				}
				if diff := cmp.Diff(want, hits); diff != "" {
					t.Errorf("hits (-want +got):\n%s", diff)
				}
				w.Resume()
				w.end()
				if len(w.struck()) != len(want) {
					t.Errorf("hit again: %+v", w.struck())
				}
			})
		})
	}
}

// A break stops all sessions of its goroutine at once, is used up, and leaves
// the others.
func TestBreakStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, web(say(ok("y")), say(ok("x"))), wire{})
		w.BreakOn(Break{Difference: true, EarlyClose: true})
		w.Pause()
		var tapes []*tape
		for range 50 {
			tapes = append(tapes, record().client(get(1)).answer(ok("x")).client(get(2)).answer(ok("x")).clientFIN().serverFIN())
		}
		w.play(tapes...)
		w.rest(time.Second)
		w.Resume()
		w.rest(time.Minute)
		if len(w.struck()) != 1 || !w.Paused() {
			t.Errorf("hits %+v, paused is %v", w.struck(), w.Paused())
		}
		for _, said := range w.said() {
			if strings.Count(said, "c") > 1 {
				t.Errorf("said %q: a second request after the break", said)
			}
		}
		if b := w.control.breaks.Load(); b == nil || *b != (Break{EarlyClose: true}) {
			t.Errorf("left is %+v", b)
		}
		w.BreakOn(Break{})
		w.Resume()
		if res := w.end(); res.Verdicts[compare.Different] != 50 || res.Finished != 50 || len(w.struck()) != 1 {
			t.Errorf("%+v, hits %+v", res, w.struck())
		}
	})
}

// A latency that is asked for late looks after those who wait already, and
// while paused, too.
func TestBreakWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, web(reply{after: 3 * time.Second, pieces: []string{ok("y")}}), wire{})
		w.play(record().client(get(1)).answer(ok("x")).clientFIN().serverFIN())
		w.rest(time.Second)
		w.Pause()
		w.BreakOn(Break{Latency: 2 * time.Second, Difference: true})
		w.rest(900 * time.Millisecond)
		if len(w.struck()) != 0 {
			t.Errorf("hits %+v", w.struck())
		}
		w.rest(200 * time.Millisecond)
		if len(w.struck()) != 1 || w.struck()[0].Why != Late {
			t.Errorf("hits %+v", w.struck())
		}
		w.rest(time.Second)
		if len(w.struck()) != 2 || w.struck()[1].Why != Differs {
			t.Errorf("hits %+v", w.struck())
		}
		w.Resume()
		w.end()
	})
}

// Of datagrams.
func TestDatagramBreaks(t *testing.T) {
	for _, tt := range []struct {
		on   Break
		r    reply
		want Reason
		took time.Duration
	}{
		{Break{Difference: true}, say("y"), Differs, 0},
		{Break{Latency: time.Second}, reply{after: 1500 * time.Millisecond, pieces: []string{"x"}}, Late, time.Second + 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			at := &endpoint{serve: func(string) reply { return tt.r }}
			w := newWorld(t, Config{DialUDP: at.dial}, nil, wire{})
			w.BreakOn(tt.on)
			s := &session.Session{ID: 1, Proto: session.UDP, Client: clientAddr, Server: serverAddr, Start: time.Now()}
			s.Append(resume().client("one").answer("x").client("two").answer("x").events...)
			s.End(session.Idle)
			w.Feed([]*session.Session{s})
			w.rest(time.Minute)
			if got := at.sent(0); len(got) != 1 || len(w.struck()) != 1 || w.struck()[0].Why != tt.want || w.struck()[0].Latency != tt.took {
				t.Errorf("%+v: sent %q, hits %+v", tt.on, got, w.struck())
			}
			w.Resume()
			w.end()
		})
	}
}

// What a restart on purpose breaks off is nobody's fault: sessions go on at
// their next message, even those that had no answer yet, and nothing of it is a
// difference.
func TestRestarting(t *testing.T) {
	for _, tt := range []struct {
		name     string
		then     string // what becomes of the connections
		warned   bool   // Restarting is called
		early    bool   // Config.StopEarly
		verdicts verdictCount
		second   bool // the second request is sent
		finished int
	}{
		{"closed", "close", true, false, verdictCount{compare.Identical: 1, compare.Uncompared: 1}, true, 1},
		{"reset", "reset", true, false, verdictCount{compare.Identical: 1, compare.Uncompared: 1}, true, 1},
		{"with --on-early-close stop", "reset", true, true, verdictCount{compare.Identical: 1, compare.Uncompared: 1}, true, 1},
		{"by itself", "reset", false, false, verdictCount{compare.Missing: 2}, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				die := make(chan struct{})
				first := func(p *peer) {
					<-die
					p.act("", tt.then)
				}
				ends := "not judged"
				judge := func(x *compare.Exchange) compare.Outcome {
					out := compare.ByBytes(x)
					if x.Closing {
						ends = out.Verdict.String()
					}
					return out
				}
				w := newWorld(t, Config{StopEarly: tt.early, Judge: judge}, each(first, web(say(ok("x")))), wire{})
				w.play(record().client(get(1)).answer(ok("x")).client(get(2)).answer(ok("x")).clientFIN().serverFIN())
				w.rest(time.Second)
				w.BreakOn(Break{Difference: true, Reset: true, EarlyClose: true})
				w.Pause()
				if tt.warned {
					w.Restarting()
				}
				close(die)
				w.rest(time.Minute)
				w.Resume()
				w.rest(time.Minute)
				if hit := len(w.struck()) > 0; hit == tt.warned {
					t.Errorf("hits %+v", w.struck())
				}
				w.BreakOn(Break{})
				w.Resume()
				res := w.end()
				if diff := cmp.Diff(tt.verdicts, res.Verdicts); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
				if got := len(w.net.peers) == 2 && string(w.net.peers[1].received) == get(2); got != tt.second {
					t.Errorf("said %q", w.said())
				}
				if tt.warned && ends == "different" {
					t.Error("the restart is a difference")
				}
				if res.Finished != tt.finished {
					t.Errorf("%+v", res)
				}
			})
		})
	}
}

// Datagrams that were under way when the application was restarted lack no
// answer; those after it do.
func TestRestartingDatagrams(t *testing.T) {
	for warned, want := range map[bool]verdictCount{true: {compare.Uncompared: 1, compare.Missing: 1}, false: {compare.Missing: 2}} {
		synctest.Test(t, func(t *testing.T) {
			at := &endpoint{serve: func(string) reply { return reply{} }}
			w := newWorld(t, Config{DialUDP: at.dial}, nil, wire{})
			s := &session.Session{ID: 1, Proto: session.UDP, Client: clientAddr, Server: serverAddr, Start: time.Now()}
			s.Append(resume().client("one").answer("x").client("two").answer("x").events...)
			s.End(session.Idle)
			w.Feed([]*session.Session{s})
			w.rest(time.Second)
			w.Pause()
			if warned {
				w.Restarting()
			}
			w.rest(time.Minute)
			w.Resume()
			res := w.end()
			if got := at.sent(0); len(got) != 2 || !maps.Equal(want, res.Verdicts) {
				t.Errorf("warned is %v: sent %q, %v, want %v", warned, got, res.Verdicts, want)
			}
		})
	}
}

// Both engines of a Tee keep in step.
func TestTeePauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(Config{}, web(answers(3)...), web(answers(3)...))
		results := p.running(t, func() {
			p.tee.Pause()
			s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now()}
			s.Append(spread(2).events...)
			s.End(session.Closed)
			p.tee.Feed([]*session.Session{s})
			synctest.Wait()
			for step, want := range []int{0, len(get(1)), len(get(1) + get(2))} {
				if !p.tee.Step(1, 0) {
					t.Error("nothing to step")
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				for i, n := range p.nets {
					if got := n.sent(); len(got) != 1 || got[0].Bytes != want {
						t.Errorf("engine %d, step %d: %+v", i, step, got)
					}
				}
			}
			p.tee.Resume()
		})
		for i, res := range results {
			if res.Verdicts[compare.Identical] != 2 {
				t.Errorf("engine %d: %+v", i, res)
			}
		}
	})
}
