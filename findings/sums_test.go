package findings

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tcpsandbox/compare"
)

// Percentiles against the sorted durations: as they are while these are few, a
// hundredth too long at most beyond, and never over the longest.
func TestCountsAgainstSorted(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, n := range []int{1, 2, 3, 99, 100, 101, exactCounts, exactCounts + 1, 5000} {
		var all, half counts
		var sorted []time.Duration
		for i := range n {
			d := time.Duration(1+rng.Int64N(1<<(1+rng.IntN(32)))) * time.Microsecond
			d = min(d, (1<<32-1)*time.Microsecond)
			sorted = append(sorted, d)
			if i%3 == 0 {
				half.add(d)
			} else {
				all.add(d)
			}
		}
		slices.Sort(sorted)
		all.merge(&half)
		d := all.distribution()
		for _, q := range []struct {
			perMille int
			got      time.Duration
		}{{500, d.P50}, {900, d.P90}, {990, d.P99}, {999, d.P999}, {1000, d.Max}} {
			want := sorted[max((n*q.perMille+999)/1000, 1)-1]
			most := want
			if n > exactCounts && q.perMille < 1000 {
				most += want / 100
			}
			if q.got < want || q.got > most {
				t.Errorf("%d durations, %d ‰: %v, want %v", n, q.perMille, q.got, want)
			}
		}
		if d.Count != int64(n) {
			t.Errorf("%d durations count as %d", n, d.Count)
		}
	}
}

// Whatever the clock does, each answer is in the series, once, and the series
// is no longer than it may be.
func TestSeriesWhateverTheClock(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	origin := time.Unix(1700000000, 0)
	for _, spread := range []time.Duration{time.Second, time.Hour, 24 * time.Hour, 1<<63 - 1} {
		s := series{maxFindings: 500}
		x := exchange("turn 1", "a", "b")
		x.ProductionTimes, x.ApplicationTimes = compare.Times{First: time.Millisecond}, compare.Times{First: 3 * time.Millisecond}
		const answers = 5000
		for range answers {
			at := origin.Add(time.Duration(rng.Int64N(int64(spread))))
			if rng.IntN(3) == 0 {
				at = origin.Add(-time.Duration(rng.Int64N(int64(spread)))) // it was set back
			}
			s.add(at, x, compare.Different, 1+rng.IntN(40))
		}
		out := s.result(func(f int) (compare.Verdict, bool) { return compare.Different, f%2 == 0 })
		var sum Verdicts
		for i, p := range out.Points {
			for v, n := range p.Verdicts {
				sum[v] += n
			}
			if p.Verdicts.sum() > 0 && (p.Production != time.Millisecond || p.Application != 3*time.Millisecond) {
				t.Errorf("%v: point %d: %v, %v", spread, i, p.Production, p.Application)
			}
		}
		if sum[compare.Different]+sum[compare.Equivalent] != answers || sum[compare.Equivalent] == 0 || sum.sum() != answers || len(out.Points) > maxPoints {
			t.Errorf("%v: %v in %d points of %v", spread, sum, len(out.Points), out.Step)
		}
	}
}
