package report

import (
	"fmt"
	"time"
)

// Limits say when a run has failed.
type Limits struct {
	// FailOn is "different": on answers, or ends of connections, that are not
	// production's; "loss": on client bytes that did not arrive as well; or
	// "never".
	FailOn string
	// MaxDifferent is the share of answers, from 0 to 1, that may be different
	// or missing, and of the ends of connections.
	MaxDifferent float64
	// MaxSlowdown is by what share of production's the application's p99 of
	// whole answers may be longer; nil: by any.
	MaxSlowdown *float64
}

// Fail sets Failed to why the run has failed by the limits, one line each, and
// reports whether it has.
func (r *Result) Fail(l Limits) bool {
	r.Failed = []string{}
	if l.FailOn == "never" {
		return false
	}
	fail := func(format string, args ...any) { r.Failed = append(r.Failed, fmt.Sprintf(format, args...)) }
	beyond := func(wrong, compared int64, what string) {
		are := "are"
		if wrong == 1 {
			are = "is"
		}
		switch {
		case wrong == 0 || float64(wrong) <= l.MaxDifferent*float64(compared):
		case l.MaxDifferent > 0:
			fail("%s of %s %s not production's (%s %%), allowed are %s %%", number(wrong), count(compared, what), are, percent(wrong, compared), share(l.MaxDifferent))
		default:
			fail("%s of %s %s not production's", number(wrong), count(compared, what), are)
		}
	}
	beyond(r.Answers.Different+r.Answers.Missing, r.Answers.Compared, "compared answer")
	beyond(r.Closes.Different, r.Closes.Compared, "compared connection end")
	if l.MaxSlowdown != nil {
		p, a := &r.Latency.Whole.Production, &r.Latency.Whole.Application
		switch slower := float64(a.P99)/float64(p.P99) - 1; {
		case p.Count == 0 || a.Count == 0:
			fail("how much slower the application is could not be measured")
		case slower > *l.MaxSlowdown:
			fail("the application's p99 is %s, production's %s: %s %% more, allowed are %s %%",
				duration(time.Duration(a.P99)), duration(time.Duration(p.P99)), share(slower), share(*l.MaxSlowdown))
		}
	}
	if words := r.LossWords(); words != "" && l.FailOn == "loss" {
		fail("lost: %s", words)
	}
	return len(r.Failed) > 0
}

// share writes 0.123 as "12.3".
func share(f float64) string { return fmt.Sprintf("%.3g", 100*f) }
