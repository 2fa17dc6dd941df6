package main

import (
	"math"
	"sync/atomic"
	"time"

	"tcpsandbox/replay"
)

// governor keeps tcpsandbox itself within --max-cpu, capture and replay together,
// system calls included. Ten times a second it is told how much was used, and
// answers with the share of the sessions that is to be played:
//
//	used more ──▶ fewer new sessions ──▶ none: fewer running ones ──▶ none: the capture waits
//	used less ◀── more new sessions  ◀── all:  more running ones  ◀── (the kernel drops, and counts)
//
// It takes off by as much as is used too much, and gives back slowly. What was
// used too much before the load came down is a debt, which is paid back before
// more is played: so the limit holds over a run, and not only once all has
// settled. A second's worth may be used ahead.
//
// Where all that is read can wait, as files and streams can, nothing is shed: the
// reader waits.
//
// tick belongs to one goroutine; stalled may be asked by any.
type governor struct {
	limit float64 // processors; 0: no governor
	waits bool

	last  time.Time
	used  time.Duration // at last
	debt  time.Duration // of processor time; less than nothing: what may be used ahead
	drops uint64        // at last
	share replay.Share

	until atomic.Int64 // the reader waits, in nanoseconds since 1970
}

const (
	// governorTick is short against the second that the limit is kept over, and
	// long against what a look costs (5 µs on a busy machine).
	governorTick = 100 * time.Millisecond
	// payBack is within what time a debt is paid back, if half of the limit is
	// enough for it.
	payBack = 4 * time.Second
	// least is the share below which a load is nothing; it would take a second of
	// governing to get from there to nothing.
	least = 0.01
	// roomy is how much of the limit may be used while more is played.
	roomy = 0.85
	// atLimit is from how much on what the kernel drops is taken for the limit's
	// doing: with one processor for one busy process, measured use is 0.93 to 1.
	atLimit = 0.9
)

func newGovernor(limit float64, waits bool) *governor {
	return &governor{limit: limit, waits: waits, share: replay.Share{New: 1, Running: 1, Why: replay.ShedCPU}}
}

// begin takes in what was used before: since the process began.
func (g *governor) begin(now time.Time, age, used time.Duration, drops uint64) {
	g.last, g.used, g.drops = now, used, drops
	g.debt = max(used-g.allowed(age), -g.allowed(time.Second))
}

// allowed is how much processor time the limit comes to.
func (g *governor) allowed(d time.Duration) time.Duration {
	return time.Duration(float64(d) * g.limit)
}

// tick takes in how much processor time the process has used until now, and how
// many packets the kernel has dropped. It returns what is to be played.
func (g *governor) tick(now time.Time, used time.Duration, drops uint64) replay.Share {
	passed := now.Sub(g.last)
	if passed <= 0 {
		return g.share
	}
	spent := used - g.used
	cores := float64(spent) / float64(passed)
	dropped := drops > g.drops && cores >= atLimit*g.limit
	g.last, g.used, g.drops = now, used, drops
	g.debt = max(g.debt+spent-g.allowed(passed), -g.allowed(time.Second))

	target := g.limit
	if g.debt > 0 {
		target -= min(g.limit/2, float64(g.debt)/float64(payBack))
	}
	switch over := g.debt > 0 && cores > target; {
	case over && (g.waits || g.share.New+g.share.Running == 0):
		// What was used too much in this tick is not used in what follows.
		rest := time.Duration((cores - target) / target * float64(passed))
		g.until.Store(now.Add(min(rest, time.Second)).UnixNano())
	case g.waits:
	case over:
		g.less(max(0.2, min(0.95, target/cores)))
	case dropped:
		g.less(0.8)
	case g.debt <= 0 && cores < roomy*g.limit:
		g.more()
	}
	return g.share
}

// less takes off from what is played.
func (g *governor) less(factor float64) {
	part := &g.share.New
	if *part == 0 {
		part = &g.share.Running
	}
	if *part *= factor; *part < least {
		*part = 0
	}
}

// more gives back a tenth: from nothing to all in six seconds.
func (g *governor) more() {
	part := &g.share.Running
	if *part >= 1 {
		part = &g.share.New
	}
	*part = math.Min(1, *part+max(least/2, *part/10))
}

// stalled returns how long the reader is to wait from now on.
func (g *governor) stalled(now time.Time) time.Duration {
	return max(0, time.Duration(g.until.Load()-now.UnixNano()))
}
