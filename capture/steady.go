package capture

import (
	"context"
	"time"
)

// Clocks that step. A packet's time is what the wall clock of the capturing host
// said, and that is set: by NTP, by hand, when a virtual machine wakes up. All
// that follows (idle sessions, latencies, a file's pace) measures with these
// times, so steps are taken out here, before anything else sees them:
//
//	step   file, stream                        interface
//	back   more than backStep: time goes on    the same
//	       from the packet before
//	ahead  a pause, which may be real: kept    no packet is later than now, by a
//	                                           clock that nobody can set
//
// A single packet whose time is far from both its neighbours' has a broken
// timestamp; it moves nothing.

const (
	// backStep is what packets may come out of order without being taken for a
	// clock's step: some capture programs write what several queues or
	// interfaces gave as much as a second late. What is less than a step delays
	// nothing by more.
	backStep = 2 * int64(time.Second)
	// aheadStep is how far ahead of now a packet of an interface may be. The
	// kernel stamps them by a clock that NTP slews exactly as it does the
	// monotonic one, so there is no drift between the two; but the readings that
	// they are compared by are not taken at the same moment.
	aheadStep = 100 * int64(time.Millisecond)
	// maxJump is how far ahead a packet may be of which nobody can tell yet
	// whether the next one is, too.
	maxJump = 24 * int64(time.Hour)
)

// Steady returns a source with src's packets, in whose times the steps of the
// capturing host's clock are taken out. On an interface no packet is later
// than now; elsewhere time only never goes back by much, and a leap ahead, which
// may be a pause, stays.
func Steady(src Source) Source {
	s := &steady{Source: src}
	if _, ok := underneath(src).(interface{ onInterface() }); ok {
		// The monotonic reading makes this immune to what happens to the wall
		// clock from now on.
		begun := time.Now()
		s.now = func() int64 { return begun.UnixNano() + int64(time.Since(begun)) }
	}
	return s
}

// underneath returns the source behind a filter.
func underneath(src Source) Source {
	if m, ok := src.(*matching); ok {
		return m.Source
	}
	return src
}

type steady struct {
	Source
	now   func() int64 // nil: unknown when packets came
	last  int64        // the latest time that was given out
	shift int64        // what is added to times
	// The packet after a step at a batch's end tells whether it was one.
	lastBefore, shiftBefore int64
	unsure                  bool
	doubted                 int64 // as it was captured: so far ahead at a batch's end that the next one has to confirm it
}

// Run implements Source.
func (s *steady) Run(ctx context.Context, fn func(batch []Packet) error) error {
	return s.Source.Run(ctx, func(batch []Packet) error {
		var now int64
		if s.now != nil {
			now = s.now()
		}
		for i := range batch {
			batch[i].Time = s.time(batch, i, now)
		}
		return fn(batch)
	})
}

// time returns a packet's time without the steps before it. The packets before
// it in the batch have theirs already, those behind it have not.
func (s *steady) time(batch []Packet, i int, now int64) int64 {
	raw := batch[i].Time
	if raw <= 0 { // it has none: that of the one before, or of the first that has one
		for ; s.last == 0 && i < len(batch); i++ {
			if batch[i].Time > 0 {
				return batch[i].Time
			}
		}
		return s.last
	}
	if s.last == 0 {
		if s.last = raw; s.now != nil {
			s.last = min(raw, now)
		}
	}
	if s.unsure {
		if s.unsure = false; apart(raw+s.shiftBefore, s.lastBefore) < apart(raw+s.shift, s.last) {
			s.last, s.shift = s.lastBefore, s.shiftBefore // the packet before was alone
		}
	}
	next := int64(0)
	if i+1 < len(batch) {
		next = max(batch[i+1].Time, 0)
	}
	t := raw + s.shift
	step := t < s.last-backStep || t > s.last+backStep
	if step && next == 0 {
		s.unsure, s.lastBefore, s.shiftBefore = true, s.last, s.shift
	}
	switch {
	case s.now != nil && t > now+aheadStep:
		s.shift -= t - now
		t = max(now, s.last)
	case step && next != 0 && apart(next+s.shift, s.last) <= backStep:
		return s.last // it is alone
	case t < s.last-backStep:
		s.shift += s.last - t
		t = s.last
	case next == 0 && t > s.last+maxJump && apart(raw, s.doubted) > maxJump:
		s.doubted, s.unsure = raw, false
		return s.last
	}
	s.last = max(s.last, t)
	return t
}

// apart returns how far two times are from each other.
func apart(a, b int64) int64 { return max(a-b, b-a) }
