package replay

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// audience watches an engine in a bubble.
type audience struct {
	t     *testing.T
	e     *Engine
	views map[int]View
	stop  func()
}

func watch(t *testing.T, cfg Config) *audience {
	if cfg.Watch == nil {
		cfg.Watch = &Watch{Memory: 1 << 20}
	}
	a := &audience{t: t, e: New(cfg), views: map[int]View{}}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { a.e.Run(ctx); close(ran) }()
	a.stop = func() {
		stop()
		<-ran
		a.e.Finish()
		time.Sleep(time.Hour) // of the bubble: what the application still sleeps through
	}
	return a
}

func (a *audience) feed(s *session.Session, events ...session.Event) {
	if len(events) > 0 {
		s.Append(events...)
	}
	a.e.Feed([]*session.Session{s})
}

// look returns the latest view of a slot, once all that can be done now is.
func (a *audience) look(slot int) View {
	synctest.Wait()
	for _, v := range a.e.Changes(nil) {
		a.views[v.Slot] = v
	}
	return a.views[slot]
}

func (a *audience) story(slot int) *Story {
	a.t.Helper()
	synctest.Wait()
	s, ok := a.e.Story(slot)
	if !ok {
		a.t.Fatalf("no story of session %d is kept", slot)
	}
	return s
}

func oneSession(joined bool) *session.Session {
	return &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now(), Joined: joined}
}

func hangs(p *peer) { p.gone() }

func TestViewStages(t *testing.T) {
	pace := func(c *Config) { c.Pace = NewPace(1); c.Pace.Start(time.Now(), time.Now()) }
	answered := func() *tape { return record().client(get(0)).answer(ok("one")) }
	for _, s := range []struct {
		name   string
		tape   *tape
		proto  session.Proto
		joined bool
		end    session.Cause
		config func(*Config)
		serve  func(*peer)
		wire   wire
		dialed func(int) error
		after  time.Duration // it is looked at

		production  ProductionState
		application ApplicationState
		held        Holding
		due         time.Duration // from the start; 0: none
	}{
		{name: "not accepted", tape: resume().add(session.Event{Kind: session.Open}), production: ProductionOpening, application: Waiting, held: ForAccept},
		{name: "not begun", tape: answered(), config: func(c *Config) { pace(c); c.Hold = true }, production: ProductionOpen, application: Waiting, held: ForStart},
		{name: "its time has not come", tape: (&tape{now: 5 * time.Second}).add(session.Event{Kind: session.Open}).client(get(0)), config: pace,
			production: ProductionOpen, application: Waiting, held: ForTime, due: 5 * time.Second},
		{name: "the next request's has not", tape: answered().later(5 * time.Second).client(get(1)), config: pace, serve: web(say(ok("one"))), after: time.Second,
			production: ProductionOpen, application: Held, held: ForTime, due: 5*time.Second + 4*ms},
		{name: "connecting", tape: answered(), wire: wire{never: true}, production: ProductionOpen, application: Connecting},
		{name: "all is played", tape: answered(), serve: web(say(ok("one"))), production: ProductionOpen, application: Open},
		{name: "an answer is owed, and nothing held", tape: answered(), serve: hangs, production: ProductionOpen, application: Open},
		{name: "held for an answer", tape: answered().client(get(1)), serve: hangs, production: ProductionOpen, application: Held, held: ForAnswer},
		{name: "held for an answer, live", tape: answered().client(get(1)), serve: hangs, config: func(c *Config) { c.Watch = &Watch{Clock: true} },
			production: ProductionOpen, application: Held, held: ForAnswer, due: 4 * ms},
		{name: "held for the close", tape: answered().serverFIN().clientFIN(), serve: func(p *peer) { p.get(); p.send(ok("one")); p.gone() },
			production: ProductionClosing, application: Held, held: ForClose},
		{name: "not read", tape: answered(), wire: wire{room: 10}, serve: hangs, production: ProductionOpen, application: Held, held: ForRoom},
		{name: "port in use", tape: answered(), dialed: func(int) error { return ErrInUse }, production: ProductionOpen, application: Waiting, held: ForPort},
		{name: "joined, and no message", tape: resume().client("the rest of it"), joined: true, production: ProductionOpen, application: Waiting, held: ForMessage},
		{name: "closing", tape: answered().clientFIN(), serve: func(p *peer) { p.get(); p.send(ok("one")); p.gone() }, production: ProductionClosing, application: Closing},
		{name: "reset", tape: answered().clientRST(), serve: web(say(ok("one"))), production: ProductionReset, application: Closing},
		{name: "the next connection waits for an answer", tape: answered().clientGap(9).client(get(2)), serve: hangs, production: ProductionOpen, application: Held, held: ForAnswer},
		{name: "the next connection waits for the close", tape: answered().serverRST().clientGap(9).client(get(2)), serve: func(p *peer) { p.get(); p.send(ok("one")); p.gone() },
			production: ProductionReset, application: Held, held: ForClose},
		{name: "refused", tape: answered(), wire: wire{fails: ErrRefused}, production: ProductionOpen, application: Failed},
		{name: "reset by the application, and to go on later", tape: answered().later(5 * time.Second).client(get(1)), config: pace,
			serve: func(p *peer) { p.get(); p.send(ok("one")); time.Sleep(10 * ms); p.act("", "reset") }, after: time.Second,
			production: ProductionOpen, application: Held, held: ForTime, due: 5*time.Second + 4*ms},
		{name: "left out", tape: answered(), config: func(c *Config) { c.Only = func(*session.Session) bool { return false } }, production: ProductionOpen, application: Ended},
		{name: "UDP", tape: resume().client("a").answer("A"), proto: session.UDP, after: ms, production: ProductionOpen, application: Open},
		{name: "UDP, held for an answer", tape: resume().client("b").answer("B").client("c"), proto: session.UDP, after: ms, production: ProductionOpen, application: Held, held: ForAnswer},
		{name: "closed", tape: answered().clientFIN().serverFIN(), end: session.Closed, serve: web(say(ok("one"))), production: ProductionClosed, application: Ended},
		{name: "idle", tape: answered(), end: session.Idle, serve: web(say(ok("one"))), production: ProductionIdle, application: Ended},
		{name: "replaced", tape: answered(), end: session.Replaced, serve: web(say(ok("one"))), production: ProductionIdle, application: Ended},
		{name: "cut off", tape: answered(), end: session.CaptureEnd, serve: web(say(ok("one"))), production: ProductionCaptured, application: Ended},
		{name: "aborted", tape: answered().clientRST(), end: session.Reset, serve: web(say(ok("one"))), production: ProductionReset, application: Ended},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: s.serve, wire: s.wire, dialed: s.dialed}
				udp := &endpoint{serve: asked(map[string]reply{"a": in(0, "A")})}
				cfg := Config{Dial: n.dial, DialUDP: udp.dial}
				if s.config != nil {
					s.config(&cfg)
				}
				one := oneSession(s.joined)
				one.Proto = s.proto
				a := watch(t, cfg)
				defer a.stop()
				if s.end != session.Live {
					one.Append(s.tape.events...)
					one.End(s.end)
					a.feed(one)
				} else {
					a.feed(one, s.tape.events...)
				}
				time.Sleep(s.after) // of the bubble
				v := a.look(0)
				if v.Production != s.production || v.Application != s.application || v.Held != s.held {
					t.Errorf("production %v, application %v %v; want %v, %v %v", v.Production, v.Application, v.Held, s.production, s.application, s.held)
				}
				due := time.Duration(0)
				if !v.Due.IsZero() {
					due = v.Due.Sub(one.Start)
				}
				if due != s.due {
					t.Errorf("due after %v, want %v", due, s.due)
				}
				if ended := s.end != session.Live; (v.State != "") != ended {
					t.Errorf("state %q", v.State)
				}
				if v.Client != clientAddr || v.As != clientAddr || v.Server != serverAddr || v.ID != 1 || v.Joined != s.joined || v.Proto != s.proto {
					t.Errorf("view %+v", v)
				}
			})
		})
	}
}

// The view of a session that has ended tells Record.State.
func TestViewStates(t *testing.T) {
	whole := func() *tape { return record().client(get(0)).answer(ok("one")).clientFIN().serverFIN() }
	for _, s := range []struct {
		tape        *tape
		end         session.Cause
		serve       func(*peer)
		dialed      func(int) error
		config      func(*Config)
		wire        wire
		state       string
		application ApplicationState
		verdict     compare.Verdict
	}{
		{tape: whole(), serve: web(say(ok("one"))), state: "finished", application: Ended, verdict: compare.Identical},
		{tape: whole(), serve: web(say(ok("two"))), state: "finished", application: Ended, verdict: compare.Different},
		{tape: whole(), wire: wire{fails: ErrRefused}, state: "refused", application: Failed, verdict: compare.Missing},
		{tape: whole(), dialed: func(int) error { return ErrUnsupported }, state: "unsupported", application: Failed, verdict: compare.Uncompared},
		{tape: whole(), serve: web(reply{then: "reset"}), state: "reset", application: Failed, verdict: compare.Different},
		{tape: record().client(get(0)).answer(ok("one")).client(get(1)).answer(ok("two")).clientFIN().serverFIN(), config: func(c *Config) { c.StopEarly = true },
			serve: web(reply{pieces: []string{ok("one")}, then: "close"}), state: "closed-early", application: Failed, verdict: compare.Missing},
		{tape: whole(), serve: hangs, state: "unanswered", application: Failed, verdict: compare.Different},
		{tape: whole(), wire: wire{noAcks: true}, serve: web(say(ok("one"))), state: "pending", application: Failed, verdict: compare.Identical},
		{tape: whole(), config: func(c *Config) { c.Only = func(*session.Session) bool { return false } }, state: "filtered", application: Ended, verdict: compare.Uncompared},
		{tape: resume().add(session.Event{Kind: session.Open}), state: "skipped", application: Ended, verdict: compare.Uncompared},
		{tape: whole(), config: func(c *Config) { c.MaxHeld = 1 }, serve: hangs, state: "shed", application: Failed, verdict: compare.Uncompared},
	} {
		t.Run(s.state, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: s.serve, wire: s.wire, dialed: s.dialed}
				var record Record
				cfg := Config{Dial: n.dial, Ended: func(r *Record) {
					record = *r
					*r = Record{} // it is the callee's
				}}
				if s.config != nil {
					s.config(&cfg)
				}
				one := oneSession(false)
				a := watch(t, cfg)
				one.Append(s.tape.events...)
				one.End(max(s.end, session.Closed))
				a.feed(one)
				if err := a.e.Drain(t.Context()); err != nil {
					t.Error(err)
				}
				a.stop()
				v := a.look(0)
				if v.State != s.state || record.State != s.state || v.Application != s.application || v.Verdict != s.verdict {
					t.Errorf("state %q, recorded %q; application %v, verdict %v", v.State, record.State, v.Application, v.Verdict)
				}
				if v.Answers != record.Answers || v.Delivered != record.Bytes[session.Delivered] || v.Captured != record.Captured {
					t.Errorf("view %+v\nrecord %+v", v, record)
				}
				st := a.story(0)
				if diff := cmp.Diff(v, st.View, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
					t.Errorf("the story has another view:\n%s", diff)
				}
				if failed := v.Application == Failed && v.State != "pending" && v.State != "unanswered"; (st.Failure != "") != failed {
					t.Errorf("failure %q", st.Failure)
				}
				if st.Bytes != record.Bytes {
					t.Errorf("story %v, record %v", st.Bytes, record.Bytes)
				}
			})
		})
	}
}

// What is shed has news, though nothing came for it.
func TestShedIsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: hangs}
		a := watch(t, Config{Dial: n.dial, MaxHeld: playerCost + watchedCost + connCost + 1000})
		defer a.stop()
		one, two := oneSession(false), oneSession(false)
		two.ID = 2
		a.feed(one, record().client(get(0)).client(get(1)).events...)
		if v := a.look(0); v.Application != Open {
			t.Errorf("%v before", v.Application)
		}
		time.Sleep(time.Second) // of the bubble: the first one is idle for longer than the second
		a.feed(two, record().client(get(0)).events...)
		if v := a.look(0); v.Application != Failed {
			t.Errorf("%v after it was shed", v.Application)
		}
		marks := a.story(0).Marks
		if last := marks[len(marks)-1]; last.What != Sheds || last.At != [2]time.Duration{Never, time.Second} {
			t.Errorf("%+v", last)
		}
	})
}

// Behind is that of the latest chunk, also of one that continues a turn.
func TestBehind(t *testing.T) {
	for _, clock := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{serve: hangs}
			cfg := Config{Dial: n.dial, Watch: &Watch{Clock: clock}}
			if !clock {
				cfg.Pace = NewPace(2)
				cfg.Pace.Start(time.Now(), time.Now())
			}
			a := watch(t, cfg)
			defer a.stop()
			one := oneSession(false)
			events := record().client(get(0)[:20]).later(2 * time.Second).client(get(0)[20:]).events
			a.feed(one, events[:2]...)
			if v := a.look(0); v.Behind >= 0 {
				t.Errorf("behind by %v before anything was sent", v.Behind)
			}
			time.Sleep(time.Second) // of the bubble
			a.feed(one, events[2])
			want := time.Second - events[2].At
			if !clock {
				want = time.Second - events[2].At/2
			}
			if v := a.look(0); v.Behind != want {
				t.Errorf("behind by %v, want %v", v.Behind, want)
			}
			time.Sleep(2 * time.Second) // of the bubble
			a.feed(one, events[3])
			want = 3*time.Second - events[3].At
			if !clock {
				want = 3*time.Second - events[3].At/2
			}
			if v := a.look(0); v.Behind != want {
				t.Errorf("the rest of the turn is behind by %v, want %v", v.Behind, want)
			}
		})
	}
}

// Bytes count on when a session goes on over another connection.
func TestBytesAcrossConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: each(func(p *peer) { time.Sleep(ms); p.send(ok("one")); time.Sleep(10 * ms); p.act("", "reset") }, web(say(ok("two, which is longer"))))}
		a := watch(t, Config{Dial: n.dial})
		defer a.stop()
		one := oneSession(false)
		tape := record().client(get(0)).answer(ok("one")).client(get(1)).answer(ok("two"))
		a.feed(one, tape.events[:4]...)
		time.Sleep(time.Second) // of the bubble
		if v := a.look(0); v.Application != Failed {
			t.Errorf("%v after the reset", v.Application)
		}
		a.feed(one, tape.events[4:]...)
		v := a.look(0)
		if want := int64(len(get(0) + get(1))); v.Delivered != want || v.Captured != want {
			t.Errorf("delivered %d of %d, want %d", v.Delivered, v.Captured, want)
		}
		if v.Answered != int64(len(ok("one")+ok("two, which is longer"))) || v.Served != int64(len(ok("one")+ok("two"))) {
			t.Errorf("answered %d, served %d", v.Answered, v.Served)
		}
		if v.Verdict != compare.Different || v.Answers[compare.Different] != 1 || v.Answers[compare.Identical] != 1 || v.Requests != 2 {
			t.Errorf("%v of %v, %d requests", v.Verdict, v.Answers, v.Requests)
		}
		if v.FirstProduction != ms || v.FirstApplication <= 0 {
			t.Errorf("first bytes after %v and %v", v.FirstProduction, v.FirstApplication)
		}
		s := a.story(0)
		if sum := s.Bytes.Sum(); sum != v.Captured || s.Bytes[session.Delivered] != v.Delivered {
			t.Errorf("%v of %d", s.Bytes, v.Captured)
		}
	})
}

func TestViewsOfCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: web(say(ok("one")))}
		a := watch(t, Config{Dial: n.dial, Multiply: 3, Shards: 2})
		defer a.stop()
		for i := range 2 {
			one := oneSession(false)
			one.ID = uint64(i + 1)
			one.Client = clientNumber(i)
			a.feed(one, record().client(get(0)).answer(ok("one")).events...)
		}
		a.look(0)
		from := map[netip.AddrPort]bool{}
		for slot := range 6 {
			v := a.views[slot]
			if v.ID != uint64(slot/3+1) || v.Copy != slot%3 || v.Client != clientNumber(slot/3) || v.Requests != 1 {
				t.Errorf("slot %d: %+v", slot, v)
			}
			from[v.As] = true
		}
		if len(a.views) != 6 || len(from) != 6 {
			t.Errorf("%d views, %d addresses", len(a.views), len(from))
		}
		if again := a.e.Changes(nil); len(again) > 0 {
			t.Errorf("%d have news, and nothing happened", len(again))
		}
	})
}

func TestRoutes(t *testing.T) {
	e := New(Config{Watch: &Watch{Label: func(s string) string { return strings.ReplaceAll(s, "hidden", "…") }}})
	p := newPlayer(e.shards[0], oneSession(false))
	p.watched = e.watched()
	var before [][]string
	for _, label := range []string{
		"GET /a?q=1 HTTP/1.1", "GET /a?q=2 HTTP/1.1", "GET /a HTTP/1.1", "POST /a HTTP/1.1", "GET /hidden?hidden HTTP/1.1",
		"GET http://shop.example/b?q=3 HTTP/1.1", "CONNECT shop.example:443 HTTP/1.1", "GET", "",
	} {
		p.passes(label)
		before = append(before, p.watched.routes)
	}
	for i := range 20 {
		p.passes(fmt.Sprintf("GET /%d HTTP/1.1", i))
	}
	want := []string{"GET /a", "POST /a", "GET /…", "GET http://shop.example/b", "CONNECT shop.example:443", "GET ", " ", "GET /0"}
	if diff := cmp.Diff(want, p.watched.routes); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	for _, shared := range before {
		if !slices.Equal(shared, want[:len(shared)]) {
			t.Errorf("what a view had became %q", shared)
		}
	}
	p.passes("GET /a HTTP/1.1")
	if n := testing.AllocsPerRun(100, func() { p.passes("GET /hot?q=4 HTTP/1.1") }); n > 0 {
		t.Errorf("%v allocations for a request of a session with all routes", n)
	}
}

// Nobody asks: the players go all the same, and the latest views wait.
func TestNobodyAsks(t *testing.T) {
	const n = maxEnded + maxEnded/2 + 10
	e := New(Config{Watch: &Watch{Memory: 1 << 20}, Choice: Choice{Only: func(*session.Session) bool { return false }}})
	running(t, e, func() {
		for i := range n {
			s := oneSession(false)
			s.ID = uint64(i + 1)
			s.End(session.Closed)
			e.Feed([]*session.Session{s})
		}
	})
	sh := e.shards[0]
	if len(sh.changed) > 0 || len(sh.over) > maxEnded {
		t.Errorf("%d players and %d views wait", len(sh.changed), len(sh.over))
	}
	views := e.Changes(nil)
	if lost := int64(n - len(views)); lost <= 0 || lost != e.Overlooked() {
		t.Errorf("%d of %d views, %d overlooked", len(views), n, e.Overlooked())
	}
	for i, v := range views {
		if v.Slot != n-len(views)+i {
			t.Fatalf("view %d is of session %d", i, v.Slot)
		}
	}
}

// Those who watch do so at any time: before the engine runs, while it does and
// when it has ended.
func TestWatchAtAnyTime(t *testing.T) {
	for range 20 {
		const sessions, watchers = 200, 3
		answer := []byte(ok("one"))
		e := New(Config{Shards: 2, Watch: &Watch{Memory: 100 << 10}, Dial: func(client, server netip.AddrPort, wake func()) (Conn, error) {
			wake()
			return &instant{wake: wake, answer: answer}, nil
		}})
		var over atomic.Bool
		var wg sync.WaitGroup
		last := map[int]View{}
		wg.Go(func() {
			for over.Load() == false {
				for _, v := range e.Changes(nil) {
					last[v.Slot] = v
				}
			}
			for _, v := range e.Changes(nil) {
				last[v.Slot] = v
			}
		})
		for w := range watchers {
			wg.Go(func() {
				for i := w; over.Load() == false; i++ {
					if s, ok := e.Story(i % sessions); ok && s.Slot != i%sessions {
						t.Errorf("asked for %d, told of %d", i%sessions, s.Slot)
					} else if ok {
						for _, one := range s.Played {
							_ = string(one.Request)
						}
					}
				}
			})
		}
		runtime.Gosched()
		var all []*session.Session
		for i := range sessions {
			s := oneSession(false)
			s.ID = uint64(i + 1)
			s.Append(session.Event{Kind: session.Open}, session.Event{Kind: session.Data, Data: []byte(get(1))},
				session.Event{Kind: session.Data, Side: session.Server, Data: answer})
			all = append(all, s)
		}
		e.Feed(all[:sessions/2])
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { e.Run(ctx); close(ran) }()
		e.Feed(all[sessions/2:])
		for _, s := range all[:sessions/3] {
			s.End(session.CaptureEnd)
		}
		e.Feed(all)
		for e.Progress().Finished < sessions/3 {
			runtime.Gosched()
		}
		stop()
		<-ran
		e.Finish()
		over.Store(true)
		wg.Wait()
		if len(last) != sessions {
			t.Fatalf("%d of %d sessions were seen", len(last), sessions)
		}
		for slot, v := range last {
			if v.State == "" {
				t.Fatalf("session %d was not seen to end: %v", slot, v.Application)
			}
		}
	}
}
