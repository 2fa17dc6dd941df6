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
		if p.Started() {
			t.Error("started before Start")
		}
		captured, began := time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC), time.Now()
		p.Start(captured, began)
		if !p.Started() || !p.Due(captured).Equal(began) || !p.Due(captured.Add(time.Minute)).Equal(began.Add(15*time.Second)) {
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
