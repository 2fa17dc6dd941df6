package findings

import (
	"fmt"
	"testing"

	"tcpsandbox/compare"
)

// Whatever was asked before, a result is that of the comparison.
func TestRecent(t *testing.T) {
	var m recent
	m.init()
	texts := []string{"", "a", "b", "a b", "a c", "price 12", "price 12.5"}
	for round := range 3 {
		for _, production := range texts {
			for _, application := range texts {
				for _, route := range []string{"turn 1", "turn 2"} {
					for cut := range 2 {
						x := exchange(route, production, application)
						x.Application.Complete = cut == 0
						q := compare.Question{Route: route}
						want := x.Judge(q, nil)
						if got := m.judge(x, q, nil); fmt.Sprint(got.Result) != fmt.Sprint(want) {
							t.Fatalf("round %d, %q and %q: %v, want %v", round, production, application, got.Result, want)
						}
					}
				}
			}
		}
	}
	for i := range 10 * maxRecent {
		x := exchange("turn 1", "a", fmt.Sprint(i))
		if got, want := m.judge(x, compare.Question{}, nil).Result, x.Judge(compare.Question{}, nil); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%d: %v, want %v", i, got, want)
		}
	}
	if len(m.now) > maxRecent || len(m.before) > maxRecent {
		t.Errorf("%d and %d are kept", len(m.now), len(m.before))
	}
}

// All answers of a load differ in the same: what is kept must not change what
// is counted, or grow.
func TestRecentCounts(t *testing.T) {
	r := New(Config{})
	for i := range 1000 {
		x := exchange("turn 1", "price 12", "price 12.5")
		if i%2 == 1 {
			x = exchange("turn 1", "price 12", "price 13")
		}
		x.First = i < 2
		if out := r.Judge(x); out.Verdict != compare.Different || out.Finding != 1 && out.Finding != 2 {
			t.Fatalf("%+v", out)
		}
	}
	s := r.Summary()
	var all int64
	for _, g := range s.Groups {
		all += g.Answers
	}
	if all != 1000 || s.Verdicts[compare.Different] != 1000 {
		t.Errorf("%d in groups, %v", all, s.Verdicts)
	}
}
