package replay

import (
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	const ms = time.Millisecond
	base := gate{quiet: 20 * ms, timeout: 5000 * ms}
	const waits = causes
	for _, tt := range []struct {
		name  string
		set   func(*gate)
		cause Cause
		wait  time.Duration
	}{
		{"nothing is to be waited for", func(g *gate) {}, Exact, 0},
		{"raw, enough", func(g *gate) { g.want, g.got, g.since = 10, 10, 10 }, Exact, 0},
		{"raw, more than enough", func(g *gate) { g.want, g.got, g.since = 10, 11, 11 }, Exact, 0},
		{"raw, enough after a long time", func(g *gate) { g.want, g.got, g.silence = 10, 10, time.Hour }, Exact, 0},
		{"raw, nothing yet", func(g *gate) { g.want, g.silence = 10, 30*ms }, waits, 4970 * ms},
		{"raw, nothing since the last release", func(g *gate) { g.want, g.got, g.silence = 20, 10, 30*ms }, waits, 4970 * ms},
		{"raw, too little, not yet silent", func(g *gate) { g.want, g.got, g.since, g.silence = 10, 9, 9, 19*ms }, waits, ms},
		{"raw, too little, silent", func(g *gate) { g.want, g.got, g.since, g.silence = 10, 9, 9, 20*ms }, Quiet, 0},
		{"raw, too little, silent for longer than the time-out", func(g *gate) { g.want, g.got, g.since, g.silence = 10, 9, 9, time.Hour }, Quiet, 0},
		{"raw, quiet beyond the time-out", func(g *gate) { g.want, g.got, g.since, g.silence, g.quiet = 10, 9, 9, 4999*ms, time.Hour }, waits, ms},
		{"raw, nothing for the time-out", func(g *gate) { g.want, g.silence = 10, 5000*ms }, Timeout, 0},
		{"framed, complete and equal", func(g *gate) { g.framed, g.complete, g.want, g.got = true, true, 10, 10 }, Exact, 0},
		{"framed, complete and shorter", func(g *gate) { g.framed, g.complete, g.want, g.got = true, true, 10, 4 }, Boundary, 0},
		{"framed, complete and longer", func(g *gate) { g.framed, g.complete, g.want, g.got = true, true, 10, 14 }, Boundary, 0},
		{"framed, complete after a long time", func(g *gate) { g.framed, g.complete, g.silence = true, true, time.Hour }, Exact, 0},
		{"framed, incomplete, enough bytes", func(g *gate) { g.framed, g.want, g.got, g.since = true, 10, 14, 14 }, waits, 5000 * ms},
		{"framed, incomplete, as early as production", func(g *gate) { g.framed, g.early, g.want, g.got = true, true, 10, 10 }, Exact, 0},
		{"framed, incomplete, earlier than production", func(g *gate) { g.framed, g.early, g.want, g.got = true, true, 10, 9 }, waits, 5000 * ms},
		{"framed, silence does not end an answer", func(g *gate) { g.framed, g.want, g.got, g.since, g.silence = true, 10, 5, 5, 4000*ms }, waits, 1000 * ms},
		{"framed, until the time-out", func(g *gate) { g.framed, g.want, g.got, g.since, g.silence = true, 10, 5, 5, 5000*ms }, Timeout, 0},
	} {
		g := base
		tt.set(&g)
		cause, wait, ok := g.decide()
		if !ok {
			cause = waits
		}
		if cause != tt.cause || wait != tt.wait {
			t.Errorf("%s: cause %d, wait %v; want %d, %v", tt.name, cause, wait, tt.cause, tt.wait)
		}
	}
}

func TestCauseNames(t *testing.T) {
	for c, want := range []string{"exact", "boundary", "quiet", "timeout"} {
		if got := Cause(c).String(); got != want {
			t.Errorf("%d is %q, want %q", c, got, want)
		}
	}
}
