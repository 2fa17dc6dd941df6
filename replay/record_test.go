package replay

import (
	"testing"

	"tcpsandbox/compare"
)

// Each answer of a session that asks for many things differs in something of
// its own, all of which may turn out to be noise.
func TestRecordFindings(t *testing.T) {
	const routes = 300
	var r Record
	first := &compare.Difference{}
	for i := range 3 * routes {
		out := compare.Outcome{Verdict: compare.Different, Finding: 1 + i%routes}
		if i > 10 && len(r.told) < maxFirsts { // the ones before are noise for sure
			out.First = first
		}
		r.found("GET /", out)
	}
	var answers int64
	firsts := 0
	for _, f := range r.Findings {
		answers += f.Answers
		if f.First != nil {
			firsts++
		}
	}
	if len(r.Findings) != routes || answers != 3*routes {
		t.Errorf("%d findings of %d answers, want %d of %d", len(r.Findings), answers, routes, 3*routes)
	}
	if firsts != maxFirsts || len(r.told) != maxFirsts {
		t.Errorf("%d have a first difference, %d are counted, want %d", firsts, len(r.told), maxFirsts)
	}
}

// On a connection that all requests share, what differs in any of its routes
// may turn out to be noise.
func TestManyFindings(t *testing.T) {
	var r Record
	for i := range 3 * 200 {
		r.found("GET /", compare.Outcome{Verdict: compare.Different, Finding: 1 + i%200})
	}
	var answers int64
	for _, f := range r.Findings {
		answers += f.Answers
	}
	if answers != 600 {
		t.Errorf("findings of %d of 600 answers", answers)
	}
	for i := range 2 * maxFindings {
		r.found("GET /", compare.Outcome{Verdict: compare.Different, Finding: 1 + i})
	}
	if len(r.Findings) != maxFindings {
		t.Errorf("%d findings", len(r.Findings))
	}
}
