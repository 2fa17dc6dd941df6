package replay

import (
	"testing"
	"testing/synctest"
	"time"

	"tcpsandbox/compare"
)

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
