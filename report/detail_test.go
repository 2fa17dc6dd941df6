package report

import (
	"testing"

	"tcpsandbox/compare"
)

func TestSettle(t *testing.T) {
	noisy, wrong := &Difference{Place: "header etag"}, &Difference{Place: "status"}
	type add struct {
		finding int
		answers int64
		first   *Difference
	}
	for _, tt := range []struct {
		name    string
		answers Answers
		adds    []add
		first   *Difference // before

		want        string
		wantAnswers Answers
		wantFirst   *Difference
	}{
		{"nothing differs", Answers{Identical: 3}, nil, nil, "identical", Answers{Identical: 3}, nil},
		{"noise only", Answers{Identical: 3, Different: 2}, []add{{1, 2, noisy}}, noisy, "equivalent", Answers{Identical: 3, Equivalent: 2}, nil},
		{"noise of two kinds", Answers{Different: 3}, []add{{1, 2, noisy}, {3, 1, nil}}, noisy, "equivalent", Answers{Equivalent: 3}, nil},
		{"noise first", Answers{Different: 3}, []add{{1, 2, noisy}, {2, 1, wrong}}, noisy, "different", Answers{Different: 1, Equivalent: 2}, wrong},
		{"noise later", Answers{Different: 3}, []add{{2, 1, wrong}, {1, 2, noisy}}, wrong, "different", Answers{Different: 1, Equivalent: 2}, wrong},
		{"no noise", Answers{Different: 3}, []add{{2, 3, wrong}}, wrong, "different", Answers{Different: 3}, wrong},
		{"beyond what findings there are", Answers{Different: 3}, []add{{1, 2, nil}}, wrong, "different", Answers{Different: 1, Equivalent: 2}, wrong},
		{"some are missing", Answers{Different: 2, Missing: 1}, []add{{1, 2, noisy}}, noisy, "missing", Answers{Equivalent: 2, Missing: 1}, nil},
		{"first not told", Answers{Different: 2}, []add{{1, 2, nil}}, noisy, "equivalent", Answers{Equivalent: 2}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := "identical"
			if tt.answers.Different > 0 {
				before = "different"
			}
			r := &Result{}
			d := Detail{Verdict: before, Answers: tt.answers, FirstDifference: tt.first, ClientBytes: ClientBytes{Captured: 1, Pending: 1}}
			for _, a := range tt.adds {
				d.AddFinding(a.finding, compare.Different, a.answers, a.first)
			}
			r.AddDetail(d)
			for range 2 {
				r.SettleDetail(func(finding int) bool { return finding%2 == 1 })
				for _, got := range []*Detail{&r.Detail[0], &r.worst[0]} {
					if got.Verdict != tt.want || got.FirstDifference != tt.wantFirst {
						t.Errorf("%s, first difference %v", got.Verdict, got.FirstDifference)
					}
					a, b := got.Answers, tt.wantAnswers
					if a.Identical != b.Identical || a.Equivalent != b.Equivalent || a.Different != b.Different || a.Missing != b.Missing {
						t.Errorf("%+v", a)
					}
				}
			}
		})
	}
}

// A finding of nought is none that could be excused.
func TestSettleNoFinding(t *testing.T) {
	d := Detail{Verdict: compare.Different.String(), Answers: Answers{Different: 1}}
	d.AddFinding(0, compare.Different, 1, nil)
	d.Settle(func(int) bool { return true })
	if d.Verdict != "different" || d.Answers.Different != 1 {
		t.Errorf("%+v", d)
	}
}
