package replay

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tcpsandbox/compare"
)

// Result returns the sum so far.
func (e *Engine) Result() *Result {
	out := e.Counts()
	var lateness *hdrhistogram.Histogram
	for _, sh := range e.shards {
		t := &sh.tally
		t.mu.Lock()
		if lateness == nil {
			lateness = hdrhistogram.Import(t.lateness.Export())
		} else {
			lateness.Merge(t.lateness)
		}
		t.mu.Unlock()
	}
	out.Lateness = latency(lateness)
	return out
}

// Counts is Result without Lateness, which is what takes long of it. It may be
// called at any time.
func (e *Engine) Counts() *Result {
	out := &Result{Verdicts: map[compare.Verdict]int64{}, FailedAs: map[string]int{}}
	ended := 0
	for _, sh := range e.shards {
		t := &sh.tally
		t.mu.Lock()
		r := &t.result
		out.Complete += r.Complete
		out.Joined += r.Joined
		out.Replayed += r.Replayed
		out.Finished += r.Finished
		out.Failed += r.Failed
		for state, n := range r.FailedAs {
			out.FailedAs[state] += n
		}
		out.Skipped += r.Skipped
		out.Filtered += r.Filtered
		out.Copies += r.Copies
		out.UDP += r.UDP
		out.Extra += r.Extra
		out.Datagrams += r.Datagrams
		out.DatagramsRefused += r.DatagramsRefused
		out.Shed += r.Shed
		for why, n := range r.ShedFor {
			out.ShedFor[why] += n
		}
		out.Reconnects += r.Reconnects
		ended += r.Seen
		out.Bytes.Add(&r.Bytes)
		out.Captured += r.Captured
		out.Missing += r.Missing
		for i, n := range r.Release {
			out.Release[i] += n
		}
		for v, n := range r.Verdicts {
			out.Verdicts[v] += n
		}
		out.Defects = append(out.Defects, r.Defects...)
		t.mu.Unlock()
	}
	out.Seen = int(e.seen.Load())
	_, out.PeakHeld = e.Held()
	if err := out.Bytes.Check(out.Captured); err != nil {
		out.Defects = append(out.Defects, err.Error())
	}
	if e.active.Load() == 0 && ended != out.Seen {
		out.Defects = append(out.Defects, fmt.Sprintf("%d sessions were seen, %d are accounted for", out.Seen, ended))
	}
	return out
}

func latency(h *hdrhistogram.Histogram) Latency {
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) * time.Microsecond }
	return Latency{P50: at(50), P90: at(90), P99: at(99), Count: h.TotalCount()}
}

// Progress is what a progress line shows.
type Progress struct {
	Seen, Active, Finished, Failed int64
	Answers, Different             int64 // judged; those that differ or are missing
	Pending                        int64 // client bytes waiting to be sent
}

// Progress returns the counters; it may be called at any time.
func (e *Engine) Progress() Progress {
	p := Progress{Seen: e.seen.Load(), Active: e.active.Load()}
	for _, sh := range e.shards {
		t := &sh.tally
		p.Finished += t.finished.Load()
		p.Failed += t.failed.Load()
		p.Answers += t.answers.Load()
		p.Different += t.differs.Load()
		p.Pending += t.pending.Load()
	}
	return p
}
