package findings

import (
	"cmp"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
)

// An application that names everything anew in each answer must not fill the
// memory: neither with places, nor with signatures, examples or findings over
// time.
func TestRunIsBounded(t *testing.T) {
	for _, memory := range []int64{0, 16 << 20, 2 << 20} {
		testBounded(t, memory)
	}
}

func testBounded(t *testing.T, memory int64) {
	r := New(Config{Memory: memory})
	limit := cmp.Or(memory, MaxMemory)
	before := heap()
	long, at := strings.Repeat("k", 900), time.Unix(1700000000, 0)
	for i := range 4_000 {
		res := compare.Result{Verdict: compare.Different, Elsewhere: true}
		for n := range 60 {
			name := fmt.Sprintf("$.%s%d_%d", long, i, n)
			res.Differences = append(res.Differences, compare.Difference{
				Place: compare.Place{Kind: compare.InJSON, Name: name}, Path: strings.Clone(name),
				Production: []byte(long[:200]), Application: fmt.Appendf(nil, "%d", i),
			})
		}
		q := compare.Question{Route: fmt.Sprintf("GET /r%d", i%900)}
		x := exchange(q.Route, long, long+long)
		x.At = at.Add(time.Duration(i) * firstStep / 40)
		r.judged(q, x, newJudgement(res))
	}
	if grown := heap() - before; grown > limit {
		t.Errorf("with %d MiB it holds %d", limit>>20, grown>>20)
	}
	s := r.Summary()
	var series, groups int64
	for i := range s.Series.Points {
		series += s.Series.Points[i].Verdicts.sum()
	}
	for i := range s.Groups {
		groups += s.Groups[i].Answers
	}
	if s.Verdicts[compare.Different] != 4_000 || series != 4_000 || groups != 4_000 {
		t.Errorf("verdicts %v, %d in the series, %d in groups", s.Verdicts, series, groups)
	}
	runtime.KeepAlive(r)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Many findings in each step make the steps longer, and none is lost.
func TestSeriesOfManyFindings(t *testing.T) {
	const maxFindings = 100_000
	s := series{maxFindings: maxFindings}
	x := exchange("turn 1", "a", "b")
	const points, each = 300, 1000
	for i := range points {
		for f := 1; f <= each; f++ {
			s.add(time.Unix(0, 0).Add(time.Duration(i)*firstStep), x, compare.Different, f)
		}
	}
	held, counted := 0, int64(0)
	for i := range s.points {
		held += len(s.points[i].findings)
		for _, n := range s.points[i].findings {
			counted += n
		}
	}
	if held > maxFindings || held != s.findings || counted != points*each {
		t.Errorf("%d findings held, %d by its count; %d answers of %d", held, s.findings, counted, points*each)
	}
}
