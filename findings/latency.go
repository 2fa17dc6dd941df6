package findings

import (
	"math/bits"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tcpsandbox/compare"
)

// side is whose time is taken.
type side uint8

const (
	byProduction side = iota
	byApplication
	byBaseline

	sides
)

// total is the latency of one side over the whole run, to three digits
// (HdrHistogram, from 1 µs to 10 minutes: 172 KB each).
type total struct{ first, whole *hdrhistogram.Histogram }

func (t *total) init() {
	for _, h := range []**hdrhistogram.Histogram{&t.first, &t.whole} {
		*h = hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
	}
}

func (t *total) add(x compare.Times) {
	record(t.first, x.First)
	if x.Whole > 0 {
		record(t.whole, x.Whole)
	}
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	h.RecordValue(min(max(int64(d/time.Microsecond), 1), h.HighestTrackableValue()))
}

func (t *total) latency() Latency { return Latency{distribution(t.first), distribution(t.whole)} }

// curve is at which shares a Curve has its points: evenly, and closer towards
// the end, where it matters.
var curve = func() (shares []float64) {
	for p := range 180 {
		shares = append(shares, float64(p)/2)
	}
	return append(shares, 90, 91, 92, 93, 94, 95, 96, 97, 98, 98.5, 99, 99.25, 99.5, 99.75, 99.9, 99.95, 99.99, 100)
}()

func distribution(h *hdrhistogram.Histogram) Distribution {
	d := Distribution{Count: h.TotalCount()}
	if d.Count == 0 {
		return d
	}
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) * time.Microsecond }
	d.P50, d.P90, d.P99, d.P999, d.Max = at(50), at(90), at(99), at(99.9), at(100)
	for _, share := range curve {
		p := CurvePoint{At: at(share), Share: share / 100}
		if n := len(d.Curve); n > 0 && d.Curve[n-1].At == p.At {
			d.Curve[n-1] = p // all that took as long
			continue
		}
		d.Curve = append(d.Curve, p)
	}
	return d
}

// timings is the latency of one side of one route.
type timings struct{ first, whole counts }

func (t *timings) add(x compare.Times) {
	t.first.add(x.First)
	if x.Whole > 0 {
		t.whole.add(x.Whole)
	}
}

func (t *timings) latency() Latency { return Latency{t.first.distribution(), t.whole.distribution()} }

func (t *timings) merge(from *timings) {
	t.first.merge(&from.first)
	t.whole.merge(&from.whole)
}

// exactCounts is how many durations a route keeps as they are.
const exactCounts = 256

// counts is a distribution that takes little room: routes are many, and those
// with many answers few. Up to exactCounts durations are kept as they are, in
// microseconds; beyond, as in HdrHistogram with two digits (an error of 0.8 %
// at most), but only the buckets that are used: 200 to 500, 16 bytes each.
type counts struct {
	exact   []uint32
	buckets map[uint32]int64
	n       int64
	max     uint32
}

func (c *counts) add(d time.Duration) {
	us := uint32(min(max(int64(d/time.Microsecond), 1), 1<<32-1))
	c.n++
	c.max = max(c.max, us)
	if c.buckets == nil {
		if len(c.exact) < exactCounts {
			c.exact = append(c.exact, us)
			return
		}
		c.spread()
	}
	c.buckets[bucket(us)]++
}

// spread turns what is kept exactly into buckets.
func (c *counts) spread() {
	if c.buckets == nil {
		c.buckets = make(map[uint32]int64, 64)
	}
	for _, us := range c.exact {
		c.buckets[bucket(us)]++
	}
	c.exact = nil
}

func (c *counts) merge(from *counts) {
	c.n += from.n
	c.max = max(c.max, from.max)
	if c.buckets == nil && from.buckets == nil && len(c.exact)+len(from.exact) <= exactCounts {
		c.exact = append(c.exact, from.exact...)
		return
	}
	c.spread()
	for _, us := range from.exact {
		c.buckets[bucket(us)]++
	}
	for b, n := range from.buckets {
		c.buckets[b] += n
	}
}

// bucket is the largest value that is counted with us: the same highest eight
// bits, all others set.
func bucket(us uint32) uint32 {
	if drop := bits.Len32(us) - 8; drop > 0 {
		return us | (1<<drop - 1)
	}
	return us
}

func (c *counts) distribution() Distribution {
	d := Distribution{Count: c.n}
	if c.n == 0 {
		return d
	}
	values := slices.Clone(c.exact)
	for b := range c.buckets {
		values = append(values, b)
	}
	slices.Sort(values)
	weight := func(v uint32) int64 {
		if c.buckets == nil {
			return 1
		}
		return c.buckets[v]
	}
	// The smallest value that this share of all does not exceed.
	at := func(share float64) time.Duration {
		want := max(int64(share*float64(c.n)+0.999999), 1)
		for _, v := range values {
			if want -= weight(v); want <= 0 {
				return time.Duration(min(v, c.max)) * time.Microsecond
			}
		}
		return time.Duration(c.max) * time.Microsecond
	}
	d.P50, d.P90, d.P99, d.P999, d.Max = at(0.5), at(0.9), at(0.99), at(0.999), at(1)
	return d
}
