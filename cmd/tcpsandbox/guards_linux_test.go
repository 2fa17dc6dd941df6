package main

import (
	"net/netip"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/session"
)

// The watchdog and a person stop the replay for reasons of their own: neither ends
// what the other has begun.
func TestWatchdogAndPerson(t *testing.T) {
	r := steer(t, visitors(3, asked{0, "/1", "/1"}, asked{2 * time.Second, "/2", "/2"}), nil)
	r.answered(3)
	stopped := time.Now()
	r.stopReplay(stopped, "a reason")
	for _, s := range []struct {
		what   string
		do     func()
		paused bool
	}{
		{"stopped", func() {}, true},
		{"p", r.pause, true},
		{"p again", r.resume, true},
		{"and again", r.pause, true},
		{"all is calm", func() { r.goOn(stopped.Add(time.Minute)) }, true},
		{"the last p", r.resume, false},
	} {
		if s.do(); r.isPaused() != s.paused {
			t.Fatalf("%s: paused is %v", s.what, r.isPaused())
		}
	}
	res := r.done(report.EndedCapture)
	if res.Finished != 3 || res.Verdicts[compare.Identical] != 6 || res.Shed > 0 {
		t.Errorf("%+v", res)
	}
	stops := r.guards.result(stopped.Add(-time.Second))
	if len(stops) != 1 || stops[0] != (report.Stop{At: report.Seconds(time.Second), For: report.Seconds(time.Minute), Why: "a reason"}) {
		t.Errorf("%+v", stops)
	}
}

// A session that begins while the replay is stopped is shed, and a run does not
// wait for the watchdog to end: what was under way is pending then.
func TestStoppedRunEnds(t *testing.T) {
	r := steer(t, visitors(2, asked{0, "/1", "/1"}, asked{3 * time.Second, "/2", "/2"}), func(o *runOptions) { o.drain = 300 * time.Millisecond })
	r.answered(2)
	r.stopReplay(time.Now(), "a reason")
	s := &session.Session{ID: 99, Client: netip.MustParseAddrPort("192.0.2.1:5000"), Server: netip.MustParseAddrPort("203.0.113.9:80"), Start: time.Now()}
	s.Append(session.Event{Kind: session.Data, Data: []byte("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")})
	s.End(session.Closed)
	r.players.Feed([]*session.Session{s})
	r.quit(true)
	res := r.done(report.EndedSignal)
	if res.ShedFor[replay.ShedWatchdog] != 1 || res.Bytes[session.Shed] != int64(len("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")) {
		t.Errorf("shed: %+v", res)
	}
	if got := res.Verdicts[compare.Identical]; got != 2 {
		t.Errorf("%d answers: it went on", got)
	}
}

// --max-cpu makes a file wait, and sheds nothing of it.
func TestFileWithLittleCPU(t *testing.T) {
	var all []asked
	for range 300 {
		all = append(all, asked{0, "/1", "/1"})
	}
	r := steer(t, visitors(30, all...), func(o *runOptions) {
		o.maxCPU, o.paceFlag, o.drain = 0.2, "asap", 2*time.Minute // that is slow with the race detector
	})
	res := r.done(report.EndedCapture)
	if res.Finished != 30 || res.Shed > 0 || res.Verdicts[compare.Identical] != 9000 {
		t.Errorf("%+v", res)
	}
	if r.guards.governor == nil || !r.guards.governor.waits || r.guards.governor.until.Load() == 0 {
		t.Errorf("nothing waited: %+v", r.guards.governor)
	}
}

// A session that is shed as a whole had no copies made: its packets are kept for
// none.
func TestShedBeforeItsCopies(t *testing.T) {
	packets := append(visitors(1, asked{0, "/1", "/1"}), visitorsAt(3*time.Second, 5, asked{0, "/2", "/2"})...)
	r := steer(t, packets, func(o *runOptions) { o.multiply, o.saveFailures = 2, t.TempDir() })
	r.answered(2)
	r.limit(func(g *guards) { g.cpu = replay.Share{New: 0, Running: 1, Why: replay.ShedCPU} })
	res := r.done(report.EndedCapture)
	if res.ShedFor[replay.ShedCPU] != 5 || res.Finished != 2 {
		t.Errorf("%+v", res)
	}
	if n := r.store.Len(); n != 0 {
		t.Errorf("packets of %d sessions are kept", n)
	}
}
