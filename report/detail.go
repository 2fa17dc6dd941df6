package report

import (
	"tcpsandbox/compare"
)

// AddDetail lists a session, and keeps count of those that lost something.
// Beyond DetailLimit a session that is remarkable takes the place of one that
// is not; the others are only counted.
func (r *Result) AddDetail(d Detail) {
	r.addLoss(d)
	if len(r.Detail) < DetailLimit {
		r.Detail = append(r.Detail, d)
		return
	}
	r.DetailOmitted++
	if !d.remarkable() {
		return
	}
	r.skipRemarkable()
	if r.plain < len(r.Detail) {
		r.Detail[r.plain] = d
		r.plain++
		r.skipRemarkable()
	}
}

// skipRemarkable finds the next session whose place another one may take.
func (r *Result) skipRemarkable() {
	for r.plain < len(r.Detail) && r.Detail[r.plain].remarkable() {
		r.plain++
	}
}

// Full reports whether no session can be listed any more, however remarkable.
func (r *Result) Full() bool { return len(r.Detail) == DetailLimit && r.plain == DetailLimit }

// AddUnlisted counts a session that would not be listed, because Full, and lost
// nothing.
func (r *Result) AddUnlisted() { r.DetailOmitted++ }

// remarkable reports that a session is one to look at: it differs, failed or
// lost something.
func (d *Detail) remarkable() bool {
	return d.FirstDifference != nil || d.ClientBytes.lost() > 0 || d.State != "finished" && d.State != "skipped" ||
		d.Close == compare.Different.String() || d.Verdict == compare.Different.String() || d.Verdict == compare.Missing.String()
}

// finding is a number of a session's answers that differ in the same, or are
// missing, or the end of its connection.
type finding struct {
	id      int
	verdict compare.Verdict
	answers int64       // 0: the connection's end
	first   *Difference // nil: not known
}

// AddFinding tells that so many of the session's answers, different or missing,
// have compare.Outcome.Finding as given, for Settle. first is the first
// difference among them, the same pointer as d.FirstDifference where it is that,
// or nil if it is not known. The order is that in which the session met them.
func (d *Detail) AddFinding(id int, verdict compare.Verdict, answers int64, first *Difference) {
	if id != 0 && answers > 0 {
		d.findings = append(d.findings, finding{id, verdict, answers, first})
	}
}

// AddClose does so of the end of the session's connection.
func (d *Detail) AddClose(id int, first *Difference) {
	if id != 0 {
		d.findings = append(d.findings, finding{id, compare.Different, 0, first})
	}
}

// Settle makes the answers equivalent of which noise says that their finding is
// noise after all, and sets verdict and first difference anew. A first
// difference of which AddFinding was not told stays as long as any answer of
// the session differs. To settle twice changes nothing.
func (d *Detail) Settle(noise func(finding int) bool) {
	var left []finding
	for _, f := range d.findings {
		if !noise(f.id) {
			left = append(left, f)
			continue
		}
		if f.answers == 0 {
			d.Close = compare.Equivalent.String()
		}
		d.Answers.Count(f.verdict, -f.answers)
		d.Answers.Count(compare.Equivalent, f.answers)
		if f.first != nil && f.first == d.FirstDifference {
			d.FirstDifference = nil
		}
	}
	if len(left) == len(d.findings) {
		return
	}
	d.findings = left
	for _, f := range left {
		if d.FirstDifference == nil {
			d.FirstDifference = f.first
		}
	}
	if d.Answers.Different > 0 {
		return
	}
	if d.Close != compare.Different.String() {
		d.FirstDifference = nil
	}
	switch a := &d.Answers; { // from the worst on
	case a.Missing > 0:
		d.Verdict = compare.Missing.String()
	case a.Equivalent > 0:
		d.Verdict = compare.Equivalent.String()
	}
}

// SettleDetail settles all sessions that are listed.
func (r *Result) SettleDetail(noise func(finding int) bool) {
	for i := range r.Detail {
		r.Detail[i].Settle(noise)
	}
	for i := range r.worst {
		r.worst[i].Settle(noise)
	}
}
