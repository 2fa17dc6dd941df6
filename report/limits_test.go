package report

import (
	"strings"
	"testing"
	"time"
)

func TestFail(t *testing.T) {
	result := func(change func(*Result)) *Result {
		r := &Result{Answers: Answers{Compared: 1000, Identical: 1000}, Closes: Closes{Compared: 100, Identical: 100}}
		r.Latency.Whole.Production = Percentiles{P99: Milliseconds(10 * time.Millisecond), Count: 1000}
		r.Latency.Whole.Application = Percentiles{P99: Milliseconds(12 * time.Millisecond), Count: 1000}
		if change != nil {
			change(r)
		}
		return r
	}
	differ := func(different, missing int64) func(*Result) {
		return func(r *Result) {
			r.Answers.Different, r.Answers.Missing = different, missing
			r.Answers.Identical -= different + missing
		}
	}
	slower := func(f float64) *float64 { return &f }
	for _, tt := range []struct {
		name   string
		limits Limits
		result *Result
		want   string
	}{
		{"all well", Limits{FailOn: "different"}, result(nil), ""},
		{"one differs", Limits{FailOn: "different"}, result(differ(1, 0)), "1 of 1,000 compared answers is not production's"},
		{"one is missing", Limits{FailOn: "loss"}, result(differ(0, 1)), "1 of 1,000 compared answers is not production's"},
		{"never", Limits{FailOn: "never", MaxSlowdown: slower(0)}, result(differ(1, 0)), ""},
		{"as many as allowed", Limits{FailOn: "different", MaxDifferent: 0.002}, result(differ(1, 1)), ""},
		{"one more", Limits{FailOn: "different", MaxDifferent: 0.002}, result(differ(2, 1)), "3 of 1,000 compared answers are not production's (0.30 %), allowed are 0.2 %"},
		{"a connection's end", Limits{FailOn: "different"}, result(func(r *Result) { r.Closes.Different = 2 }), "2 of 100 compared connection ends are not production's"},
		{"slower than allowed", Limits{FailOn: "different", MaxSlowdown: slower(0.1)}, result(nil), "the application's p99 is 12.0 ms, production's 10.0 ms: 20 % more, allowed are 10 %"},
		{"as slow as allowed", Limits{FailOn: "different", MaxSlowdown: slower(0.2)}, result(nil), ""},
		{"not measured", Limits{FailOn: "different", MaxSlowdown: slower(0.2)}, result(func(r *Result) { r.Latency.Whole.Production = Percentiles{} }), "how much slower the application is could not be measured"},
		{"lost", Limits{FailOn: "loss"}, result(func(r *Result) { r.ClientBytes.Refused = 7 }), "lost: 7 client bytes (7 refused)"},
		{"lost, and allowed to", Limits{FailOn: "different"}, result(func(r *Result) { r.ClientBytes.Refused = 7 }), ""},
	} {
		failed := tt.result.Fail(tt.limits)
		if got := strings.Join(tt.result.Failed, "; "); got != tt.want || failed != (tt.want != "") || tt.result.Failed == nil {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
