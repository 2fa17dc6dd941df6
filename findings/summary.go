package findings

import (
	"time"

	"tcpsandbox/compare"
)

// Verdicts counts answers by compare.Verdict.
type Verdicts [compare.Uncompared + 1]int64

// Summary is what a run came to, with the noise taken off.
type Summary struct {
	Verdicts   Verdicts               // of answers
	Closes     Verdicts               // of the ends of connections: identical, equivalent, different, uncompared
	Extra      int64                  // of those different: datagrams that production did not send
	Uncompared [compare.Reasons]int64 // by reason
	Excused    []Excused              // what was allowed to differ, most frequent first
	Groups     []Group                // what differs, most frequent first
	Routes     []Route                // most frequent first
	Noise      []Noise                // most frequent first; with a baseline only
	Latency    Sides                  // in all
	Series     Series
	// Baseline is how many of the old version's answers were compared, and how
	// many of them differed from production's.
	Baseline struct{ Compared, Differed int64 }

	noise []bool // by finding
}

// IsNoise reports whether what compare.Outcome.Finding stands for is noise: the
// answer differs in nothing but what the old version differs in, too.
func (s *Summary) IsNoise(finding int) bool { return finding < len(s.noise) && s.noise[finding] }

// Group is answers to requests of one route that differ from production's in
// the same places.
type Group struct {
	Route   string
	Places  []compare.Place // what they have in common; empty: they are missing
	Answers int64
	Missing bool
	Example Example
}

// Example is one answer of a group: the first one of a session that can be
// played again, or else the first one.
type Example struct {
	Session     uint64
	Client      string
	Request     string // its first line, secrets masked
	Differences []compare.Difference
	// Production and Application are the answers as text to set side by side,
	// decoded, secrets masked and cut to BodyLimit; nil: there was none.
	Production, Application *Body
}

// BodyLimit is how much of an example's answers is kept, in bytes each.
const BodyLimit = 32 << 10

// Body is an answer as text.
type Body struct {
	Head string // status line and header fields; of HTTP only
	Text string // JSON indented; bytes that are no text as a hex dump
	Cut  bool   // it was longer
}

// Excused is a place where answers differed and were allowed to.
type Excused struct {
	compare.Excuse
	Answers int64
}

// Route is what requests of one kind came to.
type Route struct {
	Name     string
	Verdicts Verdicts
	Latency  Sides
}

// Noise is a place where the baseline's answers differ from production's.
type Noise struct {
	Route                 string
	Place                 compare.Place
	Baseline, Application int64 // answers that differ there
	Answers               int64 // of the baseline's that were compared
}

// Sides is the latency of all who answered; see compare.Times for what it is.
type Sides struct {
	Production, Application, Baseline Latency
}

// Latency is the distribution of one side's answer times. Both start at the
// request's last byte.
type Latency struct{ First, Whole Distribution }

// Distribution is a number of durations.
type Distribution struct {
	Count                    int64
	P50, P90, P99, P999, Max time.Duration
	// Curve is the cumulative distribution in at most 200 points, shortest
	// first; only of the run as a whole.
	Curve []CurvePoint
}

// CurvePoint says that Share of all took At or less.
type CurvePoint struct {
	At    time.Duration
	Share float64
}

// Series is the run over time, in at most 600 steps of equal length.
type Series struct {
	Step   time.Duration
	Points []SeriesPoint
}

// SeriesPoint is one step: the answers to what the application was asked in it.
type SeriesPoint struct {
	Verdicts Verdicts
	// Production and Application are the mean times to the first byte; 0: none.
	Production, Application time.Duration
}
