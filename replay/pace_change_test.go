package replay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// What is due when, after changes of the speed and of the pause.
func TestPaceChanges(t *testing.T) {
	const s = time.Second
	captured, began := time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	type change struct {
		after time.Duration // on the clock
		do    string
		speed float64
	}
	for _, tt := range []struct {
		name    string
		changes []change
		due     map[time.Duration]time.Duration // captured: on the clock; -1: never
	}{
		{"none", nil, map[time.Duration]time.Duration{0: 0, 8 * s: 4 * s, -2 * s: -s}},
		{"faster", []change{{4 * s, "speed", 4}}, map[time.Duration]time.Duration{6 * s: 3 * s, 8 * s: 4 * s, 12 * s: 5 * s}},
		{"slower", []change{{4 * s, "speed", 0.5}}, map[time.Duration]time.Duration{6 * s: 3 * s, 8 * s: 4 * s, 9 * s: 6 * s}},
		{"and back", []change{{4 * s, "speed", 4}, {5 * s, "speed", 2}}, map[time.Duration]time.Duration{6 * s: 3 * s, 10 * s: 4*s + s/2, 12 * s: 5 * s, 14 * s: 6 * s}},
		{"to the same", []change{{4 * s, "speed", 2}}, map[time.Duration]time.Duration{8 * s: 4 * s, 12 * s: 6 * s}},
		{"held", []change{{4 * s, "hold", 0}}, map[time.Duration]time.Duration{6 * s: 3 * s, 8 * s: 4 * s, 8*s + 1: -1}},
		{"held twice", []change{{4 * s, "hold", 0}, {5 * s, "hold", 0}}, map[time.Duration]time.Duration{8 * s: 4 * s, 9 * s: -1}},
		{"released", []change{{4 * s, "hold", 0}, {7 * s, "release", 0}}, map[time.Duration]time.Duration{6 * s: 3 * s, 8 * s: 4 * s, 9 * s: 7*s + s/2}},
		{"released twice", []change{{4 * s, "hold", 0}, {7 * s, "release", 0}, {9 * s, "release", 0}}, map[time.Duration]time.Duration{8 * s: 4 * s, 9 * s: 7*s + s/2, 14 * s: 10 * s}},
		{"faster while held", []change{{4 * s, "hold", 0}, {5 * s, "speed", 4}, {7 * s, "release", 0}}, map[time.Duration]time.Duration{6 * s: 3 * s, 8 * s: 4 * s, 12 * s: 8 * s}},
		{"and still held", []change{{4 * s, "hold", 0}, {5 * s, "speed", 4}}, map[time.Duration]time.Duration{8 * s: 4 * s, 9 * s: -1}},
		{"at a clock that is behind", []change{{4 * s, "speed", 4}, {3 * s, "speed", 1}}, map[time.Duration]time.Duration{8 * s: 4 * s, 9 * s: 5 * s}},
	} {
		p := NewPace(2)
		p.Start(captured, began)
		for _, c := range tt.changes {
			now := began.Add(c.after)
			switch c.do {
			case "speed":
				if p.SetSpeed(c.speed, now); p.Speed() != c.speed {
					t.Errorf("%s: the speed is %v", tt.name, p.Speed())
				}
			case "hold":
				p.Hold(now)
			case "release":
				p.Release(now)
			}
		}
		for at, want := range tt.due {
			got := p.Due(captured.Add(at)).Sub(began)
			if never := got > 100*365*24*time.Hour; never != (want < 0 && at > 0) || !never && got != want {
				t.Errorf("%s: captured after %v: due after %v, want %v", tt.name, at, got, want)
			}
		}
	}
}

// What was set before Start holds from then on, and also in the next pass.
func TestPaceChangesBeforeStart(t *testing.T) {
	captured, began := time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	p := NewPace(1)
	p.SetSpeed(4, began)
	p.Hold(began)
	for range 2 {
		p.Start(captured, began)
		if got := p.Due(captured); !got.Equal(began) {
			t.Errorf("the first moment is due at %v", got)
		}
		if got := p.Due(captured.Add(1)); got.Before(began.Add(never)) {
			t.Errorf("held, and due at %v", got)
		}
	}
	p.Release(began.Add(time.Minute))
	if got := p.Due(captured.Add(4 * time.Second)).Sub(began); got != time.Minute+time.Second {
		t.Errorf("due after %v", got)
	}
}

// Whatever is changed, and whatever was cut: what was due stays due when it was,
// what was not stays so, nothing overtakes, and captured time passes at its
// speed and not while it is held.
func TestPaceChangesProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		captured, now := time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		speeds := rapid.SampledFrom([]float64{1.0 / 64, 0.5, 1, 3, 1024, 1e6})
		p := NewPace(speeds.Draw(t, "speed"))
		if rapid.Bool().Draw(t, "skip idle") {
			p.SkipIdle(time.Second)
		}
		p.Start(captured, now)
		held := false
		var moments []time.Duration // captured, in order
		at := time.Duration(0)
		for range rapid.IntRange(1, 30).Draw(t, "packets") {
			at += time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "pause"))
			moments = append(moments, at)
			p.Saw(captured.Add(at))
		}
		for range rapid.IntRange(0, 12).Draw(t, "changes") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "later")))
			before := make([]time.Time, len(moments))
			for i, m := range moments {
				before[i] = p.Due(captured.Add(m))
			}
			speed, wasHeld := p.Speed(), held
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				p.SetSpeed(speeds.Draw(t, "speed"), now)
			case 1:
				p.Hold(now)
				held = true
			case 2:
				p.Release(now)
				held = false
			}
			last := time.Time{}
			for i, m := range moments {
				due := p.Due(captured.Add(m))
				if due.Before(last) {
					t.Fatalf("%v is due at %v, before what was captured before it (%v)", m, due, last)
				}
				last = due
				const rounding = 2 * time.Nanosecond
				switch old := before[i]; {
				case !old.After(now) && (old.Before(now) || !due.After(now)):
					if !due.Equal(old) {
						t.Fatalf("%v was due at %v, now %v and so at %v", m, old, now, due)
					}
				case old.Equal(now): // by the rounding of floating point
					if float64(due.Sub(now)) > 2+2/p.Speed() && !held {
						t.Fatalf("%v was due right now, and is at %v; now %v", m, due, now)
					}
				case due.Before(now.Add(-rounding)):
					t.Fatalf("%v was not due, but is at %v; now %v", m, due, now)
				case held:
					if due.Before(now.Add(never / 2)) {
						t.Fatalf("%v is held, and due at %v", m, due)
					}
				case !wasHeld:
					// The captured time that was left is, at the new speed. A nanosecond
					// of the clock is worth more of it at a high speed.
					left := float64(old.Sub(now)) * speed / p.Speed()
					slack := 2 + 3*speed/p.Speed() + left*1e-9
					if got := float64(due.Sub(now)); got < left-slack || got > left+slack {
						t.Fatalf("%v: %v ns were left at speed %v, are %v at %v", m, old.Sub(now), speed, got, p.Speed())
					}
				}
			}
		}
	})
}

// A reader that waits notices at once.
func TestPaceWaitNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(1)
		captured, began := time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC), time.Now()
		p.Start(captured, began)
		wait := func(ctx context.Context, at time.Duration, change func()) (time.Duration, error) {
			begins := time.Now()
			time.AfterFunc(time.Second, change)
			err := p.Wait(ctx, captured.Add(at), time.Second)
			return time.Since(begins), err
		}
		if took, err := wait(t.Context(), 12*time.Second, func() { p.SetSpeed(10, time.Now()) }); err != nil || took != time.Second+time.Second/10 {
			t.Errorf("faster: waited %v: %v", took, err) // 1 s is ahead, which is 10 captured ones then
		}
		p.SetSpeed(1, time.Now())
		if took, err := wait(t.Context(), 22*time.Second, func() {
			p.Hold(time.Now())
			time.AfterFunc(time.Hour, func() { p.Release(time.Now()) })
		}); err != nil || took != time.Hour+19*time.Second {
			t.Errorf("held: waited %v: %v", took, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := wait(ctx, time.Hour, func() {
			p.Hold(time.Now())
			time.AfterFunc(time.Hour, cancel)
		}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled while held: %v", err)
		}
	})
}

// Players whose moments were set by another speed are stepped anew.
func TestSpeedChangesWhilePlaying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := NewPace(1)
		w := newWorld(t, Config{Pace: pace}, web(answers(5)...), wire{})
		w.play(spread(5))
		w.rest(1500 * time.Millisecond)
		pace.SetSpeed(4, time.Now()) // 3.5 s are left of 5
		w.rest(250 * time.Millisecond)
		pace.SetSpeed(0.5, time.Now()) // 2.5 s
		res := w.end()
		at := w.net.peers[0].at
		want := []time.Duration{2 * time.Millisecond, time.Second, 1625 * time.Millisecond, 2750 * time.Millisecond, 4750 * time.Millisecond, 6750 * time.Millisecond}
		for i, want := range want {
			if got := at[min(2*i, len(at)-1)]; i > 0 && got != want {
				t.Errorf("request %d went out after %v, want %v", i+1, got, want)
			}
		}
		if res.Lateness.P99 > time.Millisecond || res.Verdicts[0] != 5 {
			t.Errorf("%+v", res)
		}
	})
}
