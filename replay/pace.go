package replay

import (
	"context"
	"math"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Pace maps captured time to the clock: the first moment of the capture is the
// moment at which Start was called, and a captured second lasts 1/speed
// seconds, except while it is held. A live capture needs none: what it delivers
// is due already.
//
// One goroutine calls Start and Saw; the other methods may be called by any.
type Pace struct {
	skip time.Duration // pauses are cut to this; 0: they are not
	line atomic.Pointer[timeline]
	seen time.Time // captured, up to where Saw came

	mu      sync.Mutex // of changes, and of what follows
	speed   float64
	held    bool
	changed chan struct{} // closed with the next change
	tell    []func()      // called after each change
}

// timeline is a Pace from Start on. It does not change; one with another cut,
// or another speed, replaces it.
type timeline struct {
	origin time.Time // captured
	cuts   []cut     // in order
	pieces []piece   // in order; one at least
	held   bool      // at the beginning of the last piece
}

// cut is a pause that was shortened: captured time from from to to, both from
// the origin, does not pass.
type cut struct {
	from, to time.Duration
	total    time.Duration // with all cuts before
}

// piece is a part of a timeline with one speed: what was captured later than
// from, cuts taken off, and up to the next piece.
type piece struct {
	from  time.Duration
	at    time.Time // on the clock
	speed float64
}

// due returns when something with this offset happens. It is rounded up and
// reached down, so that of two that are a nanosecond apart the one is due at a
// change and the other is not.
func (p *piece) due(offset time.Duration) time.Time {
	return p.at.Add(time.Duration(math.Ceil(float64(offset-p.from) / p.speed)))
}

// reached returns which offset is due.
func (p *piece) reached(now time.Time) time.Duration {
	return p.from + time.Duration(math.Floor(float64(now.Sub(p.at))*p.speed))
}

// NewPace returns a pace of speed × the captured one; speed must be positive.
func NewPace(speed float64) *Pace { return &Pace{speed: speed, changed: make(chan struct{})} }

// SkipIdle cuts captured pauses that are longer than d to d, before the speed
// is applied. It needs to be told of all packets, with Saw. A pause costs 24
// bytes until the next Start. It must be called before Start.
func (p *Pace) SkipIdle(d time.Duration) { p.skip = d }

// Start fixes the origin. It must come before the first Feed; to play a
// capture again, call it again when all sessions have ended. The speed stays
// what it was, and a pace that is held stays held.
func (p *Pace) Start(origin, now time.Time) {
	p.seen = origin
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line.Store(&timeline{origin: origin, pieces: []piece{{at: now, speed: p.speed}}, held: p.held})
}

// Saw tells that a packet was captured at t; call it in the order of capture,
// and before Due is asked for that packet.
func (p *Pace) Saw(t time.Time) {
	pause := t.Sub(p.seen)
	if pause <= 0 {
		return
	}
	if p.skip > 0 && pause > p.skip {
		p.cut(t, pause-p.skip)
	}
	p.seen = t
}

// cut takes off d of the pause that ends at t.
func (p *Pace) cut(t time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := *p.line.Load()
	c := cut{from: p.seen.Add(p.skip).Sub(l.origin), to: t.Sub(l.origin), total: d}
	if n := len(l.cuts); n > 0 {
		c.total += l.cuts[n-1].total
	}
	// Those who read the timeline before look at its own part of the array.
	l.cuts = append(l.cuts, c)
	p.line.Store(&l)
}

// SetSpeed changes the speed from now on; it must be positive. What was due
// before stays so, and what was not is due from where captured time is now.
func (p *Pace) SetSpeed(speed float64, now time.Time) {
	p.change(now, func() { p.speed = speed })
}

// Speed returns how many captured seconds pass in one.
func (p *Pace) Speed() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.speed
}

// Hold makes captured time stand still from now on: what is not due yet is due
// in more than a hundred years. It is idempotent.
func (p *Pace) Hold(now time.Time) { p.change(now, func() { p.held = true }) }

// Release lets captured time go on from where Hold has stopped it. It is
// idempotent.
func (p *Pace) Release(now time.Time) { p.change(now, func() { p.held = false }) }

// change begins a new piece of the timeline, if there is one already.
func (p *Pace) change(now time.Time, set func()) {
	p.mu.Lock()
	speed, held := p.speed, p.held
	set()
	if p.speed == speed && p.held == held {
		p.mu.Unlock()
		return
	}
	if old := p.line.Load(); old != nil {
		l := *old
		l.pieces, l.held = append(l.pieces, l.reach(now)), p.held
		l.pieces[len(l.pieces)-1].speed = p.speed
		p.line.Store(&l)
	}
	close(p.changed)
	p.changed = make(chan struct{})
	tell := p.tell
	p.mu.Unlock()
	for _, f := range tell {
		f()
	}
}

// reach returns a piece that begins where captured time is now.
func (l *timeline) reach(now time.Time) piece {
	last := l.pieces[len(l.pieces)-1]
	if now.Before(last.at) {
		now = last.at // another goroutine's clock
	}
	if !l.held {
		last.from = last.reached(now)
	}
	last.at = now
	return last
}

// onChange makes f be called after each change of the speed, and each Hold and
// Release that had an effect, by who made it.
func (p *Pace) onChange(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell = append(p.tell[:len(p.tell):len(p.tell)], f)
}

// never is when something is due that is held.
const never = 1 << 62 * time.Nanosecond // 146 years

// Due returns when something that was captured at t is to happen.
func (p *Pace) Due(t time.Time) time.Time {
	l := p.line.Load()
	offset := t.Sub(l.origin)
	if n := sort.Search(len(l.cuts), func(i int) bool { return l.cuts[i].from > offset }); n > 0 {
		// In a cut it stays at the cut's beginning.
		c := l.cuts[n-1]
		offset = max(offset, c.to) - c.total
	}
	n := len(l.pieces) - 1
	for n > 0 && offset <= l.pieces[n].from { // most are of the last
		n--
	}
	piece := &l.pieces[n]
	if l.held && n == len(l.pieces)-1 && offset > piece.from {
		return piece.at.Add(never)
	}
	due := piece.due(offset)
	if n < len(l.pieces)-1 && due.After(l.pieces[n+1].at) {
		due = l.pieces[n+1].at // it was due by then, but for the rounding
	}
	return due
}

// Wait blocks until what was captured at t is due in ahead or less, so that a
// reader of a file stays only that far in front of the players. It notices at
// once when the speed changes. While the pace is held it returns only for what
// is due.
func (p *Pace) Wait(ctx context.Context, t time.Time, ahead time.Duration) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		d := time.Until(p.Due(t)) - ahead
		if d <= 0 {
			return ctx.Err()
		}
		timer.Reset(d)
		select {
		case <-timer.C:
			return nil
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
