package replay

import (
	"testing"

	"tcpsandbox/compare"
)

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
