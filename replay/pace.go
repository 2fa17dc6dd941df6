package replay

import (
	"context"
	"sort"
	"sync/atomic"
	"time"
)

// Pace maps captured time to the clock: the first moment of the capture is the
// moment at which Start was called, and a captured second lasts 1/speed
// seconds. A live capture needs none: what it delivers is due already.
//
// One goroutine calls Start and Saw; the other methods may be called by any.
type Pace struct {
	speed float64
	skip  time.Duration // pauses are cut to this; 0: they are not
	line  atomic.Pointer[timeline]
	seen  time.Time // captured, up to where Saw came
}

// timeline is a Pace from Start on. It does not change; one with another cut
// replaces it.
type timeline struct {
	origin  time.Time // captured
	started time.Time // on the clock
	cuts    []cut     // in order
}

// cut is a pause that was shortened: captured time from from to to, both from
// the origin, does not pass.
type cut struct {
	from, to time.Duration
	total    time.Duration // with all cuts before
}

// NewPace returns a pace of speed × the captured one; speed must be positive.
func NewPace(speed float64) *Pace { return &Pace{speed: speed} }

// SkipIdle cuts captured pauses that are longer than d to d, before the speed
// is applied. It needs to be told of all packets, with Saw. A pause costs 24
// bytes until the next Start. It must be called before Start.
func (p *Pace) SkipIdle(d time.Duration) { p.skip = d }

// Start fixes the origin. It must come before the first Feed; to play a
// capture again, call it again when all sessions have ended.
func (p *Pace) Start(origin, now time.Time) {
	p.seen = origin
	p.line.Store(&timeline{origin: origin, started: now})
}

// Saw tells that a packet was captured at t; call it in the order of capture,
// and before Due is asked for that packet.
func (p *Pace) Saw(t time.Time) {
	pause := t.Sub(p.seen)
	if pause <= 0 {
		return
	}
	if p.skip > 0 && pause > p.skip {
		l := *p.line.Load()
		c := cut{from: p.seen.Add(p.skip).Sub(l.origin), to: t.Sub(l.origin), total: pause - p.skip}
		if n := len(l.cuts); n > 0 {
			c.total += l.cuts[n-1].total
		}
		// Those who read the timeline before look at its own part of the array.
		l.cuts = append(l.cuts, c)
		p.line.Store(&l)
	}
	p.seen = t
}

// Due returns when something that was captured at t is to happen.
func (p *Pace) Due(t time.Time) time.Time {
	l := p.line.Load()
	offset := t.Sub(l.origin)
	if n := sort.Search(len(l.cuts), func(i int) bool { return l.cuts[i].from > offset }); n > 0 {
		// In a cut it stays at the cut's beginning.
		c := l.cuts[n-1]
		offset = max(offset, c.to) - c.total
	}
	return l.started.Add(time.Duration(float64(offset) / p.speed))
}

// Wait blocks until what was captured at t is due in ahead or less, so that a
// reader of a file stays only that far in front of the players.
func (p *Pace) Wait(ctx context.Context, t time.Time, ahead time.Duration) error {
	d := time.Until(p.Due(t)) - ahead
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
