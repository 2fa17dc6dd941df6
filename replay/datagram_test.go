package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// asked is what an application answers that knows these questions.
func asked(answers map[string]reply) func(string) reply {
	return func(p string) reply { return answers[p] }
}

// in answers after some time.
func in(d time.Duration, pieces ...string) reply { return reply{after: d, pieces: pieces} }

const ms = time.Millisecond

// exchange3 is a flow of three questions, each with an answer.
func exchange3() *tape {
	return resume().client("a").answer("A").client("b").answer("B").client("c").answer("C")
}

func right(d time.Duration) map[string]reply {
	return map[string]reply{"a": in(d, "A"), "b": in(d, "B"), "c": in(d, "C")}
}

func with(answers map[string]reply, p string, r reply) map[string]reply {
	answers[p] = r
	return answers
}

func TestDatagramFlow(t *testing.T) {
	const big = "the beginning of an answer that goes on"
	for _, s := range []struct {
		name     string
		tape     *tape
		joined   bool
		end      session.Cause // Idle unless said
		endpoint *endpoint
		config   func(*Config)

		received []string
		times    []time.Duration
		state    string // "finished" unless said
		bytes    fateBytes
		release  causeCount
		verdicts verdictCount
		extra    int64
		first    string
		took     time.Duration
	}{
		{
			name: "question and answer", tape: exchange3(), endpoint: &endpoint{serve: asked(right(5 * ms))},
			received: []string{"a", "b", "c"}, times: []time.Duration{0, 5 * ms, 10 * ms},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 3}, took: 35 * ms,
		},
		{
			name: "no answers", tape: resume().client("a").client("").client("c"), endpoint: &endpoint{serve: asked(nil)},
			received: []string{"a", "", "c"}, times: []time.Duration{0, 0, 0},
			release: causeCount{Exact: 1}, verdicts: verdictCount{}, took: 20 * ms,
		},
		{
			name:     "several answers to one, and empty ones",
			tape:     resume().client("a").answer("1").answer("").answer("3").client("b").answer("B"),
			endpoint: &endpoint{serve: asked(map[string]reply{"a": {after: ms, pieces: []string{"1", "", "3"}, pause: 30 * ms}, "b": in(0, "B")})},
			config:   func(c *Config) { c.MinQuiet = 50 * ms },
			received: []string{"a", "b"}, times: []time.Duration{0, 61 * ms},
			release: causeCount{Exact: 2}, verdicts: verdictCount{compare.Identical: 4},
		},
		{
			name: "asked at once", tape: resume().client("a").client("b").client("c").answer("A").answer("B").answer("C"),
			endpoint: &endpoint{serve: asked(right(5 * ms))},
			received: []string{"a", "b", "c"}, times: []time.Duration{0, 0, 0},
			release: causeCount{Exact: 1}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "an answer differs", tape: exchange3(), endpoint: &endpoint{serve: asked(with(right(ms), "b", in(ms, "X")))},
			received: []string{"a", "b", "c"}, verdicts: verdictCount{compare.Identical: 2, compare.Different: 1}, first: "answer 2: line 1 word 1: \"B\" → \"X\"",
		},
		{
			name: "the same bytes in two datagrams", tape: resume().client("a").answer(big),
			endpoint: &endpoint{serve: asked(map[string]reply{"a": in(0, big[:9], big[9:])})},
			received: []string{"a"}, verdicts: verdictCount{compare.Different: 2}, extra: 1, first: "answer 1: line 1: ",
		},
		{
			name: "an empty answer is lost", tape: resume().client("a").answer("").client("b").answer("B"),
			endpoint: &endpoint{serve: asked(with(right(ms), "a", reply{}))},
			received: []string{"a", "b"}, state: "unanswered",
			release: causeCount{Exact: 1, Timeout: 1}, verdicts: verdictCount{compare.Missing: 1, compare.Identical: 1},
		},
		{
			name: "a lost answer costs itself, and one time-out", tape: exchange3(),
			endpoint: &endpoint{serve: asked(with(right(ms), "a", reply{}))},
			received: []string{"a", "b", "c"}, times: []time.Duration{0, 5 * time.Second, 5*time.Second + ms},
			state:   "unanswered",
			release: causeCount{Exact: 2, Timeout: 1}, verdicts: verdictCount{compare.Missing: 1, compare.Identical: 2},
		},
		{
			name: "the last answer is waited for", tape: exchange3(), endpoint: &endpoint{serve: asked(with(right(ms), "c", in(4*time.Second, "C")))},
			received: []string{"a", "b", "c"}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "the last answer is lost", tape: exchange3(), endpoint: &endpoint{serve: asked(with(right(ms), "c", reply{}))},
			received: []string{"a", "b", "c"}, state: "unanswered", verdicts: verdictCount{compare.Identical: 2, compare.Missing: 1},
			took: 5*time.Second + ms + ms, // after the second answer
		},
		{
			name: "an answer comes when it is not waited for any more", tape: exchange3(),
			endpoint: &endpoint{serve: asked(map[string]reply{"a": in(6*time.Second, "A"), "b": in(ms, "B"), "c": in(2*time.Second, "C")})},
			received: []string{"a", "b", "c"}, state: "unanswered",
			verdicts: verdictCount{compare.Missing: 1, compare.Identical: 2},
		},
		{
			name: "all answers are the same, and one is late", tape: resume().client("a").answer("ok").client("b").answer("ok").client("c").answer("ok"),
			endpoint: &endpoint{serve: asked(map[string]reply{"a": in(5*time.Second+ms/2, "ok"), "b": in(ms, "ok"), "c": in(10*ms, "ok")})},
			received: []string{"a", "b", "c"}, state: "unanswered",
			verdicts: verdictCount{compare.Missing: 1, compare.Identical: 2},
		},
		{
			name: "one of two answers is lost", tape: resume().client("a").answer("1").answer("2").client("b").answer("B"),
			endpoint: &endpoint{serve: asked(map[string]reply{"a": in(ms, "1"), "b": in(ms, "B")})},
			received: []string{"a", "b"}, times: []time.Duration{0, 101 * ms}, state: "unanswered",
			release: causeCount{Exact: 1, Quiet: 1}, verdicts: verdictCount{compare.Identical: 2, compare.Missing: 1},
		},
		{
			name: "an application that never answers holds up once", tape: exchange3(), endpoint: &endpoint{serve: asked(nil)},
			received: []string{"a", "b", "c"}, times: []time.Duration{0, 5 * time.Second, 5*time.Second + 100*ms},
			state: "unanswered", release: causeCount{Exact: 1, Timeout: 2}, verdicts: verdictCount{compare.Missing: 3}, took: 5*time.Second + 200*ms,
		},
		{
			name:     "and the longer the less",
			tape:     exchange3().client("a").answer("A").client("b").answer("B").client("c").answer("C").client("a").answer("A").client("b").answer("B"),
			endpoint: &endpoint{serve: asked(nil)}, state: "unanswered",
			received: []string{"a", "b", "c", "a", "b", "c", "a", "b"},
			times: []time.Duration{0, 5 * time.Second, 5*time.Second + 100*ms, 5*time.Second + 200*ms, 5*time.Second + 300*ms,
				5*time.Second + 400*ms, 5*time.Second + 500*ms, 5*time.Second + 520*ms},
			verdicts: verdictCount{compare.Missing: 8}, took: 5*time.Second + 540*ms,
		},
		{
			name: "slow answers after one that never comes", tape: exchange3().client("a").answer("A"),
			endpoint: &endpoint{serve: asked(map[string]reply{"a": in(60*ms, "A"), "c": in(60*ms, "C")})},
			received: []string{"a", "b", "c", "a"}, times: []time.Duration{0, 60 * ms, 5*time.Second + 60*ms, 5*time.Second + 120*ms},
			state:    "unanswered",
			verdicts: verdictCount{compare.Missing: 1, compare.Identical: 3},
		},
		{
			name: "nothing is waited for", tape: exchange3(), endpoint: &endpoint{serve: asked(right(100 * ms))}, config: func(c *Config) { c.NoWait = true },
			received: []string{"a", "b", "c"}, times: []time.Duration{0, 0, 0},
			release: causeCount{Exact: 1, Unawaited: 2}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "refused", tape: exchange3(), endpoint: &endpoint{refuse: func(string) bool { return true }},
			received: []string{"a", "b", "c"}, times: []time.Duration{0, ms, 2 * ms}, state: "refused", bytes: fateBytes{session.Refused: 3},
			release: causeCount{Exact: 1, Boundary: 2}, verdicts: verdictCount{compare.Missing: 3},
		},
		{
			name: "refused at first", tape: exchange3(), endpoint: &endpoint{refuse: func(p string) bool { return p == "a" }, serve: asked(right(ms))},
			received: []string{"a", "b", "c"}, state: "refused", bytes: fateBytes{session.Refused: 1, session.Delivered: 2},
			verdicts: verdictCount{compare.Missing: 1, compare.Identical: 2},
		},
		{
			name: "the kernel does not take one", tape: exchange3(), endpoint: &endpoint{fails: func(p string) bool { return p == "b" }, serve: asked(right(ms))},
			received: []string{"a", "c"}, state: "pending", bytes: fateBytes{session.Pending: 1, session.Delivered: 2},
			verdicts: verdictCount{compare.Uncompared: 1, compare.Identical: 2},
		},
		{
			name: "unsupported", tape: exchange3(), endpoint: &endpoint{dialed: func(int) error { return ErrUnsupported }},
			received: nil, state: "unsupported", bytes: fateBytes{session.Unsupported: 3}, verdicts: verdictCount{compare.Uncompared: 3},
		},
		{
			name: "the address is in use for a while", tape: exchange3(), endpoint: &endpoint{serve: asked(right(ms)), dialed: func(n int) error {
				if n < 3 {
					return ErrInUse
				}
				return nil
			}},
			received: []string{"a", "b", "c"}, verdicts: verdictCount{compare.Identical: 3}, took: 6*ms + 2*ms + ms + 20*ms,
		},
		{
			name: "more than production answered", tape: exchange3(), endpoint: &endpoint{serve: asked(with(right(ms), "c", in(ms, "C", "D", "")))},
			received: []string{"a", "b", "c"}, verdicts: verdictCount{compare.Identical: 3, compare.Different: 2}, extra: 2, first: "answer 4",
		},
		{
			name: "production's answer was not captured any more", tape: resume().client("a").answer("A").client("b"), end: session.CaptureEnd,
			endpoint: &endpoint{serve: asked(right(ms))},
			received: []string{"a", "b"}, verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 1},
		},
		{
			name: "the client's side only", tape: resume().client("a").client("b"), endpoint: &endpoint{serve: asked(right(ms))},
			received: []string{"a", "b"}, verdicts: verdictCount{compare.Uncompared: 2},
		},
		{
			name: "the server spoke first", joined: true, tape: resume().answer("?").answer("?").client("a").answer("A"), endpoint: &endpoint{serve: asked(right(ms))},
			received: []string{"a"}, verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name: "a client's datagram was cut", tape: resume().client("a").answer("A").clientGap(5).answer("?").client("c").answer("C"),
			endpoint: &endpoint{serve: asked(right(ms))},
			received: []string{"a", "c"}, times: []time.Duration{0, ms}, verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name: "a server's datagram was cut", tape: resume().client("a").serverGap(5).client("c").answer("C"),
			endpoint: &endpoint{serve: asked(right(ms))},
			received: []string{"a", "c"}, times: []time.Duration{0, ms}, verdicts: verdictCount{compare.Uncompared: 1, compare.Identical: 1},
		},
		{
			name: "at its pace", tape: exchange3().later(200 * ms).client("a").answer("A"), endpoint: &endpoint{serve: asked(right(ms))},
			config:   func(c *Config) { c.Pace = NewPace(2) },
			received: []string{"a", "b", "c", "a"}, times: []time.Duration{0, ms, 2 * ms, 103 * ms}, verdicts: verdictCount{compare.Identical: 4},
		},
		{
			name: "left out", tape: exchange3(), endpoint: &endpoint{}, config: func(c *Config) { c.Only = func(*session.Session) bool { return false } },
			state: "filtered", bytes: fateBytes{session.Filtered: 3}, verdicts: verdictCount{},
		},
		{
			name: "too much for the memory", tape: exchange3(), endpoint: &endpoint{serve: asked(right(ms))},
			config:   func(c *Config) { c.MaxHeld = playerCost + 1 },
			received: []string{"a"}, state: "shed", bytes: fateBytes{session.Delivered: 1, session.Shed: 2},
			verdicts: verdictCount{compare.Uncompared: 4},
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := playFlow(t, s.tape, s.joined, max(s.end, session.Idle), s.endpoint, s.config)
				r := o.records[0]
				var received []string
				var times []time.Duration
				for _, socket := range s.endpoint.sockets {
					received = append(received, socket.received...)
					times = append(times, socket.times...)
					if !socket.closed {
						t.Error("a socket was left open")
					}
				}
				if diff := cmp.Diff(s.received, received); diff != "" {
					t.Errorf("received (-want +got):\n%s", diff)
				}
				if s.times != nil {
					if diff := cmp.Diff(s.times, times); diff != "" {
						t.Errorf("times (-want +got):\n%s", diff)
					}
				}
				if want := s.state; r.State != want && (want != "" || r.State != "finished") {
					t.Errorf("state %q, want %q", r.State, want)
				}
				if s.bytes == nil {
					s.bytes = fateBytes{session.Delivered: int64(len(s.tape.stream()))}
				}
				fates := fateBytes{}
				for fate, v := range r.Bytes {
					if v != 0 {
						fates[session.Fate(fate)] = v
					}
				}
				if s.bytes[session.Delivered] == 0 {
					delete(s.bytes, session.Delivered)
				}
				if diff := cmp.Diff(s.bytes, fates); diff != "" {
					t.Errorf("ledger (-want +got):\n%s", diff)
				}
				if s.release != nil {
					causes := causeCount{}
					for c, v := range o.result.Release {
						if v != 0 {
							causes[Cause(c)] = v
						}
					}
					if diff := cmp.Diff(s.release, causes); diff != "" {
						t.Errorf("release (-want +got):\n%s", diff)
					}
				}
				if diff := cmp.Diff(s.verdicts, o.result.Verdicts); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
				if o.result.Extra != s.extra {
					t.Errorf("%d extra, want %d", o.result.Extra, s.extra)
				}
				if s.first != "" && (r.First == nil || !strings.Contains(r.First.Request+": "+r.First.String(), s.first)) {
					t.Errorf("first difference %v, want %q", r.First, s.first)
				}
				if s.took > 0 && o.took != s.took {
					t.Errorf("took %v, want %v", o.took, s.took)
				}
			})
		})
	}
}

// playFlow plays a UDP flow whose events come at once, and checks what holds
// for each.
func playFlow(t *testing.T, script *tape, joined bool, end session.Cause, at *endpoint, config func(*Config)) *outcome {
	t.Helper()
	o := &outcome{}
	cfg := Config{DialUDP: at.dial, Ended: func(r *Record) { o.records = append(o.records, *r) }}
	cfg.Judge = func(x *compare.Exchange) compare.Outcome {
		out := compare.ByBytes(x)
		if !x.Closing && (out.Verdict == compare.Different || out.Verdict == compare.Missing) {
			o.differs++
		}
		return out
	}
	if config != nil {
		config(&cfg)
	}
	began := time.Now()
	if cfg.Pace != nil {
		cfg.Pace.Start(began, began)
	}
	o.engine = New(cfg)
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { o.engine.Run(ctx); close(ran) }()
	s := &session.Session{ID: 1, Proto: session.UDP, Client: clientAddr, Server: serverAddr, Start: began, Joined: joined}
	s.Append(script.events...)
	s.End(end)
	o.engine.Feed([]*session.Session{s})
	if err := o.engine.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	o.took = time.Since(began)
	stop()
	<-ran
	o.result = o.engine.Finish()
	time.Sleep(time.Hour) // of the bubble: answers that the application still owes
	if len(o.records) != 1 || len(o.result.Defects) > 0 {
		t.Fatalf("%d records, defects %q", len(o.records), o.result.Defects)
	}
	if r := o.records[0]; r.Proto != session.UDP || o.result.UDP != 1 {
		t.Errorf("record of %v, %d UDP flows", r.Proto, o.result.UDP)
	}
	if p := o.engine.Progress(); p.Pending != 0 || p.Active != 0 {
		t.Errorf("progress %+v", p)
	}
	if held, _ := o.engine.Held(); held != 0 {
		t.Errorf("%d bytes held after the end", held)
	}
	if v := o.result.Verdicts; o.differs != v[compare.Different]+v[compare.Missing] {
		t.Errorf("told of %d differences, verdicts %v", o.differs, v)
	}
	return o
}

// However the events come in, a live flow is played the same.
func TestDatagramFlowInParts(t *testing.T) {
	script := exchange3().client("a").client("b").answer("A").answer("B")
	for _, f := range feedings(len(script.events)) {
		synctest.Test(t, func(t *testing.T) {
			at := &endpoint{serve: asked(right(2 * ms))}
			var records []Record
			e := New(Config{DialUDP: at.dial, Ended: func(r *Record) { records = append(records, *r) }})
			ctx, stop := context.WithCancel(context.Background())
			ran := make(chan struct{})
			go func() { e.Run(ctx); close(ran) }()
			s := &session.Session{ID: 1, Proto: session.UDP, Client: clientAddr, Server: serverAddr, Start: time.Now()}
			f.feed(e, s, script.events, session.Idle)
			if err := e.Drain(ctx); err != nil {
				t.Fatal(err)
			}
			stop()
			<-ran
			res := e.Finish()
			if got, want := at.sockets[0].received, []string{"a", "b", "c", "a", "b"}; !slices.Equal(got, want) {
				t.Errorf("fed %s: received %q", f.name, got)
			}
			if want := (verdictCount{compare.Identical: 5}); !cmp.Equal(res.Verdicts, want) {
				t.Errorf("fed %s: verdicts %v", f.name, res.Verdicts)
			}
		})
	}
}

// The run ends while a flow is waited for.
func TestDatagramFlowCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &endpoint{serve: asked(with(right(ms), "b", reply{}))}
		var records []Record
		e := New(Config{DialUDP: at.dial, Ended: func(r *Record) { records = append(records, *r) }})
		ctx, stop := context.WithCancel(context.Background())
		ran := make(chan struct{})
		go func() { e.Run(ctx); close(ran) }()
		s := &session.Session{ID: 1, Proto: session.UDP, Client: clientAddr, Server: serverAddr, Start: time.Now()}
		s.Append(exchange3().events...)
		e.Feed([]*session.Session{s})
		time.Sleep(time.Second) // of the bubble: "b" is asked, and waited for in vain
		stop()
		<-ran
		res := e.Finish()
		if len(records) != 1 || len(res.Defects) > 0 {
			t.Fatalf("records %+v, defects %q", records, res.Defects)
		}
		want := fateBytes{session.Delivered: 2, session.Pending: 1}
		for fate, v := range records[0].Bytes {
			if v != want[session.Fate(fate)] {
				t.Errorf("%d bytes %v", v, session.Fate(fate))
			}
		}
		// The last question was not asked: nobody failed to answer it.
		if want := (verdictCount{compare.Identical: 1, compare.Missing: 1, compare.Uncompared: 1}); !cmp.Equal(res.Verdicts, want) {
			t.Errorf("verdicts %v", res.Verdicts)
		}
		if records[0].State != "pending" {
			t.Errorf("state %q", records[0].State)
		}
	})
}

// What nothing holds back goes out as fast as the application's sockets take
// it in.
func TestDatagramBurst(t *testing.T) {
	const count = 1000
	fixed := burstSize/kernelSize(4) + 1
	for _, tt := range []struct {
		name string
		room func() (int, bool)
		at   func(i int) time.Duration // when the i-th goes out
	}{
		{"never known", nil, func(i int) time.Duration { return time.Duration(i/fixed) * burstTime }},
		{"not known", func() (int, bool) { return 0, false }, func(i int) time.Duration { return time.Duration(i/fixed) * burstTime }},
		{"room for 20", func() (int, bool) { return 20 * kernelSize(4), true }, func(i int) time.Duration { return time.Duration(i/10) * burstTime }},
		{"room for less than one", func() (int, bool) { return 100, true }, func(i int) time.Duration { return time.Duration(i) * burstTime }},
		{"none for ever", func() (int, bool) { return 0, true }, func(i int) time.Duration { return time.Duration(1+i/fixed) * 5 * time.Second }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				script := resume()
				for i := range count {
					script.client(fmt.Sprintf("%04d", i))
				}
				at := &endpoint{serve: asked(nil)}
				began := time.Now()
				playFlow(t, script, false, session.Idle, at, func(c *Config) { c.Room = tt.room })
				s := at.sockets[0]
				if len(s.received) != count || !slices.IsSorted(s.received) {
					t.Fatalf("%d received", len(s.received))
				}
				for i := range s.times {
					if got, want := s.began.Sub(began)+s.times[i], tt.at(i); got != want {
						t.Fatalf("datagram %d after %v, want %v", i, got, want)
					}
				}
			})
		})
	}
}
