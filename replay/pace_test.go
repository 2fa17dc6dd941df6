package replay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tcpsandbox/compare"
)

func TestPaced(t *testing.T) {
	const ms = time.Millisecond
	// Requests at 100 ms and 1 s, an upload's second half at 1.5 s, FIN at 2 s.
	spread := func() *tape {
		r := record()
		r.now = 100 * ms
		r.client(get(1)).answer(ok("one"))
		r.now = 1000 * ms
		r.client(post(2, "abc")[:50])
		r.now = 1500 * ms
		r.client(post(2, "abc")[50:]).answer(ok("two"))
		r.now = 2000 * ms
		return r.clientFIN().serverFIN()
	}
	all := get(1) + post(2, "abc")
	halves := func(delay time.Duration) func(*peer) {
		return web(reply{after: delay, pieces: []string{ok("one")}}, reply{after: delay, pieces: []string{ok("two")}})
	}
	at := func(speed float64, offsets ...time.Duration) (due []time.Duration) {
		for _, o := range offsets {
			due = append(due, time.Duration(float64(o)/speed))
		}
		return due
	}
	var scenes []scene
	for name, speed := range map[string]float64{"as captured": 1, "twice as fast": 2, "at half the speed": 0.5, "a thousand times": 1000} {
		scenes = append(scenes, scene{
			name: name, tape: spread(), serve: halves(0), config: func(c *Config) { c.Pace = NewPace(speed) },
			received: []string{all}, order: []string{"cscsfe"}, took: at(speed, 2000*ms)[0], verdicts: verdictCount{compare.Identical: 2},
			// The second upload chunk is in the second run: its time shows in the answer's.
			at: at(speed, 100*ms, 100*ms, 1000*ms, 1500*ms, 2000*ms, 2000*ms),
		})
	}
	scenes = append(scenes,
		scene{
			name: "without a pace", tape: spread(), serve: halves(0), received: []string{all}, order: []string{"cscsfe"},
			at: at(1, 0, 0, 0, 0, 0, 0),
		},
		scene{
			name: "the cause comes after the time", tape: spread(), serve: halves(1200 * ms), config: func(c *Config) { c.Pace = NewPace(1) },
			received: []string{all}, order: []string{"cscsfe"},
			at: at(1, 100*ms, 1300*ms, 1300*ms, 2700*ms, 2700*ms, 2700*ms),
		},
	)
	stage(t, scenes)
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(4)
		captured, began := time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC), time.Now()
		p.Start(captured, began)
		if !p.Due(captured).Equal(began) || !p.Due(captured.Add(time.Minute)).Equal(began.Add(15*time.Second)) {
			t.Errorf("due at %v and %v", p.Due(captured), p.Due(captured.Add(time.Minute)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := p.Wait(ctx, captured.Add(time.Minute), 5*time.Second); err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("waited %v: %v", time.Since(began), err)
		}
		if err := p.Wait(ctx, captured, 0); err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("what is due was waited for: %v", err)
		}
		time.AfterFunc(time.Second, cancel)
		if err := p.Wait(ctx, captured.Add(time.Hour), 0); !errors.Is(err, context.Canceled) || time.Since(began) != 11*time.Second {
			t.Errorf("cancelled after %v: %v", time.Since(began), err)
		}
		if err := p.Wait(ctx, captured, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// Pauses in which nothing was captured last no longer than the limit, and
// everything keeps its order.
func TestSkipIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const s = time.Second
		captured, began := time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC), time.Now()
		p := NewPace(2)
		p.SkipIdle(10 * s)
		p.Start(captured, began)
		for _, at := range []time.Duration{0, 5 * s, 15 * s, 14 * s, 60 * s, 61 * s, 161 * s, 171 * s} {
			p.Saw(captured.Add(at))
		}
		for _, tt := range []struct{ at, want time.Duration }{ // before the speed
			{0, 0}, {5 * s, 5 * s}, {15 * s, 15 * s}, {20 * s, 20 * s}, {25 * s, 25 * s}, {40 * s, 25 * s}, {60 * s, 25 * s}, {61 * s, 26 * s},
			{70 * s, 35 * s}, {100 * s, 36 * s}, {161 * s, 36 * s}, {171 * s, 46 * s}, {200 * s, 75 * s},
		} {
			if got := p.Due(captured.Add(tt.at)).Sub(began); got != tt.want/2 {
				t.Errorf("captured after %v: due after %v, want %v", tt.at, got, tt.want/2)
			}
		}
		time.Sleep(time.Minute)       // of the bubble: the second pass begins that much later
		p.Start(captured, time.Now()) // again
		p.Saw(captured.Add(5 * s))
		if got := p.Due(captured.Add(40 * s)).Sub(began); got != 80*s {
			t.Errorf("the second time due after %v", got)
		}
	})
}

// A session is played with the pauses that are left.
func TestSkipIdlePlays(t *testing.T) {
	const ms = time.Millisecond
	tp := record().client(get(1)).answer(ok("one")).later(time.Hour).client(get(2)).answer(ok("two")).clientFIN().serverFIN()
	stage(t, []scene{{
		name: "an hour's pause", tape: tp, serve: web(say(ok("one")), say(ok("two"))), received: []string{get(1) + get(2)},
		config: func(c *Config) { c.Pace = sawAll(tp, time.Second) }, took: time.Second + 5*ms, verdicts: verdictCount{compare.Identical: 2},
	}})
}

// sawAll returns a pace that Start is not needed for any more.
func sawAll(tp *tape, skip time.Duration) *Pace {
	p := NewPace(1)
	p.SkipIdle(skip)
	p.Start(time.Now(), time.Now())
	for _, e := range tp.events {
		p.Saw(time.Now().Add(e.At))
	}
	return p
}

// 60 s of capture take 60 s, or 15 at four times the speed, however many
// sessions; and nothing is released late.
func TestPacedCrowd(t *testing.T) {
	for speed, want := range map[float64]time.Duration{1: time.Minute, 4: 15 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			const n = 1000
			c := crowd{serve: func(p *peer) { serveBy(p, nil) }, config: Config{Pace: NewPace(speed)}}
			began := time.Now()
			c.config.Pace.Start(began, began)
			for i := range n {
				tp := record()
				for k := range 10 {
					tp.now = time.Duration(k)*6*time.Second + time.Duration(i)*6*time.Millisecond - 4*time.Millisecond
					tp.now = max(tp.now, 2*time.Millisecond)
					tp.client(get(k)).answer(ok(""))
				}
				tp.now = time.Minute
				c.add(clientNumber(i), 0, tp.clientFIN().serverFIN())
			}
			res, _, _ := c.run(t)
			if took := time.Since(began); took != want {
				t.Errorf("speed %v: took %v, want %v", speed, took, want)
			}
			if res.Finished != n || res.Lateness.P99 > time.Millisecond || res.Lateness.Count != 10*n {
				t.Errorf("speed %v: lateness %+v, %+v", speed, res.Lateness, res)
			}
		})
	}
}

// The same with the real clock, and shorter: nothing ends early, and no session
// waits for another one, which would take half an hour. How late they are on an
// idle machine is for BenchmarkPaced to tell; on a busy one, with the race
// detector, 3.3 s were seen.
func TestPacedForReal(t *testing.T) {
	const n, length = 1000, 2 * time.Second
	c := crowd{serve: func(p *peer) { serveBy(p, nil) }, config: Config{Pace: NewPace(1)}}
	for i := range n {
		tp := record()
		tp.now = time.Duration(i) * length / (2 * n)
		tp.client(get(1)).answer(ok(""))
		tp.now += length / 4
		tp.client(get(2)).answer(ok(""))
		tp.now = length
		c.add(clientNumber(i), 0, tp.clientFIN().serverFIN())
	}
	began := time.Now()
	c.config.Pace.Start(c.sessions[0].Start, began)
	res, _, _ := c.run(t)
	took := time.Since(began)
	if res.Finished != n || took < length || took > 10*length {
		t.Errorf("took %v, want %v: %+v", took, length, res)
	}
	t.Logf("took %v; released late by %+v", took, res.Lateness)
}
