package main

import (
	"fmt"
	"time"
)

// watchdog decides whether the replay must stop for production's sake: when too
// many of production's segments are sent again, or the host's tasks wait too long
// for what they need. Once a second it is told what was captured.
//
//	         over a limit                   calm for 10 s
//	playing ─────────────▶ stopped ─────────────────────▶ playing
//
// Calm is below half of each limit. A production that loses segments without our
// doing would never be calm: the limit is therefore at least twice what it was
// before the replay, and when it is as bad after 20 s without any replay, that is
// what it is by itself from then on.
//
// It belongs to one goroutine.
type watchdog struct {
	retransmissions float64 // limit as a share of production's segments; 0: none
	pressures       pressures
	read            func(resource string) (string, error) // the kernel's word

	seen    []sight // of the last ten seconds, one each
	before  float64 // share sent again without a replay
	stopped bool
	since   time.Time // when it was stopped
	calm    time.Time // since when it has been calm; zero: it is not
	why     string    // what crossed a limit last
}

// sight is what was captured by then.
type sight struct {
	at              time.Time
	segments, again uint64
}

const (
	watchTick   = time.Second
	watchWindow = 10 * time.Second
	// fewSegments in that time tell nothing: a single loss would be 1 %.
	fewSegments = 100
	// ownDoing is after how long without a replay what is lost is production's own:
	// the window, and as much for what was under way.
	ownDoing = 2 * watchWindow
	calmFor  = 10 * time.Second
)

// tick takes in what was captured by now, data segments and those of them that
// were sent again, and whether the replay has begun. It reports whether the
// replay is to be stopped.
func (w *watchdog) tick(now time.Time, segments, again uint64, playing bool) (stopped bool) {
	rate, known := w.rate(sight{now, segments, again})
	if !playing {
		if known {
			w.before = rate
		}
		return false
	}
	if w.stopped && now.Sub(w.since) >= ownDoing && known {
		w.before = max(w.before, rate)
	}
	over, calm := "", true
	if w.retransmissions > 0 && known {
		limit := max(w.retransmissions, 2*w.before)
		if rate > limit {
			over = fmt.Sprintf("production sends %s of its segments again (limit %s)", percentOf(rate), percentOf(limit))
		}
		calm = rate <= max(w.retransmissions/2, 1.25*w.before)
	}
	for _, resource := range w.pressures.names() {
		limit := w.pressures[resource]
		text, err := w.read(resource)
		if err != nil {
			continue // who begins the watch says so
		}
		share, err := stalled(resource, text)
		if err != nil {
			continue
		}
		if share > limit && over == "" {
			over = fmt.Sprintf("the host waits for %s %s of the time (limit %s)", resource, percentOf(share), percentOf(limit))
		}
		calm = calm && share <= limit/2
	}
	switch {
	case over != "":
		w.why, w.calm = over, time.Time{}
		if !w.stopped {
			w.stopped, w.since = true, now
		}
	case !w.stopped:
	case !calm:
		w.calm = time.Time{}
	case w.calm.IsZero():
		w.calm = now
	case now.Sub(w.calm) >= calmFor:
		w.stopped, w.calm = false, time.Time{}
	}
	return w.stopped
}

// rate returns the share of production's segments of the last ten seconds that
// were sent again, if there were enough to tell.
func (w *watchdog) rate(now sight) (share float64, known bool) {
	w.seen = append(w.seen, now)
	for len(w.seen) > 1 && now.at.Sub(w.seen[0].at) > watchWindow {
		w.seen = append(w.seen[:0], w.seen[1:]...)
	}
	first := w.seen[0]
	n := now.segments - first.segments
	if n < fewSegments {
		return 0, false
	}
	return float64(now.again-first.again) / float64(n), true
}

func percentOf(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }
