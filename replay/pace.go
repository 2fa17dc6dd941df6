package replay

import (
	"context"
	"time"
)

// Pace maps captured time to the clock: the first moment of the capture is the
// moment at which Start was called, and a captured second lasts 1/speed
// seconds. A live capture needs none: what it delivers is due already.
type Pace struct {
	speed   float64
	origin  time.Time // captured
	started time.Time // on the clock
}

// NewPace returns a pace of speed × the captured one; speed must be positive.
func NewPace(speed float64) *Pace { return &Pace{speed: speed} }

// Start fixes the origin. It must come before the first Feed.
func (p *Pace) Start(origin, now time.Time) { p.origin, p.started = origin, now }

// Started reports whether Start was called.
func (p *Pace) Started() bool { return !p.started.IsZero() }

// Due returns when something that was captured at t is to happen.
func (p *Pace) Due(t time.Time) time.Time {
	return p.started.Add(time.Duration(float64(t.Sub(p.origin)) / p.speed))
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
