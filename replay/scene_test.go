package replay

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// tape writes down the events of a session, a millisecond apart. Client
// events carry as Seen all that the server has sent, unless told otherwise.
type tape struct {
	events []session.Event
	now    time.Duration
	server uint64
	fin    bool
}

// record begins a session with the handshake; resume one that lacks it.
func record() *tape {
	return resume().add(session.Event{Kind: session.Open}).add(session.Event{Kind: session.Open, Side: session.Server})
}
func resume() *tape { return &tape{} }

func (t *tape) add(e session.Event) *tape {
	e.At = t.now
	if e.Side == session.Client {
		if e.Seen == 0 {
			e.Seen = t.server
		}
		e.SeenFIN = t.fin
	}
	t.now += time.Millisecond
	t.events = append(t.events, e)
	return t
}

func (t *tape) client(s string) *tape {
	return t.add(session.Event{Kind: session.Data, Data: []byte(s)})
}

// saw corrects Seen of the latest event.
func (t *tape) saw(n int) *tape {
	t.events[len(t.events)-1].Seen = uint64(n)
	return t
}

// unaware: the latest event was sent without knowledge of the server's FIN.
func (t *tape) unaware() *tape {
	t.events[len(t.events)-1].SeenFIN = false
	return t
}

func (t *tape) answer(s string) *tape {
	t.server += uint64(len(s))
	return t.add(session.Event{Kind: session.Data, Side: session.Server, Data: []byte(s)})
}

func (t *tape) later(d time.Duration) *tape { t.now += d; return t }
func (t *tape) clientFIN() *tape            { return t.add(session.Event{Kind: session.FIN}) }
func (t *tape) clientRST() *tape            { return t.add(session.Event{Kind: session.RST}) }

func (t *tape) serverFIN() *tape {
	t.fin = true
	return t.add(session.Event{Kind: session.FIN, Side: session.Server})
}

func (t *tape) serverRST() *tape {
	return t.add(session.Event{Kind: session.RST, Side: session.Server})
}

func (t *tape) clientGap(n int64) *tape {
	return t.add(session.Event{Kind: session.Gap, Missing: n})
}

// between corrects the latest event, a gap: turns end where it begins, or ends.
func (t *tape) between(before, behind bool) *tape {
	e := &t.events[len(t.events)-1]
	e.Before, e.Behind = before, behind
	return t
}

func (t *tape) serverGap(n int64) *tape {
	t.server += uint64(n)
	return t.add(session.Event{Kind: session.Gap, Side: session.Server, Missing: n})
}

func (t *tape) String() string {
	var b strings.Builder
	for _, e := range t.events {
		fmt.Fprintf(&b, "\n%8v %v %v %q", e.At, e.Side, e.Kind, e.Data)
		if e.Missing > 0 {
			fmt.Fprintf(&b, " missing %d", e.Missing)
		}
		if e.Side == session.Client {
			fmt.Fprintf(&b, " seen %d %v", e.Seen, e.SeenFIN)
		}
	}
	return b.String()
}

// stream returns the client's bytes.
func (t *tape) stream() []byte {
	var b []byte
	for _, e := range t.events {
		if e.Kind == session.Data && e.Side == session.Client {
			b = append(b, e.Data...)
		}
	}
	return b
}

// scene is a session, an application, and what is to come of it.
type scene struct {
	name   string
	joined bool
	tape   *tape
	end    session.Cause // Closed unless said
	serve  func(*peer)
	wire   wire
	dialed func(int) error
	config func(*Config)
	cut    time.Duration   // Finish after this long, instead of draining
	meddle []time.Duration // play this long, be paused this long, and so on

	received []string // by each connection
	// order tells for each connection who spoke: c client, s application, f
	// client's FIN, r client's RST, e application's FIN.
	order    []string
	at       []time.Duration // when each run of the first connection began; if fed at once
	state    string          // "finished" unless said
	bytes    map[session.Fate]int64
	release  map[Cause]int64 // left out: not looked at
	verdicts map[compare.Verdict]int64
	first    string // the first difference
	ends     string // how the connection's end compares: "identical", "close early", "" not looked at
	took     time.Duration
	dials    int
	// timing: what was sent already when more is captured decides what comes,
	// so feeding in parts may end otherwise; only the invariants are checked.
	timing bool

	watched bool // by Config.Watch; what comes is the same
}

// feeding is how the events of a scene reach the engine.
type feeding struct {
	name  string
	parts []int // events in each batch
	pause time.Duration
}

// feed hands the events to the engine part by part, and the session's end with
// the last of them; it must be called in a bubble, which has nothing left to do
// at the end of each pause.
func (f feeding) feed(e *Engine, s *session.Session, events []session.Event, why session.Cause) {
	for i, part := range f.parts {
		if i > 0 {
			time.Sleep(f.pause) // of the bubble, as the capture would
			synctest.Wait()
		}
		s.Append(events[:part]...)
		events = events[part:]
		if i == len(f.parts)-1 {
			s.End(why)
		}
		e.Feed([]*session.Session{s})
	}
}

func feedings(n int) []feeding {
	all := []feeding{{"at once", []int{n}, 0}}
	for i := range n {
		all = append(all, feeding{fmt.Sprintf("split at %d", i), []int{i, n - i}, 15 * time.Millisecond})
	}
	single := make([]int, n)
	for i := range single {
		single[i] = 1
	}
	return append(all,
		feeding{"one by one", single, 0},
		feeding{"slowly", single, 3 * time.Millisecond},
		feeding{"very slowly", single, 400 * time.Millisecond},
		feeding{"end apart", append(single, 0), time.Second},
	)
}

// stage runs the scenes, each fed in all ways.
func stage(t *testing.T, scenes []scene) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			for i, f := range feedings(len(s.tape.events)) {
				s.watched = i%2 == 1
				synctest.Test(t, func(t *testing.T) {
					defer func() {
						if t.Failed() {
							t.Logf("fed %s, watched: %v", f.name, s.watched)
						}
					}()
					s.play(t, f)
					if i == 0 {
						s.watched = true
						s.play(t, f)
					}
				})
			}
		})
	}
}

var (
	clientAddr = netip.MustParseAddrPort("198.51.100.7:40001")
	serverAddr = netip.MustParseAddrPort("203.0.113.1:80")
)

// outcome is what came of a scene.
type outcome struct {
	engine  *Engine
	net     *network
	result  *Result
	records []Record
	differs int64 // calls
	ends    string
	took    time.Duration
}

// errorer is a *testing.T, or what collects for one.
type errorer interface{ Errorf(string, ...any) }

func (s *scene) play(t *testing.T, f feeding) {
	o := s.run(t, f)
	if s.invariants(t, o) && (f.name == "at once" || !s.timing) {
		s.compare(t, o, f)
	}
}

// run plays the scene; it must be called in a bubble.
func (s *scene) run(t errorer, f feeding) *outcome {
	n := &network{serve: s.serve, dialed: s.dialed, wire: s.wire}
	o := &outcome{net: n}
	cfg := Config{Dial: n.dial, Ended: func(r *Record) { o.records = append(o.records, *r) }}
	cfg.Judge = func(x *compare.Exchange) compare.Outcome {
		if x.Session != 1 || x.Request == "" {
			t.Errorf("judged: session %d, request %q", x.Session, x.Request)
		}
		out := compare.ByBytes(x)
		if x.Closing {
			o.ends = out.Verdict.String()
			if out.First != nil {
				o.ends = out.First.Place.String()
			}
		}
		if !x.Closing && (out.Verdict == compare.Different || out.Verdict == compare.Missing) {
			o.differs++
		}
		return out
	}
	if s.config != nil {
		s.config(&cfg)
	}
	if s.watched {
		cfg.Watch = &Watch{Memory: 100 << 10, Clock: true}
	}
	began := time.Now()
	if cfg.Pace != nil && cfg.Pace.line.Load() == nil {
		cfg.Pace.Start(began, began)
	}
	e := New(cfg)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ran := make(chan struct{})
	go func() { e.Run(ctx); close(ran) }()

	one := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: began, Joined: s.joined}
	meddled := make(chan struct{})
	go func() { s.meddleWith(t, e, n); close(meddled) }()
	f.feed(e, one, s.tape.events, max(s.end, session.Closed))
	if s.watched {
		synctest.Wait()
		e.Changes(nil)
		if st, ok := e.Story(0); ok {
			checkStory(t, st)
		}
	}
	if s.cut > 0 {
		time.Sleep(s.cut) // of the bubble: the run ends in the middle
	} else {
		drain, cancel := context.WithTimeout(ctx, 10*time.Minute+time.Duration(len(s.meddle))*time.Hour)
		defer cancel()
		if err := e.Drain(drain); err != nil {
			t.Errorf("drain: %v", err)
		}
	}
	o.took = time.Since(began)
	stop()
	<-ran
	o.engine, o.result = e, e.Finish()
	if s.watched {
		s.seen(t, o)
	}
	time.Sleep(time.Hour) // of the bubble: what the application still sleeps through
	<-meddled
	return o
}

// seen looks at what those who watched were told.
func (s *scene) seen(t errorer, o *outcome) {
	e := o.engine
	for _, v := range e.Changes(nil) {
		if r := &o.records[0]; v.State != r.State || v.Answers != r.Answers || v.Delivered != r.Bytes[session.Delivered] || v.Requests < r.Requests {
			t.Errorf("view %+v, record %+v", v, r)
		}
	}
	if st, ok := e.Story(0); ok {
		checkStory(t, st)
	}
	checkLibrary(t, &e.watch.stories)
}

// invariants hold whatever happens.
func (s *scene) invariants(t errorer, o *outcome) bool {
	e, n, res, records := o.engine, o.net, o.result, o.records
	stream := s.tape.stream()
	if len(res.Defects) > 0 || len(records) != 1 {
		t.Errorf("defects %q, %d records", res.Defects, len(records))
		return false
	}
	r := &records[0]
	if err := r.Bytes.Check(int64(len(stream))); err != nil {
		t.Errorf("%v", err)
	}
	if r.Bytes != res.Bytes || r.Captured != int64(len(stream)) || res.Captured != r.Captured {
		t.Errorf("record %v of %d, result %v of %d", r.Bytes, r.Captured, res.Bytes, res.Captured)
	}
	for fate, v := range r.Bytes {
		if v < 0 {
			t.Errorf("%d bytes %v", v, session.Fate(fate))
		}
	}
	gaps := 0
	for _, e := range s.tape.events {
		if e.Kind == session.Gap && e.Side == session.Client {
			gaps++
		}
	}
	if r.Gaps > gaps || r.Gaps < gaps && r.State == "finished" {
		t.Errorf("%d gaps counted of %d", r.Gaps, gaps)
	}
	if p := e.Progress(); p.Pending != 0 || p.Active != 0 || p.Finished+p.Failed+int64(res.Skipped) != 1 {
		t.Errorf("progress %+v", p)
	}
	if _, busy := e.Active(); busy != 0 {
		t.Errorf("%d busy", busy)
	}
	if v := res.Verdicts; o.differs != v[compare.Different]+v[compare.Missing] || e.Progress().Different != o.differs {
		t.Errorf("told of %d differences, verdicts %v", o.differs, v)
	}
	var acked int64
	from := 0
	for i, p := range n.peers {
		p.mu.Lock()
		if p.misuse != "" {
			t.Errorf("connection %d: %s", i, p.misuse)
		}
		if !p.aborted && !p.closed {
			t.Errorf("connection %d was left open", i)
		}
		// Each byte arrives once at most, and in order.
		at := bytes.Index(stream[from:], p.received)
		if at < 0 {
			t.Errorf("connection %d received %q, which is no part of %q", i, p.received, stream[from:])
		}
		from += max(at, 0) + len(p.received)
		acked += int64(p.acked)
		p.mu.Unlock()
	}
	if !s.wire.noAcks && s.wire.ackAfter == 0 && r.Bytes[session.Delivered] != acked {
		t.Errorf("delivered %d, acknowledged %d", r.Bytes[session.Delivered], acked)
	}
	return true
}

func (s *scene) compare(t errorer, o *outcome, f feeding) {
	n, res, r := o.net, o.result, &o.records[0]
	if s.took > 0 && len(f.parts) == 1 && o.took != s.took {
		t.Errorf("took %v, want %v", o.took, s.took)
	}
	var received, order []string
	for i, p := range n.peers {
		received = append(received, string(p.received))
		order = append(order, string(p.order))
		if i == 0 && s.at != nil && len(f.parts) == 1 {
			if diff := cmp.Diff(s.at, p.at); diff != "" {
				t.Errorf("times of %q (-want +got):\n%s", p.order, diff)
			}
		}
	}
	if diff := cmp.Diff(s.received, received); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	if s.order != nil {
		if diff := cmp.Diff(s.order, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	}
	if want := strings.TrimSpace(s.state); r.State != want && (want != "" || r.State != "finished") {
		t.Errorf("state %q, want %q", r.State, s.state)
	}
	if s.bytes == nil {
		s.bytes = map[session.Fate]int64{session.Delivered: int64(len(s.tape.stream()))}
	}
	fates := map[session.Fate]int64{}
	for fate, v := range r.Bytes {
		if v != 0 {
			fates[session.Fate(fate)] = v
		}
	}
	if diff := cmp.Diff(s.bytes, fates); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if s.release != nil {
		causes := map[Cause]int64{}
		for c, v := range res.Release {
			if v != 0 {
				causes[Cause(c)] = v
			}
		}
		if diff := cmp.Diff(s.release, causes); diff != "" {
			t.Errorf("release (-want +got):\n%s", diff)
		}
	}
	if s.verdicts != nil {
		if diff := cmp.Diff(s.verdicts, res.Verdicts); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
	}
	if s.ends != "" && o.ends != s.ends {
		t.Errorf("ends compare as %q, want %q", o.ends, s.ends)
	}
	if s.first != "" && (r.First == nil || !strings.Contains(r.First.Request+": "+r.First.String(), s.first)) {
		t.Errorf("first difference %v, want %q", r.First, s.first)
	}
	if s.dials > 0 && n.dials != s.dials {
		t.Errorf("%d dials, want %d", n.dials, s.dials)
	}
}

type (
	causeCount   = map[Cause]int64
	verdictCount = map[compare.Verdict]int64
	fateBytes    = map[session.Fate]int64
)
